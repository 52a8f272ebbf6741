"""SQLite files that forget: what was deleted goes from free pages and from the log too."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from attrs import frozen

from muniment.domain.errors import CorruptError, StorageError, StorageFullError
from muniment.domain.values import Residual

WAIT_SECONDS: Final = 20.0
BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
"""What SQLite says where another connection is in the way."""


@frozen
class SqliteFiles:
    """Files of SQLite, those of *paths* that are there."""

    paths: Callable[[], Iterable[Path]]
    wait: float = WAIT_SECONDS

    def scrub(self) -> Iterator[Residual]:
        """Write each file anew from what it still holds, and cut its log to nothing; yield those that could not be."""
        for path in dict.fromkeys(self.paths()):
            if path.exists() and not self._scrubbed(path):
                yield Residual(path.name, "another program was using it — do it again when that has ended")

    def _scrubbed(self, path: Path) -> bool:
        try:
            uri = f"{path.absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(uri, self.wait, uri=True, isolation_level=None)) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA temp_store = MEMORY")  # nothing of it goes to the folder for scratch files
                connection.execute("VACUUM")
                (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in BUSY:
                return False
            raise _failed(path, code, error) from error
        return not busy


def _failed(path: Path, code: int, error: sqlite3.Error) -> StorageError:
    if code == sqlite3.SQLITE_FULL:
        return StorageFullError(f"no space is left to write {path.name} anew — free some and try again")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return CorruptError(f"{path.name} is damaged ({error}) — restore it from its backup")
    return StorageError(f"{path.name} cannot be written anew ({error}) — check its folder's owner, mode and free space")
