"""The ledger in memory, on the library's in-memory recorder: the reference, and what tests use."""

from __future__ import annotations

import copy
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from attrs import define, evolve, field
from eventsourcing.persistence import StoredEvent
from eventsourcing.popo import POPOApplicationRecorder

from muniment.adapters.ledger.codec import Codec
from muniment.adapters.ledger.core import Core, Held, Kept, OpenTransaction, Tip
from muniment.adapters.ledger.memory_projected import Behind, MemoryProjections
from muniment.adapters.ledger.record import Record, bounds, leaf_content, recorded
from muniment.adapters.ledger.verify import check_events, check_rows, root_of
from muniment.domain.errors import StorageError
from muniment.domain.merkle import TILE_BITS, Frontier, Tile
from muniment.domain.ports import Command, Decide, Engine, Fold, Head, Receipt, Recorded, Scratch, Views
from muniment.domain.proof import LeafContent
from muniment.domain.rows import ROWS, Change, Row
from muniment.domain.values import Json, Micros, StreamId

S = TypeVar("S")


class MemoryRows(Views, Protocol):
    """Rows of the projections in memory, which can go back to a mark."""

    def apply(self, changes: Sequence[Change], seq: int) -> None: ...
    def adopt(self, other: Any, kinds: Sequence[type[Row]]) -> None: ...  # noqa: ANN401 (of the same class)
    def dump(self, kinds: Sequence[type[Row]] = ...) -> Iterator[bytes]: ...
    def checkpoint(self) -> Any: ...  # noqa: ANN401 (opaque)
    def restore(self, mark: Any) -> None: ...  # noqa: ANN401
    def settle(self) -> None: ...


class MemoryRecorder(POPOApplicationRecorder):
    """The library's in-memory recorder, which can also take back what was written last."""

    def truncate(self, size: int) -> None:
        """Forget all events after the first *size*."""
        with self._database_lock:
            for event in self._stored_events[size:]:
                del self._stored_events_index[str(event.originator_id)][event.originator_version]
            del self._stored_events[size:]


@define
class MemoryScratch:
    """Scratch rows in a dict."""

    _clock: Callable[[], Micros]
    rows: dict[tuple[str, str], tuple[Json, Micros | None]] = field(factory=dict)

    def get(self, kind: str, key: str) -> Json | None:
        """Return the value, or ``None``."""
        value, expires_at = self.rows.get((kind, key), (None, None))
        return copy.deepcopy(value) if expires_at is None or expires_at > self._clock() else None

    def put(self, kind: str, key: str, value: Json, expires_at: Micros | None = None) -> None:
        """Set the value."""
        self.rows[kind, key] = (copy.deepcopy(value), expires_at)

    def delete(self, kind: str, key: str) -> None:
        """Forget the value, if there is one."""
        self.rows.pop((kind, key), None)

    def items(self, kind: str, prefix: str = "") -> list[tuple[str, Json]]:
        """Return keys with this prefix and their values, in the order of the keys."""
        keys = sorted(key for kind_, key in self.rows if kind_ == kind and key.startswith(prefix))
        return [(key, value) for key in keys if (value := self.get(kind, key)) is not None]


