"""What happens to one version after it was made: metadata, tags, TTL, deletion, restoring, erasure, purge."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import ClassVar, Final, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import GoneError, InvalidValueError, VersionDeletedError, VersionHeldError
from muniment.domain.evidence import Evidence, Trigger
from muniment.domain.values import INHERIT, Audit, Digest, Json, Micros, Personal, Ttl, Words


@frozen
class MetadataChanged(Event):
    """The metadata was replaced, or taken away."""

    metadata: Personal[Json] | None


@frozen
class VersionDescribed(Event):
    """The description changed, or was taken away."""

    description: Personal[str] | None


@frozen
class Tagged(Event):
    """A tag was put on the version."""

    tag_id: str
    tag: Words[str]


@frozen
class Untagged(Event):
    """A tag was taken from the version."""

    tag_id: str


@frozen
class TtlSet(Event):
    """The version now lives this long, counted from its creation."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    ttl: Ttl


class Cause(enum.Enum):
    """Why a version was marked deleted."""

    ASKED = "asked"
    EXPIRED = "expired"
    PARENT = "parent"
    ERASED = "erased"


@frozen
class MarkedDeleted(Event):
    """The version is out of sight; until it is let go it can be restored."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    cause: Cause = Cause.ASKED
    reason: Personal[str] | None = None


@frozen
class Restored(Event):
    """The deletion was taken back before the purge."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


@frozen
class EntryErased(Event):
    """The bytes of one entry were erased on request."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    entry_id: str
    path: Words[str]
    reason: Personal[str] | None = None


@frozen
class ManifestReplaced(Event):
    """The version keeps its number, but lists *erased* entries fewer, because a request asked to erase them."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    request_id: str
    digest: Words[Digest]
    manifest: Words[Digest]
    size: int
    entries: int
    erased: int


@frozen
class LetGo(Event):
    """The bytes go from here on, so nothing brings the version back; it was due since *due_at*."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    trigger: Trigger
    marked_at: Micros | None = None
    due_at: Micros | None = None
    request_id: str | None = None


@frozen
class Purged(Event):
    """What only this version held is verified absent: *blobs*, *size* bytes; *evidence* in the order of *places*."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    blobs: int
    size: int
    evidence: tuple[Evidence, ...] = ()
    places: Words[tuple[str, ...]] = ()
    trigger: Trigger | None = None
    marked_at: Micros | None = None
    due_at: Micros | None = None
    request_id: str | None = None


VersionEvent: TypeAlias = (
    MetadataChanged
    | VersionDescribed
    | Tagged
    | Untagged
    | TtlSet
    | MarkedDeleted
    | Restored
    | EntryErased
    | ManifestReplaced
    | LetGo
    | Purged
)


class State(enum.Enum):
    """How far a version is on its way: live, deleted but restorable, let go for good, or gone."""

    COMMITTED = "committed"
    DELETED = "deleted"
    LET_GO = "let-go"
    PURGED = "purged"


GOING: Final = frozenset({State.LET_GO, State.PURGED})
"""The states from which no version comes back."""


class Unsaid(enum.Enum):
    """Nothing was said about it after the version was made."""

    UNSAID = "unsaid"


@frozen
class Version:
    """What decisions about a version need to know; it is made elsewhere, in its artifact's numbering."""

    state: State = State.COMMITTED
    ttl: Ttl | None = None
    metadata: Personal[Json] | Unsaid | None = Unsaid.UNSAID
    description: Personal[str] | Unsaid | None = Unsaid.UNSAID
    tags: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()
    replaced: ManifestReplaced | None = None
    cause: Cause | None = None
    let_go: LetGo | None = None


def change_metadata(version: Version, metadata: Personal[Json] | None) -> list[VersionEvent]:
    """Replace the metadata."""
    require_live(version)
    return [] if metadata == version.metadata else [MetadataChanged(metadata)]


def describe_version(version: Version, description: Personal[str] | None) -> list[VersionEvent]:
    """Set or take away the description."""
    require_live(version)
    return [] if description == version.description else [VersionDescribed(description)]


def tag_version(version: Version, tag_id: str, tag: str, tagged: str | None = None) -> list[VersionEvent]:
    """Add a tag, unless the version has it (*tagged* is then the id it has)."""
    require_live(version)
    return [] if tagged is not None or tag_id in version.tags else [Tagged(tag_id, tag)]


def untag_version(version: Version, tag_id: str | None) -> list[VersionEvent]:
    """Take a tag away, if the version has it."""
    require_live(version)
    return [] if tag_id is None or tag_id not in version.tags else [Untagged(tag_id)]


def set_ttl(version: Version, ttl: Ttl, created: Ttl = INHERIT) -> list[VersionEvent]:
    """Set how long the version lives; *created* is the TTL it was made with."""
    require_live(version)
    return [] if ttl == (version.ttl or created) else [TtlSet(ttl)]


