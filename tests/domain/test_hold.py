"""A hold is placed by one and counts at once; it is reviewed, and released."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.hold import (
    HOLD,
    Hold,
    HoldKind,
    HoldPlaced,
    HoldReleased,
    HoldReviewed,
    ScopeKind,
    place_hold,
    release_hold,
    review_hold,
)
from muniment.domain.values import Personal, SlotId
from tests import decisions
from tests.decisions import act, attempt, happen
from tests.spec import Spec

MATTER: Personal[str] = Personal(SlotId("slot"), "commit")
PLACED = HoldPlaced(HoldKind.LITIGATION, ScopeKind.PROJECT, "p" * 32, MATTER)
hold = Spec(HOLD)


def test_a_hold_is_placed_once_reviewed_and_released() -> None:
    hold.when(place_hold, PLACED).then(PLACED)
    hold.given(PLACED).when(place_hold, PLACED).then_nothing()
    hold.given(PLACED).when(review_hold, 7).then(HoldReviewed(7))
    hold.given(PLACED, HoldReviewed(7)).when(review_hold, 7).then_nothing()
    hold.given(PLACED).when(release_hold, MATTER).then(HoldReleased(MATTER))
    hold.given(PLACED, HoldReleased()).when(release_hold).then_nothing()


def test_a_hold_is_placed_on_things_not_on_a_type() -> None:
    typed = HoldPlaced(HoldKind.REGULATORY, ScopeKind.TYPE, "", MATTER)
    hold.when(place_hold, typed).then_raises(InvalidValueError, "cannot be placed on a type")


def test_what_was_never_placed_cannot_be_reviewed_or_released() -> None:
    hold.when(review_hold, 7).then_raises(NotFoundError)
    hold.when(release_hold).then_raises(NotFoundError, "muniment hold list")


ACTS = st.one_of(
    act(place_hold, st.just(PLACED)),
    act(review_hold, st.none() | st.integers(0, 9)),
    act(release_hold, st.none() | st.just(MATTER)),
)


@given(st.lists(ACTS, max_size=10))
def test_a_released_hold_stays_released(tried: list[decisions.Act]) -> None:
    state, happened = Hold(), list[Any]()
    for each in tried:
        events = attempt(state, each)
        happened += events
        state = happen(HOLD, state, events)
    assert sum(isinstance(event, HoldReleased) for event in happened) <= 1
    assert state.released == any(isinstance(event, HoldReleased) for event in happened)
