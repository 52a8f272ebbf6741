"""Blobs in memory: the reference for every other store, and what tests use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from attrs import field, frozen

from muniment.adapters.blobs import absent, check_put, check_span, refused, verified
from muniment.domain.errors import CorruptError
from muniment.domain.ports import BlobResult, BlobSource
from muniment.domain.values import Digest, Micros


@frozen(eq=False)
class MemoryBlobStore:
    """Blobs in a dictionary."""

    held: dict[Digest, bytes] = field(factory=dict, repr=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        return map(self._result, blobs)

    def _result(self, source: BlobSource) -> BlobResult:
        try:
            return BlobResult(source.digest, done=self._put(source))
        except CorruptError as error:
            return BlobResult(source.digest, done=False, error=error)
        except OSError as error:
            return BlobResult(source.digest, done=False, error=refused(source.digest, error))

    def _put(self, source: BlobSource) -> bool:
        content = bytes(source.content or b"") if source.path is None else Path(source.path).read_bytes()
        check_put(source, sha256(content).hexdigest(), len(content))
        with self._lock:
            new = source.digest not in self.held
            self.held.setdefault(source.digest, content)
            return new

    def get(self, digest: Digest) -> bytes:
        return verified(digest, self._content(digest))

    def open(self, digest: Digest, start: int = 0, length: int | None = None) -> BinaryIO:
        check_span(start, length)
        return BytesIO(self._content(digest)[start:][:length])

    def missing(self, digests: Collection[Digest]) -> set[Digest]:
        return {digest for digest in digests if digest not in self.held}

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        for digest in digests:
            yield BlobResult(digest, done=self.held.pop(digest, None) is not None)

    def list(self) -> Iterator[tuple[Digest, int]]:
        with self._lock:
            held = sorted((digest, len(content)) for digest, content in self.held.items())
        return iter(held)

    def sweep(self, older_than: Micros) -> int:  # noqa: ARG002 (no put leaves anything behind here)
        return 0

    def _content(self, digest: Digest) -> bytes:
        try:
            return self.held[digest]
        except KeyError:
            raise absent(digest) from None
