"""Finding artifacts, versions, aliases and links by name, as of now or of any moment."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from muniment.app import directory, gone
from muniment.app.names import Address
from muniment.domain.errors import NotFoundError, VersionDeletedError
from muniment.domain.ports import Views
from muniment.domain.rows import (
    AliasRow,
    ArtifactRow,
    CollectionRow,
    LatestRow,
    LinkRow,
    ProjectRow,
    RegistryRow,
    TeamRow,
    VersionRow,
)
from muniment.domain.values import LATEST, VersionId
from muniment.domain.version import State


@frozen
class Found:
    """A version and the way by which it was reached: directly, or through a link in a collection."""

    version: VersionRow
    artifact: ArtifactRow
    project: ProjectRow
    team: TeamRow
    link: LinkRow | None = None
    collection: CollectionRow | None = None
    registry: RegistryRow | None = None


def find(views: Views, address: Address, at: int | None = None) -> Found:
    """Return the version that an address means; NotFoundError names what is missing, GoneError says since when."""
    if address.registry is not None:
        return _find_linked(views, address, at)
    project = directory.project(views, address.owner, address.project, at)
    artifact = artifact_named(views, project, address.name, at)
    version = _version_of(views, artifact, address, at)
    if gone.is_gone(version):
        raise gone.error_of(views, version, f"{address.name}:v{version.index}")
    if version.state != State.COMMITTED.value:
        msg = f"version {address.name}:v{version.index} was deleted — restore it first"
        raise VersionDeletedError(msg)
    return Found(version, artifact, project, directory.team(views, address.owner, at))


def artifact_named(views: Views, project: ProjectRow, name: str, at: int | None = None) -> ArtifactRow:
    """Return the artifact of a project by its name."""
    row = views.find(ArtifactRow, at=at, project_id=project.project_id, name=name)
    if row is None:
        msg = f"project {project.name} has no artifact {name!r} — see: muniment artifact ls"
        raise NotFoundError(msg)
    return row


def collection_named(views: Views, registry: RegistryRow, name: str, at: int | None = None) -> CollectionRow:
    """Return the collection of a registry by its name."""
    row = views.find(CollectionRow, at=at, registry_id=registry.registry_id, name=name)
    if row is None:
        way = f"see `muniment registry show {registry.name}`; it is made when a version is first linked to it"
        msg = f"registry {registry.name} has no collection {name!r} — {way}"
        raise NotFoundError(msg)
    return row


def origin(views: Views, version_id: VersionId, at: int | None = None) -> Found:
    """Return a version, live or not, with the artifact, project and team it was logged in."""
    version = views.find(VersionRow, at=at, version_id=version_id)
    artifact = views.find(ArtifactRow, at=at, artifact_id=version.artifact_id) if version else None
    project = views.find(ProjectRow, at=at, project_id=artifact.project_id) if artifact else None
    team = views.find(TeamRow, at=at, team_id=project.team_id) if project else None
    if version is None or artifact is None or project is None or team is None:
        msg = f"version {version_id} is not here (any more)"
        raise NotFoundError(msg)
    return Found(version, artifact, project, team)


def is_live(views: Views, version: VersionRow, at: int | None = None) -> bool:
    """Whether neither the version nor its artifact or project was deleted."""
    if version.state != State.COMMITTED.value:
        return False
    artifact = views.find(ArtifactRow, at=at, artifact_id=version.artifact_id)
    return artifact is not None and views.find(ProjectRow, at=at, project_id=artifact.project_id) is not None


def latest_version(views: Views, artifact: ArtifactRow, at: int | None = None) -> VersionRow | None:
    """Return where ``latest`` of an artifact points.

    That is the target of the newest of: the last version made, ``latest`` moved or removed by hand; and if that
    version is not live, the highest live one.
    """
    newest = views.select(VersionRow, at=at, artifact_id=artifact.artifact_id, order="index", descending=True, limit=1)
    moved = views.find(LatestRow, at=at, owner_id=artifact.artifact_id)
    if moved is not None and newest and moved.moved_seq > newest[0].created_seq:
        if moved.version_id is None:
            return None
        target = views.find(VersionRow, at=at, version_id=moved.version_id)
        newest = [target] if target else newest
    if newest and newest[0].state == State.COMMITTED.value:
        return newest[0]
    live = views.select(
        VersionRow,
        at=at,
        artifact_id=artifact.artifact_id,
        state=State.COMMITTED.value,
        order="index",
        descending=True,
        limit=1,
    )
    return live[0] if live else None


def latest_link(views: Views, collection: CollectionRow, at: int | None = None) -> LinkRow | None:
    """Return where ``latest`` of a collection points: the version linked last, unless it was moved by hand."""
    newest = views.select(
        LinkRow, at=at, collection_id=collection.collection_id, order="index", descending=True, limit=1
    )
    moved = views.find(LatestRow, at=at, owner_id=collection.collection_id)
    if moved is not None and newest and moved.moved_seq > newest[0].linked_seq:
        if moved.version_id is None:
            return None
        link = views.find(LinkRow, at=at, collection_id=collection.collection_id, version_id=moved.version_id)
        return link or newest[0]
    return newest[0] if newest else None


def aliases_of(views: Views, owner_id: str, version_id: VersionId, at: int | None = None) -> list[str]:
    """Return the aliases that one owner, an artifact or collection, has for a version, without ``latest``."""
    rows = views.select(AliasRow, at=at, version_id=version_id, order="alias")
    return [row.alias for row in rows if row.owner_id == owner_id and row.alias is not None]


def all_aliases(views: Views, found: Found, at: int | None = None) -> list[str]:
    """Return the aliases of a version where it was reached, ``latest`` among them if it is."""
    owner = found.collection.collection_id if found.collection else found.artifact.artifact_id
    aliases = aliases_of(views, owner, found.version.version_id, at)
    if found.collection is not None:
        link = latest_link(views, found.collection, at)
        is_latest = link is not None and link.version_id == found.version.version_id
    else:
        newest = latest_version(views, found.artifact, at)
        is_latest = newest is not None and newest.version_id == found.version.version_id
    return [*aliases, LATEST] if is_latest else aliases


def links_of(views: Views, version_id: VersionId, at: int | None = None) -> list[Found]:
    """Return every live link of a version, as found through it."""
    rows = views.select(LinkRow, at=at, version_id=version_id, order="link_id")
    return [found for row in rows if (found := through(views, row, at)) is not None]


def links_of_artifact(views: Views, artifact_id: str, at: int | None = None) -> list[Found]:
    """Return every live link of all versions of an artifact."""
    rows = views.select(LinkRow, at=at, artifact_id=artifact_id, order="link_id")
    return [found for row in rows if (found := through(views, row, at)) is not None]


def through(views: Views, link: LinkRow, at: int | None = None) -> Found | None:
    """Return the version that a link means, or ``None`` if its collection, registry or version is gone."""
    collection = views.find(CollectionRow, at=at, collection_id=link.collection_id)
    registry = views.find(RegistryRow, at=at, registry_id=collection.registry_id) if collection else None
    if collection is None or registry is None:
        return None
    try:
        source = origin(views, link.version_id, at)
    except NotFoundError:
        return None
    if source.version.state != State.COMMITTED.value:
        return None
    return Found(source.version, source.artifact, source.project, source.team, link, collection, registry)


def link_names(founds: Sequence[Found]) -> tuple[str, ...]:
    """Return how links are named to people: registry, collection and index."""
    return tuple(
        link_name(found.registry, found.collection, found.link)
        for found in founds
        if found.registry and found.collection and found.link
    )


def link_name(registry: RegistryRow, collection: CollectionRow, link: LinkRow) -> str:
    """Return how one link is named to people."""
    return f"{registry.name}/{collection.name}:v{link.index}"


def _version_of(views: Views, artifact: ArtifactRow, address: Address, at: int | None) -> VersionRow:
    if address.index is not None:
        row = views.find(VersionRow, at=at, artifact_id=artifact.artifact_id, index=address.index)
    elif address.alias == LATEST:
        row = latest_version(views, artifact, at)
    else:
        alias = views.find(AliasRow, at=at, owner_id=artifact.artifact_id, alias=address.alias)
        target = alias.version_id if alias else None
        row = views.find(VersionRow, at=at, version_id=target) if target else None
    if row is None:
        what = "version" if address.index is not None else "alias"
        way = f"see: muniment artifact ls --versions {address.name}"
        msg = f"artifact {address.name!r} has no {what} {address.alias!r} — {way}"
        raise NotFoundError(msg)
    return row


def _find_linked(views: Views, address: Address, at: int | None) -> Found:
    registry = directory.registry(views, address.owner, address.registry or "", at)
    collection = collection_named(views, registry, address.name, at)
    link = _link_of(views, collection, address, at)
    found = through(views, link, at) if link else None
    source = views.find(VersionRow, at=at, version_id=link.version_id) if link and found is None else None
    if source is not None and gone.is_gone(source):
        raise gone.error_of(views, source, f"{address.name}:{address.alias}")
    if found is None:
        what = "version" if address.index is not None else "alias"
        way = f"see: muniment registry show {address.registry}"
        msg = f"collection {address.name!r} has no {what} {address.alias!r} — {way}"
        raise NotFoundError(msg)
    return found


def _link_of(views: Views, collection: CollectionRow, address: Address, at: int | None) -> LinkRow | None:
    owner = collection.collection_id
    if address.index is not None:
        return views.find(LinkRow, at=at, collection_id=owner, index=address.index)
    if address.alias == LATEST:
        return latest_link(views, collection, at)
    alias = views.find(AliasRow, at=at, owner_id=owner, alias=address.alias)
    target = alias.version_id if alias else None
    return views.find(LinkRow, at=at, collection_id=owner, version_id=target) if target else None
