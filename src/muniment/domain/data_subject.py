"""A data subject: a person whom stored things are about, known by a random id; who it is stands in the vault."""

from __future__ import annotations

import enum
from typing import ClassVar, Final, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import InvalidValueError, NotFoundError, SubjectErasedError
from muniment.domain.values import Audit, Personal, VersionId, Words

MOST_ENTRIES: Final = 1_000
"""How many entries one event attaches."""


class TargetKind(enum.Enum):
    """What a subject is attached to as a whole; a user is somebody who acted here, by whose login it is known."""

    ARTIFACT = "artifact"
    VERSION = "version"
    RUN = "run"
    USER = "user"


@frozen
class SubjectRegistered(Event):
    """A data subject became known."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    identity: Personal[str]


@frozen
class SubjectAttached(Event):
    """Everything in *target* is about the subject, among others perhaps."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    kind: TargetKind
    target: str


@frozen
class SubjectDetached(Event):
    """What was attached as a whole is not about the subject."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    kind: TargetKind
    target: str


@frozen
class EntriesAttached(Event):
    """These entries of a version are about the subject; *entry_ids* stands for the paths, in the same order."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    version_id: VersionId
    entry_ids: tuple[str, ...]
    paths: Words[tuple[str, ...]]


@frozen
class EntriesDetached(Event):
    """These entries of a version are not about the subject."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    version_id: VersionId
    entry_ids: tuple[str, ...]


@frozen
class SubjectFenced(Event):
    """Nothing about the subject may come in any more: an erasure began."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    request_id: str


@frozen
class FenceLifted(Event):
    """The erasure was given up, so that things about the subject may come in again."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    request_id: str


@frozen
class SubjectErased(Event):
    """The subject's identity and key were destroyed; the fence stays for good."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    request_id: str


SubjectEvent: TypeAlias = (
    SubjectRegistered
    | SubjectAttached
    | SubjectDetached
    | EntriesAttached
    | EntriesDetached
    | SubjectFenced
    | FenceLifted
    | SubjectErased
)


class Standing(enum.Enum):
    """How far a subject is from being forgotten."""

    UNKNOWN = "unknown"
    REGISTERED = "registered"
    FENCED = "fenced"
    ERASED = "erased"


@frozen
class DataSubject:
    """What decisions about a data subject need to know; which entries are attached is asked of the index."""

    standing: Standing = Standing.UNKNOWN
    request_id: str | None = None
    targets: frozenset[tuple[TargetKind, str]] = frozenset()


def register_subject(subject: DataSubject, identity: Personal[str]) -> list[SubjectEvent]:
    """Make a data subject known, once."""
    return [SubjectRegistered(identity)] if subject.standing is Standing.UNKNOWN else []


def attach_subject(subject: DataSubject, kind: TargetKind, target: str) -> list[SubjectEvent]:
    """Say that a whole version, artifact or run is about the subject."""
    _require_open(subject)
    return [] if (kind, target) in subject.targets else [SubjectAttached(kind, target)]


def detach_subject(subject: DataSubject, kind: TargetKind, target: str) -> list[SubjectEvent]:
    """Say that what was attached as a whole is not about the subject."""
    _require_open(subject)
    return [SubjectDetached(kind, target)] if (kind, target) in subject.targets else []


def attach_entries(
    subject: DataSubject, version_id: VersionId, entries: tuple[tuple[str, str], ...]
) -> list[SubjectEvent]:
    """Say that *entries* of a version, pairs of a fresh id and a path, are about the subject."""
    _require_open(subject)
    if len({path for _, path in entries}) != len(entries):
        msg = "the same entry is named twice — name each path once"
        raise InvalidValueError(msg)
    parts = [entries[at : at + MOST_ENTRIES] for at in range(0, len(entries), MOST_ENTRIES)]
    return [
        EntriesAttached(version_id, tuple(id_ for id_, _ in part), tuple(path for _, path in part)) for part in parts
    ]


def detach_entries(subject: DataSubject, version_id: VersionId, entry_ids: tuple[str, ...]) -> list[SubjectEvent]:
    """Say that entries, by the ids under which they were attached, are not about the subject."""
    _require_open(subject)
    parts = [entry_ids[at : at + MOST_ENTRIES] for at in range(0, len(entry_ids), MOST_ENTRIES)]
    return [EntriesDetached(version_id, part) for part in parts]


def fence_subject(subject: DataSubject, request_id: str) -> list[SubjectEvent]:
    """Let nothing about the subject in any more, because a request to erase it was approved."""
    if subject.standing is Standing.FENCED and subject.request_id == request_id:
        return []
    _require_open(subject)
    return [SubjectFenced(request_id)]


def lift_fence(subject: DataSubject, request_id: str) -> list[SubjectEvent]:
    """Let things about the subject in again, because the erasure was given up before it began."""
    if subject.standing is Standing.ERASED:
        raise _erased(subject)
    fenced = subject.standing is Standing.FENCED and subject.request_id == request_id
    return [FenceLifted(request_id)] if fenced else []


def erase_subject(subject: DataSubject, request_id: str) -> list[SubjectEvent]:
    """Record that identity and key of a fenced subject were destroyed."""
    if subject.standing is Standing.ERASED:
        return []
    if subject.standing is not Standing.FENCED or subject.request_id != request_id:
        msg = "a subject is fenced before it is erased, by the same request"
        raise InvalidValueError(msg)
    return [SubjectErased(request_id)]


def _require_open(subject: DataSubject) -> None:
    if subject.standing is Standing.UNKNOWN:
        msg = "there is no such data subject — see: muniment subject list"
        raise NotFoundError(msg)
    if subject.standing is not Standing.REGISTERED:
        raise _erased(subject)


def _erased(subject: DataSubject) -> SubjectErasedError:
    msg = f"the data subject is {subject.standing.value} by request {subject.request_id}: nothing about it may be kept"
    return SubjectErasedError(msg)


def evolve(subject: DataSubject, event: SubjectEvent) -> DataSubject:
    """Return the subject after *event*."""
    match event:
        case SubjectRegistered():
            return replace(subject, standing=Standing.REGISTERED)
        case SubjectAttached(kind=kind, target=target):
            return replace(subject, targets=subject.targets | {(kind, target)})
        case SubjectDetached(kind=kind, target=target):
            return replace(subject, targets=subject.targets - {(kind, target)})
        case EntriesAttached() | EntriesDetached():
            return subject
        case SubjectFenced(request_id=request_id):
            return replace(subject, standing=Standing.FENCED, request_id=request_id)
        case FenceLifted():
            return replace(subject, standing=Standing.REGISTERED, request_id=None)
        case SubjectErased(request_id=request_id):
            return replace(subject, standing=Standing.ERASED, request_id=request_id)
        case _:
            assert_never(event)


DATA_SUBJECT: Decider[DataSubject, SubjectEvent] = Decider("data-subject", DataSubject(), evolve)
