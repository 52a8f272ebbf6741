"""Versions come out whole and verified; references are followed, and nothing is written where it does not belong."""

from __future__ import annotations

import logging
import os
import resource
from hashlib import sha256
from pathlib import Path

import pytest
from attrs import evolve

from muniment.app import bootstrap, config, manifests, runs
from muniment.app.files.download import checkout, download, manifest_of, open_entry, verify_folder, verify_stored
from muniment.app.files.placing import refusing
from muniment.app.files.reading import SMALL
from muniment.app.files.reference import resolve
from muniment.app.store import Store
from muniment.domain.errors import (
    CorruptError,
    InvalidNameError,
    InvalidValueError,
    NotFoundError,
    StorageError,
    StorageFullError,
    VersionDeletedError,
)
from muniment.domain.manifest import Entry, leaf_of
from muniment.domain.ports import BlobSource
from muniment.domain.values import Digest, VersionId
from tests.app.contents import log, tree

LARGE = 2 * SMALL + 5
LATER = 60_000_000


@pytest.fixture
def store() -> Store:
    return bootstrap.open_store(config.load())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "out"


def blob(store: Store, content: bytes) -> Path:
    digest = sha256(content).hexdigest()
    return store.config.home / "blobs" / "sha256" / digest[:2] / digest


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


# --- stored bytes ----------------------------------------------------------------------------------------------------


def test_what_went_in_comes_out(store: Store, root: Path) -> None:
    content = {f"d{number % 7}/{number:03}": b"%d" % number for number in range(600)}
    content |= {"empty": b"", "large": os.urandom(LARGE), "a/b/c/é": b"deep"}
    done = download(store, log(store, content), root)
    assert tree(root) == content
    assert (done.root, done.entries, done.size) == (str(root), len(content), sum(map(len, content.values())))


def test_an_empty_version_is_an_empty_folder(store: Store, root: Path) -> None:
    assert download(store, log(store, {}), root).entries == 0
    assert tree(root) == {}
    assert root.is_dir()


def test_a_prefix_chooses_what_comes(store: Store, root: Path) -> None:
    done = download(store, log(store, {"a/1": b"1", "a/2": b"2", "b": b"b"}), root, path_prefix="a/")
    assert tree(root) == {"a/1": b"1", "a/2": b"2"}
    assert done.entries == 2


@pytest.mark.parametrize("content", [b"small", bytes(LARGE)], ids=["small", "large"])
def test_a_flipped_byte_is_reported_and_nothing_stands_under_the_name(store: Store, root: Path, content: bytes) -> None:
    version = log(store, {"d/x": content})
    flip(blob(store, content))
    with pytest.raises(CorruptError, match="'d/x'"):
        download(store, version, root)
    with pytest.raises(CorruptError, match="'d/x'"):
        verify_stored(store, version)
    assert tree(root) == {}


@pytest.mark.parametrize("content", [b"small", bytes(LARGE)], ids=["small", "large"])
def test_a_missing_blob_is_reported_with_the_name_of_the_file(store: Store, root: Path, content: bytes) -> None:
    version = log(store, {"d/x": content})
    blob(store, content).unlink()
    with pytest.raises(CorruptError, match="'d/x'"):
        download(store, version, root, allow_missing_references=True)
    assert tree(root) == {}


def test_stored_bytes_can_be_verified_in_place(store: Store) -> None:
    reference = Entry("ref", "etag", None, "s3://bucket/x")
    assert verify_stored(store, log(store, {"x": b"x", "large": bytes(LARGE)}, reference)) == 2


def test_a_version_that_was_purged_has_nothing_to_download(store: Store, root: Path) -> None:
    version = log(store, {"x": b"x"})
    with pytest.raises(VersionDeletedError, match="set:v0"):
        download(store, evolve(version, version=evolve(version.version, manifest=None)), root)


