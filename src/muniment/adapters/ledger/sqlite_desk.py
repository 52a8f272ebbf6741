"""The open write transaction of a ledger in SQLite, its scratch rows, and how stored events are read."""

# ruff: noqa: S608 - the SQL is made of our own names; every value is a parameter

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import starmap, takewhile
from operator import index
from typing import Any, Protocol, TypeAlias

import msgspec
from attrs import define
from eventsourcing.sqlite import SQLiteCursor

from muniment.adapters.ledger.core import Held, Kept, Tip
from muniment.adapters.ledger.fitting import can_be_kept
from muniment.adapters.ledger.record import Record, bounds
from muniment.adapters.ledger.recorder import ORDER, TABLE, LedgerRecorder
from muniment.adapters.ledger.refolding import Keys, Kinds
from muniment.adapters.ledger.sqlite_errors import damaged, storage_errors
from muniment.adapters.ledger.tiles import completed
from muniment.domain.merkle import Frontier, Tile
from muniment.domain.ports import Scratch, Views
from muniment.domain.rows import Cell, Change, Row
from muniment.domain.values import Json, Micros, StreamId

PAGE = 1000
"""How many events are read at once."""


class SqlRows(Protocol):
    """How the rows of the projections are kept in a database whose cursor is given."""

    def create(self, cursor: Any, kinds: Kinds = ...) -> None: ...  # noqa: ANN401 (opaque)
    def drop(self, cursor: Any, names: Collection[str]) -> None: ...  # noqa: ANN401
    def apply(self, cursor: Any, changes: Sequence[Change], seq: int) -> None: ...  # noqa: ANN401
    def clear(self, cursor: Any, kinds: Kinds = ...) -> None: ...  # noqa: ANN401
    def dump(self, cursor: Any, kinds: Kinds = ...) -> Iterator[bytes]: ...  # noqa: ANN401
    def differing(self, cursor: Any, made: Any, kind: type[Row]) -> Iterator[tuple[Cell, ...]]: ...  # noqa: ANN401
    def replace(self, cursor: Any, made: Any, keys: Keys) -> None: ...  # noqa: ANN401
    def refill(self, cursor: Any, made: Any, kinds: Kinds) -> None: ...  # noqa: ANN401


MakeViews: TypeAlias = Callable[[Callable[[], sqlite3.Cursor]], Views]
"""How rows are read through whatever cursor is given."""
INSERT_TILES = "INSERT INTO tiles VALUES (?, ?, ?)"


@define
class SqliteScratch:
    """Scratch rows through any cursor."""

    _cursor: Callable[[], sqlite3.Cursor]
    _clock: Callable[[], Micros]

    def get(self, kind: str, key: str) -> Json | None:
        """Return the value, or ``None``."""
        statement = "SELECT value FROM scratch WHERE kind = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)"
        with storage_errors():
            row = self._cursor().execute(statement, (kind, key, self._clock())).fetchone()
        return msgspec.json.decode(row[0]) if row else None

    def put(self, kind: str, key: str, value: Json, expires_at: Micros | None = None) -> None:
        """Set the value."""
        self._cursor().execute(
            "INSERT INTO scratch VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET value = excluded.value, expires_at = excluded.expires_at",
            (kind, key, msgspec.json.encode(value), expires_at),
        )

    def delete(self, kind: str, key: str) -> None:
        """Forget the value, if there is one."""
        self._cursor().execute("DELETE FROM scratch WHERE kind = ? AND key = ?", (kind, key))

    def items(self, kind: str, prefix: str = "") -> list[tuple[str, Json]]:
        """Return keys with this prefix and their values, in the order of the keys."""
        statement = (
            "SELECT key, value FROM scratch WHERE kind = ? AND key >= ? AND (expires_at IS NULL OR expires_at > ?) "
            "ORDER BY key"
        )
        with storage_errors():
            rows = self._cursor().execute(statement, (kind, prefix, self._clock()))
            found = takewhile(lambda row: row[0].startswith(prefix), rows)
            return [(key, msgspec.json.decode(value)) for key, value in found]


