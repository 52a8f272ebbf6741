"""Every code sample of the document runs; how each differs from the document is written down and true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import muniment as wandb

SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.py"))
DOCUMENT = Path(__file__).parents[3] / "shared" / "reference" / "seed_wandb_artifacts.txt"
AWS = """#!/bin/sh
# stands in for: aws s3 cp --recursive <from> <to>
test "$1 $2 $3" = "s3 cp --recursive" || exit 2
mkdir -p "$5" && cp -R "${4#file://}/." "$5"
"""


@pytest.fixture
def here(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the files that the samples expect, beside a store with the artifacts that they name."""
    del own_home
    folder = tmp_path / "here"
    bucket = folder / "moe-wandb" / "datasets"
    (bucket / "more").mkdir(parents=True)
    (bucket / "a.txt").write_text("first")
    (bucket / "more" / "b.txt").write_text("second")
    (folder / "my-file").write_text("a model")
    monkeypatch.chdir(folder)
    _aws(tmp_path / "bin", monkeypatch)
    wandb.Api().create_team("dummy-team")
    with wandb.init(entity="dummy-team", project="that_was_easy") as run:
        _artifacts(run, bucket)
    return folder


def _aws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "aws").write_text(AWS)
    (folder / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def _artifacts(run: wandb.Run, bucket: Path) -> None:
    dataset = wandb.Artifact("my-dataset", type="dataset")
    dataset.add_dir(str(bucket))
    run.log_artifact(dataset, aliases=["best"])
    for checksum in (True, False):
        references = wandb.Artifact("s3_file_references", type="reference-dataset")
        references.add_reference(bucket.as_uri(), checksum=checksum)
        run.log_artifact(references)
    model = wandb.Artifact("digits", type="model")
    model.add_file("my-file")
    run.link_artifact(model, "local/wandb-registry-model/digits", aliases=["production"])


def run_sample(name: str, folder: Path) -> str:
    """Run a sample as its user would; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SAMPLES / f"{name}.py")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def logged_a_dataset(folder: Path, printed: str) -> None:
    del folder, printed
    artifact = wandb.Api().artifact("artifacts-quickstart/my-dataset:latest")
    assert artifact.version == "v0"
    assert [entry.path for entry in artifact.manifest.entries.values()] == ["my-dataset.txt"]
    producer = artifact.logged_by()
    assert producer is not None
    assert producer.job_type == "dataset-creation"


def tracked_the_bucket(folder: Path, printed: str) -> None:
    del printed
    artifact = wandb.Api().artifact("mnist:latest")
    assert sorted(artifact.manifest.entries) == ["a.txt", "more/b.txt"]
    assert len(artifact.used_by()) == 1
    run_sample("02_reference_checksum", folder)
    assert wandb.Api().artifact("mnist:latest").version == "v0", "unchanged files make no new version"
    (folder / "moe-wandb" / "datasets" / "a.txt").write_text("changed")
    run_sample("02_reference_checksum", folder)
    assert wandb.Api().artifact("mnist:latest").version == "v1", "a changed file makes one"


def tracked_with_and_without_checksums(folder: Path, printed: str) -> None:
    del printed
    assert sorted(wandb.Api().artifact("mnist:latest").manifest.entries) == ["a.txt", "more/b.txt"]
    location = wandb.Api().artifact("mnist-location:latest").manifest.to_manifest_json()["contents"]
    assert [entry["ref"] for entry in location.values()] == [(folder / "moe-wandb" / "datasets").as_uri()]


def downloaded_the_dataset(folder: Path, printed: str) -> None:
    del printed
    assert (folder / "artifacts" / "my-dataset:v0" / "more" / "b.txt").read_text() == "second"


def used_the_dataset(folder: Path, printed: str) -> None:
    downloaded_the_dataset(folder, printed)
    assert len(wandb.Api().artifact("dummy-team/that_was_easy/my-dataset:best").used_by()) == 1


def downloaded_the_references(folder: Path, printed: str) -> None:
    del printed
    assert (folder / "artifacts" / "s3_file_references:v0" / "more" / "b.txt").read_text() == "second"


def printed_addresses(folder: Path, printed: str) -> None:
    del folder
    assert len(printed.splitlines()) == 2


def copied_the_parent_directory(folder: Path, printed: str) -> None:
    del printed
    assert (folder / "datasets" / "more" / "b.txt").read_text() == "second"


def set_a_ttl(folder: Path, printed: str) -> None:
    del folder, printed
    assert wandb.Api().artifact("dummy-team/project/artifact-name:latest").ttl == timedelta(days=30)


def made_the_collection(folder: Path, printed: str) -> None:
    del folder, printed
    linked = wandb.Api().artifact("local/wandb-registry-model/first-collection:latest")
    assert (linked.version, linked.source_name) == ("v0", "my-model:v0")


def linked_to_the_registry(folder: Path, printed: str) -> None:
    del folder, printed
    linked = wandb.Api().artifact("local/wandb-registry-model/second-collection:v0")
    assert linked.is_link
    assert list(linked.manifest.entries) == ["my-file"]


def used_from_the_registry(folder: Path, printed: str) -> None:
    del printed
    assert (folder / "artifacts" / "digits:v0" / "my-file").read_text() == "a model"
    assert len(wandb.Api().artifact("wandb-registry-model/digits:production").used_by()) == 1


def resolved_index_alias_and_latest(folder: Path, printed: str) -> None:
    del folder
    assert len(printed.splitlines()) == 3
    assert len(set(printed.splitlines())) == 1


EXPECTED: dict[str, Callable[[Path, str], None]] = {
    "01_log_dataset": logged_a_dataset,
    "02_reference_checksum": tracked_the_bucket,
    "03_reference_max_objects": tracked_with_and_without_checksums,
    "04_consume_by_run": used_the_dataset,
    "05_consume_by_api": downloaded_the_dataset,
    "06_download_references": downloaded_the_references,
    "07_loop_files": printed_addresses,
    "08_parent_directory": copied_the_parent_directory,
    "09_ttl": set_a_ttl,
    "10_create_collection": made_the_collection,
    "11_link_to_registry": linked_to_the_registry,
    "12_use_from_registry": used_from_the_registry,
    "13_reference_by_index_and_alias": resolved_index_alias_and_latest,
}


def test_every_sample_has_an_expectation() -> None:
    assert sorted(EXPECTED) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_runs_and_does_what_the_document_says(name: str, here: Path) -> None:
    EXPECTED[name](here, run_sample(name, here))


@pytest.mark.parametrize("name", NAMES)
def test_the_difference_leads_from_the_document_to_the_sample(name: str) -> None:
    lines = (SAMPLES / f"{name}.diff").read_text().splitlines()[3:]
    assert [line[1:] for line in lines if line[0] in " +"] == (SAMPLES / f"{name}.py").read_text().splitlines()
    if not DOCUMENT.exists():
        pytest.skip("needs the document in ../shared/reference, which a public clone does not have")
    original = "".join(line[1:] for line in lines if line[0] in " -")
    assert re.sub(r"\s", "", original) in re.sub(r"\s", "", DOCUMENT.read_text())
