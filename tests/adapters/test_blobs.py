"""Both blob stores keep the contract; the local folder keeps it through interruptions, full disks and races."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import pytest

from muniment.adapters.blobs.local import BATCH_FILES, LocalObjectStore
from muniment.adapters.blobs.local.files import MUST_RENAME
from muniment.adapters.blobs.memory import MemoryBlobStore
from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.domain.errors import CorruptError, StorageError, StorageFullError
from muniment.domain.ports import BlobResult, BlobSource, BlobStore, ObjectResult, ObjectSource
from muniment.domain.values import Digest
from tests.conformance.blob_store import HELLO, BlobStoreConformance, machine_for, named, put, source

FAR = 2**62
PUT_FROM_STDIN = """
import sys
from pathlib import Path
from muniment.adapters.blobs.local import LocalObjectStore
from muniment.domain.ports import ObjectSource

small = ObjectSource("sha256/58/5891", 6, b"hello\\n")
endless = ObjectSource("sha256/00/0000", 9 << 20, path="/dev/stdin")
list(LocalObjectStore.at(Path(sys.argv[1])).put_many([small, endless]))
"""


def alone(folder: Path) -> PackedBlobStore:
    """Return a store in which every blob is a file of its own."""
    objects = LocalObjectStore.at(folder)
    return PackedBlobStore(objects, PackIndex(folder.parent / f"{folder.name}.sqlite3"), folder / "tmp", few=1 << 30)


def folder_of(store: PackedBlobStore) -> Path:
    return cast("LocalObjectStore", store.objects).folder


class TestMemory(BlobStoreConformance):
    @pytest.fixture
    def store(self) -> BlobStore:
        return MemoryBlobStore()

    def damage(self, store: BlobStore, digest: Digest, content: bytes) -> None:
        cast("MemoryBlobStore", store).held[digest] = content


class TestLocalFolder(BlobStoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        return alone(tmp_path / "home" / "blobs")

    def damage(self, store: BlobStore, digest: Digest, content: bytes) -> None:
        place(cast("PackedBlobStore", store), digest).write_bytes(content)


TestMemoryMachine = machine_for(MemoryBlobStore)
TestLocalFolderMachine = machine_for(lambda: alone(Path(tempfile.mkdtemp())))


@pytest.fixture
def store(tmp_path: Path) -> PackedBlobStore:
    return alone(tmp_path / "home" / "blobs")


def place(store: PackedBlobStore, digest: Digest) -> Path:
    return folder_of(store) / "sha256" / digest[:2] / digest


def halves(store: PackedBlobStore) -> list[Path]:
    return list((folder_of(store) / "tmp").iterdir())


def files(store: PackedBlobStore) -> list[Path]:
    return [path for path in folder_of(store).rglob("*") if path.is_file()]


def test_a_blob_lies_where_the_document_says_for_its_owner_alone(store: PackedBlobStore) -> None:
    put(store, HELLO)
    assert files(store) == [place(store, named(HELLO))]
    assert stat.S_IMODE(place(store, named(HELLO)).stat().st_mode) == 0o600
    folders = [path for path in [folder_of(store).parent, *folder_of(store).parent.rglob("*")] if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_a_movable_file_is_renamed(store: PackedBlobStore, tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.write_bytes(HELLO)
    inode = staged.stat().st_ino
    list(store.put_many([BlobSource(named(HELLO), len(HELLO), path=str(staged), movable=True)]))
    assert not staged.exists()
    assert place(store, named(HELLO)).stat().st_ino == inode
    assert stat.S_IMODE(place(store, named(HELLO)).stat().st_mode) == 0o600


def test_bytes_and_names_are_durable_before_the_result(
    store: PackedBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def watch(file: int) -> None:
        synced.append(os.fstat(file).st_ino)
        fsync(file)

    monkeypatch.setattr(os, "fsync", watch)
    staged = tmp_path / "staged"
    staged.write_bytes(b"staged")
    moved = BlobSource(named(b"staged"), 6, path=str(staged), movable=True)
    for result in store.put_many([source(HELLO), moved]):
        blob = place(store, result.digest)
        kept = [path.stat().st_ino for path in (blob, blob.parent, blob.parent.parent)]
        assert set(kept) <= set(synced)
        assert synced.index(kept[0]) < synced.index(kept[1])
    synced.clear()
    put(store, HELLO)
    assert place(store, named(HELLO)).parent.stat().st_ino in synced, "another put may have named it a moment ago"
    synced.clear()
    next(store.delete_many([named(HELLO)]))
    assert (folder_of(store) / "sha256" / named(HELLO)[:2]).stat().st_ino in synced


def test_a_movable_link_is_copied(store: PackedBlobStore, tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(HELLO)
    link.symlink_to(file)
    list(store.put_many([BlobSource(named(HELLO), len(HELLO), path=str(link), movable=True)]))
    assert not place(store, named(HELLO)).is_symlink()
    assert file.read_bytes() == HELLO


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")  # noqa: S108
def test_a_movable_file_of_another_file_system_is_copied_and_checked(store: PackedBlobStore) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        good, bad = Path(folder, "good"), Path(folder, "bad")
        if Path(folder).stat().st_dev == folder_of(store).stat().st_dev:
            pytest.skip("needs a second file system")
        good.write_bytes(HELLO)
        bad.write_bytes(b"hellO\n")
        results = list(
            store.put_many(
                [
                    BlobSource(named(HELLO), 6, path=str(good), movable=True),
                    BlobSource(named(b"world\n"), 6, path=str(bad), movable=True),
                ]
            )
        )
    assert [type(result.error) for result in results] == [type(None), CorruptError]
    assert files(store) == [place(store, named(HELLO))]


def test_a_truncated_blob_is_mended_by_putting_it_again(store: PackedBlobStore) -> None:
    put(store, HELLO)
    place(store, named(HELLO)).write_bytes(b"hell")
    assert put(store, HELLO) == [BlobResult(named(HELLO))]
    assert store.get(named(HELLO)) == HELLO


def test_refused_puts_leave_nothing_behind(store: PackedBlobStore, tmp_path: Path) -> None:
    file = tmp_path / "changed"
    file.write_bytes(b"more than was announced")
    list(store.put_many([BlobSource(named(HELLO), 6, path=str(file)), BlobSource(named(HELLO), 6, b"hellO\n")]))
    assert files(store) == []


def test_a_killed_put_shows_nothing_and_is_swept(store: PackedBlobStore) -> None:
    child = subprocess.Popen([sys.executable, "-c", PUT_FROM_STDIN, str(folder_of(store))], stdin=subprocess.PIPE)
    assert child.stdin is not None
    with child:
        child.stdin.write(bytes(3 << 20))  # returns when all but what a pipe holds was read, and so written
        child.kill()
    assert list(store.list()) == []
    left = [path.stat().st_size for path in halves(store)]
    assert len(left) == 2
    assert max(left) >= 2 << 20
    assert store.sweep(0) == 0
    assert len(halves(store)) == 2
    assert store.sweep(FAR) == sum(left)
    assert files(store) == []


def test_a_consumer_that_stops_leaves_no_half(store: PackedBlobStore) -> None:
    blobs = [source(f"{at}".encode()) for at in range(BATCH_FILES * 2)]
    results = store.objects.put_many(
        ObjectSource(f"sha256/{each.digest[:2]}/{each.digest}", each.size, each.content) for each in blobs
    )
    next(results)
    cast("Generator[ObjectResult]", results).close()
    assert len(list(store.list())) == BATCH_FILES
    assert halves(store) == []


def test_a_source_that_fails_leaves_no_half(store: PackedBlobStore) -> None:
    def blobs() -> Iterator[BlobSource]:
        yield source(HELLO)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(store.put_many(blobs()))
    assert files(store) == []


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_disk_that_fails_is_a_storage_error(
    store: PackedBlobStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "/secret/place")

    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        (result,) = put(store, HELLO)
    assert isinstance(result.error, StorageError)
    assert isinstance(result.error.__cause__, OSError)
    assert named(HELLO) in str(result.error)
    assert "/secret" not in str(result.error)
    assert not result.done
    assert halves(store) == []
    assert put(store, HELLO)[0].error is None


def test_a_full_disk_is_said_so(store: PackedBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail)
        results = put(store, HELLO, b"other")
    assert [type(result.error) for result in results] == [StorageFullError, StorageFullError]
    assert files(store) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_full_file_system_refuses_what_does_not_fit_and_keeps_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        store = alone(folder / "blobs")
        big = bytes(range(256)) * 8192
        results = put(store, HELLO, big, b"small")
        assert [type(result.error) for result in results] == [type(None), StorageFullError, type(None)]
        assert halves(store) == []
        assert store.get(named(HELLO)) == HELLO
        store.index.close()
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("number", sorted(MUST_RENAME - {errno.EEXIST}))
def test_a_file_system_without_hard_links_will_do(
    store: PackedBlobStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", fail)
    assert put(store, HELLO, HELLO) == [BlobResult(named(HELLO)), BlobResult(named(HELLO), done=False)]
    assert store.get(named(HELLO)) == HELLO
    assert halves(store) == []


def test_a_movable_file_that_turns_out_to_lie_elsewhere_is_copied(
    store: PackedBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = tmp_path / "staged"
    staged.write_bytes(HELLO)
    link = os.link

    def across(src: str, dst: str, **how: bool) -> None:
        if Path(src) == staged:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        link(src, dst, **how)

    monkeypatch.setattr(os, "link", across)
    results = list(store.put_many([BlobSource(named(HELLO), 6, path=str(staged), movable=True)]))
    assert results == [BlobResult(named(HELLO))]
    assert store.get(named(HELLO)) == HELLO
    assert halves(store) == []


@pytest.mark.parametrize("room", [0, 1 << 20], ids=["one-by-one", "listed"])
def test_many_blobs_are_looked_for_at_once(store: PackedBlobStore, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr("muniment.adapters.blobs.local.LISTED_BYTES", room)
    neighbours = [each for each in (source(b"%d" % number) for number in range(8000)) if each.digest.startswith("7")]
    there, lost = neighbours[::2], neighbours[1::2]
    assert all(result.error is None for result in store.put_many(there))
    wanted = [each.digest for each in neighbours]
    assert store.missing([*wanted, Digest("../x"), Digest("")]) == {"../x", "", *(each.digest for each in lost)}


def test_what_is_no_file_cannot_be_read(store: PackedBlobStore) -> None:
    place(store, named(HELLO)).mkdir(parents=True)
    with pytest.raises(StorageError, match="Is a directory") as caught:
        store.get(named(HELLO))
    assert str(folder_of(store)) not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="File exists") as caught:
        LocalObjectStore.at(tmp_path / "file" / "blobs")
    assert str(tmp_path) not in str(caught.value)
