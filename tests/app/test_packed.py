"""Many small files, from the library down to the disk: in packs, damaged there, and erased from them."""

from __future__ import annotations

from pathlib import Path

import pytest

import muniment as wandb
from muniment.adapters.blobs.local import LocalObjectStore
from muniment.app import bootstrap, config, fsck
from muniment.app.collecting import collect
from muniment.app.store import Store
from muniment.domain.errors import CorruptError
from muniment.domain.ports import ObjectSource
from tests.conformance.blob_store import named

CANARY = "canary in the coal mine"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.txt").write_text(f"{number} {CANARY} " * 30)
    return folder


def log(folder: Path) -> None:
    with wandb.init(project="packed") as run:
        artifact = wandb.Artifact("many", type="dataset")
        artifact.add_dir(str(folder))
        run.log_artifact(artifact)


def packs(home: Path) -> list[Path]:
    return sorted((home / "blobs" / "packs").iterdir())


def flip(path: Path, at: int) -> None:
    held = bytearray(path.read_bytes())
    held[at] ^= 1
    path.write_bytes(held)


def opened() -> Store:
    return bootstrap.open_store(config.load())


def test_many_small_files_are_one_pack_and_come_back(own_home: Path, folder: Path, tmp_path: Path) -> None:
    log(folder)
    assert len(packs(own_home)) == 1
    down = Path(wandb.Api().artifact("packed/many:latest").download(str(tmp_path / "down")))
    assert {path.name: path.read_text() for path in down.iterdir()} == {
        path.name: path.read_text() for path in folder.iterdir()
    }
    (folder / "00.txt").write_text("changed")
    log(folder)
    assert len(packs(own_home)) == 1, "one changed file is no pack"
    assert list(fsck.check(opened())) == []


def test_a_flipped_byte_in_a_pack_is_reported_with_the_name_of_the_file(
    own_home: Path, folder: Path, tmp_path: Path
) -> None:
    log(folder)
    (pack,) = packs(own_home)
    content = (folder / "07.txt").read_bytes()
    at = pack.read_bytes().index(content) + 5
    flip(pack, at)
    (fault,) = fsck.check(opened())
    assert fault.kind == "blob"
    assert "many:v0: file 07.txt" in fault.text
    with pytest.raises(CorruptError, match=r"07\.txt"):
        wandb.Api().artifact("packed/many:latest").download(str(tmp_path / "down"))
    assert not (tmp_path / "down" / "07.txt").exists()
    flip(pack, at)
    flip(pack, pack.stat().st_size - 20)
    (fault,) = fsck.check(opened(), fast=True)
    assert pack.name in fault.text


def test_collected_bytes_are_nowhere_in_the_store(
    own_home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUNIMENT_GRACE", "0s")
    log(folder)
    for path in folder.iterdir():
        if path.name != "00.txt":
            path.write_text(path.read_text().replace(CANARY, "harmless"))
    (folder / "00.txt").unlink()
    log(folder)
    wandb.Api().artifact("packed/many:v0").delete(delete_aliases=True)
    store = opened()
    for _ in range(2):
        assert not collect.act(store).failed
    left = [path for path in own_home.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert left == []
    assert list(fsck.check(store)) == []


def test_blobs_that_were_stored_before_there_were_packs_are_found(own_home: Path, folder: Path) -> None:
    contents = [path.read_bytes() for path in folder.iterdir()]
    objects = LocalObjectStore.at(own_home / "blobs")
    names = [f"sha256/{named(content)[:2]}/{named(content)}" for content in contents]
    old = [ObjectSource(name, len(content), content) for name, content in zip(names, contents, strict=True)]
    assert all(result.done for result in objects.put_many(old))
    log(folder)
    assert not (own_home / "blobs" / "packs").exists(), "nothing is stored twice"
    assert list(fsck.check(opened())) == []
    assert wandb.Api().artifact("packed/many:v0").size == sum(map(len, contents))
