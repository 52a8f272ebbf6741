"""Blobs as files of a local folder: ``sha256/ab/<digest>``, written beside in ``tmp`` and linked into place."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from io import BufferedReader, FileIO, RawIOBase
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

from attrs import define, frozen

from muniment.adapters.blobs import absent, check_put, check_span, is_digest, refused, verified
from muniment.domain.errors import CorruptError, MunimentError, StorageError
from muniment.domain.ports import BlobResult, BlobSource
from muniment.domain.values import Digest, Micros

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")

BATCH_FILES: Final = 1024
WORTH_LISTING: Final = 8
LISTED_BYTES: Final = 1024
"""How large a folder may be, for each blob looked for in it, to be listed: about ten names."""
BATCH_BYTES: Final = 64 << 20
BUFFER_BYTES: Final = 1 << 20
SYNC_THREADS: Final = 8
BLOBS: Final = "sha256"
HALVES: Final = "tmp"
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
MUST_RENAME: Final = frozenset({errno.EEXIST, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


@define
class _Pending:
    """A blob on its way in: its file (``None``: stored already), whether that is ours to remove, what came of it."""

    source: BlobSource
    file: str | None = None
    ours: bool = False
    done: bool = False
    error: Exception | None = None

    def attempt(self, act: Callable[[_Pending], None]) -> None:
        """Do the next step, unless one failed; a failure stays with this blob."""
        if self.error is None:
            try:
                act(self)
            except MunimentError as error:
                self.error = error
                self.drop()
            except OSError as error:
                self.error = refused(self.source.digest, error)
                self.drop()

    def drop(self) -> None:
        """Remove the file if it is ours and did not become a blob, so that others find room."""
        if self.ours and not self.done and self.file is not None:
            with suppress(OSError):  # a sweep removes what cannot be removed now
                Path(self.file).unlink()


@frozen
class LocalBlobStore:
    """Blobs in a folder of this machine, ``folder`` itself holding ``sha256`` and ``tmp``."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> LocalBlobStore:
        """Open the store in *folder*, making it if need be."""
        try:
            for path in [*reversed(folder.parents), folder, folder / BLOBS, folder / HALVES]:
                if not path.is_dir():
                    path.mkdir(0o700, exist_ok=True)
                    _sync_file(str(path.parent))
        except OSError as error:
            msg = f"cannot make the folder for blobs: {error.strerror} — choose one that may be written"
            raise StorageError(msg) from error
        return cls(folder)

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        for batch in _batches(blobs):
            yield from self._put_batch(batch)

    def get(self, digest: Digest) -> bytes:
        if not is_digest(digest):
            raise absent(digest)
        try:
            with FileIO(self._path(digest)) as file:
                content = file.read()
        except FileNotFoundError:
            raise absent(digest) from None
        except OSError as error:
            raise refused(digest, error) from error
        return verified(digest, content)

    def open(self, digest: Digest, start: int = 0, length: int | None = None) -> BinaryIO:
        check_span(start, length)
        if not is_digest(digest):
            raise absent(digest)
        try:
            file = FileIO(self._path(digest))
            file.seek(start)
        except FileNotFoundError:
            raise absent(digest) from None
        except OSError as error:
            raise refused(digest, error) from error
        return BufferedReader(file if length is None else _Span(file, length))

    def missing(self, digests: Collection[Digest]) -> set[Digest]:
        folders: dict[str, list[Digest]] = {}
        for digest in digests:
            folders.setdefault(digest[:2] if is_digest(digest) else "", []).append(digest)
        missing: set[Digest] = set(folders.pop("", ()))
        for prefix, wanted in folders.items():
            if self._is_short(prefix, len(wanted)):
                missing |= set(wanted).difference(_names(self.folder / BLOBS / prefix))
            else:
                missing.update(digest for digest in wanted if self._size(digest) is None)
        return missing

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        left = iter(digests)
        while batch := [_Pending(BlobSource(digest, 0)) for digest in islice(left, BATCH_FILES)]:
            for blob in batch:
                blob.attempt(self._remove)
            self._sync_folders([blob for blob in batch if blob.done])
            yield from map(_result, batch)

    def list(self) -> Iterator[tuple[Digest, int]]:
        for prefix in _names(self.folder / BLOBS):
            for name in _names(self.folder / BLOBS / prefix):
                size = self._size(Digest(name))
                if size is not None:
                    yield Digest(name), size

    def sweep(self, older_than: Micros) -> int:
        freed = 0
        for name in _names(self.folder / HALVES):
            path = self.folder / HALVES / name
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

    def _is_short(self, prefix: str, wanted: int) -> bool:
        """Whether a folder is listed in less time than so many of its files are looked up one by one."""
        if wanted < WORTH_LISTING:
            return False
        try:
            size = os.stat(f"{self.folder}/{BLOBS}/{prefix}").st_size  # noqa: PTH116 (text in, text out)
        except OSError:
            return False  # looking them up will say why
        return size <= wanted * LISTED_BYTES

    def _path(self, digest: str) -> str:
        return f"{self.folder}/{BLOBS}/{digest[:2]}/{digest}"

    def _size(self, digest: Digest) -> int | None:
        if not is_digest(digest):
            return None
        try:
            return os.stat(self._path(digest)).st_size  # noqa: PTH116 (a Path for each would cost as much again)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(digest, error) from error

    def _put_batch(self, batch: Sequence[_Pending]) -> Iterator[BlobResult]:
        try:
            for blob in batch:
                blob.attempt(self._stage)
            _spread(lambda blob: blob.attempt(_sync), batch)
            for blob in batch:
                blob.attempt(self._publish)
            self._sync_folders([blob for blob in batch if blob.error is None])
        finally:
            for blob in batch:
                blob.drop()
        return map(_result, batch)

    def _stage(self, blob: _Pending) -> None:
        source = blob.source
        if not is_digest(source.digest):
            msg = f"{source.digest!r} is no SHA-256 of anything — name blobs by 64 lowercase hexadecimal characters"
            raise CorruptError(msg)
        if self._size(source.digest) == source.size:
            return
        if source.movable and source.path is not None:
            found = os.lstat(source.path)
            if stat.S_ISREG(found.st_mode):
                check_put(source, source.digest, found.st_size)
                blob.file = source.path
                return
        self._copy(blob)

    def _copy(self, blob: _Pending) -> None:
        blob.file, blob.ours = f"{self.folder}/{HALVES}/{token_hex(16)}", True
        with FileIO(os.open(blob.file, NEW, 0o600), "wb") as file:
            if blob.source.path is None:
                content = blob.source.content or b""
                check_put(blob.source, sha256(content).hexdigest(), len(content))
                _write(file, memoryview(content))
            else:
                check_put(blob.source, *_copied(blob.source, file))

    def _publish(self, blob: _Pending) -> None:
        if blob.file is None:
            return
        try:
            blob.done = self._place(blob.file, blob.source)
        except OSError as error:
            if error.errno != errno.EXDEV or blob.ours:
                raise
            self._copy(blob)  # a movable file turned out to lie on another file system
            _sync(blob)
            blob.done = self._place(blob.file, blob.source)

    def _place(self, file: str, source: BlobSource) -> bool:
        target = self._path(source.digest)
        try:
            return _link(file, target, source.size)
        except FileNotFoundError:
            Path(target).parent.mkdir(0o700, exist_ok=True)
            return _link(file, target, source.size)

    def _remove(self, blob: _Pending) -> None:
        if self._size(blob.source.digest) is not None:
            Path(self._path(blob.source.digest)).unlink(missing_ok=True)
            blob.done = True

    def _sync_folders(self, blobs: Sequence[_Pending]) -> None:
        """Make the names of *blobs* durable, or their absence, whoever changed them."""
        touched: dict[str, list[_Pending]] = {"": list(blobs)} if blobs else {}
        for blob in blobs:
            touched.setdefault(blob.source.digest[:2], []).append(blob)

        def sync(prefix: str) -> None:
            try:
                _sync_file(f"{self.folder}/{BLOBS}/{prefix}")
            except OSError as error:
                for blob in touched[prefix]:
                    blob.error = refused(blob.source.digest, error)

        _spread(sync, tuple(touched))


