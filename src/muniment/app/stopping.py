"""Ending before the work is done: SIGTERM unwinds the program as Ctrl-C does, so that nothing is left half-done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

TERMINATED: Final = 128 + signal.SIGTERM
"""The exit status of a program that SIGTERM ended, as shells tell it."""


class Terminated(SystemExit):
    """The process was asked to end by SIGTERM."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)


class _Unwind:
    """What SIGTERM does in the process that asked for it; in one forked from it, what it would have done without.

    It is no attrs class, because every start of the command line loads it, help too, and attrs takes 10 ms to load.
    """

    def __init__(self, tell: Callable[[Terminated], None]) -> None:
        self.tell = tell
        self.owner = os.getpid()

    @property
    def is_inherited(self) -> bool:
        return os.getpid() != self.owner

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self.is_inherited:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        error = Terminated()
        self.tell(error)
        raise error


def unwind_on_sigterm(tell: Callable[[Terminated], None] = lambda _: None) -> None:
    """Let SIGTERM raise Terminated in the main thread, after *tell* has heard of it.

    Nothing is changed if the program has decided what SIGTERM does, or outside of the main thread. In a process that
    is forked afterwards SIGTERM does what it did before, until that process asks for this itself, and a second one
    ends the process at once.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    found = signal.getsignal(signal.SIGTERM)
    if found is signal.SIG_DFL or (isinstance(found, _Unwind) and found.is_inherited):
        signal.signal(signal.SIGTERM, _Unwind(tell))


@contextmanager
def unwinding() -> Iterator[None]:
    """Let SIGTERM raise Terminated meanwhile."""
    before = signal.getsignal(signal.SIGTERM)
    unwind_on_sigterm()
    try:
        yield
    finally:
        if before is not signal.getsignal(signal.SIGTERM):
            signal.signal(signal.SIGTERM, before)


def is_asked_to_end(error: BaseException) -> bool:
    """Whether somebody does not want to wait for what is still to be done."""
    return isinstance(error, (KeyboardInterrupt, Terminated))
