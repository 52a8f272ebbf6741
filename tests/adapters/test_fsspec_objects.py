"""Objects on file systems of fsspec: one that creates atomically, one that links, one that can only rename."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from muniment.adapters.blobs.fsspec import HALVES, WHOLE_BYTES, FsspecObjectStore
from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.adapters.fsspec_files import Place, written_at
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, StorageError, StorageFullError
from muniment.domain.ports import BlobStore, ObjectResult, ObjectSource
from muniment.domain.values import Digest
from tests.conformance import blob_store
from tests.conformance.blob_store import BlobStoreConformance
from tests.conformance.object_store import ObjectStoreConformance, machine_for
from tests.fsspec_kinds import EMULATED, Failing, OverwritingFileSystem, RenamingFileSystem, ServedFileSystem, emulated

LARGE = bytes(range(256)) * (WHOLE_BYTES // 256 + 1)


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    for kind in (RenamingFileSystem, OverwritingFileSystem, ServedFileSystem):
        fsspec.register_implementation(kind.protocol, kind, clobber=True)
    yield
    ServedFileSystem.held.clear()
    for memory in (MemoryFileSystem, OverwritingFileSystem):
        memory.store.clear()
        memory.pseudo_dirs[:] = [""]


OWN = [url for url in [os.environ.get("FSSPEC_TEST_URL")] if url]
"""A place of one's own to run all this on, such as ``gs://bucket/prefix``; what is put there is left there."""


@pytest.fixture(params=["memory", "file", "renaming", "overwriting", "served", *EMULATED, *OWN])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FsspecObjectStore:
    if request.param in OWN:
        return FsspecObjectStore.at(f"{request.param}/{token_hex(8)}")
    if request.param in {"gs", "az"}:
        return FsspecObjectStore.at(f"{emulated(request.param, monkeypatch)}/store")
    if request.param in {"file", "renaming"}:
        return FsspecObjectStore.at(f"{request.param}://{tmp_path}/store")
    return FsspecObjectStore.at(f"{request.param}://{token_hex(8)}/store")


def source(name: str, content: bytes, path: Path | None = None) -> ObjectSource:
    digest = Digest(sha256(content).hexdigest())
    if path is None:
        return ObjectSource(name, len(content), content, digest=digest)
    path.write_bytes(content)
    return ObjectSource(name, len(content), path=str(path), digest=digest)


def put(store: FsspecObjectStore, **contents: bytes) -> list[ObjectResult]:
    return list(store.put_many(source(name, content) for name, content in contents.items()))


def held(store: FsspecObjectStore) -> list[str]:
    return [each.name for each in store.list("")]


def halves(store: FsspecObjectStore) -> str:
    return f"{store.place.path}/{HALVES.rstrip('/')}"


def leftovers(store: FsspecObjectStore) -> list[str]:
    try:
        return list(store.place.files.find(halves(store), detail=False))
    except FileNotFoundError:
        return []


class TestObjects(ObjectStoreConformance):
    """The suite of the port on every kind of file system."""


TestMemoryMachine = machine_for(lambda: FsspecObjectStore.at(f"memory://{token_hex(8)}/store"))
TestOverwritingMachine = machine_for(lambda: FsspecObjectStore.at(f"overwriting://{token_hex(8)}/store"))
TestFilesMachine = machine_for(lambda: FsspecObjectStore.at(Path(tempfile.mkdtemp()).as_uri()))


