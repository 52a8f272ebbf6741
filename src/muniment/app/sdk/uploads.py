"""Uploads in the background: one thread for each run, in the order in which artifacts were logged."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue

from muniment.app.progress import REDRAWN_SECONDS, Bar
from muniment.app.sdk.errors import UploadError
from muniment.app.telemetry import carried
from muniment.domain.errors import MunimentError

Job = Callable[[], None]
DOING = "uploading"


class Uploads:
    """The uploads of a run; *shown* tells whether waiting for them is shown on the terminal."""

    def __init__(self, *, shown: bool = False) -> None:
        self._bar = Bar()
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
        """Hear what an upload is about to do, which was known when it was submitted."""

    def done(self, files: int = 0, size: int = 0) -> None:
        """Hear that so much more is in the store."""
        self._bar.done(files, size)

    def wait(self) -> list[MunimentError]:
        """Wait for everything that was submitted; return what failed, in order."""
        if self._pid != os.getpid():
            return []
        with self._lock:
            futures, self._futures = self._futures, []
        if self._shown and futures:
            self._watch(futures)
        wait(futures)
        errors = [error for future in futures if (error := future.exception()) is not None]
        return [error for error in errors if isinstance(error, MunimentError)]

    def _watch(self, futures: list[Future[None]]) -> None:
        """Show how far the uploads are until they are done."""
        with self._bar as bar:
            while wait(futures, REDRAWN_SECONDS).not_done:
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
                job()
            except MunimentError as error:
                future.set_exception(error)
            except BaseException as error:  # noqa: BLE001 (it is raised where somebody waits)
                failure = UploadError(f"the upload failed: {error or type(error).__name__}")
                failure.__cause__ = error
                future.set_exception(failure)
            else:
                future.set_result(None)
