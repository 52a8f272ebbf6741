"""Manifests are written, read, compared and changed leaf by leaf."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import count

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from muniment.adapters.blobs.memory import MemoryBlobStore
from muniment.adapters.manifests import MsgpackManifestCodec
from muniment.app.manifests import (
    BATCH,
    KEPT_LEAVES,
    Difference,
    Manifest,
    Removed,
    Written,
    inherit,
    merge,
    read,
    write,
)
from muniment.domain.errors import CorruptError, InvalidNameError, InvalidValueError, NotFoundError
from muniment.domain.manifest import LEAF_ROWS, Entry, version_digest
from muniment.domain.ports import BlobResult, BlobSource
from muniment.domain.values import Digest

CODEC = MsgpackManifestCodec()


def entry(path: str, content: str = "hello", **annex: str) -> Entry:
    return Entry(path, hashlib.sha256(content.encode()).hexdigest(), len(content), None, annex)


def folder(total: int) -> Iterator[Entry]:
    return (entry(f"d/{at:06d}", f"{at}", birth="1") for at in range(total))


def open_written(blobs: MemoryBlobStore, written: Written) -> Manifest:
    return read(blobs, CODEC, written.manifest)


@pytest.fixture
def blobs() -> MemoryBlobStore:
    return MemoryBlobStore()


@pytest.mark.parametrize("total", [0, 1, 63, 64, 65, 20_000])
def test_a_manifest_comes_back(blobs: MemoryBlobStore, total: int) -> None:
    written = write(blobs, CODEC, folder(total))
    manifest = open_written(blobs, written)
    assert list(manifest.entries()) == list(folder(total))
    assert (len(manifest), manifest.size) == (written.entries, written.size)
    assert (written.entries, written.size) == (total, sum(entry.size or 0 for entry in folder(total)))
    assert manifest.digest == written.digest == version_digest(folder(total))
    assert set(written.blobs) == {digest for digest, _ in blobs.list()}


def test_an_entry_is_found_by_its_path(blobs: MemoryBlobStore) -> None:
    manifest = open_written(blobs, write(blobs, CODEC, folder(20_000)))
    for at in (0, 1, 1386, 1387, 1388, 13_667, 13_668, 19_999):
        assert manifest.get(f"d/{at:06d}") == entry(f"d/{at:06d}", f"{at}", birth="1")
    for path in ("", "a", "d", "d/", "d/0", "d/001386x", "d/001387 ", "d/020000", "z"):
        assert manifest.get(path) is None
    assert open_written(blobs, write(blobs, CODEC, [])).get("a") is None


def test_one_leaf_is_enough_to_find_an_entry(blobs: MemoryBlobStore) -> None:
    manifest = open_written(blobs, write(blobs, CODEC, folder(20_000)))
    for record in manifest.records[1:]:
        del blobs.held[record.rows]
    assert manifest.get("d/000007") is not None
    with pytest.raises(NotFoundError):
        manifest.get("d/019999")


def test_few_leaves_are_held(blobs: MemoryBlobStore) -> None:
    manifest = open_written(blobs, write(blobs, CODEC, folder(60_000)))
    assert len(manifest.records) > KEPT_LEAVES * 2
    for _ in manifest.entries():
        assert len(manifest._held) <= KEPT_LEAVES  # noqa: SLF001 (what is bounded is nobody's business but this test's)


@given(st.sets(st.text("ab/-", min_size=1, max_size=4)), st.text("ab/-", max_size=3))
def test_a_prefix_selects_entries(names: set[str], prefix: str) -> None:
    paths = sorted(f"p{name.replace('/', '/p').rstrip('/')}" for name in names)
    held = [entry(path) for path in dict.fromkeys(paths) if not any(other.startswith(f"{path}/") for other in paths)]
    blobs = MemoryBlobStore()
    manifest = open_written(blobs, write(blobs, CODEC, held))
    assert list(manifest.entries(prefix)) == [one for one in held if one.path.startswith(prefix)]
    assert list(manifest.entries(f"p{prefix}")) == [one for one in held if one.path.startswith(f"p{prefix}")]


def test_a_prefix_loads_only_its_leaves(blobs: MemoryBlobStore) -> None:
    manifest = open_written(blobs, write(blobs, CODEC, folder(20_000)))
    for record in [*manifest.records[:1], *manifest.records[3:]]:
        del blobs.held[record.rows]
    assert len(list(manifest.entries("d/0025"))) == 100


def test_a_local_change_stores_one_leaf(blobs: MemoryBlobStore) -> None:
    first = write(blobs, CODEC, folder(60_000))
    base = open_written(blobs, first)
    second = write(blobs, CODEC, merge(base.entries(), [entry("d/030000", "changed", birth="2")]))
    assert len(set(second.blobs) - set(first.blobs)) == 3  # rows, annex, index
    changed = open_written(blobs, second)
    assert [record.hash for record in base.records] != [record.hash for record in changed.records]
    assert len({record.hash for record in base.records} - {record.hash for record in changed.records}) == 1


def test_equal_leaves_are_shared_even_if_their_annex_differs(blobs: MemoryBlobStore) -> None:
    first = write(blobs, CODEC, folder(100))
    second = write(blobs, CODEC, (evolve(one, annex={}) for one in folder(100)))
    assert first.digest == second.digest
    assert len(set(first.blobs) & set(second.blobs)) == 1


def test_all_blobs_are_named_for_the_collector(blobs: MemoryBlobStore) -> None:
    reference = Entry("z", "etag", None, "s3://bucket/z")
    written = write(blobs, CODEC, [*folder(3000), reference])
    manifest = open_written(blobs, written)
    content = {Digest(one.digest) for one in folder(3000)}
    assert set(manifest.blobs()) == content | set(written.blobs)
    assert dict(manifest.contents()) == {one.digest: one.size for one in folder(3000)}
    rows = {record.rows for record in manifest.records}
    assert set(manifest.blobs(known=rows)) == set(written.blobs) - rows


# --- comparing and changing ---------------------------------------------------------------------------------------

contents = st.dictionaries(st.integers(0, 30).map("p{:02d}".format), st.sampled_from("xyz"), max_size=20)
states = st.lists(contents, min_size=1, max_size=4)


def held_by(state: dict[str, str]) -> list[Entry]:
    return [entry(path, state[path]) for path in sorted(state)]


@given(contents, contents)
def test_a_difference_is_what_sets_say(before: dict[str, str], after: dict[str, str]) -> None:
    blobs = MemoryBlobStore()
    one = open_written(blobs, write(blobs, CODEC, held_by(before)))
    two = open_written(blobs, write(blobs, CODEC, held_by(after)))
    found = {difference.path: difference.kind for difference in one.diff(two)}
    assert {path for path, kind in found.items() if kind == "added"} == after.keys() - before.keys()
    assert {path for path, kind in found.items() if kind == "removed"} == before.keys() - after.keys()
    changed = {path for path in before.keys() & after.keys() if before[path] != after[path]}
    assert {path for path, kind in found.items() if kind == "changed"} == changed
    assert list(found) == sorted(found)


def test_a_difference_reads_only_the_leaves_that_differ(blobs: MemoryBlobStore) -> None:
    one = open_written(blobs, write(blobs, CODEC, folder(20_000)))
    changed = entry("d/000007", "changed", birth="2")
    two = open_written(blobs, write(blobs, CODEC, merge(one.entries(), [changed, Removed("d/000009")])))
    for record in one.records[1:]:
        del blobs.held[record.rows]
    before, removed = entry("d/000007", "7", birth="1"), entry("d/000009", "9", birth="1")
    one, two = read(blobs, CODEC, one.manifest), read(blobs, CODEC, two.manifest)
    assert list(one.diff(two)) == [Difference(before, changed), Difference(removed, None)]


@given(states)
def test_the_digest_does_not_depend_on_history(history: list[dict[str, str]]) -> None:
    blobs = MemoryBlobStore()
    manifest = open_written(blobs, write(blobs, CODEC, []))
    for before, after in zip([{}, *history], history, strict=False):
        changes: list[Entry | Removed] = [Removed(path) for path in before.keys() - after.keys()]
        changes = sorted([*changes, *held_by(after)], key=lambda change: change.path)
        manifest = open_written(blobs, write(blobs, CODEC, merge(manifest.entries(), changes)))
    assert manifest.digest == version_digest(held_by(history[-1]))
    assert list(manifest.entries()) == held_by(history[-1])


def test_what_is_unchanged_keeps_its_annex_and_learns_what_is_new() -> None:
    old = [entry("a", birth="1", md5="m"), entry("b", birth="1"), entry("c", birth="1"), entry("gone", birth="1")]
    new = [entry("a", birth="2"), entry("b", birth="2", md5="n"), entry("c", "other", birth="2"), entry("d", birth="2")]
    kept = [entry("a", birth="1", md5="m"), entry("b", birth="1", md5="n"), *new[2:]]
    assert list(inherit(old, new)) == kept
    assert list(merge(old, new)) == [*kept, old[3]]


def test_removing_what_is_not_there_changes_nothing() -> None:
    assert list(merge([entry("b")], [Removed("a"), Removed("c")])) == [entry("b")]


def test_changes_out_of_order_are_refused(blobs: MemoryBlobStore) -> None:
    with pytest.raises(InvalidValueError, match="sort the entries"):
        write(blobs, CODEC, merge([entry("a")], [entry("c"), entry("b")]))


def test_a_clash_with_the_base_is_refused(blobs: MemoryBlobStore) -> None:
    with pytest.raises(InvalidNameError, match="'d' is a file and the folder of 'd/000000'"):
        write(blobs, CODEC, merge(folder(10), [entry("d")]))


# --- what goes wrong ----------------------------------------------------------------------------------------------


class RefusingBlobStore(MemoryBlobStore):
    """A store that refuses everything."""

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        return (BlobResult(blob.digest, done=False, error=CorruptError("refused")) for blob in blobs)


def test_a_failed_put_fails_the_manifest() -> None:
    with pytest.raises(CorruptError, match="refused"):
        write(RefusingBlobStore(), CODEC, folder(10))


def test_flipped_bytes_are_found_before_they_are_believed(blobs: MemoryBlobStore) -> None:
    written = write(blobs, CODEC, folder(10))
    for digest in written.blobs:
        good = blobs.held[digest]
        blobs.held[digest] = good[:-1] + bytes([good[-1] ^ 1])
        with pytest.raises(CorruptError, match=digest):
            list(open_written(blobs, written).entries())
        blobs.held[digest] = good


def test_leaves_of_another_manifest_are_not_believed(blobs: MemoryBlobStore) -> None:
    one = open_written(blobs, write(blobs, CODEC, folder(10)))
    two = open_written(blobs, write(blobs, CODEC, folder(11)))
    swapped = [evolve(one.records[0], rows=two.records[0].rows)]
    forged = CODEC.encode_index(swapped)
    digest = Digest(hashlib.sha256(forged).hexdigest())
    list(blobs.put_many([BlobSource(digest, len(forged), forged)]))
    with pytest.raises(CorruptError, match="10 manifest rows from 'd/000000'"):
        list(read(blobs, CODEC, digest).entries())


def test_writing_holds_a_few_leaves_only() -> None:
    taken = count()
    most = 0

    class Watching(MemoryBlobStore):
        def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
            nonlocal most
            sources = list(blobs)
            most = max(most, len(sources))
            return super().put_many(sources)

    written = write(Watching(), CODEC, (entry(f"d/{next(taken):07d}") for _ in range(BATCH * 5000)))
    assert written.entries == BATCH * 5000 > LEAF_ROWS
    assert most == BATCH
