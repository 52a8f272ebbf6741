"""A version after it was made: what is said about it, and its way from live over deleted to purged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import GoneError, InvalidValueError, VersionDeletedError, VersionHeldError
from muniment.domain.evidence import Check, Evidence, Method, Trigger
from muniment.domain.values import INHERIT, NEVER, Digest, Personal, SlotId, Ttl
from muniment.domain.version import (
    VERSION,
    Cause,
    EntryErased,
    LetGo,
    ManifestReplaced,
    MarkedDeleted,
    MetadataChanged,
    Purged,
    Restored,
    State,
    Tagged,
    TtlSet,
    Untagged,
    Version,
    VersionDescribed,
    change_metadata,
    describe_version,
    erase_entry,
    let_go,
    let_go_in_time,
    mark_deleted,
    purge,
    replace_manifest,
    restore,
    set_ttl,
    tag_version,
    untag_version,
)
from tests.decisions import Act, act, attempt, happen
from tests.spec import Spec

TEXT: Personal[Any] = Personal(SlotId("slot"), "commit")
OTHER: Personal[Any] = Personal(SlotId("slot-2"), "commit-2")
WEEK = Ttl.after(7 * 86_400_000_000)
GOING = LetGo(Trigger.EXPIRED, 1, 2)
SHOWN = Evidence("d", Method.REWRITTEN, (Check.OBJECTS, Check.FOOTERS), 7, 8192, 9)
WAS_PURGED = Purged(7, 8192, (SHOWN,), ("",), Trigger.EXPIRED, 1, 2)
GONE = (MarkedDeleted(), GOING, WAS_PURGED)
version = Spec(VERSION)


def test_a_version_lives_as_its_story_tells() -> None:
    story = (
        MetadataChanged(TEXT),
        VersionDescribed(OTHER),
        Tagged("t1", "gold"),
        Tagged("t2", "old"),
        Untagged("t2"),
        TtlSet(WEEK),
        EntryErased("e1", "faces/1.png"),
    )
    expected = Version(State.COMMITTED, WEEK, TEXT, OTHER, frozenset({"t1"}), frozenset({"e1"}))
    assert version.given(*story).state == expected
    assert version.given(*story, MarkedDeleted()).state.state is State.DELETED
    assert version.given(*story, MarkedDeleted(), Restored()).state == expected
    assert version.given(*story, *GONE).state.state is State.PURGED


# --- what is said about it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "event"), [(change_metadata, MetadataChanged), (describe_version, VersionDescribed)]
)
def test_a_text_about_it_is_set_replaced_and_taken_away(
    decision: Callable[..., Any], event: Callable[..., Any]
) -> None:
    version.when(decision, TEXT).then(event(TEXT))
    version.given(event(TEXT)).when(decision, TEXT).then_nothing()
    version.given(event(TEXT)).when(decision, OTHER).then(event(OTHER))
    version.given(event(TEXT)).when(decision, None).then(event(None))
    version.given(event(None)).when(decision, None).then_nothing()


def test_what_the_version_was_made_with_can_be_taken_away() -> None:
    version.when(change_metadata, None).then(MetadataChanged(None))
    version.when(describe_version, None).then(VersionDescribed(None))


def test_a_tag_is_added_once_and_taken_away_once() -> None:
    tagged = Tagged("t1", "gold")
    version.when(tag_version, "t1", "gold").then(tagged)
    version.given(tagged).when(tag_version, "t1", "gold").then_nothing()
    version.given(tagged).when(tag_version, "t2", "gold", "t1").then_nothing()
    version.given(tagged).when(untag_version, "t1").then(Untagged("t1"))
    version.given(tagged, Untagged("t1")).when(untag_version, "t1").then_nothing()
    version.when(untag_version, None).then_nothing()


def test_a_ttl_is_set_once() -> None:
    version.when(set_ttl, WEEK).then(TtlSet(WEEK))
    version.given(TtlSet(WEEK)).when(set_ttl, WEEK).then_nothing()
    version.given(TtlSet(WEEK)).when(set_ttl, INHERIT).then(TtlSet(INHERIT))
    version.given(TtlSet(WEEK)).when(set_ttl, NEVER).then(TtlSet(NEVER))


def test_the_ttl_it_was_made_with_counts_until_another_is_set() -> None:
    version.when(set_ttl, WEEK, WEEK).then_nothing()
    version.when(set_ttl, INHERIT, WEEK).then(TtlSet(INHERIT))
    version.given(TtlSet(INHERIT)).when(set_ttl, WEEK, WEEK).then(TtlSet(WEEK))


CHANGES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (change_metadata, (TEXT,)),
    (describe_version, (TEXT,)),
    (tag_version, ("t1", "gold")),
    (untag_version, ("t1",)),
    (set_ttl, (WEEK,)),
]


@pytest.mark.parametrize(("decision", "arguments"), CHANGES, ids=lambda part: getattr(part, "__name__", ""))
def test_what_is_not_live_cannot_be_changed(decision: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    deleted, purged = version.given(MarkedDeleted()), version.given(*GONE)
    deleted.when(decision, *arguments).then_raises(VersionDeletedError, "the version was deleted — restore it first")
    purged.when(decision, *arguments).then_raises(GoneError, "the version was purged, its bytes are gone")
    restored = version.given(Tagged("t1", "gold"), MarkedDeleted(), Restored()).when(decision, *arguments)
    assert list(restored.decide()) or decision is tag_version


# --- letting go ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", Cause)
def test_a_version_is_let_go_once_and_why(cause: Cause) -> None:
    version.when(mark_deleted, cause=cause, reason=TEXT).then(MarkedDeleted(cause, TEXT))
    version.given(MarkedDeleted()).when(mark_deleted, cause=cause).then_nothing()
    version.given(*GONE).when(mark_deleted, cause=cause).then_nothing()


def test_aliases_hold_a_version() -> None:
    refused = version.when(mark_deleted, aliases=("best", "production"))
    refused.then_raises(
        VersionHeldError, r"aliases \(best, production\) — remove them, or let them go .*delete_aliases=True"
    )


def test_links_hold_a_version_before_its_aliases_do() -> None:
    refused = version.when(mark_deleted, aliases=("best",), links=("acme/nets:v0", "acme/all:v7"))
    refused.then_raises(VersionHeldError, "linked in acme/nets:v0, acme/all:v7 — unlink it first")


def test_what_holds_a_deleted_version_is_of_no_importance() -> None:
    version.given(MarkedDeleted()).when(mark_deleted, aliases=("best",), links=("acme/nets:v0",)).then_nothing()


def test_a_deletion_is_taken_back_until_the_purge() -> None:
    version.given(MarkedDeleted()).when(restore).then(Restored())
    version.given(MarkedDeleted(), Restored()).when(restore).then_nothing()
    version.when(restore).then_nothing()
    version.given(MarkedDeleted(), GOING).when(restore).then_raises(GoneError, "was let go: .* cannot be restored")
    version.given(*GONE).when(restore).then_raises(GoneError, "was purged: .* cannot be restored")


def test_only_a_deleted_version_is_let_go_and_only_once() -> None:
    version.given(MarkedDeleted(Cause.EXPIRED)).when(let_go_in_time, 1, 2).then(GOING)
    version.given(MarkedDeleted(Cause.PARENT)).when(let_go_in_time, 1, 2).then(LetGo(Trigger.DELETED, 1, 2))
    version.given(MarkedDeleted(), GOING).when(let_go_in_time, 1, 2).then_nothing()
    version.given(*GONE).when(let_go, GOING).then_nothing()
    version.when(let_go, GOING).then_raises(VersionHeldError, "is live: delete it before")
    version.given(MarkedDeleted(), Restored()).when(let_go, GOING).then_raises(VersionHeldError, "is live")


def test_a_request_to_erase_lets_a_live_version_go() -> None:
    erased = LetGo(Trigger.ERASURE, request_id="r")
    version.when(let_go, erased).then(erased)


def test_what_was_let_go_is_purged_with_its_evidence_and_only_once() -> None:
    version.given(MarkedDeleted(), GOING).when(purge, [("", SHOWN)]).then(WAS_PURGED)
    version.given(*GONE).when(purge, [("", SHOWN)]).then_nothing()
    version.given(MarkedDeleted()).when(purge, [("", SHOWN)]).then_raises(VersionHeldError, "was not let go")


def test_a_purge_counts_what_went_from_every_place() -> None:
    twice = version.given(MarkedDeleted(), GOING).when(purge, [("", SHOWN), ("s3://bucket", SHOWN)])
    twice.then(Purged(14, 16384, (SHOWN, SHOWN), ("", "s3://bucket"), Trigger.EXPIRED, 1, 2))


def test_nothing_more_is_said_about_what_was_let_go() -> None:
    gone = version.given(MarkedDeleted(), GOING)
    for decision, said in ((set_ttl, WEEK), (change_metadata, TEXT)):
        gone.when(decision, said).then_raises(GoneError, "let go")


@pytest.mark.parametrize("before", [(), (MarkedDeleted(),), GONE])
def test_an_entry_is_erased_once_from_whatever_version(before: tuple[Any, ...]) -> None:
    erased = EntryErased("e1", "faces/1.png", TEXT)
    version.given(*before).when(erase_entry, "e1", "faces/1.png", TEXT).then(erased)
    version.given(*before, erased).when(erase_entry, "e1", "faces/1.png").then_nothing()


def test_a_manifest_is_replaced_to_leave_out_entries() -> None:
    replaced = ManifestReplaced("r", Digest("d"), Digest("m"), 10, 2, 1)
    version.when(replace_manifest, replaced).then(replaced)
    version.given(replaced).when(replace_manifest, replaced).then_nothing()
    version.given(MarkedDeleted()).when(replace_manifest, replaced).then(replaced)
    version.given(*GONE).when(replace_manifest, replaced).then_nothing()
    nothing_less = ManifestReplaced("r", Digest("d"), Digest("m"), 10, 2, 0)
    version.when(replace_manifest, nothing_less).then_raises(InvalidValueError, "leave entries out")


# --- any sequence of decisions ---------------------------------------------------------------------------------------

ids, texts = st.sampled_from(["1", "2"]), st.sampled_from([None, TEXT, OTHER])
held = st.sampled_from([(), ("x",)])
acts = st.one_of(
    act(change_metadata, texts),
    act(describe_version, texts),
    act(tag_version, ids, st.just("gold")),
    act(untag_version, st.none() | ids),
    act(set_ttl, st.sampled_from([INHERIT, NEVER, WEEK])),
    act(mark_deleted, aliases=held, links=held, cause=st.sampled_from(Cause)),
    act(restore),
    act(erase_entry, ids, st.just("a")),
    act(let_go, st.sampled_from([GOING, LetGo(Trigger.ERASURE)])),
    act(purge, st.just([("", SHOWN)])),
)
WAYS = {
    (State.COMMITTED, State.DELETED): MarkedDeleted,
    (State.DELETED, State.COMMITTED): Restored,
    (State.COMMITTED, State.LET_GO): LetGo,
    (State.DELETED, State.LET_GO): LetGo,
    (State.LET_GO, State.PURGED): Purged,
}


@given(st.lists(acts, max_size=15))
def test_any_decision_taken_again_changes_nothing_and_a_state_changes_only_as_it_may(wanted: list[Act]) -> None:
    state = VERSION.initial
    for each in wanted:
        before, events = state, attempt(state, each)
        state = happen(VERSION, state, events)
        assert attempt(state, each) == []
        if state.state is not before.state:
            assert isinstance(events[0], WAYS[before.state, state.state])
        elif before.state is not State.COMMITTED:
            assert all(isinstance(event, EntryErased) for event in events)


@given(st.lists(acts, max_size=15), st.lists(acts, max_size=15))
def test_there_is_no_way_out_of_purged(before: list[Act], after: list[Act]) -> None:
    state = VERSION.initial
    for each in before:
        state = happen(VERSION, state, attempt(state, each))
    state = happen(VERSION, state, [*attempt(state, mark_deleted), GOING, WAS_PURGED])
    for each in after:
        state = happen(VERSION, state, attempt(state, each))
        assert state.state is State.PURGED
