"""The ledger in one SQLite file: events, leaves, rows of the projections, answers to commands, scratch rows."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec
from attrs import define, field
from eventsourcing.sqlite import SQLiteCursor, SQLiteDatastore

from muniment.adapters.ledger.batching import GroupCommit, Waiting, process_lock
from muniment.adapters.ledger.codec import Codec
from muniment.adapters.ledger.core import COMMANDS_KEPT, Core, Kept, OpenTransaction, Tip
from muniment.adapters.ledger.record import Record, recorded
from muniment.adapters.ledger.recorder import ORDER, TABLE, LedgerRecorder
from muniment.adapters.ledger.verify import check_events, root_of
from muniment.domain.errors import CorruptError, StorageError, StorageFullError
from muniment.domain.merkle import Frontier
from muniment.domain.ports import Command, Decide, Fold, Head, Receipt, Recorded, Scratch, Views
from muniment.domain.rows import Change
from muniment.domain.values import Json, Micros, StreamId

S = TypeVar("S")

SCHEMA = 1
PAGE = 1000
TABLES = (
    "CREATE TABLE IF NOT EXISTS leaves (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL)",
    """CREATE TABLE IF NOT EXISTS head (
        id INTEGER PRIMARY KEY CHECK (id = 1), origin TEXT NOT NULL, size INTEGER NOT NULL, frontier BLOB NOT NULL,
        recorded_at INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS commands (
        actor TEXT NOT NULL, id TEXT NOT NULL, request BLOB NOT NULL, answer BLOB NOT NULL, refused TEXT,
        first_seq INTEGER, last_seq INTEGER, kept_at INTEGER NOT NULL, PRIMARY KEY (actor, id)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS commands_kept_at ON commands (kept_at)",
    """CREATE TABLE IF NOT EXISTS scratch (
        kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, expires_at INTEGER,
        PRIMARY KEY (kind, key)) WITHOUT ROWID""",
)


class SqlRows(Protocol):
    """How the rows of the projections are kept in a database whose cursor is given."""

    def create(self, cursor: Any) -> None: ...  # noqa: ANN401 (opaque)
    def apply(self, cursor: Any, changes: Sequence[Change], seq: int) -> None: ...  # noqa: ANN401
    def clear(self, cursor: Any) -> None: ...  # noqa: ANN401
    def dump(self, cursor: Any) -> Iterator[bytes]: ...  # noqa: ANN401


MakeViews: TypeAlias = Callable[[Callable[[], sqlite3.Cursor]], Views]
"""How rows are read through whatever cursor is given."""


@contextmanager
def storage_errors(what: str = "the ledger") -> Iterator[None]:
    """Turn the database's errors into ours; the cause keeps the original."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text:
            msg = f"no space left for {what} — free some and try again; nothing was recorded"
            raise StorageFullError(msg) from error
        if "readonly" in text or "unable to open" in text:
            msg = f"{what} cannot be written here — check the permissions of the folder MUNIMENT_HOME names"
            raise StorageError(msg) from error
        msg = f"{what} could not be read or written ({text})"
        raise StorageError(msg) from error
    except sqlite3.DatabaseError as error:
        msg = f"{what} is damaged ({error}) — run `muniment fsck`, then restore the last good copy"
        raise CorruptError(msg) from error


@define
class SqliteScratch:
    """Scratch rows through any cursor."""

    _cursor: Callable[[], sqlite3.Cursor]
    _clock: Callable[[], Micros]

    def get(self, kind: str, key: str) -> Json | None:
        """Return the value, or ``None``."""
        row = (
            self._cursor()
            .execute("SELECT value, expires_at FROM scratch WHERE kind = ? AND key = ?", (kind, key))
            .fetchone()
        )
        return msgspec.json.decode(row[0]) if row and (row[1] is None or row[1] > self._clock()) else None

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
        rows = self._cursor().execute(
            "SELECT key, value FROM scratch WHERE kind = ? AND key >= ? AND (expires_at IS NULL OR expires_at > ?) "
            "ORDER BY key",
            (kind, prefix, self._clock()),
        )
        found = []
        for key, value in rows:
            if not key.startswith(prefix):
                break
            found.append((key, msgspec.json.decode(value)))
        return found


class SqliteDesk:
    """The open write transaction."""

    def __init__(self, ledger: SqliteLedger, cursor: sqlite3.Cursor, tip: Tip) -> None:
        self._recorder = ledger.recorder
        self._rows = ledger.rows
        self._cursor = cursor
        self._mark = (0, b"", 0)
        self.tip = tip
        self.views: Views = ledger.make_views(lambda: cursor)
        self.scratch: Scratch = SqliteScratch(lambda: cursor, ledger.core.clock)

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

    def insert(self, records: Sequence[Record], leaves: Sequence[bytes]) -> None:
        """Write events and leaves."""
        self._recorder._insert_events(SQLiteCursor(self._cursor), (), records=records)  # noqa: SLF001 (its hook)
        self._cursor.executemany(
            "INSERT INTO leaves VALUES (?, ?)", [(r.seq, leaf) for r, leaf in zip(records, leaves, strict=True)]
        )

    def apply(self, changes: Sequence[Change], seq: int) -> None:
        """Change rows."""
        self._rows.apply(self._cursor, changes, seq)

    def kept(self, actor: str, command: str) -> Kept | None:
        """Return the answer that a command got."""
        row = self._cursor.execute(
            "SELECT request, answer, first_seq, last_seq, refused FROM commands WHERE actor = ? AND id = ?",
            (actor, command),
        ).fetchone()
        return Kept(row[0], msgspec.json.decode(row[1]), *row[2:]) if row else None

    def keep_answer(self, actor: str, command: str, kept: Kept, at: Micros) -> None:
        """Keep the answer that a command got."""
        self._cursor.execute(
            "INSERT INTO commands VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                actor,
                command,
                kept.request,
                msgspec.json.encode(kept.answer),
                kept.refused,
                kept.first_seq,
                kept.last_seq,
                at,
            ),
        )


@define(eq=False)
class SqliteLedger:
    """The ledger of one store, in one file, for any number of threads and processes."""

    path: Path
    core: Core
    rows: SqlRows
    make_views: MakeViews
    recorder: LedgerRecorder
    origin: str = ""
    _pid: int = field(factory=os.getpid)
    _local: threading.local = field(factory=threading.local)
    _open: list[sqlite3.Connection] = field(factory=list)
    _group: GroupCommit = field(init=False)
    _writer: sqlite3.Connection | None = None

    @classmethod
    def in_file(
        cls,
        path: Path,
        rows: SqlRows,
        make_views: MakeViews,
        folds: Sequence[Fold],
        clock: Callable[[], Micros],
        codec: Codec | None = None,
    ) -> SqliteLedger:
        """Open the ledger in this file, or make it."""
        datastore = SQLiteDatastore(str(path), originator_id_type="text", lock_timeout=60)
        ledger = cls(path, Core(codec or Codec(), folds, clock), rows, make_views, LedgerRecorder(datastore, TABLE))
        with storage_errors():
            ledger._prepare()
        return ledger

    def __attrs_post_init__(self) -> None:
        self._group = GroupCommit(self._run_batch)

    # --- writing -----------------------------------------------------------------------------------------------------

    def transact(self, command: Command, decide: Decide) -> Receipt:
        """Decide and append."""
        receipt: Receipt = self._submit(lambda desk: self.core.transact(desk, command, decide))
        return receipt

    def work(self, act: Callable[[OpenTransaction], S]) -> S:
        """Change scratch rows under the write lock, without events."""
        done: S = self._submit(lambda desk: self.core.work(desk, act))
        return done

    def rebuild(self) -> int:
        """Make all rows again from the events, in one transaction; return how many events were folded."""
        size: int = self._submit(self._rebuild)
        return size

    def _rebuild(self, desk: SqliteDesk) -> int:
        cursor = self._writing().cursor()
        self.rows.clear(cursor)
        folded = 0
        for folded, record in enumerate(_records(cursor, 0, None), 1):  # noqa: B007 (the count is wanted)
            self.core.fold(desk, record)
        return folded

    def _submit(self, run: Callable[[SqliteDesk], Any]) -> Any:  # noqa: ANN401 (whatever the work returns)
        self._after_fork()
        return self._group.submit(run)

    def _run_batch(self, batch: Sequence[Waiting]) -> None:
        with storage_errors(), process_lock(self._lock_path()):
            connection = self._writing()
            cursor = connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            outcomes: list[tuple[Waiting, object, BaseException | None]] = []
            try:
                desk = SqliteDesk(self, cursor, _read_tip(cursor))
                before = desk.tip.frontier.size
                for waiting in batch:
                    outcomes.append(_attempt(waiting, desk))
                    if not connection.in_transaction:
                        raise outcomes[-1][2] or sqlite3.OperationalError("the transaction was lost")
                if desk.tip.frontier.size != before:
                    _write_tip(cursor, desk.tip)
                cursor.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
        for waiting, result, error in outcomes:
            waiting.finish(result, error)

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def views(self) -> Views:
        """The committed rows."""
        return self.make_views(self._reading)

    @property
    def scratch(self) -> Scratch:
        """The committed scratch rows."""
        return SqliteScratch(self._reading, self.core.clock)

    def head(self) -> Head:
        """Return size and root as committed now."""
        with storage_errors():
            tip = _read_tip(self._reading())
        return Head(tip.frontier.size, tip.frontier.root(), tip.recorded_at)

    def root(self, size: int) -> bytes:
        """Return the root of the tree over the first *size* leaves."""
        with storage_errors():
            rows = self._reading().execute("SELECT hash FROM leaves WHERE seq <= ? ORDER BY seq", (size,))
            return root_of((row[0] for row in rows), size)

    def read(
        self, *, after: int = 0, until: int | None = None, stream: StreamId | None = None, limit: int | None = None
    ) -> Iterator[Recorded]:
        """Yield events in the order of ``seq``."""
        with storage_errors():
            for record in _records(self._reading(), after, until, stream, limit):
                yield recorded(record, self.core.codec)

    def at(self, moment: Micros) -> int:
        """Return the ``seq`` of the last event recorded at or before *moment* (0: none)."""
        low, high = 0, self.head().size
        cursor = self._reading()
        with storage_errors():
            while low < high:
                middle = (low + high + 1) // 2
                row = cursor.execute(f"SELECT recorded_at FROM {TABLE} WHERE rowid = ?", (middle,)).fetchone()
                if row is None:
                    msg = f"event {middle} is missing from the ledger — run `muniment fsck`"
                    raise CorruptError(msg)
                low, high = (middle, high) if row[0] <= moment else (low, middle - 1)
        return low

    def dump(self) -> Iterator[bytes]:
        """Yield every row of every projection in a canonical form."""
        with storage_errors():
            yield from self.rows.dump(self._reading())

    def verify(self) -> Iterator[str]:
        """Check events against leaves, leaves against the head, rows against a fresh fold."""
        connection = self._connect()
        try:
            cursor = connection.cursor()
            cursor.execute("BEGIN")
            tip = _read_tip(cursor)
            leaves = connection.execute("SELECT seq, hash FROM leaves ORDER BY seq")
            yield from check_events(_records(cursor, 0, None), leaves, tip)
            yield from self._check_rows(cursor)
        except sqlite3.DatabaseError as error:
            yield f"the ledger file is damaged: {error}"
        finally:
            self._open.remove(connection)
            connection.close()

    def _check_rows(self, cursor: sqlite3.Cursor) -> Iterator[str]:
        fresh = sqlite3.connect("", isolation_level=None)
        try:
            scratchpad = fresh.cursor()
            self.rows.create(scratchpad)
            scratchpad.execute("BEGIN")
            desk = SqliteDesk(self, scratchpad, Tip(Frontier(), 0))
            for record in _records(cursor, 0, None):
                self.core.fold(desk, record)
            for live, folded in zip_longest(self.rows.dump(cursor), self.rows.dump(scratchpad)):
                if live != folded:
                    yield f"a row of the projections is not what the events say, run `muniment rebuild`: {live or folded!r}"
                    return
        except CorruptError as error:
            yield f"the projections cannot be checked: {error}"
        finally:
            fresh.close()

    def close(self) -> None:
        """Let go of files and connections."""
        if self._pid == os.getpid():
            for connection in self._open:
                connection.close()
        self._open.clear()
        self._writer = None
        self._local = threading.local()
        self.recorder.datastore.close()

    # --- connections -------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        with process_lock(self._lock_path()):
            if not self.path.exists():
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = self._writing()
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > SCHEMA:
                msg = f"the ledger has schema {found}, this Muniment knows {SCHEMA} — upgrade Muniment"
                raise StorageError(msg)
            if found < SCHEMA:
                self._create(connection)
            row = connection.execute("SELECT origin FROM head").fetchone()
            self.origin = row[0]
            connection.execute("DELETE FROM commands WHERE kept_at < ?", (self.core.clock() - COMMANDS_KEPT,))

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        cursor = connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        for statement in (*self.recorder.construct_create_table_statements(), *TABLES):
            cursor.execute(statement)
        self.rows.create(cursor)
        cursor.execute("INSERT OR IGNORE INTO head VALUES (1, ?, 0, x'', 0)", (secrets.token_hex(16),))
        cursor.execute(f"PRAGMA user_version = {SCHEMA}")
        cursor.execute("COMMIT")

    def _lock_path(self) -> Path:
        return self.path.with_suffix(".lock")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        self._open.append(connection)
        return connection

    def _writing(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def _reading(self) -> sqlite3.Cursor:
        self._after_fork()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            with storage_errors():
                connection = self._local.connection = self._connect()
        return connection.cursor()

    def _after_fork(self) -> None:
        """Start afresh in a forked child: its parent's connections are not its own."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._open, self._writer, self._local = [], None, threading.local()
            self._group = GroupCommit(self._run_batch)


def _attempt(waiting: Waiting, desk: SqliteDesk) -> tuple[Waiting, object, BaseException | None]:
    try:
        with storage_errors():
            return waiting, waiting.run(desk), None
    except BaseException as error:  # noqa: BLE001 (it is raised again where the work was handed in)
        return waiting, None, error


def _read_tip(cursor: sqlite3.Cursor) -> Tip:
    row = cursor.execute("SELECT size, frontier, recorded_at FROM head").fetchone()
    if row is None:
        msg = "the head of the ledger is missing — run `muniment fsck`, then restore the last good copy"
        raise CorruptError(msg)
    try:
        return Tip(Frontier(row[0], row[1]), row[2])
    except ValueError as error:
        msg = "the head of the ledger is damaged — run `muniment fsck`, then restore the last good copy"
        raise CorruptError(msg) from error


def _write_tip(cursor: sqlite3.Cursor, tip: Tip) -> None:
    cursor.execute(
        "UPDATE head SET size = ?, frontier = ?, recorded_at = ?",
        (tip.frontier.size, tip.frontier.roots(), tip.recorded_at),
    )


def _records(
    cursor: sqlite3.Cursor, after: int, until: int | None, stream: str | None = None, limit: int | None = None
) -> Iterator[Record]:
    """Read pages of events, so that no transaction stays open between them and memory stays bounded."""
    where = "rowid > ? AND rowid <= ?" + ("" if stream is None else " AND originator_id = ?")
    statement = f"SELECT {ORDER} FROM {TABLE} WHERE {where} ORDER BY rowid LIMIT ?"
    last = 2**62 if until is None else until
    left = 2**62 if limit is None else limit
    while left > 0:
        values = (after, last) if stream is None else (after, last, stream)
        page = cursor.execute(statement, (*values, min(PAGE, left))).fetchall()
        for row in page:
            yield Record(*row)
        if len(page) < PAGE:
            return
        after, left = page[-1][0], left - len(page)

