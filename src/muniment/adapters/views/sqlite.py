"""The rows of the projections in SQLite tables; the ledger opens the database and holds the transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from attrs import frozen

from muniment.adapters.views import comparing, lineage, shape
from muniment.adapters.views.statements import plan, quoted, schema
from muniment.domain.errors import StorageError
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

CursorSource: TypeAlias = Callable[[], sqlite3.Connection | sqlite3.Cursor]
"""Where rows are read: the cursor of the write transaction, or a reader's connection."""


def create(cursor: sqlite3.Cursor, kinds: Sequence[type[Row]] = EVERY) -> None:
    """Create the tables of these kinds and their indexes."""
    for kind in kinds:
        for statement in schema(kind):
            cursor.execute(statement)


def apply(cursor: sqlite3.Cursor, changes: Sequence[Change], seq: int) -> None:
    """Apply the changes of event *seq*.

    Rows that contradict each other are StorageError; any other ``sqlite3.Error`` belongs to whoever holds the
    transaction. That no live row has the key of an Insert is the fold's promise: only a unique set, or a row of the
    same event, makes SQLite notice.
    """
    for change in changes:
        try:
            _APPLY[type(change)](cursor, change, seq)
        except (sqlite3.IntegrityError, OverflowError, UnicodeEncodeError) as error:
            raise shape.contradiction(kind_of(change)) from error


def drop(cursor: sqlite3.Cursor, names: Collection[str]) -> None:
    """Remove the tables of these names, whether they are there and still known or not."""
    for name in names:
        cursor.execute(f"DROP TABLE IF EXISTS {quoted(name)}")


def clear(cursor: sqlite3.Cursor, kinds: Sequence[type[Row]] = ROWS) -> None:
    """Remove every row of these kinds, so that they can be made again from the events."""
    for kind in kinds:
        cursor.execute(plan(kind).clear)


def dump(cursor: sqlite3.Cursor, kinds: Sequence[type[Row]] = ROWS) -> Iterator[bytes]:
    """Yield a line for each table and row, in the order of the keys."""
    for kind in kinds:
        yield shape.heading(kind)
        for row in cursor.execute(plan(kind).dump):
            yield shape.line(row)


def differing(cursor: sqlite3.Cursor, made: sqlite3.Cursor, kind: type[Row]) -> Iterator[tuple[Cell, ...]]:
    """Yield the keys under which the rows of a kind are not those of another database."""
    return comparing.differing(kind, cursor.execute(plan(kind).dump), made.execute(plan(kind).dump))


def replace(
    cursor: sqlite3.Cursor, made: sqlite3.Cursor, keys: Mapping[type[Row], Collection[tuple[Cell, ...]]]
) -> None:
    """Make the rows under these keys those of another database: the old ones go first, since places are unique."""
    for kind, some in keys.items():
        cursor.executemany(plan(kind).forget, some)
    for kind, some in keys.items():
        for key in some:
            cursor.executemany(plan(kind).copy, made.execute(plan(kind).of_key, key).fetchall())


def refill(cursor: sqlite3.Cursor, made: sqlite3.Cursor, kinds: Sequence[type[Row]]) -> None:
    """Make all rows of these kinds those of another database."""
    clear(cursor, kinds)
    for kind in kinds:
        cursor.executemany(plan(kind).copy, made.execute(plan(kind).dump))


def _insert(cursor: sqlite3.Cursor, change: Insert, seq: int) -> None:
    row = change.row
    wanted = plan(type(row))
    cursor.execute(wanted.insert, (*wanted.values(row), seq))
    if not cursor.rowcount:
        raise shape.contradiction(type(row))


def _put(cursor: sqlite3.Cursor, change: Put, seq: int) -> None:
    row = change.row
    wanted = plan(type(row))
    key = wanted.key(row)
    cursor.execute(wanted.close, (seq, *key, *key))
    cursor.execute(wanted.insert, (*wanted.values(row), seq))


def _patch(cursor: sqlite3.Cursor, change: Patch, seq: int) -> None:
    wanted, columns = plan(change.kind), change.columns
    names = shape.patched(change.kind, tuple(columns))
    cursor.execute(wanted.close, (seq, *change.key, *change.key))
    if cursor.rowcount:
        cursor.execute(wanted.patch(names), (*(columns[name] for name in names), seq, *change.key))


def _close(cursor: sqlite3.Cursor, change: Close, seq: int) -> None:
    cursor.execute(plan(change.kind).close, (seq, *change.key, *change.key))


def _add(cursor: sqlite3.Cursor, change: Add, seq: int) -> None:
    row = change.row
    wanted = plan(type(row))
    cursor.execute(wanted.add, (*wanted.added(row), *wanted.key(row)))
    if not cursor.rowcount:
        cursor.execute(wanted.insert, (*wanted.values(row), seq))


_APPLY: dict[type[Change], Callable[..., None]] = {Insert: _insert, Put: _put, Patch: _patch, Close: _close, Add: _add}


@frozen
class SqliteViews:
    """The rows as whoever gives the cursor sees them: inside its transaction, or as committed."""

    cursor: CursorSource

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
        wanted = plan(kind).select(
            tuple(equal), order, past=at is not None, after=after is not None, descending=descending
        )
        parameters = wanted.bind(tuple(equal.values()), at, after)
        most = -1 if limit is None else shape.within(limit)
        return [kind(*row) for row in self._rows(wanted.sql, (*parameters, most))]

    def gather(
        self, kind: type[R], column: str, values: Collection[Cell], /, *, at: int | None = None, **equal: Cell
    ) -> list[R]:
        """Return the rows of many values of one column at once, in any order."""
        wanted = plan(kind).gather(column, tuple(equal), past=at is not None)
        many = shape.among(values)
        rows = self._rows(wanted.sql, wanted.bind((many, *equal.values()), at)) if many else []
        return [kind(*row) for row in rows]

    def made_from(self, version_ids: Sequence[str], /, *, at: int | None = None) -> Made:
        """Return what runs logged that used some of these versions; of those that a run used, at least the first."""
        if at is None:
            made = Made(*self._columns(lineage.MADE_QUICKLY, version_ids, at))
            if len(made.places) < lineage.MANY:
                return made
        return Made(*self._columns(lineage.MADE[at is not None], version_ids, at))

    def referring_to(self, version_ids: Sequence[str], /, *, at: int | None = None) -> Referring:
        """Return the versions that refer to some of these."""
        return Referring(*self._columns(lineage.REFERRING[at is not None], version_ids, at))

    def count(self, kind: type[Row], /, *, order: str, at: int | None = None, **equal: Cell) -> int:
        """Return how many rows a lookup has."""
        wanted = plan(kind).count(tuple(equal), order, past=at is not None)
        rows = self._rows(wanted.sql, wanted.bind(tuple(equal.values()), at))
        return int(rows[0][0]) if rows else 0

    def _columns(self, sql: str, ids: Sequence[str], at: int | None) -> Iterator[list[Any]]:
        (columns,) = self._rows(sql, {"ids": shape.array(ids), "at": shape.within(at)})
        return map(json.loads, columns)

    def _rows(self, sql: str, parameters: tuple[Cell, ...] | dict[str, Cell]) -> list[Any]:
        try:
            return self.cursor().execute(sql, parameters).fetchall()
        except (OverflowError, UnicodeEncodeError):
            return []  # a value that no column can hold equals none
        except sqlite3.Error as error:
            msg = "the rows of the ledger cannot be read — run `muniment fsck`, which says what is damaged"
            raise StorageError(msg) from error
