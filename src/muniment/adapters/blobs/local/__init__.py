"""Objects as files of a local folder, written beside in ``tmp`` and linked into place."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from io import BufferedReader, FileIO
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final, TypeVar

from attrs import define, evolve, frozen

from muniment.adapters.blobs import Span, check_name, check_object, check_span, is_name, refused, write_all
from muniment.adapters.blobs.local.files import (
    copied,
    hashed,
    link,
    make,
    names_in,
    second_name,
    sync_file,
)
from muniment.domain.errors import MunimentError, NotFoundError, StorageError
from muniment.domain.evidence import Check, CopyKind
from muniment.domain.ports import Copies, ObjectResult, ObjectSource, StoredObject
from muniment.domain.values import Micros

T = TypeVar("T")

BATCH_FILES: Final = 1024
WORTH_LISTING: Final = 8
LISTED_BYTES: Final = 1024
"""How large a folder may be, for each object looked for in it, to be listed: about ten names."""
BATCH_BYTES: Final = 64 << 20
SYNC_THREADS: Final = 8
HALVES: Final = "tmp"
NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@define
class _Pending:
    """An object on its way in: its file (``None``: stored already), whether that is ours to remove, what came of it."""

    source: ObjectSource
    file: str | None = None
    ours: bool = False
    done: bool = False
    error: Exception | None = None

    def attempt(self, act: Callable[[_Pending], None]) -> None:
        """Do the next step, unless one failed; a failure stays with this object."""
        if self.error is None:
            try:
                act(self)
            except MunimentError as error:
                self.error = error
                self.drop()
            except OSError as error:
                self.error = refused(self.source.name, error)
                self.drop()

    def drop(self) -> None:
        """Remove the file if it is ours and did not become an object, so that others find room."""
        if self.ours and not self.done and self.file is not None:
            with suppress(OSError):  # a sweep removes what cannot be removed now
                Path(self.file).unlink()


@frozen
class LocalObjectStore:
    """Objects in a folder of this machine; its ``tmp`` holds what is on its way in."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> LocalObjectStore:
        """Open the store in *folder*, making it if need be."""
        try:
            for path in [*reversed(folder.parents), folder, folder / HALVES]:
                make(str(path))
        except OSError as error:
            msg = f"cannot make the folder for blobs: {error.strerror} — choose one that may be written"
            raise StorageError(msg) from error
        return cls(folder)

    def put_many(self, objects: Iterable[ObjectSource]) -> Iterator[ObjectResult]:
        for batch in _batches(objects):
            yield from self._put_batch(batch)

    def read(self, name: str, start: int, length: int) -> bytes:
        check_span(0, length)
        with self._opened(name) as file:
            try:
                begin = start if start >= 0 else max(0, start + os.fstat(file.fileno()).st_size)
                content = os.pread(file.fileno(), length, begin)
                while 0 < len(content) < length:
                    more = os.pread(file.fileno(), length - len(content), begin + len(content))
                    if not more:
                        break
                    content += more
            except OSError as error:
                raise refused(name, error) from error
        return content

    def open(self, name: str, start: int = 0, length: int | None = None) -> BinaryIO:
        check_span(start, length)
        file = self._opened(name)
        file.seek(start)
        return BufferedReader(file if length is None else Span(file, length))

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        folders: dict[str, list[str]] = {}
        for name in names:
            folders.setdefault(name.rpartition("/")[0], []).append(name)
        found: dict[str, int] = {}
        for folder, wanted in folders.items():
            if len(wanted) >= WORTH_LISTING and not os.path.isdir(self._path(folder)):  # noqa: PTH112 (text in, text out)
                continue
            if self._is_short(folder, len(wanted)):
                there = {f"{folder}/{each}" for each in names_in(self.folder / folder)}
                wanted = [name for name in wanted if name in there]  # noqa: PLW2901
            for name in wanted:
                if (size := self._size(name)) is not None:
                    found[name] = size
        return found

    def list(self, prefix: str) -> Iterator[StoredObject]:
        top, _, _ = prefix.rpartition("/")
        for name in self._below(f"{top}/" if top else ""):
            if name.startswith(prefix) and is_name(name):
                try:
                    found = os.stat(self._path(name))  # noqa: PTH116 (a Path for each would cost as much again)
                except FileNotFoundError:
                    continue  # it was deleted meanwhile
                except OSError as error:
                    raise refused(name, error) from error
                if stat.S_ISREG(found.st_mode):
                    yield StoredObject(name, found.st_size, Micros(found.st_mtime_ns // 1000))

    def delete_many(self, names: Iterable[str]) -> Iterator[ObjectResult]:
        left = iter(names)
        while batch := [_Pending(ObjectSource(name, 0)) for name in islice(left, BATCH_FILES)]:
            for each in batch:
                each.attempt(self._remove)
            self._sync_folders([each for each in batch if each.done])
            yield from (evolve(result, copies=int(result.done)) for result in map(_result, batch))

    def copies(self, names: Collection[str], prefix: str) -> Copies:  # noqa: ARG002 (a folder hides nothing)
        there = [name for name in names if self._size(name) is not None]
        return Copies(dict.fromkeys(there, (CopyKind.OBJECT,)), Check.FILES)

    def sweep(self, older_than: Micros) -> int:
        freed = 0
        for name in names_in(self.folder / HALVES):
            path = self.folder / HALVES / name
            try:
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and found.st_mtime_ns < older_than * 1000:
                    path.unlink()
                    freed += found.st_size
            except FileNotFoundError:
                continue  # its put ended meanwhile
            except OSError as error:
                msg = f"cannot remove what an interrupted put left behind: {error.strerror}"
                raise StorageError(msg) from error
        return freed

    def _opened(self, name: str) -> FileIO:
        if not is_name(name):
            raise _absent(name)
        try:
            return FileIO(self._path(name))
        except (FileNotFoundError, NotADirectoryError):
            raise _absent(name) from None
        except OSError as error:
            raise refused(name, error) from error

    def _below(self, top: str) -> Iterator[str]:
        """Yield the names of files below a folder, in order; that of a folder counts with its stroke."""
        try:
            with os.scandir(self.folder / top) as found:
                inner = sorted(f"{each.name}/" if each.is_dir() else each.name for each in found)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            msg = f"cannot list what is stored: {error.strerror}"
            raise StorageError(msg) from error
        for name in inner:
            if name.endswith("/"):
                yield from self._below(top + name)
            else:
                yield top + name

    def _is_short(self, folder: str, wanted: int) -> bool:
        """Whether a folder is listed in less time than so many of its files are looked up one by one."""
        if wanted < WORTH_LISTING:
            return False
        try:
            size = os.stat(self._path(folder)).st_size  # noqa: PTH116 (text in, text out)
        except OSError:
            return False  # looking them up will say why
        return size <= wanted * LISTED_BYTES

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def _size(self, name: str) -> int | None:
        if not is_name(name):
            return None
        try:
            return os.stat(self._path(name)).st_size  # noqa: PTH116 (a Path for each would cost as much again)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refused(name, error) from error

    def _put_batch(self, batch: Sequence[_Pending]) -> Iterator[ObjectResult]:
        try:
            for each in batch:
                each.attempt(self._stage)
            _spread(lambda each: each.attempt(_sync), batch)
            for each in batch:
                each.attempt(self._publish)
            self._sync_folders([each for each in batch if each.error is None])
        finally:
            for each in batch:
                each.drop()
        return map(_result, batch)

    def _stage(self, each: _Pending) -> None:
        source = each.source
        check_name(source.name)
        if self._size(source.name) == source.size:
            return
        if source.movable and source.path is not None:
            found = os.lstat(source.path)
            if stat.S_ISREG(found.st_mode):
                check_object(source, source.digest or "", found.st_size)
                each.file = source.path
                return
        if not (source.linkable and self._share(each)):
            self._copy(each)

    def _share(self, each: _Pending) -> bool:
        """Give a file that will not change a second name, in ``tmp`` for now, and check that it did not; or say no."""
        source = each.source
        if source.path is None or not stat.S_ISREG(os.lstat(source.path).st_mode):
            return False
        name = f"{self.folder}/{HALVES}/{token_hex(16)}"
        if not second_name(source.path, name):
            return False
        each.file, each.ours = name, True
        with FileIO(name) as file:
            check_object(source, *hashed(file, source.size))
        return True

    def _copy(self, each: _Pending) -> None:
        each.file, each.ours = f"{self.folder}/{HALVES}/{token_hex(16)}", True
        with FileIO(os.open(each.file, NEW, 0o600), "w+") as file:
            if each.source.path is None:
                content = each.source.content or b""
                check_object(each.source, sha256(content).hexdigest(), len(content))
                write_all(file, memoryview(content))
            else:
                check_object(each.source, *copied(each.source, file))

    def _publish(self, each: _Pending) -> None:
        if each.file is None:
            return
        try:
            each.done = self._place(each.file, each.source)
        except OSError as error:
            if error.errno != errno.EXDEV or each.ours:
                raise
            self._copy(each)  # a movable file turned out to lie on another file system
            _sync(each)
            each.done = self._place(each.file, each.source)

    def _place(self, file: str, source: ObjectSource) -> bool:
        target = self._path(source.name)
        try:
            return link(file, target, source.size)
        except FileNotFoundError:
            folder = self.folder
            for part in source.name.split("/")[:-1]:
                folder /= part
                make(str(folder))
            return link(file, target, source.size)

    def _remove(self, each: _Pending) -> None:
        if self._size(each.source.name) is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._path(each.source.name))  # noqa: PTH108 (text in, text out)
                each.done = True

    def _sync_folders(self, objects: Sequence[_Pending]) -> None:
        """Make the names of *objects* durable, or their absence, whoever changed them."""
        touched: dict[str, list[_Pending]] = {}
        for each in objects:
            folder = each.source.name.rpartition("/")[0]
            touched.setdefault(folder, []).append(each)
            touched.setdefault(folder.rpartition("/")[0], []).append(each)  # another put may have made it just now

        def sync(folder: str) -> None:
            try:
                sync_file(self._path(folder))
            except OSError as error:
                for each in touched[folder]:
                    each.error = refused(each.source.name, error)

        _spread(sync, tuple(touched))


def _absent(name: str) -> NotFoundError:
    return NotFoundError(f"no object {name}")


def _batches(objects: Iterable[ObjectSource]) -> Iterator[list[_Pending]]:
    """Cut a stream of objects so that neither their number nor the bytes waiting for the disk grow without bounds."""
    batch: list[_Pending] = []
    held = 0
    for source in objects:
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


def _sync(each: _Pending) -> None:
    if each.file is not None:
        if not each.ours:
            os.chmod(each.file, 0o600)  # noqa: PTH101 (a Path for each would cost as much again)
        sync_file(each.file)


def _result(each: _Pending) -> ObjectResult:
    return ObjectResult(each.source.name, done=each.done and each.error is None, error=each.error)
