"""How long versions live: who says so, who may, and what a link does to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from muniment.app import directory, holds, lifecycle, policies
from muniment.app.collecting import collect
from muniment.app.retention import Book
from muniment.domain.errors import InvalidValueError, PermissionDeniedError
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.policy import Ending, Terms
from muniment.domain.principal import Denied, access_stream
from muniment.domain.team import TtlSetters
from muniment.domain.values import INHERIT, NEVER, Role, Ttl
from tests.app.scene import DAY, SECOND, Scene

HOUR = 3600 * SECOND


@pytest.fixture
def three(scene: Scene) -> Scene:
    """Return a store with three versions of ``images``."""
    for text in ("one", "two", "three"):
        scene.log("images", text)
    return scene


def test_the_nearest_word_about_a_ttl_counts(three: Scene) -> None:
    artifact, created = three.artifact("images"), three.find("images:v0").version.created_at

    def expires() -> int | None:
        return lifecycle.expires_at(three.store, three.find("images:v0"))

    assert expires() is None
    directory.set_ttl_policy(three.store, "local", TtlSetters.MEMBERS, 9 * DAY)
    assert expires() == created + 9 * DAY
    lifecycle.set_artifact_ttl(three.store, artifact, three.team, Ttl.after(5 * DAY))
    assert expires() == created + 5 * DAY
    three.edit("images:v0", ttl=Ttl.after(SECOND // 2))
    assert expires() == created + SECOND // 2
    assert lifecycle.ttl_in_force(three.store, three.find("images:v0")) == Ttl.after(SECOND // 2)
    three.edit("images:v0", ttl=NEVER)
    assert expires() is None
    three.edit("images:v0", ttl=INHERIT)
    assert expires() == created + 5 * DAY
    lifecycle.set_artifact_ttl(three.store, artifact, three.team, NEVER)
    assert (expires(), lifecycle.ttl_in_force(three.store, three.find("images:v0"))) == (None, NEVER)
    lifecycle.set_artifact_ttl(three.store, artifact, three.team, INHERIT)
    assert expires() == created + 9 * DAY
    directory.set_ttl_policy(three.store, "local", TtlSetters.MEMBERS, None)
    assert expires() is None


def test_what_is_shown_of_a_ttl_is_what_collecting_does(three: Scene) -> None:
    lifecycle.set_artifact_ttl(three.store, three.artifact("images"), three.team, Ttl.after(3 * DAY))
    three.edit("images:v0", ttl=Ttl.after(2 * DAY))
    directory.set_ttl_policy(three.store, "local", TtlSetters.MEMBERS, DAY)
    for index in (0, 1):
        found = three.find(f"images:v{index}")
        due = Book(three.views, 0).decide(found.version, three.clock.now).due_at
        assert due == lifecycle.expires_at(three.store, found)


def test_what_is_shown_of_a_ttl_counts_links_holds_and_policies(three: Scene) -> None:
    three.edit("images:v0", ttl=Ttl.after(DAY))
    created = three.find("images:v0").version.created_at

    def shown() -> tuple[int | None, Ttl]:
        found = three.find("images:v0")
        at, ttl = lifecycle.expires_at(three.store, found), lifecycle.ttl_in_force(three.store, found)
        assert ttl == (NEVER if at is None else Ttl.after(at - created))
        due = {each.version_id for each in collect.plan(three.store).due}
        assert (found.version.version_id in due) == (at is not None and at <= three.clock.now)
        return at, ttl

    scope = ScopeKind.PROJECT, three.project.project_id
    assert shown() == (created + DAY, Ttl.after(DAY))
    policies.set_policy(three.store, *scope, Terms(minimum=9 * DAY))
    assert shown() == (created + 9 * DAY, Ttl.after(9 * DAY))
    seq = three.seq
    three.link("images:v0", "dataset/shared")
    assert shown() == (None, NEVER)
    assert lifecycle.expires_at(three.store, three.find("images:v0", seq), seq) == created + 9 * DAY
    three.pass_time(30 * DAY)
    three.unlink("dataset/shared")
    until = three.find("images:v0").version.unlinked_at
    assert shown()[0] == (until or 0) + three.store.config.grace
    three.pass_time(30 * DAY)
    assert shown()[0] is not None
    holds.place(three.store, HoldKind.LITIGATION, *scope, "a matter")
    assert shown() == (None, NEVER)


def test_what_is_only_to_be_reviewed_does_not_expire(three: Scene) -> None:
    terms = Terms(maximum=DAY, ending=Ending.REVIEW)
    policies.set_policy(three.store, ScopeKind.PROJECT, three.project.project_id, terms)
    assert lifecycle.expires_at(three.store, three.find("images:v0")) is None
    three.pass_time(9 * DAY)
    assert lifecycle.expires_at(three.store, three.find("images:v0")) is None


@pytest.mark.parametrize("micros", [0, -1, 10**20])
def test_a_ttl_that_is_none_is_refused(three: Scene, micros: int) -> None:
    with pytest.raises(InvalidValueError, match="TTL"):
        Ttl.after(micros)
    seq = three.seq
    with pytest.raises(InvalidValueError, match="TTL"):
        directory.set_ttl_policy(three.store, "local", TtlSetters.MEMBERS, micros)
    assert three.happened(seq) == ["Denied"]


def test_setting_the_ttl_that_is_there_is_no_event(three: Scene) -> None:
    three.log("images", "four", ttl=Ttl.after(HOUR))
    seq = three.seq
    three.edit("images:v3", ttl=Ttl.after(HOUR))
    three.edit("images:v0", ttl=INHERIT)
    assert three.happened(seq) == []


@pytest.mark.parametrize(
    ("setters", "role", "allowed"),
    [
        (TtlSetters.MEMBERS, Role.MEMBER, True),
        (TtlSetters.MEMBERS, Role.ADMIN, True),
        (TtlSetters.MEMBERS, Role.VIEWER, False),
        (TtlSetters.ADMINS, Role.MEMBER, False),
        (TtlSetters.ADMINS, Role.ADMIN, True),
        (TtlSetters.ADMINS, None, False),
    ],
)
def test_who_may_set_a_ttl_is_the_teams_policy_and_a_refusal_is_recorded(
    three: Scene, setters: TtlSetters, role: Role | None, *, allowed: bool
) -> None:
    directory.set_ttl_policy(three.store, "local", setters, None)
    bob = three.by("bob")
    directory.set_team_role(three.store, "local", "bob", role)
    target = three.find("images:v0").version.version_id
    acts: list[Callable[[], object]] = [
        lambda: bob.edit("images:v0", ttl=Ttl.after(HOUR)),
        lambda: lifecycle.set_artifact_ttl(bob.store, bob.artifact("images"), bob.team, Ttl.after(HOUR)),
        lambda: bob.log("images", "four", ttl=Ttl.after(HOUR)),
    ]
    for act in acts:
        if allowed:
            act()
            continue
        with pytest.raises(PermissionDeniedError, match="ask") as refused:
            act()
        assert isinstance(refused.value, PermissionError)
    stream = access_stream(bob.store.context.actor)
    denied = [each for each in three.store.ledger.read(stream=stream) if isinstance(each.event, Denied)]
    assert len(denied) == (0 if allowed else len(acts))
    assert all(each.outcome == "denied" and each.event.rule == "PermissionDeniedError" for each in denied)
    assert allowed or denied[0].event.target == target


def test_a_link_suspends_a_ttl_and_unlinking_brings_it_back(three: Scene) -> None:
    three.edit("images:v0", ttl=Ttl.after(DAY))
    three.link("images:v0", "dataset/shared")
    three.pass_time(30 * DAY)
    assert collect.act(three.store).deleted == 0
    assert three.find("images:v0").version.ttl_micros == DAY
    three.unlink("dataset/shared")
    assert collect.act(three.store).deleted == 0, "what was linked until now goes after a grace period"
    three.pass_time(three.store.config.grace)
    assert collect.act(three.store).deleted == 1
    assert three.indexes("images") == [1, 2]
