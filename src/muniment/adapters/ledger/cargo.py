"""All that a ledger holds, on its way into another one: stored bytes, blinds, envelopes and leaves as they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice, zip_longest
from typing import Any, Final, TypeVar

from attrs import evolve, frozen

from muniment.adapters.ledger.core import Desk, Tip
from muniment.adapters.ledger.record import Record, is_whole, leaf_of
from muniment.adapters.ledger.tiles import completed
from muniment.adapters.ledger.verify import check_rows
from muniment.domain.errors import CorruptError
from muniment.domain.merkle import Frontier

T = TypeVar("T")
PAGE: Final = 1000
COMMANDS: Final = "actor, id, request, answer, refused, first_seq, last_seq, kept_at"
SCRATCH: Final = "kind, key, value, expires_at"


@frozen
class Cargo:
    """A ledger as of one moment; each part can be read again from its beginning, once the one before is closed."""

    origin: str
    tip: Tip
    events: Callable[[], Iterator[tuple[Record, bytes]]]
    commands: Callable[[], Iterator[tuple[Any, ...]]]
    scratch: Callable[[], Iterator[tuple[Any, ...]]]
    dump: Callable[[], Iterator[bytes]]

    def until(self, seq: int) -> Cargo:
        """Return what the ledger held after event *seq*; answers and scratch rows, which have no past, stay behind."""
        tip = Tip(Frontier(), 0)

        def events() -> Iterator[tuple[Record, bytes]]:
            tip.frontier = Frontier()
            with left(self.events()) as every:
                for record, leaf in islice(every, seq):
                    tip.frontier.append(leaf)
                    tip.recorded_at = record.recorded_at
                    yield record, leaf

        return Cargo(self.origin, tip, events, lambda: iter(()), lambda: iter(()), lambda: _past(self.dump(), seq))

    def counted(self, tell: Callable[[int], None]) -> Cargo:
        """Return the same; *tell* hears how many more events were taken out of it, each time that they are."""

        def events() -> Iterator[tuple[Record, bytes]]:
            with left(self.events()) as every:
                while page := list(islice(every, PAGE)):
                    yield from page
                    tell(len(page))

        return evolve(self, events=events)


def paired(records: Iterable[Record], leaves: Iterable[bytes]) -> Iterator[tuple[Record, bytes]]:
    """Yield events with their leaves; CorruptError if one does not match the other."""
    for seq, (record, leaf) in enumerate(zip_longest(records, leaves), 1):
        if record is None or record.seq != seq or not is_whole(record) or leaf_of(record) != leaf:
            what = f"event {seq} does not match its leaf"
            raise _damaged(what)
        yield record, leaf


def unload(cargo: Cargo, desk: Desk) -> None:
    """Write all events and leaves into an empty ledger, and note where it ends."""
    frontier = Frontier()
    with left(cargo.events()) as events:
        while page := list(islice(events, PAGE)):
            leaves = [leaf for _, leaf in page]
            desk.insert([record for record, _ in page], leaves, completed(frontier, leaves))
    if (frontier.size, frontier.roots()) != (cargo.tip.frontier.size, cargo.tip.frontier.roots()):
        what = "its head is not that of its leaves"
        raise _damaged(what)
    desk.tip.frontier, desk.tip.recorded_at = frontier, cargo.tip.recorded_at


def require_rows(cargo: Cargo, folded: Iterator[bytes]) -> None:
    """Check that the rows which the events make here are those they make there."""
    with left(cargo.dump()) as wanted, left(folded):
        faults = list(check_rows(wanted, folded))
    for fault in faults:
        raise _damaged(fault)


@contextmanager
def left(found: Iterator[T]) -> Iterator[Iterator[T]]:
    """Let an iterator go of what it keeps for itself, such as a connection, when it is left before its end."""
    try:
        yield found
    finally:
        close = getattr(found, "close", None)
        if close is not None:
            close()


def _past(dump: Iterator[bytes], seq: int) -> Iterator[bytes]:
    """Yield the lines of a dump as they were after event *seq*: later rows left out, rows that ended later open."""
    with left(dump) as lines:
        for line in lines:
            if line[:1] != b"[":
                yield line
                continue
            *columns, begin, end = json.loads(line)
            if begin <= seq:
                row = [*columns, begin, end if end is not None and end <= seq else None]
                yield json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _damaged(what: str) -> CorruptError:
    return CorruptError(f"nothing was carried over, for the ledger is damaged: {what} — run `muniment fsck` on it")
