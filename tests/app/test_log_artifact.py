"""Logging: indexes, content that is there already, lineage, what is said about a version, retries and leases."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve, frozen

from muniment.app import directory, leases, lifecycle, log_artifact, runs
from muniment.app.lifecycle import Edits
from muniment.app.store import Store
from muniment.domain.errors import (
    AliasReservedError,
    CommandReusedError,
    InvalidNameError,
    LeaseExpiredError,
    MunimentError,
    NotFoundError,
    TypeRefusedError,
)
from muniment.domain.ports import SlotDraft
from muniment.domain.rows import ArtifactRow, EdgeRow, SourceRow, TagRow, VersionRow
from muniment.domain.run import OutputLogged
from muniment.domain.values import CommandId, Json, Personal, RunId, Ttl, TtlRule, VersionId
from tests.app.scene import SECOND, Scene
from tests.stores import Clock, sqlite_store

COMMAND = CommandId("c" * 32)


def test_versions_are_numbered_from_zero_and_latest_follows(scene: Scene) -> None:
    logged = [scene.log("images", text) for text in ("one", "two", "three")]
    assert [each.index for each in logged] == [0, 1, 2]
    assert all(each.created for each in logged)
    assert scene.points("images") == {"latest": 2}


def test_a_number_is_never_used_again(scene: Scene) -> None:
    scene.log("images", "one")
    scene.log("images", "two")
    scene.delete("images:v1")
    assert scene.log("images", "three").index == 2
    scene.delete("images:v2")
    assert scene.log("images", "three").index == 3
    assert scene.indexes("images") == [0, 3]


def test_content_of_any_live_version_makes_no_new_one(scene: Scene) -> None:
    first = scene.log("images", "one", "old")
    scene.log("images", "two", "best")
    again = scene.log("images", "one", "best")
    assert (again.created, again.index, again.version_id) == (False, 0, first.version_id)
    assert scene.points("images") == {"old": 0, "best": 0, "latest": 0}


def test_content_of_a_deleted_version_makes_a_new_one(scene: Scene) -> None:
    scene.log("images", "one")
    scene.log("images", "two")
    scene.delete("images:v0")
    assert scene.log("images", "one").index == 2


def test_of_several_versions_with_this_content_the_highest_counts(scene: Scene) -> None:
    scene.log("images", "one")
    gone = scene.delete("images:v0")
    scene.log("images", "one")
    lifecycle.restore(scene.store, gone)
    assert scene.indexes("images") == [0, 1]
    scene.log("images", "two")
    assert scene.log("images", "one").index == 1


def test_the_same_content_under_another_name_is_another_version(scene: Scene) -> None:
    one, other = scene.log("images", "one"), scene.log("copies", "one")
    assert one.artifact_id != other.artifact_id
    assert other.created


def test_metadata_and_description_do_not_make_a_version(scene: Scene) -> None:
    scene.log("images", "one", metadata={"a": 1})
    assert not scene.log("images", "one", metadata={"a": 2}, description="other").created


def test_latest_of_known_content_moves_once(scene: Scene) -> None:
    scene.log("images", "one")
    seq = scene.seq
    scene.log("images", "one")
    assert scene.happened(seq) == []
    scene.log("images", "two")
    scene.log("images", "one")
    assert scene.points("images") == {"latest": 0}
    scene.log("images", "three")
    assert scene.points("images") == {"latest": 2}


def test_latest_that_was_taken_away_comes_back_with_known_content(scene: Scene) -> None:
    scene.log("images", "one")
    scene.edit("images:v0", remove_aliases=("latest",))
    assert scene.points("images") == {}
    scene.log("images", "one")
    assert scene.points("images") == {"latest": 0}


def test_every_run_that_logged_the_content_is_its_producer(scene: Scene) -> None:
    first, second = scene.run("first"), scene.run("second")
    logged = scene.log("images", "one", run=first)
    again = scene.log("images", "one", run=second)
    scene.log("images", "one", run=second)
    edges = scene.views.select(EdgeRow, version_id=logged.version_id, role="out", order="edge_seq")
    assert [edge.run_id for edge in edges] == [first.run_id, second.run_id]
    assert not again.created
    recorded = [each.event for each in scene.since(0) if isinstance(each.event, OutputLogged)]
    assert [event.created for event in recorded] == [True, False]


def test_a_run_of_another_project_or_none_is_no_producer(scene: Scene) -> None:
    other = evolve(scene, project_name="other")
    runs_project = directory.create_project(scene.store, "local", "other")
    foreign = other.run("r")
    assert foreign.project_id == runs_project.project_id
    with pytest.raises(NotFoundError, match="no run"):
        scene.log("images", "one", run=foreign)
    run = scene.run("mine")
    runs.delete(scene.store, run)
    with pytest.raises(NotFoundError, match="no run"):
        scene.log("images", "one", run=run)
    assert scene.views.select(ArtifactRow, project_id=scene.project.project_id, order="name") == []


def test_another_type_is_refused_and_changes_nothing(scene: Scene) -> None:
    scene.log("images", "one")
    seq = scene.seq
    with pytest.raises(TypeRefusedError, match="already exists with type 'dataset'; cannot log it with type 'model'"):
        scene.log("images", "two", "best", type_="model")
    assert scene.happened(seq) == ["Denied"]
    assert scene.points("images") == {"latest": 0}


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"name": "a b"}, InvalidNameError),
        ({"name": ""}, InvalidNameError),
        ({"name": "a/b"}, InvalidNameError),
        ({"name": "a:b"}, InvalidNameError),
        ({"name": "n" * 129}, InvalidNameError),
        ({"type": "a/b"}, InvalidNameError),
        ({"type": ""}, InvalidNameError),
        ({"aliases": ("best", "v3")}, AliasReservedError),
        ({"aliases": ("v0",)}, AliasReservedError),
        ({"aliases": ("",)}, InvalidNameError),
        ({"aliases": ("a/b",)}, InvalidNameError),
        ({"aliases": ("a:b",)}, InvalidNameError),
        ({"aliases": ("a\n",)}, InvalidNameError),
        ({"aliases": ("n" * 129,)}, InvalidNameError),
        ({"tags": ("a.b",)}, InvalidNameError),
        ({"tags": ("",)}, InvalidNameError),
        ({"tags": ("n" * 129,)}, InvalidNameError),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_is_written(
    scene: Scene, said: dict[str, Json], error: type[MunimentError]
) -> None:
    draft, seq = evolve(scene.draft("images", "one"), **said), scene.seq
    with pytest.raises(error):
        log_artifact.log(scene.store, scene.project, draft)
    assert scene.happened(seq) == []


def test_names_at_their_limits_are_allowed(scene: Scene) -> None:
    scene.log("n" * 128, "one", "v", "v1a", "V1", "a" * 128, tags=("t" * 128, "two words"), type_="T" * 128)
    assert set(scene.points("n" * 128)) == {"v", "v1a", "V1", "a" * 128, "latest"}


def test_aliases_and_tags_given_twice_count_once(scene: Scene) -> None:
    seq = scene.seq
    logged = scene.log("images", "one", "a", "a", "latest", tags=("t", "t"))
    assert scene.happened(seq) == ["ArtifactCreated", "VersionCreated", "AliasMoved", "Tagged"]
    scene.log("images", "one", "a", tags=("t",))
    tags = scene.views.select(TagRow, owner_id=logged.version_id, order="tag")
    assert [row.tag for row in tags] == ["t"]


def test_an_alias_moves_with_what_was_before(scene: Scene) -> None:
    first = scene.log("images", "one", "best")
    second = scene.log("images", "two", "best")
    moved = [each.event for each in scene.since(0) if each.type.startswith("alias.moved")]
    assert [(event.before, event.to) for event in moved] == [
        (None, first.version_id),
        (first.version_id, second.version_id),
    ]


def test_a_ttl_is_kept_to_the_microsecond(scene: Scene) -> None:
    logged = scene.log("images", "one", ttl=Ttl.after(SECOND // 2))
    row = scene.version(logged.version_id)
    assert (row.ttl_rule, row.ttl_micros) == ("after", 500_000)
    assert scene.version(scene.log("images", "two", ttl=Ttl(TtlRule.NEVER)).version_id).ttl_rule == "never"


def test_metadata_and_description_are_in_the_vault_only(scene: Scene) -> None:
    logged = scene.log("images", "one", metadata={"who": "canary"}, description="canary too")
    row = scene.version(logged.version_id)
    assert row.metadata is not None
    assert row.description is not None
    values = scene.store.vault.get_many([row.metadata, row.description])
    assert values == {row.metadata: {"who": "canary"}, row.description: "canary too"}
    assert not any("canary" in repr(each) for each in scene.since(0))
    assert b"canary" not in b"".join(scene.store.ledger.dump())


def test_metadata_that_json_does_not_know_writes_nothing(scene: Scene) -> None:
    seq = scene.seq
    for metadata in ({"x": float("nan")}, {"x": object()}, {1: 2}):
        with pytest.raises(MunimentError):
            scene.log("images", "one", metadata=metadata)
    assert scene.happened(seq) == []


def test_what_a_version_was_made_from_is_recorded_once(scene: Scene) -> None:
    source = scene.log("images", "one").version_id
    draft = scene.draft("smaller", "two", sources=(source, source), base=source)
    made = log_artifact.log(scene.store, scene.project, draft)
    rows = scene.views.select(SourceRow, version_id=made.version_id, order="source_id")
    assert [row.source_id for row in rows] == [source]


def test_a_deleted_name_begins_anew(scene: Scene) -> None:
    old = scene.log("images", "one", "best")
    lifecycle.delete_artifact(scene.store, scene.artifact("images"), scene.team)
    new = scene.log("images", "one", type_="model")
    assert (new.index, new.created) == (0, True)
    assert new.artifact_id != old.artifact_id
    assert scene.points("images") == {"latest": 0}


def test_a_deleted_project_takes_nothing_even_if_its_name_is_used_again(scene: Scene) -> None:
    old = directory.create_project(scene.store, "local", "p")
    lifecycle.delete_project(scene.store, old)
    directory.create_project(scene.store, "local", "p")
    for someone in (scene, scene.by("mallory")):
        with pytest.raises(NotFoundError, match="project p was deleted"):
            log_artifact.log(someone.store, old, someone.draft("images", "one"))
    assert scene.views.select(ArtifactRow, project_id=old.project_id, order="name") == []


# --- somebody else at the same time ----------------------------------------------------------------------------------


@frozen
class Meanwhile:
    """A vault in front of another: something happens elsewhere just after the first values were put."""

    vault: object
    happens: list[object]

    def put_many(self, drafts: list[SlotDraft]) -> list[Personal[Json]]:
        kept: list[Personal[Json]] = self.vault.put_many(drafts)  # type: ignore[attr-defined]
        while self.happens:
            self.happens.pop()()  # type: ignore[operator]
        return kept

    def __getattr__(self, name: str) -> object:
        return getattr(self.vault, name)


def with_meanwhile(store: Store, *happens: object) -> Store:
    return evolve(store, vault=Meanwhile(store.vault, list(happens)))  # type: ignore[arg-type]


def owners(scene: Scene, version_id: VersionId) -> set[str]:
    """Return who owns the keys of a version's personal values."""
    row = scene.version(version_id)
    before = scene.store.vault.get_many([slot for slot in (row.metadata, row.description) if slot])
    assert before
    scene.store.vault.destroy(row.artifact_id)
    return set() if scene.store.vault.get_many(list(before)) else {row.artifact_id}


