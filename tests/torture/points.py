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
NOT_OUTSIDE: Final = (set, list, str)
"""What has a method of one of these names that reaches nothing."""


class Points:
    """Counts the points of this process from ``arm`` on, in all its threads; at the fatal one it gets the signal."""

    def __init__(self, fatal: int, sent: signal.Signals = signal.SIGKILL) -> None:
        self._left = fatal
        self._sent = sent
        self._armed = False
        self._lock = threading.Lock()
        threading.setprofile(self._seen)
        sys.setprofile(self._seen)

    @property
    def left(self) -> int:
        """How many points there are until the fatal one; how many there were, with a minus, if none was."""
        return self._left

    def arm(self) -> None:
        """Count from now on, unless that has begun."""
        self._armed = True

    def _seen(self, _: FrameType, event: str, called: Any) -> None:
        if (
            self._armed
            and event == "c_call"
            and called.__name__ in CALLS
            and not isinstance(called.__self__, NOT_OUTSIDE)
        ):
            with self._lock:
                self._left -= 1
                is_fatal = not self._left
            if is_fatal:
                os.kill(os.getpid(), self._sent)
