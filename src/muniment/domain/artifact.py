"""An artifact: a named sequence of versions of one type, and its numbering.

Two streams: the artifact itself, and its numbering, which holds only VersionCreated, so that a version's index is its
position minus one. Its aliases have streams of their own.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import NameTakenError, NotFoundError, VersionHeldError
from muniment.domain.values import (
    INHERIT,
    ArtifactId,
    Audit,
    Digest,
    Erased,
    Json,
    Personal,
    ProjectId,
    RunId,
    Ttl,
    VersionId,
    Words,
)


@frozen
class ArtifactCreated(Event):
    """A named sequence began."""

    project_id: ProjectId
    name: Words[str]
    type: Words[str]
    description: Personal[str] | None = None


@frozen
class ArtifactRenamed(Event):
    """The artifact has another name; the old one is free again."""

    name: Words[str]


@frozen
class TypeChanged(Event):
    """The artifact has another type."""

    type: Words[str]


@frozen
class ArtifactDescribed(Event):
    """The description changed, or was taken away."""

    description: Personal[str] | None


@frozen
class ArtifactTtlSet(Event):
    """The versions of this artifact that say nothing themselves now live this long."""

    ttl: Ttl


@frozen
class ArtifactTagged(Event):
    """A tag was put on the artifact."""

    tag_id: str
    tag: Words[str]


@frozen
class ArtifactUntagged(Event):
    """A tag was taken from the artifact."""

    tag_id: str


@frozen
class ArtifactDeleted(Event):
    """The artifact and all its versions were let go; its name is free again."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    reason: Personal[str] | None = None


ArtifactEvent: TypeAlias = (
    ArtifactCreated
    | ArtifactRenamed
    | TypeChanged
    | ArtifactDescribed
    | ArtifactTtlSet
    | ArtifactTagged
    | ArtifactUntagged
    | ArtifactDeleted
)


@frozen
class VersionCreated(Event):
    """The next version; its index is its position in the numbering stream minus one."""

    version_id: VersionId
    digest: Words[Digest]
    manifest: Words[Digest]
    size: int
    entries: int
    run_id: RunId | None = None
    ttl: Ttl = INHERIT
    description: Personal[str] | None = None
    metadata: Personal[Json] | None = None
    base: VersionId | None = None
    sources: tuple[VersionId, ...] = ()


@frozen
class Artifact:
    """What decisions about an artifact need to know."""

    project_id: ProjectId | None = None
    name: str | Erased | None = None
    type: str | Erased | None = None
    ttl: Ttl = INHERIT
    description: Personal[str] | None = None
    tags: frozenset[str] = frozenset()
    deleted: bool = False


@frozen
class Numbering:
    """Whether a version exists; how many is the stream's own position."""

    head: VersionId | None = None


def create_artifact(
    artifact: Artifact, created: ArtifactCreated, taken: ArtifactId | None = None
) -> list[ArtifactEvent]:
    """Begin a sequence under a free name."""
    if taken is not None:
        msg = f"the name {created.name} is taken in this project"
        raise NameTakenError(msg)
    return [] if artifact.project_id is not None else [created]


def rename_artifact(artifact: Artifact, name: str, taken: ArtifactId | None = None) -> list[ArtifactEvent]:
    """Give the artifact another free name."""
    require_alive(artifact)
    if name == artifact.name:
        return []
    if taken is not None:
        msg = f"the name {name} is taken in this project"
        raise NameTakenError(msg)
    return [ArtifactRenamed(name)]


def change_type(artifact: Artifact, type_: str) -> list[ArtifactEvent]:
    """Give the artifact another type."""
    require_alive(artifact)
    return [] if type_ == artifact.type else [TypeChanged(type_)]


def describe_artifact(artifact: Artifact, description: Personal[str] | None) -> list[ArtifactEvent]:
    """Set or take away the description."""
    require_alive(artifact)
    return [] if description == artifact.description else [ArtifactDescribed(description)]


def set_artifact_ttl(artifact: Artifact, ttl: Ttl) -> list[ArtifactEvent]:
    """Set how long versions live that say nothing themselves."""
    require_alive(artifact)
    return [] if ttl == artifact.ttl else [ArtifactTtlSet(ttl)]


def tag_artifact(artifact: Artifact, tag_id: str, tag: str, tagged: str | None = None) -> list[ArtifactEvent]:
    """Add a tag, unless the artifact has it (*tagged* is then the id it has)."""
    require_alive(artifact)
    return [] if tagged is not None or tag_id in artifact.tags else [ArtifactTagged(tag_id, tag)]


def untag_artifact(artifact: Artifact, tag_id: str | None) -> list[ArtifactEvent]:
    """Take a tag away, if the artifact has it."""
    require_alive(artifact)
    return [] if tag_id is None or tag_id not in artifact.tags else [ArtifactUntagged(tag_id)]


def delete_artifact(
    artifact: Artifact, *, holders: tuple[str, ...] = (), reason: Personal[str] | None = None
) -> list[ArtifactEvent]:
    """Let the artifact and its versions go, unless links hold one (*holders* names them)."""
    if not _alive(artifact):
        return []
    if holders:
        msg = f"versions of this artifact are linked in {', '.join(holders)} — unlink them first"
        raise VersionHeldError(msg)
    return [ArtifactDeleted(reason)]


def create_version(
    numbering: Numbering, created: VersionCreated, same: VersionId | None = None
) -> list[VersionCreated]:
    """Make the next version, unless a live one has the *same* content."""
    return [] if same is not None or numbering.head == created.version_id else [created]


def require_alive(artifact: Artifact) -> None:
    """Refuse what is asked of an artifact that is not there any more."""
    if not _alive(artifact):
        msg = "the artifact was deleted"
        raise NotFoundError(msg)


def _alive(artifact: Artifact) -> bool:
    return artifact.project_id is not None and not artifact.deleted


def evolve(artifact: Artifact, event: ArtifactEvent) -> Artifact:
    """Return the artifact after *event*."""
    match event:
        case ArtifactCreated(project_id=project_id, name=name, type=type_, description=description):
            return Artifact(project_id, name, type_, description=description)
        case ArtifactRenamed(name=name):
            return replace(artifact, name=name)
        case TypeChanged(type=type_):
            return replace(artifact, type=type_)
        case ArtifactDescribed(description=description):
            return replace(artifact, description=description)
        case ArtifactTtlSet(ttl=ttl):
            return replace(artifact, ttl=ttl)
        case ArtifactTagged(tag_id=tag_id):
            return replace(artifact, tags=artifact.tags | {tag_id})
        case ArtifactUntagged(tag_id=tag_id):
            return replace(artifact, tags=artifact.tags - {tag_id})
        case ArtifactDeleted():
            return replace(artifact, deleted=True)
        case _:
            assert_never(event)


def evolve_numbering(numbering: Numbering, event: VersionCreated) -> Numbering:
    """Return the numbering after *event*."""
    return replace(numbering, head=event.version_id)


ARTIFACT: Decider[Artifact, ArtifactEvent] = Decider("artifact", Artifact(), evolve)
NUMBERING: Decider[Numbering, VersionCreated] = Decider("numbering", Numbering(), evolve_numbering, tail=1)
