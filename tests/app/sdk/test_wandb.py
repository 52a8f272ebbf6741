"""One long script as a user of W&B would write it, with nothing changed but the import line."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

import muniment as wandb

SCRIPT_ENTITY = "vision-team"


def test_a_script_of_a_wandb_user_runs() -> None:  # noqa: PLR0915 (as long as a user's script)
    wandb.login()
    wandb.Api().create_team(SCRIPT_ENTITY)
    Path("raw").mkdir()
    for number in range(3):
        Path("raw", f"{number}.txt").write_text(f"image {number}")

    # prepare
    run = wandb.init(entity=SCRIPT_ENTITY, project="pets", job_type="prepare", config={"size": 3}, tags=["nightly"])
    raw = wandb.Artifact("raw-pets", type="dataset", description="pictures of pets", metadata={"source": "camera"})
    raw.add_dir("raw")
    with raw.new_file("README.md") as file:
        file.write("# Pets")
    table = wandb.Table(columns=["path", "label"], data=[["0.txt", "cat"], ["1.txt", "dog"]])
    raw.add(table, "labels")
    raw.ttl = timedelta(days=30)
    run.log_artifact(raw, aliases=["nightly"])
    raw.wait()
    assert raw.version == "v0"
    wandb.finish()

    # train
    with wandb.init(entity=SCRIPT_ENTITY, project="pets", job_type="train", group="exp", config=dict(lr=0.1)) as run:  # noqa: C408
        data = run.use_artifact("raw-pets:nightly", type="dataset")
        folder = data.download()
        assert sorted(os.listdir(folder)) == ["0.txt", "1.txt", "2.txt", "README.md", "labels.table.json"]  # noqa: PTH208
        labels = data.get("labels")
        assert labels is not None
        assert [row for _, row in labels.iterrows()] == table.data
        for epoch in range(5):
            run.log({"epoch": epoch, "loss": 1 / (epoch + 1)})
            Path("model.bin").write_text(f"weights {epoch}")
            model = wandb.Artifact("pet-model", type="model", metadata={"epoch": epoch})
            model.add_file("model.bin")
            run.log_artifact(model, aliases=[f"epoch-{epoch}"] + (["best"] if epoch == 3 else []))
        run.summary["best_loss"] = 0.2

    # choose
    api = wandb.Api()
    best = api.artifact(f"{SCRIPT_ENTITY}/pets/pet-model:best", type="model")
    assert (best.version, best.metadata, best.aliases) == ("v3", {"epoch": 3}, ["best", "epoch-3"])
    assert [entry.path for entry in best.manifest.entries.values()] == ["model.bin"]
    with wandb.init(entity=SCRIPT_ENTITY, project="pets", job_type="promote") as run:
        linked = run.link_artifact(best, "wandb-registry-model/pets", aliases=["production"])
        assert (linked.name, linked.source_name) == ("pets:v0", "pet-model:v3")
        path = run.use_model("pet-model:epoch-4")
        assert Path(path).read_text() == "weights 4"
    served = api.artifact("wandb-registry-model/pets:production")
    assert Path(served.file()).read_text() == "weights 3"
    trained_by = served.logged_by()
    assert (trained_by.job_type, trained_by.summary["best_loss"]) == ("train", 0.2)
    assert [used.name for used in trained_by.used_artifacts()] == ["raw-pets:v0"]
    assert {each.job_type for each in best.used_by()} == set()

    # tidy up
    for version in api.artifacts("model", f"{SCRIPT_ENTITY}/pets/pet-model"):
        if not set(version.aliases) & {"best", "latest"}:
            version.delete(delete_aliases=True)
    left = [version.version for version in api.artifacts("model", f"{SCRIPT_ENTITY}/pets/pet-model")]
    assert left == ["v4", "v3"]
    assert api.artifact(f"{SCRIPT_ENTITY}/pets/raw-pets:latest").ttl == timedelta(days=30)
    with pytest.raises(wandb.errors.CommError, match="nothing"):
        api.artifact(f"{SCRIPT_ENTITY}/pets/nothing:latest")