class SqliteDesk:
    """The open write transaction."""

    def __init__(
        self,
        cursor: sqlite3.Cursor,
        tip: Tip,
        *,
        recorder: LedgerRecorder,
        rows: SqlRows,
        make_views: MakeViews,
        clock: Callable[[], Micros],
    ) -> None:
        self.cursor = self._cursor = cursor
        self._recorder = recorder
        self._rows = rows
        self._mark = (0, b"", 0)
        self.tip = tip
        self.views: Views = make_views(lambda: cursor)
        self.scratch: Scratch = SqliteScratch(lambda: cursor, clock)

    def begin(self) -> None:
        """Set a savepoint."""
        self._mark = (self.tip.frontier.size, self.tip.frontier.roots(), self.tip.recorded_at)
        self._cursor.execute("SAVEPOINT command")

    def undo(self) -> None:
        """Go back to the savepoint and release it; after a full disk the database has gone back further by itself."""
        size, roots, recorded_at = self._mark
        self.tip.frontier, self.tip.recorded_at = Frontier(size, roots), recorded_at
        if self._cursor.connection.in_transaction:
            self._cursor.execute("ROLLBACK TO command")
            self._cursor.execute("RELEASE command")

    def keep(self) -> None:
        """Release the savepoint."""
        self._cursor.execute("RELEASE command")

    def position(self, stream: StreamId) -> int:
        """Return the position of a stream's last event (0: none)."""
        row = self._cursor.execute(
            f"SELECT originator_version FROM {TABLE} WHERE originator_id = ? ORDER BY originator_version DESC LIMIT 1",
            (stream,),
        ).fetchone()
        return row[0] if row else 0

    def tail(self, stream: StreamId, limit: int | None) -> list[tuple[int, str, bytes, bytes | None]]:
        """Return position, type, facts and words of the last events of a stream, oldest first."""
        rows: list[tuple[int, str, bytes, bytes | None]] = self._cursor.execute(
            f"SELECT originator_version, topic, state, words FROM {TABLE} WHERE originator_id = ? "
            "ORDER BY originator_version DESC LIMIT ?",
            (stream, -1 if limit is None else limit),
        ).fetchall()
        return rows[::-1]

    def insert(self, records: Sequence[Record], leaves: Sequence[bytes], tiles: Sequence[Tile]) -> None:
        """Write events, leaves and tiles."""
        self._recorder._insert_events(SQLiteCursor(self._cursor), (), records=records)  # noqa: SLF001 (its hook)
        numbered = [(record.seq, leaf) for record, leaf in zip(records, leaves, strict=True)]
        self._cursor.executemany("INSERT INTO leaves VALUES (?, ?)", numbered)
        if tiles:
            self._cursor.executemany(INSERT_TILES, tiles)

    def words(self, seqs: Sequence[int]) -> list[Held]:
        """Return what is kept of the words of events."""
        statement = (
            f"SELECT rowid, words, words_blind, words_commit FROM {TABLE} "
            "WHERE rowid IN (SELECT value FROM json_each(?)) ORDER BY rowid"
        )
        rows = self._cursor.execute(statement, (json.dumps(list(seqs)),)).fetchall()
        return list(starmap(Held, rows))

    def destroy_words(self, commits: Mapping[int, bytes]) -> None:
        """Destroy words and blinds of events, keep the commitments, and forget what was answered to any command."""
        self._cursor.executemany(
            f"UPDATE {TABLE} SET words = NULL, words_blind = NULL, words_commit = ? WHERE rowid = ?",
            [(commitment, seq) for seq, commitment in commits.items()],
        )
        self._cursor.execute("DELETE FROM commands")

    def apply(self, changes: Sequence[Change], seq: int) -> None:
        """Change rows."""
        self._rows.apply(self._cursor, changes, seq)

    def kept(self, actor: str, command: str, since: Micros) -> Kept | None:
        """Return the answer that a command got, if it was not before *since*."""
        row = self._cursor.execute(
            "SELECT request, answer, first_seq, last_seq, refused FROM commands "
            "WHERE actor = ? AND id = ? AND kept_at >= ?",
            (actor, command, since),
        ).fetchone()
        return Kept(*row) if row else None

    def keep_answer(self, actor: str, command: str, kept: Kept, at: Micros) -> None:
        """Keep the answer to a command, instead of an expired one."""
        self._cursor.execute(
            "INSERT OR REPLACE INTO commands VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (actor, command, kept.request, kept.answer, kept.refused, kept.first_seq, kept.last_seq, at),
        )


