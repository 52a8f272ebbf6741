"""What aliases meant at some moment, and who had put them there."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from muniment.app import catalog, directory, registries
from muniment.app.labels import Label, Labels
from muniment.app.names import Address
from muniment.app.store import Store
from muniment.domain.rows import (
    AliasRow,
    ArtifactRow,
    CollectionRow,
    LatestRow,
    LinkRow,
    VersionRow,
)
from muniment.domain.values import (
    ERASED_TEXT,
    LATEST,
    Micros,
    PrincipalId,
    StreamId,
    VersionId,
    latest_stream,
    version_index,
)


@frozen
class Pointer:
    """Where a name pointed: the version, its digest, and who had put it there when."""

    name: str
    version: str
    digest: str | None
    version_id: VersionId
    set_at: Micros
    set_by: str
    seq: int


@frozen
class _Move:
    seq: int
    at: Micros
    actor: PrincipalId


def of_all(store: Store, at: int) -> Iterator[Pointer]:
    """Yield the aliases of every collection of every registry."""
    for registry in registries.listed(store, at=at):
        yield from of_registry(store, registry.registry_id, at)


def of_registry(store: Store, registry_id: str, at: int) -> Iterator[Pointer]:
    """Yield the aliases of every collection of a registry."""
    for row in store.views.select(CollectionRow, at=at, registry_id=registry_id, order="name"):
        yield from of_collection(store, row, at)


def of_collection(store: Store, row: CollectionRow, at: int) -> Iterator[Pointer]:
    """Yield the aliases of a collection, ``latest`` last."""
    name = _path(Labels(store.views, at).collection(row.collection_id))
    yield from _aliases(store, row.collection_id, name, at)
    link = catalog.latest_link(store.views, row, at)
    if link is not None:
        yield _latest(
            store, row.collection_id, name, link.version_id, at, _Move(link.linked_seq, link.linked_at, link.actor)
        )


def of_artifact(store: Store, row: ArtifactRow, at: int) -> Iterator[Pointer]:
    """Yield the aliases of an artifact, ``latest`` last."""
    name = _path(Labels(store.views, at).artifact(row.artifact_id))
    yield from _aliases(store, row.artifact_id, name, at)
    version = catalog.latest_version(store.views, row, at)
    if version is not None:
        made = _Move(version.created_seq, version.created_at, version.actor)
        yield _latest(store, row.artifact_id, name, version.version_id, at, made)


def of_name(store: Store, where: Address, at: int) -> Pointer:
    """Return where one name with an alias or version number pointed."""
    found = catalog.find(store.views, where, at)
    labels = Labels(store.views, at)
    if found.collection is not None and found.link is not None:
        owner: str = found.collection.collection_id
        name = _path(labels.collection(owner))
        made = _Move(found.link.linked_seq, found.link.linked_at, found.link.actor)
    else:
        owner, name = found.artifact.artifact_id, _path(labels.artifact(found.artifact.artifact_id))
        made = _Move(found.version.created_seq, found.version.created_at, found.version.actor)
    if where.alias == LATEST:
        return _latest(store, owner, name, found.version.version_id, at, made)
    if version_index(where.alias) is not None:
        return _pointer(store, f"{name}:{where.alias}", found.version.version_id, at, made)
    row = store.views.find(AliasRow, at=at, owner_id=owner, alias=where.alias)
    move = _last_move(store, row.slot, at) if row else None
    return _pointer(store, f"{name}:{where.alias}", found.version.version_id, at, move or made)


def _aliases(store: Store, owner: str, name: str, at: int) -> Iterator[Pointer]:
    for row in store.views.select(AliasRow, at=at, owner_id=owner, order="alias"):
        if row.version_id is None or not _reaches(store, owner, row.version_id, at):
            continue
        move = _last_move(store, row.slot, at)
        if move is not None:
            yield _pointer(store, f"{name}:{row.alias or ERASED_TEXT}", row.version_id, at, move)


def _reaches(store: Store, owner: str, version_id: VersionId, at: int) -> bool:
    """Whether the version is live and, in a collection, still linked."""
    version = store.views.find(VersionRow, at=at, version_id=version_id)
    if version is None or not catalog.is_live(store.views, version, at):
        return False
    link = store.views.find(LinkRow, at=at, collection_id=owner, version_id=version_id)
    return link is not None or version.artifact_id == owner


def _latest(store: Store, owner: str, name: str, version_id: VersionId, at: int, made: _Move) -> Pointer:
    moved = store.views.find(LatestRow, at=at, owner_id=owner)
    by_hand = moved is not None and moved.moved_seq > made.seq and moved.version_id == version_id
    move = _last_move(store, latest_stream(owner), at) if by_hand else None
    return _pointer(store, f"{name}:{LATEST}", version_id, at, move or made)


def _last_move(store: Store, slot: StreamId, at: int) -> _Move | None:
    last = None
    for recorded in store.ledger.read(stream=slot, until=at):
        last = _Move(recorded.seq, recorded.recorded_at, recorded.actor)
    return last


def _pointer(store: Store, name: str, version_id: VersionId, at: int, move: _Move) -> Pointer:
    version = store.views.find(VersionRow, at=at, version_id=version_id)
    return Pointer(
        name=name,
        version=_path(Labels(store.views, at).version(version_id)),
        digest=version.digest if version else None,
        version_id=version_id,
        set_at=move.at,
        set_by=directory.logins(store, {move.actor}).get(move.actor, ERASED_TEXT),
        seq=move.seq,
    )


def _path(label: Label | None) -> str:
    return ERASED_TEXT if label is None else label.path
