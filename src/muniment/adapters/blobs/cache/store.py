"""A folder of blobs fetched from elsewhere: bounded, verified at every read, and safe to delete at any time."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from hashlib import sha256
from io import BufferedReader, FileIO
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import BinaryIO, Final, TypeAlias

from attrs import define, evolve, field, frozen

from muniment.adapters.blobs import Span, check_span, is_digest
from muniment.adapters.blobs.cache.files import (
    BUFFER_BYTES,
    Shown,
    files,
    hash_of,
    removed,
    touch,
    unreadable,
    unused,
    use,
)
from muniment.adapters.blobs.cache.streams import Half, Kept
from muniment.domain.errors import StorageError
from muniment.domain.evidence import Search
from muniment.domain.ports import BlobResult, BlobSource, BlobStore
from muniment.domain.values import Digest, Micros

END_OF_TIME: Final = 1 << 62
LIMIT_BYTES: Final = 10 << 30
HALVES: Final = "tmp"
NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

Fetch: TypeAlias = Callable[[int, int | None], BinaryIO]
"""How to read a blob where it comes from: from a byte on, so many bytes or all the rest."""

_LOG = logging.getLogger(__name__)


@frozen
class CacheUsage:
    """How many blobs a cache holds, and their bytes."""

    blobs: int
    size: int


@define(eq=False)
class BlobCache:
    """Blobs by their digest in *folder*, at most *limit* bytes of them; those used longest ago go first.

    A blob that is open is locked (``flock``), so that no process evicts it. It is hashed before a byte of it is
    returned: one that is not what its name says is dropped and fetched again. What is fetched is kept once all of it
    was read and is right. With the limit 0 nothing is kept or read.
    Where the folder fails, blobs are fetched as if there were no cache, and a warning is logged, once.
    """

    folder: Path
    limit: int = LIMIT_BYTES
    _lock: Lock = field(init=False, factory=Lock)
    _credit: int = field(init=False, default=0)
    _has_warned: bool = field(init=False, default=False)

    def around(self, blobs: BlobStore) -> BlobStore:
        """Return the same blobs, read through the cache."""
        return blobs if self.limit == 0 or isinstance(blobs, CachedBlobStore) else CachedBlobStore(blobs, self)

    def get(self, digest: Digest, fetch: Callable[[], bytes]) -> bytes:
        """Return a small blob whole and verified, from *fetch* unless it is here, which verifies it itself."""
        content = self._read(digest)
        if content is not None:
            return content
        half = self._begin(digest)
        try:
            content = fetch()
        except BaseException:
            half.drop()
            raise
        half.write(content)
        half.end()
        return content

    def open(self, digest: Digest, fetch: Fetch, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open the blob from *start*; a whole one that is not here is kept while it is read, part of one is not.

        What is fetched is not checked on the way: whoever reads it must.
        """
        check_span(start, length)
        file = self._found(digest)
        if file is not None:
            file.seek(start)
            return BufferedReader(Span(file, length))  # while it is open, no process evicts the blob
        if (start, length) != (0, None):
            return fetch(start, length)
        half = self._begin(digest)
        try:
            source = fetch(0, None)
        except BaseException:
            half.drop()
            raise
        return BufferedReader(Kept(source, half), BUFFER_BYTES) if half.file else source

    def holds(self, digest: Digest) -> bool:
        """Whether the blob is here, as far as its name tells."""
        return is_digest(digest) and Path(self._path(digest)).exists()

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        """Remove blobs, in use or being fetched or not, yielding a result per item.

        Who deletes them where they come from does so before: then none that was fetched earlier stays.
        """
        for digest in digests:
            try:
                yield BlobResult(digest, done=is_digest(digest) and self._forget(digest))
            except StorageError as error:
                yield BlobResult(digest, done=False, error=error)

    def _forget(self, digest: Digest) -> bool:
        """Remove a blob and what is being fetched of it; whether there was anything."""
        halves = [each.path for each in files(self.folder / HALVES) if each.name.startswith(digest)]
        return sum(removed(path) for path in (*halves, self._path(digest))) > 0

    def usage(self) -> CacheUsage:
        """Return what the cache holds now, of whatever process."""
        kept = list(self._kept())
        return CacheUsage(len(kept), sum(each.size for each in kept))

    def cleanup(self, target_bytes: int, *, dry_run: bool = False) -> int:
        """Evict blobs that nobody reads until *target_bytes* are left; return the bytes freed.

        With *dry_run* nothing is evicted, and the bytes are those that would be.
        """
        kept = sorted(self._kept(), key=lambda each: (each.used_at, each.name))
        surplus = sum(each.size for each in kept) - target_bytes
        freed = 0
        for each in kept:
            if freed >= surplus:
                break
            with unused(each.path) as is_free:
                if is_free:
                    if not dry_run:
                        removed(each.path)
                    freed += each.size
        return freed

    def clear(self) -> bool:
        """Evict all that nobody reads, and what is being fetched; whether nothing is left."""
        self.cleanup(0)
        self.sweep(END_OF_TIME)
        return self.usage().blobs == 0

    def sweep(self, older_than: Micros, *, dry_run: bool = False) -> int:
        """Remove what interrupted fetches left behind before *older_than*; return the bytes freed, or that would be."""
        freed = 0
        for each in files(self.folder / HALVES):
            if each.used_at < older_than * 1000:
                if not dry_run:
                    removed(each.path)
                freed += each.size
        return freed

    def _path(self, digest: Digest) -> str:
        return f"{self.folder}/{digest[:2]}/{digest}"

    def _opened(self, digest: Digest) -> FileIO | None:
        """Open what is here, whatever it holds, and say that it is in use."""
        if not is_digest(digest):
            return None
        try:
            file = FileIO(os.open(self._path(digest), os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            return None
        except OSError as error:
            self.warn(error)
            return None
        use(file)
        return file

    def _read(self, digest: Digest) -> bytes | None:
        """Return what is here if its bytes are right, and drop it if not."""
        file = self._opened(digest)
        if file is None:
            return None
        with file:
            try:
                content = file.read()
            except OSError as error:
                self.warn(error)
                return None
            if sha256(content).hexdigest() == digest:
                touch(file)
                return content
        self._drop(digest)
        return None

    def _found(self, digest: Digest) -> FileIO | None:
        """Open what is here if its bytes are right, and drop it if not."""
        file = self._opened(digest)
        if file is None:
            return None
        try:
            if hash_of(file) == digest:
                touch(file)
                return file
            self._drop(digest)
        except OSError as error:
            self.warn(error)
        file.close()
        return None

    def _drop(self, digest: Digest) -> None:
        _LOG.warning("blob %s is damaged in the cache, so it is fetched again", digest)
        try:
            Path(self._path(digest)).unlink(missing_ok=True)
        except OSError as error:
            self.warn(error)

    def _begin(self, digest: Digest) -> Half:
        """Make room to keep a blob while it is fetched."""
        half = Half(digest, f"{self.folder}/{HALVES}/{digest}-{token_hex(8)}", self)
        if is_digest(digest):
            try:
                half.file = self._made(half.path)
                use(half.file)
            except OSError as error:
                self.warn(error)
        return half

    def _made(self, path: str) -> FileIO:
        try:
            made = os.open(path, NEW, 0o600)
        except FileNotFoundError:
            for folder in (self.folder, self.folder / HALVES):
                folder.mkdir(0o700, parents=True, exist_ok=True)
            made = os.open(path, NEW, 0o600)
        return FileIO(made, "w")

    def publish(self, half: Half) -> None:
        """Give a fetched blob its name; one that was let go of meanwhile gets none."""
        try:
            if not self._is_named(half):
                return
        except OSError as error:
            self.warn(error)
            half.remove()
            return
        with self._lock:
            self._credit -= half.size
            full = self._credit < 0
        if full:
            self._make_room()

    def _is_named(self, half: Half) -> bool:
        path = self._path(half.digest)
        for _ in range(2):
            try:
                os.replace(half.path, path)  # noqa: PTH105 (texts: there are many small blobs)
            except FileNotFoundError:
                Path(path).parent.mkdir(0o700, exist_ok=True)
            else:
                return True
        return False

    def _make_room(self) -> None:
        """Look the folder through and evict an eighth more than needed: not every added blob pays for a look."""
        slack = self.limit // 8
        try:
            size = self.usage().size
            if size > self.limit:
                size -= self.cleanup(self.limit - slack)
            with self._lock:
                self._credit = max(0, min(self.limit - size, slack))
        except StorageError as error:
            self.warn(error)

    def warn(self, error: Exception) -> None:
        """Say once that the cache failed."""
        if not self._has_warned:
            self._has_warned = True
            reason = getattr(error, "strerror", None) or error
            _LOG.warning("the cache failed, so blobs are fetched without it: %s", reason)

    def _kept(self) -> Iterator[Shown]:
        try:
            with os.scandir(self.folder) as found:
                folders = sorted(entry.name for entry in found if entry.name != HALVES and entry.is_dir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise unreadable(error) from error
        for name in folders:
            yield from (each for each in files(self.folder / name) if is_digest(each.name))


@frozen
class CachedBlobStore:
    """A blob store that keeps what was read from *inner* in a *cache*; everything else goes to *inner*.

    Reading part of a blob that is not cached fetches just that part and keeps nothing.
    """

    inner: BlobStore
    cache: BlobCache

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        return self.inner.put_many(blobs)

    def get(self, digest: Digest) -> bytes:
        return self.cache.get(digest, partial(self.inner.get, digest))

    def open(self, digest: Digest, start: int = 0, length: int | None = None) -> BinaryIO:
        return self.cache.open(digest, partial(self.inner.open, digest), start, length)

    def missing(self, digests: Collection[Digest]) -> set[Digest]:
        return self.inner.missing(digests)

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        for result in self.inner.delete_many(digests):
            failures = [each.error for each in self.cache.delete_many([result.digest]) if each.error is not None]
            yield evolve(result, error=result.error or failures[0]) if failures else result

    def list(self) -> Iterator[tuple[Digest, int]]:
        return self.inner.list()

    def sweep(self, older_than: Micros) -> int:
        return self.cache.sweep(older_than) + self.inner.sweep(older_than)

    def verify(self) -> Iterator[str]:
        return self.inner.verify()

    def search(self, digests: Collection[Digest]) -> Search:
        return self.inner.search(digests)
