"""Deleting thousands of blobs at once costs one rewriting of each pack that they lie in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import field, frozen

from muniment.adapters.blobs.memory import MemoryObjectStore
from muniment.domain.ports import ObjectResult, ObjectSource
from tests.adapters.test_packs import packed
from tests.conformance.blob_store import named, put

COUNT = 4_000


@frozen(eq=False)
class Written(MemoryObjectStore):
    """Objects that count what is put."""

    names: list[str] = field(factory=list)

    def put_many(self, objects: Iterable[ObjectSource]) -> Iterator[ObjectResult]:
        each = list(objects)
        self.names.extend(source.name for source in each)
        return super().put_many(each)


def test_thousands_of_blobs_that_go_at_once_rewrite_their_pack_once(tmp_path: Path) -> None:
    objects = Written()
    store = packed(tmp_path, objects)
    contents = [b"%05d" % at for at in range(2 * COUNT)]
    put(store, *contents)
    before = len(list(objects.list("packs/")))
    objects.names.clear()
    results = list(store.delete_many(map(named, contents[::2])))
    assert all(result.done and result.rewritten for result in results)
    assert len(objects.names) == before, "one new pack for each old one"
    assert set(dict(store.list())) == {named(content) for content in contents[1::2]}
