"""A data subject is registered, attached to what is about it, fenced, and erased; after that nothing may come in."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.data_subject import (
    DATA_SUBJECT,
    MOST_ENTRIES,
    DataSubject,
    EntriesAttached,
    EntriesDetached,
    FenceLifted,
    Standing,
    SubjectAttached,
    SubjectDetached,
    SubjectErased,
    SubjectFenced,
    SubjectRegistered,
    TargetKind,
    attach_entries,
    attach_subject,
    detach_entries,
    detach_subject,
    erase_subject,
    fence_subject,
    lift_fence,
    register_subject,
)
from muniment.domain.errors import InvalidValueError, NotFoundError, SubjectErasedError
from muniment.domain.values import Personal, SlotId, VersionId
from tests import decisions
from tests.decisions import act, attempt, happen
from tests.spec import Spec

WHO: Personal[str] = Personal(SlotId("slot"), "commit")
KNOWN = SubjectRegistered(WHO)
VERSION, V = TargetKind.VERSION, VersionId("v")
subject = Spec(DATA_SUBJECT)


def test_a_subject_is_registered_once() -> None:
    subject.when(register_subject, WHO).then(KNOWN)
    subject.given(KNOWN).when(register_subject, WHO).then_nothing()


def test_a_subject_is_attached_to_what_is_about_it_and_detached_again() -> None:
    subject.given(KNOWN).when(attach_subject, VERSION, V).then(SubjectAttached(VERSION, V))
    attached = subject.given(KNOWN, SubjectAttached(VERSION, V))
    attached.when(attach_subject, VERSION, V).then_nothing()
    attached.when(detach_subject, VERSION, V).then(SubjectDetached(VERSION, V))
    subject.given(KNOWN).when(detach_subject, VERSION, V).then_nothing()


def test_entries_are_attached_in_parts_that_stay_small() -> None:
    entries = tuple((str(number), f"{number}.png") for number in range(MOST_ENTRIES + 1))
    first, rest = entries[:MOST_ENTRIES], entries[MOST_ENTRIES:]
    subject.given(KNOWN).when(attach_entries, V, entries).then(
        EntriesAttached(V, tuple(id_ for id_, _ in first), tuple(path for _, path in first)),
        EntriesAttached(V, (rest[0][0],), (rest[0][1],)),
    )


def test_entries_are_detached_by_their_ids() -> None:
    subject.given(KNOWN).when(detach_entries, V, ("1", "2")).then(EntriesDetached(V, ("1", "2")))
    subject.given(KNOWN).when(detach_entries, V, ()).then_nothing()


def test_an_entry_is_named_once() -> None:
    twice = (("1", "a.png"), ("2", "a.png"))
    subject.given(KNOWN).when(attach_entries, V, twice).then_raises(InvalidValueError, "name each path once")


def test_nobody_unknown_is_attached() -> None:
    subject.when(attach_subject, VERSION, V).then_raises(NotFoundError, "muniment subject list")
    subject.when(fence_subject, "r").then_raises(NotFoundError)


def test_a_fenced_subject_takes_nothing_in() -> None:
    subject.given(KNOWN).when(fence_subject, "r").then(SubjectFenced("r"))
    fenced = subject.given(KNOWN, SubjectFenced("r"))
    fenced.when(fence_subject, "r").then_nothing()
    fenced.when(fence_subject, "other").then_raises(SubjectErasedError, "fenced by request r")
    fenced.when(attach_subject, VERSION, V).then_raises(SubjectErasedError)
    fenced.when(attach_entries, V, (("1", "a"),)).then_raises(SubjectErasedError)


def test_a_fence_can_be_lifted_until_the_subject_is_erased() -> None:
    subject.given(KNOWN, SubjectFenced("r")).when(lift_fence, "r").then(FenceLifted("r"))
    subject.given(KNOWN, SubjectFenced("r")).when(lift_fence, "other").then_nothing()
    subject.given(KNOWN, SubjectFenced("r"), FenceLifted("r")).when(attach_subject, VERSION, V).then(
        SubjectAttached(VERSION, V)
    )
    gone = subject.given(KNOWN, SubjectFenced("r"), SubjectErased("r"))
    gone.when(lift_fence, "r").then_raises(SubjectErasedError, "erased by request r")


def test_a_subject_is_erased_by_the_request_that_fenced_it_once() -> None:
    subject.given(KNOWN).when(erase_subject, "r").then_raises(InvalidValueError, "fenced before it is erased")
    subject.given(KNOWN, SubjectFenced("r")).when(erase_subject, "other").then_raises(InvalidValueError)
    subject.given(KNOWN, SubjectFenced("r")).when(erase_subject, "r").then(SubjectErased("r"))
    gone = subject.given(KNOWN, SubjectFenced("r"), SubjectErased("r"))
    gone.when(erase_subject, "r").then_nothing()
    gone.when(register_subject, WHO).then_nothing()
    gone.when(attach_subject, VERSION, V).then_raises(SubjectErasedError)


IDS = st.sampled_from(["r", "s"])
ACTS = st.one_of(
    act(register_subject, st.just(WHO)),
    act(attach_subject, st.sampled_from(TargetKind), IDS),
    act(attach_entries, st.just(V), st.just((("1", "a"),))),
    act(fence_subject, IDS),
    act(lift_fence, IDS),
    act(erase_subject, IDS),
)


@given(st.lists(ACTS, max_size=15))
def test_nothing_is_attached_while_a_fence_stands(tried: list[decisions.Act]) -> None:
    state, fenced = DataSubject(), False
    for each in tried:
        for event in attempt(state, each):
            state = happen(DATA_SUBJECT, state, [event])
            if isinstance(event, SubjectFenced | FenceLifted):
                fenced = isinstance(event, SubjectFenced)
            assert not (fenced and isinstance(event, SubjectAttached | EntriesAttached))
    assert fenced == (state.standing in {Standing.FENCED, Standing.ERASED})


def test_any_kind_of_target_can_be_detached() -> None:
    for kind in TargetKind:
        events: list[Any] = [KNOWN, SubjectAttached(kind, "x")]
        assert subject.given(*events, SubjectDetached(kind, "x")).state.targets == frozenset()
