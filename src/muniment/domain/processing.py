"""What data is processed for, as the controller declares it: the entries of the record of processing (GDPR Art. 30)."""

from __future__ import annotations

import enum
from typing import ClassVar, Final, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.hold import ScopeKind
from muniment.domain.values import Audit, Personal, Words

SCOPES: Final = frozenset({ScopeKind.ORGANISATION, ScopeKind.TEAM, ScopeKind.PROJECT, ScopeKind.ARTIFACT})
"""What an activity may be declared for."""


class LegalBasis(enum.Enum):
    """Why data may be processed: the letters of Art. 6(1)."""

    CONSENT = "6(1)(a)"
    CONTRACT = "6(1)(b)"
    OBLIGATION = "6(1)(c)"
    VITAL_INTERESTS = "6(1)(d)"
    PUBLIC_TASK = "6(1)(e)"
    LEGITIMATE_INTERESTS = "6(1)(f)"


class Part(enum.Enum):
    """For whom data is processed: for one's own purposes (Art. 30(1)), or for those of others (Art. 30(2))."""

    CONTROLLER = "controller"
    PROCESSOR = "processor"


@frozen
class ActivityDeclared(Event):
    """What is in the scope is processed like this from now on; *special* are the categories of Art. 9."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    scope: ScopeKind
    target: str
    part: Part
    special: bool
    name: Words[str]
    purpose: Words[str]
    legal_basis: LegalBasis | None = None
    subject_categories: Words[str] | None = None
    data_categories: Words[str] | None = None
    recipients: Words[str] | None = None
    transfers: Words[str] | None = None
    retention: Words[str] | None = None
    measures: Words[str] | None = None
    contacts: Personal[str] | None = None


@frozen
class ActivityEnded(Event):
    """Nothing is processed like this any more."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


ActivityEvent: TypeAlias = ActivityDeclared | ActivityEnded


@frozen
class Activity:
    """What was declared last, and whether it ended."""

    declared: ActivityDeclared | None = None
    ended: bool = False


def declare_activity(activity: Activity, wanted: ActivityDeclared) -> list[ActivityEvent]:
    """Declare what data is processed for, or declare it anew; the scope stays what it was."""
    if wanted.scope not in SCOPES:
        known = ", ".join(sorted(scope.value for scope in SCOPES))
        msg = f"an activity cannot be declared for a {wanted.scope.value} — take one of {known}"
        raise InvalidValueError(msg)
    for what, words in (("name", wanted.name), ("purpose", wanted.purpose)):
        if isinstance(words, str) and not words.strip():
            msg = f"an activity needs a {what} — say it in a few words"
            raise InvalidValueError(msg)
    if (wanted.part is Part.CONTROLLER) != (wanted.legal_basis is not None):
        msg = (
            "a controller names the legal basis of an activity (Art. 6(1)), and a processor leaves it to the controller"
        )
        raise InvalidValueError(msg)
    before = activity.declared
    if before is not None and (before.scope, before.target) != (wanted.scope, wanted.target):
        msg = "the scope of an activity cannot be changed — end it and declare another"
        raise InvalidValueError(msg)
    return [] if before == wanted and not activity.ended else [wanted]


def end_activity(activity: Activity) -> list[ActivityEvent]:
    """Say that an activity is no more."""
    if activity.declared is None:
        msg = "there is no such activity — see: muniment activity list"
        raise NotFoundError(msg)
    return [] if activity.ended else [ActivityEnded()]


def evolve(activity: Activity, event: ActivityEvent) -> Activity:
    """Return the activity after *event*."""
    match event:
        case ActivityDeclared():
            return Activity(event)
        case ActivityEnded():
            return replace(activity, ended=True)
        case _:
            assert_never(event)


ACTIVITY: Decider[Activity, ActivityEvent] = Decider("activity", Activity(), evolve)
