"""The rows of teams, artifacts, registries, runs, and of what happened to each."""

from __future__ import annotations

from attrs import frozen

from muniment.domain.rows.tables import Lookup, Row, Table
from muniment.domain.values import (
    ArtifactId,
    CollectionId,
    LinkId,
    Micros,
    OrganisationId,
    PrincipalId,
    ProjectId,
    RegistryId,
    RunId,
    SlotId,
    StreamId,
    TeamId,
    VersionId,
)


@frozen
class OrganisationRow(Row):
    table = Table("organisations", ("organisation_id",), (("name",),), (Lookup((), "name"),))
    organisation_id: OrganisationId
    name: str | None


@frozen
class TeamRow(Row):
    table = Table("teams", ("team_id",), (("name",),), (Lookup(("organisation_id",), "name"), Lookup((), "name")))
    team_id: TeamId
    organisation_id: OrganisationId
    name: str | None
    ttl_setters: str
    ttl_micros: Micros | None
    store: str | None


@frozen
class ProjectRow(Row):
    table = Table("projects", ("project_id",), (("team_id", "name"),), (Lookup(("team_id",), "name"),))
    project_id: ProjectId
    team_id: TeamId
    name: str | None
    created_at: Micros


@frozen
class PrincipalRow(Row):
    table = Table("principals", ("principal_id",), (), (Lookup((), "principal_id"),))
    principal_id: PrincipalId
    kind: str
    login: SlotId


@frozen
class MemberRow(Row):
    """The role of a principal (or, in a registry, of a team) in an organisation, team or registry."""

    table = Table(
        "members",
        ("scope_id", "member_id"),
        (),
        (Lookup(("scope_id",), "member_id"), Lookup(("member_id",), "scope_id")),
    )
    scope_id: str
    member_id: str
    member_kind: str
    role: str


@frozen
class ArtifactRow(Row):
    """A named sequence of versions; closed when it is deleted."""

    table = Table(
        "artifacts",
        ("artifact_id",),
        (("project_id", "name"),),
        (
            Lookup(("project_id",), "name"),
            Lookup(("project_id",), "type"),
            Lookup(("project_id", "type"), "name"),
        ),
    )
    artifact_id: ArtifactId
    project_id: ProjectId
    name: str | None
    type: str | None
    description: SlotId | None
    ttl_rule: str
    ttl_micros: Micros | None
    created_at: Micros


@frozen
class VersionRow(Row):
    """One version; ``state`` is ``committed``, ``deleted`` (restorable) or ``purged``."""

    table = Table(
        "versions",
        ("version_id",),
        (("artifact_id", "index"),),
        (
            Lookup(("artifact_id",), "index"),
            Lookup(("artifact_id", "state"), "index"),
            Lookup(("artifact_id", "digest", "state"), "index"),
            Lookup(("state",), "created_at"),
            Lookup(("run_id",), "created_seq"),
        ),
    )
    version_id: VersionId
    artifact_id: ArtifactId
    index: int
    digest: str | None
    manifest: str | None
    size: int
    entries: int
    run_id: RunId | None
    actor: PrincipalId
    created_at: Micros
    created_seq: int
    updated_at: Micros
    state: str
    description: SlotId | None
    metadata: SlotId | None
    ttl_rule: str
    ttl_micros: Micros | None
    deleted_at: Micros | None
    unlinked_at: Micros | None


@frozen
class AliasRow(Row):
    """An alias of an artifact or a collection; ``version_id`` is ``None`` while it points nowhere."""

    table = Table(
        "aliases",
        ("slot",),
        (("owner_id", "alias"),),
        (Lookup(("owner_id",), "alias"), Lookup(("version_id",), "alias")),
    )
    slot: StreamId
    owner_id: str
    alias: str | None
    version_id: VersionId | None


@frozen
class LatestRow(Row):
    """Where ``latest`` of an artifact or collection was last put by hand, and at which ``seq``."""

    table = Table("latest", ("owner_id",))
    owner_id: str
    version_id: VersionId | None
    moved_seq: int


