"""Local files become entries in one pass, and nothing is left behind."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5, sha256
from pathlib import Path
from threading import Event, Thread

import pytest
from attrs import evolve

from muniment.app import bootstrap, config
from muniment.app.disk import writing
from muniment.app.files.reading import BATCH_FILES, SMALL
from muniment.app.files.staging import Staged, Staging, reclaim
from muniment.app.files.walking import walk
from muniment.app.store import Store
from muniment.domain.errors import (
    ConflictError,
    InvalidNameError,
    InvalidValueError,
    NotFoundError,
    StorageError,
    StorageFullError,
)

LATER = 60_000_000


@pytest.fixture
def store() -> Store:
    return bootstrap.open_store(config.load())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def staging(store: Store) -> Iterator[Staging]:
    with Staging(store) as staging:
        yield staging


def settled(store: Store) -> Store:
    """Return the store a minute later, so that files made just now are no longer too young to be remembered."""
    now = store.clock
    return evolve(store, clock=lambda: now() + LATER)


def content(staged: Staged) -> bytes:
    assert staged.source is not None
    assert staged.source.path is not None
    start = staged.source.start or 0
    return Path(staged.source.path).read_bytes()[start : start + staged.source.size]


def put(store: Store, staged: list[Staged]) -> None:
    results = list(store.blobs.put_many(each.source for each in staged if each.source))
    assert [result.error for result in results] == [None] * len(staged)


# --- walking ---------------------------------------------------------------------------------------------------------


def test_a_folder_is_walked_in_the_order_of_a_manifest(folder: Path) -> None:
    for path in ("b/c", "b-c", "a/z/1", "a/b", "é", "b/a"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    found = walk(folder)
    assert [path for _, path in found] == ["a/b", "a/z/1", "b-c", "b/a", "b/c", "é"]
    assert [Path(local).read_text("utf-8") for local, _ in found] == [path for _, path in found]


def test_an_empty_folder_holds_no_files(folder: Path) -> None:
    (folder / "inner").mkdir()
    assert walk(folder) == []


def test_links_to_files_and_folders_are_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("x")
    (folder / "one").symlink_to(outside / "x")
    (folder / "all").symlink_to(outside)
    (folder / "too").symlink_to(outside)
    assert [path for _, path in walk(folder)] == ["all/x", "one", "too/x"]


def test_a_link_back_up_is_refused_by_name(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "loop").symlink_to(folder)
    with pytest.raises(InvalidValueError, match=r"a/loop. is a link that leads back to a folder"):
        walk(folder)


def test_a_link_to_itself_is_refused_by_name(folder: Path) -> None:
    (folder / "self").symlink_to(folder / "self")
    with pytest.raises(InvalidValueError, match="self"):
        walk(folder)


def test_a_link_to_nowhere_is_named(folder: Path) -> None:
    (folder / "lost").symlink_to(folder / "nothing")
    with pytest.raises(NotFoundError, match="lost"):
        walk(folder)


def test_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        walk(folder / "nothing")


def test_a_pipe_is_refused_by_name(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(InvalidValueError, match="pipe"):
        walk(folder)


def test_a_name_that_is_no_text_is_refused(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).touch()
    with pytest.raises(InvalidNameError, match="UTF-8"):
        walk(folder)


# --- adding files ----------------------------------------------------------------------------------------------------


def test_many_files_come_out_in_the_order_they_went_in(staging: Staging, folder: Path) -> None:
    names = [f"{number:04}" for number in range(3 * BATCH_FILES + 1)]
    for name in names:
        (folder / name).write_text(name)
    staged = staging.add_files([(folder / name, f"in/{name}") for name in reversed(names)])
    assert [each.entry.path for each in staged] == [f"in/{name}" for name in reversed(names)]
    assert [each.entry.digest for each in staged] == [sha256(name.encode()).hexdigest() for name in reversed(names)]
    assert [content(each) for each in staged] == [name.encode() for name in reversed(names)]


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1, 3 * SMALL + 7])
@pytest.mark.parametrize("policy", ["mutable", "immutable"])
def test_files_of_any_size_are_hashed_in_one_pass(staging: Staging, folder: Path, size: int, policy: str) -> None:
    bytes_ = os.urandom(size)
    (folder / "x").write_bytes(bytes_)
    (staged,) = staging.add_files([(folder / "x", "x")], policy=policy, md5=True)  # type: ignore[arg-type]
    assert (staged.entry.digest, staged.entry.size) == (sha256(bytes_).hexdigest(), size)
    assert staged.entry.annex == {"md5": b64encode(md5(bytes_, usedforsecurity=False).digest()).decode()}
    assert content(staged) == bytes_


def test_a_mutable_file_is_kept_as_it_was(staging: Staging, folder: Path) -> None:
    (folder / "x").write_text("before")
    (staged,) = staging.add_files([(folder / "x", "x")])
    (folder / "x").write_text("after!")
    assert content(staged) == b"before"


def test_an_immutable_file_is_not_copied(staging: Staging, store: Store, folder: Path) -> None:
    (folder / "x").write_text("x")
    (staged,) = staging.add_files([(folder / "x", "x")], policy="immutable")
    assert staged.source is not None
    assert (staged.source.path, staged.source.movable) == (str(folder / "x"), False)
    assert not [path for path in store.staging.rglob("*") if path.is_file() and path.name != "lock"]


def test_an_unchanged_file_whose_bytes_are_stored_is_not_read_again(store: Store, folder: Path) -> None:
    (folder / "x").write_text("x")
    with Staging(settled(store)) as staging:
        first = staging.add_files([(folder / "x", "x")])
        put(store, first)
    with Staging(settled(store)) as staging:
        (again,) = staging.add_files([(folder / "x", "x")])
    assert again.entry == first[0].entry
    assert again.source is not None
    assert (again.source.path, again.source.movable) == (str(folder / "x"), False)


def test_a_remembered_file_whose_bytes_are_not_stored_is_staged(store: Store, folder: Path) -> None:
    (folder / "x").write_text("x")
    for _ in range(2):
        with Staging(settled(store)) as staging:
            (staged,) = staging.add_files([(folder / "x", "x")])
            assert staged.source is not None
            assert staged.source.movable


def test_a_file_changed_since_is_read_again(store: Store, folder: Path) -> None:
    (folder / "x").write_text("one")
    with Staging(settled(store)) as staging:
        put(store, staging.add_files([(folder / "x", "x")]))
        (folder / "x").write_text("two")
        (again,) = staging.add_files([(folder / "x", "x")])
        assert content(again) == b"two"


def test_a_file_remembered_without_md5_is_read_for_it(store: Store, folder: Path) -> None:
    (folder / "x").write_text("x")
    for _ in range(3):
        with Staging(settled(store)) as staging:
            put(store, staging.add_files([(folder / "x", "x")]))
            (weak,) = staging.add_files([(folder / "x", "x")], md5=True)
            assert weak.entry.annex["md5"] == b64encode(md5(b"x", usedforsecurity=False).digest()).decode()


def test_a_file_that_changes_while_it_is_read_is_refused(staging: Staging, folder: Path) -> None:
    file = folder / "log"
    file.write_bytes(bytes(8 * SMALL))
    begun, enough = Event(), Event()

    def grow() -> None:
        with file.open("ab", buffering=0) as growing:
            while not enough.is_set():
                growing.write(b"more")
                begun.set()

    thread = Thread(target=grow)
    thread.start()
    begun.wait()
    try:
        with pytest.raises(ConflictError, match=r"log.* changed while it was read"):
            staging.add_files([(file, "log")])
    finally:
        enough.set()
        thread.join()


def test_what_cannot_be_read_is_named_as_it_was_given(
    staging: Staging, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(NotFoundError, match=r"^'sub/none' is not there"):
        staging.add_files([("sub/none", "x")])
    with pytest.raises(InvalidValueError, match=r"^'\.' is not a file"):
        staging.add_files([(".", "x")])


def test_relative_files_are_found_later_from_anywhere(
    staging: Staging, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "x").write_text("x")
    monkeypatch.chdir(folder)
    (staged,) = staging.add_files([("x", "x")], policy="immutable")
    monkeypatch.chdir("/")
    assert content(staged) == b"x"


@pytest.mark.parametrize("size", [SMALL, 2 * SMALL])
def test_a_copy_that_fails_is_a_storage_error(staging: Staging, folder: Path, size: int) -> None:
    (folder / "x").write_bytes(bytes(size))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL // 2, limits[1]))
    try:
        with pytest.raises(StorageError, match="where files wait to be logged"):
            staging.add_files([(folder / "x", "x")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_called_so() -> None:
    with pytest.raises(StorageFullError, match="MUNIMENT_DATA_DIR"), writing():
        Path("/dev/full").write_bytes(b"x")


def test_the_first_of_many_failures_is_raised(staging: Staging, folder: Path) -> None:
    names = [f"{number:04}" for number in range(3 * BATCH_FILES)]
    for name in names:
        (folder / name).write_text(name)
    os.mkfifo(folder / "pipe")
    files = [(folder / name, name) for name in [*names[:300], "pipe", *names[300:]]]
    with pytest.raises(InvalidValueError, match=r"pipe. is not a file"):
        staging.add_files(files)


@pytest.mark.parametrize("path", ["", "/x", "../x", "a//b", "a\nb"])
def test_paths_that_no_manifest_can_hold_are_refused(staging: Staging, folder: Path, path: str) -> None:
    (folder / "x").write_text("x")
    with pytest.raises(InvalidNameError):
        staging.add_files([(folder / "x", path)])
    with pytest.raises(InvalidNameError):
        staging.add_bytes(path, b"x")


def test_an_unknown_policy_is_refused(staging: Staging) -> None:
    with pytest.raises(InvalidValueError, match="sometimes"):
        staging.add_files([], policy="sometimes")  # type: ignore[arg-type]


def test_bytes_become_an_entry(staging: Staging) -> None:
    staged = staging.add_bytes("a/b", b"content", md5=True)
    assert (staged.entry.path, staged.entry.digest) == ("a/b", sha256(b"content").hexdigest())
    assert staged.entry.annex["md5"] == b64encode(md5(b"content", usedforsecurity=False).digest()).decode()
    assert content(staged) == b"content"


# --- leaving nothing behind ------------------------------------------------------------------------------------------


def folders(store: Store) -> list[Path]:
    return [path for path in store.staging.iterdir() if path.is_dir()] if store.staging.is_dir() else []


def test_a_folder_is_private_and_goes_when_the_work_is_done(store: Store) -> None:
    with Staging(store) as staging:
        assert folders(store) == []
        staging.add_bytes("x", b"x")
        (folder,) = folders(store)
        assert folder.stat().st_mode & 0o777 == 0o700
    assert folders(store) == []


def test_work_can_go_on_after_it_was_closed(store: Store) -> None:
    staging = Staging(store)
    staging.add_bytes("x", b"x")
    staging.close()
    assert content(staging.add_bytes("y", b"y")) == b"y"
    staging.close()
    assert folders(store) == []


def test_a_forgotten_folder_goes_with_its_staging(store: Store) -> None:
    Staging(store).add_bytes("x", b"x")
    assert folders(store) == []


def test_what_others_use_is_left_alone(store: Store) -> None:
    with Staging(store) as one, Staging(store) as two:
        kept = one.add_bytes("x", b"x")
        two.add_bytes("y", b"y")
        assert reclaim(store) == 0
        assert len(folders(store)) == 2
        assert content(kept) == b"x"


def test_what_a_killed_process_left_behind_is_reclaimed(store: Store) -> None:
    code = (
        "import os, signal; from muniment.app import bootstrap, config; from muniment.app.files.staging import Staging;"
        "staging = Staging(bootstrap.open_store(config.load())); staging.add_bytes('x', bytes(1000));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(folders(store)) == 1
    assert reclaim(store) == 1000
    assert folders(store) == []


def test_a_new_staging_reclaims_too(store: Store) -> None:
    dead = store.staging / ("0" * 32)
    dead.mkdir(parents=True)
    (dead / "0").write_bytes(b"left")
    with Staging(store) as staging:
        staging.add_bytes("x", b"x")
        assert dead not in folders(store)


def test_nothing_to_reclaim_is_no_bytes(store: Store) -> None:
    assert reclaim(store) == 0


def test_a_forked_child_leaves_the_folder_of_its_parent_alone(store: Store) -> None:
    with Staging(store) as staging:
        staged = staging.add_bytes("x", b"x")
        child = os.fork()
        if child == 0:
            staging.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert content(staged) == b"x"
