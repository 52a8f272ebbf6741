"""The file of a ledger in SQLite: its tables, how it is made whole or not at all, and the connections to it."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from attrs import define, field

from muniment.adapters.ledger import schema, tiles
from muniment.adapters.ledger.batching import ProcessLock
from muniment.adapters.ledger.recorder import CREATE
from muniment.adapters.ledger.refolding import Kinds
from muniment.adapters.ledger.sqlite_desk import SqlRows, fill_tiles
from muniment.adapters.ledger.sqlite_errors import damaged
from muniment.domain.errors import StorageError

C = TypeVar("C", bound=sqlite3.Connection)
Remake: TypeAlias = Callable[[sqlite3.Cursor, Collection[str], Kinds], None]
"""How tables of these names go, and those of these kinds come with the rows that the events say."""

TABLES = (
    CREATE,
    "CREATE TABLE leaves (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL)",
    """CREATE TABLE head (
        id INTEGER PRIMARY KEY CHECK (id = 1), origin TEXT NOT NULL, size INTEGER NOT NULL, frontier BLOB NOT NULL,
        recorded_at INTEGER NOT NULL)""",
    """CREATE TABLE commands (
        actor TEXT NOT NULL, id TEXT NOT NULL, request BLOB NOT NULL, answer BLOB NOT NULL, refused TEXT,
        first_seq INTEGER, last_seq INTEGER, kept_at INTEGER NOT NULL, PRIMARY KEY (actor, id)) WITHOUT ROWID""",
    "CREATE INDEX commands_kept_at ON commands (kept_at)",
    """CREATE TABLE scratch (
        kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, expires_at INTEGER,
        PRIMARY KEY (kind, key)) WITHOUT ROWID""",
    "CREATE INDEX scratch_expires_at ON scratch (expires_at) WHERE expires_at IS NOT NULL",
    *schema.PROJECTIONS_SQLITE,
    *tiles.SQLITE,
)
SETTINGS = ("synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY")
"""Durable when it is said to be; what is deleted is overwritten; nothing of it goes to the folder for scratch files."""


class _Cursor(sqlite3.Cursor):
    """A cursor that a fork can wait for: whatever it does, it does holding the lock of its connection."""

    connection: _Connection

    def execute(self, sql: str, parameters: Any = ()) -> _Cursor:  # noqa: ANN401 (what sqlite3 takes)
        with self.connection.busy:
            return super().execute(sql, parameters)

    def fetchall(self) -> list[Any]:
        with self.connection.busy:
            return super().fetchall()

    def fetchone(self) -> Any:  # noqa: ANN401 (a row)
        """Return the one row there is; nothing is left to be done when the cursor goes."""
        rows = self.fetchall()
        return rows[0] if rows else None

    def __next__(self) -> Any:  # noqa: ANN401 (a row)
        with self.connection.busy:
            return super().__next__()


class _Connection(sqlite3.Connection):
    """A connection for reading."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 (what sqlite3 takes)
        self.busy = threading.RLock()
        super().__init__(*arguments, **settings)

    def cursor(self, *_: object) -> _Cursor:  # type: ignore[override]
        return super().cursor(_Cursor)

    def close(self) -> None:
        with self.busy:
            super().close()


