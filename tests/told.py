"""Progress that remembers what it was told."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field


@define
class Told:
    """What was announced and what was said to be done, files and bytes for each act; *then* is done at each word."""

    then: Callable[[], object] = lambda: None
    expected: dict[str, tuple[int, int]] = field(factory=dict)
    heard: dict[str, tuple[int, int]] = field(factory=dict)
    _doing: str = ""

    def ahead(self, doing: str, files: int = 0, size: int = 0) -> None:
        self._doing = doing
        self._add(self.expected, files, size)
        self.heard.setdefault(doing, (0, 0))

    def done(self, files: int = 0, size: int = 0) -> None:
        self._add(self.heard, files, size)
        self.then()

    def _add(self, counts: dict[str, tuple[int, int]], files: int, size: int) -> None:
        before = counts.get(self._doing, (0, 0))
        counts[self._doing] = (before[0] + files, before[1] + size)