@define(eq=False)
class MemoryDesk:
    """The open write transaction: what it does can be undone to the savepoint."""

    _ledger: MemoryLedger
    tip: Tip
    _mark: tuple[Any, ...] = ()
    _destroyed: list[Record] = field(factory=list)

    @property
    def views(self) -> Views:
        """The rows as the transaction sees them."""
        return self._ledger.rows

    @property
    def scratch(self) -> Scratch:
        """The scratch rows as the transaction sees them."""
        return self._ledger.scratch

    def begin(self) -> None:
        """Set a savepoint."""
        ledger, tip = self._ledger, self.tip
        self._destroyed = []
        self._mark = (
            len(ledger.records),
            Frontier(tip.frontier.size, tip.frontier.roots()),
            tip.recorded_at,
            dict(ledger.scratch.rows),
            ledger.commands,
            ledger.rows.checkpoint(),
        )

    def undo(self) -> None:
        """Go back to the savepoint."""
        ledger = self._ledger
        size, self.tip.frontier, self.tip.recorded_at, ledger.scratch.rows, ledger.commands, rows = self._mark
        for record in self._destroyed:
            ledger.records[record.seq - 1] = record
            ledger.words[record.stream, record.position] = record.words
        for record in ledger.records[size:]:
            del ledger.words[record.stream, record.position]
        del ledger.records[size:], ledger.leaves[size:]
        ledger.tiles = {at: hash_ for at, hash_ in ledger.tiles.items() if at[1] + 1 << at[0] * TILE_BITS <= size}
        ledger.recorder.truncate(size)
        ledger.rows.restore(rows)

    def keep(self) -> None:
        """Release the savepoint."""
        self._ledger.rows.settle()

    def position(self, stream: StreamId) -> int:
        """Return the position of a stream's last event (0: none)."""
        found = self._ledger.recorder.select_events(stream, desc=True, limit=1)
        return found[0].originator_version if found else 0

    def tail(self, stream: StreamId, limit: int | None) -> list[tuple[int, str, bytes, bytes | None]]:
        """Return position, type, facts and words of the last events of a stream, oldest first."""
        events = self._ledger.recorder.select_events(stream, desc=True, limit=limit)
        words = self._ledger.words
        found = [(e.originator_version, e.topic, e.state, words[stream, e.originator_version]) for e in events]
        return found[::-1]

    def insert(self, records: Sequence[Record], leaves: Sequence[bytes], tiles: Sequence[Tile]) -> None:
        """Keep events, leaves and tiles."""
        ledger = self._ledger
        ledger.recorder.insert_events([StoredEvent(r.stream, r.position, r.type, r.facts) for r in records])
        ledger.words.update({(r.stream, r.position): r.words for r in records})
        ledger.records.extend(records)
        ledger.leaves.extend(leaves)
        ledger.tiles.update({(tile.level, tile.number): tile.hash for tile in tiles})

    def words(self, seqs: Sequence[int]) -> list[Held]:
        """Return what is kept of the words of events."""
        there = (self._ledger.records[seq - 1] for seq in sorted(seqs) if 0 < seq <= len(self._ledger.records))
        return [Held(record.seq, record.words, record.words_blind, record.words_commit) for record in there]

    def destroy_words(self, commits: Mapping[int, bytes]) -> None:
        """Destroy words and blinds of events, keep the commitments, and forget what was answered to any command."""
        ledger = self._ledger
        for seq, commitment in commits.items():
            record = ledger.records[seq - 1]
            self._destroyed.append(record)
            ledger.records[seq - 1] = evolve(record, words=None, words_blind=None, words_commit=commitment)
            ledger.words[record.stream, record.position] = None
        ledger.commands = {}

    def apply(self, changes: Sequence[Change], seq: int) -> None:
        """Change rows."""
        self._ledger.rows.apply(changes, seq)

    def kept(self, actor: str, command: str, since: Micros) -> Kept | None:
        """Return the answer that a command got, if it was not before *since*."""
        kept, at = self._ledger.commands.get((actor, command), (None, since))
        return kept if at >= since else None

    def keep_answer(self, actor: str, command: str, kept: Kept, at: Micros) -> None:
        """Keep the answer to a command, instead of an expired one."""
        self._ledger.commands[actor, command] = (kept, at)


