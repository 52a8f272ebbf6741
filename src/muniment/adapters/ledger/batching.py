"""Group commit: whoever waits first takes the others along, and one process at a time writes."""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from muniment.domain.errors import StorageError

BATCH = 64
"""How many waiting commands are committed together at most."""


@define(eq=False)
class Waiting:
    """A piece of work that waits for its batch, and what came of it."""

    run: Callable[[Any], Any]
    done: bool = False
    result: Any = None
    error: BaseException | None = None

    def finish(self, result: object = None, error: BaseException | None = None) -> None:
        """Keep what came of it."""
        self.result, self.error, self.done = result, error, True


@define
class GroupCommit:
    """Lets threads hand in work; the first to get the lock runs a batch of it for all.

    *run_batch* must finish every piece it is given. There is no thread of its own, so nothing is left running at the
    end of the process and nothing is lost in a forked child.
    """

    run_batch: Callable[[Sequence[Waiting]], None]
    _lock: threading.Lock = field(factory=threading.Lock)
    _queue: deque[Waiting] = field(factory=deque)

    def submit(self, run: Callable[[Any], Any]) -> Any:  # noqa: ANN401 (whatever the work returns)
        """Wait until the work was committed; return its result or raise its error."""
        waiting = Waiting(run)
        self._queue.append(waiting)
        while not waiting.done:
            with self._lock:
                if not waiting.done:
                    self._lead()
        if waiting.error is not None:
            raise waiting.error
        return waiting.result

    def pause(self) -> None:
        """Wait until no batch runs, and let none begin before *resume*."""
        self._lock.acquire()

    def resume(self) -> None:
        """Let batches run again."""
        self._lock.release()

    def _lead(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        try:
            self.run_batch(batch)
        except BaseException as error:
            for waiting in batch:
                if not waiting.done:
                    waiting.finish(error=error)
            raise


TURN: Final = ".deleting.lock"
"""What the file is called that whoever deletes blobs has locked."""


@contextmanager
def turn(path: Path) -> Iterator[Callable[[], None]]:
    """Be the only thread and process that has locked this file; the kernel lets go of it with the process."""
    with _locked(path, fcntl.LOCK_EX):
        yield lambda: None  # nobody takes it from us


def is_taken(path: Path) -> bool:
    """Whether a thread or process has locked this file."""
    try:
        with _locked(path, fcntl.LOCK_SH | fcntl.LOCK_NB):
            return False
    except BlockingIOError:
        return True


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unopened(path, error) from error
    try:
        fcntl.flock(handle, how)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # a child of ours may have the same open file
    finally:
        os.close(handle)


def _unopened(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path.name} cannot be opened ({error.strerror}) — check the permissions of the folder it is in"
    )


@define(eq=False)
class ProcessLock:
    """A lock file, which the kernel lets go of when the process ends, however it ends.

    It is held through one open file, so that a process that was interrupted before it could let go of the lock gets it
    again instead of waiting for itself. Only one thread at a time may use it.
    """

    path: Path
    _handle: int = -1
    _process: int = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock."""
        handle = self._opened()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def _opened(self) -> int:
        """Return the file, opened by this process and not taken away since."""
        if self._handle >= 0 and not (self._process == os.getpid() and self._is_there()):
            self.close()
        if self._handle < 0:
            try:
                self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise _unopened(self.path, error) from error
            self._process = os.getpid()
        return self._handle

    def _is_there(self) -> bool:
        try:
            there, ours = self.path.stat(), os.fstat(self._handle)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
