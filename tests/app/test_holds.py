"""A hold keeps everything in its scope, whoever wants it gone, until two people agreed to release it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from muniment.app import approvals, directory, holds, lifecycle, registries
from muniment.app.collecting import collect
from muniment.domain.approval import Act
from muniment.domain.errors import (
    ApprovalNeededError,
    HeldError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
)
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.rows import CollectionRow, HoldRow, VersionRow
from muniment.domain.values import Role, Ttl
from tests.app.scene import DAY, Scene

MATTER = "the case of Doe against Acme"


@pytest.fixture
def kept(scene: Scene) -> Scene:
    """Return a scene with a second admin and a linked, tagged version, which expires once it is not linked."""
    directory.set_organisation_role(scene.store, "local", "ann", Role.ADMIN)
    scene.log("net", "one", type_="model", tags=("evidence",), ttl=Ttl.after(DAY))
    scene.link("net", "model/best")
    return scene


def place(scene: Scene, scope: ScopeKind, target: str = "", tag: str | None = None) -> HoldRow:
    return holds.place(scene.store, HoldKind.LITIGATION, scope, target, MATTER, tag=tag)


def version(scene: Scene) -> VersionRow:
    return scene.find("net:v0").version


def target(scene: Scene, scope: ScopeKind) -> str:
    found = scene.linked("model/best:v0")
    assert found.collection is not None
    assert found.registry is not None
    return {
        ScopeKind.ORGANISATION: scene.store.context.organisation,
        ScopeKind.TEAM: found.team.team_id,
        ScopeKind.PROJECT: found.project.project_id,
        ScopeKind.ARTIFACT: found.artifact.artifact_id,
        ScopeKind.VERSION: found.version.version_id,
        ScopeKind.REGISTRY: found.registry.registry_id,
        ScopeKind.COLLECTION: found.collection.collection_id,
        ScopeKind.TAG: "",
    }[scope]


@pytest.mark.parametrize("scope", sorted(set(ScopeKind) - {ScopeKind.TYPE, ScopeKind.SUBJECT}, key=str))
def test_a_version_is_held_by_whatever_scope_it_is_in(kept: Scene, scope: ScopeKind) -> None:
    assert holds.on_version(kept.views, version(kept)) == ()
    row = place(kept, scope, target(kept, scope), "evidence" if scope is ScopeKind.TAG else None)
    assert holds.on_version(kept.views, version(kept)) == (row,)


def test_what_enters_the_scope_later_is_held_too(kept: Scene) -> None:
    place(kept, ScopeKind.PROJECT, kept.project.project_id)
    kept.log("net", "two", type_="model")
    assert holds.on_version(kept.views, kept.find("net:v1").version)
    place(kept, ScopeKind.TAG, tag="late")
    kept.log("other", "three")
    elsewhere = evolve(kept, project_name="elsewhere")
    directory.create_project(kept.store, "local", "elsewhere")
    elsewhere.log("free", "four")
    assert holds.on_version(kept.views, elsewhere.find("free").version) == ()
    elsewhere.edit("free", add_tags=("late",))
    assert holds.on_version(kept.views, elsewhere.find("free").version)


def test_a_held_version_is_neither_deleted_nor_expired_nor_purged(kept: Scene) -> None:
    kept.log("old", "bytes", ttl=Ttl.after(DAY))
    gone = kept.delete("old", delete_aliases=True)
    place(kept, ScopeKind.PROJECT, kept.project.project_id)
    kept.unlink("model/best")
    kept.pass_time(99 * DAY)
    report = collect.act(kept.store)
    assert (report.deleted, report.purged) == (0, 0)
    with pytest.raises(HeldError, match=r"hold [0-9a-f]{32} is in force"):
        kept.delete("net", delete_aliases=True)
    with pytest.raises(HeldError):
        lifecycle.delete_artifact(kept.store, kept.artifact("net"), kept.team)
    with pytest.raises(HeldError):
        lifecycle.delete_project(kept.store, kept.project)
    assert kept.find("net:v0").version.state == "committed"
    lifecycle.restore(kept.store, gone)


LEAVING: dict[str, tuple[ScopeKind, Callable[[Scene], object]]] = {
    "unlinking from a collection": (ScopeKind.COLLECTION, lambda scene: scene.unlink("model/best:v0")),
    "unlinking from a registry": (ScopeKind.REGISTRY, lambda scene: scene.unlink("model/best:v0")),
    "untagging a version": (ScopeKind.TAG, lambda scene: scene.edit("net:v0", remove_tags=("evidence",))),
    "untagging an artifact": (
        ScopeKind.TAG,
        lambda scene: lifecycle.edit_artifact(scene.store, scene.artifact("net"), scene.team, tags=[]),
    ),
    "untagging a collection": (
        ScopeKind.TAG,
        lambda scene: registries.edit_collection(scene.store, collection(scene), tags=[]),
    ),
}


def collection(scene: Scene) -> CollectionRow:
    found = scene.linked("model/best:v0").collection
    assert found is not None
    return found


@pytest.mark.parametrize("way", LEAVING)
def test_nothing_is_taken_out_of_the_scope_of_a_hold(kept: Scene, way: str) -> None:
    scope, leave = LEAVING[way]
    lifecycle.edit_artifact(kept.store, kept.artifact("net"), kept.team, tags=["evidence"])
    registries.edit_collection(kept.store, collection(kept), tags=["evidence"])
    held = place(kept, scope, target(kept, scope), "evidence" if scope is ScopeKind.TAG else None)
    with pytest.raises(HeldError, match=held.hold_id):
        leave(kept)
    assert holds.on_version(kept.views, version(kept)) == (held,)
    approvals.approve(kept.by("ann").store, approvals.propose(kept.store, Act.RELEASE_HOLD, held.hold_id))
    holds.release(kept.store, held.hold_id)
    leave(kept)


@pytest.mark.parametrize("scope", [ScopeKind.COLLECTION, ScopeKind.REGISTRY])
@pytest.mark.parametrize("end", ["collection", "registry"])
def test_deleting_a_collection_or_a_registry_takes_nothing_out_of_its_scope(
    kept: Scene, scope: ScopeKind, end: str
) -> None:
    registries.create(kept.store, "local", "shelf")
    kept.log("other", "bytes", type_="model")
    found = kept.link("other", "shelf/best")
    assert found.collection is not None
    assert found.registry is not None
    there = found.collection.collection_id if scope is ScopeKind.COLLECTION else found.registry.registry_id
    held = place(kept, scope, there)
    if end == "registry":
        registries.delete(kept.store, found.registry)
    else:
        registries.delete_collection(kept.store, found.collection)
    assert holds.on_version(kept.views, kept.find("other").version) == (held,)
    with pytest.raises(HeldError):
        kept.delete("other:v0", delete_aliases=True)


def test_the_error_names_the_hold_and_not_what_it_is_about(kept: Scene) -> None:
    row = place(kept, ScopeKind.ARTIFACT, kept.artifact("net").artifact_id)
    kept.unlink("model/best")
    with pytest.raises(HeldError, match=row.hold_id) as caught:
        kept.delete("net", delete_aliases=True)
    assert "Doe" not in str(caught.value)
    with pytest.raises(HeldError, match=f"muniment hold release {row.hold_id}"):
        holds.refuse((row,), "entry a.png")


def test_one_version_deep_inside_holds_its_whole_project(kept: Scene) -> None:
    for index in range(3):
        kept.log(f"other-{index}", str(index))
    place(kept, ScopeKind.VERSION, version(kept).version_id)
    kept.unlink("model/best")
    with pytest.raises(HeldError):
        lifecycle.delete_project(kept.store, kept.project)
    lifecycle.delete_artifact(kept.store, kept.artifact("other-1"), kept.team)


def test_releasing_takes_two_people_and_then_the_old_end_comes_back(kept: Scene) -> None:
    row = place(kept, ScopeKind.ARTIFACT, kept.artifact("net").artifact_id)
    kept.unlink("model/best")
    kept.pass_time(99 * DAY)
    with pytest.raises(ApprovalNeededError, match="release-hold of"):
        holds.release(kept.store, row.hold_id)
    id_ = approvals.propose(kept.store, Act.RELEASE_HOLD, row.hold_id)
    with pytest.raises(ApprovalNeededError, match="another admin runs"):
        holds.release(kept.store, row.hold_id)
    approvals.approve(kept.by("ann").store, id_)
    holds.release(kept.store, row.hold_id, "the case is closed")
    assert holds.hold(kept.views, row.hold_id).state == "released"
    assert holds.listed(kept.views) == []
    assert len(holds.listed(kept.views, everything=True)) == 1
    assert collect.act(kept.store).deleted == 1
    seq = kept.seq
    holds.release(kept.store, row.hold_id)
    assert kept.seq == seq, "releasing it again is nothing"


def test_of_two_holds_the_other_still_holds(kept: Scene) -> None:
    first = place(kept, ScopeKind.ARTIFACT, kept.artifact("net").artifact_id)
    place(kept, ScopeKind.TAG, tag="evidence")
    approvals.approve(kept.by("ann").store, approvals.propose(kept.store, Act.RELEASE_HOLD, first.hold_id))
    holds.release(kept.store, first.hold_id)
    kept.unlink("model/best")
    with pytest.raises(HeldError):
        kept.delete("net", delete_aliases=True)


def test_only_admins_place_review_and_release(kept: Scene) -> None:
    row = place(kept, ScopeKind.ARTIFACT, kept.artifact("net").artifact_id)
    directory.set_organisation_role(kept.store, "local", "bob", Role.MEMBER)
    bob = kept.by("bob")
    for act in (
        lambda: place(bob, ScopeKind.ARTIFACT, row.target),
        lambda: holds.review(bob.store, row.hold_id, 7),
        lambda: holds.release(bob.store, row.hold_id),
    ):
        with pytest.raises(PermissionDeniedError):
            act()


def test_a_hold_says_when_to_look_at_it_again(kept: Scene) -> None:
    row = place(kept, ScopeKind.TEAM, kept.team.team_id)
    soon = kept.clock.now + DAY
    holds.review(kept.store, row.hold_id, soon)
    assert holds.hold(kept.views, row.hold_id).review_by == soon


def test_a_hold_that_makes_no_sense_is_refused(kept: Scene) -> None:
    with pytest.raises(InvalidValueError, match="names the tag"):
        place(kept, ScopeKind.TAG)
    with pytest.raises(InvalidValueError, match="needs a matter"):
        holds.place(kept.store, HoldKind.REGULATORY, ScopeKind.TEAM, kept.team.team_id, " ")
    with pytest.raises(NotFoundError, match="muniment hold list"):
        holds.release(kept.store, "0" * 32)


def test_what_a_hold_is_about_is_personal(kept: Scene) -> None:
    row = place(kept, ScopeKind.TEAM, kept.team.team_id)
    assert kept.store.vault.get_many([row.matter]) == {row.matter: MATTER}


def test_what_was_held_at_a_moment_can_be_asked(kept: Scene) -> None:
    before = kept.seq
    row = place(kept, ScopeKind.TEAM, kept.team.team_id)
    assert holds.on_version(kept.views, version(kept), before) == ()
    assert holds.on_version(kept.views, version(kept), kept.seq) == (row,)
