"""Proofs about the hash tree of RFC 6962: that a leaf is in it, and that an older tree is its beginning.

Both are one thing: that the subtree over some leaves stands at its place in the tree. For an inclusion proof the
subtree is the leaf itself, for a consistency proof it is the older tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import TypeAlias

from attrs import define, field, frozen

from muniment.domain.errors import CorruptError, InvalidValueError, ProofError
from muniment.domain.merkle import EMPTY_ROOT, HASH_BYTES, TILE, TILE_BITS, Frontier, node_hash
from muniment.domain.values import LARGEST

Read: TypeAlias = Callable[[int, int, int], Sequence[bytes]]
"""Given level, first and last: the hashes of the complete subtrees of ``256 ** level`` leaves, from the one numbered
*first* up to but not including *last*. Level 0 are the leaves."""

Span: TypeAlias = tuple[int, int]
"""Leaves of the tree, from the first up to but not including the second."""


@frozen
class LeafContent:
    """What a leaf stands for: its text (RFC 8785), and the bytes and blinds that it commits to.

    ``words`` and its blind are ``None`` where there are none, or once they were redacted.
    """

    text: bytes
    facts: bytes
    facts_blind: bytes
    words: bytes | None
    words_blind: bytes | None


def commit(blind: bytes, content: bytes) -> bytes:
    """Return the blinded commitment to *content* that a leaf holds."""
    return sha256(blind + content).digest()


@define
class Tree:
    """The hash tree over the first *size* leaves, of which no more is read than a proof needs."""

    size: int
    _read: Read
    _tiles: dict[tuple[int, int], Sequence[bytes]] = field(factory=dict, init=False)

    @classmethod
    def over(cls, leaves: Sequence[bytes]) -> Tree:
        """Return the tree over leaf hashes that are all here."""
        levels: dict[int, list[bytes]] = {0: list(leaves)}
        frontier = Frontier()
        for leaf in leaves:
            for tile in frontier.append(leaf):
                levels.setdefault(tile.level, []).append(tile.hash)
        return cls(len(leaves), lambda level, first, last: levels.get(level, [])[first:last])

    def root(self) -> bytes:
        """Return the root; CorruptError if hashes are missing."""
        return self._over((0, self.size)) if self.size else EMPTY_ROOT

    def inclusion(self, index: int) -> list[bytes]:
        """Return the proof that the leaf numbered *index*, from 0, is in the tree (RFC 6962, section 2.1.1)."""
        if not 0 <= index < self.size:
            msg = f"there is no event {index + 1} among the first {self.size} — prove one of those"
            raise InvalidValueError(msg)
        return self.subtree(index, index + 1)

    def consistency(self, old: int) -> list[bytes]:
        """Return the proof that the tree over the first *old* leaves is its beginning (RFC 6962, section 2.1.2)."""
        if not 0 <= old <= self.size:
            msg = f"{self.size} events do not begin with {old} — name a checkpoint that is not newer"
            raise InvalidValueError(msg)
        return self.subtree(0, old) if old else []

    def subtree(self, start: int, end: int) -> list[bytes]:
        """Return the proof that the subtree over these leaves stands at its place."""
        return [self._over(span) for span in _spans(start, end, (0, self.size), known=True)]

    def _over(self, span: Span) -> bytes:
        """Return the root over a span, which begins where a subtree of its size may begin."""
        found = b""
        for level, number in reversed(list(_complete(span))):
            left = self._complete(level, number)
            found = node_hash(left, found) if found else left
        return found

    def _complete(self, level: int, number: int) -> bytes:
        """Return the root of the *number*-th complete subtree of ``2 ** level`` leaves."""
        height = level % TILE_BITS
        tile = self._tile(level // TILE_BITS, number << height >> TILE_BITS)
        first = (number << height) % TILE
        hashes = tile[first : first + (1 << height)]
        while len(hashes) > 1:
            hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
        return hashes[0]

    def _tile(self, level: int, number: int) -> Sequence[bytes]:
        found = self._tiles.get((level, number))
        if found is None:
            first = number * TILE
            last = min(first + TILE, self.size >> level * TILE_BITS)
            found = self._tiles[level, number] = self._read(level, first, last)
            if len(found) != last - first or any(len(each) != HASH_BYTES for each in found):
                msg = f"the hash tree of the ledger is damaged (level {level}, from {first}) — run `muniment fsck`"
                raise CorruptError(msg)
        return found


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that this leaf hash stands at *index* in the tree of this size and root; else ProofError."""
    if not 0 <= index < size or len(leaf) != HASH_BYTES:
        msg = f"the proof is about event {index + 1} of a ledger of {size} events — it proves nothing"
        raise ProofError(msg)
    verify_subtree((index, index + 1), size, leaf, proof, root)