class _Span(RawIOBase):
    """The next *length* bytes of a file."""

    def __init__(self, file: FileIO, length: int) -> None:
        self._file = file
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with memoryview(buffer) as view:
            count = self._file.readinto(view[: self._left])
        self._left -= count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _batches(blobs: Iterable[BlobSource]) -> Iterator[list[_Pending]]:
    """Cut a stream of blobs so that neither their number nor the bytes waiting for the disk grow without bounds."""
    batch: list[_Pending] = []
    held = 0
    for source in blobs:
        batch.append(_Pending(source))
        held += source.size
        if len(batch) >= BATCH_FILES or held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _spread(act: Callable[[T], None], items: Sequence[T]) -> None:
    """Do it to every item, waiting for the disk in a few threads; each takes a share, not an item."""
    if len(items) < SYNC_THREADS:
        _each(act, items)
        return
    with ThreadPoolExecutor(SYNC_THREADS) as pool:
        shares = (items[at::SYNC_THREADS] for at in range(SYNC_THREADS))
        for done in [pool.submit(_each, act, share) for share in shares]:
            done.result()


def _each(act: Callable[[T], None], items: Sequence[T]) -> None:
    for item in items:
        act(item)


def _copied(source: BlobSource, target: FileIO) -> tuple[str, int]:
    """Copy a file, hashing on the way; return digest and size of what was read."""
    found, size = sha256(), 0
    buffer = bytearray(min(BUFFER_BYTES, source.size + 1))
    with _readable(source) as file, memoryview(buffer) as view:
        while count := file.readinto(view):
            found.update(view[:count])
            _write(target, view[:count])
            size += count
    return found.hexdigest(), size


def _readable(source: BlobSource) -> FileIO:
    try:
        return FileIO(source.path or "")
    except OSError as error:
        msg = f"cannot read what blob {source.digest} is to hold: {error.strerror} — the file changed, log it again"
        raise StorageError(msg) from error


def _write(file: FileIO, content: memoryview) -> None:
    while content:
        content = content[file.write(content) :]


def _sync(blob: _Pending) -> None:
    if blob.file is not None:
        if not blob.ours:
            os.chmod(blob.file, 0o600)  # noqa: PTH101 (a Path for each would cost as much again)
        _sync_file(blob.file)


def _sync_file(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _link(file: str, target: str, size: int) -> bool:
    """Give *file* the name *target*, unless a good blob has it."""
    try:
        os.link(file, target)
    except OSError as error:
        if error.errno not in MUST_RENAME:
            raise
        there = Path(target)
        if there.exists() and there.stat().st_size == size:
            return False
        Path(file).replace(there)
    else:
        os.unlink(file)  # noqa: PTH108 (a Path for each would cost as much again)
    return True


def _names(folder: Path) -> Sequence[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 (a Path for each would cost more than the listing)
    except FileNotFoundError:
        return ()
    except OSError as error:
        msg = f"cannot list the blobs: {error.strerror}"
        raise StorageError(msg) from error


def _result(blob: _Pending) -> BlobResult:
    return BlobResult(blob.source.digest, done=blob.done and blob.error is None, error=blob.error)
