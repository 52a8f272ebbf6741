"""Two machines with one ledger and one bucket, each with an index of packs of its own, delete at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field, frozen

from muniment.adapters.blobs.memory import MemoryObjectStore
from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.adapters.blobs.s3 import S3ObjectStore
from muniment.app.collecting import collect, disposal
from muniment.app.collecting.condemning import CONDEMNED
from muniment.app.store import Store
from muniment.domain.errors import NotFoundError, StorageError
from muniment.domain.evidence import Method, Trigger
from muniment.domain.ports import BlobStore
from tests.app.scene import Scene
from tests.conformance.blob_store import named, put
from tests.interleaved import Gated, Shared, Stage
from tests.servers import seaweedfs
from tests.servers.postgres import postgres_ledger, running
from tests.stores import Clock, memory_ledger, store_on

ONE, OTHER = b"deleted by one", b"deleted by the other"
REST = [b"%04d of the rest" % at for at in range(4)]
MOST = 40
"""More calls than one disposal makes."""


@define
class Two:
    """A store as two machines have it, whose calls to the bucket come in the order that a test chooses."""

    folder: Path
    objects: Any
    ledgers: tuple[Any, Any]
    stage: Stage = field(factory=Stage)

    def blobs(self, name: str, objects: Any = None) -> PackedBlobStore:
        index = PackIndex(self.folder / name / "index.sqlite3")
        return PackedBlobStore(objects or self.objects, index, self.folder / name / "spool", few=1)

    def machine(self, name: str, number: int) -> Store:
        """Return the store on one machine; its first steps are not staged."""
        first = self.ledgers[number]
        store = store_on(first, self.folder / name, Clock())
        blobs: BlobStore = self.blobs(name, Gated(self.objects, self.stage, name))
        return evolve(store, blobs=blobs, ledger=Shared(first, self.stage, name))

    def delete(self, one: int, other: int) -> None:
        """Let each machine delete a blob of one pack: so many calls of the first, so many of the second, then all."""
        put(self.blobs("before"), ONE, OTHER, *REST)
        stores = {"one": self.machine("one", 0), "other": self.machine("other", 1)}
        for (name, store), content in zip(stores.items(), (ONE, OTHER), strict=True):
            self.stage.enter(name, partial(disposed, store, content))
        self.stage.play(("one", one), ("other", other))
        after = self.blobs("after")
        assert after.search([named(ONE), named(OTHER)]).copies == ()
        assert dict(after.list()) == {named(content): len(content) for content in REST}
        assert [after.get(named(content)) for content in REST] == REST
        for content in (ONE, OTHER):
            with pytest.raises(NotFoundError):
                after.get(named(content))
        assert stores["one"].ledger.scratch.items(CONDEMNED) == []


def disposed(store: Store, content: bytes) -> None:
    done = disposal.dispose(store, [named(content)], Trigger.LEFTOVER)
    assert (done.blobs, done.failed) == (1, ())
    assert [evidence.method for evidence in done.evidence] == [Method.REWRITTEN]


def test_two_machines_that_delete_from_one_pack_take_turns(tmp_path: Path) -> None:
    for one in range(4, 13):
        for other in (7, MOST):
            ledger = memory_ledger(Clock())
            Two(tmp_path / f"{one}-{other}", MemoryObjectStore(), (ledger, ledger)).delete(one, other)


@pytest.fixture
def bucket() -> Iterator[S3ObjectStore]:
    with pytest.MonkeyPatch.context() as patch:
        yield S3ObjectStore.at(f"s3://{seaweedfs.entered(patch).bucket()}/team")


@pytest.mark.parametrize("one", [6, 7, 8])
def test_two_machines_with_a_bucket_and_a_database_take_turns(tmp_path: Path, bucket: S3ObjectStore, one: int) -> None:
    url = running().url()
    ledgers = (postgres_ledger(url, Clock()), postgres_ledger(url, Clock()))
    Two(tmp_path, bucket, ledgers).delete(one, MOST)
    for ledger in ledgers:
        ledger.close()


# --- what a turn is worth --------------------------------------------------------------------------------------------


@frozen
class Lost:
    """A ledger whose session that holds the turn is lost meanwhile."""

    inner: Any

    def alone(self) -> Any:
        return self

    def __enter__(self) -> Any:
        return self._require

    def __exit__(self, *_: object) -> None:
        return None

    def _require(self) -> None:
        msg = "the session was lost"
        raise StorageError(msg)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_nothing_is_concluded_from_a_turn_that_was_lost(scene: Scene) -> None:
    scene.bring({"a": "dead"})
    before = scene.seq
    with pytest.raises(StorageError, match="session was lost"):
        collect.act(evolve(scene.store, ledger=Lost(scene.store.ledger)))
    assert [name for name in scene.happened(before) if name in {"Disposed", "Purged"}] == []
    assert scene.store.ledger.scratch.items(CONDEMNED) == [] or collect.act(scene.store).failed == ()
    assert collect.act(scene.store).blobs == 0


def test_what_another_machine_brought_back_is_seen_and_goes(tmp_path: Path, scene: Scene) -> None:
    objects = MemoryObjectStore()
    here = PackedBlobStore(objects, PackIndex(tmp_path / "here" / "index"), tmp_path / "here" / "spool", few=1)
    there = PackedBlobStore(objects, PackIndex(tmp_path / "there" / "index"), tmp_path / "there" / "spool", few=1)
    put(here, ONE, *REST)
    (pack,) = objects.held
    kept = objects.held[pack]
    list(here.delete_many([named(ONE)]))
    assert here.search([named(ONE)]).copies == ()
    objects.held["packs/" + "0" * 32] = kept  # as if that machine had been away while it wrote
    assert len(here.search([named(ONE)]).copies) == len(there.search([named(ONE)]).copies) == 1
    store = evolve(scene.store, blobs=here)
    assert named(ONE) in dict(here.list())
    collect.act(store)
    assert there.search([named(ONE)]).copies == ()
