"""File systems that fsspec reaches: opened by URL, read in pieces, their errors said in ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, TypeAlias, cast

from attrs import define, field

from muniment.domain.errors import InvalidValueError, MunimentError, NotFoundError, StorageError, StorageFullError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Facts: TypeAlias = Mapping[str, Any]
"""What a file system says about an object: ``name``, ``size``, ``type``, and whatever else it knows."""

PIECE_BYTES: Final = 8 << 20
GONE: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FileSystem(Protocol):
    """What we ask of a file system of fsspec."""

    def info(self, path: str) -> Facts: ...

    def find(self, path: str, *, detail: bool, on_error: str = "omit") -> dict[str, Facts]: ...

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes: ...

    def pipe_file(self, path: str, value: bytes, mode: str) -> None: ...

    def put_file(self, lpath: str, rpath: str, *, mode: str) -> None: ...

    def open(self, path: str, mode: str) -> BinaryIO: ...

    def mv(self, path1: str, path2: str) -> None: ...

    def link(self, src: str, dst: str) -> None: ...

    def rm_file(self, path: str) -> None: ...

    def makedirs(self, path: str, *, exist_ok: bool) -> None: ...

    def invalidate_cache(self) -> None: ...


@define(eq=False)
class Place:
    """A location by its URL; each process opens its own file system, because few of them survive a fork."""

    url: str
    _opened: tuple[int, FileSystem, str] | None = field(default=None, init=False, repr=False)

    @property
    def files(self) -> FileSystem:
        """The file system, without what it remembers of listings: others write there too."""
        files = self._here()[1]
        files.invalidate_cache()
        return files

    @property
    def path(self) -> str:
        """The path as the file system knows it."""
        return self._here()[2]

    def stripped(self, url: str) -> str:
        """Return another URL of the same file system as the path that it knows."""
        files: Any = self._here()[1]
        return str(files._strip_protocol(url))  # noqa: SLF001 (fsspec's own name for it)

    def _here(self) -> tuple[int, FileSystem, str]:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), *_connected(self.url))
        return self._opened


def _connected(url: str) -> tuple[FileSystem, str]:
    scheme = url.partition("://")[0]
    try:
        import fsspec  # noqa: PLC0415 (loaded when it is used)
    except ImportError as error:
        msg = f"{scheme}:// needs the package fsspec — pip install 'muniment[fsspec]'"
        raise StorageError(msg) from error
    if "::" in url:
        msg = f"{scheme}:// cannot be chained with other file systems by '::' — name the place itself"
        raise InvalidValueError(msg)
    try:
        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        msg = f"{scheme}:// needs a package of its own — {error}"
        raise StorageError(msg) from error
    except Exception as error:
        msg = f"{scheme}:// cannot be opened: {said(error)} — check the URL and the settings of its package"
        raise StorageError(msg) from error
    return cast("FileSystem", files), str(path)


def is_server(files: FileSystem) -> bool:
    """Whether another program keeps the objects, so that a request for one is atomic of itself."""
    from fsspec.asyn import AsyncFileSystem  # noqa: PLC0415 (loaded when it is used)

    return isinstance(files, AsyncFileSystem)


def can_create(files: FileSystem) -> bool:
    """Whether the file system has a way of its own to put a whole object unless there is one."""
    from fsspec.asyn import AsyncFileSystem  # noqa: PLC0415 (loaded when it is used)
    from fsspec.spec import AbstractFileSystem  # noqa: PLC0415

    kind: Any = type(files)
    if isinstance(files, AsyncFileSystem):
        own = kind._pipe_file is not AsyncFileSystem._pipe_file  # noqa: SLF001 (fsspec's own way to say it)
        return bool(own and kind._put_file is not AsyncFileSystem._put_file)  # noqa: SLF001
    return bool(kind.pipe_file is not AbstractFileSystem.pipe_file)


def known_schemes() -> frozenset[str]:
    """Return the URL schemes that fsspec has heard of, whether their packages are installed or not."""
    from fsspec.registry import available_protocols  # noqa: PLC0415 (loaded when it is used)

    return frozenset(available_protocols())


# --- reading ---------------------------------------------------------------------------------------------------------


def open_pieces(read: Callable[[int, int], bytes], start: int, end: int) -> BufferedReader:
    """Open what *read* returns between two positions, one piece after the other."""
    return BufferedReader(_Pieces(read, start, end), 1 << 16)


class _Pieces(RawIOBase):
    """Bytes that are asked for in pieces; the next one when the last is used up."""

    def __init__(self, read: Callable[[int, int], bytes], start: int, end: int) -> None:
        self._read = read
        self._at = start
        self._end = end
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if not self._piece and self._at < self._end:
            stop = min(self._at + PIECE_BYTES, self._end)
            self._piece = memoryview(self._read(self._at, stop))
            self._at = stop
        with memoryview(buffer).cast("B") as view:
            count = min(len(view), len(self._piece))
            view[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count


def piece(files: FileSystem, path: str, what: str, start: int, end: int) -> bytes:
    """Return exactly the bytes between two positions; an answer of another length is StorageError."""
    with translated(what):
        content = bytes(files.cat_file(path, start=start, end=end))
    if len(content) != end - start:
        msg = f"{what} broke off: {len(content)} of {end - start} bytes came — try again"
        raise StorageError(msg)
    return content


# --- what they say ---------------------------------------------------------------------------------------------------


def written_at(facts: Facts) -> int | None:
    """Return when an object was written, in microseconds since 1970, or ``None`` if it is not said.

    A time without a zone is UTC: what another machine says is no local time of this one.
    """
    for name in ("mtime", "LastModified", "last_modified", "updated", "modified", "created"):
        moment = facts.get(name)
        if isinstance(moment, str):
            try:
                moment = datetime.fromisoformat(moment)
            except ValueError:
                continue
        if isinstance(moment, datetime):
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if isinstance(moment, int | float):
            return int(moment * 1_000_000)
    return None


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Say what a file system says in our errors; its own texts stay out, for they may hold addresses and keys."""
    try:
        yield
    except MunimentError:
        raise
    except GONE as error:
        msg = f"{what} is not there"
        raise NotFoundError(msg) from error
    except Exception as error:
        if _is_denied(error):
            msg = f"{what} is refused to the credentials in use — let them do that, or set others for its package"
            raise StorageError(msg) from error
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            msg = f"no space is left for {what} — free some, or run gc"
            raise StorageFullError(msg) from error
        msg = f"{what} cannot be reached: {said(error)} — try again, or check the settings of its package"
        raise StorageError(msg) from error


def _is_denied(error: Exception) -> bool:
    """Whether a store says that someone else may, by the names that the packages have for it."""
    codes = {str(getattr(error, name, "")) for name in ("code", "status", "status_code")}
    return isinstance(error, PermissionError) or not codes.isdisjoint({"401", "403"})


def said(error: Exception) -> str:
    """Return what may be repeated of an error: what the operating system calls it, or its kind."""
    return getattr(error, "strerror", None) or type(error).__name__
