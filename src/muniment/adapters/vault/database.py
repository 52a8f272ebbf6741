"""SQLite for secrets: files of mode 0600, deleted bytes overwritten, connections that never cross a fork."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final, Generic, Protocol, TypeVar, cast

from muniment.domain.errors import CorruptError, StorageError, StorageFullError

FORMAT: Final = 1
BUSY_SECONDS: Final = 60
_CORRUPT: Final = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}


class Closable(Protocol):
    """Something that is let go of."""

    def close(self) -> None:
        """Let go."""
        ...


T = TypeVar("T", bound=Closable)


class Opened(Generic[T]):
    """One thing that the threads of a process take turns with: opened at first use, closed before a fork.

    SQLite keeps what it knows of its locks in the process, so a connection that a child inherits would lie to both.
    """

    def __init__(self, opener: Callable[[], T]) -> None:
        self._opener = opener
        self._lock = Lock()
        self._thing: T | None = None
        _everything.add(cast("Opened[Closable]", self))

    @contextmanager
    def use(self) -> Iterator[T]:
        """Have the thing to oneself."""
        with self._lock:
            if self._thing is None:
                self._thing = self._opener()
            yield self._thing

    def close(self) -> None:
        """Let go of the thing; the next use opens it again."""
        with self._lock:
            self._let_go()

    def before_fork(self) -> None:
        """Wait until nobody uses the thing, and let go of it."""
        self._lock.acquire()
        self._let_go()

    def after_fork(self) -> None:
        """Let everybody go on, in the parent and in the child."""
        self._lock.release()

    def _let_go(self) -> None:
        thing, self._thing = self._thing, None
        if thing is not None:
            thing.close()


_everything: weakref.WeakSet[Opened[Closable]] = weakref.WeakSet()
_waiting: list[Opened[Closable]] = []


def _before_fork() -> None:
    _waiting.extend(_everything)
    for opened in _waiting:
        opened.before_fork()


def _after_fork() -> None:
    while _waiting:
        _waiting.pop().after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn what SQLite and the file system raise into errors of ours."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name == "SQLITE_FULL":
            raise _full(what) from error
        if any(name.startswith(corrupt) for corrupt in _CORRUPT):
            msg = f"{what} is damaged ({error}) — restore it from its backup"
            raise CorruptError(msg) from error
        if name.startswith("SQLITE_BUSY"):
            msg = f"another program kept {what} locked for a minute — end it and try again"
            raise StorageError(msg) from error
        msg = f"{what} cannot be used ({error}) — check its folder's owner, mode and free space"
        raise StorageError(msg) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _full(what) from error
        msg = f"{what} cannot be used ({error.strerror}) — check its folder's owner, mode and free space"
        raise StorageError(msg) from error


def _full(what: str) -> StorageFullError:
    return StorageFullError(f"no space is left for {what} — free some and try again")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at *path*: one process at a time."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def connect(path: Path, schema: tuple[str, ...]) -> sqlite3.Connection:
    """Open the database at *path*, and make it if it is new."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its -wal and -shm the same mode
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path.name, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, name: str, schema: tuple[str, ...]) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found not in {0, FORMAT}:
        msg = f"{name} has format {found}, this Muniment reads {FORMAT} — use a newer Muniment"
        raise StorageError(msg)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    if not found:
        connection.execute("PRAGMA journal_mode = WAL")
        with writing(connection):
            for statement in (*schema, f"PRAGMA user_version = {FORMAT}"):
                connection.execute(statement)


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock; keep all that is written, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have rolled it back already
            connection.execute("ROLLBACK")
        raise


def empty_wal(connection: sqlite3.Connection, what: str) -> None:
    """Write the log back into the database and cut it to nothing, so that no deleted byte stays in it."""
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        msg = f"{what} was busy for {BUSY_SECONDS} s, so deleted bytes are still in its log — do it again"
        raise StorageError(msg)
