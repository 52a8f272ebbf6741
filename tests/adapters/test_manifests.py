"""What the codec stores it reads again, and nothing else."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
import zstandard
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from muniment.adapters.manifests import LEAF_LIMIT, MsgpackManifestCodec
from muniment.domain.errors import CorruptError, InvalidValueError
from muniment.domain.manifest import LEAF_ROWS, Entry, Leaf, LeafRecord, leaf_of
from muniment.domain.values import Digest

CODEC = MsgpackManifestCodec()
SHA = Digest(hashlib.sha256(b"hello\n").hexdigest())


def record_of(leaf: Leaf) -> LeafRecord:
    return LeafRecord(leaf.entries[0].path, len(leaf.entries), leaf.hash, 0, SHA, 1)


def mixed(total: int) -> Leaf:
    def entry(at: int) -> Entry:
        annex = {"birth": f"{at // 10:032x}", **({"md5": f"{at}"} if at % 3 else {})}
        if at % 5 == 4:
            return Entry(f"é/{at:05d}", f"etag-{at}", None if at % 2 else at, f"s3://bucket/{at}", {"etag": f"{at}"})
        return Entry(f"é/{at:05d}", hashlib.sha256(bytes([at % 256])).hexdigest(), 2**64 - 1 - at, None, annex)

    return leaf_of(map(entry, range(total)))


annexes = st.dictionaries(st.sampled_from(["etag", "md5", "birth"]), st.text(max_size=2), max_size=3)
stored = st.builds(Entry, st.text("ab/é", min_size=1), st.just(SHA), st.integers(0, 2**64 - 1), st.none(), annexes)
referenced = st.builds(
    Entry,
    st.text("ab/é", min_size=1),
    st.text("a-é"),
    st.none() | st.integers(0, 9),
    st.text("s3:", min_size=1),
    annexes,
)


def is_path(entry: Entry) -> bool:
    return "" not in entry.path.split("/")


@given(st.lists((stored | referenced).filter(is_path), min_size=1, max_size=20, unique_by=lambda entry: entry.path))
def test_any_leaf_comes_back(entries: list[Entry]) -> None:
    leaf = leaf_of(sorted(entries, key=lambda entry: entry.path))
    rows, annex = CODEC.encode(leaf)
    assert CODEC.decode(record_of(leaf), rows, annex) == leaf.entries
    assert (annex is None) == (not any(entry.annex for entry in entries))
    assert [not entry.annex for entry in CODEC.decode(record_of(leaf), rows, None)] == [True] * len(entries)


@pytest.mark.parametrize("total", [1, 64, 1000, LEAF_ROWS])
def test_a_long_leaf_comes_back(total: int) -> None:
    leaf = mixed(total)
    assert CODEC.decode(record_of(leaf), *CODEC.encode(leaf)) == leaf.entries


def test_equal_leaves_have_equal_bytes_whatever_their_annex() -> None:
    leaf = mixed(100)
    other = leaf_of(evolve(entry, annex={}) for entry in leaf.entries)
    assert CODEC.encode(leaf)[0] == CODEC.encode(other)[0]
    assert CODEC.encode(leaf)[1] != CODEC.encode(other)[1]


def test_stored_rows_are_what_the_document_says() -> None:
    leaf = leaf_of([Entry("a", SHA, 6, None, {"birth": "v"}), Entry("b", "etag", None, "s3://b")])
    rows, annex = CODEC.encode(leaf)
    assert annex is not None
    assert unpacked(rows) == [1, ["a", "b"], [6, None], bytes.fromhex(SHA), [[1, "etag", "s3://b"]]]
    assert unpacked(annex) == [1, {"birth": [["v", None], []]}]
    index = CODEC.encode_index([evolve(record_of(leaf), annex=SHA, annex_size=9, content=6)])
    digest = bytes.fromhex(SHA)
    assert unpacked(index) == [1, [["a", 2, leaf.hash, 6, digest, 1, digest, 9]]]


def unpacked(data: bytes) -> object:
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data))


def packed(value: object) -> bytes:
    return zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(value))


@given(st.data())
def test_a_changed_byte_of_the_rows_never_goes_unnoticed(data: st.DataObject) -> None:
    leaf = mixed(70)
    rows = bytearray(CODEC.encode(leaf)[0])
    rows[data.draw(st.integers(0, len(rows) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert CODEC.decode(record_of(leaf), bytes(rows), None) == tuple(evolve(e, annex={}) for e in leaf.entries)
    except CorruptError as error:
        assert "70 manifest rows from 'é/00000'" in str(error)  # noqa: PT017 (the same entries are right too)


HASH = b"h" * 32
DAMAGED_ROWS = {
    "nothing": b"",
    "no frame": b"not zstd at all",
    "no size": zstandard.ZstdCompressor(write_content_size=False).compress(b"\x90"),
    "a bomb": zstandard.ZstdCompressor().compress(bytes(LEAF_LIMIT + 1)),
    "no msgpack": zstandard.ZstdCompressor().compress(b"\xc1"),
    "extra bytes": packed([1, ["a"], [6], bytes.fromhex(SHA), []]) + b"\x00",
    "later format": packed([2, ["a"], [6], bytes.fromhex(SHA), []]),
    "no rows": packed([1, [], [], b"", []]),
    "more rows": packed([1, ["a", "b"], [6, 6], bytes.fromhex(SHA * 2), []]),
    "too many rows": packed([1, ["a"] * (LEAF_ROWS + 1), [6], b"", []]),
    "short column": packed([1, ["a"], [], bytes.fromhex(SHA), []]),
    "short digests": packed([1, ["a"], [6], bytes.fromhex(SHA)[1:], []]),
    "no digest": packed([1, ["a"], [6], b"", []]),
    "wrong size": packed([1, ["a"], [7], bytes.fromhex(SHA), []]),
    "negative size": packed([1, ["a"], [-7], bytes.fromhex(SHA), []]),
    "huge size": packed([1, ["a"], [2**64 - 1], bytes.fromhex(SHA), []]),
    "other path": packed([1, ["b"], [6], bytes.fromhex(SHA), []]),
    "reference elsewhere": packed([1, ["a"], [6], bytes.fromhex(SHA), [[0, SHA, "s3://b"]]]),
    "reference out of range": packed([1, ["a"], [6], b"", [[7, SHA, "s3://b"]]]),
}


@pytest.mark.parametrize("damage", DAMAGED_ROWS)
def test_damaged_rows_are_corrupt(damage: str) -> None:
    leaf = leaf_of([Entry("a", SHA, 6)])
    with pytest.raises(CorruptError, match="1 manifest rows from 'a' on are damaged"):
        CODEC.decode(record_of(leaf), DAMAGED_ROWS[damage], None)


@pytest.mark.parametrize("damage", ["a bomb", "no size"])
def test_what_would_unpack_to_too_much_is_not_unpacked(damage: str) -> None:
    with pytest.raises(CorruptError) as caught:
        CODEC.decode(record_of(leaf_of([Entry("a", SHA, 6)])), DAMAGED_ROWS[damage], None)
    assert "absurd size" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "annex",
    [
        [2, {}],
        [1, {"birth": [["v", "w"], []]}],
        [1, {"birth": [["v"], [2]]}],
        [1, {"birth": [["v", "w"], [2, -1]]}],
        [1, {"birth": [[], [1]]}],
        [1, {"birth": [[7], []]}],
    ],
)
def test_a_damaged_annex_is_corrupt(annex: object) -> None:
    leaf = leaf_of([Entry("a", SHA, 6)])
    with pytest.raises(CorruptError, match="'a'"):
        CODEC.decode(record_of(leaf), CODEC.encode(leaf)[0], packed(annex))


def test_a_path_that_climbs_out_is_corrupt_even_with_the_right_hash() -> None:
    leaf = leaf_of([Entry("../a", SHA, 6)])
    with pytest.raises(CorruptError):
        CODEC.decode(record_of(leaf), CODEC.encode(leaf)[0], None)


def test_the_index_comes_back() -> None:
    records = [
        LeafRecord("a", 1, b"1" * 32, 0, SHA, 10),
        LeafRecord("é", 16384, b"2" * 32, 2**63, SHA, 2**40, Digest("0" * 64), 7),
    ]
    assert CODEC.decode_index(CODEC.encode_index(records)) == tuple(records)
    assert CODEC.decode_index(CODEC.encode_index([])) == ()


GOOD = ["a", 1, HASH, 6, HASH, 1, b"", 0]


@pytest.mark.parametrize(
    "records",
    [
        [GOOD, GOOD],
        [["b", *GOOD[1:]], GOOD],
        [["a", 0, *GOOD[2:]]],
        [["a", LEAF_ROWS + 1, *GOOD[2:]]],
        [["a", 1, b"h", *GOOD[3:]]],
        [["a", 1, HASH, -1, *GOOD[4:]]],
        [["a", 1, HASH, 6, b"", *GOOD[5:]]],
        [["a", 1, HASH, 6, HASH, 1, b"h", 0]],
        [["a"]],
    ],
)
def test_a_damaged_index_is_corrupt(records: list[object]) -> None:
    assert CODEC.decode_index(packed([1, [GOOD]]))
    with pytest.raises(CorruptError, match="index of a manifest"):
        CODEC.decode_index(packed([1, records]))


def test_an_index_that_is_none_is_corrupt() -> None:
    for data in (b"", b"garbage", packed([2, [GOOD]]), packed({})):
        with pytest.raises(CorruptError, match="index of a manifest"):
            CODEC.decode_index(data)


def test_absurdly_long_paths_are_refused_before_they_are_stored() -> None:
    leaf = leaf_of([Entry("a" * (LEAF_LIMIT + 1), SHA, 6)])
    with pytest.raises(InvalidValueError, match="128 MiB"):
        CODEC.encode(leaf)
