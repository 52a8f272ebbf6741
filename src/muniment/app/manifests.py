"""Write the manifest of a version, read it leaf by leaf, compare two, and make one from another."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from functools import cached_property
from hashlib import sha256
from itertools import islice
from operator import attrgetter
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from muniment.domain.manifest import DigestBuilder, Entry, Leaf, LeafRecord, leaves
from muniment.domain.ports import BlobSource, BlobStore, ManifestCodec
from muniment.domain.values import Digest

BATCH: Final = 64
KEPT_LEAVES: Final = 4


class HasPath(Protocol):
    """What can be put in the order of paths."""

    @property
    def path(self) -> str:
        """The path of an entry."""
        ...


L = TypeVar("L", bound=HasPath)
R = TypeVar("R", bound=HasPath)

_path_of = attrgetter("path")


@frozen
class Removed:
    """The entry of this path is to go."""

    path: str


Changes: TypeAlias = Iterable[Entry | Removed]
"""Entries to add or replace and removals, sorted by path, each path once."""


@frozen
class Written:
    """What a manifest came to: the version's digest, the blob of its index, its totals, all blobs it is stored in."""

    digest: Digest
    manifest: Digest
    entries: int
    size: int
    blobs: tuple[Digest, ...]


@frozen
class Difference:
    """How one path differs between two manifests."""

    before: Entry | None
    after: Entry | None

    @property
    def path(self) -> str:
        """The path of the entry."""
        return (self.before or self.after).path  # type: ignore[union-attr]  # one of them is always there

    @property
    def kind(self) -> Literal["added", "changed", "removed"]:
        """What became of the entry."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


def write(
    blobs: BlobStore,
    codec: ManifestCodec,
    entries: Iterable[Entry],
    wants: Callable[[Collection[Digest]], None] = lambda _digests: None,
) -> Written:
    """Store the manifest of *entries*, which come sorted by path, a few leaves at a time.

    Leaves that are stored already, by any version, are not stored again. *wants* is told of what will be needed just
    before it is looked for.
    """
    records: list[LeafRecord] = []
    encoded = (_encoded(codec, leaf) for leaf in leaves(entries))
    while batch := list(islice(encoded, BATCH)):
        _put(blobs, [source for _, sources in batch for source in sources], wants)
        records += [record for record, _ in batch]
    index = _source(codec.encode_index(records))
    _put(blobs, [index], wants)
    stored = [digest for record in records for digest in (record.rows, record.annex) if digest is not None]
    return Written(
        _digest(records),
        index.digest,
        sum(record.count for record in records),
        sum(record.content for record in records),
        tuple(dict.fromkeys([*stored, index.digest])),
    )


def read(blobs: BlobStore, codec: ManifestCodec, manifest: Digest) -> Manifest:
    """Open the manifest whose index is this blob; leaves are loaded when asked for, and verified."""
    return Manifest(blobs, codec, manifest, codec.decode_index(blobs.get(manifest)))


def merge(base: Iterable[Entry], changes: Changes) -> Iterator[Entry]:
    """Yield the entries of *base* with *changes* made, in order, holding one of each at a time.

    An entry replaced by an equal one keeps its annex; removing what is not there is no error.
    """
    for old, change in _paired(base, changes):
        if change is None and old is not None:
            yield old
        elif isinstance(change, Entry):
            yield _kept(old, change)


def inherit(base: Iterable[Entry], entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield *entries*, those equal to one of *base* with its annex, so that they remember where they were born."""
    for old, entry in _paired(base, entries):
        if entry is not None:
            yield _kept(old, entry)


