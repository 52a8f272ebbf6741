"""``Api``: everything in the store, looked at from outside of runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import muniment as wandb
from muniment.app import clock
from muniment.app.sdk.people import Member
from muniment.domain.errors import (
    InvalidNameError,
    InvalidValueError,
    MunimentError,
    NameTakenError,
    NotFoundError,
    PermissionDeniedError,
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


# --- artifacts -------------------------------------------------------------------------------------------------------


def test_an_artifact_is_found_by_alias_by_number_and_as_the_latest(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a", aliases=("best",))
    story.log("digits", "b")

    for name in ("digits", "uncategorized/digits", "local/uncategorized/digits:latest", "digits:v1"):
        assert api.artifact(name).name == "digits:v1"
    assert api.artifact("digits:best", type="dataset").qualified_name == "local/uncategorized/digits:v0"


def test_an_artifact_of_another_type_or_name_is_a_comm_error_and_a_value_error(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")

    with pytest.raises(wandb.CommError, match="type 'model' specified but this artifact is of type 'dataset'"):
        api.artifact("digits", type="model")
    with pytest.raises(ValueError, match="no artifact 'other'"):
        api.artifact("other")
    with pytest.raises(NotFoundError, match="no alias 'best'"):
        api.artifact("digits:best")
    with pytest.raises(wandb.CommError, match="Invalid artifact path"):
        api.artifact("a/b/c/d")


def test_whether_artifacts_and_collections_exist(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")

    assert api.artifact_exists("digits:v0")
    assert api.artifact_exists("digits", type="dataset")
    assert not api.artifact_exists("digits", type="model")
    assert not api.artifact_exists("digits:v7")
    assert not api.artifact_exists("nobody/digits")
    assert api.artifact_collection_exists("digits", "dataset")
    assert not api.artifact_collection_exists("digits", "model")
    assert not api.artifact_collection_exists("other", "dataset")
    api.artifact("digits:v0").delete(delete_aliases=True)
    assert not api.artifact_exists("digits:v0")
    with pytest.raises(InvalidNameError):
        api.artifact_exists("a/b/c/d")


def test_the_versions_of_a_collection_come_newest_first_or_as_ordered(story: Story, api: wandb.Api) -> None:
    for size, tags in ((3, ("raw",)), (1, ("raw", "clean")), (2, ())):
        story.log("digits", "x" * size, tags=tags)

    assert names(api.artifacts("dataset", "digits")) == ["digits:v2", "digits:v1", "digits:v0"]
    assert names(api.artifacts("dataset", "digits", order="+created_at")) == ["digits:v0", "digits:v1", "digits:v2"]
    by_size = api.artifacts("dataset", "digits", order="artifact_size", per_page=2)
    assert names(by_size) == ["digits:v1", "digits:v2", "digits:v0"]
    assert names(api.artifacts("dataset", "digits", tags="raw")) == ["digits:v1", "digits:v0"]
    assert names(api.artifacts("dataset", "digits", tags=["raw", "clean"])) == ["digits:v1"]
    assert names(api.artifact_versions("dataset", "digits", per_page=1)) == ["digits:v2", "digits:v1", "digits:v0"]
    with pytest.raises(wandb.CommError, match="is of type 'dataset', not 'model'"):
        api.artifacts("model", "digits")
    with pytest.raises(wandb.CommError, match="no order by 'colour'"):
        api.artifacts("dataset", "digits", order="colour")


def test_lists_are_fetched_as_far_as_they_are_looked_at_and_can_be_resumed(story: Story, api: wandb.Api) -> None:
    for number in range(7):
        story.log("digits", str(number))

    found = api.artifacts("dataset", "digits", per_page=3)
    assert len(found) == 7
    assert found.cursor is None
    assert found[1].version == "v5"
    assert found.more
    rest = api.artifacts("dataset", "digits", per_page=3, start=found.cursor)
    assert names(rest) == [f"digits:v{number}" for number in (3, 2, 1, 0)]
    assert len(rest) == 4
    assert not rest.more
    assert names(found[2:5]) == ["digits:v4", "digits:v3", "digits:v2"]
    assert found[-1].version == "v0"
    assert [found.next().version, next(found).version] == ["v6", "v5"]
    assert bool(found)
    with pytest.raises(IndexError, match="7 items"):
        found[7]
    with pytest.raises(InvalidValueError, match="at least 1"):
        api.artifacts("dataset", "digits", per_page=0)
    with pytest.raises(wandb.CommError, match="no cursor"):
        list(api.artifacts("dataset", "digits", start="nonsense"))


def test_types_and_collections_of_a_project(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")
    story.log("letters", "b", tags=("v",))
    story.log("net", "c", type_="model")

    assert names(api.artifact_types()) == ["dataset", "model"]
    assert names(api.artifact_types("local/uncategorized", per_page=1)) == ["dataset", "model"]
    type_ = api.artifact_type("dataset")
    assert (type_.name, type_.entity, type_.project) == ("dataset", "local", "uncategorized")
    assert names(type_.collections()) == ["digits", "letters"]
    assert type_.collection("digits").type == "dataset"
    assert names(api.artifact_collections("uncategorized", "dataset", order="-name")) == ["letters", "digits"]
    assert len(api.artifact_collections("uncategorized", "dataset")) == 2
    assert names(api.artifact_collections("uncategorized", filters={"name": {"$regex": "t"}})) == [
        *("digits", "letters", "net")
    ]
    assert names(api.project("uncategorized").collections(order="-created_at")) == ["net", "letters", "digits"]
    assert names(api.project("uncategorized").artifacts_types()) == ["dataset", "model"]
    with pytest.raises(wandb.CommError, match="no artifacts of type 'other'"):
        api.artifact_type("other")
    with pytest.raises(wandb.CommError, match="is of type"):
        type_.collection("net")


def test_a_sequence_can_be_renamed_retyped_described_tagged_and_deleted(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a", aliases=("best",))
    before = story.seq

    collection = api.artifact_collection("dataset", "digits")
    assert collection.is_sequence()
    assert collection.aliases == ["best"]
    collection.name, collection.type, collection.description = "numbers", "images", "small pictures"
    collection.tags.append("eight by eight")
    collection.save()
    collection.save()

    again = api.artifact_collection("images", "numbers")
    assert (again.description, again.tags, again.id) == ("small pictures", ["eight by eight"], collection.id)
    assert (again.entity, again.project) == ("local", "uncategorized")
    assert names(again.artifacts()) == ["numbers:v0"]
    commands = {each.command for each in story.store.ledger.read(after=before)}
    assert len(commands) == 1
    again.change_type("dataset")
    assert api.artifact("numbers").type == "dataset"
    again.delete()
    assert not api.artifact_exists("numbers")
    with pytest.raises(NotFoundError, match="not here any more"):
        again.load()


@pytest.mark.parametrize("name", ["", "a/b", "x" * 129])
def test_a_collection_takes_no_impossible_name(story: Story, api: wandb.Api, name: str) -> None:
    story.log("digits", "a")
    with pytest.raises(ValueError, match="Collection name"):
        api.artifact_collection("dataset", "digits").name = name


def test_a_name_that_is_taken_is_refused_and_nothing_is_changed(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")
    story.log("letters", "b")
    collection = api.artifact_collection("dataset", "digits")
    collection.name, collection.description = "letters", "changed"

    with pytest.raises(NameTakenError):
        collection.save()

    assert api.artifact_collection("dataset", "digits").description is None
    assert collection.load().name == "digits"


# --- runs ------------------------------------------------------------------------------------------------------------


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


# --- people ----------------------------------------------------------------------------------------------------------


def roles(members: list[Member]) -> dict[str, str]:
    return {member.username: member.role for member in members}


def test_organizations_teams_and_members_are_made_from_the_library(
    api: wandb.Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = api.viewer.username
    organization = api.create_organization("acme")
    team = api.create_team("vision", organization="acme")

    team.add_member("bea").add_member("cem", "viewer")
    team.add_member("cem", "admin")
    team.remove_member("bea")
    organization.add_member("dora", role="viewer").add_member("eli").remove_member("eli")

    assert (team.organization, names(organization.teams)) == ("acme", ["vision"])
    assert roles(api.team("vision").members) == {me: "admin", "cem": "admin"}
    assert roles(api.organization("acme").members) == {me: "admin", "dora": "viewer"}
    assert names(api.teams()) == ["local", "vision"]
    known = api.user("dora")
    assert known is not None
    assert known.name == "dora"
    assert api.user("nobody") is None
    with pytest.raises(InvalidValueError, match="no role 'king'"):
        team.add_member("bea", "king")
    with pytest.raises(NameTakenError):
        api.create_team("vision")
    monkeypatch.setenv("MUNIMENT_ACTOR", "dora")
    with pytest.raises(PermissionDeniedError):
        wandb.Api().team("vision").add_member("dora", "admin")
    assert team.rename("sight").name == "sight"
    assert api.team("sight").id == team.id


def test_a_team_says_who_may_set_a_ttl_and_how_long_versions_are_kept(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")
    team = api.team("local").set_ttl_policy("admins", timedelta(days=30))

    assert (team.ttl_setters, team.default_ttl) == ("admins", timedelta(days=30))
    assert api.artifact("digits").ttl == timedelta(days=30)
    assert api.team("local").set_ttl_policy().default_ttl is None
    for wrong in (timedelta(0), timedelta(days=-1), 5):
        with pytest.raises(InvalidValueError, match="positive timedelta"):
            team.set_ttl_policy(default=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="'members' or 'admins'"):
        team.set_ttl_policy("everybody")  # type: ignore[arg-type]


def test_overrides_say_what_names_leave_out(story: Story) -> None:
    story.log("digits", "a")
    Story("other").log("letters", "b")
    api = wandb.Api(overrides={"project": "other", "base_url": "https://example.org"}, api_key="x", timeout=3)

    assert api.artifact("letters").project == "other"
    assert names(api.artifact_types()) == ["dataset"]
    assert api.settings == {"entity": "local", "project": "other", "organization": "local"}
    assert not api.artifact_exists("digits")
    assert api.default_entity == "local"
    api.flush()


# --- as of -----------------------------------------------------------------------------------------------------------


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


# --- lineage and history ---------------------------------------------------------------------------------------------


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