@frozen
class TagRow(Row):
    """A tag on a version, artifact, collection or run."""

    table = Table(
        "tags",
        ("owner_id", "tag_id"),
        (("owner_id", "tag"),),
        (Lookup(("owner_id",), "tag"), Lookup(("tag",), "owner_id")),
    )
    owner_id: str
    tag_id: str
    tag: str | None


@frozen
class SourceRow(Row):
    """A version that refers to an entry of another version."""

    table = Table(
        "sources",
        ("version_id", "source_id"),
        (),
        (Lookup(("version_id",), "source_id"), Lookup(("source_id",), "version_id")),
    )
    version_id: VersionId
    source_id: VersionId


@frozen
class ErasedEntryRow(Row):
    """An entry whose bytes were erased on request."""

    table = Table("erased_entries", ("version_id", "entry_id"), (), (Lookup(("version_id",), "entry_id"),))
    version_id: VersionId
    entry_id: str
    path: str | None


@frozen
class RegistryRow(Row):
    table = Table(
        "registries", ("registry_id",), (("organisation_id", "name"),), (Lookup(("organisation_id",), "name"),)
    )
    registry_id: RegistryId
    organisation_id: OrganisationId
    name: str | None
    core: int
    visibility: str
    all_types: int
    description: SlotId | None
    created_at: Micros
    updated_at: Micros


@frozen
class AcceptedTypeRow(Row):
    table = Table("accepted_types", ("registry_id", "type"), (), (Lookup(("registry_id",), "type"),))
    registry_id: RegistryId
    type: str


@frozen
class ProtectedAliasRow(Row):
    table = Table("protected_aliases", ("registry_id", "alias"), (), (Lookup(("registry_id",), "alias"),))
    registry_id: RegistryId
    alias: str


@frozen
class CollectionRow(Row):
    """A named set of links in a registry; closed when it is deleted."""

    table = Table("collections", ("collection_id",), (("registry_id", "name"),), (Lookup(("registry_id",), "name"),))
    collection_id: CollectionId
    registry_id: RegistryId
    name: str | None
    type: str | None
    description: SlotId | None
    created_at: Micros
    updated_at: Micros


@frozen
class LinkRow(Row):
    """The membership of a version in a collection; closed when it is unlinked."""

    table = Table(
        "links",
        ("link_id",),
        (("collection_id", "index"), ("collection_id", "version_id")),
        (
            Lookup(("collection_id",), "index"),
            Lookup(("version_id",), "link_id"),
            Lookup(("artifact_id",), "link_id"),
        ),
    )
    link_id: LinkId
    collection_id: CollectionId
    index: int
    version_id: VersionId
    artifact_id: ArtifactId
    actor: PrincipalId
    linked_at: Micros
    linked_seq: int


@frozen
class RunRow(Row):
    """A run; ``key`` is the short id that its user sees, unique in its project; ``tags`` are lines of a text."""

    table = Table(
        "runs",
        ("run_id",),
        (("project_id", "key"),),
        (Lookup(("project_id",), "started_seq"), Lookup(("project_id", "state"), "started_seq")),
    )
    run_id: RunId
    project_id: ProjectId
    key: str | None
    name: str | None
    job_type: str | None
    group: str | None
    tags: str | None
    state: str
    notes: SlotId | None
    config: SlotId | None
    summary: SlotId | None
    actor: PrincipalId
    started_at: Micros
    started_seq: int
    finished_at: Micros | None


@frozen
class EdgeRow(Row):
    """A run that used (``in``) or logged (``out``) a version."""

    table = Table(
        "edges",
        ("run_id", "version_id", "role"),
        (),
        (
            Lookup(("run_id", "role"), "edge_seq", whole=True),
            Lookup(("version_id", "role"), "edge_seq", whole=True),
        ),
    )
    run_id: RunId
    version_id: VersionId
    role: str
    at: Micros
    edge_seq: int


@frozen
class TimelineRow(Row):
    """An event that concerns a subject: an artifact, version, collection, registry, run, team or project."""

    table = Table("timeline", ("subject_id", "event_seq"), (), (Lookup(("subject_id",), "event_seq"),))
    subject_id: str
    event_seq: int
