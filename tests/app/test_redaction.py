"""Redacting events takes two people, leaves the proofs valid and everything that reads working."""

from __future__ import annotations

import pytest

from muniment.app import approvals, directory, holds, redaction
from muniment.domain.approval import Act
from muniment.domain.errors import ApprovalNeededError, HeldError, InvalidValueError, PermissionDeniedError
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.values import ERASED, Role
from tests.app.scene import Scene


@pytest.fixture
def two(scene: Scene) -> Scene:
    """Return a scene with a second admin and a version whose aliases and tags somebody typed."""
    directory.set_organisation_role(scene.store, "local", "ann", Role.ADMIN)
    scene.log("john-doe", "one", "doe", tags=("doe",))
    return scene


def telling(scene: Scene) -> list[int]:
    """Return the events that have words."""
    every = range(1, scene.seq + 1)
    return [seq for seq in every if redaction.commitment(scene.store, seq) is not None]


def approve(scene: Scene, seqs: list[int]) -> None:
    id_ = approvals.propose(scene.store, Act.REDACT, redaction.target_of(seqs))
    approvals.approve(scene.by("ann").store, id_)


def test_words_go_once_two_people_agreed(two: Scene) -> None:
    seqs = [
        recorded.seq
        for recorded in two.store.ledger.read()
        if "doe" in str(getattr(recorded.event, "name", "")) + str(getattr(recorded.event, "alias", ""))
    ]
    with pytest.raises(ApprovalNeededError, match=r"redact of [0-9a-f]+ takes two people"):
        redaction.redact(two.store, seqs)
    approve(two, seqs)
    assert redaction.redact(two.store, seqs) == len(seqs) == 2
    assert redaction.redacted(two.store) == 2
    assert list(two.store.ledger.verify()) == []
    assert redaction.redact(two.store, seqs) == 0, "what is gone needs no approval to stay gone"


def test_everything_can_be_redacted_and_still_be_folded_and_checked(two: Scene) -> None:
    seqs = telling(two)
    roots = [two.store.ledger.root(size) for size in range(two.seq + 1)]
    approve(two, seqs)
    redaction.redact(two.store, seqs)
    assert [two.store.ledger.root(size) for size in range(len(roots))] == roots
    assert list(two.store.ledger.verify()) == []
    names = [recorded.event.name for recorded in two.store.ledger.read() if hasattr(recorded.event, "name")]
    assert set(names) == {ERASED}


def test_an_approval_is_for_one_set_of_events(two: Scene) -> None:
    seqs = telling(two)
    approve(two, seqs[:1])
    with pytest.raises(ApprovalNeededError):
        redaction.redact(two.store, seqs[:2])


def test_only_admins_redact(two: Scene) -> None:
    directory.set_organisation_role(two.store, "local", "bob", Role.MEMBER)
    with pytest.raises(PermissionDeniedError):
        redaction.redact(two.by("bob").store, telling(two))


def test_events_without_words_are_left_out(two: Scene) -> None:
    silent = sorted(set(range(1, two.seq + 1)) - set(telling(two)))
    assert redaction.redact(two.store, silent) == 0
    with pytest.raises(InvalidValueError, match="by their numbers"):
        redaction.target_of([])


def test_the_tag_that_a_hold_goes_by_stays_while_it_is_in_force(two: Scene) -> None:
    row = holds.place(two.store, HoldKind.LITIGATION, ScopeKind.TAG, "", "a case", tag="doe")
    placed = two.seq
    approve(two, [placed])
    with pytest.raises(HeldError, match=row.hold_id):
        redaction.redact(two.store, [placed])
    approvals.approve(two.by("ann").store, approvals.propose(two.store, Act.RELEASE_HOLD, row.hold_id))
    holds.release(two.store, row.hold_id)
    assert redaction.redact(two.store, [placed]) == 1


def test_what_a_held_version_says_stays(two: Scene) -> None:
    logged = two.log("other", "x", "alias")
    held = holds.place(two.store, HoldKind.LITIGATION, ScopeKind.VERSION, logged.version_id, "a case")
    seqs = [
        recorded.seq
        for recorded in two.store.ledger.read()
        if getattr(recorded.event, "to", getattr(recorded.event, "version_id", None)) == logged.version_id
        and redaction.commitment(two.store, recorded.seq) is not None
    ]
    for seq in seqs:
        approve(two, [seq])
        with pytest.raises(HeldError, match=held.hold_id):
            redaction.redact(two.store, [seq])
    assert len(seqs) >= 2


def test_a_hold_on_one_version_leaves_the_words_of_others_to_be_redacted(two: Scene) -> None:
    held, free = two.log("other", "x"), two.log("other", "y")
    holds.place(two.store, HoldKind.LITIGATION, ScopeKind.VERSION, held.version_id, "a case")
    seqs = [
        recorded.seq
        for recorded in two.store.ledger.read()
        if getattr(recorded.event, "version_id", None) == free.version_id
        and redaction.commitment(two.store, recorded.seq) is not None
    ]
    approve(two, seqs)
    assert redaction.redact(two.store, seqs) == len(seqs) > 0
