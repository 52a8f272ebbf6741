"""The suite of the port of batched projections: for any ledger that holds them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from muniment.app.projections.usage import USAGE
from muniment.app.projector import attempt, compacted, refusing
from muniment.domain.errors import ContradictionError
from muniment.domain.ports import Recorded
from muniment.domain.principal import VersionDownloaded, VersionUsed, access_stream
from muniment.domain.projection import Batch, Parked, Projection
from muniment.domain.rows import Change, Insert, LastUseRow, UsageRow
from muniment.domain.values import PrincipalId, RunId, VersionId
from tests.conformance.ledger_acts import Dial, append
from tests.stores import ProjectedLedger

A, B = VersionId("a0" * 16), VersionId("b0" * 16)
RUN = RunId("70" * 16)


@pytest.fixture
def dial() -> Dial:
    return Dial()


def use(ledger: ProjectedLedger, *versions: VersionId, run: RunId | None = None, who: str = "ac" * 16) -> int:
    """Let somebody use versions; return the ``seq`` of the last event."""
    stream = access_stream(PrincipalId(who))
    events = tuple(VersionUsed(version) for version in versions)
    position = sum(1 for _ in ledger.read(stream=stream))
    return append(ledger, stream, *events, expected=position, actor=PrincipalId(who), run=run).last_seq or 0


def batch(ledger: ProjectedLedger, after: int, to: int, projection: Projection = USAGE) -> Batch:
    """Fold events into a batch, event by event."""
    fold = attempt(projection, Dial())
    found = [(each.seq, fold(each)) for each in ledger.read(after=after, until=to)]
    changes = tuple((seq, tuple(each)) for seq, each in found if not isinstance(each, Parked))
    return Batch(projection.name, after, to, changes, tuple(each for _, each in found if isinstance(each, Parked)))


def remake(ledger: ProjectedLedger, projection: Projection = USAGE) -> int:
    return ledger.projections.remake(projection, attempt(projection, Dial()), refusing(projection, Dial()))


def faults(ledger: ProjectedLedger, projection: Projection = USAGE) -> list[str]:
    return list(ledger.projections.verify(projection, attempt(projection, Dial()), refusing(projection, Dial())))


def dump(ledger: ProjectedLedger) -> list[bytes]:
    return list(ledger.projections.dump(USAGE))


def failing_at(*seqs: int) -> Projection:
    """Return the projection as it is when its fold is wrong about some events."""

    def fold(recorded: Recorded) -> Sequence[Change]:
        if recorded.seq in seqs:
            msg = "secret words"
            raise KeyError(msg)
        return USAGE.fold(recorded)

    return Projection(USAGE.name, fold)


def contradicting(seq: int) -> Projection:
    """Return a projection that, at one event, inserts a row where there is one, after a change that is right."""

    def fold(recorded: Recorded) -> Sequence[Change]:
        row = UsageRow(A, recorded.actor, "twice", "used", 1, 1, 1)
        wrong: list[Change] = [Insert(row), Insert(row)] if recorded.seq == seq else []
        return [*USAGE.fold(recorded), *wrong]

    return Projection(USAGE.name, fold)


class ProjectionsConformance:
    """Tests for every ledger with batched projections; a subclass gives the fixture ``ledger``, which is empty."""

    def test_nothing_was_folded_at_first(self, ledger: ProjectedLedger) -> None:
        assert ledger.projections.position("usage") == 0
        assert ledger.projections.parked("usage") == []
        assert dump(ledger) == [b'"usage"\n', b'"last_uses"\n']

    def test_a_batch_changes_rows_and_position_together(self, ledger: ProjectedLedger, dial: Dial) -> None:
        use(ledger, A, B, A, run=RUN)
        assert ledger.projections.advance(batch(ledger, 0, 3))
        assert ledger.projections.position("usage") == 3
        dial.now += 10
        append(ledger, access_stream(PrincipalId("ac" * 16)), VersionDownloaded(A, 1, 1), expected=3)
        assert ledger.projections.advance(batch(ledger, 3, 4))
        rows = ledger.views.select(UsageRow, version_id=A, order="last_at", descending=True)
        found = [(row.kind, row.run_id, row.count, row.last_at - row.first_at) for row in rows]
        assert found == [("downloaded", "", 1, 0), ("used", RUN, 2, 2)]
        assert ledger.views.find(LastUseRow, version_id=A) == LastUseRow(A, rows[0].last_at, 3)
        assert [row.version_id for row in ledger.views.select(LastUseRow, order="last_used_at")] == [B, A]

    def test_a_batch_that_begins_elsewhere_does_nothing(self, ledger: ProjectedLedger) -> None:
        use(ledger, A, B)
        first = batch(ledger, 0, 2)
        assert ledger.projections.advance(first)
        rows = dump(ledger)
        assert not ledger.projections.advance(first)
        assert not ledger.projections.advance(batch(ledger, 1, 2))
        assert (dump(ledger), ledger.projections.position("usage")) == (rows, 2)

    def test_a_batch_adds_up_to_what_its_events_do_one_by_one(self, ledger: ProjectedLedger) -> None:
        end = use(ledger, A, B, A, A, B)
        single = batch(ledger, 0, end)
        together = tuple(compacted(single.changes))
        assert len(together) == 4
        assert ledger.projections.advance(Batch("usage", 0, end, together))
        assert faults(ledger) == []

    def test_totals_have_no_past(self, ledger: ProjectedLedger) -> None:
        for ask in (
            lambda: ledger.views.find(LastUseRow, at=1, version_id=A),
            lambda: ledger.views.select(LastUseRow, at=1, order="last_used_at"),
            lambda: ledger.views.count(UsageRow, at=1, version_id=A, order="last_at"),
        ):
            with pytest.raises(ValueError, match="holds totals of today"):
                ask()

    def test_projections_do_not_know_of_each_other(self, ledger: ProjectedLedger) -> None:
        use(ledger, A)
        assert ledger.projections.advance(Batch("another", 0, 1))
        assert (ledger.projections.position("another"), ledger.projections.position("usage")) == (1, 0)

    def test_what_the_rows_refuse_undoes_the_batch(self, ledger: ProjectedLedger) -> None:
        use(ledger, A, B, A)
        assert ledger.projections.advance(batch(ledger, 0, 1))
        rows = dump(ledger)
        with pytest.raises(ContradictionError, match="rows of usage contradict"):
            ledger.projections.advance(batch(ledger, 1, 3, contradicting(3)))
        assert (dump(ledger), ledger.projections.position("usage")) == (rows, 1)

    def test_parked_events_are_kept_in_order_without_their_words(self, ledger: ProjectedLedger) -> None:
        use(ledger, A, B, A)
        assert ledger.projections.advance(batch(ledger, 0, 3, failing_at(3, 1)))
        found = ledger.projections.parked("usage")
        assert [(each.seq, each.error, each.place.split(":")[0]) for each in found] == [
            (1, "KeyError", "fold"),
            (3, "KeyError", "fold"),
        ]
        assert "secret" not in repr(found)
        assert faults(ledger, failing_at(3, 1)) == []
        assert ledger.views.find(LastUseRow, version_id=A) is None

    def test_rows_made_again_are_the_same_byte_for_byte(self, ledger: ProjectedLedger) -> None:
        end = use(ledger, A, B, A)
        end = use(ledger, B, run=RUN, who="bc" * 16)
        ledger.projections.advance(batch(ledger, 0, end))
        rows = dump(ledger)
        assert remake(ledger) == end
        assert dump(ledger) == rows
        assert ledger.projections.position("usage") == end

    def test_making_again_folds_what_was_parked_and_parks_what_is_wrong_now(self, ledger: ProjectedLedger) -> None:
        end = use(ledger, A, B, A)
        ledger.projections.advance(batch(ledger, 0, end, failing_at(1)))
        assert faults(ledger) != []
        remake(ledger)
        assert (ledger.projections.parked("usage"), faults(ledger)) == ([], [])
        remake(ledger, contradicting(2))
        assert [(each.seq, each.error) for each in ledger.projections.parked("usage")] == [(2, "ContradictionError")]
        assert ledger.views.find(LastUseRow, version_id=B) is None
        remake(ledger)
        assert (ledger.projections.parked("usage"), faults(ledger)) == ([], [])

    def test_making_again_takes_along_what_is_folded_meanwhile(self, ledger: ProjectedLedger) -> None:
        end = use(ledger, *[A, B] * 5)
        ledger.projections.advance(batch(ledger, 0, 4, failing_at(2)))
        seen: list[int] = []

        def beside(recorded: Recorded) -> Sequence[Change]:
            seen.append(recorded.seq)
            if recorded.seq == 3 and len(seen) == 3:
                thread = threading.Thread(target=lambda: ledger.projections.advance(batch(ledger, 4, end)))
                thread.start()
                if not hasattr(ledger.projections, "behind"):  # in memory it waits until the rows are made
                    thread.join()
            return USAGE.fold(recorded)

        remake(ledger, Projection("usage", beside))
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        assert ledger.projections.position("usage") == end
        assert (ledger.projections.parked("usage"), faults(ledger)) == ([], [])

    def test_one_at_a_time_works_and_nothing_is_applied_twice(self, ledger: ProjectedLedger) -> None:
        end = use(ledger, *[A, B] * 30)
        start = threading.Barrier(4)
        errors: list[BaseException] = []

        def run() -> None:
            start.wait()
            try:
                while (at := ledger.projections.position("usage")) < end:
                    ledger.projections.advance(batch(ledger, at, min(at + 7, end)))
            except BaseException as error:  # noqa: BLE001 (told below)
                errors.append(error)

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert faults(ledger) == []
        assert ledger.views.find(LastUseRow, version_id=A) == LastUseRow(A, _last(ledger, A), 30)

    def test_the_inline_rows_are_made_again_without_them(self, ledger: ProjectedLedger) -> None:
        ledger.projections.advance(batch(ledger, 0, use(ledger, A, B)))
        rows = dump(ledger)
        ledger.rebuild()
        assert dump(ledger) == rows
        assert list(ledger.verify()) == []


def _last(ledger: ProjectedLedger, version: VersionId) -> int:
    return max(each.recorded_at for each in ledger.read() if each.event.version_id == version)