class TestPacks(BlobStoreConformance):
    """Blobs and packs on every kind of file system."""

    @pytest.fixture(
        params=[
            "file://{folder}",
            "memory://{random}",
            "served://{random}",
            *EMULATED,
            *(f"{url}/{{random}}" for url in OWN),
        ]
    )
    def store(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
        if request.param in {"gs", "az"}:
            url = emulated(request.param, monkeypatch)
        else:
            url = request.param.format(folder=tmp_path / "store", random=token_hex(8))
        (tmp_path / "spool").mkdir()
        return PackedBlobStore(FsspecObjectStore.at(url), PackIndex(tmp_path / "index.sqlite3"), tmp_path / "spool")

    def damage(self, store: BlobStore, digest: Digest, content: bytes) -> None:
        assert isinstance(store, PackedBlobStore)
        assert isinstance(store.objects, FsspecObjectStore)
        (found,) = store.objects.list("sha256/")
        assert found.name.endswith(digest)
        store.objects.place.files.pipe_file(f"{store.objects.place.path}/{found.name}", content, mode="overwrite")


def packed(url: str) -> BlobStore:
    folder = Path(tempfile.mkdtemp())
    return PackedBlobStore(FsspecObjectStore.at(url), PackIndex(folder / "index.sqlite3"), folder / "spool", few=2)


TestPacksInMemoryMachine = blob_store.machine_for(lambda: packed(f"memory://{token_hex(8)}/store"), examples=10)
TestPacksInFilesMachine = blob_store.machine_for(lambda: packed(Path(tempfile.mkdtemp()).as_uri()), examples=10)


@pytest.mark.parametrize("content", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("from_file", [True, False], ids=["file", "content"])
def test_what_was_put_is_there_and_stays(
    store: FsspecObjectStore, content: bytes, tmp_path: Path, *, from_file: bool
) -> None:
    wanted = source("packs/a", content, tmp_path / "given" if from_file else None)
    assert list(store.put_many([wanted])) == [ObjectResult("packs/a")]
    assert list(store.put_many([wanted])) == [ObjectResult("packs/a", done=False)]
    with store.open("packs/a") as stream:
        assert stream.read() == content
    (found,) = store.list("")
    assert (found.name, found.size) == ("packs/a", len(content))
    assert leftovers(store) == []


def test_ranges_are_read_from_both_ends(store: FsspecObjectStore) -> None:
    put(store, a=b"0123456789")
    assert store.read("a", 0, 4) == b"0123"
    assert store.read("a", 8, 4) == b"89"
    assert store.read("a", 10, 4) == store.read("a", 99, 4) == store.read("a", 3, 0) == b""
    assert store.read("a", -4, 2) == b"67"
    assert store.read("a", -99, 3) == b"012"
    with store.open("a", 2, 3) as stream:
        assert stream.read() == b"234"
    with store.open("a", 8, 99) as stream:
        assert stream.read() == b"89"
    with store.open("a", 99) as stream:
        assert stream.read() == b""
    for start, length in ((-1, None), (0, -1)):
        with pytest.raises(InvalidValueError):
            store.open("a", start, length)


def test_what_is_absent_is_not_found(store: FsspecObjectStore) -> None:
    put(store, **{"folder/a": b"x"})
    for name in ("b", "folder", "folder/b"):
        with pytest.raises(NotFoundError, match=f"object {name} is not there"):
            store.read(name, 0, 1)
        with pytest.raises(NotFoundError):
            store.read(name, -1, 1)
        with pytest.raises(NotFoundError):
            store.open(name)
    assert list(store.delete_many(["b", "folder"])) == [ObjectResult(name, done=False) for name in ("b", "folder")]


def test_a_prefix_is_text_and_names_come_in_their_order(store: FsspecObjectStore) -> None:
    names = ["sha256/aa/1", "sha256/aab", "sha256/ab", "sha256-x", "packs/z", "packs/Z", "a"]
    put(store, **{name: name.encode() for name in names})
    assert held(store) == sorted(names)
    assert [each.name for each in store.list("sha256/aa")] == ["sha256/aa/1", "sha256/aab"]
    assert [each.name for each in store.list("sha256/")] == ["sha256/aa/1", "sha256/aab", "sha256/ab"]
    assert list(store.list("nope/")) == list(store.list("nope")) == []


def test_an_empty_store_is_empty(store: FsspecObjectStore) -> None:
    assert held(store) == []
    assert store.sizes(["a"]) == {}
    assert store.sweep(1 << 62) == 0


@pytest.mark.parametrize("count", [3, 30])
def test_sizes_of_few_and_of_many(store: FsspecObjectStore, count: int) -> None:
    put(store, **{f"packs/{number}": b"x" * number for number in range(count)}, top=b"xy")
    asked = [f"packs/{number}" for number in range(count + 5)] + ["top", "nope/a"]
    assert store.sizes(asked) == {f"packs/{number}": number for number in range(count)} | {"top": 2}


def test_an_object_of_another_size_is_what_failed_and_is_replaced(store: FsspecObjectStore) -> None:
    put(store, a=b"hel")
    assert put(store, a=b"hello") == [ObjectResult("a")]
    assert store.read("a", 0, 9) == b"hello"


@pytest.mark.parametrize("content", [b"hello", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("from_file", [True, False], ids=["file", "content"])
@pytest.mark.parametrize("wrong", ["size", "digest"])
def test_bytes_that_are_not_what_was_said_are_refused(
    store: FsspecObjectStore, content: bytes, tmp_path: Path, wrong: str, *, from_file: bool
) -> None:
    right = source("a", content, tmp_path / "given" if from_file else None)
    size, digest = (right.size + 1, right.digest) if wrong == "size" else (right.size, Digest("0" * 64))
    lying = ObjectSource("a", size, right.content, right.path, digest=digest)
    good = source("b", b"good")
    first, second = sorted(store.put_many([lying, good]), key=lambda result: result.name)
    assert isinstance(first.error, CorruptError)
    assert (first.done, second) == (False, ObjectResult("b"))
    assert held(store) == ["b"]
    assert leftovers(store) == []


def test_a_file_that_cannot_be_read_is_said_and_no_fault_of_the_place(store: FsspecObjectStore, tmp_path: Path) -> None:
    for size in (4, WHOLE_BYTES + 1):
        (result,) = store.put_many([ObjectSource("a", size, path=str(tmp_path / "gone"))])
        assert isinstance(result.error, StorageError)
        assert "cannot read what object a is to hold" in str(result.error)


def test_a_large_file_that_changes_on_its_way_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FsspecObjectStore.at("served://bucket")
    monkeypatch.setattr(ServedFileSystem, "meanwhile", lambda path: Path(path).write_bytes(b"other"))
    (result,) = store.put_many([source("a", LARGE, tmp_path / "given")])
    assert isinstance(result.error, CorruptError)
    assert "changed while it was stored" in str(result.error)
    assert held(store) == []


def test_deleted_is_gone(store: FsspecObjectStore) -> None:
    put(store, a=b"x", b=b"y")
    assert list(store.delete_many(["a", "nope"])) == [ObjectResult("a"), ObjectResult("nope", done=False)]
    assert held(store) == ["b"]


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/./b", "tmp/a", "ä", "a b", "a\n", "a*"])
def test_other_names_are_refused(store: FsspecObjectStore, name: str) -> None:
    (result,) = store.put_many([ObjectSource(name, 0, b"")])
    assert isinstance(result.error, InvalidValueError)
    with pytest.raises(InvalidValueError):
        store.read(name, 0, 1)


def test_of_several_at_once_one_puts(store: FsspecObjectStore) -> None:
    put(store, before=b"")
    start = threading.Barrier(8)

    def one(_: int) -> bool:
        start.wait()
        (result,) = store.put_many([source("packs/a", b"hello" * 1000)])
        assert result.error is None
        return result.done

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one, range(8))) == [False] * 7 + [True]
    assert store.read("packs/a", 0, 1 << 20) == b"hello" * 1000
    assert leftovers(store) == []


def test_what_an_interrupted_put_left_is_swept_once_it_is_old(store: FsspecObjectStore) -> None:
    put(store, a=b"x")
    files, half = store.place.files, f"{halves(store)}/half"
    if not isinstance(files, AsyncFileSystem):
        files.makedirs(halves(store), exist_ok=True)
    files.pipe_file(half, b"hel", mode="overwrite")
    (facts,) = files.find(halves(store), detail=True).values()
    written = written_at(facts)
    assert written is not None
    assert held(store) == ["a"]
    assert store.sweep(written) == 0
    assert store.sweep(written + 1_000_000) == 3
    assert leftovers(store) == []


def test_a_fork_opens_its_own_file_system(tmp_path: Path) -> None:
    place = Place(f"file://{tmp_path}")
    mine = place._here()  # noqa: SLF001 (what is shared cannot be seen from outside)
    place._opened = (os.getpid() - 1, mine[1], "elsewhere")  # noqa: SLF001
    assert place.path == str(tmp_path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nope://bucket/a", "cannot be opened: ValueError"),
        ("simplecache::memory://a", "cannot be chained"),
        ("missing://bucket/a", "needs a package of its own — install nowhere"),
    ],
)
def test_a_place_that_cannot_be_opened_is_said(url: str, message: str) -> None:
    fsspec.register_implementation("missing", "nowhere.Files", errtxt="install nowhere", clobber=True)
    with pytest.raises((StorageError, InvalidValueError), match=message):
        FsspecObjectStore.at(url)


@pytest.mark.parametrize(
    ("facts", "micros"),
    [
        ({"mtime": 1.5}, 1_500_000),
        ({"updated": "1970-01-01T00:00:02.5Z"}, 2_500_000),
        ({"updated": "yesterday", "created": 3}, 3_000_000),
        ({}, None),
    ],
)
def test_when_an_object_was_written_is_read_in_every_form(facts: Mapping[str, Any], micros: int | None) -> None:
    assert written_at(facts) == micros


@pytest.mark.parametrize("moment", ["1970-01-01T00:00:02", datetime(1970, 1, 1, 0, 0, 2)])  # noqa: DTZ001 (on purpose)
def test_a_time_without_a_zone_is_not_that_of_this_machine(moment: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert written_at({"modified": moment}) == 2_000_000
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (OSError(28, "No space left on device"), StorageFullError, "no space is left"),
        (OSError(5, "Input/output error"), StorageError, "Input/output error"),
        (RuntimeError("SECRET at https://canary/"), StorageError, "RuntimeError"),
        (TimeoutError(), StorageError, "TimeoutError"),
    ],
)
def test_what_fails_is_said_in_our_errors_and_nothing_else(
    error: Exception, kind: type[StorageError], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.register_implementation("failing", Failing, clobber=True)
    monkeypatch.setattr(Failing, "error", error, raising=False)
    store = FsspecObjectStore.at("failing://bucket")
    results = [*put(store, a=b"x"), *store.delete_many(["a"])]
    raised = [result.error for result in results]
    for act in (lambda: store.read("a", 0, 1), lambda: store.open("a"), lambda: list(store.list(""))):
        with pytest.raises(StorageError) as caught:
            act()
        raised.append(caught.value)
    for each in raised:
        assert isinstance(each, kind)
        assert text in str(each)
        assert "SECRET" not in str(each)


def test_a_body_that_ends_too_early_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("failing", Failing, clobber=True)
    monkeypatch.setattr(Failing, "short", True)
    store = FsspecObjectStore.at("failing://bucket")
    with pytest.raises(StorageError, match="broke off: 3 of 10 bytes"):
        store.read("a", 0, 10)
    with store.open("a") as stream, pytest.raises(StorageError, match="broke off"):
        stream.read()
