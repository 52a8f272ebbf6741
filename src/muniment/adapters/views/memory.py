"""The rows of the projections in plain dictionaries: the reference for every other views adapter."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar, cast

from attrs import define, evolve, field

from muniment.adapters.views import shape
from muniment.domain.projection import total
from muniment.domain.rows import (
    EVERY,
    ROWS,
    Add,
    Cell,
    Change,
    Close,
    EdgeRow,
    Insert,
    Lookup,
    Made,
    Patch,
    Put,
    Referring,
    Row,
    RunRow,
    SourceRow,
)
from muniment.domain.values import LARGEST

R = TypeVar("R", bound=Row)
Cells: TypeAlias = tuple[Cell, ...]
Rank: TypeAlias = tuple[bool, Cell]
Place: TypeAlias = tuple[Any, ...]


@define(eq=False)
class Held:
    """A row, and from and to which event it held."""

    row: Row
    begin: int
    end: int | None = None

    def seen(self, at: int | None) -> bool:
        """Whether the row held after event *at*, or holds now."""
        if at is None:
            return self.end is None
        return self.begin <= at and (self.end is None or at < self.end)


def _rank(cell: Cell) -> Rank:
    return (cell is not None, cell)


def _cells(row: Row, names: Iterable[str]) -> Cells:
    return tuple(getattr(row, name) for name in names)


def _downwards(places: list[Place], high: int) -> Iterator[Place]:
    """Yield places below *high* from the last to the first, those that tie in ascending order of their keys."""
    while high:
        low = bisect_left(places, places[high - 1][:1])
        yield from places[low:high]
        high = low


@define(eq=False)
class Shelf:
    """The rows of one table: all by key, the live ones also by unique set and by lookup."""

    kind: type[Row]
    history: dict[Cells, list[Held]] = field(factory=dict)
    unique: dict[tuple[str, ...], dict[Cells, Held]] = field(factory=dict)
    ordered: dict[tuple[Lookup, Cells], list[Place]] = field(factory=dict)

    def key(self, row: Row) -> Cells:
        """Return the key of a row."""
        return _cells(row, self.kind.table.key)

    def live(self, key: Cells) -> Held | None:
        """Return the live row with this key."""
        past = self.history.get(key)
        return past[-1] if past and past[-1].end is None else None

    def add(self, held: Held) -> None:
        """Add a live row as the newest of its key."""
        taken = [index.get(wanted) for index, wanted in self._claims(held.row)]
        if any(taken) or self.live(self.key(held.row)):
            raise shape.contradiction(self.kind)
        self.history.setdefault(self.key(held.row), []).append(held)
        self._enter(held)

    def remove(self, held: Held) -> None:
        """Take back *add*."""
        self._leave(held)
        self.forget(held)

    def forget(self, held: Held) -> None:
        """Drop a row that is not live from the history of its key."""
        key = self.key(held.row)
        self.history[key].pop()
        if not self.history[key]:
            del self.history[key]

    def recall(self, held: Held) -> None:
        """Take back *forget*."""
        self.history.setdefault(self.key(held.row), []).append(held)

    def end(self, held: Held, seq: int) -> None:
        """End a live row."""
        self._leave(held)
        held.end = seq

    def resume(self, held: Held) -> None:
        """Take back *end*."""
        held.end = None
        self._enter(held)

    def _claims(self, row: Row) -> Iterator[tuple[dict[Cells, Held], Cells]]:
        for names in self.kind.table.unique:
            cells = _cells(row, names)
            if None not in cells:
                yield self.unique.setdefault(names, {}), cells

    def _places(self, held: Held) -> Iterator[tuple[list[Place], Place]]:
        for lookup in self.kind.table.lookups:
            group = self.ordered.setdefault((lookup, _cells(held.row, lookup.equal)), [])
            yield group, (_rank(getattr(held.row, lookup.order)), self.key(held.row), held)

    def _enter(self, held: Held) -> None:
        for index, cells in self._claims(held.row):
            index[cells] = held
        for group, place in self._places(held):
            insort(group, place)

    def _leave(self, held: Held) -> None:
        for index, cells in self._claims(held.row):
            del index[cells]
        for group, place in self._places(held):
            del group[bisect_left(group, place[:2])]

    def group(self, lookup: Lookup, cells: Cells, at: int | None) -> list[Place]:
        """Return the places of a lookup in ascending order, as of now or of a past event."""
        shape.require_past(self.kind, past=at is not None)
        if at is None:
            return self.ordered.get((lookup, cells), [])
        return sorted(
            (_rank(getattr(held.row, lookup.order)), self.key(held.row), held)
            for past in self.history.values()
            for held in past
            if held.seen(at) and _cells(held.row, lookup.equal) == cells
        )


def _shelves() -> dict[type[Row], Shelf]:
    return {kind: Shelf(kind) for kind in EVERY}


@define(eq=False)
class MemoryViews:
    """Rows in memory, with a log to take changes back; ``settle`` empties it when a transaction has committed."""

    _shelves: dict[type[Row], Shelf] = field(init=False, factory=_shelves)
    _undo: list[tuple[Callable[..., None], tuple[Any, ...]]] = field(init=False, factory=list)

    def checkpoint(self) -> int:
        """Return a mark for *restore*."""
        return len(self._undo)

    def restore(self, mark: int) -> None:
        """Take back every change since *mark*, the newest first."""
        while len(self._undo) > mark:
            undo, arguments = self._undo.pop()
            undo(*arguments)

    def settle(self) -> None:
        """Keep every change for good: marks given so far mean nothing any more."""
        self._undo.clear()

    def clear(self, kinds: Sequence[type[Row]] = ROWS) -> None:
        """Remove every row of these kinds, so that they can be made again from the events."""
        self._undo.append((self._replace, (self._shelves,)))
        self._shelves = self._shelves | {kind: Shelf(kind) for kind in kinds}

    def adopt(self, other: MemoryViews, kinds: Sequence[type[Row]]) -> None:
        """Take over the rows of these kinds at once: whoever reads sees the old ones or the new ones."""
        self._shelves = self._shelves | {kind: other._shelves[kind] for kind in kinds}

    def _replace(self, shelves: dict[type[Row], Shelf]) -> None:
        self._shelves = shelves

    def apply(self, changes: Sequence[Change], seq: int) -> None:
        """Apply the changes of event *seq*; rows that contradict each other are StorageError."""
        for change in changes:
            match change:
                case Insert(row=row):
                    self._add(row, seq)
                case Put(row=row):
                    self._end(type(row), _cells(row, row.table.key), seq)
                    self._add(row, seq)
                case Patch(kind=kind, key=key, columns=columns):
                    shape.patched(kind, tuple(columns))
                    held = self._end(kind, key, seq)
                    if held:
                        self._add(evolve(held.row, **columns), seq)
                case Close(kind=kind, key=key):
                    self._end(kind, key, seq)
                case Add(row=row):
                    self._total(row, seq)

    def _end(self, kind: type[Row], key: Cells, seq: int) -> Held | None:
        shelf = self._shelves[kind]
        held = shelf.live(key)
        if held:
            shelf.end(held, seq)
            self._undo.append((shelf.resume, (held,)))
        return held

    def _add(self, row: Row, seq: int) -> None:
        shelf = self._shelves[type(row)]
        past = shelf.history.get(shelf.key(row))
        if past and past[-1].begin == past[-1].end == seq:
            self._undo.append((shelf.recall, (past[-1],)))
            shelf.forget(past[-1])
        held = Held(row, seq)
        shelf.add(held)
        self._undo.append((shelf.remove, (held,)))

    def _total(self, row: Row, seq: int) -> None:
        shelf = self._shelves[type(row)]
        held = shelf.live(shelf.key(row))
        if held is None:
            self._add(row, seq)
            return
        fresh = Held(total(held.row, row), held.begin)
        shelf.remove(held)
        shelf.add(fresh)
        self._undo += [(shelf.add, (held,)), (shelf.remove, (fresh,))]

    def dump(self, kinds: Sequence[type[Row]] = ROWS) -> Iterator[bytes]:
        """Yield a line for each table and row, in the order of the keys."""
        for kind in kinds:
            shelf = self._shelves[kind]
            yield shape.heading(kind)
            for key in sorted(shelf.history):
                for held in shelf.history[key]:
                    yield shape.line((*_cells(held.row, shape.columns(kind)), held.begin, held.end))

    def find(self, kind: type[R], /, *, at: int | None = None, **equal: Cell) -> R | None:
        """Return the one row whose key or unique columns have these values; ``None`` among them finds nothing."""
        shape.require_past(kind, past=at is not None)
        names, shelf = shape.identity(kind, tuple(equal)), self._shelves[kind]
        cells = tuple(equal[name] for name in names)
        found: Iterable[Held]
        if names == kind.table.key:
            past = shelf.history.get(cells, [])
            found = past[-1:] if at is None else past[: bisect_right(past, at, key=attrgetter("begin"))][-1:]
        elif at is None:
            found = filter(None, [shelf.unique.get(names, {}).get(cells)])
        else:
            every = (held for past in shelf.history.values() for held in past)
            found = (held for held in every if None not in cells and _cells(held.row, names) == cells)
        return next((held.row for held in found if held.seen(at)), None)  # type: ignore[return-value]

    def select(
        self,
        kind: type[R],
        /,
        *,
        order: str,
        at: int | None = None,
        after: Cell = None,
        limit: int | None = None,
        descending: bool = False,
        **equal: Cell,
    ) -> list[R]:
        """Return rows by a lookup of the table, in its order, rows that tie in the order of their keys."""
        found = shape.lookup(kind, tuple(equal), order)
        places = self._shelves[kind].group(found, tuple(equal[name] for name in found.equal), at)
        low, high = 0, len(places)
        if after is not None and descending:
            high = bisect_left(places, (_rank(after),))
        elif after is not None:
            low = bisect_right(places, _rank(after), key=lambda place: place[0])
        ordered = (
            _downwards(places, high) if descending else places[low : high if limit is None else min(high, low + limit)]
        )
        return [place[2].row for place in islice(ordered, limit if limit is None else min(limit, LARGEST))]

    def gather(
        self, kind: type[R], column: str, values: Collection[Cell], /, *, at: int | None = None, **equal: Cell
    ) -> list[R]:
        """Return the rows of many values of one column at once, in any order."""
        shape.require_past(kind, past=at is not None)
        found, shelf = shape.gathered(kind, (column, *equal)), self._shelves[kind]
        wanted = [{**equal, column: value} for value in dict.fromkeys(values) if value is not None]
        if found is None:
            rows = (self.find(kind, at=at, **each) for each in wanted)
            return [row for row in rows if row is not None]
        groups = (shelf.group(found, tuple(each[name] for name in found.equal), at) for each in wanted)
        return [place[2].row for places in groups for place in places]

    def made_from(self, version_ids: Sequence[str], /, *, at: int | None = None) -> Made:
        """Return what runs logged that used some of these versions."""
        made = Made([], [], [], [])
        for place, id_ in enumerate(version_ids):
            for used in self.gather(EdgeRow, "version_id", (id_,), at=at, role="in"):
                run = self.find(RunRow, run_id=used.run_id, at=at)
                for logged in self.gather(EdgeRow, "run_id", (used.run_id,), at=at, role="out"):
                    row = (place, used.run_id, logged.version_id, run.job_type if run else None)
                    for column, cell in zip(made, row, strict=True):
                        cast("list[Cell]", column).append(cell)
        return made

    def referring_to(self, version_ids: Sequence[str], /, *, at: int | None = None) -> Referring:
        """Return the versions that refer to some of these."""
        found = [self.gather(SourceRow, "source_id", (id_,), at=at) for id_ in version_ids]
        places = [place for place, rows in enumerate(found) for _ in rows]
        return Referring(places, [row.version_id for rows in found for row in rows])

    def count(self, kind: type[Row], /, *, order: str, at: int | None = None, **equal: Cell) -> int:
        """Return how many rows a lookup has."""
        found = shape.lookup(kind, tuple(equal), order)
        return len(self._shelves[kind].group(found, tuple(equal[name] for name in found.equal), at))
