"""A hold: as long as it is in force, nothing in its scope may be removed, whoever asks and for whatever reason."""

from __future__ import annotations

import enum
from typing import ClassVar, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.values import Audit, Micros, Personal, Words


class HoldKind(enum.Enum):
    """Why something is held."""

    LITIGATION = "litigation"
    REGULATORY = "regulatory"
    INVESTIGATION = "investigation"


class ScopeKind(enum.Enum):
    """What the scope of a hold or a policy is; what enters it later belongs to it too."""

    ORGANISATION = "organisation"
    TEAM = "team"
    PROJECT = "project"
    TYPE = "type"
    ARTIFACT = "artifact"
    VERSION = "version"
    REGISTRY = "registry"
    COLLECTION = "collection"
    SUBJECT = "subject"
    TAG = "tag"


@frozen
class HoldPlaced(Event):
    """Nothing in the scope may be removed from now on: the thing with the id *target*, or what has *tag* in it."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    kind: HoldKind
    scope: ScopeKind
    target: str
    matter: Personal[str]
    tag: Words[str] | None = None
    review_by: Micros | None = None


@frozen
class HoldReviewed(Event):
    """Somebody looked whether the hold is still needed; *review_by* says when to look again."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    review_by: Micros | None


@frozen
class HoldReleased(Event):
    """The hold ended, which two people agreed to."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    reason: Personal[str] | None = None


HoldEvent: TypeAlias = HoldPlaced | HoldReviewed | HoldReleased


@frozen
class Hold:
    """Whether the hold is in force."""

    placed: bool = False
    released: bool = False
    review_by: Micros | None = None


def place_hold(hold: Hold, placed: HoldPlaced) -> list[HoldEvent]:
    """Place a hold, which counts at once."""
    if placed.scope is ScopeKind.TYPE:
        msg = (
            "a hold cannot be placed on a type — name a project, an artifact, a version, a registry, a subject or a tag"
        )
        raise InvalidValueError(msg)
    return [] if hold.placed else [placed]


def review_hold(hold: Hold, review_by: Micros | None) -> list[HoldEvent]:
    """Say that the hold is still needed, and when to look again."""
    _require(hold)
    return [] if review_by == hold.review_by else [HoldReviewed(review_by)]


def release_hold(hold: Hold, reason: Personal[str] | None = None) -> list[HoldEvent]:
    """End a hold; that two people agreed is checked by whoever calls."""
    _require(hold)
    return [] if hold.released else [HoldReleased(reason)]


def _require(hold: Hold) -> None:
    if not hold.placed:
        msg = "there is no such hold — see: muniment hold list"
        raise NotFoundError(msg)


def evolve(hold: Hold, event: HoldEvent) -> Hold:
    """Return the hold after *event*."""
    match event:
        case HoldPlaced(review_by=review_by):
            return Hold(placed=True, review_by=review_by)
        case HoldReviewed(review_by=review_by):
            return replace(hold, review_by=review_by)
        case HoldReleased():
            return replace(hold, released=True)
        case _:
            assert_never(event)


HOLD: Decider[Hold, HoldEvent] = Decider("hold", Hold(), evolve)
