"""The roots of complete subtrees of 256, 65,536 … leaves, kept so that a proof reads a few hundred hashes at most.

They are written in the transaction that completes them and can be made again from the leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from attrs import define, field

from muniment.domain.merkle import HASH_BYTES, Frontier, Tile

SQLITE: Final = (
    """CREATE TABLE tiles (
        level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
        PRIMARY KEY (level, number)) WITHOUT ROWID""",
)
POSTGRES: Final = (
    """CREATE TABLE tiles (
        level smallint NOT NULL, number bigint NOT NULL, hash bytea NOT NULL, PRIMARY KEY (level, number))""",
)
ALL: Final = "SELECT level, number, hash FROM tiles ORDER BY level, number"


def completed(frontier: Frontier, leaves: Iterable[bytes]) -> list[Tile]:
    """Append leaves to a frontier; return the tiles that they complete."""
    return [tile for leaf in leaves for tile in frontier.append(leaf)]


@define
class Made:
    """The tiles that the leaves make, to compare those that are kept with; 32 bytes for 256 leaves."""

    _hashes: defaultdict[int, bytearray] = field(factory=lambda: defaultdict(bytearray), init=False)

    def add(self, tiles: Sequence[Tile]) -> None:
        """Take in tiles in the order in which they are completed."""
        for tile in tiles:
            self._hashes[tile.level] += tile.hash

    def check(self, kept: Iterable[tuple[Any, Any, Any]]) -> Iterator[str]:
        """Yield a line for each kept tile that the leaves do not make, and for each that is missing."""
        expected = dict.fromkeys(self._hashes, 0)
        for level, number, hash_ in kept:
            if level not in expected or type(number) is not int or self._hash(level, number) != hash_:
                yield f"tile {number!r} of level {level!r} was changed: it is not what the leaves make"
            if level in expected and type(number) is int:
                yield from self._gap(level, expected[level], number)
                expected[level] = number + 1
        for level, at in expected.items():
            yield from self._gap(level, at, len(self._hashes[level]) // HASH_BYTES)

    def _hash(self, level: int, number: int) -> bytes:
        return bytes(self._hashes[level][number * HASH_BYTES : (number + 1) * HASH_BYTES])

    @staticmethod
    def _gap(level: int, expected: int, found: int) -> Iterator[str]:
        if found > expected:
            yield f"tile {expected} of level {level} is missing"
