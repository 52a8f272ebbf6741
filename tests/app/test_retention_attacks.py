"""What somebody tries who wants bytes gone too early, or believes them gone: acts, people, hands, references."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from muniment.adapters.blobs.local import LocalObjectStore
from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.adapters.ledger.codec import WIRE_NAMES
from muniment.app import approvals, directory, fsck, holds, runs
from muniment.app.catalog import Found
from muniment.app.collecting import collect
from muniment.app.files.download import download, manifest_of, open_entry
from muniment.app.files.reference import resolve
from muniment.domain.approval import Act
from muniment.domain.errors import (
    CorruptError,
    GoneError,
    HeldError,
    MunimentError,
    NotFoundError,
    PermissionDeniedError,
)
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.rows import DisposalRow
from muniment.domain.values import Role, Ttl
from muniment.domain.version import State
from tests.app.contents import log, tree
from tests.app.purged import GRACE, state
from tests.app.scene import DAY, SECOND, Scene
from tests.stores import Clock, sqlite_store

LONG = 5 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Scene]:
    """Return a store in files, with a clock to turn."""
    objects, index = LocalObjectStore.at(tmp_path / "blobs"), PackIndex(tmp_path / "packs.sqlite3")
    store = evolve(sqlite_store(tmp_path), blobs=PackedBlobStore(objects, index, tmp_path / "spool"))
    assert isinstance(store.clock, Clock)
    yield Scene(store, store.clock)
    store.ledger.close()


def purge(scene: Scene, found: Found) -> None:
    """Let a version expire and go."""
    scene.pass_time(2 * DAY)
    assert collect.act(scene.store).deleted == 1
    scene.pass_time(GRACE + SECOND)
    assert collect.act(scene.store).purged == 1
    assert state(scene, found.version.version_id) is State.PURGED


# --- one held version deep inside ------------------------------------------------------------------------------------


def test_deleting_a_run_with_all_it_logged_is_refused_for_one_held_version(scene: Scene) -> None:
    run = scene.run("training")
    logged = [scene.log("net", f"epoch {number}", run=run, type_="model") for number in range(3)]
    held = holds.place(scene.store, HoldKind.LITIGATION, ScopeKind.VERSION, logged[1].version_id, "a matter")
    seq = scene.seq
    with pytest.raises(HeldError, match=held.hold_id):
        runs.delete(scene.store, run, delete_artifacts=True)
    assert scene.happened(seq) == ["Denied"]
    assert scene.indexes("net") == [0, 1, 2]


def test_no_act_deletes_a_team_or_an_organisation() -> None:
    """What is deep inside them cannot go by them; whoever adds such an act has to ask the holds."""
    assert not [name for name in WIRE_NAMES if name.startswith(("team.", "organisation.")) and "delete" in name]


# --- one person, two names -------------------------------------------------------------------------------------------


@pytest.fixture
def service(scene: Scene) -> Scene:
    """Return the scene with a service acting for its admin, who is an admin like her."""
    directory.set_organisation_role(scene.store, "local", "pipeline", Role.ADMIN)
    store = scene.by("pipeline").store
    return evolve(scene, store=evolve(store, context=evolve(store.context, on_behalf_of=scene.store.context.actor)))


@pytest.mark.parametrize("first", ["herself", "service"])
def test_nobody_is_two_people_by_acting_through_a_service(scene: Scene, service: Scene, first: str) -> None:
    one, other = (scene, service) if first == "herself" else (service, scene)
    id_ = approvals.propose(one.store, Act.DESTROY_KEY, "7" * 32)
    with pytest.raises(PermissionDeniedError, match="ask another admin"):
        approvals.approve(other.store, id_)
    assert approvals.proposal(scene.views, id_).state == "proposed"


# --- bytes that went by hand, or while somebody reads them -----------------------------------------------------------


def test_a_blob_deleted_by_hand_fails_the_download_and_fsck_names_every_version(disk: Scene, tmp_path: Path) -> None:
    disk.log("images", {"a.txt": "shared", "b.txt": "own"})
    disk.log("copies", {"c.txt": "shared", "d.txt": "more"})
    for path in [each for each in (tmp_path / "blobs").rglob("*") if each.is_file()]:
        path.chmod(0o600)
        path.unlink()
    for name in ("images", "copies"):
        with pytest.raises((CorruptError, NotFoundError)):
            download(disk.store, disk.find(name), tmp_path / "out")
    told = "\n".join(fault.text for fault in fsck.check(disk.store))
    assert "local/uncategorized/images:v0" in told
    assert "local/uncategorized/copies:v0" in told


def test_what_is_read_while_it_is_purged_is_right_to_the_end_or_an_error(disk: Scene, tmp_path: Path) -> None:
    content = {"long.bin": bytes(range(256)) * (LONG // 256)}
    found = log(disk.store, content, name="long")
    disk.edit("long", ttl=Ttl.after(DAY))
    entry = manifest_of(disk.store, found).get("long.bin")
    assert entry is not None
    with open_entry(disk.store, entry) as stream:
        begin = stream.read(1 << 10)
        purge(disk, found)
        try:
            rest = stream.read()
        except MunimentError:
            rest = None
    assert begin == content["long.bin"][: 1 << 10]
    assert rest is None or begin + rest == content["long.bin"]
    with pytest.raises(GoneError, match="long:v0 was purged on"):
        download(disk.store, found, tmp_path / "out")
    assert not tree(tmp_path / "out")


# --- what the store only points to -----------------------------------------------------------------------------------


def test_what_a_reference_points_to_is_never_deleted_nor_said_to_be(disk: Scene, tmp_path: Path) -> None:
    theirs = tmp_path / "their bucket"
    theirs.mkdir()
    (theirs / "big.bin").write_bytes(b"theirs")
    found = log(disk.store, {"own.txt": b"ours"}, *resolve(disk.store, theirs.as_uri()), name="mixed")
    disk.edit("mixed", ttl=Ttl.after(DAY))
    purge(disk, found)
    assert tree(theirs) == {"big.bin": b"theirs"}
    (row,) = disk.views.select(DisposalRow, owner_id=found.version.version_id, order="at")
    assert row.blobs == 3, "the file of ours, the leaf and the index of the manifest"
    assert list(fsck.check(disk.store)) == []
