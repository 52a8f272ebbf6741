"""Reading from packs with few requests: who reads neighbours one by one is given them from one longer read."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

from attrs import define, field, frozen

from muniment.adapters.blobs.packs.index import Location
from muniment.domain.ports import ObjectStore

AHEAD_BYTES: Final = 2 << 20
"""How much is read at once where the read before was just before it, or not far away."""
KEPT: Final = 4


@frozen
class _Stretch:
    """Bytes of a pack, and where there they begin."""

    start: int
    content: bytes


@define(eq=False)
class ReadAhead:
    """Bytes of packs, a few stretches of which are kept: at most 8 MiB."""

    objects: ObjectStore
    _stretches: OrderedDict[tuple[str, int], _Stretch] = field(init=False, factory=OrderedDict)
    _last: dict[str, int] = field(init=False, factory=dict)
    _lock: Lock = field(init=False, factory=Lock)

    def read(self, where: Location) -> bytes:
        """Return the bytes of a location; fewer if the pack ends before."""
        with self._lock:
            for (pack, _), stretch in reversed(self._stretches.items()):
                begin = where.start - stretch.start
                if pack == where.pack and begin >= 0 and begin + where.length <= len(stretch.content):
                    self._last[pack] = where.start
                    return stretch.content[begin : begin + where.length]
            near = abs(where.start - self._last.get(where.pack, where.start + 2 * AHEAD_BYTES)) <= AHEAD_BYTES
            if where.pack not in self._last and len(self._last) >= KEPT:
                self._last.clear()
            self._last[where.pack] = where.start
        if not near:
            return self.objects.read(where.pack, where.start, where.length)
        begin = where.start - where.start % AHEAD_BYTES
        end = max(begin + AHEAD_BYTES, where.start + where.length)
        content = self.objects.read(where.pack, begin, end - begin)
        with self._lock:
            self._stretches[where.pack, begin] = _Stretch(begin, content)
            while len(self._stretches) > KEPT:
                self._stretches.popitem(last=False)
        return content[where.start - begin :][: where.length]

    def forget(self, pack: str) -> None:
        """Let go of what is kept of a pack."""
        with self._lock:
            for key in [key for key in self._stretches if key[0] == pack]:
                del self._stretches[key]
            self._last.pop(pack, None)
