"""What a store holds is counted without reading a file."""

from __future__ import annotations

import pytest

from muniment.app.stats import ProjectStats, measure
from tests.app.scene import Scene


def test_what_versions_share_is_stored_once(scene: Scene) -> None:
    scene.log("mnist", {"a": "x" * 1000, "b": "y" * 500})
    scene.log("mnist", {"a": "x" * 1000, "b": "z" * 500})
    scene.log("other", {"a": "x" * 1000})
    found = measure(scene.store)
    assert (found.events, found.artifacts, found.versions, found.deleted) == (scene.seq, 2, 3, 0)
    assert found.referenced == 4000
    assert found.blobs == len(list(scene.store.blobs.list()))
    manifests = sum(size for _, size in scene.store.blobs.list()) - 2000
    assert found.stored == 2000 + manifests
    assert found.dedupe == round(4000 / found.stored, 3)
    assert found.projects == (ProjectStats("local/uncategorized", 2, 3, 4000),)


def test_an_empty_store_has_no_ratio(scene: Scene) -> None:
    found = measure(scene.store)
    assert (found.versions, found.blobs, found.stored, found.dedupe) == (0, 0, 0, None)
    assert found.projects == (ProjectStats("local/uncategorized", 0, 0, 0),)


def test_deleted_versions_are_counted_apart(scene: Scene) -> None:
    scene.log("mnist", "one")
    scene.log("mnist", "two")
    scene.delete("mnist:v0")
    found = measure(scene.store)
    assert (found.artifacts, found.versions, found.deleted, found.referenced) == (1, 1, 1, 3)


@pytest.mark.parametrize("count", [4, 5])
def test_more_versions_than_a_page_are_all_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("muniment.app.stats.PAGE", 2)
    for number in range(count):
        scene.log("mnist", str(number))
    assert measure(scene.store).versions == count