def verify_consistency(old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> None:
    """Check that the tree of *old* leaves is the beginning of the one of *size*; else ProofError.

    An empty beginning proves nothing, so it is refused.
    """
    if not 0 < old <= size:
        msg = f"{size} events cannot be shown to begin with {old} — compare with an older checkpoint that is not empty"
        raise ProofError(msg)
    verify_subtree((0, old), size, old_root, proof, root)


def verify_subtree(span: Span, size: int, part: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the subtree over *span* has the root *part* in the tree of this size and root; else ProofError."""
    start, end = span
    if not 0 <= start <= end <= size <= LARGEST or not may_stand(start, end):
        msg = f"leaves {start} to {end} are no subtree of a tree of {size} — the proof proves nothing"
        raise ProofError(msg)
    if proof and any(len(each) != HASH_BYTES for each in (part, *proof)):
        msg = f"a hash of the proof does not have {HASH_BYTES} bytes — the proof was changed"
        raise ProofError(msg)
    if start == end:
        matches = part == EMPTY_ROOT and not proof
    else:
        left = list(proof)
        matches = _rebuilt(span, (0, size), left, part) == (part, root) and not left
    if not matches:
        msg = "the hashes of the proof do not lead to the root — what it is about is not in this ledger, or was changed"
        raise ProofError(msg)


def may_stand(start: int, end: int) -> bool:
    """Whether a subtree can stand at this place: it begins at a multiple of the next power of two of its size."""
    return start == end or start % (1 << (end - start - 1).bit_length()) == 0


def _split(span: Span) -> int:
    """Return where the right half of a tree over at least two leaves begins."""
    return span[0] + (1 << (span[1] - span[0] - 1).bit_length() - 1)


def _spans(start: int, end: int, within: Span, *, known: bool) -> Iterator[Span]:
    """Yield what a proof holds the roots of, from the bottom to the top.

    *known* says whether who verifies knows the root over ``start`` to ``end``.
    """
    if (start, end) == within:
        if not known:
            yield within
        return
    middle = _split(within)
    left, right = (within[0], middle), (middle, within[1])
    if end <= middle:
        yield from _spans(start, end, left, known=known)
        yield right
    elif start >= middle:
        yield from _spans(start, end, right, known=known)
        yield left
    else:
        yield from _spans(middle, end, right, known=False)
        yield left


def _rebuilt(wanted: Span, within: Span, proof: list[bytes], known: bytes | None) -> tuple[bytes, bytes]:
    """Return the roots over *wanted* and over *within*, taking hashes from the end of *proof*."""
    if wanted == within:
        part = _taken(proof) if known is None else known
        return part, part
    middle = _split(within)
    left, right = (within[0], middle), (middle, within[1])
    beside = _taken(proof)
    if wanted[1] <= middle:
        part, below = _rebuilt(wanted, left, proof, known)
        return part, node_hash(below, beside)
    if wanted[0] >= middle:
        part, below = _rebuilt(wanted, right, proof, known)
        return part, node_hash(beside, below)
    part, below = _rebuilt((middle, wanted[1]), right, proof, None)
    return node_hash(beside, part), node_hash(beside, below)


def _taken(proof: list[bytes]) -> bytes:
    if not proof:
        msg = "the proof has fewer hashes than it needs — it was cut off"
        raise ProofError(msg)
    return proof.pop()


def _complete(span: Span) -> Iterator[tuple[int, int]]:
    """Cut a span into complete subtrees, left to right: the level of each, and its number among those of its level."""
    at, end = span
    while at < end:
        level = (end - at).bit_length() - 1
        yield level, at >> level
        at += 1 << level