def read_tip(cursor: sqlite3.Cursor) -> Tip:
    """Return where the ledger ends."""
    row = cursor.execute("SELECT size, frontier, recorded_at FROM head WHERE id = 1").fetchone()
    try:
        return Tip(Frontier(row[0], row[1]), index(row[2]))
    except (AttributeError, TypeError, ValueError) as error:
        what = "its head is missing or not of its form"
        raise damaged(what) from error


def write_tip(cursor: sqlite3.Cursor, tip: Tip) -> None:
    """Keep where the ledger ends."""
    cursor.execute(
        "UPDATE head SET size = ?, frontier = ?, recorded_at = ? WHERE id = 1",
        (tip.frontier.size, tip.frontier.roots(), tip.recorded_at),
    )


def records(cursor: sqlite3.Cursor, after: int, until: int | None, limit: int | None = None) -> Iterator[Record]:
    """Read pages of events, so that no transaction stays open between them and memory stays bounded."""
    statement = f"SELECT {ORDER} FROM {TABLE} WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
    after, last, left = bounds(after, until, limit)
    while left > 0:
        page = cursor.execute(statement, (after, last, min(PAGE, left))).fetchall()
        yield from starmap(Record, page)
        if len(page) < PAGE:
            return
        after, left = page[-1][0], left - len(page)


def stream_records(
    cursor: sqlite3.Cursor, stream: StreamId, after: int, until: int | None, limit: int | None = None
) -> Iterator[Record]:
    """Read the events of one stream, which are in the order of ``seq`` too, in pages by position."""
    if not can_be_kept(stream):
        return
    statement = (
        f"SELECT {ORDER} FROM {TABLE} WHERE originator_id = ? AND originator_version > ? AND +rowid > ? "
        "AND +rowid <= ? ORDER BY originator_version LIMIT ?"
    )
    after, last, left = bounds(after, until, limit)
    position = 0
    while left > 0:
        page = cursor.execute(statement, (stream, position, after, last, min(PAGE, left))).fetchall()
        yield from starmap(Record, page)
        if len(page) < PAGE:
            return
        position, left = page[-1][2], left - len(page)


def leaf_hashes(cursor: sqlite3.Cursor, first: int, last: int) -> list[bytes]:
    """Return the hashes of leaves, numbered from 0, from *first* up to but not including *last*."""
    rows = cursor.execute("SELECT hash FROM leaves WHERE seq > ? AND seq <= ? ORDER BY seq", (first, last))
    return [row[0] for row in rows.fetchall()]


def tile_hashes(cursor: sqlite3.Cursor, level: int, first: int, last: int) -> list[bytes]:
    """Return the hashes of tiles of one level, from *first* up to but not including *last*."""
    statement = "SELECT hash FROM tiles WHERE level = ? AND number >= ? AND number < ? ORDER BY number"
    return [row[0] for row in cursor.execute(statement, (level, first, last)).fetchall()]


def fill_tiles(cursor: sqlite3.Cursor) -> None:
    """Write the tiles of all leaves."""
    frontier = Frontier()
    while page := leaf_hashes(cursor, frontier.size, frontier.size + PAGE):
        cursor.executemany(INSERT_TILES, completed(frontier, page))
