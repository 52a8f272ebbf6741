"""The file of a ledger in SQLite: its tables, how it is made whole or not at all, and the connections to it."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from muniment.adapters.ledger.batching import process_lock
from muniment.adapters.ledger.recorder import CREATE
from muniment.adapters.ledger.sqlite_desk import SqlRows
from muniment.adapters.ledger.sqlite_errors import damaged
from muniment.domain.errors import StorageError

SCHEMA = 1
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
)
SETTINGS = ("synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY")
"""Durable when it is said to be; what is deleted is overwritten; nothing of it goes to the folder for scratch files."""


@define(eq=False)
class LedgerFile:
    """One file, one connection for whoever writes and one for each thread that reads."""

    path: Path
    _writer: sqlite3.Connection | None = None
    _readers: dict[threading.Thread, sqlite3.Connection] = field(factory=dict)

    def open(self, rows: SqlRows) -> str:
        """Make the file if it is not there; return the ledger's origin."""
        with self.locked():
            try:
                self._make_once(rows)
            except OSError as error:
                msg = f"the ledger cannot be made ({error.strerror}) — check the permissions of its folder"
                raise StorageError(msg) from error
            found = self.writer().execute("PRAGMA user_version").fetchone()[0]
            if found > SCHEMA:
                msg = f"the ledger has schema {found}, this Muniment knows {SCHEMA} — upgrade Muniment"
                raise StorageError(msg)
            row = self.writer().execute("SELECT origin FROM head").fetchone() if found else None
            if row is None:
                what = f"{self.path.name} is not a ledger, or was cut off"
                raise damaged(what)
            return str(row[0])

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
        with process_lock(self.path.with_suffix(".lock")):
            yield

    def writer(self) -> sqlite3.Connection:
        """Return the connection for writing, which only one thread at a time may use."""
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def reader(self) -> sqlite3.Cursor:
        """Return a cursor of this thread's own connection."""
        thread = threading.current_thread()
        connection = self._readers.get(thread)
        if connection is None:
            self._close_those_of_ended_threads()
            connection = self._readers[thread] = self._connect()
        return connection.cursor()

    @contextmanager
    def apart(self) -> Iterator[sqlite3.Cursor]:
        """Open a connection of its own, for a long look at one moment."""
        connection = self._connect()
        try:
            yield connection.cursor()
        finally:
            connection.close()

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        connections = [*self._readers.values(), *([self._writer] if self._writer else [])]
        self._readers, self._writer = {}, None
        for connection in connections:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=60, isolation_level=None, check_same_thread=False)
        for setting in SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        return connection

    def _close_those_of_ended_threads(self) -> None:
        for thread in list(self._readers):
            connection = None if thread.is_alive() else self._readers.pop(thread, None)
            if connection is not None:
                connection.close()


def _create(cursor: sqlite3.Cursor, rows: SqlRows) -> None:
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("BEGIN")
    for statement in TABLES:
        cursor.execute(statement)
    rows.create(cursor)
    cursor.execute("INSERT INTO head VALUES (1, ?, 0, x'', 0)", (secrets.token_hex(16),))
    cursor.execute(f"PRAGMA user_version = {SCHEMA}")
    cursor.execute("COMMIT")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