# --- where files stand already ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("skip_cache", [None, True])
def test_right_files_stay_wrong_ones_are_replaced_others_are_left_alone(
    store: Store,
    root: Path,
    skip_cache: bool | None,  # noqa: FBT001 (a parameter of the test)
) -> None:
    version = log(store, {"d/right": b"right", "d/wrong": b"wrong", "d/short": b"short"})
    (root / "d").mkdir(parents=True)
    for name, content in (("right", b"right"), ("wrong", b"WRONG"), ("short", b"s"), ("other", b"other")):
        (root / "d" / name).write_bytes(content)
    before = (root / "d/right").stat().st_ino
    for _ in range(2):
        download(store, version, root, skip_cache=skip_cache)
        assert tree(root) == {"d/right": b"right", "d/wrong": b"wrong", "d/short": b"short", "d/other": b"other"}
        assert (root / "d/right").stat().st_ino == before


def test_a_file_remembered_as_something_else_is_replaced(store: Store, root: Path) -> None:
    now = store.clock
    later = evolve(store, clock=lambda: now() + LATER)
    download(later, log(store, {"x": b"one"}), root)
    download(later, log(store, {"x": b"one"}), root)  # looks, and remembers
    download(later, log(store, {"x": b"two"}), root)
    assert tree(root) == {"x": b"two"}


