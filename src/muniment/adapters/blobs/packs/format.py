"""What a pack looks like: the contents one after the other, and a footer that says which they are.

docs/format/packs.md says it byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from struct import Struct
from typing import Final

from attrs import frozen

from muniment.domain.errors import CorruptError
from muniment.domain.values import Digest

MAGIC: Final = b"MUNIPACK"
VERSION: Final = 1
ENTRY: Final = Struct(">32sQI")
"""The SHA-256 of a content, where it begins, its length."""
TRAILER: Final = Struct(">8sII32s8s")
"""Magic, version, number of entries, SHA-256 of all of the footer before it, magic again."""
SUMMED: Final = 16
"""How much of the trailer comes before its SHA-256."""
TAIL_BYTES: Final = 64 << 10
"""How much of the end of a pack is read at first: footers of up to 1,488 entries."""

Read = Callable[[int, int], bytes]


@frozen
class Span:
    """Where in a pack a blob lies."""

    digest: Digest
    start: int
    length: int

    @property
    def end(self) -> int:
        """The byte after its last one."""
        return self.start + self.length


class TornError(CorruptError):
    """What should be a pack ends like none: it was never finished, or it was cut."""


def footer(spans: Sequence[Span]) -> bytes:
    """Return what a pack with these contents ends with."""
    entries = b"".join(ENTRY.pack(bytes.fromhex(span.digest), span.start, span.length) for span in spans)
    head = TRAILER.pack(MAGIC, VERSION, len(spans), b"", b"")[:SUMMED]
    return entries + head + sha256(entries + head).digest() + MAGIC


def spans_of(size: int, read: Read) -> tuple[Span, ...]:
    """Return what is in a pack of *size* bytes, reading its end with *read*, once or twice.

    TornError if it does not end like a pack, CorruptError if its footer is damaged.
    """
    tail = read(max(0, size - TAIL_BYTES), min(size, TAIL_BYTES))
    if len(tail) < TRAILER.size:
        raise TornError(_TORN)
    first, version, count, digest, last = TRAILER.unpack_from(tail, len(tail) - TRAILER.size)
    if MAGIC not in (first, last):  # one alone may be a damaged byte
        raise TornError(_TORN)
    if first != MAGIC or last != MAGIC or version != VERSION:
        raise CorruptError(_DAMAGED)
    length = count * ENTRY.size + TRAILER.size
    if length > size:
        raise CorruptError(_DAMAGED)
    whole = tail[len(tail) - length :] if length <= len(tail) else read(size - length, length)
    entries, head = whole[: count * ENTRY.size], whole[count * ENTRY.size :][:SUMMED]
    if len(whole) != length or sha256(entries + head).digest() != digest:
        raise CorruptError(_DAMAGED)
    return _tiled(size - length, (Span(Digest(name.hex()), *place) for name, *place in ENTRY.iter_unpack(entries)))


_TORN: Final = "does not end like a pack"
_DAMAGED: Final = "has a damaged footer"


def _tiled(size: int, spans: Iterable[Span]) -> tuple[Span, ...]:
    """Check that the contents leave no byte unnamed: it could not be deleted."""
    found = tuple(spans)
    end = 0
    for span in found:
        if span.start != end:
            raise CorruptError(_DAMAGED)
        end = span.end
    if end != size or not found:
        raise CorruptError(_DAMAGED)
    return found
