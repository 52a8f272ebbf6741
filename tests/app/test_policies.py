"""Policies say how long things in their scope are kept; shortening one takes two people, and the decision says why."""

from __future__ import annotations

import pytest
from attrs import evolve

from muniment.app import approvals, directory, lifecycle, policies, retention, runs
from muniment.app.collecting import collect
from muniment.domain.approval import Act
from muniment.domain.errors import (
    ApprovalNeededError,
    HeldError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
)
from muniment.domain.hold import ScopeKind
from muniment.domain.policy import DAY, SIX_MONTHS, Ending, Start, Terms
from muniment.domain.retention import Action
from muniment.domain.rows import PolicyRow
from muniment.domain.team import TtlSetters
from muniment.domain.values import Role, Ttl
from tests.app.scene import SECOND, Scene

WEEK = Terms(maximum=7 * DAY)


@pytest.fixture
def kept(scene: Scene) -> Scene:
    """Return a scene with a second admin and a version of a dataset."""
    directory.set_organisation_role(scene.store, "local", "ann", Role.ADMIN)
    scene.log("images", "one")
    return scene


def on_project(scene: Scene, terms: Terms, citation: str | None = None) -> PolicyRow:
    return policies.set_policy(scene.store, ScopeKind.PROJECT, scene.project.project_id, terms, citation=citation)


def why(scene: Scene, text: str = "images:v0") -> str:
    return retention.explain(scene.store, scene.find(text).version).why


def action(scene: Scene, text: str = "images:v0", *, after: int = 0) -> Action:
    return retention.explain(scene.store, scene.find(text).version, now=scene.clock.now + after).action


def test_what_a_policy_covers_expires_by_it_and_collecting_says_so(kept: Scene) -> None:
    row = on_project(kept, WEEK)
    kept.pass_time(7 * DAY + SECOND)
    assert [due.because for due in collect.plan(kept.store).due] == [f"policy {row.policy_id} of its project"]
    assert collect.act(kept.store).deleted == 1


def test_the_narrowest_scope_decides(kept: Scene) -> None:
    directory.set_ttl_policy(kept.store, "local", TtlSetters.MEMBERS, DAY)
    assert why(kept) == "the default TTL of its team"
    project = on_project(kept, WEEK)
    typed = policies.set_policy(
        kept.store, ScopeKind.TYPE, kept.project.project_id, Terms(maximum=9 * DAY), type_="dataset"
    )
    assert why(kept) == f"policy {typed.policy_id} of its type"
    kept.log("net", "two", type_="model")
    assert why(kept, "net") == f"policy {project.policy_id} of its project"
    kept.edit("images:v0", ttl=Ttl.after(3 * DAY))
    assert why(kept) == "its own TTL"


def test_a_policy_of_a_collection_concerns_what_is_linked_there(kept: Scene) -> None:
    kept.log("net", "two", type_="model")
    found = kept.link("net", "model/best")
    assert found.collection is not None
    policies.set_policy(kept.store, ScopeKind.COLLECTION, found.collection.collection_id, Terms(minimum=30 * DAY))
    decision = retention.explain(kept.store, kept.find("net").version)
    assert decision.not_before == kept.find("net").version.created_at + 30 * DAY


def test_the_last_versions_are_kept_and_the_others_go(kept: Scene) -> None:
    on_project(kept, Terms(keep_last=2))
    assert action(kept, after=999 * DAY) is Action.KEEP
    for content in ("two", "three"):
        kept.log("images", content)
    assert [action(kept, f"images:v{index}", after=SECOND) for index in range(3)] == [
        Action.DELETE,
        Action.KEEP,
        Action.KEEP,
    ]


def test_a_period_can_begin_with_the_last_use(kept: Scene) -> None:
    on_project(kept, Terms(Start.LAST_USED, maximum=7 * DAY))
    kept.pass_time(5 * DAY)
    runs.use(kept.store, kept.find("images:v0").version.version_id, None)
    assert action(kept, after=6 * DAY) is Action.KEEP
    assert action(kept, after=8 * DAY) is Action.DELETE


def test_a_period_can_begin_when_a_newer_version_is_made(kept: Scene) -> None:
    on_project(kept, Terms(Start.SUPERSEDED, maximum=7 * DAY))
    kept.pass_time(50 * DAY)
    assert action(kept) is Action.KEEP
    kept.log("images", "two")
    assert action(kept) is Action.KEEP
    assert action(kept, after=8 * DAY) is Action.DELETE


