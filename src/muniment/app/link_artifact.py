"""Linking a version into a registry's collection, and taking it out again."""

from __future__ import annotations

from collections.abc import Collection

from muniment.app import catalog, directory, holds, lifecycle, registries
from muniment.app.catalog import Found
from muniment.app.lifecycle import Edits
from muniment.app.log_artifact import put_alias
from muniment.app.names import Address
from muniment.app.store import Store
from muniment.app.telemetry import traced
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import alias as aliases
from muniment.domain import collection as collections
from muniment.domain import registry as registry_rules
from muniment.domain import version as versions
from muniment.domain.errors import NotFoundError, RuleError, VersionHeldError
from muniment.domain.rows import (
    AliasRow,
    CollectionRow,
    LinkRow,
    ProtectedAliasRow,
    RegistryRow,
)
from muniment.domain.values import (
    LATEST,
    CollectionId,
    Json,
    LinkId,
    OrganisationId,
    Role,
    VersionId,
    alias_name,
    latest_stream,
    numbering_stream,
)


@traced("link", lambda found: {"version_id": found.version.version_id})
def link(store: Store, source: Found, target: Address, chosen: Collection[str] = ()) -> Found:
    """Link a version into a collection, which is made if it is not there; the registry must be.

    A version that is linked there already keeps its link and index: only the asked aliases move. ``latest`` of the
    collection is the version linked last.
    """
    if target.registry is None:
        msg = (
            f"{target.owner}/{target.project} is no registry — link to "
            f"[organization/]wandb-registry-<registry>/<collection>"
        )
        raise RuleError(msg)
    for alias in chosen:
        alias_name(alias)
    registry = directory.registry(store.views, target.owner, target.registry)
    fresh, link_id = CollectionId(new_id()), LinkId(new_id())
    names = list(dict.fromkeys(chosen))

    def decide(steps: Steps) -> Json:
        _permit(store, steps, registry, "link into")
        registry_rules.require_same_organisation(
            OrganisationId(source.team.organisation_id), OrganisationId(registry.organisation_id), registry.name or ""
        )
        type_ = _live_type(steps, source)
        row = steps.views.find(CollectionRow, registry_id=registry.registry_id, name=target.name)
        registries.require_accepted(steps, registry, type_)
        if row is None:
            registries.begin_collection(steps, registry, fresh, target.name, type_)
        owner = row.collection_id if row else fresh
        member = steps.views.find(LinkRow, collection_id=owner, version_id=source.version.version_id)
        linked = collections.Linked(link_id, source.version.version_id, source.artifact.artifact_id)
        steps.step(
            collections.LINK_NUMBERING,
            numbering_stream(owner),
            collections.link,
            linked,
            type_=type_,
            collection_type=row.type if row else None,
            member=member.link_id if member else None,
        )
        for alias in names:
            if alias != LATEST or member is not None:  # a new link is the latest by itself
                _point(store, steps, registry, owner, alias, source.version.version_id)
        return {"collection_id": owner, "link_id": member.link_id if member else link_id}

    arguments = [source.version.version_id, registry.registry_id, target.name, names]
    answer = store.transact(Request("link", arguments, source.version.version_id), decide).answer
    row = store.views.find(LinkRow, link_id=answer["link_id"])
    found = catalog.through(store.views, row) if row else None
    if found is None:
        msg = "the link is gone again: somebody unlinked the version or deleted the collection meanwhile"
        raise NotFoundError(msg)
    return found


@traced("unlink")
def unlink(store: Store, found: Found, *, command_act: str = "unlink") -> None:
    """Take a version out of a collection; its aliases there go, its index is not used again.

    A link that was ended meanwhile stays ended, and a later one of the same version stays.
    """
    link_row, collection, registry = _parts(found)

    def decide(steps: Steps) -> None:
        _permit(store, steps, registry, "unlink from")
        if steps.views.find(LinkRow, link_id=link_row.link_id) is None:
            return
        holds.refuse_leaving(steps.views, found.version, collection)
        _drop_aliases(store, steps, registry, collection.collection_id, found.version.version_id)
        steps.step(
            collections.LINK,
            link_row.link_id,
            collections.unlink,
            collection.collection_id,
            found.version.version_id,
        )

    store.transact(Request(command_act, link_row.link_id, found.version.version_id), decide)


