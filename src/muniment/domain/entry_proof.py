"""Proofs about a version's manifest: that it holds an entry, or that it holds none of a path.

An entry is shown with the block of rows it stands in. That there is none is shown by the two rows that are neighbours
in the order of paths, one before the path and one after it.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from attrs import frozen

from muniment.domain.errors import ProofError
from muniment.domain.manifest import BLOCK_ROWS, PREFIX, Entry, LeafRecord, record_bytes, row
from muniment.domain.merkle import EMPTY_ROOT, leaf_hash
from muniment.domain.proof import Tree, verify_inclusion
from muniment.domain.values import Digest

_NUMBER: Final = struct.Struct(">I")
_TOTAL: Final = struct.Struct(">Q")
_KINDS: Final = (b"B", b"R")


@frozen
class Block:
    """Up to 64 rows of a leaf, and the proof that they stand there."""

    number: int
    rows: bytes
    hashes: tuple[bytes, ...]


@frozen
class ShownLeaf:
    """A leaf of the manifest as the version's digest sees it, the proof of that, and those of its blocks that count."""

    number: int
    first: str
    count: int
    hash: bytes
    hashes: tuple[bytes, ...]
    blocks: tuple[Block, ...] = ()


@frozen
class EntryProof:
    """What shows that a version of this digest holds an entry of this path, or none.

    ``total`` is how many rows the manifest has, ``leaves`` how many leaves, ``root`` the root over these.
    """

    path: str
    digest: Digest
    root: bytes
    total: int
    leaves: int
    shown: tuple[ShownLeaf, ...]

    def verify(self) -> Entry | None:
        """Return the entry, or ``None`` if it is shown that there is none; ProofError if neither is shown."""
        computed = sha256(PREFIX + _TOTAL.pack(self.total) + self.root).hexdigest()
        if computed != self.digest:
            msg = "the proof is about another version: its root does not make the version's digest"
            raise ProofError(msg)
        rows = [found for leaf in self.shown for found in self._rows(leaf)]
        for _, entry in rows:
            if entry.path == self.path and entry.digest:
                return entry
        self._require_absent({place: entry.path for place, entry in rows})
        return None

    def _rows(self, leaf: ShownLeaf) -> Iterator[tuple[tuple[int, int], Entry]]:
        """Yield the rows of a leaf with their places, once it is shown that they stand there."""
        record = leaf_hash(record_bytes(leaf.first, leaf.count, leaf.hash))
        verify_inclusion(leaf.number, self.leaves, record, leaf.hashes, self.root)
        yield (leaf.number, 0), Entry(leaf.first, "", None)
        size = -(-leaf.count // BLOCK_ROWS)
        for block in leaf.blocks:
            verify_inclusion(block.number, size, leaf_hash(block.rows), block.hashes, leaf.hash)
            first = block.number * BLOCK_ROWS
            entries = list(read_rows(block.rows))
            if len(entries) != min(BLOCK_ROWS, leaf.count - first):
                msg = f"block {block.number} has {len(entries)} rows, which its leaf does not have there"
                raise ProofError(msg)
            yield from (((leaf.number, first + at), entry) for at, entry in enumerate(entries))

    def _require_absent(self, paths: dict[tuple[int, int], str]) -> None:
        counts = {leaf.number: leaf.count for leaf in self.shown}
        before = [place for place, path in paths.items() if path < self.path]
        after = [place for place, path in paths.items() if path > self.path]
        last = max(before, default=None)
        following = min(after, default=None)
        if last is None:
            absent = following == (0, 0) or (self.leaves, self.total, self.root) == (0, 0, EMPTY_ROOT)
        else:
            leaf, at = last
            ends = at == counts[leaf] - 1
            absent = following == ((leaf + 1, 0) if ends else (leaf, at + 1)) or (
                ends and leaf == self.leaves - 1 and following is None
            )
        if not absent:
            msg = f"the proof shows neither {self.path!r} nor the two neighbours between which it would stand"
            raise ProofError(msg)


def prove(
    path: str, records: Sequence[LeafRecord], digest: Digest, entries: Callable[[LeafRecord], Sequence[Entry]]
) -> EntryProof:
    """Show that a manifest holds an entry of this path, or none; *entries* reads a leaf."""
    tree = Tree.over([leaf_hash(record_bytes(each.first, each.count, each.hash)) for each in records])

    def leaf(number: int, rows: Sequence[bytes] = (), wanted: Sequence[int] = ()) -> ShownLeaf:
        record = records[number]
        parts = [b"".join(rows[at : at + BLOCK_ROWS]) for at in range(0, len(rows), BLOCK_ROWS)]
        blocks = Tree.over([leaf_hash(part) for part in parts])
        shown = (Block(each, parts[each], tuple(blocks.inclusion(each))) for each in wanted)
        hashes = tuple(tree.inclusion(number))
        return ShownLeaf(number, record.first, record.count, record.hash, hashes, tuple(shown))

    number = bisect_right([each.first for each in records], path) - 1
    if number < 0:
        shown = [leaf(0)] if records else []
    else:
        held = entries(records[number])
        at = bisect_left([each.path for each in held], path)
        there = at < len(held) and held[at].path == path
        places = [at] if there else [each for each in (at - 1, at) if each < len(held)]
        shown = [leaf(number, [row(each) for each in held], sorted({each // BLOCK_ROWS for each in places}))]
        if not there and at == len(held) and number + 1 < len(records):
            shown.append(leaf(number + 1))
    total = sum(each.count for each in records)
    return EntryProof(path, digest, tree.root(), total, len(records), tuple(shown))


def read_rows(content: bytes) -> Iterator[Entry]:
    """Yield the entries of joined rows (``docs/format/manifest.md``); ProofError if they are not of this form."""
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        at += count
        if at > len(content):
            msg = "a row of the proof is cut off"
            raise ProofError(msg)
        return content[at - count : at]

    def text() -> str:
        return take(_NUMBER.unpack(take(_NUMBER.size))[0]).decode()

    while at < len(content):
        start, kind = at, take(1)
        try:
            path, sized = text(), take(1)
            size = _TOTAL.unpack(take(_TOTAL.size))[0] if sized == b"\x01" else None
            entry = Entry(path, text(), size, text() or None)
        except UnicodeDecodeError as error:
            msg = "a row of the proof holds text that is no UTF-8"
            raise ProofError(msg) from error
        if kind not in _KINDS or row(entry) != content[start:at]:
            msg = f"the row of {path!r} is not of its form"
            raise ProofError(msg)
        yield entry
