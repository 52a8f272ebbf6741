"""A policy can be tried without being set, and one TTL set for a whole lineage."""

from __future__ import annotations

import pytest
from attrs import evolve

from muniment.app import approvals, directory, holds, lineage_ttl, policies, previews, runs
from muniment.domain.approval import Act
from muniment.domain.errors import InvalidValueError, NotFoundError, PermissionDeniedError
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.policy import DAY, PolicySet, Start, Terms
from muniment.domain.rows import PolicyRow
from muniment.domain.team import TtlSetters
from muniment.domain.values import Role, RunId, Ttl
from tests.app.scene import Scene

WEEK = Terms(maximum=7 * DAY)
MONTH = Terms(maximum=30 * DAY)
LEAST = Terms(minimum=DAY, maximum=30 * DAY)


def wanted(scene: Scene, terms: Terms, citation: str | None = None) -> PolicySet:
    return PolicySet(
        ScopeKind.PROJECT, scene.project.project_id, terms, statutory=citation is not None, citation=citation
    )


@pytest.fixture
def two(scene: Scene) -> Scene:
    scene.log("images", "one")
    scene.log("images", "two", ttl=Ttl.after(DAY))
    return scene


def tried(scene: Scene, terms: Terms) -> list[tuple[int, int | None, int | None]]:
    """Return the versions that would go at another time, and how long they live now and would."""
    differences = list(previews.of_policy(scene.store, wanted(scene, terms)).differences)
    return [
        (
            each.version.index,
            each.before.due_at and each.before.due_at - each.version.created_at,
            each.after.due_at and each.after.due_at - each.version.created_at,
        )
        for each in differences
    ]


def test_a_policy_that_is_tried_shows_what_it_would_do_and_does_nothing(two: Scene) -> None:
    seq = two.seq
    assert tried(two, WEEK) == [(0, None, 7 * DAY)], "the other one has its own TTL"
    assert tried(two, MONTH) == [(0, None, 30 * DAY)]
    assert tried(two, Terms(minimum=9 * DAY)) == [(0, None, None), (1, DAY, 9 * DAY)]
    assert two.happened(seq) == []
    policies.set_policy(two.store, ScopeKind.PROJECT, two.project.project_id, MONTH)
    assert tried(two, MONTH) == []
    assert tried(two, WEEK) == [(0, 30 * DAY, 7 * DAY)], "it is instead of the one with its scope and start"
    superseded = two.find("images:v1").version.created_at - two.find("images:v0").version.created_at
    assert tried(two, Terms(Start.SUPERSEDED, maximum=DAY)) == [(0, 30 * DAY, superseded + DAY)]


def test_what_is_tried_says_what_it_would_do_and_what_is_needed_for_it(two: Scene) -> None:
    row = policies.set_policy(two.store, ScopeKind.PROJECT, two.project.project_id, LEAST)
    shorter = previews.of_policy(two.store, wanted(two, WEEK))
    assert f"muniment approval propose shorten-retention {row.policy_id}" in str(shorter.needs)
    removal = previews.of_removal(two.store, row.policy_id)
    assert [(each.version.index, each.after.not_before) for each in removal.differences] == [(0, None), (1, None)]
    assert removal.needs is not None
    assert previews.of_policy(two.store, wanted(two, evolve(LEAST, maximum=40 * DAY))).needs is None
    with pytest.raises(NotFoundError):
        previews.of_removal(two.store, "7" * 32)


def test_what_may_not_be_set_is_not_tried(two: Scene) -> None:
    with pytest.raises(InvalidValueError, match="AI Act"):
        previews.of_policy(two.store, wanted(two, MONTH, "AI Act Art. 19"))
    directory.set_organisation_role(two.store, "local", "bob", Role.MEMBER)
    with pytest.raises(PermissionDeniedError):
        previews.of_policy(two.by("bob").store, wanted(two, MONTH))


