"""Bytes that went, and copies that could not go yet: each is told of once."""

from __future__ import annotations

from muniment.domain.disposal import (
    DISPOSAL,
    CopiesLeft,
    Disposed,
    Ending,
    Hindrance,
    ResidualEnded,
    end_residual,
    leave_copies,
    record_disposal,
)
from muniment.domain.evidence import Check, Evidence, Method, Trigger
from muniment.domain.values import Digest
from tests.spec import Spec

GONE = Disposed(Trigger.LEFTOVER, Evidence("d", Method.DELETED, (Check.FILES,), 1, 10, 1), "")
LEFT = CopiesLeft("d", Hindrance.LOCK, 7, "s3://bucket", (Digest("1" * 64),), 2)
disposal = Spec(DISPOSAL)


def test_what_went_is_recorded_once() -> None:
    disposal.when(record_disposal, GONE).then(GONE)
    disposal.given(GONE).when(record_disposal, GONE).then_nothing()


def test_copies_that_stay_are_recorded_once_and_end_once() -> None:
    disposal.when(leave_copies, LEFT).then(LEFT)
    disposal.given(LEFT).when(leave_copies, LEFT).then_nothing()
    disposal.given(LEFT).when(end_residual, Ending.GONE).then(ResidualEnded(Ending.GONE))
    disposal.given(LEFT, ResidualEnded(Ending.GONE)).when(end_residual, Ending.GONE).then_nothing()
    disposal.given(LEFT, ResidualEnded(Ending.WANTED)).when(leave_copies, LEFT).then_nothing()


def test_what_never_stayed_does_not_end() -> None:
    disposal.when(end_residual, Ending.GONE).then_nothing()
    disposal.given(GONE).when(end_residual, Ending.GONE).then_nothing()
