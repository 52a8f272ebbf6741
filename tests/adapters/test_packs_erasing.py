"""What is deleted from a pack is gone, byte for byte; what is damaged or lost is found, and never returned."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from attrs import frozen

from muniment.adapters.blobs.local import LocalObjectStore
from muniment.adapters.blobs.memory import MemoryObjectStore
from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.adapters.blobs.packs.format import spans_of
from muniment.domain.errors import CorruptError, NotFoundError, StorageError
from muniment.domain.ports import BlobResult, ObjectResult, ObjectStore
from muniment.domain.values import Digest
from tests.adapters.test_packs import packed
from tests.conformance.blob_store import named, put, source

FAR = 2**62
CANARY = b"canary in the coal mine"
OTHERS = [b"%04d of the others " % at * 20 for at in range(30)]


@pytest.fixture
def store(tmp_path: Path) -> PackedBlobStore:
    return packed(tmp_path)


def packs(store: PackedBlobStore) -> list[Path]:
    return sorted((cast("LocalObjectStore", store.objects).folder / "packs").iterdir())


def bytes_below(folder: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())


def holds(store: PackedBlobStore, *contents: bytes) -> None:
    """Check that a store holds exactly this."""
    assert dict(store.list()) == {named(content): len(content) for content in contents}
    assert [store.get(named(content)) for content in contents] == list(contents)
    assert list(store.verify()) == []


def again(store: PackedBlobStore) -> PackedBlobStore:
    """Return the same store as another process sees it."""
    return PackedBlobStore(store.objects, PackIndex(store.index.file), store.spool, few=store.few)


# --- deleting --------------------------------------------------------------------------------------------------------


def test_deleted_bytes_occur_nowhere_any_more(store: PackedBlobStore, tmp_path: Path) -> None:
    put(store, *OTHERS[:9], CANARY, *OTHERS[9:])
    assert any(CANARY in held for held in bytes_below(tmp_path))
    (before,) = packs(store)
    assert list(store.delete_many([named(CANARY)])) == [BlobResult(named(CANARY))]
    assert not any(CANARY in held for held in bytes_below(tmp_path))
    store.index.close()
    assert not any(bytes.fromhex(named(CANARY)) in held for held in bytes_below(tmp_path)), "nor its digest"
    assert packs(store) != [before]
    holds(store, *OTHERS)
    with pytest.raises(NotFoundError):
        store.get(named(CANARY))


def test_a_blob_in_several_packs_is_deleted_from_all(store: PackedBlobStore, tmp_path: Path) -> None:
    other = packed(tmp_path / "other")
    put(store, CANARY, OTHERS[0])
    put(other, CANARY, OTHERS[1])
    for pack in packs(other):
        pack.rename(tmp_path / "blobs" / "packs" / pack.name)
    assert store.missing({named(OTHERS[1])}) == set()
    list(store.delete_many([named(CANARY)]))
    assert not any(CANARY in held for held in bytes_below(tmp_path / "blobs"))
    holds(store, *OTHERS[:2])


def test_a_pack_of_which_nothing_is_left_goes(store: PackedBlobStore) -> None:
    put(store, *OTHERS)
    assert all(result.done for result in store.delete_many(map(named, OTHERS)))
    assert packs(store) == []
    assert list(store.list()) == []


def test_a_reader_that_finds_the_pack_gone_looks_once_more(store: PackedBlobStore) -> None:
    put(store, *OTHERS, CANARY)
    reader = again(store)
    reader._ahead.objects = Overtaken(store.objects, lambda: list(store.delete_many([named(CANARY)])))  # type: ignore[assignment]  # noqa: SLF001
    assert reader.get(named(OTHERS[3])) == OTHERS[3]


@frozen(eq=False)
class Overtaken:
    """Objects that somebody deletes from just before they are read."""

    inner: ObjectStore
    act: Any

    def read(self, name: str, start: int, length: int) -> bytes:
        self.act()
        return self.inner.read(name, start, length)


def test_several_delete_from_one_pack_at_once(store: PackedBlobStore, tmp_path: Path) -> None:
    put(store, *OTHERS)
    with ThreadPoolExecutor(6) as pool:
        work = [pool.submit(lambda at: list(again(store).delete_many([named(OTHERS[at])])), at) for at in range(12)]
        assert [each.result()[0].error for each in work] == [None] * 12
    assert not any(content in held for held in bytes_below(tmp_path) for content in OTHERS[:12])
    holds(again(store), *OTHERS[12:])


def test_several_put_and_delete_at_once_and_nothing_of_others_is_lost(store: PackedBlobStore) -> None:
    def work(number: int) -> None:
        mine = again(store)
        contents = [b"%d-%d " % (number, at) * 30 for at in range(20)]
        assert [result.error for result in put(mine, *contents)] == [None] * 20
        assert {result.error for result in mine.delete_many(map(named, contents[::2]))} == {None}
        assert mine.missing(set(map(named, contents))) == set(map(named, contents[::2]))
        assert [mine.get(named(content)) for content in contents[1::2]] == contents[1::2]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    holds(store, *[b"%d-%d " % (number, at) * 30 for number in range(8) for at in range(1, 20, 2)])


@frozen(eq=False)
class Kept(MemoryObjectStore):
    """Objects that cannot be deleted."""

    def delete_many(self, names: Any) -> Iterator[ObjectResult]:
        for name in names:
            yield ObjectResult(name, done=False, error=StorageError(f"{name} is locked until 2030"))


def test_what_cannot_be_deleted_is_an_error_that_says_why(tmp_path: Path) -> None:
    store = packed(tmp_path, Kept())
    put(store, CANARY, *OTHERS)
    results = list(store.delete_many([named(CANARY), named(b"absent")]))
    assert [type(result.error) for result in results] == [StorageError, type(None)]
    assert "2030" in str(results[0].error)
    with pytest.raises(StorageError, match="2030"):
        store.sweep(0)
    assert store.get(named(OTHERS[0])) == OTHERS[0]


def test_damaged_bytes_survive_the_deletion_of_their_neighbours_as_they_are(store: PackedBlobStore) -> None:
    put(store, CANARY, *OTHERS)
    flip(packs(store)[0], store.index.find(named(OTHERS[4]))[0].start)
    list(store.delete_many([named(CANARY)]))
    with pytest.raises(CorruptError, match=named(OTHERS[4])):
        store.get(named(OTHERS[4]))
    assert store.get(named(OTHERS[5])) == OTHERS[5]
    assert store.missing({named(OTHERS[4])}) == set()


def test_a_pack_with_a_damaged_footer_is_rewritten_from_the_index(store: PackedBlobStore, tmp_path: Path) -> None:
    put(store, CANARY, *OTHERS)
    flip(packs(store)[0], packs(store)[0].stat().st_size - 60)
    list(store.delete_many([named(CANARY)]))
    assert not any(CANARY in held for held in bytes_below(tmp_path))
    holds(store, *OTHERS)


# --- the index -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["lost", "emptied", "damaged", "rebuilt"])
def test_the_index_is_made_again_from_the_packs_alone(store: PackedBlobStore, how: str) -> None:
    put(store, *OTHERS[:20])
    put(store, *OTHERS[20:])
    store.index.close()
    index = store.index.file
    if how == "lost":
        index.unlink()
    elif how == "emptied":
        index.write_bytes(b"")
    elif how == "damaged":
        index.write_bytes(random.Random(1).randbytes(index.stat().st_size))
    else:
        assert store.rebuild_index() == 2
    assert again(store).get(named(OTHERS[25])) == OTHERS[25]
    holds(again(store), *OTHERS)


def test_an_index_that_says_something_else_than_a_pack_is_not_believed(store: PackedBlobStore) -> None:
    put(store, *OTHERS)
    with sqlite3.connect(store.index.file) as raw:
        raw.execute("UPDATE blobs SET start = start + 1")
    raw.close()
    holds(store, *OTHERS)


def test_an_index_that_knows_what_a_pack_does_not_hold_is_reported(store: PackedBlobStore) -> None:
    put(store, *OTHERS)
    with sqlite3.connect(store.index.file) as raw:
        raw.execute("UPDATE blobs SET digest = ? WHERE start = 0", (bytes(32),))
    raw.close()
    (line,) = store.verify()
    assert "does not hold what the index says" in line
    store.rebuild_index()
    holds(store, *OTHERS)


def test_another_process_with_an_index_of_its_own_sees_what_came_and_went(
    store: PackedBlobStore, tmp_path: Path
) -> None:
    other = PackedBlobStore(store.objects, PackIndex(tmp_path / "elsewhere" / "index"), tmp_path / "spool", few=1)
    put(store, *OTHERS[:5], CANARY)
    assert other.get(named(CANARY)) == CANARY
    put(store, *OTHERS[5:])
    list(store.delete_many([named(CANARY)]))
    assert other.missing({named(CANARY), named(OTHERS[9])}) == {named(CANARY)}
    with pytest.raises(NotFoundError):
        other.get(named(CANARY))
    holds(other, *OTHERS)


def test_both_packs_there_after_a_crash_are_read_and_deleted_from(store: PackedBlobStore, tmp_path: Path) -> None:
    put(store, *OTHERS, CANARY)
    (old,) = packs(store)
    kept = old.read_bytes()
    list(store.delete_many([named(OTHERS[0])]))
    old.write_bytes(kept)  # as if the crash came before it was deleted, and the index was lost
    holds(again(store), *OTHERS, CANARY)
    list(again(store).delete_many([named(CANARY), named(OTHERS[0])]))
    assert not any(CANARY in held for held in bytes_below(tmp_path))
    holds(again(store), *OTHERS[1:])


def test_a_pack_that_was_dropped_but_not_deleted_is_swept(store: PackedBlobStore, tmp_path: Path) -> None:
    put(store, CANARY)
    (pack,) = packs(store)
    size = pack.stat().st_size
    assert store.index.swap(f"packs/{pack.name}", None)
    assert again(store).missing({named(CANARY)}) == {named(CANARY)}
    assert again(store).sweep(0) == size
    assert not any(CANARY in held for held in bytes_below(tmp_path))


def test_packs_that_were_never_finished_are_swept_and_nothing_beside_them(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    store = PackedBlobStore(MemoryObjectStore(), PackIndex(spool / "index.sqlite3"), spool, few=1)
    put(store, *OTHERS)
    (spool / ("0" * 32)).write_bytes(b"half")
    assert store.sweep(0) == 0
    assert store.sweep(FAR) == 4
    assert [path.name for path in spool.iterdir() if not path.name.startswith("index.sqlite3")] == []
    assert store.index.file.exists()


# --- damage ----------------------------------------------------------------------------------------------------------


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_a_flipped_byte_anywhere_in_a_pack_is_reported_and_never_returned(store: PackedBlobStore) -> None:
    contents = [b"one", b"two!", b"", b"three"]
    put(store, *contents)
    (pack,) = packs(store)
    sound = pack.read_bytes()
    for at in range(len(sound)):
        pack.write_bytes(sound)
        flip(pack, at)
        reader = again(store)
        wrong = []
        for content in contents:
            try:
                assert reader.get(named(content)) == content
            except CorruptError as error:
                wrong.append(str(error))
        reports = list(reader.verify())
        assert wrong or any(pack.name in line for line in reports), f"byte {at} went unnoticed"
        assert reader.sweep(FAR) == 0
        assert pack.exists(), "damage is no reason to remove anything"


def test_a_flipped_byte_is_no_reason_to_sweep_where_the_index_is_lost(store: PackedBlobStore) -> None:
    put(store, *OTHERS)
    (pack,) = packs(store)
    flip(pack, pack.stat().st_size - 1)
    store.index.close()
    store.index.file.unlink()
    assert again(store).sweep(FAR) == 0
    (line,) = again(store).verify()
    assert pack.name in line
    flip(pack, pack.stat().st_size - 1)
    holds(again(store), *OTHERS)


def test_a_torn_pack_is_ignored_reported_and_swept_when_it_is_old(store: PackedBlobStore) -> None:
    put(store, *OTHERS)
    (pack,) = packs(store)
    torn = pack.with_name("0" * 32)
    torn.write_bytes(pack.read_bytes()[:-100])
    os.utime(torn, ns=(10**18, 10**18))
    assert dict(store.list()) == {named(content): len(content) for content in OTHERS}
    (line,) = store.verify()
    assert torn.name in line
    size = torn.stat().st_size
    assert again(store).sweep(10**15) == 0
    assert again(store).sweep(10**15 + 1) == size
    assert not torn.exists()
    holds(store, *OTHERS)


def test_a_pack_that_was_cut_is_never_swept_while_the_index_knows_it(store: PackedBlobStore) -> None:
    put(store, *OTHERS)
    (pack,) = packs(store)
    os.truncate(pack, pack.stat().st_size - 2000)
    assert store.sweep(FAR) == 0
    assert store.get(named(OTHERS[0])) == OTHERS[0]
    (line,) = store.verify()
    assert pack.name in line


# --- reading ---------------------------------------------------------------------------------------------------------


@frozen(eq=False)
class Counted(MemoryObjectStore):
    """Objects that count what they are asked for."""

    def read(self, name: str, start: int, length: int) -> bytes:
        asked.append(name)
        return super().read(name, start, length)

    def open(self, name: str, start: int = 0, length: int | None = None) -> BinaryIO:
        asked.append(name)
        return super().open(name, start, length)


asked: list[str] = []


def test_one_blob_is_one_ranged_request_and_neighbours_are_few(tmp_path: Path) -> None:
    contents = [b"%05d" % at * 800 for at in range(2000)]
    store = packed(tmp_path, Counted())
    put(store, *contents)
    assert len(list(store.objects.list("packs/"))) == 1
    asked.clear()
    assert store.get(named(contents[1234])) == contents[1234]
    assert len(asked) == 1
    asked.clear()
    assert [again(store).get(named(content)) for content in contents[:1]] == contents[:1]
    reader = again(store)
    asked.clear()
    assert [reader.get(named(content)) for content in contents] == contents
    assert len(asked) <= len(contents) / 50


def test_many_blobs_come_in_packs_of_a_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muniment.adapters.blobs.packs.putting.BATCH_BYTES", 100_000)
    store = packed(tmp_path)
    contents = [b"%05d" % at * 200 for at in range(500)]
    put(store, *contents)
    sizes = [pack.stat().st_size for pack in packs(store)]
    assert len(sizes) == 5
    assert max(sizes) < 110_000
    holds(store, *contents)


def test_the_footers_alone_say_what_is_where(store: PackedBlobStore) -> None:
    put(store, *OTHERS)
    (pack,) = packs(store)
    held = pack.read_bytes()
    spans = spans_of(len(held), lambda start, length: held[start : start + length])
    assert {span.digest: held[span.start : span.end] for span in spans} == {named(each): each for each in OTHERS}


def test_a_store_without_room_says_so_for_each(tmp_path: Path) -> None:
    store = PackedBlobStore(MemoryObjectStore(), PackIndex(tmp_path / "index"), Path("/dev/null/spool"), few=1)
    results = list(store.put_many([source(b"a"), source(b"b")]))
    assert [type(result.error) for result in results] == [StorageError, StorageError]
    assert store.missing({named(b"a")}) == {named(b"a")}


def test_an_index_that_cannot_be_made_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="index of packs"):
        PackedBlobStore(MemoryObjectStore(), PackIndex(Path("/dev/null/index")), Path("/dev/null")).get(
            Digest("0" * 64)
        )
