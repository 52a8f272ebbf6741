"""The store as it was at another time, where things come from, and what happened to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import muniment as wandb
from muniment.app import clock
from muniment.domain.errors import (
    InvalidValueError,
)
from tests.app.story import Story


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setenv("MUNIMENT_ACTOR", "ada")
    return Story()


@pytest.fixture
def api(story: Story) -> wandb.Api:
    del story
    return wandb.Api()


def names(found: Any) -> list[str]:
    return [each.name for each in found]


def test_as_of_a_moment_everything_is_as_it_was_and_cannot_be_changed(story: Story, api: wandb.Api) -> None:
    story.log("model", "a", type_="model", metadata={"n": 1}, aliases=("best",))
    story.link("model:v0", "wandb-registry-model/classifier", "production")
    moment, then = clock.to_text(story.store.ledger.head().recorded_at), story.seq
    story.log("model", "b", type_="model", aliases=("best",))
    story.link("model:v1", "wandb-registry-model/classifier", "production")
    changed = api.artifact("model:v0")
    changed.metadata = {"n": 2}
    changed.save()
    story.run("train", changed.id)  # type: ignore[arg-type]
    api.artifact_collection("model", "model").delete if False else None

    for back in (wandb.Api(as_of=moment), wandb.Api(as_of=then), wandb.Api(as_of=str(then))):
        assert back.as_of == then
        artifact = back.artifact("model:best")
        assert (artifact.name, artifact.metadata) == ("model:v0", {"n": 1})
        assert "latest" in artifact.aliases
        production = back.artifact("wandb-registry-model/classifier:production")
        assert production.source_name == "model:v0"
        assert names(back.artifacts("model", "model")) == ["model:v0"]
        assert len(back.runs()) == 0
        assert artifact.used_by() == []
        assert len(back.lineage("model:v0").nodes) == 2
        assert names(back.registry("model").versions()) == ["classifier:v0"]
    assert api.artifact("model:best").name == "model:v1"


def test_nothing_that_was_loaded_as_of_a_moment_can_be_changed(story: Story) -> None:
    story.run("train")
    story.log("model", "a", type_="model")
    story.link("model:v0", "wandb-registry-model/classifier")
    then = story.seq
    back = wandb.Api(as_of=then)
    artifact, registry, run, team = (
        back.artifact("model"),
        back.registry("model"),
        back.run("train"),
        back.team("local"),
    )
    collection = back.artifact_collection("model", "wandb-registry-model/classifier")

    attempts: list[Callable[[], Any]] = [
        artifact.save,
        artifact.delete,
        lambda: artifact.link("wandb-registry-model/other"),
        registry.save,
        registry.delete,
        lambda: registry.add_members("bea"),
        lambda: registry.protect_aliases(["x"]),
        collection.save,
        collection.delete,
        run.update,
        run.delete,
        lambda: run.use_artifact(artifact),
        lambda: run.log_artifact(artifact),
        lambda: team.add_member("bea"),
        team.set_ttl_policy,
        lambda: back.create_registry("x"),
        lambda: back.create_project("x"),
        lambda: back.create_team("x"),
        lambda: back.create_organization("x"),
        back.create_run,
        back.project("uncategorized").delete,
        lambda: back.organization().add_member("bea"),
    ]
    for attempt in attempts:
        with pytest.raises(wandb.UsageError, match=f"event {then}"):
            attempt()
    assert story.seq == then


@pytest.mark.parametrize("moment", ["yesterday", 10_000, -1])
def test_an_api_as_of_no_moment_is_refused(story: Story, moment: str | int) -> None:
    story.log("digits", "a")
    with pytest.raises(InvalidValueError):
        wandb.Api(as_of=moment)


def test_a_lineage_prints_as_a_tree(story: Story, api: wandb.Api) -> None:
    data = story.log("digits", "a").version_id
    train = story.run("train", data)
    story.log("model", "w", type_="model", run=train)

    lineage = api.lineage("digits:v0")

    assert str(lineage).splitlines() == [
        "digits:v0 (dataset)",
        "└─ led to",
        "   └─ used by run train (running)",
        "      └─ logged model:v0 (model)",
    ]
    assert [node.name for node in lineage.nodes] == ["digits:v0", "train", "model:v0"]
    assert [edge.kind for edge in lineage.edges] == ["used", "logged"]
    assert lineage.root.name == "digits:v0"
    assert lineage.to_json()["root"] == data
    assert lineage.to_dot().startswith("digraph")
    assert lineage.to_mermaid().startswith("flowchart")
    assert len(api.lineage("model", depth=1).nodes) == 2
    assert len(api.lineage("model", direction="down").nodes) == 1
    assert api.lineage("runs/train").root.kind == "run"
    with pytest.raises(wandb.CommError):
        api.lineage("nobody:v0")
    with pytest.raises(InvalidValueError, match="direction"):
        api.lineage("model", direction="sideways")  # type: ignore[arg-type]


def test_a_history_says_who_did_what(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a", aliases=("best",))
    story.log("digits", "b", aliases=("best",))

    acts = list(api.history("digits", per_page=2))

    assert [act.act for act in acts] == [
        *("artifact created", "version created", "alias moved", "version created", "alias moved")
    ]
    assert acts[0].actor == api.viewer.username
    assert "alias best: local/uncategorized/digits:v0 → local/uncategorized/digits:v1" in str(acts[-1])
    assert [act.seq for act in api.history("digits", newest_first=True)] == [act.seq for act in reversed(acts)]
    with pytest.raises(wandb.CommError, match="nothing here is called"):
        api.history("nobody")


def test_what_was_not_there_yet_is_not_offered_to_be_made(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")
    api.create_registry("golden")
    for call in (
        lambda: wandb.Api(as_of=1).artifact("digits"),
        lambda: wandb.Api(as_of=1).registry("model"),
        lambda: wandb.Api(as_of=story.seq - 2).registry("golden"),
    ):
        with pytest.raises(wandb.CommError, match=r"at event \d+$"):
            call()
