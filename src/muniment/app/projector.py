"""The projector: keeps the rows of batched projections up with the ledger, and parks the events they cannot fold.

Any number of processes may do it at once: a batch counts only where the position still is where it began.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from attrs import frozen

from muniment.app import logs
from muniment.app.projections import BATCHED
from muniment.app.store import Store
from muniment.domain.errors import ContradictionError, CorruptError, NotFoundError, StorageError
from muniment.domain.ports import Recorded
from muniment.domain.projection import Attempt, Batch, Parked, Projection, Refused, total
from muniment.domain.rows import Add, Change, Row, key_of
from muniment.domain.values import Micros

SIZE: Final = 1_000
"""How many events make a batch."""
ON_DEMAND: Final = 50_000
"""How many events a query that needs a projection waits for at most; the projector of an operator does the rest."""
PAUSES: Final = (0.05, 0.2, 1.0, 5.0)
"""How long to wait after each error of the database in a row, in seconds; one more ends it."""
LOGGER: Final = logging.getLogger("muniment.projector")


@frozen
class Progress:
    """How far a projection is: the last event that its rows know of, that of the ledger, and what is parked."""

    name: str
    position: int
    head: int
    parked: tuple[Parked, ...]

    @property
    def behind(self) -> int:
        """How many events its rows do not know of yet."""
        return self.head - self.position


def progress(store: Store) -> list[Progress]:
    """Return how far each projection is."""
    return [progress_of(store, projection) for projection in BATCHED]


def progress_of(store: Store, projection: Projection) -> Progress:
    """Return how far one projection is."""
    name = projection.name
    position, parked = store.projections.position(name), tuple(store.projections.parked(name))
    return Progress(name, position, max(position, store.ledger.head().size), parked)


def named(name: str) -> Projection:
    """Return a projection; NotFoundError names those that there are."""
    for projection in BATCHED:
        if projection.name == name:
            return projection
    msg = f"there is no projection {name!r} — there are: {', '.join(each.name for each in BATCHED)}"
    raise NotFoundError(msg)


def catch_up(
    store: Store, projection: Projection, *, most: int | None = None, pause: Callable[[float], None] = time.sleep
) -> Progress:
    """Fold what was recorded until now, at most so many events, and return how far it got.

    After an error of the database it is tried again, each time later; the fifth in a row is raised.
    """
    head = store.ledger.head().size
    position = store.projections.position(projection.name)
    end = head if most is None else min(head, position + most)
    waits = iter(PAUSES)
    while position < end:
        try:
            _advance(store, projection, position, end)
            waits = iter(PAUSES)
        except CorruptError:
            raise
        except StorageError as error:
            wait = next(waits, None)
            if wait is None:
                raise
            kind = type(error).__name__
            logs.say(LOGGER, logging.WARNING, "trying again", projection=projection.name, kind=kind, seconds=wait)
            pause(wait)
        position = store.projections.position(projection.name)
    return progress_of(store, projection)


def rebuild(store: Store, projections: Sequence[Projection] = BATCHED) -> None:
    """Make all rows of batched projections again from the events, up to where they were."""
    for each in projections:
        store.projections.remake(each, attempt(each, store.clock), refusing(each, store.clock))


def retry(store: Store, projection: Projection) -> int:
    """Fold what was parked once more; return how many events are parked no longer.

    Rows depend on the order of events, so they are made again from the first one on, beside those in use, if any of
    what was parked can be folded now.
    """
    parked = store.projections.parked(projection.name)
    again = attempt(projection, store.clock)
    if all(isinstance(again(store.event(each.seq)), Parked) for each in parked):
        return 0
    rebuild(store, (projection,))
    left = {each.seq for each in store.projections.parked(projection.name)}
    return sum(each.seq not in left for each in parked)


def verify(store: Store) -> Iterator[str]:
    """Yield a line for each table whose rows are not what the events up to their position say."""
    for each in BATCHED:
        yield from store.projections.verify(each, attempt(each, store.clock), refusing(each, store.clock))


def attempt(projection: Projection, clock: Callable[[], Micros]) -> Attempt:
    """Return the fold of a projection, which parks what it cannot fold."""
    refused = refusing(projection, clock)

    def fold(recorded: Recorded) -> Sequence[Change] | Parked:
        try:
            return tuple(projection.fold(recorded))
        except Exception as error:  # noqa: BLE001 (whatever is wrong with one event must not stop the others)
            return refused(recorded.seq, error)

    return fold


def refusing(projection: Projection, clock: Callable[[], Micros]) -> Refused:
    """Return how an event is parked: with the class of the error and its place, for its text may quote words."""

    def park(seq: int, error: Exception) -> Parked:
        parked = Parked(projection.name, seq, type(error).__name__, _place(error), clock())
        facts: dict[str, str | float | None] = {"projection": parked.projection, "seq": seq, "kind": parked.error}
        logs.say(LOGGER, logging.WARNING, "an event cannot be folded", place=parked.place, **facts)
        return parked

    return park


def _place(error: BaseException) -> str:
    trace, where = error.__traceback__, "nowhere"
    while trace is not None:
        where, trace = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}", trace.tb_next
    return where


def _advance(store: Store, projection: Projection, after: int, until: int) -> None:
    """Fold the next batch; one whose changes the rows refuse is folded event by event, to find which."""
    events = list(store.ledger.read(after=after, until=until, limit=SIZE))
    if not events:
        msg = f"event {after + 1} is missing — run `muniment fsck`"
        raise CorruptError(msg)
    try:
        store.projections.advance(_batch(store, projection, after, events))
    except ContradictionError:
        for event in events:
            if not _advance_by_one(store, projection, event):
                return


def _advance_by_one(store: Store, projection: Projection, event: Recorded) -> bool:
    try:
        return store.projections.advance(_batch(store, projection, event.seq - 1, [event]))
    except ContradictionError as error:
        parked = refusing(projection, store.clock)(event.seq, error)
        return store.projections.advance(Batch(projection.name, event.seq - 1, event.seq, parked=(parked,)))


def _batch(store: Store, projection: Projection, after: int, events: Sequence[Recorded]) -> Batch:
    fold = attempt(projection, store.clock)
    folded = [(event.seq, fold(event)) for event in events]
    parked = tuple(found for _, found in folded if isinstance(found, Parked))
    changes = tuple(compacted((seq, found) for seq, found in folded if not isinstance(found, Parked)))
    return Batch(projection.name, after, events[-1].seq, changes, parked)


def compacted(folded: Iterable[tuple[int, Sequence[Change]]]) -> Iterator[tuple[int, tuple[Change, ...]]]:
    """Yield the same changes, with what is added to the same totals added up at the event that came first."""
    totals: dict[tuple[type[Row], tuple[object, ...]], tuple[int, Row]] = {}
    for seq, changes in folded:
        others = []
        for change in changes:
            if isinstance(change, Add):
                at = (type(change.row), key_of(change))
                begun = totals.get(at)
                totals[at] = (begun[0], total(begun[1], change.row)) if begun else (seq, change.row)
            else:
                others.append(change)
        if others:
            yield seq, tuple(others)
    for seq, row in totals.values():
        yield seq, (Add(row),)
