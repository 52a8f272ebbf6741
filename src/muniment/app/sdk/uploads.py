"""Uploads in the background: one thread for each run, in the order in which artifacts were logged."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Final

from muniment.app.sdk.errors import UploadError
from muniment.domain.errors import MunimentError

Job = Callable[[], None]
REDRAWN: Final = 0.1
WIDTH: Final = 30
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


class Uploads:
    """The uploads of a run; *shown* tells whether waiting for them is shown on the terminal."""

    def __init__(self, *, shown: bool = False) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._queue: SimpleQueue[tuple[Job, Future[None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._futures: list[Future[None]] = []
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self.total = 0
        self._done = 0

    def submit(self, job: Job, size: int) -> Future[None]:
        """Do *job* after all that was submitted before; *size* is how many bytes it brings into the store.

        In a process that was forked from the run's own, nobody waits for a thread, so it is done at once.
        """
        future: Future[None] = Future()
        if self._pid != os.getpid():
            job()
            future.set_result(None)
            return future
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="muniment uploads", daemon=True)
                self._thread.start()
            self.total += size
            self._futures.append(future)
            self._queue.put((job, future))
        return future

    def tell(self, size: int) -> None:
        """Hear that more bytes are in the store."""
        self._done += size

    def wait(self) -> list[MunimentError]:
        """Wait for everything that was submitted; return what failed, in order."""
        if self._pid != os.getpid():
            return []
        try:
            with self._lock:
                futures, self._futures = self._futures, []
            pending = set(futures)
            while pending:
                pending = wait(pending, REDRAWN if self._shown else None).not_done
                self._draw()
        finally:
            self._clear()
        errors = [error for future in futures if (error := future.exception()) is not None]
        return [error for error in errors if isinstance(error, MunimentError)]

    def close(self) -> None:
        """Let the thread end when it has nothing left to do."""
        if self._thread is not None and self._pid == os.getpid():
            self._queue.put(None)
            self._thread = None

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            job, future = item
            try:
                job()
            except MunimentError as error:
                future.set_exception(error)
            except BaseException as error:  # noqa: BLE001 (it is raised where somebody waits)
                failure = UploadError(f"the upload failed: {error or type(error).__name__}")
                failure.__cause__ = error
                future.set_exception(failure)
            else:
                future.set_result(None)

    def _draw(self) -> None:
        if self._shown and self.total:
            part = min(1.0, self._done / self.total)
            bar = "#" * round(WIDTH * part)
            text = f"\rmuniment: uploading [{bar:<{WIDTH}}] {_size(self._done)} of {_size(self.total)}"
            print(f"{text:<79}", end="", file=sys.stderr, flush=True)  # noqa: T201 (for whoever waits)

    def _clear(self) -> None:
        if self._shown and self.total:
            print("\r" + " " * 79 + "\r", end="", file=sys.stderr, flush=True)  # noqa: T201


def _size(count: float) -> str:
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:  # noqa: PLR2004 (of the next unit)
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError
