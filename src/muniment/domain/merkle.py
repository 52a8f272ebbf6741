"""The RFC 6962 hash tree: leaves, nodes, the root of a list, and a frontier that grows one leaf at a time."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

EMPTY_ROOT = sha256().digest()
HASH_BYTES = 32
TILE_BITS: Final = 8
TILE: Final = 1 << TILE_BITS
"""How many hashes of one level make one of the next level that is kept."""
_LAST: Final = TILE - 1


class Tile(NamedTuple):
    """The root of a complete subtree of ``256 ** level`` leaves; ``number`` counts those of its level from 0."""

    level: int
    number: int
    hash: bytes


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256 of a zero byte and the data (RFC 6962, section 2.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256 of a one byte and both children (RFC 6962, section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the complete subtrees of a growing tree, largest first: all that appending needs.

    ``size`` is the number of leaves; a subtree stands for each one-bit of it.
    """

    __slots__ = ("_roots", "size")

    def __init__(self, size: int = 0, roots: bytes = b"") -> None:
        if len(roots) != size.bit_count() * HASH_BYTES:
            msg = f"a frontier of {size} leaves has {size.bit_count()} roots of {HASH_BYTES} bytes"
            raise ValueError(msg)
        self.size = size
        self._roots = [roots[at : at + HASH_BYTES] for at in range(0, len(roots), HASH_BYTES)]

    def append(self, leaf: bytes) -> tuple[Tile, ...]:
        """Add the hash of the next leaf; return the tiles that it completes, mostly none."""
        size = self.size
        if size & _LAST == _LAST:
            return self._complete(leaf)
        while size & 1:
            leaf = node_hash(self._roots.pop(), leaf)
            size >>= 1
        self._roots.append(leaf)
        self.size += 1
        return ()

    def append_tile(self, root: bytes) -> tuple[Tile, ...]:
        """Add the next 256 leaves at once by their root, after whole tiles only; return the tiles that it completes."""
        if self.size & _LAST:
            msg = f"a tile cannot follow {self.size} leaves"
            raise ValueError(msg)
        number = self.size >> TILE_BITS
        return (Tile(1, number, root), *self._complete(root, TILE_BITS))

    def _complete(self, root: bytes, height: int = 0) -> tuple[Tile, ...]:
        size, tiles = self.size >> height, []
        self.size += 1 << height
        while size & 1:
            root = node_hash(self._roots.pop(), root)
            size >>= 1
            height += 1
            if height % TILE_BITS == 0:
                tiles.append(Tile(height // TILE_BITS, size, root))
        self._roots.append(root)
        return tuple(tiles)

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        if not self._roots:
            return EMPTY_ROOT
        found = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            found = node_hash(left, found)
        return found

    def roots(self) -> bytes:
        """Return the subtree roots as bytes, to be stored and given back with ``size``."""
        return b"".join(self._roots)


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()
