"""Checks a ledger against itself: every event against its leaf, the leaves against the head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from muniment.adapters.ledger.core import Tip
from muniment.adapters.ledger.record import Record, leaf_of
from muniment.domain.errors import NotFoundError
from muniment.domain.merkle import Frontier


def check_events(records: Iterable[Record], leaves: Iterable[tuple[int, bytes]], tip: Tip) -> Iterator[str]:
    """Yield a line for each fault, naming the ``seq``.

    Walks events and leaves side by side. A gap is named by the first ``seq`` that is missing; a changed event, one
    that has no leaf and a leaf that has no event by their own.
    """
    frontier, latest = Frontier(), 0
    stored = iter(leaves)
    leaf = next(stored, None)
    expected = 1
    for record in records:
        while leaf is not None and leaf[0] < record.seq:
            yield f"event {leaf[0]} is missing: its leaf is there"
            frontier.append(leaf[1])
            expected = leaf[0] + 1
            leaf = next(stored, None)
        if record.seq != expected:
            yield f"event {expected} is missing"
        expected = record.seq + 1
        if leaf is None or leaf[0] != record.seq:
            yield f"event {record.seq} has no leaf: it was not written by Muniment"
            continue
        try:
            intact = leaf_of(record) == leaf[1]
        except (TypeError, ValueError):
            intact = False
        if not intact:
            yield f"event {record.seq} was changed: it does not match its leaf"
        if record.recorded_at is not None and record.recorded_at <= latest:
            yield f"event {record.seq} is not later than the one before it"
        latest = record.recorded_at or latest
        frontier.append(leaf[1])
        leaf = next(stored, None)
    while leaf is not None:
        yield f"event {leaf[0]} is missing: its leaf is there"
        frontier.append(leaf[1])
        leaf = next(stored, None)
    if (frontier.size, frontier.roots()) != (tip.frontier.size, tip.frontier.roots()):
        yield (
            f"the ledger's head says {tip.frontier.size} events with root {tip.frontier.root().hex()}, "
            f"its leaves make {frontier.size} with root {frontier.root().hex()}"
        )


def root_of(leaves: Iterable[bytes], size: int) -> bytes:
    """Return the root over *size* leaves; NotFoundError if there are fewer."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    if frontier.size != size:
        msg = f"the ledger holds {frontier.size} events, not {size}"
        raise NotFoundError(msg)
    return frontier.root()
