"""The open write transaction of a ledger in PostgreSQL, its scratch rows, and how stored events are read."""

# ruff: noqa: S608 - the SQL is made of our own names; every value is a parameter

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import starmap
from typing import Any, Final, TypeAlias

import msgspec
from attrs import define
from psycopg.pq import TransactionStatus

from muniment.adapters.ledger import schema
from muniment.adapters.ledger.core import Held, Kept, Tip
from muniment.adapters.ledger.fitting import can_be_kept
from muniment.adapters.ledger.postgres_schema import COLUMNS, ORDER, TABLE, PostgresRows, insert_tiles
from muniment.adapters.ledger.record import Record, bounds, cells
from muniment.adapters.postgres import Cursor
from muniment.domain.errors import CorruptError
from muniment.domain.merkle import Frontier, Tile
from muniment.domain.ports import Scratch, Views
from muniment.domain.rows import Change
from muniment.domain.values import Json, Micros, StreamId

PAGE: Final = 1000
"""How many events are read at once."""

Ask: TypeAlias = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]
"""How a question is asked: inside the write transaction, or of what was committed."""
MakeViews: TypeAlias = Callable[[Ask], Views]

INSERT: Final = "INSERT INTO {} ({}) SELECT * FROM unnest({})".format(
    TABLE, ORDER, ", ".join(f"%s::{kind}[]" for _, kind in COLUMNS)
)
INSERT_LEAVES: Final = "INSERT INTO leaves (seq, hash) SELECT * FROM unnest(%s::bigint[], %s::bytea[])"
KEEP_ANSWER: Final = (
    "INSERT INTO commands (actor, id, request, answer, refused, first_seq, last_seq, kept_at) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (actor, id) DO UPDATE SET request = excluded.request, "
    "answer = excluded.answer, refused = excluded.refused, first_seq = excluded.first_seq, "
    "last_seq = excluded.last_seq, kept_at = excluded.kept_at"
)


@define
class PostgresScratch:
    """Scratch rows, however they are asked for."""

    _ask: Ask
    _clock: Callable[[], Micros]

    def get(self, kind: str, key: str) -> Json | None:
        """Return the value, or ``None``."""
        statement = "SELECT value FROM scratch WHERE kind = %s AND key = %s AND (expires_at IS NULL OR expires_at > %s)"
        rows = self._ask(statement, (kind, key, self._clock()))
        return msgspec.json.decode(rows[0][0]) if rows else None

    def put(self, kind: str, key: str, value: Json, expires_at: Micros | None = None) -> None:
        """Set the value."""
        self._ask(
            "INSERT INTO scratch (kind, key, value, expires_at) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
            (kind, key, msgspec.json.encode(value), expires_at),
        )

    def delete(self, kind: str, key: str) -> None:
        """Forget the value, if there is one."""
        self._ask("DELETE FROM scratch WHERE kind = %s AND key = %s", (kind, key))

    def items(self, kind: str, prefix: str = "") -> list[tuple[str, Json]]:
        """Return keys with this prefix and their values, in the order of the keys."""
        rows = self._ask(
            "SELECT key, value FROM scratch WHERE kind = %s AND key >= %s AND starts_with(key, %s) "
            "AND (expires_at IS NULL OR expires_at > %s) ORDER BY key",
            (kind, prefix, prefix, self._clock()),
        )
        return [(key, msgspec.json.decode(value)) for key, value in rows]


