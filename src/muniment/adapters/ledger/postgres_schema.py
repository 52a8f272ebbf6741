"""The tables of a ledger in PostgreSQL: how they are made, once, whoever comes first, and brought up to date."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias

from psycopg import errors as pg

from muniment.adapters.ledger import schema, tiles
from muniment.adapters.ledger.refolding import Keys, Kinds
from muniment.adapters.postgres import Connection, Connections, Cursor, check_server, has_schema, one_at_a_time
from muniment.domain.errors import CorruptError
from muniment.domain.merkle import Frontier, Tile
from muniment.domain.rows import Cell, Change, Row

TABLE: Final = "events"
COLUMNS: Final = (
    ("seq", "bigint"),
    ("originator_id", "text"),
    ("originator_version", "bigint"),
    ("topic", "text"),
    ("state", "bytea"),
    ("facts_blind", "bytea"),
    ("words", "bytea"),
    ("words_blind", "bytea"),
    ("words_commit", "bytea"),
    ("event_id", "text"),
    ("recorded_at", "bigint"),
    ("org", "text"),
    ("class", "text"),
    ("outcome", "text"),
    ("actor", "text"),
    ("on_behalf_of", "text"),
    ("run", "text"),
    ("request", "text"),
    ("correlation", "text"),
    ("causation", "text"),
    ("command", "text"),
    ("source", "text"),
)
"""The columns of an event in the order of the fields of ``Record``, and their types."""
ORDER: Final = ", ".join(name for name, _ in COLUMNS)
_OPTIONAL: Final = {
    "words",
    "words_blind",
    "words_commit",
    "on_behalf_of",
    "run",
    "request",
    "correlation",
    "causation",
}
_TEXT: Final = 'text COLLATE "C"'

CREATE: Final = "CREATE TABLE events ({}, PRIMARY KEY (seq), UNIQUE (originator_id, originator_version))".format(
    ", ".join(
        f"{name} {_TEXT if kind == 'text' else kind}{'' if name in _OPTIONAL else ' NOT NULL'}"
        for name, kind in COLUMNS
    )
)
TABLES: Final = (
    CREATE,
    "CREATE TABLE leaves (seq bigint PRIMARY KEY, hash bytea NOT NULL)",
    """CREATE TABLE ledger_head (
        id integer PRIMARY KEY CHECK (id = 1), version integer NOT NULL, origin text NOT NULL, size bigint NOT NULL,
        frontier bytea NOT NULL, recorded_at bigint NOT NULL) WITH (fillfactor = 10)""",
    f"""CREATE TABLE commands (
        actor {_TEXT} NOT NULL, id {_TEXT} NOT NULL, request bytea NOT NULL, answer bytea NOT NULL, refused text,
        first_seq bigint, last_seq bigint, kept_at bigint NOT NULL, PRIMARY KEY (actor, id))""",
    "CREATE INDEX commands_kept_at ON commands (kept_at)",
    f"""CREATE TABLE scratch (
        kind {_TEXT} NOT NULL, key {_TEXT} NOT NULL, value bytea NOT NULL, expires_at bigint,
        PRIMARY KEY (kind, key))""",
    *schema.PROJECTIONS_POSTGRES,
    *tiles.POSTGRES,
)


Remake: TypeAlias = Callable[[Cursor, Collection[str], Kinds], None]
"""How tables of these names go, and those of these kinds come with the rows that the events say."""


class PostgresRows(Protocol):
    """How the rows of the projections are kept in PostgreSQL."""

    def create(self, cursor: Any, kinds: Kinds = ...) -> None: ...  # noqa: ANN401 (opaque)
    def drop(self, cursor: Any, names: Collection[str]) -> None: ...  # noqa: ANN401
    def apply(self, cursor: Any, changes: Sequence[Change], seq: int) -> None: ...  # noqa: ANN401
    def clear(self, cursor: Any, kinds: Kinds = ...) -> None: ...  # noqa: ANN401
    def dump(self, cursor: Any, kinds: Kinds = ...) -> Iterator[bytes]: ...  # noqa: ANN401
    def fill(self, cursor: Any, made: Any, kinds: Kinds = ...) -> None: ...  # noqa: ANN401
    def differing(self, cursor: Any, made: Any, kind: type[Row]) -> Iterator[tuple[Cell, ...]]: ...  # noqa: ANN401
    def replace(self, cursor: Any, made: Any, keys: Keys) -> None: ...  # noqa: ANN401
    def refill(self, cursor: Any, made: Any, kinds: Kinds) -> None: ...  # noqa: ANN401


def open_tables(connections: Connections, rows: PostgresRows, remake: Remake) -> str:
    """Make the tables if they are not there, or bring them up to date; return the ledger's origin."""
    connection = connections.mine()
    check_server(connection)
    found = _found(connection)
    if found is None or found[0] < schema.newest():
        with one_at_a_time(connection, connections.address.schema) as cursor:
            found = _found(connection)
            if found is None:
                found = _make(cursor, connections.address.schema, rows)
            elif found[0] < schema.newest():
                _upgrade(cursor, found[0], remake)
    schema.require_known(found[0])
    return found[1]


