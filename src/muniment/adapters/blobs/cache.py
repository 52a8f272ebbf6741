"""A folder of blobs fetched from elsewhere: bounded, verified at every read, and safe to delete at any time."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from attrs import define, field, frozen

from muniment.adapters.blobs import check_span, is_digest, verified
from muniment.domain.errors import CorruptError, StorageError
from muniment.domain.ports import BlobResult, BlobSource, BlobStore
from muniment.domain.values import Digest, Micros

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LIMIT_BYTES: Final = 10 << 30
BUFFER_BYTES: Final = 1 << 20
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


@frozen
class _Kept:
    """A cached blob as the folder shows it."""

    used_at: int
    digest: Digest
    size: int
    path: str


class _InUse(RawIOBase):
    """The bytes of a cached blob, of which *length* may be read; until it is closed, no process evicts the blob."""

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


@define(eq=False)
class BlobCache:
    """Blobs by their digest in *folder*, at most *limit* bytes of them; those used longest ago go first.

    A blob that is open is locked (``flock``), so that no process evicts it. It is hashed before a byte of it is
    returned: one that is not what its name says is dropped and fetched again.
    Where the folder fails, blobs are fetched as if there were no cache, and a warning is logged.
    """

    folder: Path
    limit: int = LIMIT_BYTES
    _lock: Lock = field(init=False, factory=Lock)
    _credit: int = field(init=False, default=0)

    def open(self, digest: Digest, fetch: Fetch, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open the blob from *start*, fetching it whole unless it is here; what cannot be kept is passed on."""
        check_span(start, length)
        file = self._found(digest) or self._fetched(digest, fetch)
        if file is None:
            return fetch(start, length)
        file.seek(start)
        return BufferedReader(_InUse(file, length))

    def holds(self, digest: Digest) -> bool:
        """Whether the blob is here, as far as its name tells."""
        return is_digest(digest) and self._path(digest).exists()

    def forget(self, digest: Digest) -> None:
        """Remove a blob, in use or not."""
        if is_digest(digest):
            try:
                self._path(digest).unlink(missing_ok=True)
            except OSError as error:
                msg = f"the cache cannot let go of blob {digest}: {error.strerror}"
                raise StorageError(msg) from error

    def usage(self) -> CacheUsage:
        """Return what the cache holds now, of whatever process."""
        kept = list(self._kept())
        return CacheUsage(len(kept), sum(each.size for each in kept))

    def cleanup(self, target_bytes: int, *, dry_run: bool = False) -> int:
        """Evict blobs that nobody reads until *target_bytes* are left; return the bytes freed.

        With *dry_run* nothing is evicted, and the bytes are those that would be.
        """
        kept = sorted(self._kept(), key=lambda each: (each.used_at, each.digest))
        surplus = sum(each.size for each in kept) - target_bytes
        freed = 0
        for each in kept:
            if freed >= surplus:
                break
            with _unused(each.path) as unused:
                if unused:
                    if not dry_run:
                        self.forget(each.digest)
                    freed += each.size
        return freed

    def sweep(self, older_than: Micros, *, dry_run: bool = False) -> int:
        """Remove what interrupted fetches left behind before *older_than*; return the bytes freed, or that would be."""
        freed = 0
        for each in _files(self.folder / HALVES):
            if each.used_at < older_than * 1000:
                if not dry_run:
                    Path(each.path).unlink(missing_ok=True)
                freed += each.size
        return freed

    def _path(self, digest: Digest) -> Path:
        return self.folder / digest[:2] / digest

    def _found(self, digest: Digest) -> FileIO | None:
        """Open what is here if its bytes are right, and drop it if not."""
        if not self.holds(digest):
            return None
        try:
            file = FileIO(os.open(self._path(digest), os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            return None  # another process evicted it
        except OSError as error:
            _warn(error)
            return None
        try:
            _use(file)
            if _hash(file) == digest:
                os.utime(file.fileno())
                return file
            _LOG.warning("blob %s is damaged in the cache, so it is fetched again", digest)
            self._path(digest).unlink(missing_ok=True)
        except OSError as error:
            _warn(error)
        file.close()
        return None

    def _fetched(self, digest: Digest, fetch: Fetch) -> FileIO | None:
        """Fetch a blob into the cache and open it; ``None`` if it cannot be kept."""
        if not is_digest(digest):
            return None
        half = self.folder / HALVES / token_hex(16)
        try:
            for folder in (self.folder, half.parent, self._path(digest).parent):
                folder.mkdir(0o700, parents=True, exist_ok=True)
            file = FileIO(os.open(half, NEW, 0o600), "w+")
            _use(file)
        except OSError as error:
            _warn(error)
            return None
        kept = False
        try:
            kept = self._copied(digest, fetch, file) and self._published(digest, half, file)
        finally:
            if not kept:
                file.close()
                half.unlink(missing_ok=True)
        return file if kept else None

    def _copied(self, digest: Digest, fetch: Fetch, file: FileIO) -> bool:
        """Copy and check a blob; false if it is larger than the cache or the folder fails."""
        found, size = sha256(), 0
        with fetch(0, None) as source:
            while chunk := source.read(BUFFER_BYTES):
                found.update(chunk)
                size += len(chunk)
                if size > self.limit:
                    return False
                try:
                    _write(file, memoryview(chunk))
                except OSError as error:
                    _warn(error)
                    return False
        if found.hexdigest() != digest:
            msg = f"blob {digest} is damaged — run fsck, restore it from a copy"
            raise CorruptError(msg)
        return True

    def _published(self, digest: Digest, half: Path, file: FileIO) -> bool:
        """Give a fetched blob its name; false if the folder fails."""
        try:
            size = file.tell()
            half.replace(self._path(digest))
        except OSError as error:
            _warn(error)
            return False
        with self._lock:
            self._credit -= size
            full = self._credit < 0
        if full:
            self._make_room()
        return True

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
            _warn(error)

    def _kept(self) -> Iterator[_Kept]:
        try:
            folders = sorted(entry.name for entry in os.scandir(self.folder) if entry.name != HALVES)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unreadable(error) from error
        for name in folders:
            yield from (each for each in _files(self.folder / name) if is_digest(each.digest))


def _use(file: FileIO) -> None:
    """Say that a blob is being read, for as long as the file is open; where nothing can be locked, nothing is said."""
    with suppress(OSError):
        fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)


@contextmanager
def _unused(path: str) -> Iterator[bool]:
    """Whether no process has the blob open; while this is asked, none begins to."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False  # another process evicted it
        return
    except OSError as error:
        raise _unreadable(error) from error
    try:
        yield _is_free(file)
    finally:
        os.close(file)


def _is_free(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # nothing can be locked here: what is evicted while it is read stays readable until it is closed
        return True
    return True


def _files(folder: Path) -> Iterator[_Kept]:
    """Yield the files of a folder; one that another process removes meanwhile is none."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    found = entry.stat()
                    yield _Kept(found.st_mtime_ns, Digest(entry.name), found.st_size, entry.path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> StorageError:
    return StorageError(f"the cache cannot be read: {error.strerror}")


def _hash(file: FileIO) -> str:
    found = sha256()
    with memoryview(bytearray(BUFFER_BYTES)) as view:
        while count := file.readinto(view):
            found.update(view[:count])
    return found.hexdigest()


def _write(file: FileIO, content: memoryview) -> None:
    while content:
        content = content[file.write(content) :]


def _warn(error: Exception) -> None:
    _LOG.warning("the cache failed, so blobs are fetched without it: %s", getattr(error, "strerror", None) or error)


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
        with self.cache.open(digest, partial(self.inner.open, digest)) as file:
            return verified(digest, file.read())

    def open(self, digest: Digest, start: int = 0, length: int | None = None) -> BinaryIO:
        if (start, length) == (0, None) or self.cache.holds(digest):
            return self.cache.open(digest, partial(self.inner.open, digest), start, length)
        return self.inner.open(digest, start, length)

    def missing(self, digests: Collection[Digest]) -> set[Digest]:
        return self.inner.missing(digests)

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        for result in self.inner.delete_many(digests):
            self.cache.forget(result.digest)
            yield result

    def list(self) -> Iterator[tuple[Digest, int]]:
        return self.inner.list()

    def sweep(self, older_than: Micros) -> int:
        return self.cache.sweep(older_than) + self.inner.sweep(older_than)

    def verify(self) -> Iterator[str]:
        return self.inner.verify()