class PostgresDesk:
    """The open write transaction."""

    def __init__(
        self, cursor: Cursor, tip: Tip, *, rows: PostgresRows, make_views: MakeViews, clock: Callable[[], Micros]
    ) -> None:
        self.cursor = cursor
        self._rows = rows
        self._mark = (0, b"", 0)
        self.tip = tip
        self.views: Views = make_views(self._ask)
        self.scratch: Scratch = PostgresScratch(self._ask, clock)

    def begin(self) -> None:
        """Set a savepoint."""
        self._mark = (self.tip.frontier.size, self.tip.frontier.roots(), self.tip.recorded_at)
        self.cursor.execute("SAVEPOINT command")

    def undo(self) -> None:
        """Go back to the savepoint and release it; a session that was lost has gone back further by itself."""
        size, roots, recorded_at = self._mark
        self.tip.frontier, self.tip.recorded_at = Frontier(size, roots), recorded_at
        if self.cursor.connection.info.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
            self.cursor.execute("ROLLBACK TO SAVEPOINT command")
            self.cursor.execute("RELEASE SAVEPOINT command")

    def keep(self) -> None:
        """Release the savepoint."""
        self.cursor.execute("RELEASE SAVEPOINT command")

    def position(self, stream: StreamId) -> int:
        """Return the position of a stream's last event (0: none)."""
        rows = self._ask(
            f"SELECT originator_version FROM {TABLE} WHERE originator_id = %s ORDER BY originator_version DESC LIMIT 1",
            (stream,),
        )
        return rows[0][0] if rows else 0

    def tail(self, stream: StreamId, limit: int | None) -> list[tuple[int, str, bytes, bytes | None]]:
        """Return position, type, facts and words of the last events of a stream, oldest first."""
        rows: list[Any] = self._ask(
            f"SELECT originator_version, topic, state, words FROM {TABLE} WHERE originator_id = %s "
            "ORDER BY originator_version DESC LIMIT %s::bigint",
            (stream, limit),
        )
        return rows[::-1]

    def insert(self, records: Sequence[Record], leaves: Sequence[bytes], tiles: Sequence[Tile]) -> None:
        """Write events, leaves and tiles, each kind with one statement."""
        insert(self.cursor, records, leaves)
        insert_tiles(self.cursor, tiles)

    def words(self, seqs: Sequence[int]) -> list[Held]:
        """Return what is kept of the words of events."""
        statement = (
            f"SELECT seq, words, words_blind, words_commit FROM {TABLE} WHERE seq = ANY(%s::bigint[]) ORDER BY seq"
        )
        return list(starmap(Held, self._ask(statement, (list(seqs),))))

    def destroy_words(self, commits: Mapping[int, bytes]) -> None:
        """Destroy words and blinds of events, keep the commitments, and forget what was answered to any command."""
        if commits:
            self.cursor.execute(
                f"UPDATE {TABLE} SET words = NULL, words_blind = NULL, words_commit = its.commitment "
                f"FROM unnest(%s::bigint[], %s::bytea[]) AS its (seq, commitment) WHERE {TABLE}.seq = its.seq".encode(),
                (list(commits), list(commits.values())),
            )
        self.cursor.execute("DELETE FROM commands")

    def apply(self, changes: Sequence[Change], seq: int) -> None:
        """Change rows."""
        self._rows.apply(self.cursor, changes, seq)

    def kept(self, actor: str, command: str, since: Micros) -> Kept | None:
        """Return the answer that a command got, if it was not before *since*."""
        rows = self._ask(
            "SELECT request, answer, first_seq, last_seq, refused FROM commands "
            "WHERE actor = %s AND id = %s AND kept_at >= %s",
            (actor, command, since),
        )
        return Kept(*rows[0]) if rows else None

    def keep_answer(self, actor: str, command: str, kept: Kept, at: Micros) -> None:
        """Keep the answer to a command, instead of an expired one."""
        self.cursor.execute(
            KEEP_ANSWER, (actor, command, kept.request, kept.answer, kept.refused, kept.first_seq, kept.last_seq, at)
        )

    def _ask(self, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        self.cursor.execute(statement.encode(), parameters)
        return self.cursor.fetchall() if self.cursor.description else []


def insert(cursor: Cursor, records: Sequence[Record], leaves: Sequence[bytes]) -> None:
    """Write events and leaves."""
    cursor.execute(INSERT.encode(), [list(column) for column in zip(*map(cells, records), strict=True)])
    cursor.execute(INSERT_LEAVES.encode(), ([record.seq for record in records], list(leaves)))


def lock_tip(cursor: Cursor) -> tuple[Tip, int]:
    """Wait for the write lock; return where the ledger ends, and the id of this transaction."""
    cursor.execute(
        "SELECT size, frontier, recorded_at, pg_current_xact_id()::text, version FROM ledger_head FOR UPDATE"
    )
    row = _one(cursor)
    schema.require_known(row[4])
    return _tip(row), int(row[3])


def read_tip(cursor: Cursor) -> Tip:
    """Return where the ledger ends."""
    cursor.execute("SELECT size, frontier, recorded_at FROM ledger_head")
    return _tip(_one(cursor))


def write_tip(cursor: Cursor, tip: Tip) -> None:
    """Keep where the ledger ends."""
    cursor.execute(
        "UPDATE ledger_head SET size = %s, frontier = %s, recorded_at = %s",
        (tip.frontier.size, tip.frontier.roots(), tip.recorded_at),
    )


def records(ask: Ask, after: int, until: int | None, limit: int | None = None) -> Iterator[Record]:
    """Read pages of events, so that no transaction stays open between them and memory stays bounded."""
    statement = f"SELECT {ORDER} FROM {TABLE} WHERE seq > %s AND seq <= %s ORDER BY seq LIMIT %s"
    after, last, left = bounds(after, until, limit)
    while left > 0:
        page = ask(statement, (after, last, min(PAGE, left)))
        yield from starmap(Record, page)
        if len(page) < PAGE:
            return
        after, left = page[-1][0], left - len(page)


def stream_records(
    ask: Ask, stream: StreamId, after: int, until: int | None, limit: int | None = None
) -> Iterator[Record]:
    """Read the events of one stream, which are in the order of ``seq`` too, in pages by position."""
    if not can_be_kept(stream):
        return
    statement = (
        f"SELECT {ORDER} FROM {TABLE} WHERE originator_id = %s AND originator_version > %s AND seq + 0 > %s "
        "AND seq + 0 <= %s ORDER BY originator_version LIMIT %s"
    )
    after, last, left = bounds(after, until, limit)
    position = 0
    while left > 0:
        page = ask(statement, (stream, position, after, last, min(PAGE, left)))
        yield from starmap(Record, page)
        if len(page) < PAGE:
            return
        position, left = page[-1][2], left - len(page)


def _one(cursor: Cursor) -> tuple[Any, ...]:
    rows = cursor.fetchall()
    if len(rows) != 1:
        msg = "the ledger is damaged (its head is missing) — run `muniment fsck`, then restore the last good copy"
        raise CorruptError(msg)
    return rows[0]


def _tip(row: tuple[Any, ...]) -> Tip:
    try:
        return Tip(Frontier(row[0], row[1]), row[2])
    except (AttributeError, TypeError, ValueError) as error:
        msg = "the ledger is damaged (its head is not of its form) — run `muniment fsck`, then restore the last copy"
        raise CorruptError(msg) from error
