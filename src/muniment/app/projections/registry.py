"""Registries: what they accept, who may do what, their collections and links."""

from __future__ import annotations

from collections.abc import Sequence

from muniment.app.projections.catalog import known, member, slot
from muniment.domain import collection, registry
from muniment.domain.ports import Recorded
from muniment.domain.rows import (
    AcceptedTypeRow,
    Change,
    Close,
    CollectionRow,
    Insert,
    LatestRow,
    LinkRow,
    Patch,
    ProtectedAliasRow,
    Put,
    RegistryRow,
    TagRow,
)
from muniment.domain.values import CollectionId, RegistryId, owner_of


def fold(recorded: Recorded) -> Sequence[Change]:
    """Return what an event changes in the registries."""
    match recorded.event:
        case collection.Linked(link_id=link_id, version_id=version_id, artifact_id=artifact_id):
            owner = CollectionId(owner_of(recorded.stream))
            row = LinkRow(
                link_id=link_id,
                collection_id=owner,
                index=recorded.position - 1,
                version_id=version_id,
                artifact_id=artifact_id,
                actor=recorded.actor,
                linked_at=recorded.recorded_at,
                linked_seq=recorded.seq,
            )
            return [Insert(row), Close(LatestRow, (owner,))]  # a new link is the latest, whatever was put by hand
        case collection.Unlinked():
            return [Close(LinkRow, (recorded.stream,))]
        case event:
            return _collection(recorded, event) or _registry(recorded, event)


def _collection(recorded: Recorded, event: object) -> Sequence[Change]:
    id_, at = recorded.stream, recorded.recorded_at
    match event:
        case collection.CollectionCreated(registry_id=registry_id, name=name, type=type_, description=description):
            row = CollectionRow(CollectionId(id_), registry_id, known(name), known(type_), slot(description), at, at)
            return [Insert(row)]
        case collection.CollectionRenamed(name=name):
            return [Patch(CollectionRow, (id_,), {"name": known(name), "updated_at": at})]
        case collection.CollectionDescribed(description=description):
            return [Patch(CollectionRow, (id_,), {"description": slot(description), "updated_at": at})]
        case collection.CollectionTagged(tag_id=tag_id, tag=tag):
            return [Insert(TagRow(id_, tag_id, known(tag)))]
        case collection.CollectionUntagged(tag_id=tag_id):
            return [Close(TagRow, (id_, tag_id))]
        case collection.CollectionDeleted():
            return [Close(CollectionRow, (id_,))]
        case _:
            return ()


def _registry(recorded: Recorded, event: object) -> Sequence[Change]:
    id_, at = RegistryId(recorded.stream), recorded.recorded_at
    match event:
        case registry.RegistryCreated() as created:
            return [Insert(_created(recorded, created)), *_accepted(id_, known(created.types))]
        case registry.RegistryRenamed(name=name):
            return [Patch(RegistryRow, (id_,), {"name": known(name), "updated_at": at})]
        case registry.RegistryDescribed(description=description):
            return [Patch(RegistryRow, (id_,), {"description": slot(description), "updated_at": at})]
        case registry.VisibilityChanged(visibility=visibility):
            return [Patch(RegistryRow, (id_,), {"visibility": visibility.value, "updated_at": at})]
        case registry.AcceptedTypesAdded(types=types):
            return [Patch(RegistryRow, (id_,), {"all_types": 0, "updated_at": at}), *_accepted(id_, known(types))]
        case registry.AllTypesAccepted():
            return [Patch(RegistryRow, (id_,), {"all_types": 1, "updated_at": at})]
        case registry.MemberRoleSet(member_id=member_id, kind=kind, role=role):
            return [member(id_, member_id, kind.value, role)]
        case registry.ProtectedAliasesSet(added=added, removed=removed):
            return [
                *(Put(ProtectedAliasRow(id_, alias)) for alias in known(added) or ()),
                *(Close(ProtectedAliasRow, (id_, alias)) for alias in known(removed) or ()),
            ]
        case registry.RegistryDeleted():
            return [Close(RegistryRow, (id_,))]
        case _:
            return ()


def _created(recorded: Recorded, created: registry.RegistryCreated) -> RegistryRow:
    return RegistryRow(
        registry_id=RegistryId(recorded.stream),
        organisation_id=created.organisation_id,
        name=known(created.name),
        core=int(created.core),
        visibility=created.visibility.value,
        all_types=int(created.all_types),
        description=slot(created.description),
        created_at=recorded.recorded_at,
        updated_at=recorded.recorded_at,
    )


def _accepted(registry_id: RegistryId, types: tuple[str, ...] | None) -> list[Change]:
    return [Put(AcceptedTypeRow(registry_id, type_)) for type_ in types or ()]
