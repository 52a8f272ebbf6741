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


def unwind_on_sigterm(tell: Callable[[Terminated], None] = lambda _: None) -> None:
    """Let SIGTERM raise Terminated in the main thread, after *tell* has heard of it.

    Nothing is changed if the program has decided what SIGTERM does, or outside of the main thread. In a process that
    is forked afterwards SIGTERM does what it did before, and a second one ends the process at once.
    """
    owner = os.getpid()

    def unwind(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() != owner:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        error = Terminated()
        tell(error)
        raise error

    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, unwind)


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
