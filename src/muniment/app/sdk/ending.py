"""Ending the runs that nobody ended, when the process does."""

from __future__ import annotations

import atexit
import sys
import threading
from types import TracebackType
from typing import NoReturn

from muniment.app.sdk import recording
from muniment.app.sdk.terminal import protest
from muniment.domain.errors import MunimentError


class _Exit:
    """How the process ends."""

    watching = False
    failed = False


def watch() -> None:
    """End forgotten runs when the process ends: as failed if an exception that nobody caught or an exit status says so.

    As with W&B, the status is what ``sys.exit`` was told last.
    """
    if _Exit.watching:
        return
    _Exit.watching = True
    before, leave = sys.excepthook, sys.exit

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _Exit.failed = True
        before(kind, error, trace)

    def left(status: str | int | None = None, /) -> NoReturn:
        _Exit.failed = bool(status)
        leave(status)

    sys.excepthook, sys.exit = hook, left
    # Earlier than atexit, because by then no thread may be started any more.
    register = getattr(threading, "_register_atexit", atexit.register)
    register(_finish_forgotten)


def _finish_forgotten() -> None:
    while (run := recording.active()) is not None:
        try:
            run.finish(exit_code=1 if _Exit.failed else 0)
        except MunimentError as error:
            protest(f"run {run.name}: {error}")
        finally:
            if run in recording.ACTIVE:
                recording.ACTIVE.remove(run)