def edit(store: Store, found: Found, edits: Edits) -> None:
    """Change a linked version in one transaction: its aliases in the collection, all else where it was logged.

    Who only changes aliases here needs no role in the team that logged the version.
    """
    link_row, collection, registry = _parts(found)
    edits.check()
    kept = lifecycle.keep_texts(store, found, edits)
    owner, version_id = collection.collection_id, found.version.version_id

    def decide(steps: Steps) -> None:
        if edits.about_source:
            lifecycle.edit_source(store, steps, found, edits, kept)
        if edits.add_aliases or edits.remove_aliases:
            _permit(store, steps, registry, "edit aliases in")
            _require_link(steps, link_row)
        for alias in edits.remove_aliases:
            _unpoint(store, steps, registry, owner, alias, version_id)
        for alias in dict.fromkeys(edits.add_aliases):
            _point(store, steps, registry, owner, alias, version_id, expected=edits.expects(alias))

    arguments = [owner, sorted(edits.add_aliases), sorted(edits.remove_aliases), sorted(edits.add_tags)]
    store.transact(Request("edit link", arguments, version_id), decide)


def set_link_aliases(
    store: Store, found: Found, added: Collection[str], removed: Collection[str], *, expected: Json = None
) -> None:
    """Add and remove aliases of a linked version in its collection; *expected* maps an alias to where it must point."""
    edit(store, found, Edits(tuple(added), tuple(removed), expected=expected))


def _permit(store: Store, steps: Steps, registry: RegistryRow, act: str) -> None:
    registries.require_live(steps, registry)
    directory.require_registry_role(
        steps.views, registry, store.context.actor, Role.MEMBER, f"{act} registry {registry.name}"
    )


def _live_type(steps: Steps, source: Found) -> str:
    """Return the type of a version that is about to be linked, which must be live."""
    now = catalog.origin(steps.views, source.version.version_id)
    versions.require_live(versions.Version(versions.State(now.version.state)))
    return now.artifact.type or ""


def _require_link(steps: Steps, link_row: LinkRow) -> None:
    now = steps.views.find(LinkRow, link_id=link_row.link_id)
    if now is None or catalog.through(steps.views, now) is None:
        msg = "the version is not linked here any more: it was unlinked, or the collection was deleted"
        raise NotFoundError(msg)


def _point(
    store: Store,
    steps: Steps,
    registry: RegistryRow,
    owner: CollectionId,
    alias: str,
    version_id: VersionId,
    *,
    expected: VersionId | bool | None = aliases.ANYWHERE,
) -> None:
    if alias == LATEST:
        row = steps.views.find(CollectionRow, collection_id=owner)
        now = catalog.latest_link(steps.views, row) if row else None
        before = now.version_id if now else None
        stream = latest_stream(owner)
        steps.step(aliases.LATEST_SLOT, stream, aliases.move_latest, version_id, before, expected=expected)
        return
    put_alias(
        steps,
        owner,
        alias,
        version_id,
        expected=expected,
        protected=_is_protected(steps, registry, alias),
        role=_role(store, steps, registry),
    )


def _unpoint(
    store: Store, steps: Steps, registry: RegistryRow, owner: CollectionId, alias: str, version_id: VersionId
) -> None:
    if alias == LATEST:
        row = steps.views.find(CollectionRow, collection_id=owner)
        now = catalog.latest_link(steps.views, row) if row else None
        if now is not None and now.version_id == version_id:
            steps.step(aliases.LATEST_SLOT, latest_stream(owner), aliases.remove_latest, version_id)
        return
    row_ = steps.views.find(AliasRow, owner_id=owner, alias=alias)
    if row_ is not None:
        steps.step(
            aliases.ALIAS,
            row_.slot,
            aliases.remove_alias,
            alias,
            expected=version_id,
            protected=_is_protected(steps, registry, alias),
            role=_role(store, steps, registry),
        )


def _drop_aliases(
    store: Store, steps: Steps, registry: RegistryRow, owner: CollectionId, version_id: VersionId
) -> None:
    for alias in catalog.aliases_of(steps.views, owner, version_id):
        _unpoint(store, steps, registry, owner, alias, version_id)


def _is_protected(steps: Steps, registry: RegistryRow, alias: str) -> bool:
    return steps.views.find(ProtectedAliasRow, registry_id=registry.registry_id, alias=alias) is not None


def _role(store: Store, steps: Steps, registry: RegistryRow) -> Role:
    return directory.registry_role(steps.views, registry, store.context.actor) or Role.RESTRICTED_VIEWER


def _parts(found: Found) -> tuple[LinkRow, CollectionRow, RegistryRow]:
    if found.link is None or found.collection is None or found.registry is None:
        msg = "this is no linked version: it was not reached through a registry"
        raise VersionHeldError(msg)
    return found.link, found.collection, found.registry
