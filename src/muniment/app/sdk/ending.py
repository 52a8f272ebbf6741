"""Ending the runs that nobody ended, when the process does."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from types import TracebackType
from typing import NoReturn

from muniment.app.sdk import recording
from muniment.app.sdk.terminal import protest
from muniment.app.stopping import Terminated, is_asked_to_end, unwind_on_sigterm
from muniment.domain.errors import MunimentError


class _Exit:
    """How the process ends."""

    watching = False
    failed = False
    error: BaseException | None = None
    late = False


def watch() -> None:
    """End forgotten runs when the process ends: as failed if an exception that nobody caught or an exit status says so.

    As with W&B, the status is what ``sys.exit`` was told last.
    """
    unwind_on_sigterm(_asked)
    if _Exit.watching:
        return
    _Exit.watching = True
    before, leave = sys.excepthook, sys.exit

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _Exit.failed, _Exit.error = True, error
        before(kind, error, trace)

    def left(status: str | int | None = None, /) -> NoReturn:
        _Exit.failed = bool(status)
        leave(status)

    sys.excepthook, sys.exit = hook, left
    atexit.register(_leave)
    # Earlier than atexit, because by then no thread may be started any more.
    register = getattr(threading, "_register_atexit", atexit.register)
    register(_finish_forgotten)


def _asked(error: Terminated) -> None:
    _Exit.error = error


def _finish_forgotten() -> None:
    while (run := recording.active()) is not None:
        try:
            if _Exit.error is not None and is_asked_to_end(_Exit.error):
                run.give_up(_Exit.error)
            else:
                run.finish(exit_code=1 if _Exit.failed else 0)
        except MunimentError as error:
            protest(f"run {run.name}: {error}")
        except (KeyboardInterrupt, Terminated) as error:  # the run knows; here it would only be printed
            _Exit.error, _Exit.late = error, True
        finally:
            if run in recording.ACTIVE:
                recording.ACTIVE.remove(run)


def _leave() -> None:
    """Let a signal that came while runs were ended say how the process ends, which Python does not do any more."""
    if _Exit.late:
        sent = signal.SIGTERM if isinstance(_Exit.error, Terminated) else signal.SIGINT
        signal.signal(sent, signal.SIG_DFL)
        os.kill(os.getpid(), sent)
