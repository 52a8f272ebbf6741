"""Turning local files into entries: each is read once, and kept as it was until its version is logged."""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import count, islice
from pathlib import Path
from secrets import token_hex
from threading import Lock
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

from attrs import define, evolve, field, frozen

from muniment.app.disk import COPY, write_all, writing
from muniment.app.files.bundling import FEW, SMALL, Bundles
from muniment.app.files.reading import Content, Reading, read_all, weak_digest
from muniment.app.files.walking import unreadable
from muniment.app.progress import SILENT, Progress
from muniment.app.store import Store
from muniment.domain.errors import CorruptError, InvalidValueError
from muniment.domain.manifest import Entry, check_paths
from muniment.domain.ports import BlobSource, FileDigests
from muniment.domain.values import Digest

Policy: TypeAlias = Literal["mutable", "immutable"]
POLICIES: Final[tuple[Policy, ...]] = ("mutable", "immutable")
LOCK: Final = "lock"
HASHING: Final = "hashing"
TRIES: Final = 100
PAUSE_SECONDS: Final = 0.01
CHUNK: Final = 512
"""How many files are looked at before the first of them is read."""


@frozen
class Staged:
    """An entry on its way into a version, and where its bytes are (``None``: in the store, or a reference)."""

    entry: Entry
    source: BlobSource | None = None


@frozen
class _File:
    """A local file: as it was named, where it is, its path in the artifact, and what it looks like."""

    local: str
    absolute: str
    path: str
    look: os.stat_result


@define(eq=False)
class Staging:
    """A folder of our own where files wait to be logged; it goes when the work is done or its process is gone."""

    store: Store
    _folder: str | None = field(default=None, init=False)
    _numbers: Iterator[int] = field(factory=count, init=False)
    _claiming: Lock = field(factory=Lock, init=False)
    _remove: weakref.finalize[..., Staging] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_files(
        self,
        files: Sequence[tuple[str | os.PathLike[str], str]],
        *,
        policy: Policy = "mutable",
        md5: bool = False,
        progress: Progress = SILENT,
    ) -> list[Staged]:
        """Return an entry for each local file, given with its path in the artifact.

        A file that is remembered as unchanged, and whose bytes are stored, is not read. Others are hashed; with
        ``mutable`` copied in the same pass, with ``immutable`` read again from where they are when they are uploaded,
        and a local store may keep them by a second name: they must never change again.
        """
        if policy not in POLICIES:
            msg = f"policy {policy!r} is unknown — choose mutable or immutable"
            raise InvalidValueError(msg)
        check_paths([path for _, path in files])
        progress.ahead(HASHING, len(files))
        waiting = iter(files)
        staged: list[Staged] = []
        with Bundles(self._next) as bundles:
            while chunk := list(islice(waiting, CHUNK)):
                whole = len(chunk) == len(files)
                copies = bundles if policy == "mutable" else None
                staged += self._add_chunk(chunk, copies, progress, md5=md5, whole=whole)
                bundles.seen.clear()
        return staged

    def add_bytes(self, path: str, content: bytes, *, md5: bool = False) -> Staged:
        """Return an entry for bytes that come from no file."""
        check_paths([path])
        copy = self._next()
        with writing():
            file = os.open(copy, COPY, 0o600)
            try:
                write_all(file, content)
            finally:
                os.close(file)
            look = os.stat(copy)  # noqa: PTH116 (text in, text out)
        (read,) = read_all([Reading(copy, look)], with_md5=md5)
        return _staged(
            path, read.digest, read.md5 if md5 else None, BlobSource(read.digest, len(content), path=copy, movable=True)
        )

    def keep(self, digest: Digest, blocks: Iterable[bytes]) -> BlobSource:
        """Copy bytes from somewhere else here, for the time until they are put; other bytes are CorruptError."""
        copy, hashing, size = self._next(), sha256(), 0
        with writing():
            file = os.open(copy, COPY | os.O_EXCL, 0o600)
        try:
            for block in blocks:
                hashing.update(block)
                size += len(block)
                with writing():
                    write_all(file, block)
        finally:
            os.close(file)
        if hashing.hexdigest() != digest:
            msg = f"blob {digest} is damaged — run fsck, restore it from a copy"
            raise CorruptError(msg)
        return BlobSource(digest, size, path=copy, movable=True)

    def apart(self, staged: Staged) -> Staged:
        """Give a file that waits together with others a file of its own."""
        source = staged.source
        if source is None or source.path is None or source.start is None:
            return staged
        copy = self._next()
        with writing(), open(source.path, "rb") as bundle:  # noqa: PTH123 (text in, text out)
            bundle.seek(source.start)
            Path(copy).write_bytes(bundle.read(source.size))
        return evolve(staged, source=evolve(source, path=copy, start=None))

    def close(self) -> None:
        """Remove the folder with all that still waits in it."""
        self._folder = None
        if self._remove is not None:
            self._remove()

    def _add_chunk(
        self,
        chunk: Sequence[tuple[str | os.PathLike[str], str]],
        bundles: Bundles | None,
        progress: Progress,
        *,
        md5: bool,
        whole: bool,
    ) -> Iterator[Staged]:
        seen_at = self.store.clock()
        files = [_look(os.fspath(local), path) for local, path in chunk]
        if whole:
            progress.ahead(HASHING, 0, sum(file.look.st_size for file in files))
        known = self._known(files, md5=md5)
        fresh = [file for file in files if file.absolute not in known]
        readings = self._readings(fresh, copied=bundles is not None)
        progress.done(len(known), sum(file.look.st_size for file in files if file.absolute in known) if known else 0)
        contents = read_all(readings, with_md5=md5, bundles=bundles, progress=progress)
        self.store.files.put_many(
            {file.absolute: (read.look, (read.digest, read.md5)) for file, read in zip(fresh, contents, strict=True)},
            seen_at,
        )
        read_now = iter(zip(readings, contents, strict=True))
        for file in files:
            digests = known.get(file.absolute)
            if digests is None:
                yield _fresh(file, *next(read_now))
            else:
                source = BlobSource(digests[0], file.look.st_size, path=file.absolute, linkable=bundles is None)
                yield _staged(file.path, digests[0], digests[1] if md5 else None, source)

    def _readings(self, files: Sequence[_File], *, copied: bool) -> list[Reading]:
        """Say where files are to be copied to: many small ones into bundles, others each into a file of its own."""
        if not copied:
            return [Reading(file.local, file.look) for file in files]
        bundled = sum(file.look.st_size <= SMALL for file in files) >= FEW
        return [
            Reading(file.local, file.look, self._next(), bundled=bundled and file.look.st_size <= SMALL)
            for file in files
        ]

    def _known(self, files: Sequence[_File], *, md5: bool) -> Mapping[str, FileDigests]:
        """Return what is remembered of files whose bytes are stored already."""
        known = self.store.files.get_many({file.absolute: file.look for file in files})
        if md5:
            known = {path: digests for path, digests in known.items() if digests[1] is not None}
        missing = self.store.blobs.missing({digests[0] for digests in known.values()}) if known else ()
        return {path: digests for path, digests in known.items() if digests[0] not in missing} if missing else known

    def _next(self) -> str:
        """Return the path of the next file of the folder, which is made when it is first needed."""
        with self._claiming:
            if self._folder is None:
                reclaim(self.store)
                folder, lock = self.store.staging / token_hex(16), list[int]()
                self._remove = weakref.finalize(self, _discard, folder, lock, os.getpid())
                lock.append(_claimed(folder))
                self._folder = str(folder)
        return f"{self._folder}/{next(self._numbers):x}"


