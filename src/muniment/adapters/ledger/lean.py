"""The fast way to find a page of events as it should be: hashed from the columns as they come, no records made.

It only ever says that a page is clean; what is wrong with one that is not, ``verify`` finds in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import product
from typing import Any, Final, TypeAlias

import msgspec
from attrs import frozen

from muniment.adapters.ledger.record import AUDITS, LEAF_VERSION, OUTCOMES
from muniment.domain.merkle import TILE

PAGE: Final = 8 * TILE
"""How many events a page has; pages begin where tiles do."""
REDACTED: Final = "redaction.redacted.1"

Row: TypeAlias = tuple[Any, ...]
Leaf: TypeAlias = tuple[Any, Any]

_TEXT: Final = (str, type(None))
_NO: Final = type(None)
_SHAPES: Final = frozenset(
    (int, str, int, str, bytes, bytes, *words, str, int, str, str, str, str, *maybe[:4], *maybe[4:], str, str)
    for words in ((_NO, _NO, _NO), (bytes, bytes, _NO), (_NO, _NO, bytes))
    for maybe in product(_TEXT, repeat=5)
)
"""The types of the columns of every event that is whole."""


class _Leaf(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The members of a leaf in their order, to be filled by place."""

    actor: str | None = None
    causation: str | None = None
    class_: str | None = msgspec.field(name="class", default=None)
    command: str | None = None
    correlation: str | None = None
    event_id: str | None = None
    facts_commit: str | None = None
    on_behalf_of: str | None = None
    org: str | None = None
    outcome: str | None = None
    position: int | None = None
    recorded_at: int | None = None
    request: str | None = None
    run: str | None = None
    seq: int | None = None
    source: str | None = None
    stream: str | None = None
    type: str | None = None
    v: int | None = None
    words_commit: str | None = None


_encode: Final = msgspec.json.Encoder().encode


@frozen
class Clean:
    """What a page without fault adds to the tree: the hashes of its whole tiles, then of the leaves after them.

    *began* and *ended* are when its first and last event were recorded; *redacted* is whether one of its events lost
    its words, or says that others have.
    """

    tiles: tuple[bytes, ...]
    rest: tuple[bytes, ...]
    began: int
    ended: int
    redacted: bool


def leaf_of_row(row: Row) -> bytes | None:
    """Return the leaf hash of the event in these columns; ``None`` if one of them holds what it may not."""
    if tuple(map(type, row)) not in _SHAPES:
        return None
    (seq, stream, position, type_, facts, blind, words, words_blind, words_commit, event_id, recorded_at, org, audit,
     outcome, actor, on_behalf_of, run, request, correlation, causation, command, source) = row  # fmt: skip
    if audit not in AUDITS or outcome not in OUTCOMES:
        return None
    if words is not None:
        words_commit = sha256(words_blind + words).hexdigest()
    elif words_commit is not None:
        words_commit = words_commit.hex()
    text = _encode(
        _Leaf(
            actor, causation, audit, command, correlation, event_id, sha256(blind + facts).hexdigest(), on_behalf_of,
            org, outcome, position, recorded_at, request, run, seq, source, stream, type_, LEAF_VERSION, words_commit,
        )
    )  # fmt: skip
    return sha256(b"\x00" + text).digest()


def look(after: int, rows: Sequence[Row], leaves: Sequence[Leaf]) -> Clean | None:
    """Return what a page adds if its events are the next ones, match their leaves and follow in time; else ``None``."""
    if not rows:
        return None
    hashes = []
    seq, latest = after, -1
    for row in rows:
        seq += 1
        hash_ = leaf_of_row(row)
        if hash_ is None or row[0] != seq or row[10] <= latest:
            return None
        latest = row[10]
        hashes.append((seq, hash_))
    if hashes != leaves:
        return None
    made = [hash_ for _, hash_ in hashes]
    whole = len(made) - len(made) % TILE
    return Clean(
        tiles=tuple(_tile(made[first : first + TILE]) for first in range(0, whole, TILE)),
        rest=tuple(made[whole:]),
        began=rows[0][10],
        ended=latest,
        redacted=any(row[8] is not None or row[3] == REDACTED for row in rows),
    )


def _tile(level: list[bytes]) -> bytes:
    """Return the root over the leaves of a tile."""
    while len(level) > 1:
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]
