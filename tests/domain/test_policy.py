"""A policy says how long at least and at most; what lets something go earlier takes two people."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.hold import ScopeKind
from muniment.domain.policy import (
    DAY,
    POLICY,
    SCOPES,
    SIX_MONTHS,
    TEN_YEARS,
    Ending,
    PolicyRemoved,
    PolicySet,
    Start,
    Terms,
    needs_approval,
    remove_policy,
    set_policy,
)
from muniment.domain.values import LONGEST_TTL
from tests.events import TERMS
from tests.spec import Spec

PROJECT = "p" * 32
YEAR = Terms(maximum=365 * DAY)
SET = PolicySet(ScopeKind.PROJECT, PROJECT, YEAR)
policy = Spec(POLICY)


def cited(citation: str, minimum: int) -> PolicySet:
    return PolicySet(ScopeKind.PROJECT, PROJECT, Terms(minimum=minimum), statutory=True, citation=citation)


def test_a_policy_is_set_changed_and_removed() -> None:
    policy.when(set_policy, SET).then(SET)
    policy.given(SET).when(set_policy, SET).then_nothing()
    longer = PolicySet(ScopeKind.PROJECT, PROJECT, Terms(maximum=400 * DAY))
    policy.given(SET).when(set_policy, longer).then(longer)
    policy.given(SET).when(remove_policy).then(PolicyRemoved())
    policy.given(SET, PolicyRemoved()).when(remove_policy).then_nothing()
    policy.given(SET, PolicyRemoved()).when(set_policy, SET).then(SET)


def test_what_was_never_set_cannot_be_removed() -> None:
    policy.when(remove_policy).then_raises(NotFoundError, "muniment retention list")


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({}, "says nothing"),
        ({"start": Start.LAST_USED, "ending": Ending.REVIEW}, "says nothing"),
        ({"minimum": 0}, "minimum must be longer than nothing"),
        ({"maximum": LONGEST_TTL + 1}, "at most a thousand years"),
        ({"minimum": 2, "maximum": 1}, "shorter than the minimum"),
        ({"keep_last": 0}, "at least 1"),
    ],
)
def test_terms_must_make_sense(said: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidValueError, match=match):
        Terms(**said)


@pytest.mark.parametrize("scope", sorted(set(ScopeKind) - SCOPES, key=str))
def test_a_policy_is_not_set_on_people_or_tags(scope: ScopeKind) -> None:
    policy.when(set_policy, PolicySet(scope, PROJECT, YEAR)).then_raises(InvalidValueError, "cannot be set on a")


def test_only_a_policy_for_a_type_names_one() -> None:
    typed = PolicySet(ScopeKind.TYPE, PROJECT, YEAR, type="model")
    policy.when(set_policy, typed).then(typed)
    for wrong in (PolicySet(ScopeKind.TYPE, PROJECT, YEAR), PolicySet(ScopeKind.TEAM, PROJECT, YEAR, type="model")):
        policy.when(set_policy, wrong).then_raises(InvalidValueError, "names the type")


def test_the_scope_of_a_policy_stays() -> None:
    other = PolicySet(ScopeKind.TEAM, PROJECT, YEAR)
    policy.given(SET).when(set_policy, other).then_raises(InvalidValueError, "cannot be changed")


@pytest.mark.parametrize(
    ("citation", "floor"),
    [
        ("AI Act Art. 12", SIX_MONTHS),
        ("AI Act Art. 19(1)", SIX_MONTHS),
        ("AI Act Art. 26(6)", SIX_MONTHS),
        ("AI Act Art. 18, documentation", TEN_YEARS),
    ],
)
def test_a_minimum_is_not_set_below_the_floor_of_the_law_it_cites(citation: str, floor: int) -> None:
    enough = cited(citation, floor)
    policy.when(set_policy, enough).then(enough)
    policy.when(set_policy, cited(citation, floor - 1)).then_raises(InvalidValueError, r"AI Act Art\. \d+.* days")
    without = PolicySet(ScopeKind.PROJECT, PROJECT, YEAR, statutory=True, citation=citation)
    policy.when(set_policy, without).then_raises(InvalidValueError)


def test_a_statutory_policy_cites_its_law_and_no_other_cites_one() -> None:
    for wrong in (
        PolicySet(ScopeKind.PROJECT, PROJECT, YEAR, statutory=True),
        PolicySet(ScopeKind.PROJECT, PROJECT, YEAR, citation="HGB 257"),
    ):
        policy.when(set_policy, wrong).then_raises(InvalidValueError, "cites the law")


def test_another_article_has_no_floor() -> None:
    fine = cited("AI Act Art. 121", DAY)
    policy.when(set_policy, fine).then(fine)


@pytest.mark.parametrize(
    ("before", "after", "needed"),
    [
        (YEAR, Terms(maximum=366 * DAY), False),
        (YEAR, Terms(maximum=364 * DAY), True),
        (YEAR, Terms(minimum=DAY), False),
        (Terms(minimum=DAY), YEAR, True),
        (Terms(minimum=DAY), Terms(minimum=2 * DAY), False),
        (Terms(minimum=DAY), Terms(minimum=DAY, maximum=9 * DAY), True),
        (Terms(keep_last=3), Terms(keep_last=2), True),
        (Terms(keep_last=3), Terms(keep_last=4), False),
        (YEAR, Terms(Start.LAST_USED, maximum=365 * DAY), True),
        (Terms(maximum=DAY, ending=Ending.REVIEW), Terms(maximum=DAY), True),
        (YEAR, None, False),
        (Terms(minimum=DAY), None, True),
        (Terms(keep_last=1), None, True),
    ],
)
def test_what_lets_something_go_earlier_takes_two_people(before: Terms, after: Terms | None, needed: bool) -> None:  # noqa: FBT001
    state = policy.given(PolicySet(ScopeKind.PROJECT, PROJECT, before)).state
    assert needs_approval(state, after) is needed


def test_a_policy_that_is_new_or_was_removed_takes_one() -> None:
    assert not needs_approval(policy.given().state, YEAR)
    assert not needs_approval(policy.given(SET, PolicyRemoved()).state, Terms(maximum=1))


@given(TERMS)
def test_terms_do_not_shorten_themselves(terms: Terms) -> None:
    assert not terms.shortens(terms)


@given(st.integers(1, 99), st.integers(1, 99))
def test_of_two_maxima_one_shortens_the_other(one: int, other: int) -> None:
    first, second = Terms(maximum=one), Terms(maximum=other)
    assert first.shortens(second) + second.shortens(first) == (one != other)
