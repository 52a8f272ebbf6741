"""How long a version is kept, and why: a table, and what holds for any facts, rules, holds and requests at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from muniment.domain.policy import Ending, Start, Terms
from muniment.domain.retention import (
    BOUND,
    SKEW,
    Action,
    Decision,
    Erasure,
    Facts,
    Level,
    Rule,
    clock_jumped,
    decide,
    expiry,
    ttl_rule,
)
from muniment.domain.values import INHERIT, NEVER, Ttl
from muniment.domain.version import GOING, State
from tests.events import TERMS

SECOND, DAY = 1_000_000, 86_400_000_000
BORN = 1_700_000_000_000_000
KEEP, REVIEW, DELETE, ERASE, PURGE = Action.KEEP, Action.REVIEW, Action.DELETE, Action.ERASE, Action.PURGE
LINK = ("acme/nets:v0",)
DELETED = {"state": State.DELETED, "deleted_at": BORN + DAY, "grace": 7 * DAY}
LONG = 10**6 * DAY


def facts(**said: Any) -> Facts:
    return attrs.evolve(Facts(BORN), **said)


def after(level: Level, days: int, name: str = "it") -> Rule:
    return Rule(level, Terms(maximum=days * DAY), name)


def at_least(days: int, citation: str | None = None, start: Start = Start.CREATED) -> Rule:
    return Rule(Level.TEAM, Terms(start, minimum=days * DAY), "law", citation)


def last(count: int, days: int | None = None, level: Level = Level.PROJECT) -> Rule:
    return Rule(level, Terms(maximum=None if days is None else days * DAY, keep_last=count), "keep-last")


OWN, WIDER = after(Level.VERSION, 7), after(Level.TEAM, 1)
NEVER_ENDS = Rule(Level.VERSION, None, "it", never=True)
IDLE = Rule(Level.PROJECT, Terms(Start.LAST_USED, maximum=7 * DAY), "idle")
UNLINKED = Rule(Level.PROJECT, Terms(Start.UNLINKED, maximum=7 * DAY), "unlinked")
SUPERSEDED = Rule(Level.PROJECT, Terms(Start.SUPERSEDED, maximum=7 * DAY), "superseded")
LOOK = Rule(Level.PROJECT, Terms(maximum=7 * DAY, ending=Ending.REVIEW), "look")
ASKED = Erasure("r", BORN + DAY)


@pytest.mark.parametrize(
    ("given_", "rules", "age", "action", "due", "precedence"),
    [
        (facts(), (), LONG, KEEP, None, "P7"),
        (facts(personal=True), (), LONG, REVIEW, 0, "P7"),
        (facts(personal=True), (OWN,), DAY, KEEP, 7 * DAY, "P6"),
        (facts(), (OWN,), 7 * DAY - 1, KEEP, 7 * DAY, "P6"),
        (facts(), (OWN,), 7 * DAY, DELETE, 7 * DAY, "P6"),
        (facts(), (NEVER_ENDS, WIDER), LONG, KEEP, None, "P6"),
        (facts(), (OWN, WIDER), 2 * DAY, KEEP, 7 * DAY, "P6"),
        (facts(), (after(Level.TEAM, 9), after(Level.TEAM, 5)), 6 * DAY, DELETE, 5 * DAY, "P6"),
        (facts(), (LOOK,), 8 * DAY, REVIEW, 7 * DAY, "P6"),
        (facts(last_used_at=BORN + 30 * DAY), (IDLE,), 36 * DAY, KEEP, 37 * DAY, "P6"),
        (facts(), (IDLE,), 7 * DAY, DELETE, 7 * DAY, "P6"),
        (facts(), (UNLINKED,), LONG, KEEP, None, "P6"),
        (facts(protected_until=BORN + DAY), (UNLINKED,), 8 * DAY, DELETE, 8 * DAY, "P6"),
        (facts(), (SUPERSEDED,), LONG, KEEP, None, "P6"),
        (facts(newer=(BORN + DAY, BORN + 9 * DAY)), (SUPERSEDED,), 8 * DAY, DELETE, 8 * DAY, "P6"),
        (facts(newer=(BORN + DAY,)), (last(2),), LONG, KEEP, None, "P6"),
        (facts(newer=(BORN + DAY, BORN + 2 * DAY)), (last(2),), 2 * DAY, DELETE, 2 * DAY, "P6"),
        (facts(newer=(BORN + DAY,)), (last(2), OWN), LONG, KEEP, None, "P6"),
        (facts(newer=(BORN + DAY,) * 2), (last(2, days=30),), 29 * DAY, KEEP, 30 * DAY, "P6"),
        (facts(protected_by=LINK), (OWN,), LONG, KEEP, None, "P5"),
        (facts(protected_by=LINK, orphaned=True), (), LONG, KEEP, None, "P5"),
        (facts(protected_until=BORN + DAY, grace=DAY), (OWN,), 7 * DAY, DELETE, 7 * DAY, "P6"),
        (facts(protected_until=BORN + 20 * DAY, grace=DAY), (OWN,), 20 * DAY, KEEP, 21 * DAY, "P6"),
        (facts(protected_until=BORN + 20 * DAY, grace=DAY), (OWN,), 21 * DAY, DELETE, 21 * DAY, "P6"),
        (facts(orphaned=True), (NEVER_ENDS,), 5, DELETE, 5, "P4"),
        (facts(orphaned=True), (at_least(3),), 2 * DAY, KEEP, 3 * DAY, "P3"),
        (facts(**DELETED), (), 8 * DAY - 1, KEEP, 8 * DAY, "P4"),
        (facts(**DELETED), (NEVER_ENDS,), 8 * DAY, PURGE, 8 * DAY, "P4"),
        (facts(**DELETED), (at_least(30),), 20 * DAY, KEEP, 30 * DAY, "P3"),
        (facts(state=State.DELETED, grace=DAY), (), DAY, PURGE, DAY, "P4"),
        (facts(), (OWN, at_least(30)), 29 * DAY, KEEP, 30 * DAY, "P3"),
        (facts(), (OWN, at_least(30, "BGB 195"), at_least(60)), 59 * DAY, KEEP, 60 * DAY, "P1"),
        (facts(), (OWN, at_least(3)), 7 * DAY, DELETE, 7 * DAY, "P6"),
        (facts(), (OWN, at_least(3, start=Start.UNLINKED)), 7 * DAY, DELETE, 7 * DAY, "P6"),
        (facts(), (OWN, at_least(3, start=Start.SUPERSEDED)), LONG, KEEP, None, "P3"),
        (facts(state=State.PURGED, deleted_at=BORN), (OWN,), LONG, KEEP, None, "P7"),
    ],
)
def test_what_may_be_done_with_a_version_and_when(
    given_: Facts, rules: Sequence[Rule], age: int, action: Action, due: int | None, precedence: str
) -> None:
    decision = decide(given_, rules, (), (), BORN + age)
    found = decision.action, decision.due_at, decision.because[0].rule
    assert found == (action, None if due is None else BORN + due, precedence), decision.why


@pytest.mark.parametrize(
    ("given_", "rules", "age", "action", "precedence"),
    [
        (facts(), (NEVER_ENDS,), DAY, ERASE, "P2"),
        (facts(), (), DAY - 1, KEEP, "P2"),
        (facts(protected_by=LINK), (last(9),), DAY, ERASE, "P2"),
        (facts(**DELETED), (), DAY, ERASE, "P2"),
        (facts(), (at_least(30),), DAY, ERASE, "P2"),
        (facts(), (at_least(30, "HGB 257"),), 29 * DAY, KEEP, "P1"),
        (facts(), (at_least(30, "HGB 257"),), 30 * DAY, ERASE, "P1"),
        (facts(state=State.PURGED), (), DAY, KEEP, "P7"),
        (facts(state=State.LET_GO), (), DAY, KEEP, "P7"),
    ],
)
def test_an_approved_erasure_beats_all_but_holds_and_the_law(
    given_: Facts, rules: Sequence[Rule], age: int, action: Action, precedence: str
) -> None:
    decision = decide(given_, rules, (), (ASKED,), BORN + age)
    assert (decision.action, decision.because[0].rule) == (action, precedence), decision.why
    if given_.state not in GOING:
        assert decide(given_, rules, ("h",), (ASKED,), BORN + age).action is KEEP


def test_a_decision_says_why_in_words() -> None:
    assert decide(facts(), (OWN,), ("h2", "h1"), (), BORN).why == "hold h1 is in force; hold h2 is in force"
    assert decide(facts(protected_by=LINK), (), (), (), BORN).why == (
        "it is held by acme/nets:v0, which suspends its expiry"
    )
    late = decide(facts(), (OWN, at_least(30, "HGB 257")), (), (), BORN)
    assert late.why == "law keeps it for a minimum (HGB 257); it"
    assert late.not_before == BORN + 30 * DAY


def test_a_ttl_is_a_rule_unless_it_leaves_the_matter_to_others() -> None:
    assert ttl_rule(Level.VERSION, INHERIT, "its own TTL") is None
    assert ttl_rule(Level.VERSION, NEVER, "x") == Rule(Level.VERSION, None, "x", never=True)
    half = ttl_rule(Level.VERSION, Ttl.after(SECOND // 2), "x")
    assert half is not None
    assert decide(facts(), (half,), (), (), BORN + SECOND // 2 - 1).action is KEEP
    assert decide(facts(), (half,), (), (), BORN + SECOND // 2).action is DELETE


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (BORN, None),
        (BORN + BOUND, None),
        (BORN + BOUND + 1, "days ahead"),
        (BORN - SKEW, None),
        (BORN - SKEW - 1, "behind the last event"),
        (BORN + 3653 * DAY, "3,653.0 days ahead"),
    ],
)
def test_a_clock_that_jumped_is_noticed(now: int, why: str | None) -> None:
    found = clock_jumped(BORN, now)
    assert found is None if why is None else why in str(found)


times = st.integers(BORN, BORN + 40 * DAY)
LAW = st.none() | st.just("law")
LIMITS = st.builds(Rule, st.sampled_from(Level), TERMS, st.sampled_from("ab"), LAW)
NEVERS = st.sampled_from(Level).map(lambda level: Rule(level, None, "b", never=True))
rules = st.lists(
    st.one_of(
        LIMITS,
        NEVERS,
        st.builds(after, st.sampled_from(Level), st.integers(1, 30)),
        st.builds(at_least, st.integers(1, 30), LAW, st.sampled_from(Start)),
    ),
    max_size=4,
)
any_facts = st.builds(
    Facts,
    created_at=times,
    state=st.sampled_from(State),
    last_used_at=st.none() | times,
    newer=st.lists(times, max_size=4).map(lambda newer: tuple(sorted(newer))),
    protected_by=st.lists(st.sampled_from("ab"), max_size=2).map(tuple),
    protected_until=st.none() | times,
    orphaned=st.booleans(),
    personal=st.booleans(),
    deleted_at=st.none() | times,
    grace=st.integers(0, 9 * DAY),
)
holds = st.lists(st.sampled_from(["h1", "h2"]), max_size=2)
requests = st.lists(st.builds(Erasure, st.sampled_from(["r", "s"]), times), max_size=2)
REMOVES = {DELETE, ERASE, PURGE}


def removes(decision: Decision) -> bool:
    return decision.action in REMOVES


@given(any_facts, rules, holds, requests, times)
def test_there_is_always_one_decision_with_a_reason(
    given_: Facts, rules_: list[Rule], holds_: list[str], requests_: list[Erasure], now: int
) -> None:
    decision = decide(given_, rules_, holds_, requests_, now)
    assert decision.because
    assert decision == decide(given_, rules_, holds_, requests_, now)
    may = {
        State.COMMITTED: {KEEP, REVIEW, DELETE, ERASE},
        State.DELETED: {KEEP, PURGE, ERASE},
        State.LET_GO: {KEEP},
        State.PURGED: {KEEP},
    }
    assert decision.action in may[given_.state]
    assert (decision.due_at is not None and decision.due_at <= now) == (decision.action is not KEEP)
    assert decision.not_before is None or not removes(decision) or decision.not_before <= now


@given(any_facts, rules, holds, requests, times, st.randoms())
def test_the_order_of_rules_holds_and_requests_makes_no_difference(
    given_: Facts, rules_: list[Rule], holds_: list[str], requests_: list[Erasure], now: int, chance: Any
) -> None:
    decision = decide(given_, rules_, holds_, requests_, now)
    for each in (rules_, holds_, requests_):
        chance.shuffle(each)
    assert decide(given_, rules_, holds_, requests_, now) == decision


@given(any_facts, rules, requests, times)
def test_a_held_version_is_kept_whoever_asks(
    given_: Facts, rules_: list[Rule], requests_: list[Erasure], now: int
) -> None:
    assert decide(given_, rules_, ("h",), requests_, now).action is KEEP
    assert decide(given_, (), ("h",), requests_, now).action is KEEP


@given(any_facts, rules, holds, requests, times)
def test_another_hold_never_makes_a_removal_earlier(
    given_: Facts, rules_: list[Rule], holds_: list[str], requests_: list[Erasure], now: int
) -> None:
    without, with_ = (decide(given_, rules_, each, requests_, now) for each in (holds_, [*holds_, "another"]))
    assert not removes(with_)
    assert with_.due_at is None
    assert not holds_ or not removes(without)


@given(any_facts, rules, requests, times, st.data())
def test_taking_rules_or_requests_away_never_lets_go_what_is_held(
    given_: Facts, rules_: list[Rule], requests_: list[Erasure], now: int, data: st.DataObject
) -> None:
    fewer = [rule for rule in rules_ if data.draw(st.booleans())]
    asked = [request for request in requests_ if data.draw(st.booleans())]
    decision = decide(given_, fewer, ("h",), asked, now)
    assert (decision.action, decision.due_at) == (KEEP, None)


@given(any_facts, rules, requests, times, st.builds(at_least, st.integers(1, 30), st.none() | st.just("law")))
def test_a_minimum_never_makes_a_removal_earlier(
    given_: Facts, rules_: list[Rule], requests_: list[Erasure], now: int, minimum: Rule
) -> None:
    without, with_ = (decide(given_, each, (), requests_, now) for each in (rules_, [*rules_, minimum]))
    assert not removes(with_) or removes(without)
    if removes(with_):
        assert with_.due_at is not None
        assert without.due_at is not None
        assert with_.due_at >= without.due_at


@given(any_facts, rules, times)
def test_a_link_never_makes_an_end_earlier(given_: Facts, rules_: list[Rule], now: int) -> None:
    bare = decide(attrs.evolve(given_, protected_by=()), rules_, (), (), now)
    linked = decide(attrs.evolve(given_, protected_by=LINK), rules_, (), (), now)
    assert not removes(linked) or removes(bare)


@given(any_facts, rules, requests, times, st.integers(0, 99 * DAY))
def test_what_may_be_removed_now_may_be_removed_later(
    given_: Facts, rules_: list[Rule], requests_: list[Erasure], now: int, later: int
) -> None:
    decision = decide(given_, rules_, (), requests_, now)
    if decision.action is not KEEP:
        assert decide(given_, rules_, (), requests_, now + later).action is decision.action


@given(any_facts, rules, times, st.integers(0, 40 * DAY))
def test_when_protection_ends_the_old_end_comes_back_and_not_before_a_grace_period(
    given_: Facts, rules_: list[Rule], ended: int, grace: int
) -> None:
    created = [rule for rule in rules_ if rule.terms is None or rule.terms.start is Start.CREATED]
    live = attrs.evolve(given_, state=State.COMMITTED, orphaned=False, personal=False, protected_by=(), grace=grace)
    before = decide(attrs.evolve(live, protected_until=None), created, (), (), 0).due_at
    after_ = decide(attrs.evolve(live, protected_until=ended), created, (), (), 0).due_at
    assume(before is not None)
    assert before is not None
    assert after_ == max(before, ended + grace)


@given(any_facts, rules)
def test_the_narrowest_that_says_anything_decides(given_: Facts, rules_: list[Rule]) -> None:
    own = after(Level.VERSION, 3)
    wider = [rule for rule in rules_ if rule.level > Level.VERSION]
    assert expiry(given_, [own, *wider]) == (given_.created_at + 3 * DAY, own)
