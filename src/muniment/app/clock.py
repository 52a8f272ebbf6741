"""The clock: the only place that asks the operating system for the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from muniment.domain.errors import InvalidValueError
from muniment.domain.values import Micros

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICRO = timedelta(microseconds=1)


def now() -> Micros:
    """Return the time in microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


def to_datetime(at: Micros) -> datetime:
    """Return a time as a datetime in UTC, exact to the microsecond."""
    return EPOCH + timedelta(microseconds=at)


def to_text(at: Micros) -> str:
    """Return a time as RFC 3339 in UTC."""
    return to_datetime(at).isoformat(timespec="microseconds").replace("+00:00", "Z")


def told(at: Micros | None) -> str | None:
    """Return a time as RFC 3339 in UTC, ``None`` where there is none."""
    return None if at is None else to_text(at)


def from_text(text: str) -> Micros:
    """Read an ISO 8601 time; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is no time — write for example 2026-03-03T12:00Z"
        raise InvalidValueError(msg) from error
    return from_datetime(moment)


def from_datetime(moment: datetime) -> Micros:
    """Return a datetime in microseconds since 1970; without an offset it is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // MICRO