@define(eq=False)
class MemoryLedger:
    """A ledger that ends with its process."""

    core: Core
    make_rows: Callable[[], MemoryRows]
    origin: str = field(factory=lambda: secrets.token_hex(16))
    recorder: MemoryRecorder = field(factory=MemoryRecorder)
    records: list[Record] = field(factory=list)
    words: dict[tuple[str, int], bytes | None] = field(factory=dict)
    leaves: list[bytes] = field(factory=list)
    tiles: dict[tuple[int, int], bytes] = field(factory=dict)
    commands: dict[tuple[str, str], tuple[Kept, Micros]] = field(factory=dict)
    rows: MemoryRows = field(init=False)
    scratch: MemoryScratch = field(init=False)
    _tip: Tip = field(factory=lambda: Tip(Frontier(), 0))
    behind: Behind = field(factory=Behind)
    _lock: threading.RLock = field(factory=threading.RLock)
    _turn: threading.Lock = field(factory=threading.Lock)

    @property
    def lock(self) -> threading.RLock:
        """What whoever changes anything holds."""
        return self._lock

    @classmethod
    def empty(
        cls,
        make_rows: Callable[[], MemoryRows],
        folds: Sequence[Fold],
        clock: Callable[[], Micros],
        codec: Codec | None = None,
    ) -> MemoryLedger:
        """Return a new ledger."""
        return cls(Core(codec or Codec(), folds, clock), make_rows)

    def __attrs_post_init__(self) -> None:
        self.rows = self.make_rows()
        self.scratch = MemoryScratch(self.core.clock)

    def transact(self, command: Command, decide: Decide) -> Receipt:
        """Decide and append."""
        with self._lock:
            return self.core.transact(MemoryDesk(self, self._tip), command, decide)

    def work(self, act: Callable[[OpenTransaction], S]) -> S:
        """Change scratch rows under the write lock, without events."""
        with self._lock:
            return self.core.work(MemoryDesk(self, self._tip), act)

    @property
    def views(self) -> Views:
        """The rows."""
        return self.rows

    def head(self) -> Head:
        """Return size and root."""
        frontier = self._tip.frontier
        return Head(frontier.size, frontier.root(), self._tip.recorded_at)

    @contextmanager
    def alone(self) -> Iterator[Callable[[], None]]:
        """Be the only thread that deletes blobs."""
        with self._turn:
            yield lambda: None

    def deleting(self) -> bool:
        """Whether a thread deletes blobs at this moment."""
        return self._turn.locked()

    def engine(self) -> Engine:
        """Return what keeps the ledger."""
        return Engine("memory")

    def root(self, size: int) -> bytes:
        """Return the root of the tree over the first *size* leaves."""
        return root_of(iter(self.leaves[:size]), size)

    def subtrees(self, level: int, first: int, last: int) -> Sequence[bytes]:
        """Return the hashes of complete subtrees."""
        if not level:
            return self.leaves[first:last]
        return [self.tiles[level, number] for number in range(first, last) if (level, number) in self.tiles]

    def leaf(self, seq: int) -> LeafContent:
        """Return what one leaf stands for."""
        return leaf_content(self.records[seq - 1 : seq] if seq > 0 else (), seq)

    def read(
        self, *, after: int = 0, until: int | None = None, stream: StreamId | None = None, limit: int | None = None
    ) -> Iterator[Recorded]:
        """Yield events in the order of ``seq``."""
        first, last, most = bounds(after, until, limit)
        chosen = [record for record in self.records[first:last] if stream is None or record.stream == stream]
        for record in chosen[:most]:
            yield recorded(record, self.core.codec)

    def at(self, moment: Micros) -> int:
        """Return the ``seq`` of the last event recorded at or before *moment* (0: none)."""
        return sum(record.recorded_at <= moment for record in self.records)

    def rebuild(self) -> int:
        """Make all rows again from the events beside those in use; return how many events were folded."""
        rows = self.make_rows()
        size = len(self.records)
        self._refold(rows, self.records[:size])
        with self._lock:
            self._refold(rows, self.records[size:])
            self.rows.adopt(rows, ROWS)
            return len(self.records)

    def _refold(self, rows: MemoryRows, records: Sequence[Record]) -> None:
        for record in records:
            self.core.refold(rows, record)
        rows.settle()

    @property
    def projections(self) -> MemoryProjections:
        """The batched projections."""
        return MemoryProjections(self, self.behind)

    def dump(self) -> Iterator[bytes]:
        """Yield every row of every projection in a canonical form."""
        yield from self.rows.dump()

    def verify(self) -> Iterator[str]:
        """Check events against leaves, leaves against the head, rows against a fresh fold."""
        tiles = ((*at, hash_) for at, hash_ in sorted(self.tiles.items()))
        yield from check_events(self.records, enumerate(self.leaves, 1), self._tip, lambda: tiles)
        fresh = MemoryLedger(self.core, self.make_rows, self.origin, records=self.records)
        try:
            fresh.rebuild()
        except StorageError as error:
            yield f"the projections cannot be checked: {error}"
            return
        yield from check_rows(self.dump(), fresh.dump())

    def close(self) -> None:
        """Let go of nothing: there is nothing to let go of."""
