"""Objects wherever fsspec reaches: created atomically where the file system can, else written beside and moved."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from posixpath import dirname
from secrets import token_hex
from threading import Lock
from typing import BinaryIO, Final, TypeVar

from attrs import evolve, field, frozen

from muniment.adapters.blobs import check_object, check_span
from muniment.adapters.fsspec_files import (
    GONE,
    Facts,
    FileSystem,
    Place,
    can_create,
    is_server,
    open_pieces,
    piece,
    translated,
    written_at,
)
from muniment.domain.errors import CorruptError, InvalidValueError, MunimentError, NotFoundError, StorageError
from muniment.domain.evidence import Check, CopyKind
from muniment.domain.ports import Copies, ObjectResult, ObjectSource, StoredObject
from muniment.domain.values import Micros

T = TypeVar("T")
R = TypeVar("R")

HALVES: Final = "tmp/"
"""Where objects wait that are not whole yet; no object may be called so."""
THREADS: Final = 8
BATCH: Final = 64
WORTH_LISTING: Final = 8
WHOLE_BYTES: Final = 4 << 20
"""Up to which size a file is held in memory, so that what was hashed is what is sent."""
BLOCK_BYTES: Final = 1 << 20
NEVER: Final[Micros] = (1 << 63) - 1
"""When an object was written if nobody says it: never so long ago that it might go."""

_NAME = re.compile(r"(?!tmp/)[\w.+=@-]+(/[\w.+=@-]+)*", re.ASCII)
_ONE_AT_A_TIME = Lock()


@frozen(eq=False)
class FsspecObjectStore:
    """Objects below a URL. Where only renaming is atomic, two processes may both be told that they put an object."""

    place: Place
    _creating: list[bool] = field(factory=list, init=False, repr=False)

    @classmethod
    def at(cls, url: str) -> FsspecObjectStore:
        """Open the store at any URL that fsspec understands."""
        store = cls(Place(url.rstrip("/")))
        with translated("the object store"):
            store.place.files.invalidate_cache()
        return store

    def put_many(self, objects: Iterable[ObjectSource]) -> Iterator[ObjectResult]:
        return _spread(lambda source: _result(source.name, lambda: self._put(source)), objects, THREADS, _name)

    def read(self, name: str, start: int, length: int) -> bytes:
        """Return up to *length* bytes; a *start* from the end asks for the size too, as backends differ about it."""
        check_span(0, length)
        if start >= 0 and length:  # nobody is asked for nothing, whether it is there or not
            with suppress(StorageError):  # some refuse to read past the end
                return self._read_from(name, start, length)
        size = self._existing(name)
        first = start if start >= 0 else max(0, size + start)
        last = min(size, first + length)
        return self._piece(name, first, last) if first < last else b""

    def open(self, name: str, start: int = 0, length: int | None = None) -> BinaryIO:
        check_span(start, length)
        size = self._existing(name)
        end = size if length is None else min(size, start + length)
        return open_pieces(lambda first, last: self._piece(name, first, last), start, end) if start < end else BytesIO()

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        folders: dict[str, list[str]] = {}
        for name in names:
            folders.setdefault(dirname(_checked(name)), []).append(name)
        alone = [name for names in folders.values() if len(names) < WORTH_LISTING for name in names]
        asked = _spread(lambda name: (name, self._size(name)), alone, BATCH, str)
        found = {name: size for name, size in asked if size is not None}
        for folder, wanted in folders.items():
            if len(wanted) >= WORTH_LISTING:
                there = {each.name: each.size for each in self.list(f"{folder}/" if folder else "")}
                found.update((name, there[name]) for name in wanted if name in there)
        return found

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects; what is listed of one folder is held in memory."""
        found = (
            StoredObject(name, int(facts["size"]), _or_never(facts))
            for name, facts in self._below(dirname(prefix))
            if name.startswith(prefix) and not name.startswith(HALVES)
        )
        return iter(sorted(found, key=lambda each: each.name))

    def delete_many(self, names: Iterable[str]) -> Iterator[ObjectResult]:
        return _spread(lambda name: _deleted(name, lambda: self._delete(name)), names, BATCH, str)

    def copies(self, names: Collection[str], prefix: str) -> Copies:  # noqa: ARG002 (fsspec shows no versions)
        """Return what is there, listed anew: a file system that remembers listings is told to forget them."""
        with translated("the list of objects"):
            self.place.files.invalidate_cache()
        return Copies(dict.fromkeys(self.sizes(names), (CopyKind.OBJECT,)), Check.OBJECTS)

    def sweep(self, older_than: Micros) -> int:
        freed = 0
        for name, facts in self._below(HALVES.rstrip("/")):
            if _or_never(facts) < older_than:
                with suppress(NotFoundError), translated(f"object {name}"):
                    self.place.files.rm_file(self._path(name))
                    freed += int(facts["size"])
        return freed

    # --- reading -----------------------------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return f"{self.place.path.rstrip('/')}/{name}"

    def _size(self, name: str) -> int | None:
        try:
            with translated(f"object {name}"):
                facts = self.place.files.info(self._path(_checked(name)))
        except NotFoundError:
            return None
        return int(facts["size"]) if facts.get("type") == "file" else None

    def _existing(self, name: str) -> int:
        size = self._size(name)
        if size is None:
            msg = f"object {name} is not there"
            raise NotFoundError(msg)
        return size

    def _read_from(self, name: str, start: int, length: int) -> bytes:
        """Read in one request; an answer that is too short is StorageError, for the object may end there or not."""
        return self._piece(name, start, start + length)

    def _piece(self, name: str, start: int, end: int) -> bytes:
        return piece(self.place.files, self._path(_checked(name)), f"object {name}", start, end)

    def _below(self, folder: str) -> Iterator[tuple[str, Facts]]:
        top = self._path(folder).rstrip("/")
        try:
            with translated("the list of objects"):
                found = self.place.files.find(top, detail=True, on_error="raise")  # else it omits
        except NotFoundError:
            return
        start = len(self._path("").lstrip("/"))
        for path, facts in found.items():
            if facts.get("type") == "file" and path != top:
                yield path.lstrip("/")[start:], facts

    # --- putting -----------------------------------------------------------------------------------------------------

    def _put(self, source: ObjectSource) -> bool:
        path = self._path(_checked(source.name))
        held = self._size(source.name)
        if held == source.size:
            return False
        if source.content is not None:
            check_object(source, sha256(source.content).hexdigest(), len(source.content))
        with translated(f"object {source.name}"):
            files = self.place.files
            if held is not None:  # what a failed put left
                files.rm_file(path)
            try:
                if self._creates(files):
                    return self._create(files, source, path)
                return _move_in(files, source, path, self._path(HALVES + token_hex(16)))
            except FileExistsError:  # somebody was faster
                return False
            except GONE as error:
                msg = f"there is no place for object {source.name} — make the bucket or folder of the store"
                raise StorageError(msg) from error

    def _creates(self, files: FileSystem) -> bool:
        """Whether the file system creates, tried out once: some accept the wish and overwrite all the same."""
        if not self._creating:
            self._creating.append(can_create(files) and self._refuses_twice(files))
        return self._creating[0]

    def _refuses_twice(self, files: FileSystem) -> bool:
        path = self._path(HALVES + token_hex(16))
        try:
            files.pipe_file(path, b"1", mode="create")
            try:
                files.pipe_file(path, b"2", mode="create")
            except FileExistsError:
                return True
            finally:
                files.rm_file(path)
        except (NotImplementedError, TypeError, ValueError):  # it knows nothing of modes
            return False
        return False

    def _create(self, files: FileSystem, source: ObjectSource, path: str) -> bool:
        if source.content is not None or source.size <= WHOLE_BYTES or not is_server(files):
            content = source.content if source.content is not None else _whole(source)
            with _turn(files):
                files.pipe_file(path, content, mode="create")
            return True
        before = _look(source)
        _hash(source)
        files.put_file(source.path or "", path, mode="create")
        if _look(source) != before or self._size(source.name) != source.size:
            files.rm_file(path)
            msg = f"object {source.name} changed while it was stored — log it again"
            raise CorruptError(msg)
        return True

    def _delete(self, name: str) -> bool:
        if self._size(name) is None:
            return False
        try:
            with translated(f"object {name}"):
                self.place.files.rm_file(self._path(name))
                _sync_folder(self.place.files, self._path(name))
        except NotFoundError:
            return False
        return True


