"""Data subjects are registered under random ids and attached to what is about them."""

from __future__ import annotations

import pytest

from muniment.app import directory, holds
from muniment.app.erasing import data_subjects
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import HeldError, InvalidValueError, NotFoundError, PermissionDeniedError
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.values import Role
from tests.app.scene import Scene

FILES = {"ann.txt": "about ann", "bob.txt": "about bob", "all.txt": "about nobody"}


def known(scene: Scene, identity: str = "ann@example.org") -> str:
    return data_subjects.register(scene.store, identity).subject_id


def test_who_it_is_stands_in_the_vault_and_finds_the_same_subject_again(scene: Scene) -> None:
    row = data_subjects.register(scene.store, " ann@example.org ")
    assert data_subjects.register(scene.store, "ann@example.org") == row
    assert data_subjects.named(scene.store, "ann@example.org") == row
    assert data_subjects.named(scene.store, row.subject_id) == row
    assert scene.store.vault.get_many([row.identity]) == {row.identity: "ann@example.org"}
    assert "ann" not in str(scene.since(0))
    assert data_subjects.listed(scene.views) == data_subjects.listed(scene.views, "registered") == [row]
    with pytest.raises(NotFoundError, match="subject list"):
        data_subjects.named(scene.store, "bob")
    with pytest.raises(InvalidValueError, match="identity"):
        data_subjects.register(scene.store, " ")


def test_entries_are_attached_once_and_detached_again(scene: Scene) -> None:
    version_id = scene.log("people", FILES).version_id
    ann = known(scene)
    assert data_subjects.attach_entries(scene.store, ann, version_id, ["ann.txt", "all.txt", "ann.txt"]) == 2
    assert data_subjects.attach_entries(scene.store, ann, version_id, ["ann.txt"]) == 0
    assert data_subjects.attached(scene.views, ann).paths() == {version_id: ("all.txt", "ann.txt")}
    assert data_subjects.detach_entries(scene.store, ann, version_id, ["all.txt", "bob.txt"]) == 1
    assert data_subjects.attached(scene.views, ann).paths() == {version_id: ("ann.txt",)}
    with pytest.raises(NotFoundError, match=r"people:v0 has no entry 'eve\.txt'"):
        data_subjects.attach_entries(scene.store, ann, version_id, ["eve.txt"])


def test_more_entries_than_one_event_attaches(scene: Scene) -> None:
    paths = [f"{number:04}.txt" for number in range(1_001)]
    version_id = scene.log("many", dict.fromkeys(paths, "x")).version_id
    ann = known(scene)
    assert data_subjects.attach_entries(scene.store, ann, version_id, paths) == 1_001
    assert data_subjects.attached(scene.views, ann).count == 1_001


@pytest.mark.parametrize("kind", TargetKind)
def test_whole_things_are_attached_once_and_detached_again(scene: Scene, kind: TargetKind) -> None:
    run = scene.run("r1")
    logged = scene.log("people", FILES, run=run)
    ids = {
        TargetKind.ARTIFACT: logged.artifact_id,
        TargetKind.VERSION: logged.version_id,
        TargetKind.RUN: run.run_id,
        TargetKind.USER: scene.by("dan").store.context.actor,
    }
    ann = known(scene)
    assert data_subjects.attach(scene.store, ann, kind, ids[kind])
    assert not data_subjects.attach(scene.store, ann, kind, ids[kind])
    assert data_subjects.attached(scene.views, ann).count == 1
    assert data_subjects.detach(scene.store, ann, kind, ids[kind])
    assert not data_subjects.detach(scene.store, ann, kind, ids[kind])
    with pytest.raises(NotFoundError):
        data_subjects.attach(scene.store, ann, kind, "f" * 32)


def test_the_same_bytes_in_other_versions_are_found_and_attached(scene: Scene) -> None:
    first = scene.log("people", FILES).version_id
    second = scene.log("people", FILES | {"new.txt": "new"}).version_id
    copied = scene.log("copy", {"deep/ann-copy.txt": "about ann", "other.txt": "other"}).version_id
    ann = known(scene)
    data_subjects.attach_entries(scene.store, ann, first, ["ann.txt"])
    found = {(each.version_id, each.path) for each in data_subjects.same_bytes(scene.store, ann)}
    assert found == {(second, "ann.txt"), (copied, "deep/ann-copy.txt")}
    assert data_subjects.attach_same(scene.store, ann) == 2
    assert data_subjects.same_bytes(scene.store, ann) == []


def test_members_attach_and_admins_detach(scene: Scene) -> None:
    version_id = scene.log("people", FILES).version_id
    directory.set_organisation_role(scene.store, "local", "bob", Role.MEMBER)
    directory.set_team_role(scene.store, "local", "bob", Role.MEMBER)
    bob = scene.by("bob")
    ann = known(bob)
    data_subjects.attach_entries(bob.store, ann, version_id, ["ann.txt"])
    with pytest.raises(PermissionDeniedError):
        data_subjects.detach_entries(bob.store, ann, version_id, ["ann.txt"])
    with pytest.raises(PermissionDeniedError):
        known(scene.by("eve"), "eve")


def test_nothing_is_detached_from_a_subject_that_is_held(scene: Scene) -> None:
    version_id = scene.log("people", FILES).version_id
    ann = known(scene)
    data_subjects.attach(scene.store, ann, TargetKind.VERSION, version_id)
    holds.place(scene.store, HoldKind.LITIGATION, ScopeKind.SUBJECT, ann, "a case")
    with pytest.raises(HeldError):
        data_subjects.detach(scene.store, ann, TargetKind.VERSION, version_id)
