"""Uploads in the background: one thread for each run, in the order in which artifacts were logged."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue

from muniment.app.progress import REDRAWN_SECONDS, Bar, Stoppable, StoppedError
from muniment.app.sdk.errors import UploadError
from muniment.app.telemetry import carried
from muniment.domain.errors import MunimentError

Job = Callable[[], None]
DOING = "uploading"
LAST_SECONDS = 5.0
"""How long the file that is on its way when everything is stopped may still take."""


class Uploads:
    """The uploads of a run; *shown* tells whether waiting for them is shown on the terminal."""

    def __init__(self, *, shown: bool = False) -> None:
        self._bar = Bar()
        self._told = Stoppable(self._bar)
        self._stopped = False
        self._shown = shown and self._bar.stream.isatty()
        self._queue: SimpleQueue[tuple[Job, Future[None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._futures: list[Future[None]] = []
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def submit(self, job: Job, files: int = 0, size: int = 0) -> Future[None]:
        """Do *job* after all that was submitted before; so many *files* of *size* bytes it brings into the store.

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
            self._bar.ahead(DOING, files, size)
            self._futures.append(future)
            self._queue.put((carried(job), future))
        return future

    def ahead(self, doing: str, files: int = 0, size: int = 0) -> None:
        """Hear what an upload is about to do, which was known when it was submitted; StoppedError after a stop."""
        del doing, files, size
        self._told.check()

    def done(self, files: int = 0, size: int = 0) -> None:
        """Hear that so much more is in the store; StoppedError after a stop."""
        self._told.done(files, size)

    def stop(self) -> None:
        """Begin nothing more, and end what is on its way after the file that it is at."""
        self._stopped = True
        self._told.stop()

    def wait(self) -> list[MunimentError]:
        """Wait for everything that was submitted; return what failed, in order."""
        if self._pid != os.getpid():
            return []
        futures = list(self._futures)
        if self._shown and futures:
            self._watch(futures)
        late = wait(futures, LAST_SECONDS if self._stopped else None).not_done
        errors = [error for future in futures if future not in late and (error := future.exception()) is not None]
        self._futures = self._futures[len(futures) :]
        errors += [StoppedError("an upload was stopped before it was done") for _ in late]
        return [error for error in errors if isinstance(error, MunimentError)]

    def _watch(self, futures: list[Future[None]]) -> None:
        """Show how far the uploads are until they are done."""
        with self._bar as bar:
            while wait(futures, REDRAWN_SECONDS).not_done and not self._stopped:
                bar.tick()

    def close(self) -> None:
        """Let the thread end when it has nothing left to do."""
        if self._thread is not None and self._pid == os.getpid():
            self._queue.put(None)
            self._thread = None

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            job, future = item
            try:
                self._told.check()
                job()
            except MunimentError as error:
                future.set_exception(error)
            except BaseException as error:  # noqa: BLE001 (it is raised where somebody waits)
                failure = UploadError(f"the upload failed: {error or type(error).__name__}")
                failure.__cause__ = error
                future.set_exception(failure)
            else:
                future.set_result(None)
