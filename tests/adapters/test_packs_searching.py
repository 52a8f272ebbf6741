"""Looking for blobs where their bytes lie: in the footers of packs, whatever the index of packs says."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from muniment.adapters.blobs.packs import PackedBlobStore
from muniment.domain.evidence import Check, Copy, CopyKind
from tests.adapters.test_packs import packed
from tests.adapters.test_packs_erasing import CANARY, OTHERS, packs
from tests.conformance.blob_store import named, put


@pytest.fixture
def store(tmp_path: Path) -> PackedBlobStore:
    return packed(tmp_path)


def test_a_search_reads_the_footers_of_all_packs_whatever_the_index_says(store: PackedBlobStore) -> None:
    put(store, *OTHERS, CANARY)
    with sqlite3.connect(store.index.file) as index:
        index.execute("DELETE FROM blobs WHERE digest = ?", (bytes.fromhex(named(CANARY)),))
    index.close()
    assert store.missing([named(CANARY)]) == {named(CANARY)}, "the index says that it is gone"
    found = store.search([named(CANARY)])
    assert found.copies == (Copy(named(CANARY), CopyKind.PACKED),)
    assert found.by == (Check.FILES, Check.FOOTERS)
    put(store, *(content + b"another pack" for content in OTHERS))
    store.rebuild_index()
    (result,) = store.delete_many([named(CANARY)])
    assert (result.done, result.rewritten, result.copies) == (True, True, 1)
    assert store.search([named(CANARY)]).copies == ()


def test_a_pack_that_nobody_can_read_makes_a_search_unsure(store: PackedBlobStore) -> None:
    put(store, *OTHERS, CANARY)
    (pack,) = packs(store)
    content = bytearray(pack.read_bytes())
    content[-60] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    found = store.search([named(b"anything")])
    assert (found.copies, found.unsure) == ((), (f"packs/{pack.name}",))
