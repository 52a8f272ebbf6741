"""Files in which the contents of many small files wait one after the other: one file costs less than thousands."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Final, Self

from attrs import define, field

from muniment.app.disk import COPY, write_all, writing

SMALL: Final = 256 << 10
"""Up to how many bytes a content waits with others."""
FEW: Final = 16
"""So many small files are worth a bundle."""
BUNDLE_BYTES: Final = 64 << 20
BUNDLE_CONTENTS: Final = 4096
"""What is said of so many contents is held in memory while a bundle becomes a pack."""
BUFFER_BYTES: Final = 256 << 10


@define(eq=False)
class Slot:
    """Where a content waits; known when it was written."""

    path: str = ""
    start: int = 0


@define(eq=False)
class Bundles:
    """The bundles of one act of adding; never written to afterwards, because a store may take them as they are."""

    next_path: Callable[[], str]
    seen: dict[str, Slot] = field(init=False, factory=dict)
    _path: str = field(init=False, default="")
    _file: int = field(init=False, default=-1)
    _size: int = field(init=False, default=0)
    _count: int = field(init=False, default=0)
    _lock: Lock = field(init=False, factory=Lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file >= 0:
            os.close(self._file)

    def write(self, contents: list[bytes]) -> tuple[str, int]:
        """Append to a bundle, a new one if this one is full; return which, and where there the first one begins."""
        content = b"".join(contents)
        with self._lock, writing():
            self._count += len(contents)
            if self._file < 0 or self._size + len(content) > BUNDLE_BYTES or self._count > BUNDLE_CONTENTS:
                if self._file >= 0:
                    os.close(self._file)
                self._file, self._size, self._count = -1, 0, len(contents)
                self._path = self.next_path()
                self._file = os.open(self._path, COPY | os.O_EXCL, 0o600)
            start = self._size
            write_all(self._file, content)
            self._size += len(content)
            return self._path, start


@define(eq=False)
class Run:
    """Contents on their way into a bundle together; each that is there already is not written again."""

    bundles: Bundles
    _waiting: list[tuple[Slot, bytes]] = field(init=False, factory=list)
    _held: int = field(init=False, default=0)

    def add(self, digest: str, content: bytes) -> Slot:
        """Take a content; where it waits is known after ``flush``."""
        slot = self.bundles.seen.get(digest)
        if slot is None:
            slot = self.bundles.seen[digest] = Slot()
            self._waiting.append((slot, content))
            self._held += len(content)
            if self._held >= BUFFER_BYTES:
                self.flush()
        return slot

    def flush(self) -> None:
        """Write what was taken."""
        if self._waiting:
            path, start = self.bundles.write([content for _, content in self._waiting])
            for slot, content in self._waiting:
                slot.path, slot.start = path, start
                start += len(content)
            self._waiting.clear()
            self._held = 0