@define(eq=False)
class LedgerFile:
    """One file, one connection for whoever writes and one for each thread that reads."""

    path: Path
    _writer: sqlite3.Connection | None = None
    _readers: dict[threading.Thread, _Connection] = field(factory=dict)
    _apart: list[_Connection] = field(factory=list)
    _paused: list[threading.RLock] = field(factory=list)
    _opening: threading.RLock = field(factory=threading.RLock)
    _lock: ProcessLock = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._lock = ProcessLock(self.path.with_suffix(".lock"))

    def open(self, rows: SqlRows, remake: Remake) -> str:
        """Make the file if it is not there, or bring it up to date; return the ledger's origin."""
        with self.locked():
            try:
                self._make_once(rows)
            except OSError as error:
                msg = f"the ledger cannot be made ({error.strerror}) — check the permissions of its folder"
                raise StorageError(msg) from error
            found = number_of(self.writer())
            schema.require_known(found)
            if 0 < found < schema.newest():
                self._upgrade(found, remake)
            row = self.writer().execute("SELECT origin FROM head").fetchone() if found else None
            if row is None:
                what = f"{self.path.name} is not a ledger, or was cut off"
                raise damaged(what)
            return str(row[0])

    def _upgrade(self, found: int, remake: Remake) -> None:
        """Bring the tables up to date in one transaction; readers go on with what was committed."""
        steps = schema.missing(found)
        names, kinds = schema.remade(steps)
        cursor = self.writer().cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            for step in steps:
                for statement in step.sqlite:
                    cursor.execute(statement)
            if any(step.tiles for step in steps):
                fill_tiles(cursor)
            remake(cursor, names, kinds)
            cursor.execute(f"PRAGMA user_version = {schema.newest()}")
            cursor.execute("COMMIT")
        except BaseException as error:
            if self.writer().in_transaction:
                cursor.execute("ROLLBACK")
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
                raise schema.cannot_be_written(found) from error
            raise

    def _make_once(self, rows: SqlRows) -> None:
        """Build the file under another name first: what has its own name is whole."""
        if self.path.exists():
            return
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists():
            msg = f"{self.path.name} is gone, but its log {log.name} is there — restore the last good copy of both"
            raise StorageError(msg)
        draft = self.path.with_name(f"{self.path.name}.new")
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            _create(connection.cursor(), rows)
        finally:
            connection.close()
        draft.rename(self.path)
        _sync_folder(self.path.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one process that writes."""
        with self._lock.held():
            yield

    def writer(self) -> sqlite3.Connection:
        """Return the connection for writing, which only one thread at a time may use."""
        if self._writer is None:
            self._writer = self._connect(sqlite3.Connection)
        return self._writer

    def reader(self) -> sqlite3.Cursor:
        """Return a cursor of this thread's own connection."""
        thread = threading.current_thread()
        connection = self._readers.get(thread)
        if connection is None:
            with self._opening:
                self._close_those_of_ended_threads()
                connection = self._readers[thread] = self._connect(_Connection)
        return connection.cursor()

    @contextmanager
    def apart(self) -> Iterator[sqlite3.Cursor]:
        """Open a connection of its own, for a long look at one moment."""
        with self._opening:
            connection = self._connect(_Connection)
            self._apart.append(connection)
        try:
            yield connection.cursor()
        finally:
            with self._opening:
                self._apart = [each for each in self._apart if each is not connection]
                connection.close()

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        with self._opening:
            connections = [*self._readers.values(), *self._apart, *([self._writer] if self._writer else [])]
            self._readers, self._apart, self._writer = {}, [], None
            for connection in connections:
                connection.close()
            self._lock.close()

    def pause(self) -> None:
        """Wait until no thread reads, and let none begin before *resume*."""
        self._opening.acquire()
        self._paused = [each.busy for each in (*self._readers.values(), *self._apart)]
        for lock in self._paused:
            lock.acquire()

    def resume(self) -> None:
        """Let threads read again."""
        for lock in self._paused:
            lock.release()
        self._paused = []
        self._opening.release()

    def _connect(self, factory: type[C]) -> C:
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(
            uri, uri=True, timeout=60, isolation_level=None, check_same_thread=False, factory=factory
        )
        try:
            for setting in SETTINGS:
                connection.execute(f"PRAGMA {setting}")
        except BaseException as error:
            connection.close()
            if isinstance(error, UnicodeDecodeError):  # SQLite quotes a damaged schema in its own message
                what = "its schema cannot be read"
                raise damaged(what) from error
            raise
        return connection

    def _close_those_of_ended_threads(self) -> None:
        for thread in [thread for thread in self._readers if not thread.is_alive()]:
            self._readers.pop(thread).close()


def number_of(connection: sqlite3.Connection | sqlite3.Cursor) -> int:
    """Return the number of the file's tables."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_schema(cursor: sqlite3.Cursor, rows: SqlRows) -> Iterator[str]:
    """Yield a line for each table or index that is not as Muniment makes it, and each trigger and view of others."""
    with closing(sqlite3.connect("", isolation_level=None)) as fresh:
        for statement in TABLES:
            fresh.execute(statement)
        rows.create(fresh.cursor())
        wanted, found = _objects(fresh.cursor()), _objects(cursor)
    for name, made in wanted.items():
        if found.get(name) != made:
            yield f"the ledger's tables were changed: {name} is not as Muniment makes it"
    for name in found.keys() - wanted.keys():
        if found[name][0] in {"trigger", "view"}:
            yield f"the ledger's tables were changed: somebody added the {found[name][0]} {name}"


def _objects(cursor: sqlite3.Cursor) -> dict[object, tuple[object, ...]]:
    """Return by their names what a database is made of, and how it was asked for."""
    found = cursor.execute("SELECT name, type, tbl_name, sql FROM sqlite_schema").fetchall()
    return {row[0]: tuple(row[1:]) for row in found}


def _create(cursor: sqlite3.Cursor, rows: SqlRows) -> None:
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("BEGIN")
    for statement in TABLES:
        cursor.execute(statement)
    rows.create(cursor)
    cursor.execute("INSERT INTO head VALUES (1, ?, 0, x'', 0)", (secrets.token_hex(16),))
    cursor.execute(f"PRAGMA user_version = {schema.newest()}")
    cursor.execute("COMMIT")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
