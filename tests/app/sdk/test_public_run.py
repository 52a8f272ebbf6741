"""Runs as they are looked at from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import muniment as wandb
from muniment.app import clock
from muniment.domain.errors import (
    MunimentError,
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


def test_a_run_as_others_see_it(story: Story, api: wandb.Api, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello\n")
    story.log("raw", "x")
    with wandb.init(job_type="training", config={"lr": 0.1}, name="first", group="g", tags=["t"], notes="n") as run:
        run.use_artifact("raw:v0")
        artifact = wandb.Artifact("digits", "dataset")
        artifact.add_file(str(tmp_path / "a.txt"))
        run.log_artifact(artifact)
        run.log({"loss": 2})
        run.log({"loss": 1})
        run_id = run.id

    found = api.run(f"local/uncategorized/{run_id}")

    assert (found.id, found.name, found.state, found.job_type) == (run_id, "first", "finished", "training")
    assert (found.group, found.tags, found.notes, found.config) == ("g", ["t"], "n", {"lr": 0.1})
    assert found.path == ["local", "uncategorized", run_id]
    assert found.summary["loss"] == 1
    assert found.user.username == found.username == api.viewer.username
    assert clock.from_text(found.created_at) <= clock.from_text(found.finished_at or "")
    assert [row["loss"] for row in found.history(pandas=False)] == [2, 1]
    assert [row["loss"] for row in found.history(samples=1, pandas=False)] == [2]
    assert list(found.scan_history(keys=["loss"], min_step=1)) == [{"loss": 1}]
    assert list(found.scan_history(keys=["missing"])) == []
    assert found.last_history_step == 1
    assert names(found.used_artifacts()) == ["raw:v0"]
    assert names(found.logged_artifacts()) == ["digits:v0"]
    assert artifact.logged_by().id == run_id
    assert [each.id for each in api.artifact("raw").used_by()] == [run_id]
    for path in (run_id, f"uncategorized/{run_id}", f"local/uncategorized/runs/{run_id}"):
        assert api.run(path).id == run_id


@pytest.mark.parametrize("path", ["", "/", "a/b/c/d"])
def test_what_is_no_path_of_a_run_is_refused(api: wandb.Api, path: str) -> None:
    with pytest.raises(ValueError, match="Invalid run path"):
        api.run(path)


def test_an_unknown_run_is_not_found(api: wandb.Api) -> None:
    with pytest.raises(wandb.CommError, match="no run 'nobody'"):
        api.run("nobody")


def test_what_is_changed_about_a_run_is_kept_at_once(story: Story, api: wandb.Api) -> None:
    story.run("train")
    run = api.run("train")
    before = story.seq
    run.name, run.tags, run.notes, run.group, run.config["lr"] = "other", ["a", "b"], "why", "g", 1
    run.update()

    again = api.run("train")
    assert (again.name, again.tags, again.notes, again.group) == ("other", ["a", "b"], "why", "g")
    assert again.config == {"lr": 1}
    assert len({each.command for each in story.store.ledger.read(after=before)}) == 1


def test_a_run_takes_logged_artifacts_as_inputs_and_outputs(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")
    story.log("digits", "b")
    story.run("late")
    run = api.run("late")

    run.use_artifact(api.artifact("digits:v1"))
    again = run.log_artifact(api.artifact("digits:v0"), aliases=["best"], tags=["t"])

    assert names(run.used_artifacts()) == ["digits:v1"]
    assert names(run.logged_artifacts()) == ["digits:v0"]
    assert (again.name, again.tags) == ("digits:v0", ["t"])
    assert set(api.artifact("digits:v0").aliases) == {"best", "latest"}
    for act in (run.use_artifact, run.log_artifact):
        with pytest.raises(ValueError, match="logged already"):
            act(wandb.Artifact("draft", "dataset"))
    other = Story("elsewhere")
    other.log("digits", "a")
    with pytest.raises(wandb.CommError, match="another project"):
        run.log_artifact(api.artifact("elsewhere/digits"))


def test_a_run_goes_with_or_without_what_it_logged(story: Story, api: wandb.Api) -> None:
    for key in ("one", "two"):
        story.log(key, key, run=story.run(key), aliases=("best",))

    api.run("one").delete()
    api.run("two").delete(delete_artifacts=True)

    assert api.artifact_exists("one:best")
    assert not api.artifact_exists("two:v0")
    assert len(api.runs()) == 0


def test_a_run_whose_artifact_is_linked_is_not_deleted_by_halves(story: Story, api: wandb.Api) -> None:
    run = story.run("train")
    story.log("extra", "x", run=run)
    story.log("model", "w", type_="model", run=run)
    story.link("model:v0", "wandb-registry-model/classifier")

    with pytest.raises(MunimentError, match="classifier"):
        api.run("train").delete(delete_artifacts=True)

    assert api.run("train")
    assert api.artifact_exists("extra:v0")


def test_runs_are_listed_filtered_and_ordered(api: wandb.Api) -> None:
    for number, key in enumerate(("b", "c", "a")):
        with wandb.init(
            id=key, config={"lr": number, "net": {"depth": number}}, job_type="even" if number % 2 else None
        ):
            pass

    def found(**how: Any) -> list[str]:
        return [run.id for run in api.runs("local/uncategorized", **how)]

    assert found() == ["b", "c", "a"]
    assert found(order="-created_at") == ["a", "c", "b"]
    assert found(order="name", per_page=2) == ["a", "b", "c"]
    assert found(filters={"config.lr": {"$gte": 1}}) == ["c", "a"]
    assert found(filters={"config.net.depth": 2}) == ["a"]
    assert found(filters={"$or": [{"job_type": "even"}, {"name": "a"}]}, per_page=1) == ["c", "a"]
    assert found(filters={"state": "finished", "created_at": {"$gt": "2020-01-01"}}) == ["b", "c", "a"]
    assert found(filters={"created_at": {"$gt": "2999-01-01"}}) == []
    assert len(api.runs()) == 3
    with pytest.raises(wandb.CommError, match="no field 'colour'"):
        api.runs(filters={"colour": "red"})
    with pytest.raises(wandb.CommError, match="is no operator"):
        api.runs(filters={"name": {"$like": "a"}})


def test_runs_and_projects_can_be_made_and_let_go(api: wandb.Api) -> None:
    run = api.create_run(run_id="x", project="fresh")
    assert (run.id, run.project, run.state) == ("x", "fresh", "running")
    api.create_project("other")
    api.create_project("other")
    assert names(api.projects()) == ["fresh", "other", "uncategorized"]
    assert len(api.projects(per_page=1)) == 3
    project = api.project("other")
    assert project.path == ["local", "other"]
    project.delete()
    with pytest.raises(wandb.CommError, match="no project 'other'"):
        api.project("other")
