"""Durations as people type and read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.app import durations
from muniment.app.durations import SECOND
from muniment.domain.errors import InvalidValueError
from muniment.domain.values import INHERIT, LONGEST_TTL, NEVER, Ttl


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("7d", 604_800),
        ("12h", 43_200),
        ("30m", 1800),
        ("2w", 1_209_600),
        ("0", 0),
        ("0.5s", 0.5),
        ("1 D", 86400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert durations.from_text(text) == seconds * SECOND


def test_a_duration_for_ever_is_a_thousand_years() -> None:
    assert durations.from_text("9" * 400) == durations.from_text("365250d")


@given(st.integers(1, LONGEST_TTL))
def test_what_is_told_can_be_typed_again(micros: int) -> None:
    typed = durations.from_text(durations.to_text(micros))
    assert abs(typed - micros) <= max(1, micros * 2**-50)  # a number of seconds is read as a float


@pytest.mark.parametrize(
    ("text", "ttl"), [("never", NEVER), ("inherit", INHERIT), ("90d", Ttl.after(90 * 86_400 * SECOND))]
)
def test_a_ttl_reads_as_it_was_typed(text: str, ttl: Ttl) -> None:
    assert durations.ttl_from_text(text) == ttl
    assert durations.ttl_to_text(ttl) == text


def test_what_is_kept_for_no_time_is_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidValueError, match=r"'0d' is no time to live.* write for example 90d, never or"):
        durations.ttl_from_text("0d")
