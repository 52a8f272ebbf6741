"""The catalog: teams, projects, artifacts, versions, aliases, tags, and who acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from muniment.domain import alias, artifact, organisation, principal, project, team, version
from muniment.domain.ports import Recorded
from muniment.domain.rows import (
    AliasRow,
    ArtifactRow,
    Change,
    Close,
    ErasedEntryRow,
    Insert,
    LatestRow,
    MemberRow,
    OrganisationRow,
    Patch,
    PrincipalRow,
    ProjectRow,
    Put,
    TagRow,
    TeamRow,
    VersionRow,
)
from muniment.domain.values import (
    ArtifactId,
    Erased,
    OrganisationId,
    Personal,
    PrincipalId,
    ProjectId,
    Role,
    SlotId,
    TeamId,
    VersionId,
    owner_of,
)

T = TypeVar("T")


def known(words: T | Erased) -> T | None:
    """Return words, or ``None`` where they were redacted."""
    return None if isinstance(words, Erased) else words


def slot(personal: Personal[T] | None) -> SlotId | None:
    """Return the slot of a personal value, if there is one."""
    return None if personal is None else personal.slot


def member(scope: str, member_id: str, kind: str, role: Role | None) -> Change:
    """Return the change that gives a member a role, or takes the membership away."""
    if role is None:
        return Close(MemberRow, (scope, member_id))
    return Put(MemberRow(scope, member_id, kind, role.value))


def fold(recorded: Recorded) -> Sequence[Change]:
    """Return what an event changes in the catalog."""
    owner = owner_of(recorded.stream)
    match recorded.event:
        case artifact.VersionCreated() as created:
            return [Insert(_version(recorded, created))]
        case alias.AliasMoved(alias=name, to=to):
            return [_alias(recorded, name, to)]
        case alias.AliasRemoved():
            return [Patch(AliasRow, (recorded.stream,), {"version_id": None})]
        case alias.LatestMoved(to=to):
            return [Put(LatestRow(owner, to, recorded.seq))]
        case alias.LatestRemoved():
            return [Put(LatestRow(owner, None, recorded.seq))]
        case version.Tagged() | artifact.ArtifactTagged() as tagged:
            return [Insert(TagRow(owner, tagged.tag_id, known(tagged.tag)))]
        case version.Untagged(tag_id=tag_id) | artifact.ArtifactUntagged(tag_id=tag_id):
            return [Close(TagRow, (owner, tag_id))]
        case event:
            return _artifact(recorded, event) or _version_changed(recorded, event) or _people(recorded, event)


def _alias(recorded: Recorded, name: str | Erased | None, to: VersionId) -> Change:
    if recorded.position > 1:  # only the first event of a slot carries the alias
        return Patch(AliasRow, (recorded.stream,), {"version_id": to})
    return Insert(AliasRow(recorded.stream, owner_of(recorded.stream), known(name), to))


def _version(recorded: Recorded, created: artifact.VersionCreated) -> VersionRow:
    return VersionRow(
        version_id=created.version_id,
        artifact_id=ArtifactId(owner_of(recorded.stream)),
        index=recorded.position - 1,
        digest=known(created.digest),
        manifest=known(created.manifest),
        size=created.size,
        entries=created.entries,
        run_id=created.run_id,
        actor=recorded.actor,
        created_at=recorded.recorded_at,
        created_seq=recorded.seq,
        updated_at=recorded.recorded_at,
        state=version.State.COMMITTED.value,
        description=slot(created.description),
        metadata=slot(created.metadata),
        ttl_rule=created.ttl.rule.value,
        ttl_micros=created.ttl.micros,
        deleted_at=None,
        unlinked_at=None,
    )


def _artifact(recorded: Recorded, event: object) -> Sequence[Change]:
    key = (recorded.stream,)
    match event:
        case artifact.ArtifactCreated(project_id=project_id, name=name, type=type_, description=description):
            row = ArtifactRow(
                artifact_id=ArtifactId(recorded.stream),
                project_id=project_id,
                name=known(name),
                type=known(type_),
                description=slot(description),
                ttl_rule="inherit",
                ttl_micros=None,
                created_at=recorded.recorded_at,
            )
            return [Insert(row)]
        case artifact.ArtifactRenamed(name=name):
            return [Patch(ArtifactRow, key, {"name": known(name)})]
        case artifact.TypeChanged(type=type_):
            return [Patch(ArtifactRow, key, {"type": known(type_)})]
        case artifact.ArtifactDescribed(description=description):
            return [Patch(ArtifactRow, key, {"description": slot(description)})]
        case artifact.ArtifactDeleted():
            return [Close(ArtifactRow, key)]
        case _:
            return ()


def _version_changed(recorded: Recorded, event: object) -> Sequence[Change]:
    key = (VersionId(recorded.stream),)
    match event:
        case version.MetadataChanged(metadata=metadata):
            return [Patch(VersionRow, key, {"metadata": slot(metadata), "updated_at": recorded.recorded_at})]
        case version.VersionDescribed(description=description):
            return [Patch(VersionRow, key, {"description": slot(description), "updated_at": recorded.recorded_at})]
        case version.EntryErased(entry_id=entry_id, path=path):
            return [Insert(ErasedEntryRow(key[0], entry_id, known(path)))]
        case version.ManifestReplaced() as replaced:
            columns = {
                "digest": known(replaced.digest),
                "manifest": known(replaced.manifest),
                "size": replaced.size,
                "entries": replaced.entries,
                "updated_at": recorded.recorded_at,
            }
            return [Patch(VersionRow, key, columns)]
        case _:
            return ()


def _people(recorded: Recorded, event: object) -> Sequence[Change]:
    id_ = recorded.stream
    match event:
        case project.ProjectCreated(team_id=team_id, name=name):
            return [Insert(ProjectRow(ProjectId(id_), team_id, known(name), recorded.recorded_at))]
        case project.ProjectRenamed(name=name):
            return [Patch(ProjectRow, (id_,), {"name": known(name)})]
        case project.ProjectDeleted():
            return [Close(ProjectRow, (id_,))]
        case team.TeamCreated(organisation_id=organisation_id, name=name):
            return [
                Insert(TeamRow(TeamId(id_), organisation_id, known(name), team.TtlSetters.MEMBERS.value, None, None))
            ]
        case team.TeamRenamed(name=name):
            return [Patch(TeamRow, (id_,), {"name": known(name)})]
        case team.StorageSet(store=store):
            return [Patch(TeamRow, (id_,), {"store": known(store)})]
        case team.TeamRoleSet(principal_id=principal_id, role=role):
            return [member(id_, principal_id, "user", role)]
        case organisation.OrganisationCreated(name=name):
            return [Insert(OrganisationRow(OrganisationId(id_), known(name)))]
        case organisation.OrganisationRenamed(name=name):
            return [Patch(OrganisationRow, (id_,), {"name": known(name)})]
        case organisation.OrganisationRoleSet(principal_id=principal_id, role=role):
            return [member(id_, principal_id, "user", role)]
        case principal.PrincipalCreated(kind=kind, login=login):
            return [Insert(PrincipalRow(PrincipalId(id_), kind.value, login.slot))]
        case _:
            return ()