def _found(connection: Connection) -> tuple[int, str] | None:
    if connection.execute("SELECT to_regclass('ledger_head')").fetchall() == [(None,)]:
        return None
    rows = connection.execute("SELECT version, origin FROM ledger_head").fetchall()
    if not rows:
        msg = "the ledger is damaged: its head is empty — restore it from its backup"
        raise CorruptError(msg)
    return rows[0][0], rows[0][1]


def _make(cursor: Cursor, place: str, rows: PostgresRows) -> tuple[int, str]:
    if not has_schema(cursor, place):
        cursor.execute(f'CREATE SCHEMA "{place}"'.encode())
    cursor.execute("; ".join(TABLES).encode())
    rows.create(cursor)
    head = "INSERT INTO ledger_head VALUES (1, %s, %s, 0, ''::bytea, 0)"
    origin = secrets.token_hex(16)
    cursor.execute(head, (schema.newest(), origin))
    return schema.newest(), origin


def _upgrade(cursor: Cursor, found: int, remake: Remake) -> None:
    """Bring the tables up to date, while nobody writes; readers go on with what was committed."""
    steps = schema.missing(found)
    names, kinds = schema.remade(steps)
    try:
        cursor.execute("SELECT FROM ledger_head FOR UPDATE")
        for step in steps:
            for statement in step.postgres:
                cursor.execute(statement.encode())
        if any(step.tiles for step in steps):
            fill_tiles(cursor)
        remake(cursor, names, kinds)
        cursor.execute("UPDATE ledger_head SET version = %s", (schema.newest(),))
    except (pg.ReadOnlySqlTransaction, pg.InsufficientPrivilege) as error:
        raise schema.cannot_be_written(found) from error


_ADDED: Final = """
    SELECT 'trigger', tgname, relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
    WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace
    UNION ALL SELECT 'rule', rulename, relname FROM pg_rewrite JOIN pg_class c ON c.oid = ev_class
    WHERE rulename <> '_RETURN' AND relnamespace = current_schema()::regnamespace
    UNION ALL SELECT 'policy', polname, relname FROM pg_policy JOIN pg_class c ON c.oid = polrelid
    WHERE relnamespace = current_schema()::regnamespace ORDER BY 1, 2, 3"""


def check_schema(cursor: Cursor) -> Iterator[str]:
    """Yield a line for each trigger, rule and policy: we make none, and they change what is written or read."""
    for kind, name, table in cursor.execute(_ADDED.encode()).fetchall():
        yield f"the ledger's tables were changed: somebody added the {kind} {name} to {table}"


INSERT_TILES: Final = (
    "INSERT INTO tiles (level, number, hash) SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])"
)
_PAGE: Final = 10_000


def insert_tiles(cursor: Cursor, made: Sequence[Tile]) -> None:
    """Write tiles with one statement."""
    if made:
        cursor.execute(INSERT_TILES.encode(), [list(column) for column in zip(*made, strict=True)])


def fill_tiles(cursor: Cursor) -> None:
    """Write the tiles of all leaves."""
    frontier = Frontier()
    statement = b"SELECT hash FROM leaves WHERE seq > %s AND seq <= %s ORDER BY seq"
    while page := cursor.execute(statement, (frontier.size, frontier.size + _PAGE)).fetchall():
        insert_tiles(cursor, tiles.completed(frontier, (row[0] for row in page)))
