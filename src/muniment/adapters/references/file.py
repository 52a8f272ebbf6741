"""References to files and folders of this machine, by ``file://`` URIs."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from typing import BinaryIO, ClassVar, Final
from urllib.parse import quote, unquote_to_bytes

from attrs import frozen

from muniment.adapters.references import BUFFER_BYTES, hashed, in_order, last_part, limited, split
from muniment.domain.errors import InvalidValueError, NotFoundError, StorageError
from muniment.domain.ports import ReferencedObject

OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a named pipe must not make us wait
GONE: Final = (errno.ENOENT, errno.ENOTDIR)


@frozen
class _Folder:
    """A folder being walked: what is left of it, and which folders it lies in, itself included."""

    names: Iterator[tuple[bytes, bytes]]
    around: frozenset[tuple[int, int]]


@frozen
class FileReferences:
    """Files of this machine; links are followed, folders walked in the order of the paths' bytes."""

    schemes: ClassVar[tuple[str, ...]] = ("file",)

    def resolve(self, uri: str, *, checksum: bool, limit: int) -> Iterator[ReferencedObject]:
        """Yield the files at or below *uri*, hashed; with ``checksum=False`` the location alone, its URI as digest."""
        path = _path(uri)
        with _translated(uri):
            found = os.stat(path)  # noqa: PTH116 - names are bytes, as the file system keeps them
        if not checksum:
            return limited([ReferencedObject("", uri, uri)], limit)
        if stat.S_ISDIR(found.st_mode):
            return in_order(lambda each: _object(uri, *each), limited(_walk(uri, path), limit))
        return (_object(uri, *each) for each in limited([(path, b"")], limit))

    def name_of(self, uri: str) -> str:
        """Return the last part of the path, decoded."""
        return last_part(split(uri, self.schemes).path)

    def fetch(self, found: ReferencedObject) -> BinaryIO:
        """Open the file as it is now; whoever reads it checks it against the digest."""
        with _translated(found.uri):
            return BufferedReader(_open(found.uri, _path(found.uri)), BUFFER_BYTES)


def _path(uri: str) -> bytes:
    parts = split(uri, FileReferences.schemes)
    if parts.netloc not in {"", "localhost"}:
        msg = f"reference {uri!r} names a machine, not a path — write file:/// and an absolute path"
        raise InvalidValueError(msg)
    if parts.query or parts.fragment:
        msg = f"reference {uri!r} holds '?' or '#' — write them as %3F and %23"
        raise InvalidValueError(msg)
    path = unquote_to_bytes(parts.path)
    if not path.startswith(b"/") or b"\0" in path:
        msg = f"reference {uri!r} is no absolute path — write file:/// and an absolute path"
        raise InvalidValueError(msg)
    return path


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Say what the operating system says in our errors, which name nothing but the URI that was given."""
    try:
        yield
    except OSError as error:
        if error.errno in GONE:
            msg = f"reference {uri!r} is not there, or a link at or below it leads nowhere"
            raise NotFoundError(msg) from error
        if error.errno == errno.ELOOP:
            raise _looping(uri) from error
        msg = f"reference {uri!r} cannot be read: {error.strerror or type(error).__name__}"
        raise StorageError(msg) from error


def _looping(uri: str) -> InvalidValueError:
    return InvalidValueError(f"reference {uri!r} holds a link that leads back to itself — remove it")


def _walk(uri: str, top: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield every file's path, whole and from *top* on; a stack, because folders may lie deeper than calls can."""
    with _translated(uri):
        stack = [_folder(uri, top, b"", frozenset())]
        while stack:
            for path, name in stack[-1].names:
                if name.endswith(b"/"):
                    stack.append(_folder(uri, path, name, stack[-1].around))
                    break
                yield path, name
            else:
                stack.pop()


def _folder(uri: str, path: bytes, name: bytes, around: frozenset[tuple[int, int]]) -> _Folder:
    found = os.stat(path)  # noqa: PTH116
    place = (found.st_dev, found.st_ino)
    if place in around:
        raise _looping(uri)
    with os.scandir(path) as entries:
        inside = [(entry.path, name + entry.name + (b"/" if entry.is_dir() else b"")) for entry in entries]
    return _Folder(iter(sorted(inside, key=lambda each: each[1])), around | {place})


def _object(uri: str, path: bytes, name: bytes) -> ReferencedObject:
    """Hash a file; *name* is its path below *uri*, empty for the file itself."""
    try:
        relative = name.decode()
    except UnicodeDecodeError as error:
        msg = f"reference {uri!r} holds a file whose name is not UTF-8 — rename it"
        raise InvalidValueError(msg) from error
    with _translated(uri), _open(uri, path) as file:
        digest, size = hashed(file)
    return ReferencedObject(relative, f"{uri.rstrip('/')}/{quote(name)}" if name else uri, digest, size)


def _open(uri: str, path: bytes) -> FileIO:
    file = os.open(path, OPEN)
    mode = os.fstat(file).st_mode
    if stat.S_ISREG(mode):
        return FileIO(file, "rb")
    os.close(file)
    if stat.S_ISDIR(mode):
        msg = f"reference {uri!r} is a folder — its files can be fetched where it was added with checksum=True"
        raise InvalidValueError(msg)
    msg = f"reference {uri!r} is or holds something that is neither file nor folder"
    raise StorageError(msg)
