"""Files that hold a secret key: made once, readable by their owner only, and refused when others could read them."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from muniment.domain.errors import CorruptError, KeyFileError, StorageError, StorageFullError

_LARGEST = 64 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def create(path: Path, content: bytes) -> None:
    """Write a new key file, whole or not at all; KeyFileError if there is one already."""
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        try:
            _write(fresh, content)
            os.link(fresh, path)  # as exclusive as O_EXCL, and nobody ever sees half a key
        finally:
            fresh.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError as error:
        msg = f"key file {path} is there already — it is never overwritten; move it away to make another"
        raise KeyFileError(msg) from error
    except OSError as error:
        raise _unwritten(path, error) from error


def read(path: Path) -> bytes:
    """Return the bytes of a key file; KeyFileError if it is missing, unreadable, or open to others."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                msg = f"key file {path} is not a file — name another place"
                raise KeyFileError(msg)
            if found.st_mode & _OTHERS:
                msg = f"key file {path} can be used by others than its owner — chmod 600 {path}"
                raise KeyFileError(msg)
            return file.read(_LARGEST)
    except FileNotFoundError as error:
        msg = f"key file {path} is missing — put it back from its backup, or name the place where it is"
        raise KeyFileError(msg) from error
    except OSError as error:
        msg = f"key file {path} cannot be read ({error.strerror}) — check its owner and mode"
        raise KeyFileError(msg) from error


def read_text(path: Path) -> str | None:
    """Return the text of a file that stands beside a key, ``None`` if there is none; CorruptError if it is no text."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        msg = f"{path} is damaged: it is no text — put it back from its backup"
        raise CorruptError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}) — check its owner and mode"
        raise KeyFileError(msg) from error


def overwrite(path: Path, content: bytes) -> None:
    """Write a file that may be there already, readable by its owner only; a reader sees the old or the new bytes."""
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        try:
            _write(fresh, content)
            move(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritten(path, error) from error


def move(path: Path, to: Path) -> None:
    """Put a file in the place of another one, durably."""
    try:
        path.replace(to)
        _sync_folder(to.parent)
    except OSError as error:
        raise _unwritten(to, error) from error


def make_folder(path: Path) -> None:
    """Make a folder that only its owner may look into, unless it is there."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritten(path, error) from error


def exists(path: Path) -> bool:
    """Whether anything is there, even a link that leads nowhere."""
    return os.path.lexists(path)


def _unwritten(path: Path, error: OSError) -> StorageError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFullError(f"no space is left for {path} — free some and try again")
    return KeyFileError(
        f"{path} cannot be made or written ({error.strerror}) — check its folder, or name another place"
    )


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
