"""Checks a ledger against itself: events against leaves, leaves against the head, rows against a fresh fold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import Any, Final, TypeAlias

import msgspec
from attrs import define, field

from muniment.adapters.ledger.core import Tip
from muniment.adapters.ledger.lean import PAGE, REDACTED, Clean
from muniment.adapters.ledger.pages import FIRST, LAST, Pages
from muniment.adapters.ledger.record import Record, is_whole, leaf_of
from muniment.adapters.ledger.tiles import Made
from muniment.domain.errors import CorruptError, NotFoundError
from muniment.domain.merkle import HASH_BYTES, Frontier
from muniment.domain.redaction import lost_words

END: Final = 2**63
"""Beyond every ``seq``."""


Tiles: TypeAlias = Callable[[], Iterable[tuple[Any, Any, Any]]]
"""How the tiles that are kept are read, in the order of level and number."""


def check_events(
    records: Iterable[Record], leaves: Iterable[tuple[int, bytes]], tip: Tip, tiles: Tiles
) -> Iterator[str]:
    """Yield a line for each fault, naming the ``seq``.

    Walks events and leaves side by side. A gap is named by the first ``seq`` that is missing; a changed event, one
    that has no leaf and a leaf that has no event by their own.
    """
    check = Check()
    yield from check.walk(records, leaves)
    yield from check.end(tip, tiles)


def check_pages(pages: Pages, tip: Tip, looks: Iterable[Clean | None], tiles: Tiles) -> Iterator[str]:
    """Yield the same lines as ``check_events`` does; *looks* are what a quick look at each page found.

    A page without fault is taken as a whole, any other is walked through; from where a leaf is missing on, all are.
    """
    check = Check()
    done, size = 0, tip.frontier.size
    yield from check.walk(pages.records(FIRST, 0), pages.leaves(FIRST, 0))
    for after, clean in zip(range(0, size, PAGE), looks, strict=False):
        if check.frontier.size != done:
            break
        done = min(after + PAGE, size)
        if clean is None or clean.began <= check.latest:
            yield from check.walk(pages.records(after + 1, done), pages.leaves(after + 1, done))
        else:
            check.take(clean, pages.records(after + 1, done) if clean.redacted else ())
    yield from check.walk(pages.records(done + 1, LAST), pages.leaves(done + 1, LAST))
    yield from check.end(tip, tiles)


@define
class Redactions:
    """Which events have lost their words, and which an event says have: these must be the same."""

    _lost: dict[int, bytes] = field(factory=dict)
    _claimed: dict[int, bytes] = field(factory=dict)

    def look(self, record: Record) -> None:
        """Note what one event has lost, and what it says that others have."""
        if isinstance(record.words_commit, bytes):
            self._lost[record.seq] = record.words_commit
        if record.type == REDACTED and is_whole(record):
            self._claimed.update(_claims(record.facts))

    def faults(self) -> Iterator[str]:
        """Yield a line for each event that lost its words unsaid, or still has words that were said to be destroyed."""
        for seq, commitment in sorted(self._lost.items()):
            if self._claimed.get(seq) != commitment:
                yield lost_words(seq)
        for seq in sorted(self._claimed.keys() - self._lost.keys()):
            yield f"event {seq} still has its words, although an event says that they were redacted"


class _Said(msgspec.Struct):
    """What a redaction says, as it is stored."""

    seqs: list[int]
    commits: list[str]


def _claims(facts: bytes) -> dict[int, bytes]:
    """Return the commitments in a redaction; of one that was changed, which its leaf shows, nothing is believed."""
    try:
        said = msgspec.json.decode(facts, type=_Said)
        return dict(zip(said.seqs, map(bytes.fromhex, said.commits), strict=True))
    except ValueError:
        return {}


@define
class Check:
    """What was seen of the events and leaves so far."""

    frontier: Frontier = field(factory=Frontier)
    latest: int = 0
    _expected: int = 1
    _made: Made = field(factory=Made)
    _redactions: Redactions = field(factory=Redactions)

    def walk(self, records: Iterable[Record], leaves: Iterable[tuple[int, bytes]]) -> Iterator[str]:
        """Compare the next events and leaves one by one; yield a line for each fault."""
        for seq, record, leaf in _side_by_side(records, leaves):
            if seq != self._expected:
                yield f"event {self._expected} is missing, and its leaf too"
            self._expected = seq + 1
            if record is None:
                yield f"event {seq} is missing: its leaf is there"
            elif leaf is None:
                yield f"event {seq} has no leaf: it was not written by Muniment"
            else:
                yield from _faults(record, leaf, self.latest)
                self._redactions.look(record)
                self.latest = record.recorded_at if isinstance(record.recorded_at, int) else self.latest
            if leaf is not None:
                self._made.add(self.frontier.append(leaf))

    def take(self, page: Clean, redacted: Iterable[Record]) -> None:
        """Add a page without fault; its records are wanted if some of them are about a redaction."""
        for tile in page.tiles:
            self._made.add(self.frontier.append_tile(tile))
        for leaf in page.rest:
            self._made.add(self.frontier.append(leaf))
        for record in redacted:
            self._redactions.look(record)
        self.latest, self._expected = page.ended, self.frontier.size + 1

    def end(self, tip: Tip, tiles: Tiles) -> Iterator[str]:
        """Compare what all leaves make with the tiles and the head."""
        yield from self._redactions.faults()
        yield from self._made.check(tiles())
        if (self.frontier.size, self.frontier.roots()) != (tip.frontier.size, tip.frontier.roots()):
            yield (
                f"the ledger's head says {tip.frontier.size} events with root {tip.frontier.root().hex()}, "
                f"its leaves make {self.frontier.size} with root {self.frontier.root().hex()}"
            )
        elif tip.recorded_at != self.latest:
            yield f"the ledger's head was changed: it does not say when event {self.frontier.size} was recorded"


def _side_by_side(
    records: Iterable[Record], leaves: Iterable[tuple[int, bytes]]
) -> Iterator[tuple[int, Record | None, bytes | None]]:
    """Yield every ``seq`` that has an event or a leaf, with both."""
    events, hashes = iter(records), iter(leaves)
    record, leaf = next(events, None), next(hashes, None)
    while record is not None or leaf is not None:
        seq = min(leaf[0] if leaf else END, record.seq if record is not None else END)
        event = record if record is not None and record.seq == seq else None
        hash_ = _bytes(leaf[1]) if leaf is not None and leaf[0] == seq else None
        yield seq, event, hash_
        record = record if event is None else next(events, None)
        leaf = leaf if hash_ is None else next(hashes, None)


def _faults(record: Record, leaf: bytes, latest: int) -> Iterator[str]:
    if not is_whole(record) or leaf_of(record) != leaf:
        yield f"event {record.seq} was changed: it does not match its leaf"
    elif record.recorded_at <= latest:
        yield f"event {record.seq} is not later than the one before it"


def check_rows(live: Iterable[bytes], folded: Iterable[bytes]) -> Iterator[str]:
    """Compare two dumps; yield a line for the first row in which they differ."""
    table = ""
    for there, wanted in zip_longest(live, folded):
        if there != wanted:
            row = json.loads(there or wanted or b"null")
            where = f"since event {row[-2]}" if isinstance(row, list) else "at its end"
            yield (
                f"table {table}, the row {where}: it is not what the events say — run `muniment rebuild` "
                f"to make the rows again"
            )
            return
        table = table if there[:1] == b"[" else json.loads(there)


def root_of(leaves: Iterable[bytes], size: int) -> bytes:
    """Return the root over *size* leaves; NotFoundError if there are fewer."""
    frontier = Frontier()
    for leaf in leaves:
        if len(_bytes(leaf)) != HASH_BYTES:
            msg = f"leaf {frontier.size + 1} of the ledger is damaged — run `muniment fsck`"
            raise CorruptError(msg)
        frontier.append(leaf)
    if frontier.size != size:
        msg = f"the ledger holds {frontier.size} events, not {size}"
        raise NotFoundError(msg)
    return frontier.root()


def _bytes(leaf: object) -> bytes:
    """Return what a column for bytes holds; anything else matches nothing."""
    return leaf if isinstance(leaf, bytes) else b""
