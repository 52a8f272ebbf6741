"""Whatever goes wrong at any one call to the store of blobs: an error that says so, or none; nothing is half-done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from attrs import evolve, frozen
from fsspec.implementations.memory import MemoryFileSystem

from muniment.adapters.blobs.fsspec import FsspecObjectStore
from muniment.adapters.blobs.local import LocalObjectStore
from muniment.adapters.blobs.memory import MemoryBlobStore
from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.app import fsck, leases
from muniment.app.collecting import collect
from muniment.app.files.download import download
from muniment.domain.errors import MunimentError
from muniment.domain.ports import BlobStore, ObjectStore
from muniment.domain.rows import VersionRow
from muniment.domain.values import Digest
from tests.app.contents import log, tree
from tests.app.scene import DAY, Scene
from tests.faulty import FAULTS, Fault, FaultyBlobStore, FaultyObjectStore, Plan
from tests.stores import Clock, memory_store

CI = os.environ.get("CI") == "true"
STEP = {"memory": 1 if CI else 5, "fsspec": 3 if CI else 5, "local": 5}
"""Each how many-th call is tried with one fault; all faults together try every call."""
FILES = {f"{number:02}.txt": b"%d " % number * 40 for number in range(17)} | {"large": b"large " * (50 << 10)}
OTHER = FILES | {"00.txt": b"another", "extra": b"more"}
Kind: TypeAlias = str
Way: TypeAlias = Callable[["Shop"], None]


@frozen
class Shop:
    """A store that holds a version and one that was deleted long ago, and what goes wrong with its blobs."""

    scene: Scene
    plan: Plan
    folder: Path

    def log(self) -> None:
        """Log another version."""
        log(self.scene.store, OTHER)

    def fetch(self) -> None:
        """Download the version."""
        target = self.folder / "down"
        try:
            download(self.scene.store, self.scene.find("set:v1"), target)
        finally:
            there = tree(target) if target.is_dir() else {}
            assert there.items() <= FILES.items(), "a file that is not whole"

    def collect(self) -> None:
        """Collect garbage."""
        collect.act(self.scene.store)

    def check(self) -> None:
        """Look for faults; what cannot be read is one."""
        list(fsck.check(self.scene.store))


def opened(kind: Kind, folder: Path) -> tuple[BlobStore, Plan]:
    plan = Plan()
    if kind == "memory":
        return FaultyBlobStore(MemoryBlobStore(), plan), plan
    inner: ObjectStore = LocalObjectStore.at(folder / "blobs")
    if kind == "fsspec":
        MemoryFileSystem.store.clear()
        inner = FsspecObjectStore.at("memory://faulty")
    index = PackIndex(folder / "index.sqlite3")
    return PackedBlobStore(FaultyObjectStore(inner, plan), index, folder / "spool", few=4), plan


def shop(kind: Kind, folder: Path) -> Shop:
    folder.mkdir()
    store = memory_store(folder)
    assert isinstance(store.clock, Clock)
    blobs, plan = opened(kind, folder)
    scene = Scene(evolve(store, blobs=blobs), store.clock)
    log(scene.store, {**FILES, "00.txt": b"gone", "large": b"away " * (60 << 10)})
    log(scene.store, FILES)
    scene.delete("set:v0", delete_aliases=True)
    scene.pass_time(8 * DAY)
    return Shop(scene, plan, folder)


def whole(shop: Shop, versions: int) -> None:
    """Check that nothing is wrong with a store, and that it has so many versions."""
    scene = shop.scene
    assert [fault.text for fault in fsck.check(scene.store)] == []
    artifact = scene.artifact("set")
    rows = scene.views.select(VersionRow, artifact_id=artifact.artifact_id, order="index")
    assert [row.index for row in rows] == list(range(versions))
    assert scene.store.ledger.scratch.items(leases.LEASE) == []


WAYS: dict[str, tuple[Way, int]] = {
    "log": (Shop.log, 3),
    "fetch": (Shop.fetch, 2),
    "collect": (Shop.collect, 2),
    "check": (Shop.check, 2),
}


def calls(kind: Kind, way: Way, folder: Path) -> int:
    """Return how many calls an act makes when nothing goes wrong."""
    counted = shop(kind, folder)
    counted.plan.arm(None)
    way(counted)
    return counted.plan.count


def folders(parent: Path) -> Iterator[Path]:
    number = 0
    while True:
        yield parent / str(number)
        shutil.rmtree(parent / str(number), ignore_errors=True)
        number += 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("what", WAYS)
@pytest.mark.parametrize("kind", ["memory", "local", "fsspec"])
def test_at_whichever_call_it_goes_wrong_nothing_is_half_done(
    kind: Kind, what: str, fault: Fault, tmp_path: Path
) -> None:
    way, versions = WAYS[what]
    names = folders(tmp_path)
    count = calls(kind, way, next(names))
    assert count > 2
    errors = 0
    step = STEP[kind]
    for call in range(FAULTS.index(fault) % step, count, step):
        tried = shop(kind, next(names))
        tried.plan.arm(call, fault)
        try:
            way(tried)
        except MunimentError:
            errors += 1
        tried.plan.arm(None)
        done = 3 if what == "log" and tried.scene.indexes("set") == [1, 2] else 2
        whole(tried, done)
        way(tried)
        whole(tried, versions)
        collect.act(tried.scene.store)
        whole(tried, versions)
        kept = {digest for digest, _ in tried.scene.store.blobs.list()}
        assert Digest(tried.scene.find("set:v1").version.manifest or "") in kept
        tried.scene.pass_time(DAY)
        assert collect.act(tried.scene.store).blobs == 0, "a collection leaves nothing for the next one"
    assert errors or what in {"collect", "check"}
