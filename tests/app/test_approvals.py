"""Two people agree before something is destroyed: one proposes, another approves, and the approval is used up."""

from __future__ import annotations

import pytest
from attrs import evolve

from muniment.app import approvals, directory
from muniment.app.transact import Request, Steps
from muniment.domain.approval import LASTS, Act
from muniment.domain.errors import ApprovalNeededError, NotFoundError, PermissionDeniedError
from muniment.domain.rows import ProposalRow
from muniment.domain.values import Role
from tests.app.scene import Scene

TARGET = "7" * 32


@pytest.fixture
def two(scene: Scene) -> Scene:
    """Return a scene with a second admin, ann."""
    directory.set_organisation_role(scene.store, "local", "ann", Role.ADMIN)
    return scene


def carry_out(scene: Scene, act: Act = Act.DESTROY_KEY, target: str = TARGET) -> None:
    def decide(steps: Steps) -> None:
        approvals.carry_out(steps, act, target)

    scene.store.transact(Request("do it", None, target), decide)


def test_what_one_admin_proposes_another_approves_and_it_is_done_once(two: Scene) -> None:
    id_ = approvals.propose(two.store, Act.DESTROY_KEY, TARGET, "she asked for it")
    assert approvals.approve(two.by("ann").store, id_).state == "approved"
    carry_out(two)
    assert two.views.find(ProposalRow, proposal_id=id_).state == "carried-out"  # type: ignore[union-attr]
    with pytest.raises(ApprovalNeededError, match="muniment approval propose destroy-key"):
        carry_out(two)


def test_the_reason_is_personal(two: Scene) -> None:
    id_ = approvals.propose(two.store, Act.DESTROY_KEY, TARGET, "she asked for it")
    row = approvals.proposal(two.views, id_)
    assert row.reason is not None
    assert two.store.vault.get_many([row.reason]) == {row.reason: "she asked for it"}


def test_until_another_admin_approves_the_error_says_how(two: Scene) -> None:
    with pytest.raises(ApprovalNeededError, match="takes two people — run: muniment approval propose destroy-key 7777"):
        carry_out(two)
    id_ = approvals.propose(two.store, Act.DESTROY_KEY, TARGET)
    with pytest.raises(ApprovalNeededError, match=f"another admin runs: muniment approval approve {id_}"):
        carry_out(two)


def test_nobody_approves_their_own_proposal_or_acts_for_the_proposer(two: Scene) -> None:
    id_ = approvals.propose(two.store, Act.DESTROY_KEY, TARGET)
    with pytest.raises(PermissionDeniedError, match="ask another admin"):
        approvals.approve(two.store, id_)
    ann = two.by("ann").store
    through = evolve(ann, context=evolve(ann.context, on_behalf_of=two.store.context.actor))
    with pytest.raises(PermissionDeniedError, match="ask another admin"):
        approvals.approve(through, id_)


def test_only_admins_propose_approve_and_withdraw(two: Scene) -> None:
    directory.set_organisation_role(two.store, "local", "bob", Role.MEMBER)
    bob = two.by("bob").store
    id_ = approvals.propose(two.store, Act.DESTROY_KEY, TARGET)
    for act in (
        lambda: approvals.propose(bob, Act.DESTROY_KEY, TARGET),
        lambda: approvals.approve(bob, id_),
        lambda: approvals.withdraw(bob, id_),
    ):
        with pytest.raises(PermissionDeniedError):
            act()


def test_an_approval_is_for_one_act_and_one_target(two: Scene) -> None:
    approvals.approve(two.by("ann").store, approvals.propose(two.store, Act.DESTROY_KEY, TARGET))
    with pytest.raises(ApprovalNeededError):
        carry_out(two, Act.REDACT)
    with pytest.raises(ApprovalNeededError):
        carry_out(two, target="8" * 32)


def test_a_proposal_is_withdrawn_or_grows_old(two: Scene) -> None:
    gone = approvals.propose(two.store, Act.DESTROY_KEY, TARGET)
    approvals.withdraw(two.by("ann").store, gone)
    old = approvals.propose(two.store, Act.DESTROY_KEY, TARGET)
    approvals.approve(two.by("ann").store, old)
    assert [row.proposal_id for row in approvals.listed(two.views, two.clock.now)] == [old]
    two.pass_time(2 * LASTS)
    assert approvals.listed(two.views, two.clock.now) == []
    assert len(approvals.listed(two.views, two.clock.now, everything=True)) == 2
    with pytest.raises(ApprovalNeededError, match="propose destroy-key"):
        carry_out(two)


def test_a_proposal_that_is_not_there_says_so(scene: Scene) -> None:
    with pytest.raises(NotFoundError, match="muniment approval list"):
        approvals.approve(scene.store, TARGET)


def test_where_there_is_one_admin_errors_say_how_to_add_another(scene: Scene) -> None:
    way_out = "add a second admin first: muniment org member local LOGIN admin"
    with pytest.raises(ApprovalNeededError, match=way_out):
        carry_out(scene)
    id_ = approvals.propose(scene.store, Act.DESTROY_KEY, TARGET)
    with pytest.raises(PermissionDeniedError, match=f"you are the only admin — {way_out}"):
        approvals.approve(scene.store, id_)
    directory.set_organisation_role(scene.store, "local", "ann", Role.ADMIN)
    for act in (lambda: carry_out(scene), lambda: approvals.approve(scene.store, id_)):
        with pytest.raises((ApprovalNeededError, PermissionDeniedError), match="another admin") as refused:
            act()
        assert "org member" not in str(refused.value)


@pytest.mark.parametrize("act", [Act.ERASE, Act.REFUSE_ERASURE])
def test_nobody_proposes_to_erase_by_a_request_that_is_not_there(two: Scene, act: Act) -> None:
    with pytest.raises(NotFoundError, match=f"there is no request {TARGET} — see: muniment request list"):
        approvals.propose(two.store, act, TARGET, "her name would be kept with nobody")
    assert approvals.listed(two.store.views, two.store.clock(), everything=True) == []
