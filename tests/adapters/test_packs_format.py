"""Packs are what their document says: read here by code that knows nothing but the document."""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from muniment.adapters.blobs.packs.format import TAIL_BYTES, Span, TornError, footer, spans_of
from muniment.adapters.blobs.packs.store import FEW, SMALL_BYTES
from muniment.domain.errors import CorruptError
from muniment.domain.ports import BlobSource
from muniment.domain.values import Digest
from tests.adapters.test_packs import packed
from tests.conformance.blob_store import named, put

DOCUMENT = Path(__file__).parents[2] / "docs" / "format" / "packs.md"


def read_pack(pack: bytes) -> dict[str, bytes]:
    """Return what is in a pack, by the document alone."""
    trailer = pack[-56:]
    assert trailer[:8] == trailer[-8:] == b"MUNIPACK"
    version, count = struct.unpack(">II", trailer[8:16])
    assert version == 1
    entries = pack[-56 - 44 * count : -56]
    assert sha256(entries + trailer[:16]).digest() == trailer[16:48]
    found, end = {}, 0
    for at in range(0, len(entries), 44):
        name = entries[at : at + 32].hex()
        start, length = struct.unpack(">QI", entries[at + 32 : at + 44])
        assert start == end
        end = start + length
        found[name] = pack[start:end]
    assert end == len(pack) - 56 - 44 * count
    return found


def made(*contents: bytes) -> bytes:
    spans, end = [], 0
    for content in contents:
        spans.append(Span(named(content), end, len(content)))
        end += len(content)
    return b"".join(contents) + footer(spans)


def reader(pack: bytes) -> Callable[[int, int], bytes]:
    return lambda start, length: pack[start : start + length]


def test_a_pack_is_read_by_the_document_alone(tmp_path: Path) -> None:
    contents = [b"%d" % at * at for at in range(FEW)]
    put(packed(tmp_path, few=FEW), *contents)
    (pack,) = (tmp_path / "blobs" / "packs").iterdir()
    assert read_pack(pack.read_bytes()) == {named(content): content for content in contents}
    assert len(pack.name) == 32


def test_a_file_of_many_contents_becomes_a_pack_without_being_copied(tmp_path: Path) -> None:
    contents = [b"%d" % at * at for at in range(1, FEW + 1)]
    bundle = tmp_path / "bundle"
    bundle.write_bytes(b"".join(contents))
    inode = bundle.stat().st_ino
    starts = [sum(map(len, contents[:at])) for at in range(FEW)]
    sources = [
        BlobSource(named(content), len(content), path=str(bundle), movable=True, start=start)
        for content, start in zip(contents, starts, strict=True)
    ]
    store = packed(tmp_path, few=FEW)
    empty = BlobSource(named(b""), 0, path=str(bundle), movable=True, start=0)
    assert [result.done for result in store.put_many([*reversed(sources), empty])] == [True] * (FEW + 1)
    (pack,) = (tmp_path / "blobs" / "packs").iterdir()
    assert pack.stat().st_ino == inode
    assert read_pack(pack.read_bytes()) == {named(content): content for content in contents}
    assert [store.get(named(content)) for content in contents] == contents


def test_a_file_of_which_not_all_is_wanted_is_copied_in_part_and_checked(tmp_path: Path) -> None:
    contents = [b"%04d" % at for at in range(FEW + 2)]
    bundle = tmp_path / "bundle"
    bundle.write_bytes(b"".join(contents))
    sources = [
        BlobSource(named(content), 4, path=str(bundle), movable=True, start=4 * at)
        for at, content in enumerate(contents)
        if at != 1
    ]
    wrong = BlobSource(named(b"else"), 4, path=str(bundle), movable=True, start=4)
    store = packed(tmp_path, few=FEW)
    results = list(store.put_many([*sources[1:], wrong]))
    assert [type(result.error) for result in results] == [type(None)] * FEW + [CorruptError]
    (pack,) = (tmp_path / "blobs" / "packs").iterdir()
    assert set(read_pack(pack.read_bytes())) == {each.digest for each in sources[1:]}
    assert bundle.exists()


def test_few_blobs_and_large_ones_are_objects_of_their_own(tmp_path: Path) -> None:
    large = bytes(SMALL_BYTES + 1)
    store = packed(tmp_path, few=FEW)
    put(store, b"small", large, bytes(SMALL_BYTES))
    assert not (tmp_path / "blobs" / "packs").exists()
    put(store, large[1:], *[b"%d" % at for at in range(FEW)], bytes(SMALL_BYTES + 2))
    (pack,) = (tmp_path / "blobs" / "packs").iterdir()
    assert set(read_pack(pack.read_bytes())) == {named(b"%d" % at) for at in range(FEW)}
    assert len(list(store.list())) == FEW + 4


def test_the_document_gives_the_bounds_that_are_used() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"more than {SMALL_BYTES >> 10} KiB" in text
    assert f"at least {FEW} of them" in text
    assert f"last {TAIL_BYTES >> 10} KiB" in text
    assert f"{(TAIL_BYTES - 56) // 44:,} entries" in text


@pytest.mark.parametrize("count", [1, 2, (TAIL_BYTES - 56) // 44, (TAIL_BYTES - 56) // 44 + 1, 5000])
def test_footers_of_any_length_are_read_in_at_most_two_reads(count: int) -> None:
    pack = made(*[b"%d" % at for at in range(count)])
    reads: list[int] = []

    def read(start: int, length: int) -> bytes:
        reads.append(length)
        return pack[start : start + length]

    assert {span.digest for span in spans_of(len(pack), read)} == set(read_pack(pack))
    assert len(reads) == (1 if count <= (TAIL_BYTES - 56) // 44 else 2)


def test_any_changed_byte_of_a_footer_is_damage_and_never_taken_for_an_unfinished_pack() -> None:
    pack = made(b"hello", b"", b"world")
    for at in range(10, len(pack)):
        for bit in (1, 128):
            changed = pack[:at] + bytes([pack[at] ^ bit]) + pack[at + 1 :]
            with pytest.raises(CorruptError) as caught:
                spans_of(len(changed), reader(changed))
            assert not isinstance(caught.value, TornError), at


def test_any_beginning_of_a_pack_is_unfinished() -> None:
    pack = made(b"hello", b"", b"world")
    for end in range(len(pack)):
        with pytest.raises(TornError if end < len(pack) - 48 else CorruptError):
            spans_of(end, reader(pack[:end]))


@pytest.mark.parametrize(
    "spans",
    [
        [],
        [Span(named(b"hello"), 1, 4)],
        [Span(named(b"hello"), 0, 4)],
        [Span(named(b"he"), 0, 2), Span(named(b"lo"), 3, 2)],
        [Span(named(b"hell"), 0, 4), Span(named(b"lo"), 3, 2)],
        [Span(named(b"hello"), 0, 6)],
    ],
)
def test_contents_that_leave_bytes_unnamed_are_refused(spans: list[Span]) -> None:
    pack = b"hello" + footer(spans)
    with pytest.raises(CorruptError, match="footer"):
        spans_of(len(pack), reader(pack))


def test_another_version_is_refused() -> None:
    pack = bytearray(made(b"hello"))
    pack[-48 + 3] = 2
    pack[-40:-8] = sha256(pack[5:-40]).digest()
    with pytest.raises(CorruptError):
        spans_of(len(pack), reader(bytes(pack)))


def test_a_digest_is_kept_as_it_is() -> None:
    pack = made(b"x")
    assert spans_of(len(pack), reader(pack)) == (Span(Digest(sha256(b"x").hexdigest()), 0, 1),)
