"""Bytes that went without a version's end, and copies that could not go yet: one stream for each."""

from __future__ import annotations

import enum
from typing import ClassVar, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.evidence import Evidence, Trigger
from muniment.domain.values import Audit, Digest, Micros, Words

MOST: int = 1_000
"""How many blobs one event about copies that stayed names at most."""


@frozen
class Disposed(Event):
    """Blobs that no version needs are verified absent from a place; an empty *place* is the store's own."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    trigger: Trigger
    evidence: Evidence
    place: Words[str]
    owner_id: str | None = None
    request_id: str | None = None


class Hindrance(enum.Enum):
    """Why copies could not go: a lock or a legal hold of their store, or versions need them that are not erased."""

    LOCK = "lock"
    LEGAL_HOLD = "legal-hold"
    SHARED = "shared"


@frozen
class CopiesLeft(Event):
    """Copies of blobs that were to go stay in a place for now: until *ends_at*, if anybody has said when."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    disposal_id: str
    why: Hindrance
    ends_at: Micros | None
    place: Words[str]
    digests: Words[tuple[Digest, ...]]
    copies: int


class Ending(enum.Enum):
    """How it ended that copies were left: verified absent, or wanted by a version again."""

    GONE = "gone"
    WANTED = "wanted"


@frozen
class ResidualEnded(Event):
    """The copies that were left are verified absent, or a version needs the same bytes again."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    ending: Ending


@frozen
class PurgeParked(Event):
    """Something was to be done with *due* versions, deleting or purging, and was not: the clock may have jumped."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    due: int


DisposalEvent: TypeAlias = Disposed | CopiesLeft | ResidualEnded | PurgeParked


@frozen
class Disposal:
    """What is known of one stream: whether it was begun, and the copies that it says are left."""

    begun: bool = False
    left: CopiesLeft | None = None


def record_disposal(disposal: Disposal, disposed: Disposed) -> list[DisposalEvent]:
    """Record what was removed, once."""
    return [] if disposal.begun else [disposed]


def leave_copies(disposal: Disposal, left: CopiesLeft) -> list[DisposalEvent]:
    """Record copies that could not go, once."""
    return [] if disposal.begun else [left]


def end_residual(disposal: Disposal, ending: Ending) -> list[DisposalEvent]:
    """Record that copies are no longer left."""
    return [] if disposal.left is None else [ResidualEnded(ending)]


def park_purge(disposal: Disposal, due: int) -> list[DisposalEvent]:  # noqa: ARG001 (each time anew)
    """Record that what is due waits, each time: the ledger then shows that the clock went on in small steps."""
    return [PurgeParked(due)]


def evolve(disposal: Disposal, event: DisposalEvent) -> Disposal:
    """Return what is known after *event*."""
    match event:
        case Disposed():
            return replace(disposal, begun=True)
        case CopiesLeft():
            return Disposal(begun=True, left=event)
        case PurgeParked():
            return disposal
        case ResidualEnded():
            return replace(disposal, left=None)
        case _:
            assert_never(event)


DISPOSAL: Decider[Disposal, DisposalEvent] = Decider("disposal", Disposal(), evolve)