def _move_in(files: FileSystem, source: ObjectSource, path: str, half: str) -> bool:
    """Write beside, then move to the name; where the file system has links, only one of several gets there."""
    try:
        _write(files, source, half)
        with _turn(files):
            return _placed(files, half, path)
    finally:
        with suppress(*GONE):
            files.rm_file(half)


def _placed(files: FileSystem, half: str, path: str) -> bool:
    files.makedirs(dirname(path), exist_ok=True)
    if getattr(files, "local_file", False):
        files.link(half, path)
        _sync_folder(files, path)
        _sync_folder(files, dirname(path))
        return True
    try:
        files.info(path)
    except GONE:
        files.mv(half, path)
        return True
    return False


def _write(files: FileSystem, source: ObjectSource, path: str) -> None:
    files.makedirs(dirname(path), exist_ok=True)
    hasher, size = sha256(), 0
    with _local(source) as local, files.open(path, "wb") as file:
        while block := local.read(BLOCK_BYTES):
            hasher.update(block)
            size += len(block)
            file.write(block)
        check_object(source, hasher.hexdigest(), size)
        if getattr(files, "local_file", False):
            file.flush()
            os.fsync(file.fileno())


def _sync_folder(files: FileSystem, path: str) -> None:
    """Make a name, or its absence, durable where that is ours to do."""
    if getattr(files, "local_file", False):
        folder = os.open(dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _turn(files: FileSystem) -> AbstractContextManager[object]:
    """Wait for our turn, where no server decides who of several was first."""
    return nullcontext() if is_server(files) else _ONE_AT_A_TIME


@contextmanager
def _local(source: ObjectSource) -> Iterator[BinaryIO]:
    """Open the bytes to put, which are ours to read: what goes wrong there is no fault of the store."""
    if source.content is not None:
        yield BytesIO(source.content)
        return
    try:
        file = Path(source.path or "").open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise _changed(source, error) from error
    with file:
        yield file


def _whole(source: ObjectSource) -> bytes:
    with _local(source) as file:
        content = file.read(source.size + 1)
    check_object(source, sha256(content).hexdigest(), len(content))
    return content


def _hash(source: ObjectSource) -> None:
    hasher, size = sha256(), 0
    with _local(source) as file:
        while block := file.read(BLOCK_BYTES):
            hasher.update(block)
            size += len(block)
    check_object(source, hasher.hexdigest(), size)


def _look(source: ObjectSource) -> tuple[int, int, int]:
    try:
        found = Path(source.path or "").stat()
    except OSError as error:
        raise _changed(source, error) from error
    return found.st_size, found.st_mtime_ns, found.st_ino


def _changed(source: ObjectSource, error: OSError) -> StorageError:
    return StorageError(f"cannot read what object {source.name} is to hold: {error.strerror} — log it again")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or {".", ".."}.intersection(name.split("/")):
        msg = f"{name!r} is no name of an object — use ASCII letters, digits and . _ - joined by /"
        raise InvalidValueError(msg)
    return name


def _or_never(facts: Facts) -> Micros:
    moment = written_at(facts)
    return NEVER if moment is None else moment


def _name(source: ObjectSource) -> str:
    return source.name


def _result(name: str, act: Callable[[], bool]) -> ObjectResult:
    try:
        return ObjectResult(name, done=act())
    except MunimentError as error:
        return ObjectResult(name, done=False, error=error)


def _deleted(name: str, act: Callable[[], bool]) -> ObjectResult:
    result = _result(name, act)
    return evolve(result, copies=int(result.done))


def _spread(act: Callable[[T], R], items: Iterable[T], batch: int, key: Callable[[T], object]) -> Iterator[R]:
    """Do it to every item, a few at a time, but never twice at a time to items of one *key*."""
    some: dict[object, T] = {}
    for item in items:
        if len(some) == batch or key(item) in some:
            yield from _together(act, some.values())
            some = {}
        some[key(item)] = item
    yield from _together(act, some.values())


def _together(act: Callable[[T], R], items: Collection[T]) -> Iterator[R]:
    if len(items) > 1:
        with ThreadPoolExecutor(THREADS) as pool:
            yield from pool.map(act, items)
    else:
        yield from map(act, items)
