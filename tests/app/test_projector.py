"""The projector: it catches up, parks what cannot be folded, tries again, and never applies anything twice."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import define, evolve

from muniment.app import projector, runs, usage
from muniment.app.projections.usage import USAGE
from muniment.app.projector import PAUSES, catch_up, progress_of, rebuild, retry, verify
from muniment.domain.errors import NotFoundError, StorageError
from muniment.domain.ports import Recorded
from muniment.domain.projection import Batch, Projection, Projections
from muniment.domain.rows import Change, Insert, LastUseRow, UsageRow
from tests.app.scene import Scene


def used(scene: Scene, times: int = 3) -> str:
    """Log a version and use it some times."""
    version = scene.log("mnist", "one").version_id
    for _ in range(times):
        runs.use(scene.store, version, None)
    return version


def wrong_about(*seqs: int) -> Projection:
    def fold(recorded: Recorded) -> Sequence[Change]:
        if recorded.seq in seqs:
            msg = "words of somebody"
            raise LookupError(msg)
        return USAGE.fold(recorded)

    return Projection(USAGE.name, fold)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_it_catches_up_in_batches(scene: Scene, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(projector, "SIZE", size)
    version = used(scene)
    found = catch_up(scene.store, USAGE)
    assert (found.position, found.head, found.behind, found.parked) == (scene.seq, scene.seq, 0, ())
    (row,) = scene.views.select(UsageRow, version_id=version, order="last_at")
    assert (row.kind, row.count, row.run_id) == ("used", 3, "")
    assert list(verify(scene.store)) == []


def test_a_query_waits_for_so_many_events_and_no_more(scene: Scene) -> None:
    used(scene)
    found = catch_up(scene.store, USAGE, most=5)
    assert (found.position, found.behind) == (5, scene.seq - 5)


def test_a_poison_event_is_parked_said_and_passed(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    version = used(scene)
    with caplog.at_level(logging.WARNING, "muniment.projector"):
        found = catch_up(scene.store, wrong_about(scene.seq - 1))
    (parked,) = found.parked
    assert (found.behind, parked.seq, parked.error) == (0, scene.seq - 1, "LookupError")
    assert parked.place.startswith("fold:")
    row = scene.views.find(LastUseRow, version_id=version)
    assert row is not None
    assert row.count == 2
    assert [record.message for record in caplog.records] == ["an event cannot be folded"]
    assert "somebody" not in caplog.text + repr(parked)


def test_an_event_that_the_rows_refuse_is_found_in_its_batch_and_parked(scene: Scene) -> None:
    version, bad = used(scene), scene.seq - 1

    def twice(recorded: Recorded) -> Sequence[Change]:
        row = UsageRow(version, recorded.actor, "twice", "used", 1, 1, 1)  # type: ignore[arg-type]
        return [*USAGE.fold(recorded), *([Insert(row), Insert(row)] if recorded.seq == bad else [])]

    found = catch_up(scene.store, Projection(USAGE.name, twice))
    assert [(each.seq, each.error) for each in found.parked] == [(bad, "ContradictionError")]
    row = scene.views.find(LastUseRow, version_id=version)
    assert (found.behind, row.count if row else 0) == (0, 2)


def test_a_retry_folds_what_can_be_folded_now_in_its_order(scene: Scene) -> None:
    used(scene)
    first, last = scene.seq - 2, scene.seq
    catch_up(scene.store, wrong_about(first, last))
    assert retry(scene.store, wrong_about(first, last)) == 0
    assert len(progress_of(scene.store, USAGE).parked) == 2
    assert retry(scene.store, wrong_about(last)) == 1
    assert [each.seq for each in progress_of(scene.store, USAGE).parked] == [last]
    assert retry(scene.store, USAGE) == 1
    assert (retry(scene.store, USAGE), list(verify(scene.store))) == (0, [])


@define
class Failing:
    """Projections whose database fails so many times before it works; once of these times it had worked."""

    inner: Projections
    times: int
    after_all: bool = False

    def advance(self, batch: Batch) -> bool:
        if self.times:
            self.times -= 1
            if self.after_all:
                self.inner.advance(batch)
            msg = "the database went away"
            raise StorageError(msg)
        return self.inner.advance(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.mark.parametrize("after_all", [False, True])
def test_after_an_error_it_is_tried_again_ever_later_and_applied_once(scene: Scene, *, after_all: bool) -> None:
    version = used(scene)
    store = evolve(scene.store, projections=Failing(scene.store.projections, len(PAUSES), after_all))
    waits: list[float] = []
    found = catch_up(store, USAGE, pause=waits.append)
    assert found.behind == 0
    assert waits == list(PAUSES) if not after_all else waits == [PAUSES[0]]
    row = scene.views.find(LastUseRow, version_id=version)
    assert row is not None
    assert row.count == 3


def test_an_error_that_stays_is_raised_and_nothing_is_lost(scene: Scene) -> None:
    used(scene)
    store = evolve(scene.store, projections=Failing(scene.store.projections, len(PAUSES) + 1))
    with pytest.raises(StorageError, match="went away"):
        catch_up(store, USAGE, pause=lambda _: None)
    assert catch_up(scene.store, USAGE).behind == 0
    assert list(verify(scene.store)) == []


def test_rows_that_are_wrong_are_told_of_and_made_again(scene: Scene) -> None:
    used(scene)
    catch_up(scene.store, wrong_about(scene.seq))
    assert [fault for fault in verify(scene.store) if "table usage" in fault]
    rebuild(scene.store)
    assert list(verify(scene.store)) == []


def test_a_projection_that_there_is_not_is_named(scene: Scene) -> None:
    assert projector.named("usage") is USAGE
    with pytest.raises(NotFoundError, match="no projection 'search' — there are: usage"):
        projector.named("search")
    assert [each.name for each in projector.progress(scene.store)] == ["usage"]


# --- who used what ---------------------------------------------------------------------------------------------------


def test_usage_says_who_did_what_in_which_run_and_when_last(scene: Scene) -> None:
    first = scene.log("mnist", "one").version_id
    second = scene.log("mnist", "two").version_id
    run = scene.run("train")
    inside = scene.store.acting(run=run.run_id)
    runs.use(inside, first, run.run_id)
    runs.downloaded(inside, first, entries=1, size=3)
    runs.downloaded(inside, first, entries=1, size=3)
    before = scene.seq
    runs.use(scene.by("bob").store, first, None)
    bob = scene.by("bob").store.context.actor
    found = usage.users_of(scene.store, first)
    assert [(row.principal_id, row.kind, row.run_id, row.count) for row in found] == [
        (bob, "used", "", 1),
        (scene.store.context.actor, "downloaded", run.run_id, 2),
        (scene.store.context.actor, "used", run.run_id, 1),
    ]
    assert usage.users_of(scene.store, first, at=before) == found[1:]
    assert usage.users_of(scene.store, first, at=scene.seq) == found
    assert usage.used_by(scene.store, bob) == found[:1] == usage.used_by(scene.store, bob, at=scene.seq)
    assert usage.used_by(scene.store, bob, at=before) == []
    views = scene.store.views
    assert views.select(UsageRow, run_id=run.run_id, order="last_at", descending=True) == found[1:]
    lasts = [views.find(LastUseRow, version_id=id_) for id_ in (first, second)]
    assert [row and row.last_used_at for row in lasts] == [found[0].last_at, None]
