"""Where each blob lies: a SQLite file that can be lost, because the packs' footers say the same."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock
from time import monotonic, sleep
from typing import Final, TypeVar

from attrs import define, field, frozen

from muniment.adapters.blobs.packs.format import Span
from muniment.domain.errors import StorageError, StorageFullError
from muniment.domain.values import Digest

T = TypeVar("T")

VERSION: Final = 1
WAIT_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.01
ASKED: Final = 500
PAGE: Final = 4096
LOST: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
"""What SQLite says of a file that is worth nothing any more."""

SCHEMA: Final = f"""
DROP TABLE IF EXISTS packs;
DROP TABLE IF EXISTS blobs;
CREATE TABLE packs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, dropped INTEGER NOT NULL);
CREATE TABLE blobs (
    digest BLOB NOT NULL, pack INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY (digest, pack)) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""


@frozen
class Location:
    """Where a blob lies: in which pack, and where there."""

    pack: str
    start: int
    length: int


@frozen
class Known:
    """What the index knows of a pack; one that was dropped is about to be deleted."""

    size: int
    dropped: bool


@frozen(eq=False)
class _Line:
    """A connection, one for each process that the index came to by forking, and the lock for its threads."""

    lock: RLock = field(factory=RLock)
    connection: list[sqlite3.Connection] = field(factory=list)


