"""Blobs while they are read: from the cache, or from elsewhere on their way into it."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from io import FileIO, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from attrs import define, field

from muniment.adapters.blobs import write_all
from muniment.domain.values import Digest

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

    from _typeshed import WriteableBuffer


class Keeper(Protocol):
    """The cache that a blob is on its way into."""

    limit: int

    def publish(self, half: Half) -> None:
        """Give a fetched blob its name."""
        ...

    def warn(self, error: Exception) -> None:
        """Say that the cache failed."""
        ...


@define(eq=False)
class Half:
    """A blob on its way into the cache; without a *file* nothing of it is kept."""

    digest: Digest
    path: str
    keeper: Keeper
    file: FileIO | None = None
    size: int = 0
    _hashing: Hash = field(init=False, factory=sha256)

    def write(self, content: bytes) -> None:
        """Keep more of the blob, unless it is too large or the folder fails."""
        if self.file is None:
            return
        self._hashing.update(content)
        self.size += len(content)
        if self.size > self.keeper.limit:
            self.drop()
            return
        try:
            write_all(self.file, memoryview(content))
        except OSError as error:
            self.keeper.warn(error)
            self.drop()

    def end(self) -> None:
        """Keep the blob if all of it is here and right."""
        if self.file is None:
            return
        if self._hashing.hexdigest() != self.digest:
            self.drop()
            return
        try:
            self.keeper.publish(self)
        finally:
            self.file.close()
            self.file = None

    def drop(self) -> None:
        """Keep nothing of the blob."""
        if self.file is not None:
            self.file.close()
            self.file = None
            self.remove()

    def remove(self) -> None:
        """Remove what was kept so far; what cannot be removed is left to a sweep."""
        with suppress(OSError):
            Path(self.path).unlink(missing_ok=True)


class Kept(RawIOBase):
    """The bytes of a blob as they come from elsewhere, kept on the way."""

    def __init__(self, source: BinaryIO, half: Half) -> None:
        self._source = source
        self._half = half

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with memoryview(buffer).cast("B") as view:
            block = self._source.read(len(view))
            view[: len(block)] = block
        self._half.write(block)
        return len(block)

    def close(self) -> None:
        if not self.closed:
            try:
                self._source.close()
            finally:
                self._half.end()
        super().close()
