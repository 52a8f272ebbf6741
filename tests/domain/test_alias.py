"""An alias points at one version at a time; ``latest`` is put by hand only until the next version is made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.alias import (
    ALIAS,
    ANYWHERE,
    LATEST_SLOT,
    AliasMoved,
    AliasRemoved,
    AliasSlot,
    LatestMoved,
    LatestRemoved,
    LatestSlot,
    move_alias,
    move_latest,
    remove_alias,
    remove_latest,
)
from muniment.domain.errors import AliasMovedMeanwhileError, AliasProtectedError
from muniment.domain.values import ERASED, Role, VersionId
from tests.decisions import Act, act, attempt, happen
from tests.spec import Spec

A, B = VersionId("a" * 32), VersionId("b" * 32)
FIRST = AliasMoved(A, None, "production")
alias = Spec(ALIAS)
latest = Spec(LATEST_SLOT)
WEAK = [role for role in Role if role is not Role.ADMIN]


def test_an_alias_points_somewhere_and_its_first_event_names_it() -> None:
    assert alias.when(move_alias, "production", A).then(FIRST) == AliasSlot(A, named=True)


def test_an_alias_moves_and_is_not_named_again() -> None:
    assert alias.given(FIRST).when(move_alias, "production", B).then(AliasMoved(B, A)).target == B


def test_an_alias_that_points_there_stays() -> None:
    alias.given(FIRST).when(move_alias, "production", A).then_nothing()


def test_an_alias_is_removed_once() -> None:
    assert alias.given(FIRST).when(remove_alias, "production").then(AliasRemoved(A)).target is None
    alias.given(FIRST, AliasRemoved(A)).when(remove_alias, "production").then_nothing()
    alias.when(remove_alias, "production").then_nothing()


def test_a_removed_alias_points_again_in_its_old_slot_without_being_named_again() -> None:
    alias.given(FIRST, AliasRemoved(A)).when(move_alias, "production", A).then(AliasMoved(A))


def test_a_slot_whose_name_was_erased_goes_on() -> None:
    alias.given(AliasMoved(A, None, ERASED)).when(move_alias, "production", B).then(AliasMoved(B, A))


# --- compare and set -------------------------------------------------------------------------------------------------


def test_an_alias_moves_from_where_it_was_expected() -> None:
    alias.given(FIRST).when(move_alias, "production", B, expected=A).then(AliasMoved(B, A))
    alias.when(move_alias, "production", A, expected=None).then(FIRST)
    alias.given(FIRST, AliasRemoved(A)).when(move_alias, "production", B, expected=None).then(AliasMoved(B))
    alias.given(FIRST).when(move_alias, "production", B, expected=ANYWHERE).then(AliasMoved(B, A))


@pytest.mark.parametrize("expected", [B, None])
def test_an_alias_that_is_not_where_it_was_expected_does_not_move(expected: VersionId | None) -> None:
    refused = alias.given(FIRST).when(move_alias, "production", B, expected=expected)
    refused.then_raises(AliasMovedMeanwhileError, "alias production moved meanwhile — load the artifact again")


def test_an_alias_that_points_nowhere_was_expected_somewhere() -> None:
    alias.when(move_alias, "production", B, expected=A).then_raises(AliasMovedMeanwhileError)


def test_an_alias_is_removed_only_where_it_points() -> None:
    alias.given(FIRST).when(remove_alias, "production", expected=A).then(AliasRemoved(A))
    alias.given(FIRST).when(remove_alias, "production", expected=B).then_nothing()


# --- protected aliases -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", WEAK)
def test_only_an_admin_moves_or_removes_a_protected_alias(role: Role) -> None:
    text = "alias production is protected in this registry — ask one of its admins"
    moving = alias.given(FIRST).when(move_alias, "production", B, protected=True, role=role)
    moving.then_raises(AliasProtectedError, text)
    removing = alias.given(FIRST).when(remove_alias, "production", protected=True, role=role)
    removing.then_raises(AliasProtectedError, text)
    alias.when(move_alias, "production", A, protected=True, role=role).then_raises(AliasProtectedError, text)


def test_an_admin_moves_and_removes_a_protected_alias() -> None:
    given_ = alias.given(FIRST)
    given_.when(move_alias, "production", B, protected=True, role=Role.ADMIN).then(AliasMoved(B, A))
    given_.when(remove_alias, "production", protected=True, role=Role.ADMIN).then(AliasRemoved(A))


@pytest.mark.parametrize("role", WEAK)
def test_asking_for_what_is_so_already_needs_no_role(role: Role) -> None:
    alias.given(FIRST).when(move_alias, "production", A, protected=True, role=role).then_nothing()
    alias.given(FIRST).when(remove_alias, "production", expected=B, protected=True, role=role).then_nothing()


@pytest.mark.parametrize("role", WEAK)
def test_an_alias_that_is_not_protected_is_free(role: Role) -> None:
    alias.given(FIRST).when(move_alias, "production", B, role=role).then(AliasMoved(B, A))


# --- latest ----------------------------------------------------------------------------------------------------------


def test_latest_is_put_by_hand_unless_it_points_there() -> None:
    assert latest.when(move_latest, B, A).then(LatestMoved(B)) == LatestSlot(B)
    latest.when(move_latest, B, None).then(LatestMoved(B))
    latest.given(LatestMoved(A)).when(move_latest, B, B).then_nothing()


@pytest.mark.parametrize("now", [A, None])
def test_latest_moves_only_from_where_it_was_expected(now: VersionId | None) -> None:
    latest.when(move_latest, B, now, expected=now).then(LatestMoved(B))
    latest.when(move_latest, B, now, expected=ANYWHERE).then(LatestMoved(B))
    refused = latest.when(move_latest, B, now, expected=B)
    refused.then_raises(AliasMovedMeanwhileError, "alias latest moved meanwhile — load the artifact again")


def test_latest_is_removed_from_wherever_it_points() -> None:
    assert latest.when(remove_latest, A).then(LatestRemoved(A)) == LatestSlot(None)
    latest.given(LatestMoved(B)).when(remove_latest, A).then(LatestRemoved(A))
    latest.given(LatestRemoved(A)).when(remove_latest, None).then_nothing()


# --- any sequence of decisions ---------------------------------------------------------------------------------------

targets = st.sampled_from([A, B])
roles = st.sampled_from(Role)
moves = act(move_alias, st.just("x"), targets, protected=st.booleans(), role=roles)
removals = act(remove_alias, st.just("x"), expected=st.none() | targets, protected=st.booleans(), role=roles)
swaps = act(move_alias, st.just("x"), targets, expected=st.none() | targets)


@given(st.lists(moves | removals, max_size=12))
def test_any_decision_taken_again_changes_nothing(wanted: list[Act]) -> None:
    state = ALIAS.initial
    for each in wanted:
        state = happen(ALIAS, state, attempt(state, each))
        assert attempt(state, each) == []


@given(st.lists(moves | removals | swaps, max_size=12))
def test_each_event_says_where_the_alias_pointed_and_only_the_first_one_its_name(wanted: list[Act]) -> None:
    state, named = ALIAS.initial, 0
    for each in wanted:
        for event in attempt(state, each):
            assert event.before == state.target
            named += isinstance(event, AliasMoved) and event.alias is not None
            assert named == 1
            state = ALIAS.evolve(state, event)
