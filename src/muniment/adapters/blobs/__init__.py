"""Where bytes lie, named by their SHA-256: one file per technology."""

from __future__ import annotations

import errno
import re
from hashlib import sha256
from io import FileIO, RawIOBase
from typing import TYPE_CHECKING

from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, StorageError, StorageFullError
from muniment.domain.ports import BlobSource, ObjectSource
from muniment.domain.values import Digest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_DIGEST = re.compile(r"[0-9a-f]{64}")
_OBJECT = re.compile(r"(?!tmp/)[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def is_digest(text: str) -> bool:
    """Whether this can be the name of a blob."""
    return _DIGEST.fullmatch(text) is not None


def object_of(digest: str) -> str:
    """Return the name of the object that holds a blob alone."""
    return f"sha256/{digest[:2]}/{digest}"


def is_name(text: str) -> bool:
    """Whether this can be the name of an object; what is being put, or begins with a dot, is none."""
    return _OBJECT.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Refuse what cannot be the name of an object."""
    if not is_name(name):
        msg = f"{name!r} cannot be the name of an object — use ASCII parts joined by /"
        raise InvalidValueError(msg)


def absent(digest: Digest) -> NotFoundError:
    """Say that a blob is not here."""
    return NotFoundError(f"no blob {digest} — restore it from a copy, or log its version again")


def refused(what: str, error: OSError) -> StorageError:
    """Translate what the operating system said about something stored, leaving out where the store lies."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        full = StorageFullError(f"no space is left for {what} — free some, or run gc")
        full.__cause__ = error
        return full
    failed = StorageError(f"the store failed at {what}: {error.strerror or type(error).__name__}")
    failed.__cause__ = error
    return failed


def verified(digest: Digest, content: bytes) -> bytes:
    """Return *content* if it is what its name says, else raise CorruptError."""
    if sha256(content).hexdigest() != digest:
        msg = f"blob {digest} is damaged — run fsck, restore it from a copy"
        raise CorruptError(msg)
    return content


def check_put(source: BlobSource, digest: str, size: int) -> None:
    """Refuse bytes that are not what they were announced to be."""
    if digest != source.digest or size != source.size:
        msg = f"blob {source.digest} of {source.size} bytes turned out as {size} bytes — the file changed, log it again"
        raise CorruptError(msg)


def check_object(source: ObjectSource, digest: str, size: int) -> None:
    """Refuse an object that is not what it was announced to be; without an announced digest its size must do."""
    if size != source.size or digest != (source.digest or digest):
        msg = f"{source.name} of {source.size} bytes turned out as {size} other bytes — the file changed, log it again"
        raise CorruptError(msg)


def check_span(start: int, length: int | None) -> None:
    """Refuse to read from before the beginning."""
    if start < 0 or (length is not None and length < 0):
        msg = f"cannot read {length} bytes from {start} — neither may be negative"
        raise InvalidValueError(msg)


class Span(RawIOBase):
    """The next *length* bytes of a file, or all the rest; the file is open as long as this is."""

    def __init__(self, file: FileIO, length: int | None) -> None:
        self._file = file
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with memoryview(buffer) as view:
            count = self._file.readinto(view[: self._left])
        if self._left is not None:
            self._left -= count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def write_all(file: FileIO, content: memoryview) -> None:
    """Write all of it, however little the system takes at a time."""
    while content:
        content = content[file.write(content) :]