@define(eq=False)
class PackIndex:
    """The packs of a store and what is in them, in *file*, for several threads and processes at once.

    A file that SQLite cannot read any more is made afresh.
    """

    file: Path
    _lines: dict[int, _Line] = field(init=False, factory=dict)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only thread and process with this index that rewrites packs.

        Otherwise one learns the pack that another has just put, before that one has taken its place in the index, and
        carries on what is being deleted from it.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def packs(self) -> dict[str, Known]:
        """Return all packs that are known, dropped ones too."""
        return self._attempt(
            lambda connection: {
                name: Known(size, bool(dropped))
                for name, size, dropped in connection.execute("SELECT name, size, dropped FROM packs")
            }
        )

    def find(self, digest: Digest) -> list[Location]:
        """Return where a blob lies; usually in one place."""
        return self._attempt(
            lambda connection: [
                Location(*row)
                for row in connection.execute(
                    "SELECT name, start, length FROM blobs JOIN packs ON id = pack WHERE digest = ? ORDER BY pack",
                    (bytes.fromhex(digest),),
                )
            ]
        )

    def held(self, digests: Collection[Digest]) -> dict[Digest, list[str]]:
        """Return those of *digests* that lie in packs, and in which."""

        def look(connection: sqlite3.Connection) -> dict[Digest, list[str]]:
            found: dict[Digest, list[str]] = {}
            if connection.execute("SELECT 1 FROM blobs LIMIT 1").fetchone():
                for asked in _chunks(digests):
                    marks = ",".join("?" * len(asked))
                    query = f"SELECT digest, name FROM blobs JOIN packs ON id = pack WHERE digest IN ({marks})"  # noqa: S608
                    for digest, name in connection.execute(query, asked):
                        found.setdefault(Digest(digest.hex()), []).append(name)
            return found

        return self._attempt(look)

    def contents(self, pack: str) -> tuple[Span, ...]:
        """Return what lies in a pack, in its order."""
        return self._attempt(
            lambda connection: tuple(
                Span(Digest(digest.hex()), start, length)
                for digest, start, length in connection.execute(
                    "SELECT digest, start, length FROM blobs WHERE pack = (SELECT id FROM packs WHERE name = ?)"
                    " ORDER BY start, length",
                    (pack,),
                )
            )
        )

    def blobs(self) -> Iterator[tuple[Digest, int]]:
        """Yield the digest and size of every blob that lies in a pack, in the order of the digests."""
        after = b""
        while page := self._page(after):
            for digest, length in page:
                yield Digest(digest.hex()), length
            after = page[-1][0]

    def add(self, pack: str, size: int, spans: Sequence[Span]) -> set[Digest]:
        """Learn what lies in a pack, unless it was dropped; return what lay in no pack known before it."""
        rows = sorted((bytes.fromhex(span.digest), span.start, span.length) for span in spans)

        def learn(connection: sqlite3.Connection) -> set[Digest]:
            with _writing(connection):
                number = _insert(connection, pack, size, rows)
                if number is None:
                    return set()
                old: set[bytes] = set()
                for asked in _chunks([span.digest for span in spans]):
                    marks = ",".join("?" * len(asked))
                    query = f"SELECT digest FROM blobs WHERE digest IN ({marks}) AND pack < ?"  # noqa: S608
                    old.update(digest for (digest,) in connection.execute(query, [*asked, number]))
            return {Digest(row[0].hex()) for row in rows if row[0] not in old}

        return self._attempt(learn)

    def swap(self, old: str, new: tuple[str, int, Sequence[Span]] | None) -> bool:
        """Drop a pack and learn what took its place, at once; false if it had been dropped already."""

        def exchange(connection: sqlite3.Connection) -> bool:
            with _writing(connection):
                row = connection.execute("SELECT id FROM packs WHERE name = ? AND NOT dropped", (old,)).fetchone()
                if row is None:
                    return False
                if new is not None:
                    name, size, spans = new
                    rows = sorted((bytes.fromhex(span.digest), span.start, span.length) for span in spans)
                    _insert(connection, name, size, rows)
                connection.execute("DELETE FROM blobs WHERE pack = ?", row)
                connection.execute("UPDATE packs SET dropped = 1 WHERE id = ?", row)
            return True

        return self._attempt(exchange)

    def forget(self, packs: Collection[str]) -> None:
        """Forget packs that are not there any more."""

        def let_go(connection: sqlite3.Connection) -> None:
            with _writing(connection):
                for pack in packs:
                    connection.execute("DELETE FROM blobs WHERE pack = (SELECT id FROM packs WHERE name = ?)", (pack,))
                    connection.execute("DELETE FROM packs WHERE name = ?", (pack,))

        if packs:
            self._attempt(let_go)

    def clear(self) -> None:
        """Forget everything."""

        def wipe(connection: sqlite3.Connection) -> None:
            with _writing(connection):
                connection.execute("DELETE FROM blobs")
                connection.execute("DELETE FROM packs")

        self._attempt(wipe)

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        line = self._line()
        with line.lock:
            _disconnect(line)

    def _page(self, after: bytes) -> list[tuple[bytes, int]]:
        query = "SELECT digest, min(length) FROM blobs WHERE digest > ? GROUP BY digest ORDER BY digest LIMIT ?"
        return self._attempt(lambda connection: connection.execute(query, (after, PAGE)).fetchall())

    def _line(self) -> _Line:
        process = os.getpid()
        return self._lines.get(process) or self._lines.setdefault(process, _Line())

    def _attempt(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Act; again if the file was damaged and is made afresh, and for a while if others hold it."""
        line = self._line()
        deadline, lost = monotonic() + WAIT_SECONDS, False
        with line.lock:
            while True:
                try:
                    return self._act(line, act)
                except sqlite3.DatabaseError as error:
                    _disconnect(line)
                    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                    if code in LOST and not lost:
                        lost = True
                        for suffix in ("", "-wal", "-shm"):
                            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
                    elif code == sqlite3.SQLITE_BUSY and monotonic() < deadline:
                        sleep(PAUSE_SECONDS)  # while a file is opened or closed, SQLite does not wait by itself
                    else:
                        raise _failed(error) from error

    def _act(self, line: _Line, act: Callable[[sqlite3.Connection], T]) -> T:
        if not line.connection:
            line.connection.append(_connected(self.file))
        return act(line.connection[0])


def _connected(file: Path) -> sqlite3.Connection:
    try:
        file.parent.mkdir(0o700, parents=True, exist_ok=True)
        file.touch(0o600)
    except OSError as error:
        msg = f"the index of packs cannot be made: {error.strerror}"
        raise StorageError(msg) from error
    connection = sqlite3.connect(file, WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes from it, the footers give back
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA cache_size = -512")  # KiB
        if _version(connection) != VERSION:
            with _writing(connection):
                if _version(connection) != VERSION:  # another process may have been faster
                    for statement in SCHEMA.split(";"):
                        connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _disconnect(line: _Line) -> None:
    while line.connection:
        line.connection.pop().close()


def _failed(error: sqlite3.Error) -> StorageError:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFullError("no space is left for the index of packs — free some, or run gc")
    return StorageError(f"the index of packs failed: {error}")


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _insert(connection: sqlite3.Connection, pack: str, size: int, rows: Iterable[tuple[bytes, int, int]]) -> int | None:
    """Learn what lies in a pack, and return its number; ``None`` if it was dropped."""
    connection.execute("INSERT OR IGNORE INTO packs (name, size, dropped) VALUES (?, ?, 0)", (pack, size))
    with closing(connection.execute("SELECT id, dropped FROM packs WHERE name = ?", (pack,))) as cursor:
        number, dropped = cursor.fetchone()
    if dropped:
        return None
    connection.executemany(
        "INSERT OR REPLACE INTO blobs (pack, digest, start, length) VALUES (?, ?, ?, ?)",
        ((number, *row) for row in rows),
    )
    return int(number)


def _chunks(digests: Iterable[Digest]) -> Iterator[list[bytes]]:
    asked = [bytes.fromhex(digest) for digest in digests]
    for at in range(0, len(asked), ASKED):
        yield asked[at : at + ASKED]