def test_a_link_in_the_place_of_a_file_is_replaced_not_written_through(
    store: Store, root: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    root.mkdir()
    (root / "x").symlink_to(victim)
    download(store, log(store, {"x": b"x-file"}), root)
    assert (victim.read_bytes(), (root / "x").is_symlink()) == (b"victim", False)
    assert (root / "x").read_bytes() == b"x-file"


def test_a_link_in_the_place_of_a_folder_is_refused(store: Store, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root.mkdir()
    (root / "d").symlink_to(outside)
    with pytest.raises(InvalidValueError, match="'d' is a link or a file"):
        download(store, log(store, {"d/x": b"x"}), root)
    assert tree(outside) == {}


def test_the_root_itself_may_be_reached_through_a_link(store: Store, root: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    root.symlink_to(tmp_path / "real")
    download(store, log(store, {"x": b"x"}), root)
    assert tree(tmp_path / "real") == {"x": b"x"}


def test_a_folder_in_the_place_of_a_file_is_refused(store: Store, root: Path) -> None:
    (root / "x").mkdir(parents=True)
    with pytest.raises(InvalidValueError, match="'x' is a folder where a file must be"):
        download(store, log(store, {"x": b"x"}), root)


def test_a_file_in_the_place_of_the_root_is_refused(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.write_text("in the way")
    monkeypatch.chdir(root.parent)
    with pytest.raises(StorageError, match=r"^'out' cannot be written"):
        download(store, log(store, {"x": b"x"}), root.name)
    assert root.read_text() == "in the way"


def test_a_place_that_cannot_be_written_is_a_storage_error(store: Store) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        download(store, log(store, {"x": b"x"}), "/proc/nowhere")


def test_a_write_that_fails_leaves_nothing_half_written(store: Store, root: Path) -> None:
    version = log(store, {"large": bytes(LARGE)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, limits[1]))
    try:
        with pytest.raises(StorageError, match="'large'"):
            download(store, version, root)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(root.iterdir()) == []


def test_a_full_disk_is_called_so() -> None:
    with (
        pytest.raises(StorageFullError, match="'x'"),
        refusing("x"),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")


def test_paths_that_lead_out_are_never_followed(store: Store, root: Path) -> None:
    leaf = leaf_of([Entry("../evil", sha256(b"evil").hexdigest(), 4)])
    rows, _ = store.codec.encode(leaf)
    written = manifests.write(store.blobs, store.codec, [Entry("good", sha256(b"evil").hexdigest(), 4)])
    (record,) = manifests.read(store.blobs, store.codec, written.manifest).records
    forged = evolve(record, first="../evil", hash=leaf.hash, rows=Digest(sha256(rows).hexdigest()), rows_size=len(rows))
    index = store.codec.encode_index([forged])
    digest = Digest(sha256(index).hexdigest())
    blobs = [BlobSource(forged.rows, len(rows), rows), BlobSource(digest, len(index), index)]
    blobs.append(BlobSource(Digest(sha256(b"evil").hexdigest()), 4, b"evil"))
    assert all(result.error is None for result in store.blobs.put_many(blobs))
    with pytest.raises((InvalidNameError, CorruptError), match="evil"):
        download(store, manifests.read(store.blobs, store.codec, digest), root)
    assert not (root.parent / "evil").exists()


def test_a_download_can_be_recorded(store: Store, root: Path) -> None:
    version = log(store, {"x": b"x"})
    done = download(store, version, root)
    before = store.ledger.head().size
    runs.downloaded(store, VersionId(version.version.version_id), entries=done.entries, size=done.size)
    assert store.ledger.head().size == before + 1


# --- checkout and verify ---------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a b").write_bytes(b"a")
    (folder / "sub" / "c").write_bytes(b"c")
    return folder


def test_a_checkout_leaves_nothing_else(store: Store, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"kept")
    (root / "old" / "deep").mkdir(parents=True)
    (root / "old" / "deep" / "x").write_bytes(b"x")
    (root / "link").symlink_to(outside)
    (root / "d").mkdir()
    (root / "d" / "extra").write_bytes(b"extra")
    checkout(store, log(store, {"d/x": b"x", "y": b"y"}), root)
    assert tree(root) == {"d/x": b"x", "y": b"y"}
    assert sorted(path.name for path in root.iterdir()) == ["d", "y"]
    assert tree(outside) == {"kept": b"kept"}


def test_a_folder_is_verified_against_a_version(store: Store, root: Path, data: Path) -> None:
    version = log(store, {"d/x": b"x", "y": bytes(LARGE)}, *resolve(store, (data / "a b").as_uri()))
    download(store, version, root)
    verify_folder(store, version, root)
    (root / "extra").touch()
    with pytest.raises(InvalidValueError, match="extra which is not a member of artifact set:v0"):
        verify_folder(store, version, root)
    (root / "extra").unlink()
    (root / "a b").write_bytes(b"A")
    with pytest.raises(InvalidValueError, match="Digest mismatch for file: a b"):
        verify_folder(store, version, root)
    (root / "a b").write_bytes(b"a")
    flip(root / "y")
    with pytest.raises(ValueError, match="Digest mismatch for file: y"):
        verify_folder(store, version, root)
    (root / "y").unlink()
    with pytest.raises(NotFoundError, match="y"):
        verify_folder(store, version, root)


def test_references_that_only_their_store_can_tell_are_passed_over(
    store: Store, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = log(store, {}, Entry("x", "etag", 1, "s3://bucket/x"))
    root.mkdir()
    (root / "x").write_bytes(b"?")
    with caplog.at_level(logging.WARNING):
        verify_folder(store, version, root)
    assert "x is a reference" in caplog.text


# --- single entries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"small", os.urandom(LARGE)], ids=["empty", "small", "large"])
def test_an_entry_can_be_read_alone(store: Store, content: bytes) -> None:
    entry = manifest_of(store, log(store, {"x": content})).get("x")
    assert entry is not None
    with open_entry(store, entry) as file:
        assert file.read() == content
    with open_entry(store, entry) as file:
        assert b"".join(iter(lambda: file.read(1000), b"")) == content


@pytest.mark.parametrize("content", [b"small", bytes(LARGE)], ids=["small", "large"])
def test_a_damaged_entry_cannot_be_read_to_its_end(store: Store, content: bytes) -> None:
    entry = manifest_of(store, log(store, {"x": content})).get("x")
    assert entry is not None
    flip(blob(store, content))
    with pytest.raises(CorruptError, match="'x'"), open_entry(store, entry) as file:
        list(iter(lambda: file.read(1000), b""))
