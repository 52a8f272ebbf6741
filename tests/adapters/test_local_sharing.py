"""What need not be copied into a local folder: files that will not change, and blocks that can be shared."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from muniment.adapters.blobs.local import HALVES, LocalObjectStore
from muniment.adapters.blobs.local.files import FICLONE
from muniment.app import bootstrap, catalog, config, directory, fsck
from muniment.app.catalog import Found
from muniment.app.disk import cloned
from muniment.app.files.download import download
from muniment.app.files.staging import Policy, Staging
from muniment.app.log_artifact import Draft
from muniment.app.store import Store
from muniment.app.upload import log_contents
from muniment.domain.errors import CorruptError
from muniment.domain.ports import ObjectSource
from muniment.domain.values import Digest

CONTENT = bytes(range(256)) * 8192  # 2 MiB: too large for a pack
DIGEST = Digest(sha256(CONTENT).hexdigest())
NAME = f"sha256/{DIGEST[:2]}/{DIGEST}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(CONTENT)
    path.chmod(0o644)
    return path


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore.at(tmp_path / "blobs")


def put(objects: LocalObjectStore, path: Path, *, linkable: bool, digest: Digest = DIGEST) -> Exception | None:
    source = ObjectSource(NAME, len(CONTENT), path=str(path), digest=digest, linkable=linkable)
    (result,) = objects.put_many([source])
    assert result.done == (result.error is None)
    assert list((objects.folder / HALVES).iterdir()) == []
    return result.error


# --- hard links ------------------------------------------------------------------------------------------------------


def test_a_file_that_will_not_change_is_linked_and_stays_as_it_is(objects: LocalObjectStore, file: Path) -> None:
    before = file.stat()
    assert put(objects, file, linkable=True) is None
    assert (objects.folder / NAME).samefile(file)
    after = file.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_nlink) == (before.st_mode, before.st_mtime_ns, 2)
    list(objects.delete_many([NAME]))
    assert (file.read_bytes(), file.stat().st_nlink) == (CONTENT, 1)


def test_other_files_are_copied(objects: LocalObjectStore, file: Path) -> None:
    assert put(objects, file, linkable=False) is None
    assert not (objects.folder / NAME).samefile(file)
    assert (objects.folder / NAME).stat().st_mode & 0o777 == 0o600
    file.write_bytes(b"changed")
    assert (objects.folder / NAME).read_bytes() == CONTENT


def test_a_file_that_changed_all_the_same_is_refused(objects: LocalObjectStore, file: Path) -> None:
    file.write_bytes(CONTENT[:-1] + b"!")
    assert isinstance(put(objects, file, linkable=True), CorruptError)
    assert objects.sizes([NAME]) == {}
    assert file.stat().st_nlink == 1


@pytest.mark.parametrize("refusal", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_where_nothing_can_be_linked_it_is_copied(
    objects: LocalObjectStore, file: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    real = os.link

    def refusing(source: str, target: str, **options: bool) -> None:
        if source == str(file):
            raise OSError(refusal, os.strerror(refusal))
        real(source, target, **options)

    monkeypatch.setattr(os, "link", refusing)
    assert put(objects, file, linkable=True) is None
    assert (objects.folder / NAME).read_bytes() == CONTENT
    assert not (objects.folder / NAME).samefile(file)


def test_what_a_symbolic_link_leads_to_is_copied(objects: LocalObjectStore, file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    assert put(objects, tmp_path / "link", linkable=True) is None
    assert not (objects.folder / NAME).is_symlink()
    assert (objects.folder / NAME).read_bytes() == CONTENT
    assert file.stat().st_nlink == 1


# --- from a file to a version ----------------------------------------------------------------------------------------


@pytest.fixture
def store() -> Iterator[Store]:
    opened = bootstrap.open_store(config.load())
    yield opened
    opened.ledger.close()


def logged(store: Store, file: Path, policy: Policy) -> Found:
    project = directory.project(store.views, "local", "uncategorized")
    with Staging(store) as staging:
        staged = staging.add_files([(file, "model.bin")], policy=policy)
        made = log_contents(
            store, project, staged, lambda new: Draft("m", "model", new.digest, new.manifest, new.size, new.entries)
        )
    return catalog.origin(store.views, made.version_id)


def blob(own_home: Path) -> Path:
    return own_home / "blobs" / NAME


def test_immutable_files_are_linked_and_mutable_ones_are_not(store: Store, file: Path, own_home: Path) -> None:
    logged(store, file, "immutable")
    assert blob(own_home).samefile(file)
    list(store.blobs.delete_many([DIGEST]))
    logged(store, file, "mutable")
    assert blob(own_home).exists()
    assert not blob(own_home).samefile(file)


def test_a_broken_promise_is_never_returned_and_fsck_names_it(store: Store, file: Path, tmp_path: Path) -> None:
    found = logged(store, file, "immutable")
    download(store, found, tmp_path / "good")
    assert (tmp_path / "good" / "model.bin").read_bytes() == CONTENT
    assert not (tmp_path / "good" / "model.bin").samefile(file)  # what is downloaded may be written to
    assert list(fsck.check(store)) == []
    with file.open("r+b") as writing:
        writing.write(b"changed")
    with pytest.raises(CorruptError, match=r"model\.bin"):
        download(store, found, tmp_path / "bad")
    assert not (tmp_path / "bad" / "model.bin").exists()
    (fault,) = fsck.check(store)
    assert "m:v0: file model.bin was changed" in fault.text


# --- shared blocks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.EPERM])
def test_where_no_blocks_are_shared_files_are_copied(
    store: Store, file: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    asked: list[int] = []

    def refusing(_: int, request: int, __: int) -> int:
        asked.append(request)
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(fcntl, "ioctl", refusing)
    logged(store, file, "mutable")
    assert asked == [FICLONE]  # into the folder where files wait; from there it is renamed
    assert blob(own_home).read_bytes() == CONTENT


def test_shared_blocks_are_not_written_but_hashed(
    store: Store, objects: LocalObjectStore, file: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sharing(target: int, request: int, source: int) -> int:
        """Do what a file system does that can share blocks."""
        assert request == FICLONE
        os.pwrite(target, os.pread(source, 2 * len(CONTENT), 0), 0)
        return 0

    def written(_: int, content: bytes | memoryview) -> int:
        msg = f"{len(content)} bytes were copied although they are shared"
        raise AssertionError(msg)

    monkeypatch.setattr(fcntl, "ioctl", sharing)
    monkeypatch.setattr("muniment.app.files.reading.write_all", written)
    monkeypatch.setattr("muniment.adapters.blobs.local.files.write_all", written)
    logged(store, file, "mutable")
    assert blob(own_home).read_bytes() == CONTENT
    assert put(objects, file, linkable=False) is None
    assert (objects.folder / NAME).read_bytes() == CONTENT
    file.write_bytes(CONTENT[:-1] + b"!")
    list(objects.delete_many([NAME]))
    assert isinstance(put(objects, file, linkable=False), CorruptError)


@pytest.fixture
def sharing_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system that shares blocks, made in a file."""
    makers = [(name, found) for name in ("btrfs", "xfs") if (found := shutil.which(f"mkfs.{name}"))]
    if not makers or os.geteuid() != 0:
        pytest.skip("no file system that shares blocks: this needs root and mkfs.btrfs or mkfs.xfs")
    (kind, maker), image, folder = makers[0], tmp_path / "image", tmp_path / "mounted"
    with image.open("wb") as made:
        made.truncate(512 << 20)
    folder.mkdir()
    subprocess.run([maker, "-q", str(image)], check=True)
    if subprocess.run(["mount", "-t", kind, "-o", "loop", str(image), str(folder)], check=False).returncode:
        pytest.skip(f"a {kind} file system in a file cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_file_system_that_shares_blocks_shares_them(sharing_folder: Path) -> None:
    one, other = sharing_folder / "one", sharing_folder / "other"
    one.write_bytes(CONTENT)
    with one.open("rb") as source, other.open("wb") as target:
        assert cloned(source.fileno(), target.fileno())
    objects = LocalObjectStore.at(sharing_folder / "blobs")
    assert put(objects, one, linkable=False) is None
    one.write_bytes(b"changed")
    assert (objects.folder / NAME).read_bytes() == other.read_bytes() == CONTENT


def test_a_sweep_leaves_alone_what_no_put_can_have_left(tmp_path: Path) -> None:
    store = LocalObjectStore.at(tmp_path / "blobs")
    halves = tmp_path / "blobs" / "tmp"
    (halves / "folder").mkdir()
    (halves / "nowhere").symlink_to(tmp_path / "absent")
    (halves / "half").write_bytes(b"half")
    assert store.sweep(2**60) == 4
    assert sorted(path.name for path in halves.iterdir()) == ["folder", "nowhere"]
