"""A disk that is full at each place where Muniment writes: the error says so, and once there is room all goes on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import muniment as wandb
from muniment.app import bootstrap, config, fsck, leases
from muniment.app.sdk import session
from muniment.domain.errors import MunimentError, StorageFullError
from tests.app.test_bad_input import small_disk

PLACES = {
    "staging": ("MUNIMENT_DATA_DIR", "data"),
    "blobs": ("MUNIMENT_BLOBS", "blobs"),
    "cache": ("MUNIMENT_CACHE_DIR", "cache"),
    "ledger": ("MUNIMENT_LEDGER", "ledger.sqlite3"),
    "vault": ("MUNIMENT_VAULT", "vault"),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "6m") as folder:
        yield folder
        session.close()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder of many small files and a large one, of 1.2 MB together."""
    made = tmp_path / "files"
    made.mkdir()
    for number in range(40):
        (made / f"{number:02}.bin").write_bytes(os.urandom(10_000))
    (made / "large").write_bytes(os.urandom(800_000))
    return made


def fill(disk: Path, leave: int) -> Path:
    """Let a file take all of the disk but so many bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 (it ends the loop)
        file.truncate(max(0, file.tell() // 4096 * 4096 - leave))
    return filler


def log(files: Path, number: int) -> None:
    (files / "00.bin").write_text(str(number))
    with wandb.init(project="full", config={"n": number}) as run:
        artifact = wandb.Artifact("data", "dataset", metadata={"number": number, "long": os.urandom(100_000).hex()})
        artifact.add_dir(str(files))
        run.log_artifact(artifact, aliases=["best"]).wait()


def whole(versions: list[str]) -> None:
    store = bootstrap.open_store(config.load())
    assert [fault.text for fault in fsck.check(store)] == []
    assert store.ledger.scratch.items(leases.LEASE) == []
    store.ledger.close()
    assert [each.version for each in wandb.Api().artifacts("dataset", "full/data", order="created_at")] == versions


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("leave", [0, 300 << 10])
def test_logging_says_that_the_disk_is_full_and_goes_on_when_there_is_room(
    disk: Path, files: Path, monkeypatch: pytest.MonkeyPatch, place: str, leave: int
) -> None:
    variable, name = PLACES[place]
    monkeypatch.setenv(variable, str(disk / name))
    log(files, 1)
    filler = fill(disk, leave)
    failed = False
    try:
        log(files, 2)
    except MunimentError as error:
        failed = True
        assert isinstance(error, StorageFullError), repr(error)  # noqa: PT017 (it may succeed too)
        assert "space" in str(error)  # noqa: PT017
    if leave == 0 and place != "cache":
        assert failed
    filler.unlink()
    session.close()
    whole(["v0"] if failed else ["v0", "v1"])
    log(files, 2)
    whole(["v0", "v1"])


@pytest.mark.parametrize("leave", [0, 300 << 10])
def test_a_download_that_finds_no_room_names_the_file_and_leaves_whole_ones(
    disk: Path, files: Path, leave: int
) -> None:
    log(files, 1)
    filler = fill(disk, leave)
    artifact = wandb.Api().artifact("full/data:latest")
    with pytest.raises(StorageFullError, match=r"no space is left for '.*free some, or download to another disk"):
        artifact.download(str(disk / "down"))
    for path in (disk / "down").rglob("*"):
        assert path.read_bytes() == (files / path.name).read_bytes()
    filler.unlink()
    artifact.download(str(disk / "down"))
    artifact.verify(str(disk / "down"))


def test_a_cache_without_room_is_no_failure(
    disk: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUNIMENT_CACHE_DIR", str(disk / "cache"))
    log(files, 1)
    fill(disk, 0)
    assert wandb.Api().artifact("full/data:latest").get_entry("large").download(str(tmp_path / "down"))
