"""What the operating system does for objects in a folder: copying, linking, listing, and making it durable."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Final

from muniment.adapters.blobs import write_all
from muniment.domain.errors import StorageError
from muniment.domain.ports import ObjectSource

BUFFER_BYTES: Final = 1 << 20
MUST_RENAME: Final = frozenset({errno.EEXIST, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


FICLONE: Final = 0x40049409
"""The request of Linux to let two files share their blocks until one is changed (a reflink)."""


def make(folder: str) -> None:
    """Make a folder for its owner alone, durably, unless it is there."""
    if not os.path.isdir(folder):  # noqa: PTH112 (text in, text out)
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)  # noqa: PTH102
        if not os.path.isdir(folder):  # noqa: PTH112
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        sync_file(folder.rpartition("/")[0] or "/")


def copied(source: ObjectSource, target: FileIO) -> tuple[str, int]:
    """Copy a file, hashing on the way; return digest and size of what was read.

    Where the file system can share blocks nothing is written, and what is shared is what is hashed.
    """
    with _readable(source) as file:
        if cloned(file.fileno(), target.fileno()):
            return hashed(target, source.size)
        return hashed(file, source.size, target)


def hashed(file: FileIO, expected: int, target: FileIO | None = None) -> tuple[str, int]:
    """Read to the end and return digest and size; what is read is also written to *target*."""
    found, size = sha256(), 0
    with memoryview(bytearray(min(BUFFER_BYTES, expected + 1))) as view:
        while count := file.readinto(view):
            found.update(view[:count])
            if target is not None:
                write_all(target, view[:count])
            size += count
    return found.hexdigest(), size


def cloned(file: int, target: int) -> bool:
    """Let an empty *target* share the blocks of *file*; false where that cannot be, and then nothing was done."""
    try:
        fcntl.ioctl(target, FICLONE, file)
    except OSError:
        return False  # another file system, or one that shares no blocks: copying says what else is wrong
    return True


def second_name(file: str, name: str) -> bool:
    """Give a file a second name; false where that cannot be: another file system, too many names, not our file."""
    try:
        os.link(file, name, follow_symlinks=False)
    except OSError:
        return False  # copying says what else is wrong
    return True


def _readable(source: ObjectSource) -> FileIO:
    try:
        return FileIO(source.path or "")
    except OSError as error:
        msg = f"cannot read what {source.name} is to hold: {error.strerror} — the file changed, log it again"
        raise StorageError(msg) from error


def sync_file(path: str) -> None:
    """Wait until a file or a folder is on the disk."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def link(file: str, target: str, size: int) -> bool:
    """Give *file* the name *target*, unless a good object has it."""
    try:
        os.link(file, target)
    except OSError as error:
        if error.errno not in MUST_RENAME:
            raise
        there = Path(target)
        if there.exists() and there.stat().st_size == size:
            return False
        Path(file).replace(there)
    else:
        os.unlink(file)  # noqa: PTH108 (a Path for each would cost as much again)
    return True


def names_in(folder: Path) -> Sequence[str]:
    """Return what a folder holds, in order; nothing if it is not there."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 (a Path for each would cost more than the listing)
    except FileNotFoundError:
        return ()
    except OSError as error:
        msg = f"cannot list what is stored: {error.strerror}"
        raise StorageError(msg) from error
