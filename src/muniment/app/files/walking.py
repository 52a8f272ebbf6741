"""Finding the files of a local folder, in the order in which a manifest keeps them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from attrs import frozen

from muniment.domain.errors import InvalidNameError, InvalidValueError, MunimentError, NotFoundError, StorageError

GONE = frozenset({errno.ENOENT, errno.ENOTDIR})


@frozen
class _Folder:
    """A folder being walked: what is left of it, and the folders it lies in, itself included."""

    entries: Iterator[os.DirEntry[str]]
    prefix: str
    around: frozenset[tuple[int, int]]


def walk(folder: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Return the files below *folder*, each with its path relative to it, sorted by these paths.

    Links to files and folders are followed. A link that leads back to a folder it lies in and anything that is
    neither file nor folder are InvalidValueError, a name that is not UTF-8 is InvalidNameError.
    """
    top = os.fspath(folder)
    found: list[tuple[str, str]] = []
    stack = [_opened(top, "", frozenset())]
    while stack:
        inside = stack[-1]
        for entry in inside.entries:
            path = inside.prefix + _text(entry)
            if _is_folder(entry):
                stack.append(_opened(entry.path, f"{path}/", inside.around))
                break
            found.append((entry.path, path))
        else:
            stack.pop()
    found.sort(key=lambda each: each[1])
    return found


class FileGoneError(NotFoundError, FileNotFoundError):
    """A local file is not there."""


def unreadable(local: str, error: OSError) -> MunimentError:
    """Say in our errors what the operating system said about a local file, named as the user named it."""
    if error.errno in GONE:
        return FileGoneError(f"{local!r} is not there, or a link that leads nowhere")
    if error.errno == errno.ELOOP:
        return InvalidValueError(f"{local!r} is a link that leads back to itself — remove it")
    return StorageError(f"{local!r} cannot be read: {error.strerror or type(error).__name__}")


def _opened(local: str, prefix: str, around: frozenset[tuple[int, int]]) -> _Folder:
    try:
        looked = os.stat(local)  # noqa: PTH116 (text in, text out)
        place = (looked.st_dev, looked.st_ino)
        if place in around:
            msg = f"{local!r} is a link that leads back to a folder it lies in — remove it"
            raise InvalidValueError(msg)
        with os.scandir(local) as entries:
            return _Folder(iter(list(entries)), prefix, around | {place})
    except OSError as error:
        raise unreadable(local, error) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        if entry.is_file():
            return False
        if entry.is_dir():
            return True
        os.stat(entry.path)  # noqa: PTH116 (says why a link leads nowhere)
    except OSError as error:
        raise unreadable(entry.path, error) from error
    msg = f"{entry.path!r} is neither file nor folder, so it has no content to keep — remove it"
    raise InvalidValueError(msg)


def _text(entry: os.DirEntry[str]) -> str:
    if not entry.name.isascii():
        try:
            entry.name.encode()
        except UnicodeEncodeError as error:
            msg = f"the name of {entry.path!r} is not UTF-8 — rename it"
            raise InvalidNameError(msg) from error
    return entry.name
