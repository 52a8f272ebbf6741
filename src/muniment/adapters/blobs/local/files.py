"""What the operating system does for objects in a folder: copying, linking, listing, and making it durable."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from io import FileIO, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muniment.domain.errors import StorageError
from muniment.domain.ports import ObjectSource

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES: Final = 1 << 20
MUST_RENAME: Final = frozenset({errno.EEXIST, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


class Span(RawIOBase):
    """The next *length* bytes of a file."""

    def __init__(self, file: FileIO, length: int) -> None:
        self._file = file
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with memoryview(buffer) as view:
            count = self._file.readinto(view[: self._left])
        self._left -= count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def make(folder: str) -> None:
    """Make a folder for its owner alone, durably, unless it is there."""
    if not os.path.isdir(folder):  # noqa: PTH112 (text in, text out)
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)  # noqa: PTH102
        if not os.path.isdir(folder):  # noqa: PTH112
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        sync_file(folder.rpartition("/")[0] or "/")


def copied(source: ObjectSource, target: FileIO) -> tuple[str, int]:
    """Copy a file, hashing on the way; return digest and size of what was read."""
    found, size = sha256(), 0
    buffer = bytearray(min(BUFFER_BYTES, source.size + 1))
    with _readable(source) as file, memoryview(buffer) as view:
        while count := file.readinto(view):
            found.update(view[:count])
            write(target, view[:count])
            size += count
    return found.hexdigest(), size


def _readable(source: ObjectSource) -> FileIO:
    try:
        return FileIO(source.path or "")
    except OSError as error:
        msg = f"cannot read what {source.name} is to hold: {error.strerror} — the file changed, log it again"
        raise StorageError(msg) from error


def write(file: FileIO, content: memoryview) -> None:
    """Write all of it, however little the system takes at a time."""
    while content:
        content = content[file.write(content) :]


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