def test_an_artifact_deleted_while_its_metadata_is_kept_does_not_come_back(scene: Scene) -> None:
    old = scene.log("images", "one")
    row, team = scene.artifact("images"), scene.team
    store = with_meanwhile(scene.store, lambda: lifecycle.delete_artifact(scene.store, row, team))
    new = log_artifact.log(store, scene.project, scene.draft("images", "two", metadata={"a": 1}))
    assert new.artifact_id != old.artifact_id
    assert new.index == 0
    assert scene.find("images:v0").version.version_id == new.version_id
    assert owners(scene, new.version_id) == {new.artifact_id}


def test_an_artifact_made_while_metadata_is_kept_owns_it(scene: Scene) -> None:
    store = with_meanwhile(scene.store, lambda: scene.log("images", "one"))
    new = log_artifact.log(store, scene.project, scene.draft("images", "two", metadata={"a": 1}))
    assert (new.index, new.artifact_id) == (1, scene.artifact("images").artifact_id)
    assert owners(scene, new.version_id) == {new.artifact_id}


# --- retries and leases ----------------------------------------------------------------------------------------------


def test_the_same_command_twice_is_one_version(scene: Scene) -> None:
    draft = scene.draft("images", "one", aliases=("best",))
    first = log_artifact.log(scene.store, scene.project, draft, command=COMMAND)
    seq = scene.seq
    assert log_artifact.log(scene.store, scene.project, draft, command=COMMAND) == first
    scene.log("images", "two", "best")
    assert log_artifact.log(scene.store, scene.project, draft, command=COMMAND) == first
    assert scene.points("images") == {"best": 1, "latest": 1}
    assert scene.happened(seq).count("VersionCreated") == 1


