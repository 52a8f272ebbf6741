"""A request of a data subject goes its way step by step, in time, and nothing that was found is left out."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.request import (
    REQUEST,
    CertificateIssued,
    DataRequest,
    ErasureFenced,
    ErasureVerified,
    Exemption,
    IdentityConfirmed,
    RequestClosed,
    RequestDecided,
    RequestEvent,
    RequestExecuted,
    RequestExtended,
    RequestReceived,
    RequestReopened,
    RequestScoped,
    Right,
    Stage,
    Verdict,
    certify_erasure,
    close_request,
    confirm_identity,
    decide_request,
    extend_request,
    fence_erasure,
    months_after,
    receive_request,
    record_execution,
    reopen_request,
    scope_request,
    verify_erasure,
)
from muniment.domain.values import Personal, SlotId
from tests import decisions
from tests.decisions import act, attempt, happen
from tests.spec import Spec

TEXT: Personal[str] = Personal(SlotId("slot"), "commit")
SUBJECT = "s" * 32
request = Spec(REQUEST)


def micros(year: int, month: int, day: int, hour: int = 12) -> int:
    moment = dt.datetime(year, month, day, hour, tzinfo=dt.UTC)
    return int(moment.timestamp()) * 1_000_000


RECEIVED = RequestReceived(Right.ERASURE, SUBJECT, micros(2026, 1, 31), micros(2026, 2, 28))
WAY: tuple[RequestEvent, ...] = (
    RECEIVED,
    IdentityConfirmed(TEXT),
    RequestScoped(9, 3, 0, 0),
    RequestDecided(Verdict.APPROVED),
    ErasureFenced(),
    RequestExecuted(2, 0, 1),
    ErasureVerified(0, 100),
    CertificateIssued("c", "sealed", TEXT),
    RequestClosed(),
)
STEPS: tuple[tuple[Any, ...], ...] = (
    (receive_request, Right.ERASURE, SUBJECT, micros(2026, 1, 31)),
    (confirm_identity, TEXT),
    (scope_request, 9, 3, 0, 0),
    (decide_request, Verdict.APPROVED),
    (fence_erasure,),
    (record_execution, 2, 0, 1),
    (verify_erasure, 0, 100),
    (certify_erasure, "c", "sealed", TEXT),
    (close_request,),
)


@pytest.mark.parametrize("step", range(len(WAY)))
def test_an_erasure_goes_step_by_step(step: int) -> None:
    request.given(*WAY[:step]).when(*STEPS[step]).then(WAY[step])


@pytest.mark.parametrize(("done", "tried"), [(a, b) for a in range(1, len(WAY)) for b in range(a + 1, len(WAY))])
def test_no_step_is_skipped(done: int, tried: int) -> None:
    request.given(*WAY[:done]).when(*STEPS[tried]).then_raises(InvalidValueError)


def test_what_was_never_received_is_not_there() -> None:
    for step in STEPS[1:5]:
        request.when(*step).then_raises(NotFoundError, "muniment request list")


@pytest.mark.parametrize("step", [step for step in range(1, len(WAY)) if step != 2])
def test_a_step_that_was_done_is_not_done_again(step: int) -> None:
    request.given(*WAY[: step + 1]).when(*STEPS[step]).then_nothing()


def test_a_request_can_be_scoped_again_until_it_is_decided() -> None:
    request.given(*WAY[:3]).when(scope_request, 12, 4, 1, 1).then(RequestScoped(12, 4, 1, 1))


@pytest.mark.parametrize(
    ("begin", "months", "end"),
    [
        ((2026, 1, 31), 1, (2026, 2, 28)),
        ((2028, 1, 31), 1, (2028, 2, 29)),
        ((2026, 3, 31), 1, (2026, 4, 30)),
        ((2026, 12, 15), 1, (2027, 1, 15)),
        ((2026, 11, 30), 3, (2027, 2, 28)),
        ((2026, 2, 28), 1, (2026, 3, 28)),
    ],
)
def test_a_month_is_a_calendar_month(begin: tuple[int, int, int], months: int, end: tuple[int, int, int]) -> None:
    assert months_after(micros(*begin), months) == micros(*end)


@given(st.integers(0, micros(2200, 1, 1)), st.integers(0, 40))
def test_a_later_month_is_later_and_keeps_the_time_of_day(moment: int, months: int) -> None:
    later = months_after(moment, months)
    assert months == 0 or later > moment
    assert (later - moment) % 86_400_000_000 == 0
    assert (later - moment) // 86_400_000_000 <= 31 * months


def test_the_deadline_is_put_off_to_three_months_at_most_and_with_a_reason() -> None:
    due = micros(2026, 4, 30)
    request.given(RECEIVED).when(extend_request, due, TEXT).then(RequestExtended(due, TEXT))
    request.given(RECEIVED, RequestExtended(due, TEXT)).when(extend_request, due, TEXT).then_nothing()
    request.given(RECEIVED).when(extend_request, due, None).then_raises(InvalidValueError, "needs a reason")
    request.given(RECEIVED).when(extend_request, due + 1, TEXT).then_raises(InvalidValueError, r"Art\. 12\(3\)")


def test_keeping_something_takes_an_exemption_and_a_ground() -> None:
    scoped = request.given(*WAY[:3])
    scoped.when(decide_request, Verdict.REFUSED).then_raises(InvalidValueError, r"exemption of Art\. 17\(3\)")
    scoped.when(decide_request, Verdict.PARTIAL, exemption=Exemption.CLAIMS, kept=("a",)).then_raises(
        InvalidValueError, "ground"
    )
    why = {"exemption": Exemption.CLAIMS, "ground": TEXT}
    scoped.when(decide_request, Verdict.PARTIAL, **why).then_raises(InvalidValueError, "names what is kept")
    scoped.when(decide_request, Verdict.APPROVED, kept=("a",)).then_raises(InvalidValueError)
    kept = RequestDecided(Verdict.PARTIAL, Exemption.CLAIMS, TEXT, ("a",))
    scoped.when(decide_request, Verdict.PARTIAL, kept=("a",), **why).then(kept)


def test_a_refused_erasure_is_closed_and_never_fenced() -> None:
    refused = request.given(*WAY[:3], RequestDecided(Verdict.REFUSED, Exemption.OBLIGATION, TEXT))
    refused.when(fence_erasure).then_raises(InvalidValueError, "was refused")
    refused.when(close_request).then(RequestClosed())


def test_nothing_that_was_found_is_left_out() -> None:
    request.given(*WAY[:5]).when(record_execution, 1, 0, 1).then_raises(InvalidValueError, "3 things were found")


def test_an_erasure_that_left_something_is_executed_again() -> None:
    request.given(*WAY[:6]).when(verify_erasure, 2, 100).then(ErasureVerified(2, 100), RequestReopened(2))
    again = request.given(*WAY[:6], ErasureVerified(2, 100), RequestReopened(2))
    again.when(record_execution, 3, 0, 0).then(RequestExecuted(3, 0, 0))
    request.given(*WAY).when(reopen_request, 1).then(RequestReopened(1))
    request.given(*WAY[:6]).when(reopen_request, 1).then_raises(InvalidValueError, "only an erasure that was verified")


def test_a_request_about_another_right_needs_no_fence() -> None:
    asked = RequestReceived(Right.ACCESS, SUBJECT, micros(2026, 1, 31), micros(2026, 2, 28))
    way = request.given(asked, *WAY[1:3], RequestDecided(Verdict.APPROVED))
    way.when(fence_erasure).then_raises(InvalidValueError, "not about erasure")
    way.when(record_execution, 0, 0, 0).then(RequestExecuted(0, 0, 0))
    done = request.given(asked, *WAY[1:3], RequestDecided(Verdict.APPROVED), RequestExecuted(0, 0, 0))
    done.when(close_request).then(RequestClosed())
    done.when(reopen_request, 1).then_raises(InvalidValueError)


ACTS = st.one_of(
    *(act(step[0], *(st.just(argument) for argument in step[1:])) for step in STEPS),
    act(decide_request, st.just(Verdict.REFUSED), exemption=st.just(Exemption.CLAIMS), ground=st.just(TEXT)),
    act(verify_erasure, st.integers(0, 2), st.just(9)),
    act(reopen_request, st.just(1)),
)


@given(st.lists(ACTS, max_size=25))
def test_no_certificate_is_issued_before_another_code_path_found_nothing(tried: list[decisions.Act]) -> None:
    state, happened = DataRequest(), list[Any]()
    for each in tried:
        events = attempt(state, each)
        happened += events
        state = happen(REQUEST, state, events)
    for number, event in enumerate(happened):
        if isinstance(event, CertificateIssued):
            assert happened[number - 1] == ErasureVerified(0, happened[number - 1].scanned)
            assert not any(isinstance(each, RequestDecided) and each.verdict is Verdict.REFUSED for each in happened)
    assert (state.stage is Stage.NONE) == (not happened)
