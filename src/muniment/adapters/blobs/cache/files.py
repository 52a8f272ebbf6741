"""The files of a cache: which are there, who reads them, and what happens to them."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Final

from attrs import frozen

from muniment.domain.errors import StorageError

BUFFER_BYTES: Final = 1 << 20


@frozen
class Shown:
    """A file as the folder shows it."""

    used_at: int
    name: str
    size: int
    path: str


def use(file: FileIO) -> None:
    """Say that a blob is being read, for as long as the file is open; where nothing can be locked, nothing is said."""
    with suppress(OSError):
        fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)


@contextmanager
def unused(path: str) -> Iterator[bool]:
    """Whether no process has the blob open; while this is asked, none begins to."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False  # another process evicted it
        return
    except OSError as error:
        raise unreadable(error) from error
    try:
        yield _is_free(file)
    finally:
        os.close(file)


def _is_free(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # nothing can be locked here: what is evicted while it is read stays readable until it is closed
        return True
    return True


def files(folder: Path) -> Iterator[Shown]:
    """Yield the files of a folder; one that another process removes meanwhile is none, nor is what is no file."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    found = entry.stat()
                    if not stat.S_ISREG(found.st_mode):
                        continue
                    yield Shown(found.st_mtime_ns, entry.name, found.st_size, entry.path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(error) from error


def unreadable(error: OSError) -> StorageError:
    """Say that the folder cannot be looked through."""
    return StorageError(f"the cache cannot be read: {error.strerror}")


def touch(file: FileIO) -> None:
    """Say that a blob was used now; where that cannot be said, it goes earlier."""
    with suppress(OSError):
        os.utime(file.fileno())


def removed(path: str) -> bool:
    """Remove a file; whether it was there."""
    try:
        Path(path).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        msg = f"the cache cannot let go of blob {Path(path).name[:64]}: {error.strerror}"
        raise StorageError(msg) from error
    return True


def hash_of(file: FileIO) -> str:
    """Return the SHA-256 of what is left of a file."""
    found = sha256()
    with memoryview(bytearray(BUFFER_BYTES)) as view:
        while count := file.readinto(view):
            found.update(view[:count])
    return found.hexdigest()
