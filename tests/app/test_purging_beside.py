"""A purge beside holds, links, new references, changed policies and jumps of the clock, and after interruptions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from muniment.app import approvals, directory, fsck, holds, lifecycle, upload
from muniment.app.collecting import collect, purging
from muniment.app.collecting.condemning import CONDEMNED
from muniment.app.log_artifact import PARTS
from muniment.app.places import OWN
from muniment.app.reach import reach
from muniment.domain.errors import GoneError
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.rows import DisposalRow
from muniment.domain.values import Role, Ttl
from muniment.domain.version import State
from tests.app.purged import GRACE, Around, around, due, state
from tests.app.scene import DAY, SECOND, Scene

# --- beside others ---------------------------------------------------------------------------------------------------


def test_a_hold_that_came_after_the_plan_keeps_the_version(scene: Scene) -> None:
    id_ = due(scene)
    assert len(collect.plan(scene.store).purgeable) == 1
    holds.place(scene.store, HoldKind.LITIGATION, ScopeKind.VERSION, id_, "matter")
    report = collect.act(scene.store)
    assert (report.let_go, report.purged, report.blobs) == (0, 0, 0)
    assert state(scene, id_) is State.DELETED


def test_a_hold_that_came_just_before_the_decision_keeps_the_version(scene: Scene) -> None:
    id_ = due(scene)
    before = collect.plan(scene.store).purgeable
    holds.place(scene.store, HoldKind.LITIGATION, ScopeKind.VERSION, id_, "matter")
    assert purging.let_go(scene.store, before[0].version_id) is None


def hold(scene: Scene, id_: str) -> Callable[[], object]:
    return lambda: holds.place(scene.store, HoldKind.LITIGATION, ScopeKind.VERSION, id_, "matter")


def test_a_hold_that_came_after_the_version_was_let_go_keeps_its_bytes_all_the_same(scene: Scene) -> None:
    id_ = due(scene)
    before = scene.blobs()
    assert purging.let_go(scene.store, scene.version(id_).version_id) is not None
    hold(scene, id_)()
    report = collect.act(scene.store)
    assert (report.purged, report.blobs, report.failed) == (0, 0, ())
    assert scene.blobs() == before
    assert state(scene, id_) is State.LET_GO


def test_a_hold_that_came_between_two_batches_keeps_the_rest(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muniment.app.collecting.disposal.BATCH", 1)
    logged = scene.log("images", {str(number): f"file {number}" for number in range(5)})
    scene.delete("images:v0", delete_aliases=True)
    scene.pass_time(GRACE + SECOND)
    before = len(scene.blobs())
    held = around(scene, before_delete=[hold(scene, logged.version_id)])
    report = collect.act(held.store)
    assert (report.purged, report.blobs) == (0, 1), "the batch that was under way went, and no other"
    assert len(scene.blobs()) == before - 1
    assert scene.store.ledger.scratch.items(CONDEMNED) == []
    again = collect.act(scene.store)
    assert (again.purged, again.blobs) == (0, 0)


def test_bytes_that_a_held_version_shares_with_one_that_goes_stay(scene: Scene) -> None:
    scene.log("images", {"shared": "both", "a": "1"})
    scene.log("images", {"shared": "both", "b": "2"})
    ids = [scene.delete(f"images:v{index}", delete_aliases=True).version.version_id for index in (0, 1)]
    scene.pass_time(GRACE + SECOND)
    for id_ in ids:
        purging.let_go(scene.store, id_)
    hold(scene, ids[1])()
    assert collect.act(scene.store).purged == 1
    assert scene.store.blobs.get(next(d for d in reach(scene.store).at(OWN) if scene.store.blobs.get(d) == b"both"))


def test_a_link_or_a_restore_before_the_decision_wins_and_after_it_loses(scene: Scene) -> None:
    first, second = scene.log("net", "one", type_="model"), scene.log("net", "two", type_="model")
    found = [scene.delete(f"net:v{index}", delete_aliases=True) for index in (0, 1)]
    scene.pass_time(GRACE + SECOND)
    lifecycle.restore(scene.store, found[0])
    scene.link("net:v0", "model/best")
    assert purging.let_go(scene.store, first.version_id) is None
    assert purging.let_go(scene.store, second.version_id) is not None
    with pytest.raises(GoneError, match="net:v1 was let go on 20"):
        lifecycle.restore(scene.store, found[1])
    with pytest.raises(GoneError):
        scene.link("net:v1", "model/best")
    collect.act(scene.store)
    assert scene.contents("net:v0") == ["one"]
    assert list(fsck.check(scene.store)) == []


def test_a_policy_that_changed_after_the_plan_decides(scene: Scene) -> None:
    scene.log("images", "one", ttl=Ttl.after(DAY))
    scene.pass_time(2 * DAY)
    assert len(collect.plan(scene.store).expired) == 1
    scene.edit("images", ttl=Ttl.after(9 * DAY))
    assert collect.act(scene.store).deleted == 0


def test_the_same_content_logged_while_its_bytes_go_is_another_version_with_bytes(scene: Scene) -> None:
    id_ = due(scene)

    def log() -> None:
        wanted = scene.blobs()
        gone = upload.rescue(scene.store, [digest for digest in wanted if digest not in dying()])
        assert gone == frozenset()

    def dying() -> set[str]:
        return {key for key, row in scene.store.ledger.scratch.items(CONDEMNED) if row["state"] == "deleting"}

    collect.act(around(scene, before_delete=[log]).store)
    scene.log("images", "one")
    assert collect.act(scene.store).failed == ()
    assert scene.contents("images:v1") == ["one"]
    assert state(scene, id_) is State.PURGED
    assert list(fsck.check(scene.store)) == []


def test_a_part_of_a_version_that_is_being_made_keeps_what_a_purged_one_had(scene: Scene) -> None:
    id_ = due(scene)
    row = {"manifest": scene.version(id_).manifest}
    scene.store.ledger.work(lambda transaction: transaction.scratch.put(PARTS, "p", row, scene.clock.now + 9 * DAY))
    report = collect.act(scene.store)
    assert (report.purged, report.blobs) == (1, 0)
    assert len(scene.blobs()) == 3


# --- again after an interruption -------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


def kill() -> None:
    raise Killed


@pytest.mark.parametrize("batches", range(8))
def test_killed_before_any_batch_the_next_collection_ends_well(
    scene: Scene, batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muniment.app.collecting.disposal.BATCH", 1)
    ids = [due(scene, content=text) for text in ("one", "two")]
    kept = scene.log("images", "kept")
    counts = [0]

    def maybe() -> None:
        counts[0] += 1
        if counts[0] > batches:
            kill()
        blobs.before_delete.append(maybe)

    blobs = Around(scene.store.blobs, before_delete=[maybe])
    if batches < 6:
        with pytest.raises(Killed):
            collect.act(evolve(scene.store, blobs=blobs))
    else:
        collect.act(evolve(scene.store, blobs=blobs))
    collect.act(scene.store)
    assert [state(scene, id_) for id_ in ids] == [State.PURGED, State.PURGED]
    removed = [row.blobs for id_ in ids for row in scene.views.select(DisposalRow, owner_id=id_, order="at")]
    assert sum(removed) == 6, "what was removed before the end of the process is told of too"
    assert scene.store.ledger.scratch.items(purging.TALLY) == []
    assert state(scene, kept.version_id) is State.COMMITTED
    assert list(fsck.check(scene.store)) == []


def test_many_versions_at_once_go_in_batches_and_their_lateness_is_told(scene: Scene) -> None:
    number = 40
    for index in range(number):
        scene.log("images", f"content {index}")
    for index in range(number):
        scene.delete(f"images:v{index}", delete_aliases=True)
    scene.pass_time(GRACE + 3 * DAY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(purging, "CHUNK", 7)
        report = collect.act(scene.store)
    assert (report.purged, report.blobs) == (number, 3 * number)
    assert report.late >= 3 * DAY - SECOND
    assert scene.views.count(DisposalRow, order="at") == number


# --- the clock -------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumped_lets_nothing_go_until_another_admin_agrees(scene: Scene) -> None:
    scene.log("images", "one")
    scene.delete("images:v0", delete_aliases=True)
    scene.clock.now += 99 * DAY
    report = collect.act(scene.store)
    assert (report.let_go, report.purged, report.blobs) == (0, 0, 0)
    assert "99.0 days ahead of the last event" in str(report.parked)
    assert scene.happened(0)[-1] == "PurgeParked"
    directory.set_organisation_role(scene.store, "local", "ann", Role.ADMIN)
    (waiting,) = approvals.listed(scene.views, scene.clock.now)
    approvals.approve(scene.by("ann").store, waiting.proposal_id)
    assert collect.act(scene.store).purged == 1


def test_whoever_is_alone_waits_a_grace_period_in_which_collecting_shows_that_the_clock_goes_on(scene: Scene) -> None:
    scene.log("images", "one")
    scene.delete("images:v0", delete_aliases=True)
    scene.clock.now += 99 * DAY
    for _ in range(7):
        assert collect.act(scene.store).parked is not None
        scene.clock.now += DAY
    scene.clock.now += SECOND
    report = collect.act(scene.store)
    assert (report.parked, report.purged) == (None, 1)
