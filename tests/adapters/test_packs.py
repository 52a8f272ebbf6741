"""Blobs in packs keep the contract of blob stores, on every store of objects."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import cast

import pytest

from muniment.adapters.blobs.local import LocalObjectStore
from muniment.adapters.blobs.memory import MemoryObjectStore
from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.domain.ports import BlobStore, ObjectStore
from muniment.domain.values import Digest
from tests.conformance import object_store
from tests.conformance.blob_store import BlobStoreConformance, machine_for

NOW = 1_800_000_000_000_000


def packed(folder: Path, objects: ObjectStore | None = None, few: int = 1) -> PackedBlobStore:
    if objects is None:
        objects = LocalObjectStore.at(folder / "blobs")
    return PackedBlobStore(objects, PackIndex(folder / "blobs" / ".index.sqlite3"), folder / "blobs" / "tmp", few=few)


class TestLocalObjects(object_store.ObjectStoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return LocalObjectStore.at(tmp_path / "home" / "blobs")


class TestMemoryObjects(object_store.ObjectStoreConformance):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryObjectStore(lambda: NOW)


TestLocalObjectsMachine = object_store.machine_for(lambda: LocalObjectStore.at(Path(tempfile.mkdtemp())))
TestMemoryObjectsMachine = object_store.machine_for(MemoryObjectStore)


class TestInLocalPacks(BlobStoreConformance):
    @pytest.fixture(params=[1, 16])
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> BlobStore:
        return packed(tmp_path, few=request.param)

    def damage(self, store: BlobStore, digest: Digest, content: bytes) -> None:
        there = cast("PackedBlobStore", store)
        folder = cast("LocalObjectStore", there.objects).folder
        places = there.index.find(digest)
        if not places:
            (folder / "sha256" / digest[:2] / digest).write_bytes(content)
        for where in places:
            path = folder / where.pack
            held = path.read_bytes()
            path.write_bytes(held[: where.start] + content + held[where.start + where.length :])


class TestInPacksInMemory(BlobStoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        return packed(tmp_path, MemoryObjectStore())

    def damage(self, store: BlobStore, digest: Digest, content: bytes) -> None:
        there = cast("PackedBlobStore", store)
        held = cast("MemoryObjectStore", there.objects).held
        for where in there.index.find(digest):
            old = held[where.pack]
            held[where.pack] = old[: where.start] + content + old[where.start + where.length :]


TestInLocalPacksMachine = machine_for(lambda: packed(Path(tempfile.mkdtemp())))
TestFewOrManyMachine = machine_for(lambda: packed(Path(tempfile.mkdtemp()), few=3))
TestInPacksInMemoryMachine = machine_for(lambda: packed(Path(tempfile.mkdtemp()), MemoryObjectStore(), few=2))
