"""What a version holds: entries in the order of their paths, cut into leaves, and the digest over their rows.

``docs/format/manifest.md`` describes every byte, so that a stranger can compute a version's digest again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import md5, sha256
from operator import attrgetter, lt
from types import MappingProxyType
from typing import Final
from zlib import crc32

from attrs import field, frozen

from muniment.domain.errors import InvalidNameError, InvalidValueError
from muniment.domain.merkle import Frontier, leaf_hash, tree_root
from muniment.domain.values import Digest, entry_path

PREFIX: Final = b"muniment-manifest-v1"
WANDB_PREFIX: Final = b"wandb-artifact-manifest-v1\n"
BLOCK_ROWS: Final = 64
LEAF_ROWS: Final = 16_384
CUT_BELOW: Final = 1 << 20

_HEAD = struct.Struct(">cI")
_SIZED = struct.Struct(">BQI")
_UNSIZED = struct.Struct(">BI")
_LENGTH = struct.Struct(">I")
_TOTAL = struct.Struct(">Q")
_DIGEST_CHARACTERS = 64
_NO_ANNEX: Final[Mapping[str, str]] = MappingProxyType({})
_path_of = attrgetter("path")


@frozen
class Entry:
    """One file of a version: stored bytes, or with *ref* a reference to bytes elsewhere.

    ``digest`` is the SHA-256 of stored bytes in hexadecimal, of a reference what its store calls the content.
    ``annex`` (``etag``, ``versionID``, ``md5``, ``contentType``, ``birth`` …) is outside the version's digest.
    """

    path: str
    digest: str
    size: int | None
    ref: str | None = None
    annex: Mapping[str, str] = field(default=_NO_ANNEX, hash=False)

    @property
    def kind(self) -> str:
        """``B`` for stored bytes, ``R`` for a reference."""
        return "B" if self.ref is None else "R"

    def same_row(self, other: Entry) -> bool:
        """Whether both mean the same to the version's digest; the annex may differ."""
        return (self.path, self.digest, self.size, self.ref) == (other.path, other.digest, other.size, other.ref)


@frozen
class Leaf:
    """A run of entries, cut where their paths say, and the root of the hash tree over their rows."""

    entries: tuple[Entry, ...]
    hash: bytes


@frozen
class LeafRecord:
    """What the index of a manifest keeps of one leaf; ``content`` sums the sizes of its entries that are known."""

    first: str
    count: int
    hash: bytes
    content: int
    rows: Digest
    rows_size: int
    annex: Digest | None = None
    annex_size: int = 0


def row(entry: Entry) -> bytes:
    """Return the canonical bytes of an entry, the same for ever."""
    path, digest, ref = entry.path.encode(), entry.digest.encode(), (entry.ref or "").encode()
    size = entry.size
    middle = _UNSIZED.pack(0, len(digest)) if size is None else _SIZED.pack(1, size, len(digest))
    head = _HEAD.pack(b"B" if entry.ref is None else b"R", len(path))
    return head + path + middle + digest + _LENGTH.pack(len(ref)) + ref


def leaf_of(entries: Iterable[Entry]) -> Leaf:
    """Hash entries as one leaf, without asking whether it should be cut there."""
    held = tuple(entries)
    try:
        rows = list(map(row, held))
    except (struct.error, ValueError) as error:
        raise _unfit(held) from error
    blocks = (leaf_hash(b"".join(rows[at : at + BLOCK_ROWS])) for at in range(0, len(rows), BLOCK_ROWS))
    return Leaf(held, tree_root(blocks))


def leaves(entries: Iterable[Entry]) -> Iterator[Leaf]:
    """Cut entries, sorted by path, into leaves, holding one at a time.

    Refuses with InvalidNameError a path that is not allowed, comes twice or is also the folder of another, with
    InvalidValueError an entry that no row can hold or that is out of order.
    """
    order = _Order()
    held: list[Entry] = []
    for entry in entries:
        held.append(entry)
        if len(held) == LEAF_ROWS or crc32(entry.path.encode("utf-8", "surrogatepass")) < CUT_BELOW:
            yield _checked(held, order)
            held = []
    if held:
        yield _checked(held, order)


def record_bytes(first: str, count: int, leaf: bytes) -> bytes:
    """Return what stands for a leaf in the tree over all: its first path, its number of rows, its hash."""
    path = first.encode()
    return _LENGTH.pack(len(path)) + path + _LENGTH.pack(count) + leaf


class DigestBuilder:
    """The digest of a version, from its leaves in order."""

    __slots__ = ("_count", "_tree")

    def __init__(self) -> None:
        self._tree = Frontier()
        self._count = 0

    def add(self, first: str, count: int, leaf: bytes) -> None:
        """Take in the next leaf: its first path, its number of rows, its hash."""
        self._tree.append(leaf_hash(record_bytes(first, count, leaf)))
        self._count += count

    def digest(self) -> Digest:
        """Return the digest over the leaves so far."""
        return Digest(sha256(PREFIX + _TOTAL.pack(self._count) + self._tree.root()).hexdigest())


