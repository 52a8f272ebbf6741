"""Blobs in a store of objects: large ones as objects of their own, small ones in packs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from heapq import merge
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from attrs import define, evolve, field, frozen

from muniment.adapters.blobs import absent, check_span, is_digest, object_of, verified
from muniment.adapters.blobs.packs.format import Span, TornError, spans_of
from muniment.adapters.blobs.packs.index import Location, PackIndex
from muniment.adapters.blobs.packs.putting import Putting
from muniment.adapters.blobs.packs.reading import ReadAhead
from muniment.adapters.blobs.packs.rewriting import rewrite
from muniment.adapters.blobs.packs.searching import search
from muniment.adapters.blobs.packs.writing import PACKS, is_unfinished
from muniment.domain.errors import CorruptError, MunimentError, NotFoundError, StorageError
from muniment.domain.evidence import Search
from muniment.domain.ports import BlobResult, BlobSource, ObjectStore, StoredObject
from muniment.domain.values import Digest, Micros

SMALL_BYTES: Final = 256 << 10
"""Up to which size blobs travel in packs: above it, a request of its own costs less than the bytes."""
FEW: Final = 16
"""Fewer small blobs than that, put together, are objects of their own: a pack for each version would be no gain."""
BLOBS: Final = "sha256/"
BATCH: Final = 4096
"""How many blobs go at once: a pack is written anew once for all of a batch that lie in it."""
ROUNDS: Final = 100
"""How often others may be faster; each time, one of them has made progress."""
BUSY: Final = "packs are made anew by others all the time — try again when they are done"


@frozen
class _Held:
    """What a pack holds of a blob, and whether that is what its name says."""

    content: bytes
    right: bool


@define(eq=False)
class PackedBlobStore:
    """Blobs in *objects*, with an *index* of the packs, and a folder for packs that are being made.

    The index is only a copy of what the footers of the packs say. Whoever must be sure lists the packs first.
    """

    objects: ObjectStore
    index: PackIndex
    spool: Path
    small: int = SMALL_BYTES
    few: int = FEW
    _ahead: ReadAhead = field(init=False)
    _bad: set[str] = field(init=False, factory=set)

    def __attrs_post_init__(self) -> None:
        self._ahead = ReadAhead(self.objects)

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        return Putting(self.objects, self.index, self.spool, self.small, self.few, self.refresh).put_many(blobs)

    def get(self, digest: Digest) -> bytes:
        if not is_digest(digest):
            raise absent(digest)
        packed = self._packed(digest)
        if packed is not None:
            return packed.content if packed.right else verified(digest, packed.content)
        with self._object(digest, 0, None) as file:
            return verified(digest, file.read())

    def open(self, digest: Digest, start: int = 0, length: int | None = None) -> BinaryIO:
        check_span(start, length)
        if not is_digest(digest):
            raise absent(digest)
        packed = self._packed(digest)
        if packed is not None:
            return BytesIO(packed.content[start:][:length])
        return self._object(digest, start, length)

    def missing(self, digests: Collection[Digest]) -> set[Digest]:
        self.refresh()
        valid = {digest for digest in digests if is_digest(digest)}
        left = valid.difference(self.index.held(valid))
        names = {object_of(digest): digest for digest in left}
        left.difference_update(names[name] for name in (self.objects.sizes(names) if names else ()))
        return left.union(digest for digest in digests if digest not in valid)

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        left = iter(digests)
        while batch := list(islice(left, BATCH)):
            with self.index.alone():
                results = self._delete({digest for digest in batch if is_digest(digest)})
            for digest in batch:
                yield results.pop(digest, BlobResult(digest, done=False))

    def list(self) -> Iterator[tuple[Digest, int]]:
        self.refresh()
        last = None
        for digest, size in merge(self._objects(), self.index.blobs()):
            if digest != last:
                yield digest, size
            last = digest

    def sweep(self, older_than: Micros) -> int:
        """Remove what interrupted puts and deletes left behind; return the bytes freed."""
        freed = self.objects.sweep(older_than) + self._sweep_spool(older_than)
        self.refresh()
        known = self.index.packs()
        failed = None
        for found in list(self.objects.list(PACKS)):
            dropped = found.name in known and known[found.name].dropped
            unfinished = found.name not in known and found.written_at < older_than and self._is_torn(found)
            if dropped or unfinished:
                try:
                    self._remove(found.name)
                    freed += found.size
                except StorageError as error:
                    failed = failed or error
        if failed is not None:
            raise failed
        return freed

    def verify(self) -> Iterator[str]:
        """Yield a line for each pack whose footer is damaged or is not what the index says."""
        self.refresh()
        known = self.index.packs()
        for found in self.objects.list(PACKS):
            try:
                spans = self._footer(found.name, found.size)
            except NotFoundError:
                continue  # it was rewritten meanwhile
            except CorruptError as error:
                yield f"{found.name} {error}"
                continue
            if found.name in known and not known[found.name].dropped:
                held = {(span.digest, span.length) for span in self.index.contents(found.name)}
                if held - {(span.digest, span.length) for span in spans}:
                    out = f"delete {self.index.file.name}, it is made again"
                    yield f"{found.name} does not hold what the index says — {out}"

    def search(self, digests: Collection[Digest]) -> Search:
        return search(self.objects, BLOBS, {digest for digest in digests if is_digest(digest)})

    def rebuild_index(self) -> int:
        """Make the index from the footers alone; return how many packs there are."""
        self.index.clear()
        self._bad.clear()
        self.refresh()
        return len(self.index.packs())

    def refresh(self) -> None:
        """Learn what packs came and went, whoever did it; again if one went, because what it held is elsewhere now."""
        for _ in range(ROUNDS):
            known = self.index.packs()
            listed = {found.name: found.size for found in self.objects.list(PACKS)}
            gone = [name for name in known if name not in listed]
            self.index.forget(gone)
            new = [name for name in listed if name not in known and name not in self._bad]
            if all(self._learn(name, listed[name]) for name in new) and not gone:
                return
        raise StorageError(BUSY)

    def _learn(self, name: str, size: int) -> bool:
        """Learn what lies in a pack; false if it is gone."""
        try:
            self.index.add(name, size, self._footer(name, size))
        except NotFoundError:
            return False
        except CorruptError:
            self._bad.add(name)  # verify tells of it
        return True

    def _footer(self, name: str, size: int) -> tuple[Span, ...]:
        return spans_of(size, lambda start, length: self.objects.read(name, start, length))

    def _packed(self, digest: Digest) -> _Held | None:
        """Return the bytes of a blob in a pack, right ones if there are any; ``None`` if it is in none.

        Where others move it at the same time, it is looked for again wherever it went.
        """
        for _ in range(ROUNDS):
            places = self.index.find(digest)
            held = self._look(digest, places)
            if held is not None and held.right:
                return held
            self._relearn({where.pack for where in places})
            if self.index.find(digest) == places:
                return held
        raise StorageError(BUSY)

    def _look(self, digest: Digest, places: Sequence[Location]) -> _Held | None:
        held = None
        for where in places:
            try:
                content = self._ahead.read(where)
            except NotFoundError:
                self._ahead.forget(where.pack)
                continue
            held = _Held(content, right=sha256(content).hexdigest() == digest)
            if held.right:
                break
        return held

    def _relearn(self, packs: set[str]) -> None:
        """Read the footers of packs again, in which something was not where it should be."""
        known = self.index.packs()
        for name in packs:
            if name in known:
                self._learn(name, known[name].size)
        self.refresh()

    def _object(self, digest: Digest, start: int, length: int | None) -> BinaryIO:
        try:
            return self.objects.open(object_of(digest), start, length)
        except NotFoundError:
            raise absent(digest) from None

    def _objects(self) -> Iterator[tuple[Digest, int]]:
        for found in self.objects.list(BLOBS):
            digest = found.name.rpartition("/")[2]
            if is_digest(digest) and found.name == object_of(Digest(digest)):
                yield Digest(digest), found.size

    def _delete(self, digests: set[Digest]) -> dict[Digest, BlobResult]:
        """Delete blobs wherever they lie."""
        results: dict[Digest, BlobResult] = {}
        for _ in range(ROUNDS):  # what another process rewrites at the same time is looked up once more
            self.refresh()
            held = self.index.held(digests)
            packs = {pack for packs in held.values() for pack in packs}
            if not packs:
                break
            for digest, where in held.items():
                before = results.get(digest, BlobResult(digest, rewritten=True))
                results[digest] = evolve(before, copies=before.copies + len(where))
            for pack in packs:
                try:
                    if rewrite(self.objects, self.index, self.spool, pack, digests):
                        self._remove(pack)
                except MunimentError as error:
                    for digest in (digest for digest, where in held.items() if pack in where):
                        results[digest] = BlobResult(digest, done=False, error=error)
            if any(result.error for result in results.values()):
                break
        else:
            for digest in self.index.held(digests):
                busy = StorageError(f"blob {digest} is being moved by others — collect again")
                results[digest] = BlobResult(digest, done=False, error=busy)
        self._delete_objects(digests, results)
        return results

    def _delete_objects(self, digests: set[Digest], results: dict[Digest, BlobResult]) -> None:
        names = {object_of(digest): digest for digest in sorted(digests)}
        there = self.objects.copies(names, BLOBS).found if names else {}
        for result in self.objects.delete_many(there):
            digest = names[result.name]
            packed = results.get(digest, BlobResult(digest, done=False))
            results[digest] = evolve(
                packed,
                done=result.done or packed.done,
                error=result.error or packed.error,
                copies=packed.copies + result.copies,
            )

    def _remove(self, pack: str) -> None:
        """Delete a pack that was dropped, or never was one."""
        self._ahead.forget(pack)
        for result in self.objects.delete_many([pack]):
            if result.error is not None:
                raise result.error
        self.index.forget([pack])

    def _is_torn(self, found: StoredObject) -> bool:
        try:
            self._footer(found.name, found.size)
        except TornError:
            return True
        except (CorruptError, NotFoundError):
            return False
        return False

    def _sweep_spool(self, older_than: Micros) -> int:
        freed = 0
        for path in self.spool.iterdir() if self.spool.is_dir() else ():
            if not is_unfinished(path.name):
                continue
            try:
                found = path.stat()
                if found.st_mtime_ns < older_than * 1000:
                    path.unlink()
                    freed += found.st_size
            except FileNotFoundError:
                continue  # its put ended meanwhile
            except OSError as error:
                msg = f"cannot remove what an interrupted put left behind: {error.strerror}"
                raise StorageError(msg) from error
        return freed
