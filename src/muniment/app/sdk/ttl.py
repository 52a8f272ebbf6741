"""How long a version is kept, in W&B's words: a ``timedelta``, ``None`` for never, or ``ArtifactTTL.INHERIT``."""

from __future__ import annotations

import enum
from datetime import timedelta

from muniment.app.clock import MICRO
from muniment.domain.errors import InvalidValueError
from muniment.domain.values import INHERIT, NEVER, Ttl, TtlRule


class ArtifactTTL(enum.Enum):
    """What a TTL can be besides a duration."""

    INHERIT = enum.auto()
    """The artifact's or the team's TTL counts."""


class TtlTypeError(InvalidValueError, TypeError, AttributeError):
    """What was given is no TTL; W&B raises an AttributeError for a plain number."""


def to_ttl(given: timedelta | ArtifactTTL | None) -> Ttl:
    """Return the TTL that was given, exact to the microsecond: half a second is half a second, not never."""
    if given is None:
        return NEVER
    if given is ArtifactTTL.INHERIT:
        return INHERIT
    if not isinstance(given, timedelta):
        msg = f"Artifact TTL must be a timedelta, None or ArtifactTTL.INHERIT, not {type(given).__name__}"
        raise TtlTypeError(msg)
    return Ttl.after(given // MICRO)


def from_ttl(ttl: Ttl) -> timedelta | None:
    """Return a TTL as a duration; ``None`` for never."""
    return timedelta(microseconds=ttl.micros) if ttl.rule is TtlRule.AFTER and ttl.micros is not None else None