@frozen(eq=False)
class Manifest:
    """The entries of a version, in the order of their paths, loaded leaf by leaf."""

    _blobs: BlobStore = field(repr=False)
    _codec: ManifestCodec = field(repr=False)
    manifest: Digest
    records: tuple[LeafRecord, ...] = field(repr=False)
    _held: dict[int, tuple[Entry, ...]] = field(factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return sum(record.count for record in self.records)

    @cached_property
    def digest(self) -> Digest:
        """The digest of the version, computed from the hashes of its leaves."""
        return _digest(self.records)

    @property
    def stored_in(self) -> BlobStore:
        """The blobs that the manifest and what it names are read from."""
        return self._blobs

    @property
    def size(self) -> int:
        """The sum of the sizes that are known, in bytes."""
        return sum(record.content for record in self.records)

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the entries whose paths begin with *prefix*; other leaves are not loaded."""
        for at in range(self._position(prefix), len(self.records)):
            held = self._leaf(at)
            for entry in islice(held, bisect_left(held, prefix, key=_path_of), None):
                if not entry.path.startswith(prefix):
                    return
                yield entry

    def get(self, path: str) -> Entry | None:
        """Return the entry of this path, or ``None``; at most one leaf is loaded."""
        if not self.records:
            return None
        held = self._leaf(self._position(path))
        at = bisect_left(held, path, key=_path_of)
        return held[at] if at < len(held) and held[at].path == path else None

    def contents(self) -> Iterator[tuple[Digest, int]]:
        """Yield digest and size of the stored content, once for every entry that has it."""
        for entry in self.entries():
            if entry.ref is None:
                yield Digest(entry.digest), entry.size or 0

    def blobs(self, known: Container[Digest] = frozenset()) -> Iterator[Digest]:
        """Yield the blobs that this manifest needs: index, leaves, annexes, content; some may come more than once.

        Leaves whose blob is in *known* are not opened: the content they need was yielded with them before.
        """
        yield self.manifest
        for at, record in enumerate(self.records):
            if record.annex is not None:
                yield record.annex
            if record.rows not in known:
                yield from {Digest(entry.digest) for entry in self._leaf(at) if entry.ref is None}
                yield record.rows

    def diff(self, other: Manifest) -> Iterator[Difference]:
        """Yield what differs between this and a later manifest, in the order of the paths; equal leaves are skipped.

        Only what the version's digest is over counts; the annex does not.
        """
        shared = {record.hash for record in self.records} & {record.hash for record in other.records}
        for before, after in _paired(self._outside(shared), other._outside(shared)):
            if before is None or after is None or not before.same_row(after):
                yield Difference(before, after)

    def _outside(self, shared: set[bytes]) -> Iterator[Entry]:
        for at, record in enumerate(self.records):
            if record.hash not in shared:
                yield from self._leaf(at)

    def _position(self, path: str) -> int:
        return max(bisect_right(self.records, path, key=attrgetter("first")) - 1, 0)

    def _leaf(self, at: int) -> tuple[Entry, ...]:
        held = self._held.get(at)
        if held is None:
            record = self.records[at]
            annex = None if record.annex is None else self._blobs.get(record.annex)
            held = self._codec.decode(record, self._blobs.get(record.rows), annex)
            if len(self._held) >= KEPT_LEAVES:
                self._held.clear()
            self._held[at] = held
        return held


def _paired(left: Iterable[L], right: Iterable[R]) -> Iterator[tuple[L | None, R | None]]:
    lefts, rights = iter(left), iter(right)
    one, two = next(lefts, None), next(rights, None)
    while one is not None or two is not None:
        if two is None or (one is not None and one.path < two.path):
            yield one, None
            one = next(lefts, None)
        elif one is None or two.path < one.path:
            yield None, two
            two = next(rights, None)
        else:
            yield one, two
            one, two = next(lefts, None), next(rights, None)


def _kept(old: Entry | None, new: Entry) -> Entry:
    """Return *new*, or *old* if their rows are equal, with what only the annex of *new* knows."""
    if old is None or not old.same_row(new):
        return new
    return old if new.annex.keys() <= old.annex.keys() else evolve(old, annex={**new.annex, **old.annex})


def _encoded(codec: ManifestCodec, leaf: Leaf) -> tuple[LeafRecord, list[BlobSource]]:
    encoded, annexed = codec.encode(leaf)
    sources = [_source(data) for data in (encoded, annexed) if data is not None]
    rows, annex = sources[0], sources[1] if annexed is not None else None
    record = LeafRecord(
        leaf.entries[0].path,
        len(leaf.entries),
        leaf.hash,
        sum(entry.size or 0 for entry in leaf.entries),
        rows.digest,
        rows.size,
        None if annex is None else annex.digest,
        0 if annex is None else annex.size,
    )
    return record, sources


def _source(content: bytes) -> BlobSource:
    return BlobSource(Digest(sha256(content).hexdigest()), len(content), content)


def _put(blobs: BlobStore, sources: list[BlobSource], wants: Callable[[Collection[Digest]], None]) -> None:
    wants([source.digest for source in sources])
    failures = [result.error for result in blobs.put_many(sources) if result.error is not None]
    if failures:
        raise failures[0]


def _digest(records: Iterable[LeafRecord]) -> Digest:
    builder = DigestBuilder()
    for record in records:
        builder.add(record.first, record.count, record.hash)
    return builder.digest()