def reclaim(store: Store) -> int:
    """Remove what processes that are gone left behind; return the bytes freed."""
    freed = 0
    for folder, lock in _abandoned(store.staging):
        try:
            with writing():
                freed += _emptied(folder)
        finally:
            os.close(lock)
    return freed


def leftovers(store: Store) -> tuple[int, int]:
    """Return how many folders processes that are gone left behind, and the bytes in them."""
    found = _abandoned(store.staging)
    try:
        sizes = [file.stat().st_size for folder, _ in found for file in folder.iterdir()]
    finally:
        for _, lock in found:
            os.close(lock)
    return len(found), sum(sizes)


def _look(local: str, path: str) -> _File:
    try:
        look = os.stat(local)  # noqa: PTH116 (a Path for each would cost as much again)
    except OSError as error:
        raise unreadable(local, error) from error
    return _File(local, local if local.startswith("/") else f"{os.getcwd()}/{local}", path, look)  # noqa: PTH109


def _fresh(file: _File, reading: Reading, read: Content) -> Staged:
    if read.slot is not None:
        start, where = read.slot.start, read.slot.path
        source = BlobSource(read.digest, read.look.st_size, path=where, movable=True, start=start)
        return _staged(file.path, read.digest, read.md5, source)
    where = reading.copy or file.absolute
    copied = reading.copy is not None
    source = BlobSource(read.digest, read.look.st_size, path=where, movable=copied, linkable=not copied)
    return _staged(file.path, read.digest, read.md5, source)


def _staged(path: str, digest: Digest, weak: str | None, source: BlobSource) -> Staged:
    if weak is None:
        return Staged(Entry(path, digest, source.size), source)
    return Staged(Entry(path, digest, source.size, annex={"md5": weak_digest(weak)}), source)


# --- folders of living and dead processes ----------------------------------------------------------------------------


def _claimed(folder: Path) -> int:
    """Make a folder and lock it; the lock falls with the process."""
    with writing(), _turn(folder.parent):
        folder.mkdir(0o700)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def _abandoned(parent: Path) -> list[tuple[Path, int]]:
    """Return the folders that no living process has locked, locked by us now."""
    with writing():
        if not parent.is_dir():
            return []
        with _turn(parent):
            folders = [(folder, _locked(folder)) for folder in sorted(parent.iterdir()) if folder.is_dir()]
    return [(folder, lock) for folder, lock in folders if lock is not None]


def _locked(folder: Path) -> int | None:
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None  # its owner removes it at this moment
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


@contextmanager
def _turn(parent: Path) -> Iterator[None]:
    """Wait for our turn to make or claim folders, so that none is seen before it is locked."""
    parent.mkdir(0o700, parents=True, exist_ok=True)
    turn = os.open(parent / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
    finally:
        os.close(turn)


def _discard(folder: Path, locks: list[int], owner: int) -> None:
    """Remove a folder, unless it belongs to the process that we were forked from; who is interrupted begins again."""
    if os.getpid() == owner:
        try:
            _remove_all(folder)
        except BaseException:
            _remove_all(folder)
            raise
    while locks:
        os.close(locks.pop())


def _remove_all(folder: Path) -> None:
    """Remove a folder into which threads that are ending may still write; what stays is reclaimed by the next one."""
    for _ in range(TRIES):
        with suppress(OSError):
            _emptied(folder)
        if not folder.exists():
            return
        time.sleep(PAUSE_SECONDS)


def _emptied(folder: Path) -> int:
    """Remove a folder and its files, the lock last; return the bytes freed."""
    freed = 0
    with suppress(FileNotFoundError):  # two may be at it: its owner, and who finds the lock gone
        for path in sorted(folder.iterdir(), key=lambda path: path.name == LOCK):
            freed += path.lstat().st_size
            path.unlink()
        folder.rmdir()
    return freed
