"""The rows of the projections in PostgreSQL tables; the ledger opens the database and holds the transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeAlias, TypeVar, cast

import psycopg
from attrs import frozen
from psycopg import errors as pg

from muniment.adapters.views import comparing, lineage, shape
from muniment.adapters.views.postgres_statements import Plan, plan, schema
from muniment.adapters.views.statements import plan as sqlite_plan
from muniment.adapters.views.statements import quoted
from muniment.domain.rows import (
    EVERY,
    ROWS,
    Add,
    Cell,
    Change,
    Close,
    Insert,
    Made,
    Patch,
    Put,
    Referring,
    Row,
    kind_of,
)

R = TypeVar("R", bound=Row)

Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]
Ask: TypeAlias = Callable[[str, tuple[Cell, ...]], list[tuple[Any, ...]]]
"""How a question is asked: inside the write transaction, or of what was committed."""

_REFUSED = (pg.IntegrityError, pg.DataError, OverflowError, UnicodeEncodeError)


def create(cursor: Cursor, kinds: Sequence[type[Row]] = EVERY) -> None:
    """Create the tables of these kinds and their indexes."""
    cursor.execute("; ".join(statement for kind in kinds for statement in schema(kind)).encode())


def apply(cursor: Cursor, changes: Sequence[Change], seq: int) -> None:
    """Apply the changes of event *seq*.

    Rows that contradict each other are StorageError, after which the transaction must go back to its savepoint; any
    other ``psycopg.Error`` belongs to whoever holds the transaction. That no live row has the key of an Insert is the
    fold's promise: only a unique set, or a row of the same event, makes PostgreSQL notice.
    """
    for change in changes:
        try:
            _APPLY[type(change)](cursor, change, seq)
        except _REFUSED as error:
            raise shape.contradiction(kind_of(change)) from error


def drop(cursor: Cursor, names: Collection[str]) -> None:
    """Remove the tables of these names, whether they are there and still known or not."""
    for name in names:
        cursor.execute(f"DROP TABLE IF EXISTS {quoted(name)}".encode())


def clear(cursor: Cursor, kinds: Sequence[type[Row]] = ROWS) -> None:
    """Remove every row of these kinds, so that they can be made again from the events."""
    for kind in kinds:
        cursor.execute(plan(kind).clear.encode())


def dump(cursor: Cursor, kinds: Sequence[type[Row]] = ROWS) -> Iterator[bytes]:
    """Yield a line for each table and row, in the order of the keys; the cursor is given back after each table."""
    for kind in kinds:
        yield shape.heading(kind)
        stream = cast("Generator[tuple[Any, ...], None, None]", cursor.stream(plan(kind).dump.encode()))
        with closing(stream) as found:  # it keeps the connection for itself
            for row in found:
                yield shape.line(row)


def fill(cursor: Cursor, made: sqlite3.Cursor, kinds: Sequence[type[Row]] = ROWS) -> None:
    """Copy all rows from the tables of the SQLite adapter, where folding many events takes no round trips."""
    for kind in kinds:
        with cursor.copy(plan(kind).fill.encode()) as copy:
            for row in made.execute(sqlite_plan(kind).dump):
                copy.write_row(row)


def differing(cursor: Cursor, made: sqlite3.Cursor, kind: type[Row]) -> Iterator[tuple[Cell, ...]]:
    """Yield the keys under which the rows of a kind are not those of a SQLite database."""
    stream = cast("Generator[tuple[Any, ...], None, None]", cursor.stream(plan(kind).dump.encode()))
    with closing(stream) as found:
        yield from comparing.differing(kind, found, made.execute(sqlite_plan(kind).dump))


def replace(cursor: Cursor, made: sqlite3.Cursor, keys: Mapping[type[Row], Collection[tuple[Cell, ...]]]) -> None:
    """Make the rows under these keys those of a SQLite database: the old ones go first, since places are unique."""
    for kind, some in keys.items():
        for key in some:  # many at once would be pipelined
            cursor.execute(plan(kind).forget.encode(), key)
    for kind, some in keys.items():
        with cursor.copy(plan(kind).fill.encode()) as copy:
            for key in some:
                for row in made.execute(sqlite_plan(kind).of_key, key):
                    copy.write_row(row)


def refill(cursor: Cursor, made: sqlite3.Cursor, kinds: Sequence[type[Row]]) -> None:
    """Make all rows of these kinds those of a SQLite database."""
    clear(cursor, kinds)
    fill(cursor, made, kinds)


def _insert(cursor: Cursor, change: Insert, seq: int) -> None:
    row = change.row
    if not _put_row(cursor, plan(type(row)), row, seq):
        raise shape.contradiction(type(row))


def _put(cursor: Cursor, change: Put, seq: int) -> None:
    row = change.row
    wanted = plan(type(row))
    key = wanted.key(row)
    cursor.execute(wanted.close.encode(), (seq, *key, *key))
    _put_row(cursor, wanted, row, seq)


def _put_row(cursor: Cursor, wanted: Plan, row: Row, seq: int) -> int:
    return cursor.execute(wanted.insert.encode(), (*wanted.values(row), seq)).rowcount


def _patch(cursor: Cursor, change: Patch, seq: int) -> None:
    wanted, columns = plan(change.kind), change.columns
    names = shape.patched(change.kind, tuple(columns))
    if cursor.execute(wanted.close.encode(), (seq, *change.key, *change.key)).rowcount:
        cursor.execute(wanted.patch(names).encode(), (*(columns[name] for name in names), seq, *change.key))


def _close(cursor: Cursor, change: Close, seq: int) -> None:
    cursor.execute(plan(change.kind).close.encode(), (seq, *change.key, *change.key))


def _add(cursor: Cursor, change: Add, seq: int) -> None:
    row = change.row
    wanted = plan(type(row))
    if not cursor.execute(wanted.add.encode(), (*wanted.added(row), *wanted.key(row))).rowcount:
        _put_row(cursor, wanted, row, seq)


_APPLY: dict[type[Change], Callable[..., None]] = {Insert: _insert, Put: _put, Patch: _patch, Close: _close, Add: _add}


@frozen
class PostgresViews:
    """The rows as whoever asks sees them: inside its transaction, or as committed."""

    ask: Ask

    def find(self, kind: type[R], /, *, at: int | None = None, **equal: Cell) -> R | None:
        """Return the one row whose key or unique columns have these values; ``None`` among them finds nothing."""
        wanted = plan(kind).find(tuple(equal), past=at is not None)
        found = shape.holding(self._rows(wanted.sql, wanted.bind(tuple(equal.values()), at)), at)
        return None if found is None else kind(*found)

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
        nothing, values = _apart(equal)
        wanted = plan(kind).select(
            tuple(equal), order, nothing, past=at is not None, after=after is not None, descending=descending
        )
        rows = self._rows(wanted.sql, (*wanted.bind(values, at, after), shape.within(limit)))
        return [kind(*row) for row in rows]

    def gather(
        self, kind: type[R], column: str, values: Collection[Cell], /, *, at: int | None = None, **equal: Cell
    ) -> list[R]:
        """Return the rows of many values of one column at once, in any order."""
        nothing, others = _apart(equal)
        wanted = plan(kind).gather(column, tuple(equal), nothing, past=at is not None)
        many = shape.among(values)
        rows = self._rows(wanted.sql, wanted.bind((many, *others), at)) if many else []
        return [kind(*row) for row in rows]

    def made_from(self, version_ids: Sequence[str], /, *, at: int | None = None) -> Made:
        """Return what runs logged that used some of these versions; of those that a run used, the first."""
        return Made(*self._columns(lineage.POSTGRES_MADE[at is not None], version_ids, at))

    def referring_to(self, version_ids: Sequence[str], /, *, at: int | None = None) -> Referring:
        """Return the versions that refer to some of these."""
        return Referring(*self._columns(lineage.POSTGRES_REFERRING[at is not None], version_ids, at))

    def count(self, kind: type[Row], /, *, order: str, at: int | None = None, **equal: Cell) -> int:
        """Return how many rows a lookup has."""
        nothing, values = _apart(equal)
        wanted = plan(kind).count(tuple(equal), order, nothing, past=at is not None)
        rows = self._rows(wanted.sql, wanted.bind(values, at))
        return int(rows[0][0]) if rows else 0

    def _columns(self, sql: str, ids: Sequence[str], at: int | None) -> tuple[list[Any], ...]:
        times = (shape.within(at),) * (sql.count("%s") - 1)
        (columns,) = self.ask(sql, (shape.array(ids), *times))
        return columns

    def _rows(self, sql: str, parameters: tuple[Cell, ...]) -> list[tuple[Any, ...]]:
        if all(map(shape.can_be_held, parameters)):
            return self.ask(sql, parameters)
        return []  # a value that no column can hold equals none


def _apart(equal: dict[str, Cell]) -> tuple[frozenset[str], tuple[Cell, ...]]:
    """Return the names of the columns that must hold nothing, and the values of the others."""
    nothing = frozenset(name for name, cell in equal.items() if cell is None)
    return nothing, tuple(cell for cell in equal.values() if cell is not None)
