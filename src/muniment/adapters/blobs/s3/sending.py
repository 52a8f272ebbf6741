"""What is to be sent: the bytes of a source, hashed first, so that the server can verify what arrives."""

from __future__ import annotations

import io
import os
import stat
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5, sha256
from io import BytesIO, RawIOBase
from typing import TYPE_CHECKING, BinaryIO, Final

from attrs import define, field, frozen

from muniment.domain.errors import CorruptError, StorageError
from muniment.domain.ports import ObjectSource

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MEBIBYTE: Final = 1 << 20
MOST_PARTS: Final = 10_000


@frozen
class Part:
    """A stretch of the bytes to send, numbered from 1, and their hashes."""

    number: int
    start: int
    length: int
    sha256: bytes
    md5: bytes

    @property
    def checksum(self) -> str:
        """The SHA-256, as S3 writes it."""
        return b64encode(self.sha256).decode()

    @property
    def etag(self) -> str:
        """What most servers call these bytes."""
        return self.md5.hex()

    def checks(self, *, verifies: bool) -> dict[str, str]:
        """Return the header by which the server verifies them: SHA-256, or MD5 where it knows no better."""
        return {"ChecksumSHA256": self.checksum} if verifies else {"ContentMD5": b64encode(self.md5).decode()}


@define(eq=False)
class Content:
    """The bytes of a source, readable from anywhere by several threads."""

    source: ObjectSource
    _file: int = field(default=-1)

    def body(self, part: Part) -> BinaryIO:
        """Return the bytes of a part for one request."""
        if self._file < 0:
            return BytesIO((self.source.content or b"")[part.start : part.start + part.length])
        self._check(os.fstat(self._file).st_size == self.source.size)  # else the server would wait for the rest
        return io.BufferedReader(_Stretch(self._file, part), MEBIBYTE)

    def parts(self, part_bytes: int) -> list[Part]:
        """Read it all and cut it into parts; CorruptError if it is not what was announced."""
        parts, whole = [], sha256()
        for number, start in enumerate(range(0, max(self.source.size, 1), part_bytes), 1):
            length = min(part_bytes, self.source.size - start)
            strong, weak, left = sha256(), md5(usedforsecurity=False), length
            for block in self._blocks(start, length):
                for each in (whole, strong, weak):
                    each.update(block)
                left -= len(block)
            self._check(left == 0)
            parts.append(Part(number, start, length, strong.digest(), weak.digest()))
        found = os.fstat(self._file).st_size if self._file >= 0 else len(self.source.content or b"")
        self._check(found == self.source.size)
        self._check(self.source.digest in {None, whole.hexdigest()})
        return parts

    def _blocks(self, start: int, length: int) -> Iterator[bytes | memoryview]:
        if self._file < 0:
            yield memoryview(self.source.content or b"")[start : start + length]
            return
        while length and (block := os.pread(self._file, min(length, MEBIBYTE), start)):
            yield block
            start, length = start + len(block), length - len(block)

    def _check(self, fits: bool) -> None:  # noqa: FBT001 (a condition reads best as one)
        if not fits:
            announced = f"{self.source.size} bytes" + (" of one SHA-256" if self.source.digest else "")
            msg = f"object {self.source.name} is not what was announced, {announced} — the file changed, log it again"
            raise CorruptError(msg)


@contextmanager
def opened(source: ObjectSource) -> Iterator[Content]:
    """Open what a source names."""
    if source.path is None:
        yield Content(source)
        return
    try:
        file = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(source, error) from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            msg = f"cannot read what object {source.name} is to hold: it is no file"
            raise StorageError(msg)
        yield Content(source, file)
    except OSError as error:
        raise _unreadable(source, error) from error
    finally:
        os.close(file)


def part_bytes(size: int, least: int) -> int:
    """Return how large the parts of an object are: the same for equal sizes, so that an upload can be taken up."""
    fits = -(-size // MOST_PARTS)
    return least if fits <= least else -(-fits // MEBIBYTE) * MEBIBYTE


class _Stretch(RawIOBase):
    """Some bytes of a file, by their own position: others may read the same file."""

    def __init__(self, file: int, part: Part) -> None:
        self._file = file
        self._part = part
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.length}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with memoryview(buffer).cast("B") as view:
            left = max(0, self._part.length - self._at)
            count = os.preadv(self._file, [view[:left]], self._part.start + self._at) if left else 0
        self._at += count
        return count


def _unreadable(source: ObjectSource, error: OSError) -> StorageError:
    msg = f"cannot read what object {source.name} is to hold: {error.strerror} — the file changed, log it again"
    return StorageError(msg)
