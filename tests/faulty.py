"""A store between which and its user things go wrong: at one chosen call, in one chosen way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from io import BytesIO
from threading import Lock
from typing import BinaryIO, Final, Literal, TypeAlias

from attrs import define, evolve, field

from muniment.domain.errors import StorageError
from muniment.domain.evidence import Search
from muniment.domain.ports import (
    BlobResult,
    BlobSource,
    BlobStore,
    Copies,
    ObjectResult,
    ObjectSource,
    ObjectStore,
    StoredObject,
)
from muniment.domain.values import Digest, Micros

Fault: TypeAlias = Literal["refused", "throttled", "timeout", "lost", "cut"]
FAULTS: Final[tuple[Fault, ...]] = ("refused", "throttled", "timeout", "lost", "cut")
SAID: Final = {
    "refused": "the backend failed",
    "throttled": "the backend asks for fewer requests — try again later",
    "timeout": "the backend did not answer in time",
    "lost": "the answer was lost",
    "cut": "the body ended too early",
}
DONE: Final = frozenset({"lost", "timeout"})
"""What is done all the same, though nobody hears of it; of a body only a part comes."""


@define
class Plan:
    """Which of the next calls goes wrong (``None``: none), and how; counts the calls, an item of a batch as one."""

    call: int | None = None
    fault: Fault = "refused"
    count: int = 0
    _lock: Lock = field(factory=Lock, init=False)

    def arm(self, call: int | None, fault: Fault = "refused") -> None:
        """Count from the beginning again."""
        self.call, self.fault, self.count = call, fault, 0

    def next(self) -> Fault | None:
        """Return how this call goes wrong, if it does."""
        with self._lock:
            self.count += 1
            return self.fault if self.count - 1 == self.call else None

    def error(self) -> StorageError:
        """Return the error of a call that went wrong."""
        return StorageError(SAID[self.fault])

    def before(self) -> bool:
        """Raise where nothing is done; whether the answer of this call is lost."""
        fault = self.next()
        if fault is not None and fault not in DONE:
            raise self.error()
        return fault is not None

    def answer(self, *, lost: bool) -> None:
        """Raise where the answer is lost."""
        if lost:
            raise self.error()

    def body(self) -> Fault | None:
        """Return how the body of this call goes wrong, if it is not refused."""
        fault = self.next()
        if fault is not None and fault != "cut":
            raise self.error()
        return fault


class Cut(BytesIO):
    """A body that breaks off in the middle."""

    def __init__(self, content: bytes, plan: Plan) -> None:
        super().__init__(content[: len(content) // 2])
        self._plan = plan

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        if not block:
            raise self._plan.error()
        return block


@define
class FaultyObjectStore:
    """Any store of objects, with a fault at one call."""

    inner: ObjectStore
    plan: Plan

    def put_many(self, objects: Iterable[ObjectSource]) -> Iterator[ObjectResult]:
        for source in objects:
            fault = self.plan.next()
            if fault is None or fault in DONE:
                (result,) = self.inner.put_many([source])
                yield result if fault is None else evolve(result, done=False, error=self.plan.error())
            else:
                yield ObjectResult(source.name, done=False, error=self.plan.error())

    def read(self, name: str, start: int, length: int) -> bytes:
        self.plan.answer(lost=self.plan.body() is not None)
        return self.inner.read(name, start, length)

    def open(self, name: str, start: int = 0, length: int | None = None) -> BinaryIO:
        cut = self.plan.body()
        stream = self.inner.open(name, start, length)
        if cut is None:
            return stream
        with stream:
            return Cut(stream.read(), self.plan)

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        self.plan.answer(lost=self.plan.next() is not None)
        return self.inner.sizes(names)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        fault = self.plan.next()
        found = [*self.inner.list(prefix)]
        yield from found[: len(found) // 2] if fault else found
        self.plan.answer(lost=fault is not None)

    def delete_many(self, names: Iterable[str]) -> Iterator[ObjectResult]:
        for name in names:
            fault = self.plan.next()
            if fault is None or fault in DONE:
                (result,) = self.inner.delete_many([name])
                yield result if fault is None else evolve(result, done=False, error=self.plan.error())
            else:
                yield ObjectResult(name, done=False, error=self.plan.error())

    def copies(self, names: Collection[str], prefix: str) -> Copies:
        self.plan.answer(lost=self.plan.next() is not None)
        return self.inner.copies(names, prefix)

    def sweep(self, older_than: Micros) -> int:
        lost = self.plan.before()
        freed = self.inner.sweep(older_than)
        self.plan.answer(lost=lost)
        return freed


@define
class FaultyBlobStore:
    """Any store of blobs, with a fault at one call."""

    inner: BlobStore
    plan: Plan

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        for source in blobs:
            fault = self.plan.next()
            if fault is None or fault in DONE:
                (result,) = self.inner.put_many([source])
                yield result if fault is None else evolve(result, done=False, error=self.plan.error())
            else:
                yield BlobResult(source.digest, done=False, error=self.plan.error())

    def get(self, digest: Digest) -> bytes:
        self.plan.answer(lost=self.plan.body() is not None)
        return self.inner.get(digest)

    def open(self, digest: Digest, start: int = 0, length: int | None = None) -> BinaryIO:
        cut = self.plan.body()
        stream = self.inner.open(digest, start, length)
        if cut is None:
            return stream
        with stream:
            return Cut(stream.read(), self.plan)

    def missing(self, digests: Collection[Digest]) -> set[Digest]:
        self.plan.answer(lost=self.plan.next() is not None)
        return self.inner.missing(digests)

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        for digest in digests:
            fault = self.plan.next()
            if fault is None or fault in DONE:
                (result,) = self.inner.delete_many([digest])
                yield result if fault is None else evolve(result, done=False, error=self.plan.error())
            else:
                yield BlobResult(digest, done=False, error=self.plan.error())

    def list(self) -> Iterator[tuple[Digest, int]]:
        fault = self.plan.next()
        found = [*self.inner.list()]
        yield from found[: len(found) // 2] if fault else found
        self.plan.answer(lost=fault is not None)

    def sweep(self, older_than: Micros) -> int:
        lost = self.plan.before()
        freed = self.inner.sweep(older_than)
        self.plan.answer(lost=lost)
        return freed

    def verify(self) -> Iterator[str]:
        self.plan.answer(lost=self.plan.next() is not None)
        yield from self.inner.verify()

    def search(self, digests: Collection[Digest]) -> Search:
        self.plan.answer(lost=self.plan.next() is not None)
        return self.inner.search(digests)
