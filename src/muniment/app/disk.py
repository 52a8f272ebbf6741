"""Writing to the folder where files wait to be logged, and what to say when that fails."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from muniment.domain.errors import StorageError, StorageFullError

COPY: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
COPY_AND_READ: Final = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
FICLONE: Final = 0x40049409
"""The request of Linux to let two files share their blocks until one is changed (a reflink)."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def writing() -> Iterator[None]:
    """Say in our errors what the operating system says about the folder where files wait to be logged."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            msg = "no space is left where files wait to be logged — free some, or set MUNIMENT_DATA_DIR"
            raise StorageFullError(msg) from error
        msg = f"the folder where files wait to be logged failed: {error.strerror or type(error).__name__}"
        raise StorageError(msg) from error


def write_all(file: int, content: bytes | memoryview) -> None:
    """Write all of it, however little the system takes at a time."""
    written = os.write(file, content)
    while written < len(content):
        written += os.write(file, memoryview(content)[written:])


def cloned(file: int, target: int) -> bool:
    """Let an empty *target* share the blocks of *file*; false where that cannot be, and then nothing was done."""
    try:
        fcntl.ioctl(target, FICLONE, file)
    except OSError:
        return False  # another file system, or one that shares no blocks: copying says what else is wrong
    return True
