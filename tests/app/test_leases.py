"""Leases: taking, renewing, spending and releasing them, and when they end by themselves."""

from __future__ import annotations

import pytest

from muniment.app import leases
from muniment.app.collecting import collect
from muniment.app.leases import LASTING, LEASE, Lease
from muniment.domain.errors import LeaseExpiredError
from tests.app.scene import SECOND, Scene


def running(scene: Scene) -> set[str]:
    return {id_ for id_, _ in scene.store.ledger.scratch.items(LEASE)}


def test_leases_are_apart_and_no_events(scene: Scene) -> None:
    seq = scene.seq
    one, two = leases.take(scene.store), leases.take(scene.store)
    assert running(scene) == {one.id, two.id}
    leases.release(scene.store, one)
    assert running(scene) == {two.id}
    assert scene.happened(seq) == []


def test_a_lease_ends_by_itself(scene: Scene) -> None:
    leases.take(scene.store)
    scene.pass_time(LASTING - SECOND)
    assert len(running(scene)) == 1
    scene.pass_time(2 * SECOND)
    assert running(scene) == set()


def test_a_renewed_lease_lasts_as_long_again_but_an_ended_one_does_not_come_back(scene: Scene) -> None:
    lease = leases.take(scene.store)
    for _ in range(3):
        scene.pass_time(LASTING - SECOND)
        leases.renew(scene.store, lease)
    scene.pass_time(LASTING + SECOND)
    with pytest.raises(LeaseExpiredError, match="log the artifact again"):
        leases.renew(scene.store, lease)
    assert running(scene) == set()


def test_a_lease_that_was_never_taken_is_none(scene: Scene) -> None:
    with pytest.raises(LeaseExpiredError):
        leases.renew(scene.store, Lease("0" * 32, 0))
    leases.release(scene.store, Lease("0" * 32, 0))


def test_a_renewed_lease_keeps_its_epoch(scene: Scene) -> None:
    lease = leases.take(scene.store)
    scene.bring({"a": "dead"})
    assert collect.act(scene.store).kept == 3
    leases.renew(scene.store, lease)
    assert [value["epoch"] for _, value in scene.store.ledger.scratch.items(LEASE)] == [lease.epoch]
    assert leases.take(scene.store).epoch == lease.epoch + 1
