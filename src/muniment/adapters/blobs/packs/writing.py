"""Making a pack: contents are appended to a file of our own, which then becomes the pack."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Final, Self

from attrs import define, field, frozen

from muniment.adapters.blobs import check_put, is_digest, refused
from muniment.adapters.blobs.packs.format import Span, footer
from muniment.domain.errors import CorruptError, StorageError
from muniment.domain.ports import BlobSource, ObjectSource

PACKS: Final = "packs/"
BUFFER_BYTES: Final = 1 << 20
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_SPOOLED: Final = re.compile(r"[0-9a-f]{32}")
READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def new_name() -> str:
    """Return a name that no pack had before."""
    return PACKS + token_hex(16)


def is_unfinished(name: str) -> bool:
    """Whether a file may be a pack that was being made; what else lies in the folder is none of ours."""
    return _SPOOLED.fullmatch(name) is not None


@define(eq=False)
class Spool:
    """A pack while it is made; whoever does not ``finish`` it leaves nothing behind."""

    folder: Path
    spans: list[Span] = field(init=False, factory=list)
    size: int = field(init=False, default=0)
    _path: str = field(init=False, default="")
    _file: int = field(init=False, default=-1)
    _waiting: list[bytes] = field(init=False, factory=list)
    _held: int = field(init=False, default=0)

    def __enter__(self) -> Self:
        self.folder.mkdir(0o700, parents=True, exist_ok=True)
        self._path = f"{self.folder}/{token_hex(16)}"
        self._file = os.open(self._path, NEW, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        with suppress(FileNotFoundError):  # it became a pack
            os.unlink(self._path)  # noqa: PTH108 (text in, text out)

    def add(self, span: Span, content: bytes) -> None:
        """Append a content, which was *span* elsewhere."""
        self.spans.append(Span(span.digest, self.size, span.length))
        self.size += span.length
        self._waiting.append(content)
        self._held += len(content)
        if self._held >= BUFFER_BYTES:
            self._write()

    def finish(self) -> ObjectSource:
        """Return what is to be put: the contents and their footer."""
        end = footer(self.spans)
        self._waiting.append(end)
        self._write()
        return ObjectSource(new_name(), self.size + len(end), path=self._path, movable=True)

    def _write(self) -> None:
        content = memoryview(b"".join(self._waiting))
        while content:
            content = content[os.write(self._file, content) :]
        self._waiting.clear()
        self._held = 0


@frozen
class Bundle:
    """A file that holds the contents of several blobs, one after the other, and may become a pack as it is."""

    path: str
    sources: list[BlobSource]

    def spans(self) -> list[Span] | None:
        """Return what lies where in it, or ``None`` if not all of it is spoken for."""
        spans = sorted({Span(each.digest, each.start or 0, each.size) for each in self.sources}, key=_place)
        end = 0
        for span in spans:
            if span.start != end or not is_digest(span.digest):
                return None
            end = span.end
        found = os.lstat(self.path)
        return spans if found.st_size == end and stat.S_ISREG(found.st_mode) else None

    def finish(self, spans: list[Span]) -> ObjectSource:
        """Give it the footer that makes it a pack, and return what is to be put."""
        end = footer(spans)
        with open(self.path, "ab", buffering=0) as file:  # noqa: PTH123 (text in, text out)
            written = file.write(end)
        size = spans[-1].end + len(end)
        if written != len(end):
            os.truncate(self.path, spans[-1].end)
            msg = "no room was left for the footer of a pack"
            raise StorageError(msg)
        return ObjectSource(new_name(), size, path=self.path, movable=True)


def _place(span: Span) -> tuple[int, int]:
    return (span.start, span.end)


def content_of(source: BlobSource) -> bytes:
    """Return what a small blob is to hold, checked."""
    if not is_digest(source.digest):
        msg = f"{source.digest!r} is no SHA-256 of anything — name blobs by 64 lowercase hexadecimal characters"
        raise CorruptError(msg)
    if source.path is None or (source.start is not None and not source.size):
        content = bytes(source.content or b"")
    else:
        with _readable(source) as file:
            content = b"".join(_blocks(file, source))
    check_put(source, sha256(content).hexdigest(), len(content))
    return content


def _blocks(file: int, source: BlobSource) -> Iterator[bytes]:
    """Read a file, or its part, and one byte more than announced if there is one."""
    left = source.size + (source.start is None)
    if source.start:
        os.lseek(file, source.start, os.SEEK_SET)
    while left and (block := os.read(file, left)):
        left -= len(block)
        yield block


@contextmanager
def _readable(source: BlobSource) -> Iterator[int]:
    try:
        file = os.open(source.path or "", READ)
    except OSError as error:
        msg = f"cannot read what blob {source.digest} is to hold: {error.strerror} — the file changed, log it again"
        raise StorageError(msg) from error
    try:
        yield file
    except OSError as error:
        raise refused(source.digest, error) from error
    finally:
        os.close(file)
