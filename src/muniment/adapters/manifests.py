"""The stored form of manifests: columns of a leaf as msgpack, compressed with zstd.

The digest of a version does not depend on it: another compressor changes what is stored, never what it means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, pairwise, repeat
from typing import Annotated, Final, TypeVar

import msgspec
import zstandard
from attrs import frozen

from muniment.domain.errors import CorruptError, InvalidValueError, RuleError
from muniment.domain.manifest import LEAF_ROWS, Entry, Leaf, LeafRecord, check_paths, leaf_of
from muniment.domain.values import Digest

T = TypeVar("T")

FORMAT: Final = 1
LEVEL: Final = 3
LEAF_LIMIT: Final = 128 << 20
INDEX_LIMIT: Final = 256 << 20
DIGEST_BYTES: Final = 32


_Few = msgspec.Meta(max_length=LEAF_ROWS)


class _Rows(msgspec.Struct, array_like=True, frozen=True):
    """The columns of a leaf: digests of stored entries in one run of bytes, references by their row."""

    format: int
    paths: Annotated[list[str], _Few]
    sizes: Annotated[list[int | None], _Few]
    digests: bytes
    references: Annotated[list[tuple[int, str, str]], _Few]


class _Column(msgspec.Struct, array_like=True, frozen=True):
    """One annex key: its values, and how many rows in a row each holds for (empty: one each)."""

    values: Annotated[list[str | None], _Few]
    runs: Annotated[list[int], _Few]


class _Annex(msgspec.Struct, array_like=True, frozen=True):
    format: int
    columns: dict[str, _Column]


class _Record(msgspec.Struct, array_like=True, frozen=True):
    first: str
    count: int
    hash: bytes
    content: int
    rows: bytes
    rows_size: int
    annex: bytes
    annex_size: int


class _Index(msgspec.Struct, array_like=True, frozen=True):
    format: int
    records: list[_Record]


@frozen
class MsgpackManifestCodec:
    """Manifests in msgpack and zstd."""

    def encode(self, leaf: Leaf) -> tuple[bytes, bytes | None]:
        entries = leaf.entries
        rows = _Rows(
            FORMAT,
            [entry.path for entry in entries],
            [entry.size for entry in entries],
            bytes.fromhex("".join(entry.digest for entry in entries if entry.ref is None)),
            [(at, entry.digest, entry.ref) for at, entry in enumerate(entries) if entry.ref is not None],
        )
        columns = _columns(entries)
        return _pack(rows, LEAF_LIMIT), _pack(_Annex(FORMAT, columns), LEAF_LIMIT) if columns else None

    def decode(self, record: LeafRecord, rows: bytes, annex: bytes | None) -> tuple[Entry, ...]:
        try:
            held = _unpack(rows, _Rows, LEAF_LIMIT)
            if held.format != FORMAT or len(held.paths) != record.count:
                raise _damaged(record)
            annexes = None if annex is None else _annexes(_unpack(annex, _Annex, LEAF_LIMIT), record.count)
            entries = tuple(_entries(held, annexes))
            check_paths(held.paths)
            sound = entries[0].path == record.first and leaf_of(entries).hash == record.hash
        except (msgspec.MsgspecError, zstandard.ZstdError, RuleError, ValueError, IndexError) as error:
            raise _damaged(record) from error
        if not sound:
            raise _damaged(record)
        return entries

    def encode_index(self, records: Sequence[LeafRecord]) -> bytes:
        return _pack(_Index(FORMAT, [_stored(record) for record in records]), INDEX_LIMIT)

    def decode_index(self, data: bytes) -> tuple[LeafRecord, ...]:
        try:
            held = _unpack(data, _Index, INDEX_LIMIT)
            sound = held.format == FORMAT and all(map(_is_sound, held.records))
        except (msgspec.MsgspecError, zstandard.ZstdError, ValueError) as error:
            msg = "the index of a manifest is damaged — run fsck, restore it from a copy"
            raise CorruptError(msg) from error
        firsts = [record.first for record in held.records]
        if not sound or any(first >= second for first, second in pairwise(firsts)):
            msg = "the index of a manifest is damaged or of a later format — run fsck, or a newer muniment"
            raise CorruptError(msg)
        return tuple(map(_record, held.records))


def _pack(held: msgspec.Struct, limit: int) -> bytes:
    data = msgspec.msgpack.encode(held)
    if len(data) > limit:
        msg = f"{limit >> 20} MiB of paths and references stand too close together for one manifest — shorten them"
        raise InvalidValueError(msg)
    return zstandard.ZstdCompressor(level=LEVEL).compress(data)


def _unpack(data: bytes, kind: type[T], limit: int) -> T:
    if not 0 <= zstandard.frame_content_size(data) <= limit:  # -1: the frame does not say, so it is not ours
        msg = "a compressed manifest claims an absurd size"
        raise ValueError(msg)
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False), type=kind)


def _entries(held: _Rows, annexes: Iterable[Mapping[str, str]] | None) -> Iterator[Entry]:
    hexes = held.digests.hex()
    digests = [hexes[at : at + 2 * DIGEST_BYTES] for at in range(0, len(hexes), 2 * DIGEST_BYTES)]
    refs: Iterable[str | None] = repeat(None)
    if held.references:
        elsewhere = {at: (digest, ref) for at, digest, ref in held.references}
        stored = iter(digests)
        digests = [elsewhere[at][0] if at in elsewhere else next(stored, "") for at in range(len(held.paths))]
        refs = [elsewhere[at][1] if at in elsewhere else None for at in range(len(held.paths))]
    if annexes is None:
        return map(Entry, held.paths, digests, held.sizes, refs)
    return map(Entry, held.paths, digests, held.sizes, refs, annexes)


def _columns(entries: Sequence[Entry]) -> dict[str, _Column]:
    keys = sorted(set(chain.from_iterable(entry.annex for entry in entries)))
    return {key: _column([entry.annex.get(key) for entry in entries]) for key in keys}


def _column(cells: list[str | None]) -> _Column:
    groups = [(value, sum(1 for _ in run)) for value, run in groupby(cells)]
    if len(groups) == len(cells):
        return _Column(cells, [])
    return _Column([value for value, _ in groups], [count for _, count in groups])


def _annexes(held: _Annex, count: int) -> list[dict[str, str]]:
    if held.format != FORMAT:
        msg = "an annex is of a later format"
        raise ValueError(msg)
    annexes: list[dict[str, str]] = [{} for _ in range(count)]
    for key, column in held.columns.items():
        for annex, value in zip(annexes, _cells(column, count), strict=True):
            if value is not None:
                annex[key] = value
    return annexes


def _cells(column: _Column, count: int) -> list[str | None]:
    if not column.runs:
        return column.values
    if len(column.runs) != len(column.values) or min(column.runs) < 1 or sum(column.runs) != count:
        msg = "an annex does not fit its leaf"
        raise ValueError(msg)
    return list(chain.from_iterable(map(repeat, column.values, column.runs)))


def _stored(record: LeafRecord) -> _Record:
    annex = bytes.fromhex(record.annex or "")
    rows = bytes.fromhex(record.rows)
    return _Record(
        record.first, record.count, record.hash, record.content, rows, record.rows_size, annex, record.annex_size
    )


def _record(held: _Record) -> LeafRecord:
    annex = Digest(held.annex.hex()) if held.annex else None
    rows = Digest(held.rows.hex())
    return LeafRecord(held.first, held.count, held.hash, held.content, rows, held.rows_size, annex, held.annex_size)


def _is_sound(held: _Record) -> bool:
    return (
        0 < held.count <= LEAF_ROWS
        and len(held.hash) == len(held.rows) == DIGEST_BYTES
        and len(held.annex) in {0, DIGEST_BYTES}
        and min(held.content, held.rows_size, held.annex_size) >= 0
    )


def _damaged(record: LeafRecord) -> CorruptError:
    return CorruptError(
        f"the {record.count} manifest rows from {record.first!r} on are damaged — run fsck, restore them from a copy"
    )
