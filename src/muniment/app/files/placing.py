"""Putting files below a folder: whole or not at all under their names, and never through a link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import count
from secrets import token_hex
from types import TracebackType
from typing import BinaryIO, Final, Self

from attrs import define, field

from muniment.app.disk import FULL, write_all
from muniment.app.progress import SILENT, Progress
from muniment.domain.errors import InvalidValueError, MunimentError, StorageError, StorageFullError

BUFFER_BYTES: Final = 1 << 20
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OLD: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
NOT_A_FOLDER: Final = frozenset({errno.ENOTDIR, errno.ELOOP})


@define(eq=False)
class Ground:
    """The folder below which files are put; made if it is not there. A link may lead to it, but none below it."""

    root: str
    shown: str | None = None
    _file: int = field(default=-1, init=False)
    _made: set[str] = field(factory=set, init=False)
    _prefix: str = field(factory=lambda: f".muniment-{token_hex(8)}-", init=False)
    _numbers: Iterator[int] = field(factory=count, init=False)

    def __enter__(self) -> Self:
        with refusing(self.shown or self.root):
            if not os.path.isdir(self.root):  # noqa: PTH112 (text in, text out)
                os.makedirs(self.root)  # noqa: PTH103
                self._made.add("")
            self._file = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    @contextmanager
    def folder(self, path: str) -> Iterator[tuple[int, bool]]:
        """Open a folder below the root, made with all above it if it is not there; say whether we made it."""
        held = os.dup(self._file)
        try:
            done = ""
            for part in path.split("/") if path else ():
                done += f"/{part}"
                inner = self._step(held, part, done)
                os.close(held)
                held = inner
            yield held, done in self._made
        finally:
            os.close(held)

    def put(self, folder: int, path: str, write: Callable[[int], None]) -> None:
        """Put a file into an open folder: what *write* writes gets its name when it is complete."""
        half, name = f"{self._prefix}{next(self._numbers)}", path.rpartition("/")[2]
        with refusing(path):
            file = os.open(half, NEW, 0o666, dir_fd=folder)
            try:
                try:
                    write(file)
                finally:
                    os.close(file)
                os.rename(half, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(half, dir_fd=folder)
                raise

    def _step(self, above: int, part: str, done: str) -> int:
        with refusing(done[1:]):
            try:
                return os.open(part, FOLDER, dir_fd=above)
            except FileNotFoundError:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=above)
                    self._made.add(done)
                return os.open(part, FOLDER, dir_fd=above)


def look(folder: int, name: str) -> os.stat_result | None:
    """Return what stands under a name in an open folder, links not followed; ``None`` if nothing does."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def open_old(folder: int, name: str) -> BinaryIO:
    """Open a file in an open folder for reading, a link refused."""
    return os.fdopen(os.open(name, OLD, dir_fd=folder), "rb", buffering=0)


def digest_of(file: BinaryIO, *, into: int | None = None, progress: Progress = SILENT) -> tuple[str, int]:
    """Read to the end and return SHA-256 and size; what is read is also written to *into*."""
    hashing, size = sha256(), 0
    while block := file.read(BUFFER_BYTES):
        hashing.update(block)
        if into is not None:
            write_all(into, block)
        size += len(block)
        progress.done(0, len(block))
    return hashing.hexdigest(), size


def is_file(found: os.stat_result) -> bool:
    """Whether it is a file, rather than a folder or a link."""
    return stat.S_ISREG(found.st_mode)


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Say in our errors what the operating system says about a place to write to."""
    try:
        yield
    except MunimentError:
        raise
    except OSError as error:
        raise _refused(what, error) from error


def _refused(what: str, error: OSError) -> MunimentError:
    if error.errno in FULL:
        return StorageFullError(f"no space is left for {what!r} — free some, or download to another disk")
    if error.errno in NOT_A_FOLDER:
        return InvalidValueError(f"{what!r} is a link or a file where a folder must be — remove it, or choose another")
    if error.errno == errno.EISDIR:
        return InvalidValueError(f"{what!r} is a folder where a file must be — remove it, or choose another root")
    return StorageError(f"{what!r} cannot be written: {error.strerror or type(error).__name__}")
