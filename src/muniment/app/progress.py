"""How far a long act is: what use cases tell, and the line on the terminal that shows it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from threading import Event, Lock
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from attrs import define, field

from muniment.domain.errors import MunimentError

REDRAWN_SECONDS: Final = 0.1
"""A line is drawn no more often."""
WIDTH: Final = 24
COLUMNS: Final = 80
HOUR: Final = 3600
KIB: Final = 1024
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


class Progress(Protocol):
    """Told by a use case what it is about to do and what is done of it; by several threads at once.

    Files and sizes in bytes are what was added since the last call. Who tells them waits for nothing.
    """

    def ahead(self, doing: str, files: int = 0, size: int = 0) -> None:
        """Hear that so much more is to be done; another *doing* begins another count, as does more when all is done."""
        ...

    def done(self, files: int = 0, size: int = 0) -> None:
        """Hear that so much more is done."""
        ...


class Watch(Progress, Protocol):
    """Progress that is shown somewhere."""

    def wipe(self) -> None:
        """Make room for something else to be said; the line comes back with the next word."""
        ...


@define
class _Silent:
    """Progress that nobody looks at."""

    def ahead(self, doing: str, files: int = 0, size: int = 0) -> None:
        """Say nothing."""

    def done(self, files: int = 0, size: int = 0) -> None:
        """Say nothing."""

    def wipe(self) -> None:
        """Do nothing."""


SILENT: Final[Watch] = _Silent()
"""What use cases are given where nobody watches."""


class StoppedError(MunimentError):
    """Somebody did not want it any more before it was done."""


@define(eq=False)
class Stoppable:
    """Passes on what it is told, until it is stopped: from then on, whoever tells it something fails.

    So threads end between two blocks or files of what they do, and clean up as after any other error.
    """

    inner: Progress
    _stopped: Event = field(init=False, factory=Event)

    def stop(self) -> None:
        """Let go on nobody who tells how far it is."""
        self._stopped.set()

    def ahead(self, doing: str, files: int = 0, size: int = 0) -> None:
        """Pass it on; StoppedError after a stop."""
        self.check()
        self.inner.ahead(doing, files, size)

    def done(self, files: int = 0, size: int = 0) -> None:
        """Pass it on; StoppedError after a stop."""
        self.check()
        self.inner.done(files, size)

    def check(self) -> None:
        """StoppedError after a stop."""
        if self._stopped.is_set():
            msg = "it was stopped before it was done"
            raise StoppedError(msg)


@define(eq=False)
class Bar:
    """One line on a terminal: what is done, of how much, how fast, and how long it still takes.

    It is drawn while the bar is entered and *stream* is a terminal, and wiped afterwards; it counts at any time.
    """

    stream: TextIO = field(factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    _told: str = field(init=False, default="")
    _doing: str = field(init=False, default="")
    _files: int = field(init=False, default=0)
    _size: int = field(init=False, default=0)
    _all_files: int = field(init=False, default=0)
    _all_size: int = field(init=False, default=0)
    _since: float = field(init=False, default=0.0)
    _next: float = field(init=False, default=0.0)
    _on: bool = field(init=False, default=False)
    _drawn: bool = field(init=False, default=False)
    _lock: Lock = field(init=False, factory=Lock)

    def __enter__(self) -> Self:
        self._on = self.stream.isatty()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._on = False
            self._wipe()

    def wipe(self) -> None:
        """Take the line away until it is drawn again."""
        with self._lock:
            self._wipe()

    def ahead(self, doing: str, files: int = 0, size: int = 0) -> None:
        """Count what is to be done."""
        with self._lock:
            if doing != self._told or (self._files >= self._all_files and self._size >= self._all_size):
                self._told = doing
                self._doing = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in doing)
                self._since, self._next = self.clock(), 0.0
                self._files = self._size = self._all_files = self._all_size = 0
            self._all_files += files
            self._all_size += size
            self._draw()

    def done(self, files: int = 0, size: int = 0) -> None:
        """Count what is done."""
        with self._lock:
            self._files += files
            self._size += size
            self._draw()

    def tick(self) -> None:
        """Draw the line again, if it is time, though nothing was told."""
        with self._lock:
            self._draw()

    def _draw(self) -> None:
        if not self._on or not self._doing:
            return
        now = self.clock()
        if now < self._next:
            return
        self._next = now + REDRAWN_SECONDS
        self._drawn = True
        self._write(f"\r\x1b[2K{self._text(now)[: _columns(self.stream) - 1]}")

    def _text(self, now: float) -> str:
        """Return the line; by bytes where there are any, because files are not alike."""
        seconds = max(now - self._since, 1e-9)
        part = self._part()
        texts = [f"muniment: {self._doing}"]
        if part is not None:
            texts.append(f"[{'#' * round(WIDTH * part):<{WIDTH}}]")
        if self._files or self._all_files:
            texts.append(f"{self._files:,}{f'/{self._all_files:,}' if self._all_files else ''} files")
        if self._size or self._all_size:
            of = f"/{human_size(self._all_size)}" if self._all_size else ""
            texts.append(f"{human_size(self._size)}{of}  {human_size(self._size / seconds)}/s")
        elif self._files:
            texts.append(f"{self._files / seconds:,.0f} files/s")
        if part and part < 1:
            texts.append(f"{_duration(seconds * (1 - part) / part)} left")
        return "  ".join(texts)

    def _part(self) -> float | None:
        if self._all_size:
            return min(1.0, self._size / self._all_size)
        return min(1.0, self._files / self._all_files) if self._all_files else None

    def _wipe(self) -> None:
        if self._drawn:
            self._drawn = False
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # the terminal is gone; what is being done goes on without it
            self._on = self._drawn = False


def human_size(size: float) -> str:
    """Return a number of bytes as a person reads it."""
    for unit in _UNITS:
        if size < KIB or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= KIB
    raise AssertionError


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours, rest = divmod(whole, HOUR)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or COLUMNS
    except (OSError, ValueError):
        return COLUMNS