def test_a_period_can_begin_with_unlinking(kept: Scene) -> None:
    on_project(kept, Terms(Start.UNLINKED, maximum=7 * DAY))
    kept.link("images", "dataset/shared")
    kept.pass_time(50 * DAY)
    kept.unlink("dataset/shared")
    assert action(kept, after=6 * DAY) is Action.KEEP
    assert action(kept, after=8 * DAY) is Action.DELETE


def test_a_minimum_refuses_deletion_and_says_by_which_law(kept: Scene) -> None:
    on_project(kept, Terms(minimum=SIX_MONTHS), "AI Act Art. 19")
    with pytest.raises(HeldError, match=r"keeps it for a minimum \(AI Act Art\. 19\)"):
        kept.delete("images:v0", delete_aliases=True)
    kept.pass_time(SIX_MONTHS + SECOND)
    kept.delete("images:v0", delete_aliases=True)


def test_what_was_deleted_before_is_not_purged_before_its_minimum(kept: Scene) -> None:
    kept.delete("images:v0", delete_aliases=True)
    on_project(kept, Terms(minimum=60 * DAY))
    kept.pass_time(59 * DAY)
    assert collect.act(kept.store).purged == 0
    kept.pass_time(DAY + SECOND)
    assert collect.act(kept.store).purged == 1


def test_what_is_to_be_reviewed_is_not_deleted(kept: Scene) -> None:
    on_project(kept, Terms(maximum=DAY, ending=Ending.REVIEW))
    assert action(kept, after=2 * DAY) is Action.REVIEW
    kept.pass_time(2 * DAY)
    assert collect.act(kept.store).deleted == 0


def test_shortening_takes_two_people_and_extending_one(kept: Scene) -> None:
    row = on_project(kept, WEEK)
    longer = on_project(kept, Terms(maximum=9 * DAY))
    assert longer.policy_id == row.policy_id
    with pytest.raises(ApprovalNeededError, match="shorten-retention of"):
        on_project(kept, Terms(maximum=2 * DAY))
    approvals.approve(kept.by("ann").store, approvals.propose(kept.store, Act.SHORTEN_RETENTION, row.policy_id))
    assert on_project(kept, Terms(maximum=2 * DAY)).maximum == 2 * DAY


def test_giving_up_a_minimum_takes_two_people(kept: Scene) -> None:
    row = on_project(kept, Terms(minimum=DAY))
    with pytest.raises(ApprovalNeededError):
        policies.remove_policy(kept.store, row.policy_id)
    approvals.approve(kept.by("ann").store, approvals.propose(kept.store, Act.SHORTEN_RETENTION, row.policy_id))
    policies.remove_policy(kept.store, row.policy_id)
    assert policies.of_scope(kept.views, ScopeKind.PROJECT, kept.project.project_id) == []
    with pytest.raises(NotFoundError, match="muniment retention list"):
        policies.remove_policy(kept.store, row.policy_id)


def test_a_floor_of_the_law_cannot_be_undercut(kept: Scene) -> None:
    with pytest.raises(InvalidValueError, match=r"AI Act Art\. 19 asks for a minimum of 184 days"):
        on_project(kept, Terms(minimum=100 * DAY), "AI Act Art. 19")


def test_only_admins_set_policies(kept: Scene) -> None:
    directory.set_organisation_role(kept.store, "local", "bob", Role.MEMBER)
    with pytest.raises(PermissionDeniedError):
        on_project(kept.by("bob"), WEEK)


def test_what_was_decided_at_a_moment_can_be_asked(kept: Scene) -> None:
    before = kept.seq
    on_project(kept, WEEK)
    version = kept.find("images:v0").version
    assert retention.explain(kept.store, version, before).why == "nobody set a TTL"
    assert retention.explain(kept.store, version, kept.seq).why.startswith("policy ")


def test_versions_of_a_deleted_artifact_still_have_their_minimum(kept: Scene) -> None:
    kept.log("later", "two")
    elsewhere = evolve(kept, project_name="elsewhere")
    directory.create_project(kept.store, "local", "elsewhere")
    elsewhere.log("gone", "three")
    lifecycle.delete_artifact(kept.store, elsewhere.artifact("gone"), kept.team)
    policies.set_policy(kept.store, ScopeKind.TEAM, kept.team.team_id, Terms(minimum=60 * DAY))
    kept.pass_time(59 * DAY)
    assert collect.act(kept.store).deleted == 0
    kept.pass_time(DAY + SECOND)
    assert collect.act(kept.store).deleted == 1
