"""How long a version is kept, and why: a table, and what holds for any facts at any time."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.retention import Action, Decision, Facts, decide, expiry
from muniment.domain.values import INHERIT, LONGEST_TTL, NEVER, Ttl
from muniment.domain.version import State
from tests.events import TTLS, is_sound

SECOND, DAY = 1_000_000, 86_400_000_000
BORN = 1_700_000_000_000_000
KEEP, DELETE, PURGE = Action.KEEP, Action.DELETE, Action.PURGE
WEEK, HOUR = Ttl.after(7 * DAY), Ttl.after(3600 * SECOND)

OWN, ARTIFACTS, TEAMS = "its own TTL", "the TTL of its artifact", "the default TTL of its team"
LINKED, NOBODY = "it is linked in acme/nets:v0, which suspends its TTL", "nobody set a TTL"
GRACE, ORPHAN = "it was deleted, and the grace period decides", "its artifact or project was deleted"
LINKS = ("acme/nets:v0",)


def facts(**said: Any) -> Facts:
    return attrs.evolve(Facts(BORN), **said)


@pytest.mark.parametrize(
    ("given_", "age", "action", "due", "because"),
    [
        (facts(), 10**6 * DAY, KEEP, None, NOBODY),
        (facts(ttl=WEEK), 7 * DAY - 1, KEEP, 7 * DAY, OWN),
        (facts(ttl=WEEK), 7 * DAY, DELETE, 7 * DAY, OWN),
        (facts(ttl=WEEK), 7 * DAY + 1, DELETE, 7 * DAY, OWN),
        (facts(ttl=NEVER), 10**6 * DAY, KEEP, None, f"{OWN} says never"),
        (facts(ttl=NEVER, artifact_ttl=HOUR, team_ttl=DAY), 10**6 * DAY, KEEP, None, f"{OWN} says never"),
        (facts(ttl=WEEK, artifact_ttl=NEVER), 7 * DAY, DELETE, 7 * DAY, OWN),
        (facts(ttl=WEEK, artifact_ttl=HOUR, team_ttl=1), DAY, KEEP, 7 * DAY, OWN),
        (facts(artifact_ttl=WEEK), 7 * DAY, DELETE, 7 * DAY, ARTIFACTS),
        (facts(artifact_ttl=NEVER, team_ttl=DAY), 2 * DAY, KEEP, None, f"{ARTIFACTS} says never"),
        (facts(artifact_ttl=WEEK, team_ttl=DAY), 2 * DAY, KEEP, 7 * DAY, ARTIFACTS),
        (facts(team_ttl=DAY), DAY - 1, KEEP, DAY, TEAMS),
        (facts(team_ttl=DAY), DAY, DELETE, DAY, TEAMS),
        (facts(ttl=Ttl.after(SECOND // 2)), SECOND // 2 - 1, KEEP, SECOND // 2, OWN),
        (facts(ttl=Ttl.after(SECOND // 2)), SECOND // 2, DELETE, SECOND // 2, OWN),
        (facts(ttl=WEEK, links=LINKS), 8 * DAY, KEEP, None, LINKED),
        (facts(orphaned=True, links=LINKS), 8 * DAY, KEEP, None, LINKED),
        (facts(orphaned=True), 5, DELETE, 5, ORPHAN),
        (facts(orphaned=True, ttl=NEVER), 5, DELETE, 5, ORPHAN),
        (facts(state=State.DELETED, deleted_at=BORN + DAY, grace=7 * DAY), 8 * DAY - 1, KEEP, 8 * DAY, GRACE),
        (facts(state=State.DELETED, deleted_at=BORN + DAY, grace=7 * DAY), 8 * DAY, PURGE, 8 * DAY, GRACE),
        (facts(state=State.DELETED, deleted_at=BORN + DAY, ttl=NEVER), DAY, PURGE, DAY, GRACE),
        (facts(state=State.DELETED, deleted_at=0, grace=DAY), 0, PURGE, DAY - BORN, GRACE),
        (facts(state=State.DELETED, grace=DAY), DAY, PURGE, DAY, GRACE),
        (facts(state=State.PURGED, ttl=WEEK, deleted_at=BORN), 10**6 * DAY, KEEP, None, "its bytes are gone already"),
    ],
)
def test_what_may_be_done_with_a_version_when_and_why(
    given_: Facts, age: int, action: Action, due: int | None, because: str
) -> None:
    assert decide(given_, BORN + age) == Decision(action, None if due is None else BORN + due, because)


def test_a_version_that_is_linked_in_many_places_says_where() -> None:
    assert (
        decide(facts(links=("a/b:v0", "c/d:v7")), BORN).because
        == "it is linked in a/b:v0, c/d:v7, which suspends its TTL"
    )


times = st.integers(0, 4 * 10**15)
durations = st.integers(0, LONGEST_TTL)
any_facts = st.builds(
    Facts,
    created_at=times,
    state=st.sampled_from(State),
    ttl=TTLS,
    artifact_ttl=TTLS,
    team_ttl=st.none() | durations,
    links=st.lists(st.sampled_from(["a", "b"]), max_size=2).map(tuple),
    orphaned=st.booleans(),
    deleted_at=st.none() | times,
    grace=durations,
)
STRENGTH = {KEEP: 0, DELETE: 1, PURGE: 2}


@given(any_facts, times)
def test_there_is_always_one_decision_with_a_reason(given_: Facts, now: int) -> None:
    decision = decide(given_, now)
    assert decide(given_, now) == decision
    assert decision.because
    assert is_sound(given_.ttl)
    may = {State.COMMITTED: {KEEP, DELETE}, State.DELETED: {KEEP, PURGE}, State.PURGED: {KEEP}}
    assert decision.action in may[given_.state]
    assert (decision.due_at is not None and decision.due_at <= now) == (decision.action is not KEEP)


@given(any_facts, times)
def test_a_link_never_makes_an_end_earlier(given_: Facts, now: int) -> None:
    bare, linked = (decide(attrs.evolve(given_, links=links), now) for links in ((), LINKS))
    assert STRENGTH[linked.action] <= STRENGTH[bare.action]
    assert linked.due_at is None or (bare.due_at is not None and linked.due_at >= bare.due_at)


@given(any_facts, times)
def test_when_the_last_link_ends_the_ttl_counts_from_the_creation_as_if_it_had_never_been(
    given_: Facts, now: int
) -> None:
    never_linked = attrs.evolve(given_, links=())
    linked = attrs.evolve(never_linked, links=LINKS)
    assert expiry(linked) == expiry(never_linked)
    assert decide(attrs.evolve(linked, links=()), now) == decide(never_linked, now)


@given(any_facts, times, durations)
def test_what_may_be_done_now_may_be_done_later(given_: Facts, now: int, later: int) -> None:
    assert STRENGTH[decide(given_, now + later).action] >= STRENGTH[decide(given_, now).action]


@given(any_facts, durations)
def test_a_ttl_is_exact_to_the_microsecond_and_counts_from_the_creation(given_: Facts, micros: int) -> None:
    ttl = Ttl.after(micros + 1) if micros < LONGEST_TTL else Ttl.after(micros)
    live = attrs.evolve(given_, state=State.COMMITTED, links=(), orphaned=False, ttl=ttl)
    assert ttl.micros is not None
    due = live.created_at + ttl.micros
    assert decide(live, due - 1) == Decision(KEEP, due, OWN)
    assert decide(live, due) == Decision(DELETE, due, OWN)


@given(any_facts, st.integers(-LONGEST_TTL, LONGEST_TTL), times)
def test_moving_everything_in_time_moves_the_decision(given_: Facts, by: int, now: int) -> None:
    deleted_at = None if given_.deleted_at is None else given_.deleted_at + by
    moved = decide(attrs.evolve(given_, created_at=given_.created_at + by, deleted_at=deleted_at), now + by)
    before = decide(given_, now)
    assert moved == attrs.evolve(before, due_at=None if before.due_at is None else before.due_at + by)


@given(any_facts)
def test_who_says_nothing_leaves_it_to_the_next(given_: Facts) -> None:
    silent = attrs.evolve(given_, ttl=INHERIT)
    assert expiry(silent)[1] != OWN
    more_silent = attrs.evolve(silent, artifact_ttl=INHERIT)
    assert expiry(more_silent)[1] in {TEAMS, NOBODY}
    assert expiry(attrs.evolve(more_silent, team_ttl=None)) == (None, NOBODY)
