"""Checking a store: whole ones say nothing, and every kind of damage is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve

from muniment.app import bootstrap, catalog, config, fsck, lifecycle, link_artifact, log_artifact, manifests, registries
from muniment.app.collecting import collect
from muniment.app.transact import Request, new_id
from muniment.domain.alias import AliasMoved
from muniment.domain.errors import NotFoundError
from muniment.domain.values import Digest, VersionId, alias_stream
from muniment.domain.version import MarkedDeleted
from tests.app.scene import DAY, Scene
from tests.stores import Clock


def faults(scene: Scene, *, fast: bool = False) -> list[tuple[str, str]]:
    return [(fault.kind, fault.text) for fault in fsck.check(scene.store, fast=fast)]


@pytest.fixture
def disk() -> Iterator[Scene]:
    """Return a store in files."""
    store = bootstrap.open_store(config.load())
    scene = Scene(store, Clock())
    scene.log("images", {"a.txt": "first", "sub/b.txt": "second"}, "best", metadata={"a": 1}, description="text")
    yield scene
    store.ledger.close()
    store.vault.close()  # type: ignore[attr-defined]


def file_of(digest: str, home: Path) -> Path:
    files = [path for path in (home / "blobs").rglob("*") if path.is_file()]
    (found,) = [path for path in files if digest in path.as_posix().replace("/", "")]
    return found


def content(scene: Scene, path: str) -> Digest:
    manifest = Digest(scene.find("images").version.manifest or "")
    entry = manifests.read(scene.store.blobs, scene.store.codec, manifest).get(path)
    assert entry
    return Digest(entry.digest)


def flip(path: Path, at: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


# --- whole stores ----------------------------------------------------------------------------------------------------


def test_a_new_store_is_whole(scene: Scene) -> None:
    assert faults(scene) == []


def test_a_store_in_which_much_happened_is_whole(scene: Scene) -> None:
    registries.create(scene.store, "local", "any")
    for text in ("one", "two", "three", "four"):
        scene.log("images", text, "best")
    for target in ("dataset/sets", "any/sets"):
        scene.link("images:v0", target, "production", "old")
    scene.link("images:v1", "dataset/sets", "production")
    scene.unlink("dataset/sets:v0")
    registries.delete(scene.store, scene.registry("any"))
    scene.delete("images:v0")
    scene.delete("images:v3", delete_aliases=True)
    scene.log("gone", "five", "best")
    lifecycle.delete_artifact(scene.store, scene.artifact("gone"), scene.team)
    assert faults(scene) == []
    scene.pass_time(8 * DAY)
    assert collect.act(scene.store).purged == 2
    assert faults(scene) == []
    scene.pass_time(8 * DAY)
    assert collect.act(scene.store).purged == 1
    assert faults(scene) == []


def test_aliases_of_a_deleted_collection_are_no_fault(scene: Scene) -> None:
    scene.log("images", "one")
    scene.link("images", "dataset/sets", "production")
    registries.delete_collection(scene.store, catalog.collection_named(scene.views, scene.registry("dataset"), "sets"))
    scene.delete("images")
    scene.pass_time(8 * DAY)
    assert collect.act(scene.store).purged == 1
    assert faults(scene) == []


def test_a_forgotten_personal_value_is_no_fault(disk: Scene) -> None:
    disk.store.vault.destroy(disk.artifact("images").artifact_id)
    assert faults(disk) == []


# --- blobs and manifests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 2, -1])
def test_a_flipped_byte_of_a_blob_names_version_and_file(disk: Scene, own_home: Path, at: int) -> None:
    flip(file_of(content(disk, "sub/b.txt"), own_home), at)
    ((kind, text),) = faults(disk)
    assert kind == "blob"
    assert "local/uncategorized/images:v0: file sub/b.txt was changed" in text
    assert faults(disk, fast=True) == []


def test_a_blob_that_grew_or_shrank_is_named(disk: Scene, own_home: Path) -> None:
    path = file_of(content(disk, "a.txt"), own_home)
    path.chmod(0o600)
    for damaged in (b"first and more", b"fir", b""):
        path.write_bytes(damaged)
        ((kind, text),) = faults(disk)
        assert (kind, "file a.txt" in text) == ("blob", True)


@pytest.mark.parametrize("fast", [False, True])
def test_a_missing_blob_names_every_version_and_file_that_needs_it(disk: Scene, own_home: Path, *, fast: bool) -> None:
    disk.log("copies", {"x": "first", "y": "other"})
    file_of(content(disk, "a.txt"), own_home).unlink()
    assert sorted(text for _, text in faults(disk, fast=fast)) == [
        "local/uncategorized/copies:v0: file x is missing",
        "local/uncategorized/images:v0: file a.txt is missing",
    ]


def test_a_damaged_or_missing_manifest_names_the_version(disk: Scene, own_home: Path) -> None:
    path = file_of(disk.find("images").version.manifest or "", own_home)
    flip(path, 3)
    ((kind, text),) = faults(disk)
    assert (kind, "manifest of local/uncategorized/images:v0 cannot be read" in text) == ("manifest", True)
    path.unlink()
    ((kind, text),) = faults(disk)
    assert (kind, "images:v0 cannot be read" in text) == ("manifest", True)


def test_a_manifest_of_another_version_is_noticed(scene: Scene) -> None:
    other = scene.bring({"x": "other"})
    draft = scene.draft("images", "one")
    log_artifact.log(scene.store, scene.project, evolve(draft, manifest=other.manifest))
    ((kind, text),) = faults(scene)
    assert (kind, text) == (
        "manifest",
        "the manifest of local/uncategorized/images:v0 does not have the digest of the version",
    )


def test_bytes_of_purged_versions_are_not_missed_but_those_of_deleted_ones_are(scene: Scene) -> None:
    scene.log("images", "one")
    scene.log("images", "two")
    scene.delete("images:v0")
    held = scene.store.blobs.held  # type: ignore[attr-defined]
    held.clear()
    names = {text.split(" of ")[1].split(" cannot")[0] for _, text in faults(scene)}
    assert names == {"local/uncategorized/images:v0", "local/uncategorized/images:v1"}


# --- vault -----------------------------------------------------------------------------------------------------------


def test_a_damaged_personal_value_names_the_event(disk: Scene, own_home: Path) -> None:
    slot = disk.find("images").version.metadata
    with closing(sqlite3.connect(own_home / "vault.sqlite3")) as connection, connection:
        (sealed,) = connection.execute("SELECT sealed FROM slots WHERE slot = ?", (slot,)).fetchone()
        damaged = bytes([sealed[0] ^ 1]) + sealed[1:]
        connection.execute("UPDATE slots SET sealed = ? WHERE slot = ?", (damaged, slot))
    seq = disk.find("images").version.created_seq
    ((kind, text),) = faults(disk)
    assert kind == "vault"
    assert f"a personal value of event {seq} cannot be read" in text


def test_two_personal_values_that_changed_places_are_named(disk: Scene, own_home: Path) -> None:
    row = disk.find("images").version
    with closing(sqlite3.connect(own_home / "vault.sqlite3")) as connection, connection:
        read = "SELECT nonce, sealed FROM slots WHERE slot = ?"
        one, two = (connection.execute(read, (slot,)).fetchone() for slot in (row.metadata, row.description))
        write = "UPDATE slots SET nonce = ?, sealed = ? WHERE slot = ?"
        connection.executemany(write, [(*two, row.metadata), (*one, row.description)])
    found = faults(disk)
    assert [kind for kind, _ in found] == ["vault", "vault"]
    assert all(f"event {row.created_seq}" in text for _, text in found)


# --- rows that contradict each other: only a broken rule of ours, or a forged ledger, makes such events --------------


def append(scene: Scene, stream: str, *events: object) -> None:
    scene.store.transact(Request("forge"), lambda steps: steps.append(stream, *events))


def test_a_link_to_a_deleted_version_is_a_fault(scene: Scene) -> None:
    version = scene.log("images", "one").version_id
    scene.link("images", "dataset/sets")
    append(scene, version, MarkedDeleted())
    assert faults(scene) == [("link", "collection sets:v0 links to local/uncategorized/images:v0, which was deleted")]
    with pytest.raises(NotFoundError):
        scene.linked("dataset/sets")


def test_an_alias_on_a_deleted_version_is_a_fault(scene: Scene) -> None:
    version = scene.log("images", "one", "best").version_id
    append(scene, version, MarkedDeleted())
    assert faults(scene) == [("alias", "alias best points at local/uncategorized/images:v0, which was deleted")]


def test_an_alias_on_a_version_of_another_artifact_is_a_fault(scene: Scene) -> None:
    owner = scene.log("images", "one").artifact_id
    other: VersionId = scene.log("other", "two").version_id
    append(scene, alias_stream(owner, new_id()), AliasMoved(other, None, "best"))
    ((kind, text),) = faults(scene)
    assert (kind, text) == (
        "alias",
        "alias best points at local/uncategorized/other:v0, which is a version of another artifact",
    )


def test_an_alias_of_a_collection_on_what_is_not_linked_is_a_fault(scene: Scene) -> None:
    scene.log("images", "one")
    found = scene.link("images", "dataset/sets")
    link_artifact.unlink(scene.store, found)
    assert found.collection
    append(
        scene,
        alias_stream(found.collection.collection_id, new_id()),
        AliasMoved(found.version.version_id, None, "production"),
    )
    ((kind, text),) = faults(scene)
    assert (kind, "production points at local/uncategorized/images:v0, which is not linked there" in text) == (
        "alias",
        True,
    )


def test_a_changed_event_is_named_and_the_rest_is_checked_all_the_same(disk: Scene, own_home: Path) -> None:
    seq = disk.find("images").version.created_seq
    file_of(content(disk, "a.txt"), own_home).unlink()
    disk.store.ledger.close()
    with closing(sqlite3.connect(own_home / "ledger.sqlite3")) as connection, connection:
        connection.execute("UPDATE events SET actor = ? WHERE rowid = ?", ("0" * 32, seq))
    store = bootstrap.open_store(config.load())
    found = faults(Scene(store, Clock()))
    store.ledger.close()
    assert any(kind == "ledger" and str(seq) in text for kind, text in found)
    assert ("blob", "local/uncategorized/images:v0: file a.txt is missing") in found