def version_digest(entries: Iterable[Entry]) -> Digest:
    """Return the digest of the version that holds these entries, which come sorted by path."""
    builder = DigestBuilder()
    for leaf in leaves(entries):
        builder.add(leaf.entries[0].path, len(leaf.entries), leaf.hash)
    return builder.digest()


def check_paths(paths: Sequence[str]) -> None:
    """Check many paths at the cost of a few; InvalidNameError names the first that is not allowed."""
    text = f"/{'/'.join(paths)}/"
    if text.isprintable() and not any(sign in text for sign in ("//", "/./", "/../", ":")):
        return
    for path in paths:
        entry_path(path)


def check_clashes(paths: Iterable[str]) -> None:
    """Refuse a path that is also the folder of another, such as ``a`` beside ``a/b``: no folder can hold both.

    The paths come sorted; InvalidNameError names both.
    """
    above: list[str] = []
    for path in paths:
        _enter(above, path)


def wandb_digest(digests: Iterable[tuple[str, str]]) -> str:
    """Return W&B's digest of an artifact from paths and entry digests as W&B shows them, in any order."""
    found = md5(WANDB_PREFIX, usedforsecurity=False)
    for path, digest in sorted(digests):
        found.update(f"{path}:{digest}\n".encode())
    return found.hexdigest()


def wandb_entry_digest(entry: Entry) -> str:
    """Return the digest that W&B shows for an entry: Base64 of the MD5, or what a reference's store says."""
    hashed_here = entry.ref is None or entry.digest.startswith("sha256:")
    if not hashed_here:
        return entry.digest
    try:
        return entry.annex["md5"]
    except KeyError:
        msg = f"entry {entry.path!r} has no MD5 — log it with digest_algorithm='MD5' to show it as W&B does"
        raise InvalidValueError(msg) from None


class _Order:
    """What must hold from one leaf to the next: rising paths, none of them the folder of another."""

    __slots__ = ("_above", "_last")

    def __init__(self) -> None:
        self._above: list[str] = []
        self._last = ""

    def follow(self, paths: list[str]) -> None:
        before = [self._last, *paths]
        if not all(map(lt, before, paths)):
            raise _out_of_order(before, paths)
        self._last = paths[-1]
        # In sorted order all that begins with a path follows it directly, so without such a pair nothing clashes.
        if len(self._above) > 1 or any(map(str.startswith, paths, before)):
            for path in paths:
                _enter(self._above, path)
        else:
            self._above = [self._last]


def _enter(above: list[str], path: str) -> None:
    while above and not path.startswith(above[-1]):
        above.pop()
    if above and path[len(above[-1]) :].startswith("/"):
        msg = f"{above[-1]!r} is a file and the folder of {path!r} — rename one of them"
        raise InvalidNameError(msg)
    above.append(path)


def _checked(entries: list[Entry], order: _Order) -> Leaf:
    paths = list(map(_path_of, entries))
    check_paths(paths)
    order.follow(paths)
    _check_kinds(entries)
    return leaf_of(entries)


def _check_kinds(entries: list[Entry]) -> None:
    stored = [entry for entry in entries if entry.ref is None]
    sized = all(entry.size is not None for entry in stored)
    named = len(stored) == len(entries) or all(entry.ref != "" for entry in entries)
    if not (sized and named and are_digests([entry.digest for entry in stored])):
        raise _unfit(entries)


def are_digests(digests: list[str]) -> bool:
    """Whether all of these are SHA-256 digests in lowercase hexadecimal."""
    text = "".join(digests)
    try:
        return set(map(len, digests)) <= {_DIGEST_CHARACTERS} and bytes.fromhex(text).hex() == text
    except ValueError:
        return False


def _out_of_order(before: list[str], paths: list[str]) -> InvalidNameError | InvalidValueError:
    last, path = next(pair for pair in zip(before, paths, strict=False) if pair[0] >= pair[1])
    if last == path:
        return InvalidNameError(f"path {path!r} comes twice — keep one entry of that name")
    return InvalidValueError(f"path {path!r} comes after {last!r} — sort the entries by path")


def _unfit(entries: Iterable[Entry]) -> InvalidValueError:
    for entry in entries:
        try:
            row(entry)
        except (struct.error, ValueError):
            return InvalidValueError(f"entry {entry.path!r} has a size or text that no manifest can hold")
        if entry.ref is None and (entry.size is None or not are_digests([entry.digest])):
            return InvalidValueError(f"entry {entry.path!r} is stored: it needs a size and a SHA-256 digest")
        if entry.ref == "":
            return InvalidValueError(f"entry {entry.path!r} is a reference to nowhere — give it a URI")
    return InvalidValueError("an entry cannot be kept in a manifest")
