"""Two machines with one bucket, each with an index of its own: interleaved at each call to the store of objects."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from muniment.adapters.blobs.local import LocalObjectStore
from muniment.adapters.blobs.memory import MemoryObjectStore
from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.domain.errors import NotFoundError
from muniment.domain.ports import ObjectStore
from tests.conformance.blob_store import named, put
from tests.interleaved import Gated, Stage

ONE, OTHER = b"deleted by one", b"deleted by the other"
REST = [b"%04d of the rest" % at for at in range(4)]
MOST = 12
"""More calls than one deletion makes."""
SOME = (0, 1, 2, 4, MOST)


def machine(folder: Path, objects: Any, name: str) -> PackedBlobStore:
    """Return the store as another machine sees it: the same objects, an index of its own."""
    return PackedBlobStore(objects, PackIndex(folder / name / "index.sqlite3"), folder / name / "spool", few=1)


def memory(_: Path) -> ObjectStore:
    return MemoryObjectStore()


def local(folder: Path) -> ObjectStore:
    return LocalObjectStore.at(folder / "blobs")


@pytest.mark.parametrize("made", [memory, local])
def test_what_two_machines_delete_from_one_pack_stays_away(made: Callable[[Path], ObjectStore], tmp_path: Path) -> None:
    for first in range(MOST):
        for second in range(MOST) if made is memory else (first,):
            folder = tmp_path / f"{first}-{second}"
            objects, stage = made(folder), Stage()
            put(machine(folder, objects, "before"), ONE, OTHER, *REST)
            for name, content in (("one", ONE), ("other", OTHER)):
                blobs = machine(folder, Gated(objects, stage, name), name)
                stage.enter(name, partial(deleted, blobs, content))
            stage.play(("one", first), ("other", second))
            gone_for_everybody(machine(folder, objects, "after"), f"after {first} and {second} calls")


def test_whoever_reads_while_another_machine_rewrites_reads_what_is_right(tmp_path: Path) -> None:
    for first in range(MOST):
        for second in SOME:
            folder, objects, stage = tmp_path / f"{first}-{second}", MemoryObjectStore(), Stage()
            put(machine(folder, objects, "before"), ONE, OTHER, *REST)
            reader = machine(folder, Gated(objects, stage, "reader"), "reader")
            again = machine(folder, Gated(objects, stage, "one"), "one")
            machine(folder, objects, "reader").refresh()  # it knows the old pack
            stage.enter("reader", partial(all_read, reader))
            stage.enter("one", partial(twice, again))
            stage.play(("one", first), ("reader", second), ("one", MOST), ("reader", 1))


def all_read(blobs: PackedBlobStore) -> None:
    assert [blobs.get(named(content)) for content in reversed(REST)] == REST[::-1]


def twice(blobs: PackedBlobStore) -> None:
    deleted(blobs, ONE)
    deleted(blobs, OTHER)


def test_what_is_put_while_another_machine_rewrites_is_stored(tmp_path: Path) -> None:
    new = b"nobody had it"
    for first in range(MOST):
        for second in SOME:
            folder, objects, stage = tmp_path / f"{first}-{second}", MemoryObjectStore(), Stage()
            put(machine(folder, objects, "before"), ONE, *REST)
            putting = machine(folder, Gated(objects, stage, "putting"), "putting")
            machine(folder, objects, "putting").refresh()
            stage.enter("one", partial(deleted, machine(folder, Gated(objects, stage, "one"), "one"), ONE))
            stage.enter("putting", partial(put, putting, *REST[:2], new))
            stage.play(("one", first), ("putting", second))
            after = machine(folder, objects, "after")
            assert [after.get(named(content)) for content in (*REST, new)] == [*REST, new], (first, second)
            assert after.search([named(ONE)]).copies == ()


def test_what_another_machine_deleted_is_put_again_where_the_index_still_knows_it(tmp_path: Path) -> None:
    objects = MemoryObjectStore()
    one, other = machine(tmp_path, objects, "one"), machine(tmp_path, objects, "other")
    put(one, ONE, *REST)
    assert other.missing({named(ONE)}) == set()
    deleted(one, ONE)
    assert [result.done for result in put(other, ONE)] == [True]
    assert one.get(named(ONE)) == ONE


def deleted(blobs: PackedBlobStore, content: bytes) -> None:
    assert [result.error for result in blobs.delete_many([named(content)])] == [None]


def gone_for_everybody(blobs: PackedBlobStore, when: str) -> None:
    assert blobs.search([named(ONE), named(OTHER)]).copies == (), when
    assert dict(blobs.list()) == {named(content): len(content) for content in REST}, when
    assert [blobs.get(named(content)) for content in REST] == REST, when
    for content in (ONE, OTHER):
        with pytest.raises(NotFoundError):
            blobs.get(named(content))
    assert list(blobs.verify()) == []
