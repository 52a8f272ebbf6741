"""The points at which a process can be killed: the calls that reach the operating system or SQLite, counted."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Final

CALLS: Final = frozenset(
    {
        "close",
        "commit",
        "connect",
        "copy_file_range",
        "execute",
        "executemany",
        "executescript",
        "fdatasync",
        "flock",
        "fsync",
        "ftruncate",
        "ioctl",
        "link",
        "mkdir",
        "open",
        "pwrite",
        "remove",
        "rename",
        "replace",
        "rmdir",
        "rollback",
        "sendfile",
        "truncate",
        "unlink",
        "write",
        "writelines",
        "writev",
    }
)
"""The names of the functions in C before each of which a process may be killed."""


class Points:
    """Counts the points of this process from ``arm`` on, in all its threads; at the fatal one the process is killed."""

    def __init__(self, fatal: int) -> None:
        self._left = fatal
        self._armed = False
        self._lock = threading.Lock()
        threading.setprofile(self._seen)
        sys.setprofile(self._seen)

    def arm(self) -> None:
        """Count from now on, unless that has begun."""
        self._armed = True

    def _seen(self, _: FrameType, event: str, called: Any) -> None:
        if self._armed and event == "c_call" and called.__name__ in CALLS:
            with self._lock:
                self._left -= 1
                if self._left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
