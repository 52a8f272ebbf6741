"""Registries and their collections: making and changing them, and who may do what there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from attrs import frozen

from muniment.app import directory
from muniment.app.store import Store
from muniment.app.tagging import retag
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import collection as collections
from muniment.domain import registry as registries
from muniment.domain.errors import AliasReservedError, NotFoundError
from muniment.domain.registry import MemberKind, Registry, RegistryEvent, Visibility
from muniment.domain.rows import (
    AcceptedTypeRow,
    AliasRow,
    CollectionRow,
    OrganisationRow,
    ProtectedAliasRow,
    RegistryRow,
)
from muniment.domain.values import (
    LATEST,
    CollectionId,
    RegistryId,
    Role,
    alias_name,
    plain_name,
    registry_name,
    tag_name,
    type_name,
)


def create(
    store: Store,
    organisation: str,
    name: str,
    *,
    visibility: Visibility = Visibility.ORGANISATION,
    types: Collection[str] | None = None,
    description: str | None = None,
) -> RegistryRow:
    """Make a custom registry; without *types* it accepts all. Who makes it is its admin."""
    registry_name(name)
    for type_ in types or ():
        type_name(type_)
    owner = directory.organisation(store.views, organisation)
    id_ = RegistryId(new_id())
    accepted = tuple(sorted(set(types or ())))
    kept = store.keep(id_, description=description)["description"]
    created = registries.RegistryCreated(
        owner.organisation_id,
        name,
        core=False,
        visibility=visibility,
        types=accepted,
        description=kept,
        all_types=not accepted,
    )

    def decide(steps: Steps) -> None:
        actor = store.context.actor
        role = directory.role_of(steps.views, owner.organisation_id, actor)
        registries.require_role(role, Role.MEMBER, "create a registry")
        taken = steps.views.find(RegistryRow, organisation_id=owner.organisation_id, name=name)
        taken_id = taken.registry_id if taken else None
        steps.step(registries.REGISTRY, id_, registries.create_registry, created, taken_id)
        steps.step(registries.REGISTRY, id_, registries.set_member_role, actor, MemberKind.PRINCIPAL, Role.ADMIN)

    store.transact(Request("create registry", [owner.organisation_id, name], id_), decide)
    return directory.registry(store.views, organisation, name)


def rename(store: Store, row: RegistryRow, name: str) -> None:
    """Give a custom registry another free name."""
    registry_name(name)

    def decide(steps: Steps) -> None:
        directory.require_registry_role(steps.views, row, store.context.actor, Role.MEMBER, "rename the registry")
        taken = steps.views.find(RegistryRow, organisation_id=row.organisation_id, name=name)
        taken_id = taken.registry_id if taken else None
        steps.step(registries.REGISTRY, row.registry_id, registries.rename_registry, name, taken_id)

    store.transact(Request("rename registry", name, row.registry_id), decide)


def describe(store: Store, row: RegistryRow, description: str | None) -> None:
    """Set or take away the description."""
    kept = store.keep(row.registry_id, description=description or None)["description"]
    _change(store, row, Role.MEMBER, "describe", lambda registry: registries.describe_registry(registry, kept))


def restrict(store: Store, row: RegistryRow, visibility: Visibility) -> None:
    """Restrict a custom registry to its members."""
    _change(store, row, Role.ADMIN, "restrict", lambda registry: registries.change_visibility(registry, visibility))


def accept_types(store: Store, row: RegistryRow, types: Collection[str], *, narrow: bool = False) -> None:
    """Accept more artifact types; from accepting all, only with *narrow*."""
    chosen = tuple(type_name(type_) for type_ in types)
    _change(
        store,
        row,
        Role.MEMBER,
        "accept types",
        lambda registry: registries.accept_types(registry, chosen, narrow=narrow),
    )


def accept_all_types(store: Store, row: RegistryRow) -> None:
    """Accept every artifact type from now on."""
    _change(store, row, Role.MEMBER, "accept all types", registries.accept_all_types)


def set_role(store: Store, row: RegistryRow, member_id: str, kind: MemberKind, role: Role | None) -> None:
    """Give a principal or team a role in the registry, or take the membership away."""
    _change(
        store,
        row,
        Role.ADMIN,
        "change who is in it",
        lambda registry: registries.set_member_role(registry, member_id, kind, role),
    )


def protect(store: Store, row: RegistryRow, aliases: Collection[str]) -> None:
    """Say which aliases only admins may move or remove."""
    chosen = frozenset(alias_name(alias) for alias in aliases)
    if LATEST in chosen:
        msg = "latest cannot be protected: it follows the version linked last — protect another alias"
        raise AliasReservedError(msg)
    _change(
        store,
        row,
        Role.ADMIN,
        "protect aliases",
        lambda registry: registries.set_protected_aliases(registry, chosen),
    )


@frozen
class RegistryEdits:
    """Everything that one save changes about a registry, in one transaction; ``None`` leaves it alone.

    An empty description takes it away; *types* are added; *all_types* opens it to all types, or narrows it to *types*.
    """

    name: str | None = None
    description: str | None = None
    visibility: Visibility | None = None
    types: tuple[str, ...] = ()
    all_types: bool | None = None


def edit(store: Store, row: RegistryRow, edits: RegistryEdits) -> None:
    """Make all the changes, or none."""
    chosen = tuple(type_name(type_) for type_ in edits.types)
    if edits.name is not None:
        registry_name(edits.name)
    kept = store.keep(row.registry_id, description=edits.description or None)["description"]
    needed = Role.ADMIN if edits.visibility is not None else Role.MEMBER

    def decide(steps: Steps) -> None:
        act = f"change it (registry {row.name})"
        directory.require_registry_role(steps.views, row, store.context.actor, needed, act)
        id_ = row.registry_id
        if edits.name is not None:
            taken = steps.views.find(RegistryRow, organisation_id=row.organisation_id, name=edits.name)
            taken_id = taken.registry_id if taken else None
            steps.step(registries.REGISTRY, id_, registries.rename_registry, edits.name, taken_id)
        if edits.description is not None:
            steps.step(registries.REGISTRY, id_, registries.describe_registry, kept)
        if edits.visibility is not None:
            steps.step(registries.REGISTRY, id_, registries.change_visibility, edits.visibility)
        narrow = edits.all_types is False
        if chosen or narrow:
            steps.step(registries.REGISTRY, id_, registries.accept_types, chosen, narrow=narrow)
        if edits.all_types:
            steps.step(registries.REGISTRY, id_, registries.accept_all_types)

    arguments = [edits.name, edits.visibility and edits.visibility.value, sorted(chosen), edits.all_types]
    store.transact(Request("edit registry", arguments, row.registry_id), decide)


def delete(store: Store, row: RegistryRow) -> None:
    """Let a custom registry go with its collections and links; the linked versions stay."""
    _change(store, row, Role.ADMIN, "delete", registries.delete_registry)


def _change(
    store: Store, row: RegistryRow, needed: Role, act: str, decision: Callable[[Registry], Sequence[RegistryEvent]]
) -> None:
    def decide(steps: Steps) -> None:
        directory.require_registry_role(steps.views, row, store.context.actor, needed, f"{act} (registry {row.name})")
        steps.step(registries.REGISTRY, row.registry_id, decision)

    store.transact(Request(f"{act} registry", None, row.registry_id), decide)


# --- collections -----------------------------------------------------------------------------------------------------


def create_collection(store: Store, registry: RegistryRow, name: str, type_: str) -> CollectionRow:
    """Make a collection without a link."""
    id_ = CollectionId(new_id())

    def decide(steps: Steps) -> None:
        require_live(steps, registry)
        directory.require_registry_role(steps.views, registry, store.context.actor, Role.MEMBER, "create a collection")
        begin_collection(steps, registry, id_, name, type_)

    store.transact(Request("create collection", [registry.registry_id, name, type_], id_), decide)
    found = store.views.find(CollectionRow, registry_id=registry.registry_id, name=name)
    assert found is not None  # noqa: S101 (it was just made)
    return found


def begin_collection(steps: Steps, registry: RegistryRow, id_: CollectionId, name: str, type_: str) -> None:
    """Make a collection inside a command."""
    plain_name(name, "Collection name")
    type_name(type_)
    require_accepted(steps, registry, type_)
    taken = steps.views.find(CollectionRow, registry_id=registry.registry_id, name=name)
    created = collections.CollectionCreated(registry.registry_id, name, type_)
    steps.step(
        collections.COLLECTION, id_, collections.create_collection, created, taken.collection_id if taken else None
    )


def require_live(steps: Steps, registry: RegistryRow) -> None:
    """Refuse what is asked of a registry that was deleted."""
    if steps.views.find(RegistryRow, registry_id=registry.registry_id) is None:
        msg = f"registry {registry.name} was deleted"
        raise NotFoundError(msg)


def require_accepted(steps: Steps, registry: RegistryRow, type_: str) -> None:
    """Refuse an artifact type that the registry does not accept."""
    state = steps.views.find(RegistryRow, registry_id=registry.registry_id)
    if state is not None and not state.all_types:
        rows = steps.views.select(AcceptedTypeRow, registry_id=registry.registry_id, order="type")
        registries.require_type(frozenset(row.type for row in rows), type_, registry.name or "")


def edit_collection(
    store: Store,
    row: CollectionRow,
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Collection[str] | None = None,
) -> None:
    """Change the name, description or tags of a collection; ``None`` leaves them alone."""
    kept = store.keep(row.collection_id, description=description or None)["description"]
    for tag in tags or ():
        tag_name(tag)

    def decide(steps: Steps) -> None:
        _require_collection_role(store, steps, row, Role.MEMBER)
        if name is not None and name != row.name:
            plain_name(name, "Collection name")
            taken = steps.views.find(CollectionRow, registry_id=row.registry_id, name=name)
            taken_id = taken.collection_id if taken else None
            steps.step(collections.COLLECTION, row.collection_id, collections.rename_collection, name, taken_id)
        if description is not None:
            steps.step(collections.COLLECTION, row.collection_id, collections.describe_collection, kept)
        if tags is not None:
            owner, collection = row.collection_id, collections.COLLECTION
            retag(steps, collection, owner, tags, collections.tag_collection, collections.untag_collection)

    store.transact(Request("edit collection", [name, sorted(tags or ())], row.collection_id), decide)


def delete_collection(store: Store, row: CollectionRow) -> None:
    """Let a collection go with its links, as an admin if a protected alias is among them; the versions stay."""

    def decide(steps: Steps) -> None:
        held = _protected_in(steps, row)
        _require_collection_role(store, steps, row, Role.ADMIN if held else Role.MEMBER)
        steps.step(collections.COLLECTION, row.collection_id, collections.delete_collection)

    store.transact(Request("delete collection", None, row.collection_id), decide)


def _require_collection_role(store: Store, steps: Steps, row: CollectionRow, needed: Role) -> None:
    registry = steps.views.find(RegistryRow, registry_id=row.registry_id)
    if registry is None:
        msg = f"the registry of collection {row.name} was deleted"
        raise NotFoundError(msg)
    what = "change collections" if needed is Role.MEMBER else "delete collections that hold a protected alias"
    directory.require_registry_role(
        steps.views, registry, store.context.actor, needed, f"{what} (registry {registry.name})"
    )


def _protected_in(steps: Steps, row: CollectionRow) -> bool:
    """Whether a protected alias points at a version of the collection."""
    protected = steps.views.select(ProtectedAliasRow, registry_id=row.registry_id, order="alias")
    slots = [steps.views.find(AliasRow, owner_id=row.collection_id, alias=each.alias) for each in protected]
    return any(slot is not None and slot.version_id is not None for slot in slots)


def listed(store: Store, organisation: str | None = None, at: int | None = None) -> list[RegistryRow]:
    """Return the registries of one organisation or of all, in the order of their names."""
    owners = (
        [directory.organisation(store.views, organisation, at)]
        if organisation
        else store.views.select(OrganisationRow, at=at, order="name")
    )
    return [
        row
        for owner in owners
        for row in store.views.select(RegistryRow, at=at, organisation_id=owner.organisation_id, order="name")
    ]
