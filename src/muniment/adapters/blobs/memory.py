"""Blobs in memory: the reference for every other store, and what tests use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from attrs import field, frozen

from muniment.adapters.blobs import absent, check_name, check_object, check_put, check_span, refused, verified
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError
from muniment.domain.evidence import Check, Copy, CopyKind, Search
from muniment.domain.ports import BlobResult, BlobSource, Copies, ObjectResult, ObjectSource, StoredObject
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
        if source.start is not None:
            content = content[source.start :][: source.size]
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
            done = self.held.pop(digest, None) is not None
            yield BlobResult(digest, done=done, copies=int(done))

    def list(self) -> Iterator[tuple[Digest, int]]:
        with self._lock:
            held = sorted((digest, len(content)) for digest, content in self.held.items())
        return iter(held)

    def sweep(self, older_than: Micros) -> int:  # noqa: ARG002 (no put leaves anything behind here)
        return 0

    def verify(self) -> Iterator[str]:
        return iter(())

    def search(self, digests: Collection[Digest]) -> Search:
        there = [digest for digest in digests if digest in self.held]
        return Search(tuple(Copy(digest, CopyKind.OBJECT) for digest in there), (Check.MEMORY,))

    def _content(self, digest: Digest) -> bytes:
        try:
            return self.held[digest]
        except KeyError:
            raise absent(digest) from None


@frozen(eq=False)
class MemoryObjectStore:
    """Objects in a dictionary; *written* says when each was put."""

    clock: Callable[[], Micros] = lambda: 0
    held: dict[str, bytes] = field(factory=dict, repr=False)
    written: dict[str, Micros] = field(factory=dict, repr=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def put_many(self, objects: Iterable[ObjectSource]) -> Iterator[ObjectResult]:
        return map(self._result, objects)

    def read(self, name: str, start: int, length: int) -> bytes:
        check_span(0, length)
        content = self._content(name)
        begin = start if start >= 0 else max(0, len(content) + start)
        return content[begin:][:length]

    def open(self, name: str, start: int = 0, length: int | None = None) -> BinaryIO:
        check_span(start, length)
        return BytesIO(self._content(name)[start:][:length])

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        return {name: len(self.held[name]) for name in names if name in self.held}

    def list(self, prefix: str) -> Iterator[StoredObject]:
        with self._lock:
            found = [
                StoredObject(name, len(content), self.written.get(name, 0))
                for name, content in sorted(self.held.items())
                if name.startswith(prefix)
            ]
        return iter(found)

    def delete_many(self, names: Iterable[str]) -> Iterator[ObjectResult]:
        for name in names:
            done = self.held.pop(name, None) is not None
            yield ObjectResult(name, done=done, copies=int(done))

    def copies(self, names: Collection[str], prefix: str) -> Copies:  # noqa: ARG002 (nothing hides here)
        return Copies({name: (CopyKind.OBJECT,) for name in names if name in self.held}, Check.MEMORY)

    def sweep(self, older_than: Micros) -> int:  # noqa: ARG002 (no put leaves anything behind here)
        return 0

    def _result(self, source: ObjectSource) -> ObjectResult:
        try:
            return ObjectResult(source.name, done=self._put(source))
        except (CorruptError, InvalidValueError) as error:
            return ObjectResult(source.name, done=False, error=error)
        except OSError as error:
            return ObjectResult(source.name, done=False, error=refused(source.name, error))

    def _put(self, source: ObjectSource) -> bool:
        check_name(source.name)
        content = bytes(source.content or b"") if source.path is None else Path(source.path).read_bytes()
        check_object(source, sha256(content).hexdigest(), len(content))
        with self._lock:
            if len(self.held.get(source.name, b"")) == len(content) and source.name in self.held:
                return False
            self.held[source.name] = content
            self.written[source.name] = self.clock()
            return True

    def _content(self, name: str) -> bytes:
        try:
            return self.held[name]
        except KeyError:
            msg = f"no object {name}"
            raise NotFoundError(msg) from None
