"""A principal: whoever acts. Who it really is stands in the vault; what it looked at and was denied stands here."""

from __future__ import annotations

import enum
from typing import ClassVar, TypeAlias

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.values import Audit, Personal, PrincipalId, StreamId, VersionId


class PrincipalKind(enum.Enum):
    """What acts: a person, a program, or Muniment itself."""

    HUMAN = "human"
    SERVICE = "service"
    SYSTEM = "system"


@frozen
class PrincipalCreated(Event):
    """Somebody or something that acts became known."""

    audit: ClassVar[Audit] = Audit.SECURITY
    kind: PrincipalKind
    login: Personal[str]


PrincipalEvent: TypeAlias = PrincipalCreated


@frozen
class Denied(Event):
    """An act was refused: *rule* names the error class, *target* is the id of what it was about."""

    audit: ClassVar[Audit] = Audit.SECURITY
    rule: str
    target: str | None = None


@frozen
class VersionUsed(Event):
    """A version was taken as the input of a run, or outside of one."""

    audit: ClassVar[Audit] = Audit.ACCESS
    version_id: VersionId


@frozen
class VersionDownloaded(Event):
    """Entries of a version were downloaded: *entries* of them, *size* bytes together."""

    audit: ClassVar[Audit] = Audit.ACCESS
    version_id: VersionId
    entries: int
    size: int


AccessEvent: TypeAlias = Denied | VersionUsed | VersionDownloaded


@frozen
class Principal:
    """Whether the principal is known."""

    created: bool = False


@frozen
class Access:
    """What was accessed needs no state."""


def create_principal(principal: Principal, created: PrincipalCreated) -> list[PrincipalEvent]:
    """Make a principal known, once."""
    return [] if principal.created else [created]


def evolve(principal: Principal, event: PrincipalEvent) -> Principal:
    """Return the principal after *event*."""
    del event
    return replace(principal, created=True)


def evolve_access(access: Access, event: AccessEvent) -> Access:
    """Return the state of the access stream, which is none."""
    del event
    return access


PRINCIPAL: Decider[Principal, PrincipalEvent] = Decider("principal", Principal(), evolve)
ACCESS: Decider[Access, AccessEvent] = Decider("access", Access(), evolve_access, tail=1)


def access_stream(principal_id: PrincipalId) -> StreamId:
    """Return the stream of what a principal accessed and was denied."""
    return StreamId(f"{principal_id}:x")
