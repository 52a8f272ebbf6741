"""What decides about versions: rules of every scope, links and what ended them, and the same answer for one or many."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from muniment.app import directory, holds, policies, registries, retention
from muniment.app.collecting import collect
from muniment.app.retention import Book
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.policy import DAY, Start, Terms
from muniment.domain.retention import Action, Decision, Erasure, decide
from muniment.domain.rows import CollectionRow, RegistryRow, VersionRow
from muniment.domain.values import Role, Ttl
from tests.app.scene import SECOND, Scene

WEEK = Terms(maximum=7 * DAY)
NOBODY = "7" * 32


@pytest.fixture
def linked(scene: Scene) -> Scene:
    """Return a scene with a version that would expire after a day, and is linked."""
    directory.set_organisation_role(scene.store, "local", "ann", Role.ADMIN)
    registries.create(scene.store, "local", "shelf")
    scene.log("images", "one", ttl=Ttl.after(DAY))
    scene.link("images:v0", "shelf/best")
    return scene


def decision(scene: Scene, text: str = "images:v0", *, after: int = 0) -> Decision:
    return retention.explain(scene.store, scene.find(text).version, now=scene.clock.now + after)


def shelf(scene: Scene) -> tuple[RegistryRow, CollectionRow]:
    found = scene.linked("shelf/best:v0")
    assert found.registry is not None
    assert found.collection is not None
    return found.registry, found.collection


def versions(scene: Scene) -> list[VersionRow]:
    return scene.views.select(VersionRow, artifact_id=scene.artifact("images").artifact_id, order="index")


# --- what held a version ---------------------------------------------------------------------------------------------

ENDS: dict[str, Callable[[Scene], None]] = {
    "unlinked": lambda scene: scene.unlink("shelf/best:v0"),
    "collection deleted": lambda scene: registries.delete_collection(scene.store, shelf(scene)[1]),
    "registry deleted": lambda scene: registries.delete(scene.store, shelf(scene)[0]),
}


@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_a_link_the_old_end_comes_back_after_a_grace_period(linked: Scene, end: str) -> None:
    linked.pass_time(30 * DAY)
    assert decision(linked).because[0].rule == "P5"
    ENDS[end](linked)
    ended = linked.clock.now
    found = decision(linked)
    assert (found.action, [reason.rule for reason in found.because]) == (Action.KEEP, ["P6", "P5"])
    assert ended - SECOND < (found.due_at or 0) - linked.store.config.grace <= ended
    assert decision(linked, after=linked.store.config.grace).action is Action.DELETE


@pytest.mark.parametrize("end", ENDS)
def test_a_period_that_begins_when_it_is_linked_no_more_begins_with_whatever_ended_it(linked: Scene, end: str) -> None:
    linked.edit("images:v0", ttl=Ttl.after(900 * DAY))
    policies.set_policy(
        linked.store, ScopeKind.VERSION, versions(linked)[0].version_id, Terms(Start.UNLINKED, maximum=9 * DAY)
    )
    linked.pass_time(30 * DAY)
    ENDS[end](linked)
    assert decision(linked, after=9 * DAY - SECOND).action is Action.KEEP
    assert decision(linked, after=9 * DAY).action is Action.DELETE


def test_a_link_that_stays_holds_it_when_another_ends(linked: Scene) -> None:
    linked.link("images:v0", "dataset/other")
    linked.pass_time(30 * DAY)
    registries.delete(linked.store, shelf(linked)[0])
    assert decision(linked, after=900 * DAY).why == "it is held by dataset/other:v0, which suspends its expiry"


def test_the_last_end_counts_and_rows_made_again_know_it(linked: Scene) -> None:
    linked.link("images:v0", "dataset/other")
    linked.pass_time(30 * DAY)
    registries.delete_collection(linked.store, shelf(linked)[1])
    linked.pass_time(3 * DAY)
    linked.unlink("dataset/other:v0")
    due = decision(linked).due_at
    assert due is not None
    assert due >= linked.clock.now + linked.store.config.grace - SECOND
    linked.store.ledger.rebuild()
    assert decision(linked).due_at == due


def test_a_version_under_a_protected_alias_is_kept_unless_its_erasure_was_approved_and_a_hold_keeps_it_even_then(
    linked: Scene,
) -> None:
    registries.protect(linked.store, linked.registry("shelf"), ["prod"])
    linked.edit("wandb-registry-shelf/best:v0", add_aliases=("prod",))
    linked.pass_time(30 * DAY)
    assert decision(linked).because[0].rule == "P5"
    version = versions(linked)[0]
    book = retention.book(linked.store)
    asked = [Erasure("request", linked.clock.now)]
    rules = tuple(book.rules(version))
    erased = decide(book.facts(version, rules), rules, (), asked, linked.clock.now)
    assert (erased.action, erased.because[0].rule) == (Action.ERASE, "P2")
    hold = holds.place(linked.store, HoldKind.LITIGATION, ScopeKind.VERSION, version.version_id, "a matter")
    held = decide(book.facts(version, rules), rules, [hold.hold_id], asked, linked.clock.now)
    assert (held.action, held.because[0].rule) == (Action.KEEP, "P0")


# --- policies for a type ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [ScopeKind.PROJECT, ScopeKind.TEAM, ScopeKind.ORGANISATION])
def test_a_policy_for_a_type_covers_that_type_in_its_project_team_or_organisation(
    scene: Scene, scope: ScopeKind
) -> None:
    target = {
        ScopeKind.PROJECT: scene.project.project_id,
        ScopeKind.TEAM: scene.team.team_id,
        ScopeKind.ORGANISATION: scene.store.context.organisation,
    }[scope]
    scene.log("images", "one")
    scene.log("net", "two", type_="model")
    directory.create_project(scene.store, "local", "elsewhere")
    elsewhere = evolve(scene, project_name="elsewhere")
    elsewhere.log("images", "one")
    row = policies.set_policy(scene.store, ScopeKind.TYPE, target, WEEK, type_="dataset")
    assert decision(scene).why == f"policy {row.policy_id} of its type"
    assert decision(scene, "net:v0").why == "nobody set a TTL"
    covered = scope is not ScopeKind.PROJECT
    assert (decision(elsewhere).why != "nobody set a TTL") is covered


@pytest.mark.parametrize("scope", sorted(set(ScopeKind) - {ScopeKind.TAG}, key=str))
def test_a_scope_that_is_not_there_is_refused(scene: Scene, scope: ScopeKind) -> None:
    if scope is not ScopeKind.TYPE:
        with pytest.raises(NotFoundError, match=f"there is no {scope.value} with the id 7777"):
            holds.place(scene.store, HoldKind.LITIGATION, scope, NOBODY, "a matter")
    if scope not in {ScopeKind.SUBJECT, ScopeKind.REGISTRY}:
        with pytest.raises((NotFoundError, InvalidValueError), match="with the id 7777"):
            policies.set_policy(scene.store, scope, NOBODY, WEEK, type_="dataset" if scope is ScopeKind.TYPE else None)


def test_a_policy_for_a_type_is_not_set_on_an_artifact(scene: Scene) -> None:
    scene.log("images", "one")
    with pytest.raises(InvalidValueError, match="there is no project, team or organisation"):
        policies.set_policy(scene.store, ScopeKind.TYPE, scene.artifact("images").artifact_id, WEEK, type_="dataset")


def test_what_was_deleted_can_still_be_held(scene: Scene) -> None:
    scene.log("images", "one")
    version = scene.delete("images:v0", delete_aliases=True).version
    held = holds.place(scene.store, HoldKind.LITIGATION, ScopeKind.VERSION, version.version_id, "a matter")
    assert holds.on_version(scene.views, scene.version(version.version_id)) == (held,)


# --- one or many -----------------------------------------------------------------------------------------------------


def test_a_wide_book_decides_as_a_narrow_one_and_collecting_asks_it(linked: Scene) -> None:
    for content in ("two", "three", "four"):
        linked.log("images", content, ttl=Ttl.after(DAY))
    linked.link("images:v2", "dataset/other")
    holds.place(linked.store, HoldKind.LITIGATION, ScopeKind.VERSION, versions(linked)[3].version_id, "a matter")
    registries.delete(linked.store, shelf(linked)[0])
    linked.delete("images:v1", delete_aliases=True)
    policies.set_policy(
        linked.store, ScopeKind.PROJECT, linked.project.project_id, Terms(Start.SUPERSEDED, minimum=DAY, keep_last=2)
    )
    linked.pass_time(30 * DAY)
    narrow, wide = Book(linked.views, DAY), Book(linked.views, DAY, wide=True)
    now = linked.clock.now
    decided = [narrow.decide(version, now) for version in versions(linked)]
    assert [wide.decide(version, now) for version in versions(linked)] == decided
    removing = [each if each.action in retention.REMOVING else None for each in decided]
    assert [wide.due(version, now) for version in versions(linked)] == removing
    assert any(removing)
    assert not all(removing)
    assert {due.version_id: due.because for due in collect.plan(linked.store).due} == {
        version.version_id: found.why for version, found in retention.due(linked.store, now)
    }
