"""A clock that jumped makes nothing go: grace periods count again from there, or another admin approves."""

from __future__ import annotations

import pytest

from muniment.app import approvals, directory, retention
from muniment.domain.errors import PermissionDeniedError
from muniment.domain.policy import DAY
from muniment.domain.retention import SKEW
from muniment.domain.values import Role
from tests.app.scene import SECOND, Scene


@pytest.fixture
def running(scene: Scene) -> Scene:
    """Return a scene with two admins in which something happened each day for two weeks."""
    directory.set_organisation_role(scene.store, "local", "ann", Role.ADMIN)
    for day in range(14):
        scene.clock.now += DAY
        scene.log("images", f"day {day}")
    return scene


def proposals(scene: Scene) -> list[str]:
    return [row.proposal_id for row in approvals.listed(scene.views, scene.clock.now)]


@pytest.mark.parametrize("passed", [0, SECOND, 6 * DAY, -SKEW // 2])
def test_a_clock_that_goes_on_in_small_steps_is_sound(running: Scene, passed: int) -> None:
    running.clock.now += passed
    assert retention.clock_guard(running.store) is None
    assert proposals(running) == []


@pytest.mark.parametrize(
    ("jump", "why"),
    [(3653 * DAY, "days ahead of the last event"), (-3600 * SECOND, "s behind the last event"), (8 * DAY, "8.0 days")],
)
def test_a_clock_that_jumped_proposes_to_purge_all_the_same(running: Scene, jump: int, why: str) -> None:
    running.clock.now += jump
    assert why in str(retention.clock_doubt(running.store))
    assert proposals(running) == []
    said = retention.clock_guard(running.store)
    (waiting,) = proposals(running)
    assert why in str(said)
    assert f"muniment approval approve {waiting}" in str(said)
    assert waiting in str(retention.clock_guard(running.store)), "it is proposed once"
    with pytest.raises(PermissionDeniedError):
        approvals.approve(running.store, waiting)
    approvals.approve(running.by("ann").store, waiting)
    assert retention.clock_guard(running.store) is None
    assert retention.clock_guard(running.store) is not None, "the approval was used up"


def test_an_event_after_the_jump_does_not_make_the_clock_sound_but_a_grace_period_does(running: Scene) -> None:
    running.clock.now += 3653 * DAY
    running.log("images", "after the jump")
    assert "nothing was recorded for 3,653.0 days" in str(retention.clock_guard(running.store))
    for day in range(6):
        running.clock.now += DAY
        running.log("images", f"later {day}")
    assert retention.clock_doubt(running.store) is not None
    running.clock.now += running.store.config.grace - 6 * DAY
    assert retention.clock_doubt(running.store) is None


def test_a_store_that_is_younger_than_a_grace_period_is_sound(scene: Scene) -> None:
    assert retention.clock_doubt(scene.store) is None


def test_only_an_admin_may_use_the_approval(running: Scene) -> None:
    directory.set_organisation_role(running.store, "local", "bob", Role.MEMBER)
    running.clock.now += 99 * DAY
    with pytest.raises(PermissionDeniedError):
        retention.clock_guard(running.by("bob").store)
    retention.clock_guard(running.store)
    approvals.approve(running.by("ann").store, proposals(running)[0])
    with pytest.raises(PermissionDeniedError):
        retention.clock_guard(running.by("bob").store)
    assert retention.clock_guard(running.store) is None
