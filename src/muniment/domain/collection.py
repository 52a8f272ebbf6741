"""A collection of a registry: links to versions, numbered on their own, of one artifact type."""

from __future__ import annotations

from typing import ClassVar, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import NameTakenError, NotFoundError, TypeRefusedError
from muniment.domain.values import (
    ArtifactId,
    Audit,
    CollectionId,
    Erased,
    LinkId,
    Personal,
    RegistryId,
    VersionId,
    Words,
)


@frozen
class CollectionCreated(Event):
    """A collection began; it takes one artifact type."""

    registry_id: RegistryId
    name: Words[str]
    type: Words[str]
    description: Personal[str] | None = None


@frozen
class CollectionRenamed(Event):
    """The collection has another name; the old one is free again."""

    name: Words[str]


@frozen
class CollectionDescribed(Event):
    """The description changed, or was taken away."""

    description: Personal[str] | None


@frozen
class CollectionTagged(Event):
    """A tag was put on the collection."""

    tag_id: str
    tag: Words[str]


@frozen
class CollectionUntagged(Event):
    """A tag was taken from the collection."""

    tag_id: str


@frozen
class CollectionDeleted(Event):
    """The collection and its links are gone; the linked versions stay."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


CollectionEvent: TypeAlias = (
    CollectionCreated
    | CollectionRenamed
    | CollectionDescribed
    | CollectionTagged
    | CollectionUntagged
    | CollectionDeleted
)


@frozen
class Linked(Event):
    """A version joined the collection; its index there is the event's position minus one."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    link_id: LinkId
    version_id: VersionId
    artifact_id: ArtifactId


@frozen
class Unlinked(Event):
    """A version left the collection; its index there is not used again."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    collection_id: CollectionId
    version_id: VersionId


@frozen
class Collection:
    """What decisions about a collection need to know."""

    registry_id: RegistryId | None = None
    name: str | Erased | None = None
    type: str | Erased | None = None
    description: Personal[str] | None = None
    tags: frozenset[str] = frozenset()
    deleted: bool = False


@frozen
class LinkNumbering:
    """The link made last; how many there were is the stream's own position."""

    head: LinkId | None = None


@frozen
class Link:
    """Whether a link was ended."""

    ended: bool = False


def create_collection(
    collection: Collection, created: CollectionCreated, taken: CollectionId | None = None
) -> list[CollectionEvent]:
    """Begin a collection under a free name."""
    if taken is not None:
        msg = f"the registry has a collection {created.name}"
        raise NameTakenError(msg)
    return [] if collection.registry_id is not None else [created]


def rename_collection(collection: Collection, name: str, taken: CollectionId | None = None) -> list[CollectionEvent]:
    """Give the collection another free name."""
    require_alive(collection)
    if name == collection.name:
        return []
    if taken is not None:
        msg = f"the registry has a collection {name}"
        raise NameTakenError(msg)
    return [CollectionRenamed(name)]


def describe_collection(collection: Collection, description: Personal[str] | None) -> list[CollectionEvent]:
    """Set or take away the description."""
    require_alive(collection)
    return [] if description == collection.description else [CollectionDescribed(description)]


def tag_collection(collection: Collection, tag_id: str, tag: str, tagged: str | None = None) -> list[CollectionEvent]:
    """Add a tag, unless the collection has it (*tagged* is then the id it has)."""
    require_alive(collection)
    return [] if tagged is not None or tag_id in collection.tags else [CollectionTagged(tag_id, tag)]


def untag_collection(collection: Collection, tag_id: str | None) -> list[CollectionEvent]:
    """Take a tag away, if the collection has it."""
    require_alive(collection)
    return [] if tag_id is None or tag_id not in collection.tags else [CollectionUntagged(tag_id)]


def delete_collection(collection: Collection) -> list[CollectionEvent]:
    """End the collection and its links."""
    return [CollectionDeleted()] if _alive(collection) else []


def link(
    numbering: LinkNumbering, linked: Linked, *, type_: str, collection_type: str | None, member: LinkId | None = None
) -> list[Linked]:
    """Let a version join, unless it is a *member* already; its type must be the collection's."""
    if collection_type is not None and type_ != collection_type:
        msg = f"the collection holds artifacts of type {collection_type!r}, not {type_!r}"
        raise TypeRefusedError(msg)
    return [] if member is not None or numbering.head == linked.link_id else [linked]


def unlink(link_: Link, collection_id: CollectionId, version_id: VersionId) -> list[Unlinked]:
    """End a link."""
    return [] if link_.ended else [Unlinked(collection_id, version_id)]


def require_alive(collection: Collection) -> None:
    """Refuse what is asked of a collection that is not there any more."""
    if not _alive(collection):
        msg = "the collection was deleted"
        raise NotFoundError(msg)


def _alive(collection: Collection) -> bool:
    return collection.registry_id is not None and not collection.deleted


def evolve(collection: Collection, event: CollectionEvent) -> Collection:
    """Return the collection after *event*."""
    match event:
        case CollectionCreated(registry_id=registry_id, name=name, type=type_, description=description):
            return Collection(registry_id, name, type_, description)
        case CollectionRenamed(name=name):
            return replace(collection, name=name)
        case CollectionDescribed(description=description):
            return replace(collection, description=description)
        case CollectionTagged(tag_id=tag_id):
            return replace(collection, tags=collection.tags | {tag_id})
        case CollectionUntagged(tag_id=tag_id):
            return replace(collection, tags=collection.tags - {tag_id})
        case CollectionDeleted():
            return replace(collection, deleted=True)
        case _:
            assert_never(event)


def evolve_numbering(numbering: LinkNumbering, event: Linked) -> LinkNumbering:
    """Return the numbering after *event*."""
    return replace(numbering, head=event.link_id)


def evolve_link(link_: Link, event: Unlinked) -> Link:
    """Return the link after *event*."""
    del event
    return replace(link_, ended=True)


COLLECTION: Decider[Collection, CollectionEvent] = Decider("collection", Collection(), evolve)
LINK_NUMBERING: Decider[LinkNumbering, Linked] = Decider("link-numbering", LinkNumbering(), evolve_numbering, tail=1)
LINK: Decider[Link, Unlinked] = Decider("link", Link(), evolve_link, tail=1)
