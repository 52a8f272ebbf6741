"""What lies elsewhere is fetched once for who reads it; who checks, carries or deletes asks the place itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from muniment.app import directory, fsck, lifecycle, storage
from muniment.app.bootstrap import open_cache, open_store
from muniment.app.catalog import Found
from muniment.app.collecting import collect
from muniment.app.collecting.disposal import dispose
from muniment.app.config import load
from muniment.app.files import reference
from muniment.app.files.download import checkout, download, manifest_of, open_entry, verify_stored
from muniment.app.files.reading import SMALL
from muniment.app.storage_migration import migrate
from muniment.app.store import Store
from muniment.domain.errors import CorruptError, MunimentError, NotFoundError
from muniment.domain.evidence import Trigger
from muniment.domain.values import Digest
from tests.app.contents import log, tree

FILES = {"a.txt": b"a", "b/c.txt": b"c", "large": b"large " * SMALL}
ELSEWHERE = "memory://bucket/us"


@pytest.fixture(autouse=True)
def elsewhere() -> Iterator[None]:
    MemoryFileSystem.store.clear()
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MUNIMENT_BLOBS", ELSEWHERE)
    opened = open_store(load())
    yield opened
    opened.ledger.close()


@pytest.fixture
def made(store: Store) -> Found:
    return log(store, FILES)


def again() -> Store:
    """Open the store as another process would, which remembers nothing."""
    return open_store(load())


def cached(store: Store, content: bytes) -> Path:
    digest = sha256(content).hexdigest()
    return open_cache(store.config).folder / digest[:2] / digest


def lose(store: Store) -> None:
    """Lose all that lies elsewhere."""
    MemoryFileSystem.store.clear()
    shutil.rmtree(store.config.home / "remote")


def test_a_version_is_fetched_once(store: Store, made: Found, tmp_path: Path) -> None:
    download(store, made, tmp_path / "one")
    lose(store)
    for number, read in enumerate((download, checkout)):
        opened = again()
        read(opened, made, tmp_path / f"again{number}")
        assert tree(tmp_path / f"again{number}") == FILES
        opened.ledger.close()


def test_single_entries_are_read_through_the_cache(store: Store, made: Found) -> None:
    for name in ("a.txt", "large"):
        entry = manifest_of(store, made).get(name)
        assert entry is not None
        with open_entry(store.of_team(made.team.team_id), entry) as file:
            assert file.read() == FILES[name]
        assert cached(store, FILES[name]).exists()


def test_an_entry_of_another_version_is_read_through_the_cache(store: Store, made: Found, tmp_path: Path) -> None:
    uri = reference.reference_to(made.version.version_id, "a.txt")
    referring = log(store, {}, *reference.resolve(store, uri, "linked"), name="other")
    download(store, referring, tmp_path / "one")
    assert cached(store, b"a").exists()
    lose(store)
    opened = again()
    download(opened, referring, tmp_path / "two")
    assert tree(tmp_path / "two") == {"linked": b"a"}
    opened.ledger.close()


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_in_the_cache_is_noticed_and_fetched_again(
    store: Store, made: Found, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    download(store, made, tmp_path / "one")
    kept = cached(store, FILES[name])
    kept.write_bytes(FILES[name][:-1] + b"?")
    download(store, made, tmp_path / "two")
    assert tree(tmp_path / "two") == FILES
    assert kept.read_bytes() == FILES[name]
    assert "damaged in the cache" in caplog.text


def test_a_blob_damaged_elsewhere_is_named_by_its_path_and_not_kept(store: Store, made: Found, tmp_path: Path) -> None:
    digest = sha256(FILES["large"]).hexdigest()
    (name,) = [name for name in MemoryFileSystem.store if name.endswith(digest)]
    MemoryFileSystem().pipe_file(name, b"?" * len(FILES["large"]))
    with pytest.raises(CorruptError, match="'large' is damaged"):
        download(store, made, tmp_path / "one")
    assert not cached(store, FILES["large"]).exists()
    assert list((open_cache(store.config).folder / "tmp").iterdir()) == []


def test_skip_cache_asks_the_place_itself(store: Store, made: Found, tmp_path: Path) -> None:
    download(store, made, tmp_path / "one", skip_cache=True)
    assert not cached(store, b"a").exists()
    download(store, made, tmp_path / "one")
    lose(store)
    opened = again()
    with pytest.raises((CorruptError, NotFoundError)):
        download(opened, made, tmp_path / "two", skip_cache=True)
    opened.ledger.close()


def test_0_switches_the_cache_off(store: Store, made: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    download(store, made, tmp_path / "one")
    lose(store)
    monkeypatch.setenv("MUNIMENT_CACHE_MAX", "0")
    opened = again()
    with pytest.raises((CorruptError, NotFoundError)):
        download(opened, made, tmp_path / "two")
    opened.ledger.close()


def test_the_cache_stays_below_its_limit(made: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_CACHE_MAX", "1MiB")
    opened = again()
    download(opened, made, tmp_path / "one")
    assert tree(tmp_path / "one") == FILES
    assert cached(opened, b"a").exists()
    assert not cached(opened, FILES["large"]).exists()
    assert open_cache(opened.config).usage().size <= 1 << 20
    opened.ledger.close()


def test_checks_read_the_place_itself(store: Store, made: Found, tmp_path: Path) -> None:
    download(store, made, tmp_path / "one")
    assert verify_stored(store, made) == len(FILES)
    assert list(fsck.check(store)) == []
    lose(store)
    opened = again()
    with pytest.raises(MunimentError):
        verify_stored(opened, made)
    assert [fault.kind for fault in fsck.check(opened)] == ["manifest"]
    opened.ledger.close()


def test_what_is_carried_to_another_place_is_read_where_it_lies(store: Store, made: Found, tmp_path: Path) -> None:
    download(store, made, tmp_path / "one")
    digest = sha256(FILES["large"]).hexdigest()
    (name,) = [name for name in MemoryFileSystem.store if name.endswith(digest)]
    MemoryFileSystem().pipe_file(name, b"?" * len(FILES["large"]))
    opened = again()
    with pytest.raises(CorruptError, match=digest):
        migrate(opened, "local", str(tmp_path / "folder"))
    opened.ledger.close()


def test_nothing_of_a_folder_of_this_machine_is_kept(tmp_path: Path) -> None:
    opened = open_store(load())
    directory.create_team(opened, "red")
    here = log(opened, FILES)
    download(opened, here, tmp_path / "one")
    assert open_cache(opened.config).usage().blobs == 0
    opened.ledger.close()


def test_of_several_places_only_those_elsewhere_are_cached(tmp_path: Path) -> None:
    opened = open_store(load())
    before = log(opened, {"x": b"in the folder"})
    storage.set_place(opened, "local", ELSEWHERE)
    after = log(opened, {"x": b"elsewhere"})
    for number, found in enumerate((before, after)):
        download(opened, found, tmp_path / str(number))
    assert cached(opened, b"elsewhere").exists()
    assert not cached(opened, b"in the folder").exists()
    opened.ledger.close()


def test_a_blob_that_was_let_go_can_leave_the_cache_too(store: Store, made: Found, tmp_path: Path) -> None:
    download(store, made, tmp_path / "one")
    digest = Digest(sha256(b"a").hexdigest())
    assert [result.done for result in store.cache.delete_many([digest])] == [True]
    assert not cached(store, b"a").exists()
    assert not store.blobs.missing([digest])


@pytest.mark.parametrize("stuck", [False, True])
def test_what_is_purged_leaves_the_cache_of_this_machine(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, stuck: bool
) -> None:
    monkeypatch.setenv("MUNIMENT_GRACE", "0s")
    old, new = log(store, {"x": b"old", "y": b"both"}), log(store, {"x": b"new", "y": b"both"})
    for number, found in enumerate((old, new)):
        download(store, found, tmp_path / str(number))
    lifecycle.delete(store, old)
    if stuck:
        cached(store, b"old").unlink()
        cached(store, b"old").mkdir()
    opened = again()
    report = collect.act(opened)
    assert (report.purged, [line for line in report.failed if "the cache cannot let go of" in line] != []) == (
        (0, True) if stuck else (1, False)
    )
    assert [cached(store, content).is_file() for content in (b"old", b"new", b"both")] == [False, True, True]
    if stuck:
        cached(store, b"old").rmdir()
        assert collect.act(opened).purged == 1
    opened.ledger.close()


def test_what_is_dead_is_decided_where_it_lies(store: Store, made: Found, tmp_path: Path) -> None:
    download(store, made, tmp_path / "one")
    assert dispose(store, None, Trigger.LEFTOVER).blobs == 0
