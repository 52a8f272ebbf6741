"""What SQLite reports, in the words of our error tree."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from muniment.domain.errors import CorruptError, StorageError, StorageFullError

_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}

_TAKEN = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn the database's errors into ours; the cause keeps the original. Wrong use of it stays what it is."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.DatabaseError as error:
        raise _ours(error) from error


def _ours(error: sqlite3.DatabaseError) -> StorageError:
    found = getattr(error, "sqlite_errorcode", None)
    if found is None:  # of Python's own: it would quote what it cannot decode
        what = "a column does not hold what it should"
        return damaged(what)
    code = found & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFullError("no space left for the ledger — free some and try again; nothing was recorded")
    if code in _UNWRITABLE:
        return StorageError("the ledger cannot be written here — check the permissions of its file and folder")
    if code in _TAKEN:
        return StorageError("another program kept the ledger locked for a minute — end it and try again")
    if code == sqlite3.SQLITE_NOMEM:
        return StorageError("there is not enough memory for the ledger — end something else and try again")
    if code == sqlite3.SQLITE_IOERR:
        return StorageError(f"the ledger could not be read or written ({error}) — check the disk")
    return damaged(error)


def damaged(what: object) -> CorruptError:
    """Return the error for a ledger file that does not hold what it should."""
    return CorruptError(f"the ledger is damaged ({what}) — run `muniment fsck`, then restore the last good copy")
