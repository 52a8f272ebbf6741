"""Four eyes: what one person proposes another must approve, once, for exactly this act and target."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.approval import (
    APPROVAL,
    LASTS,
    Act,
    Approved,
    CarriedOut,
    Proposal,
    Proposed,
    Stage,
    Withdrawn,
    approve,
    carry_out,
    propose,
    withdraw,
)
from muniment.domain.errors import ApprovalNeededError, InvalidValueError, NotFoundError, PermissionDeniedError
from muniment.domain.values import PrincipalId
from tests import decisions
from tests.decisions import act, attempt
from tests.spec import Spec

ANN, BOB, BOT = PrincipalId("ann"), PrincipalId("bob"), PrincipalId("bot")
HOLD = "h" * 32
ASKED = Proposed(Act.RELEASE_HOLD, HOLD, (ANN,), expires_at=LASTS)
proposal = Spec(APPROVAL)


def test_one_person_proposes_another_approves_and_it_is_carried_out_once() -> None:
    proposal.when(propose, ASKED).then(ASKED)
    proposal.given(ASKED).when(approve, (BOB,), now=1).then(Approved((BOB,)))
    proposal.given(ASKED, Approved((BOB,))).when(carry_out, Act.RELEASE_HOLD, HOLD, now=1).then(CarriedOut())
    done = proposal.given(ASKED, Approved((BOB,)), CarriedOut())
    done.when(carry_out, Act.RELEASE_HOLD, HOLD, now=1).then_raises(ApprovalNeededError, "nobody approved it")


def test_proposing_and_approving_again_change_nothing() -> None:
    proposal.given(ASKED).when(propose, ASKED).then_nothing()
    proposal.given(ASKED, Approved((BOB,))).when(approve, (BOB,), now=1).then_nothing()


def test_a_proposal_needs_somebody_who_makes_it() -> None:
    proposal.when(propose, Proposed(Act.ERASE, HOLD, (), LASTS)).then_raises(InvalidValueError, "somebody who makes it")


def test_nobody_approves_what_they_proposed_themselves() -> None:
    proposal.given(ASKED).when(approve, (ANN,), now=1).then_raises(PermissionDeniedError, "ask another admin")
    proposal.given(ASKED).when(approve, (), now=1).then_raises(PermissionDeniedError)


def test_acting_through_a_service_makes_nobody_another_person() -> None:
    proposal.given(ASKED).when(approve, (BOT, ANN), now=1).then_raises(PermissionDeniedError)
    through = Proposed(Act.ERASE, HOLD, (BOT, ANN), LASTS)
    proposal.given(through).when(approve, (ANN,), now=1).then_raises(PermissionDeniedError)
    proposal.given(through).when(approve, (BOT, BOB), now=1).then_raises(PermissionDeniedError)


def test_an_approval_counts_for_its_act_and_target_only() -> None:
    approved = proposal.given(ASKED, Approved((BOB,)))
    approved.when(carry_out, Act.ERASE, HOLD, now=1).then_raises(ApprovalNeededError, "erase of h+ takes two people")
    approved.when(carry_out, Act.RELEASE_HOLD, "other", now=1).then_raises(ApprovalNeededError)


def test_nothing_is_carried_out_that_was_only_proposed() -> None:
    proposal.when(carry_out, Act.ERASE, HOLD, now=1).then_raises(ApprovalNeededError)
    proposal.given(ASKED).when(carry_out, Act.RELEASE_HOLD, HOLD, now=1).then_raises(ApprovalNeededError)


def test_a_proposal_lasts_thirty_days() -> None:
    late = {"now": LASTS}
    proposal.given(ASKED).when(approve, (BOB,), **late).then_raises(InvalidValueError, "older than 30 days")
    approved = proposal.given(ASKED, Approved((BOB,)))
    approved.when(carry_out, Act.RELEASE_HOLD, HOLD, **late).then_raises(ApprovalNeededError, "older than 30 days")


def test_a_proposal_can_be_withdrawn_until_it_is_carried_out() -> None:
    proposal.given(ASKED).when(withdraw).then(Withdrawn())
    proposal.given(ASKED, Approved((BOB,))).when(withdraw).then(Withdrawn())
    gone = proposal.given(ASKED, Withdrawn())
    gone.when(withdraw).then_nothing()
    gone.when(approve, (BOB,), now=1).then_raises(InvalidValueError, "was withdrawn")
    proposal.given(ASKED, Approved((BOB,)), CarriedOut()).when(withdraw).then_raises(InvalidValueError)


def test_what_was_never_proposed_is_not_there() -> None:
    proposal.when(approve, (BOB,), now=1).then_raises(NotFoundError)
    proposal.when(withdraw).then_raises(NotFoundError)


PEOPLE = st.lists(st.sampled_from([ANN, BOB, BOT]), max_size=2).map(tuple)
ACTS = st.one_of(
    act(propose, st.builds(Proposed, st.sampled_from(Act), st.just(HOLD), PEOPLE, st.just(LASTS))),
    act(approve, PEOPLE, now=st.integers(0, 2 * LASTS)),
    act(withdraw),
    act(carry_out, st.sampled_from(Act), st.just(HOLD), now=st.integers(0, 2 * LASTS)),
)


@given(st.lists(ACTS, max_size=12))
def test_whatever_is_tried_nothing_is_carried_out_without_two_people(tried: list[decisions.Act]) -> None:
    state, happened = Proposal(), list[Any]()
    for each in tried:
        events = attempt(state, each)
        happened += events
        state = decisions.happen(APPROVAL, state, events)
    for number, event in enumerate(happened):
        if isinstance(event, CarriedOut):
            proposed = next(each for each in happened[:number] if isinstance(each, Proposed))
            approved = next(each for each in happened[:number] if isinstance(each, Approved))
            assert approved.by
            assert not set(proposed.by) & set(approved.by)
    assert sum(isinstance(event, CarriedOut) for event in happened) <= 1
    assert (state.stage is Stage.NONE) == (not happened)
