"""Runs: beginning, going on and ending them, what they used and logged, what they say about themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from muniment.app import directory, lifecycle, runs
from muniment.app.runs import RunDraft
from muniment.domain.errors import InvalidNameError, NotFoundError, PermissionDeniedError
from muniment.domain.ports import SlotDraft
from muniment.domain.principal import VersionDownloaded, VersionUsed, access_stream
from muniment.domain.rows import EdgeRow, RunRow
from muniment.domain.run import RunState
from muniment.domain.values import Json, Personal, RunId, VersionId
from tests.app.scene import SECOND, Scene


def now(scene: Scene, row: RunRow) -> RunRow:
    return runs.get(scene.store, RunId(row.run_id))


def value(scene: Scene, slot: str | None) -> Json:
    assert slot is not None
    return next(iter(scene.store.vault.get_many([slot]).values()))  # type: ignore[list-item]


def test_a_run_says_what_it_is(scene: Scene) -> None:
    row = scene.run("r1", job_type="train", group="g", tags=("a", "b"), notes="canary", config={"lr": "canary"})
    assert (row.key, row.name, row.job_type, row.group, row.tags, row.state) == (
        *("r1", "r1", "train", "g", "a\nb", "running"),
    )
    assert row.actor == scene.store.context.actor
    assert (value(scene, row.notes), value(scene, row.config)) == ("canary", {"lr": "canary"})
    assert not any("canary" in repr(each) for each in scene.since(0))
    assert runs.named(scene.store, scene.project, "r1") == row


@pytest.mark.parametrize("key", ["", "a/b", "a:b", " a", "a\n", "n" * 129])
def test_a_run_id_that_is_not_allowed(scene: Scene, key: str) -> None:
    seq = scene.seq
    with pytest.raises(InvalidNameError, match="Run id"):
        scene.run(key)
    assert scene.happened(seq) == []


def test_a_run_that_was_started_goes_on(scene: Scene) -> None:
    row = scene.run("r")
    seq = scene.seq
    assert scene.run("r") == row
    assert scene.happened(seq) == []
    runs.finish(scene.store, row)
    again = scene.run("r", config={"a": 2})
    assert scene.happened(seq) == ["RunFinished", "RunResumed", "ConfigChanged"]
    assert (again.run_id, again.state, again.finished_at) == (row.run_id, "running", None)
    assert value(scene, again.config) == {"a": 2}


def test_the_same_id_in_another_project_is_another_run(scene: Scene) -> None:
    directory.create_project(scene.store, "local", "other")
    assert scene.run("r").run_id != evolve(scene, project_name="other").run("r").run_id


def test_a_run_ends_once(scene: Scene) -> None:
    row = scene.run("r")
    scene.pass_time(5 * SECOND)
    runs.finish(scene.store, row, summary={"loss": 1})
    ended = now(scene, row)
    assert (ended.state, value(scene, ended.summary)) == ("finished", {"loss": 1})
    event = scene.since(scene.seq - 1)[0].event
    assert 4 * SECOND < event.took < 6 * SECOND
    seq = scene.seq
    runs.finish(scene.store, row, exit_code=1)
    assert scene.happened(seq) == []


@pytest.mark.parametrize(
    ("exit_code", "state", "ended"),
    [(0, None, "finished"), (1, None, "failed"), (-9, None, "failed"), (1, RunState.CRASHED, "crashed")],
)
def test_how_a_run_ended(scene: Scene, exit_code: int, state: RunState | None, ended: str) -> None:
    row = scene.run("r")
    runs.finish(scene.store, row, exit_code=exit_code, state=state)
    assert now(scene, row).state == ended


def test_a_clock_that_goes_back_makes_no_negative_time(scene: Scene) -> None:
    row = scene.run("r")
    scene.pass_time(-100 * SECOND)
    runs.finish(scene.store, row)
    last = scene.since(scene.seq - 1)[0]
    assert last.event.took == 0
    assert last.recorded_at > row.started_at


def test_what_a_run_says_is_changed(scene: Scene) -> None:
    row = scene.run("r", tags=("a",))
    runs.edit(scene.store, row, RunDraft("r", "better", "eval", "g", ("b",), "note"))
    runs.change_config(scene.store, row, {"b": 1})
    after = now(scene, row)
    assert (after.name, after.job_type, after.group, after.tags) == ("better", "eval", "g", "b")
    assert (value(scene, after.notes), value(scene, after.config)) == ("note", {"b": 1})


def test_rows_come_back_in_order(scene: Scene) -> None:
    row = scene.run("r")
    runs.log_rows(scene.store, row, [{"loss": 3}, {"loss": 2}], 1)
    runs.log_rows(scene.store, row, [{"loss": 1}], 2)
    assert runs.history(scene.store, row) == [{"loss": 3}, {"loss": 2}, {"loss": 1}]
    scene.store.vault.destroy(row.run_id)
    assert runs.history(scene.store, row) == []


def test_a_use_is_one_edge_and_every_time_an_access(scene: Scene) -> None:
    version, row = scene.log("images", "one").version_id, scene.run("r")
    for _ in range(2):
        runs.use(scene.store, version, RunId(row.run_id))
    runs.use(scene.store, version, None)
    runs.downloaded(scene.store, version, entries=2, size=7)
    edges = scene.views.select(EdgeRow, version_id=version, role="in", order="edge_seq")
    assert [edge.run_id for edge in edges] == [row.run_id]
    stream = access_stream(scene.store.context.actor)
    assert [each.event for each in scene.store.ledger.read(stream=stream)] == [
        *[VersionUsed(version)] * 3,
        VersionDownloaded(version, 2, 7),
    ]


def test_a_viewer_uses_outside_of_a_run_only(scene: Scene) -> None:
    version, row = scene.log("images", "one").version_id, scene.run("r")
    bob = scene.by("bob")
    runs.use(bob.store, version, None)
    with pytest.raises(PermissionDeniedError, match="change a run"):
        runs.use(bob.store, version, RunId(row.run_id))
    assert scene.views.select(EdgeRow, version_id=version, role="in", order="edge_seq") == []


def test_what_is_not_there_is_not_used(scene: Scene) -> None:
    version = scene.log("images", "one").version_id
    seq = scene.seq
    with pytest.raises(NotFoundError):
        runs.use(scene.store, VersionId("0" * 32), None)
    with pytest.raises(NotFoundError, match="no run"):
        runs.use(scene.store, version, RunId("0" * 32))
    assert scene.happened(seq) == []


def test_a_deleted_run_is_gone_and_what_it_logged_stays(scene: Scene) -> None:
    row = scene.run("r")
    logged = scene.log("images", "one", run=row)
    runs.delete(scene.store, row)
    with pytest.raises(NotFoundError, match="no run 'r'"):
        runs.named(scene.store, scene.project, "r")
    with pytest.raises(NotFoundError):
        runs.get(scene.store, RunId(row.run_id))
    assert scene.find("images").version.version_id == logged.version_id
    seq = scene.seq
    runs.delete(scene.store, row)
    acts: list[Callable[[], object]] = [
        lambda: runs.finish(scene.store, row),
        lambda: runs.edit(scene.store, row, RunDraft("r", "x")),
        lambda: runs.change_config(scene.store, row, {}),
        lambda: runs.log_rows(scene.store, row, [{}], 0),
        lambda: runs.use(scene.store, logged.version_id, RunId(row.run_id)),
    ]
    for act in acts:
        with pytest.raises(NotFoundError, match="run"):
            act()
    assert scene.happened(seq) == []
    assert scene.run("r").run_id != row.run_id


def test_nothing_runs_in_a_deleted_project(scene: Scene) -> None:
    there = evolve(scene, project_name="p")
    project = directory.create_project(scene.store, "local", "p")
    row = there.run("r")
    lifecycle.delete_project(scene.store, project)
    directory.create_project(scene.store, "local", "p")
    for someone in (scene, scene.by("mallory")):
        acts: list[Callable[[], object]] = [
            lambda: runs.start(someone.store, project, RunDraft("new", "new")),  # noqa: B023 (called at once)
            lambda: runs.edit(someone.store, row, RunDraft("r", "x")),  # noqa: B023
            lambda: runs.delete(someone.store, row),  # noqa: B023
            lambda: runs.log_rows(someone.store, row, [{}], 0),  # noqa: B023
        ]
        for act in acts:
            with pytest.raises(NotFoundError, match="project of the run was deleted"):
                act()


def test_a_run_that_was_started_meanwhile_owns_what_is_said(scene: Scene) -> None:
    class Meanwhile:
        """A vault in front of another: the run begins elsewhere just after the first values were put."""

        begun = False

        def put_many(self, drafts: list[SlotDraft]) -> list[Personal[Json]]:
            kept = scene.store.vault.put_many(drafts)
            if not self.begun:
                self.begun = True
                scene.run("r")
            return kept

    store = evolve(scene.store, vault=Meanwhile())  # type: ignore[arg-type]
    row = runs.start(store, scene.project, RunDraft("r", "r", config={"a": 1}))
    assert value(scene, row.config) == {"a": 1}
    scene.store.vault.destroy(row.run_id)
    assert scene.store.vault.get_many([row.config]) == {}  # type: ignore[list-item]