def test_it_is_what_setting_it_then_does(two: Scene) -> None:
    directory.set_organisation_role(two.store, "local", "ann", Role.ADMIN)
    holds.place(two.store, HoldKind.LITIGATION, ScopeKind.VERSION, two.find("images:v1").version.version_id, "a matter")
    expected = tried(two, WEEK)
    row = policies.set_policy(two.store, ScopeKind.PROJECT, two.project.project_id, WEEK)
    back = list(previews.of_removal(two.store, row.policy_id).differences)
    assert [(each.version.index, each.before.due_at) for each in back] == [
        (index, two.find(f"images:v{index}").version.created_at + (after or 0)) for index, _, after in expected
    ]
    approvals.approve(two.by("ann").store, approvals.propose(two.store, Act.SHORTEN_RETENTION, row.policy_id))
    assert previews.of_removal(two.store, row.policy_id).needs is None
    assert two.views.find(PolicyRow, policy_id=row.policy_id) == row


# --- a whole lineage -------------------------------------------------------------------------------------------------


@pytest.fixture
def chain(scene: Scene) -> Scene:
    """Return raw → clean → net, each made in a run from the one before, and one that is apart."""
    scene.log("raw", "raw")
    scene.log("apart", "apart")
    for source, target in (("raw", "clean"), ("clean", "net")):
        run = scene.run(target)
        runs.use(scene.store, scene.find(source).version.version_id, RunId(run.run_id))
        scene.log(target, target, run=run)
    return scene


def ttls(scene: Scene) -> dict[str, int | None]:
    return {name: scene.find(name).version.ttl_micros for name in ("raw", "clean", "net", "apart")}


@pytest.mark.parametrize(
    ("direction", "depth", "changed"),
    [("up", None, ["clean", "raw"]), ("down", None, ["clean", "net"]), ("up", 1, ["clean"])],
)
def test_a_ttl_is_set_up_or_down_a_lineage(chain: Scene, direction: str, depth: int | None, changed: list[str]) -> None:
    seq, ttl = chain.seq, Ttl.after(DAY)
    shown = [each.version for each in lineage_ttl.tried(chain.store, chain.find("clean"), ttl, direction, depth)]
    assert chain.happened(seq) == []
    found = lineage_ttl.set_ttl(chain.store, chain.find("clean"), ttl, direction, depth)
    assert [each.artifact.name for each in found] == changed
    assert [each.version_id for each in shown] == [each.version.version_id for each in found]
    assert ttls(chain) == {name: DAY if name in changed else None for name in ttls(chain)}
    assert chain.happened(seq) == ["TtlSet"] * len(changed)
    assert len({each.command for each in chain.since(seq)}) == 1


def test_a_lineage_is_set_as_a_whole_or_not_at_all(chain: Scene) -> None:
    directory.create_team(chain.store, "others")
    directory.create_project(chain.store, "others", "theirs")
    theirs = evolve(chain, team_name="others", project_name="theirs")
    run = theirs.run("their")
    runs.use(chain.store, chain.find("raw").version.version_id, RunId(run.run_id))
    theirs.log("net", "theirs", run=run)
    directory.set_ttl_policy(chain.store, "others", TtlSetters.ADMINS, None)
    directory.set_team_role(chain.store, "local", "bob", Role.MEMBER)
    directory.set_team_role(chain.store, "others", "bob", Role.MEMBER)
    with pytest.raises(PermissionDeniedError):
        lineage_ttl.set_ttl(chain.by("bob").store, chain.find("raw"), Ttl.after(DAY), "down")
    assert set(ttls(chain).values()) == {None}
    assert theirs.find("net").version.ttl_micros is None


def test_what_was_deleted_is_left_out(chain: Scene) -> None:
    chain.delete("clean:v0", delete_aliases=True)
    found = lineage_ttl.set_ttl(chain.store, chain.find("raw"), Ttl.after(DAY), "down")
    assert [each.artifact.name for each in found] == ["raw", "net"]


def test_a_lineage_that_is_too_large_is_refused_unless_steps_are_given(
    chain: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muniment.app.telling.lineage.DEPTH", 1)
    with pytest.raises(InvalidValueError, match="say how many steps to go"):
        lineage_ttl.set_ttl(chain.store, chain.find("net"), Ttl.after(DAY), "up")
    assert ttls(chain)["net"] is None
    lineage_ttl.set_ttl(chain.store, chain.find("net"), Ttl.after(DAY), "up", 2)
    assert (ttls(chain)["net"], ttls(chain)["clean"]) == (DAY, DAY)