def mark_deleted(
    version: Version,
    *,
    aliases: tuple[str, ...] = (),
    links: tuple[str, ...] = (),
    cause: Cause = Cause.ASKED,
    reason: Personal[str] | None = None,
) -> list[VersionEvent]:
    """Let the version go, unless *aliases* or live *links* (their names) hold it."""
    if version.state is not State.COMMITTED:
        return []
    if links:
        msg = f"the version is linked in {', '.join(links)} — unlink it first"
        raise VersionHeldError(msg)
    if aliases:
        way_out = "remove them, or let them go too (delete_aliases=True, on the command line --delete-aliases)"
        msg = f"the version has aliases ({', '.join(aliases)}) — {way_out}"
        raise VersionHeldError(msg)
    return [MarkedDeleted(cause, reason)]


def restore(version: Version) -> list[VersionEvent]:
    """Take the deletion back, which works until the version is let go."""
    if version.state in GOING:
        how = "was purged: its bytes are gone" if version.state is State.PURGED else "was let go: its bytes are going"
        msg = f"the version {how} and it cannot be restored — log the same content again, as a new version"
        raise GoneError(msg)
    return [Restored()] if version.state is State.DELETED else []


def erase_entry(version: Version, entry_id: str, path: str, reason: Personal[str] | None = None) -> list[VersionEvent]:
    """Record that one entry's bytes were erased."""
    return [] if entry_id in version.erased else [EntryErased(entry_id, path, reason)]


def replace_manifest(version: Version, replaced: ManifestReplaced) -> list[VersionEvent]:
    """Give the version a manifest without the entries that were erased; what was purged has none any more."""
    if replaced.erased <= 0:
        msg = "a manifest is replaced only to leave entries out"
        raise InvalidValueError(msg)
    return [] if version.state in GOING or replaced == version.replaced else [replaced]


def let_go(version: Version, going: LetGo) -> list[VersionEvent]:
    """Decide that the bytes go; a live version goes only by a request to erase it."""
    if version.state is State.COMMITTED and going.trigger is not Trigger.ERASURE:
        msg = "the version is live: delete it before its bytes are purged"
        raise VersionHeldError(msg)
    return [] if version.state in GOING else [going]


def let_go_in_time(version: Version, marked_at: Micros | None, due_at: Micros) -> list[VersionEvent]:
    """Decide that the bytes of a version go whose grace period is over, since *due_at*."""
    trigger = Trigger.EXPIRED if version.cause is Cause.EXPIRED else Trigger.DELETED
    return let_go(version, LetGo(trigger, marked_at, due_at))


def purge(version: Version, evidence: Sequence[tuple[str, Evidence]]) -> list[VersionEvent]:
    """Record that the bytes of a version that was let go are verified absent, by *evidence* for each place."""
    if version.state is State.PURGED:
        return []
    going = version.let_go
    if going is None:
        msg = "the version was not let go, so its bytes stay"
        raise VersionHeldError(msg)
    found = tuple(each for _, each in evidence)
    return [
        Purged(
            blobs=sum(each.blobs for each in found),
            size=sum(each.size for each in found),
            evidence=found,
            places=tuple(place for place, _ in evidence),
            trigger=going.trigger,
            marked_at=going.marked_at,
            due_at=going.due_at,
            request_id=going.request_id,
        )
    ]


def require_live(version: Version) -> None:
    """Refuse what is asked of a version that was deleted."""
    if version.state is not State.COMMITTED:
        if version.state in GOING:
            msg = f"the version was {'purged' if version.state is State.PURGED else 'let go'}, its bytes are gone"
            raise GoneError(msg)
        msg = "the version was deleted — restore it first"
        raise VersionDeletedError(msg)


def evolve(version: Version, event: VersionEvent) -> Version:
    """Return the version after *event*."""
    match event:
        case MetadataChanged(metadata=metadata):
            return replace(version, metadata=metadata)
        case VersionDescribed(description=description):
            return replace(version, description=description)
        case Tagged(tag_id=tag_id):
            return replace(version, tags=version.tags | {tag_id})
        case Untagged(tag_id=tag_id):
            return replace(version, tags=version.tags - {tag_id})
        case TtlSet(ttl=ttl):
            return replace(version, ttl=ttl)
        case MarkedDeleted(cause=cause):
            return replace(version, state=State.DELETED, cause=cause)
        case Restored():
            return replace(version, state=State.COMMITTED, cause=None)
        case EntryErased(entry_id=entry_id):
            return replace(version, erased=version.erased | {entry_id})
        case ManifestReplaced():
            return replace(version, replaced=event)
        case LetGo():
            return replace(version, state=State.LET_GO, let_go=event)
        case Purged():
            return replace(version, state=State.PURGED)
        case _:
            assert_never(event)


VERSION: Decider[Version, VersionEvent] = Decider("version", Version(), evolve)
