"""Durations as people type and read them: ``90d``, ``12h``, ``0.5s``, ``never``."""

from __future__ import annotations

import re
from typing import Final

from muniment.domain.errors import InvalidValueError
from muniment.domain.values import INHERIT, LONGEST_TTL, NEVER, Micros, Ttl, TtlRule

SECOND: Final = 1_000_000
_SECONDS: Final = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_TYPED: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)?", re.IGNORECASE)
_TOLD: Final = ("d", "h", "m")


def from_text(text: str) -> Micros:
    """Read ``7d``, ``12h``, ``30m``, ``2w`` or ``90`` (seconds) as microseconds.

    Months and years have no length, so they are none, and neither is ``M``.
    """
    found = _TYPED.fullmatch(text.strip())
    if not found or found[2] == "M":
        msg = f"{text!r} is no duration — write for example 7d, 12h or 30m"
        raise InvalidValueError(msg)
    micros = float(found[1]) * _SECONDS[(found[2] or "s").lower()] * SECOND
    return round(min(micros, LONGEST_TTL))


def lasting(text: str, instead: str) -> Micros:
    """Read how long something is kept, which is longer than no time; *instead* says what else can be written."""
    micros = from_text(text)
    if micros <= 0:
        msg = f"{text!r} is no time to live, which has to be positive — write for example {instead}"
        raise InvalidValueError(msg)
    return micros


def ttl_from_text(text: str) -> Ttl:
    """Read a TTL: a duration, ``never`` or ``inherit``."""
    fixed = {TtlRule.NEVER.value: NEVER, TtlRule.INHERIT.value: INHERIT}
    return fixed[text] if text in fixed else Ttl.after(lasting(text, "90d, never or inherit"))


def to_text(micros: Micros | None) -> str:
    """Return a duration as it can be typed; ``None`` is ``never``."""
    if micros is None:
        return TtlRule.NEVER.value
    for unit in _TOLD:
        if micros % (_SECONDS[unit] * SECOND) == 0:
            return f"{micros // (_SECONDS[unit] * SECOND)}{unit}"
    return f"{micros / SECOND:f}".rstrip("0").rstrip(".") + "s"


def ttl_to_text(ttl: Ttl) -> str:
    """Return a TTL as it can be typed."""
    return to_text(ttl.micros) if ttl.rule is TtlRule.AFTER else ttl.rule.value