@pytest.mark.parametrize(
    "changed", [{"aliases": ("b",)}, {"tags": ("t",)}, {"type": "model"}, {"ttl": Ttl.after(1)}, {"name": "other"}]
)
def test_the_same_command_for_something_else_is_an_error(scene: Scene, changed: dict[str, Json]) -> None:
    draft = scene.draft("images", "one")
    log_artifact.log(scene.store, scene.project, draft, command=COMMAND)
    with pytest.raises(CommandReusedError):
        log_artifact.log(scene.store, scene.project, evolve(draft, **changed), command=COMMAND)


def test_a_lease_is_spent_with_the_version(scene: Scene) -> None:
    lease = leases.take(scene.store)
    scene.log("images", "one", lease=lease, command=COMMAND)
    assert scene.store.ledger.scratch.items(leases.LEASE) == []
    with pytest.raises(LeaseExpiredError, match="log the artifact again"):
        scene.log("images", "two", lease=lease)
    assert scene.indexes("images") == [0]


def test_an_expired_lease_makes_no_version(scene: Scene) -> None:
    lease = leases.take(scene.store)
    scene.pass_time(leases.LASTING + SECOND)
    seq = scene.seq
    with pytest.raises(LeaseExpiredError):
        scene.log("images", "one", lease=lease)
    assert scene.happened(seq) == []
    assert scene.views.select(VersionRow, state="committed", order="created_at") == []


def test_a_refused_version_leaves_its_lease(scene: Scene) -> None:
    scene.log("images", "one")
    lease = leases.take(scene.store)
    with pytest.raises(TypeRefusedError):
        scene.log("images", "two", lease=lease, type_="model")
    assert len(scene.store.ledger.scratch.items(leases.LEASE)) == 1
    assert scene.log("images", "two", lease=lease).index == 1


def test_all_of_it_on_a_file(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    assert isinstance(store.clock, Clock)
    scene = Scene(store, store.clock)
    run = scene.run("r")
    scene.log("images", "one", "a", run=run, tags=("t",), metadata={"x": 1}, command=COMMAND)
    scene.log("images", "two", "a")
    lifecycle.edit(store, scene.find("images:v1"), Edits(remove_aliases=("a",)))
    scene.log("images", "one", "b", run=run)
    assert scene.points("images") == {"b": 0, "latest": 0}
    assert RunId(run.run_id) == scene.version(scene.find("images").version.version_id).run_id
    before = list(store.ledger.dump())
    store.ledger.rebuild()
    assert list(store.ledger.dump()) == before
    assert list(store.ledger.verify()) == []
    store.ledger.close()
