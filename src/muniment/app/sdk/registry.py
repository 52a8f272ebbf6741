"""Registries: collections of linked versions, what they accept, and who may do what there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import define

from muniment.app import clock, registries
from muniment.app.registries import RegistryEdits
from muniment.app.sdk import filters, members
from muniment.app.sdk.accepted import AddOnlyTypes
from muniment.app.sdk.artifact import Artifact
from muniment.app.sdk.collections import Collections, fetch_collections
from muniment.app.sdk.errors import as_comm_error
from muniment.app.sdk.kinds import text
from muniment.app.sdk.members import Someone, TeamMember, UserMember
from muniment.app.sdk.pages import Paginator
from muniment.app.sdk.people import current
from muniment.app.sdk.scope import Scope, Shelf
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.registry import Visibility
from muniment.domain.rows import (
    AcceptedTypeRow,
    OrganisationRow,
    ProtectedAliasRow,
    RegistryRow,
)
from muniment.domain.values import ERASED_TEXT, REGISTRY_PREFIX, registry_name


@define
class _Said:
    """What can be changed about a registry."""

    name: str
    description: str | None
    visibility: str
    allow_all: bool


class Registry:
    """A registry of an organization."""

    def __init__(self, store: Store, row: RegistryRow, at: int | None = None) -> None:
        self._store, self._row, self._at = store, row, at
        self._read()

    def __repr__(self) -> str:
        return f"<Registry {self.name}>"

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id of the registry."""
        return self._row.registry_id

    @property
    def internal_id(self) -> str:
        """The id of the registry."""
        return self._row.registry_id

    @property
    def full_name(self) -> str:
        """The name with W&B's prefix."""
        return REGISTRY_PREFIX + self.name

    @property
    def organization(self) -> str:
        """The name of the organization."""
        views, id_ = self._store.views, self._row.organisation_id
        row = views.find(OrganisationRow, at=self._at, organisation_id=id_)
        return row.name or ERASED_TEXT if row else ERASED_TEXT

    @property
    def entity(self) -> str:
        """The name of the organization."""
        return self.organization

    @property
    def path(self) -> list[str]:
        """Organization and registry."""
        return [self.entity, self.full_name]

    @property
    def is_core(self) -> bool:
        """Whether this is one of the registries that every organization has."""
        return bool(self._row.core)

    @property
    def created_at(self) -> str:
        """When the registry began."""
        return clock.to_text(self._row.created_at)

    @property
    def updated_at(self) -> str:
        """When what is said about the registry changed last."""
        return clock.to_text(self._row.updated_at)

    @property
    def protected_aliases(self) -> list[str]:
        """The aliases that only admins may move or remove."""
        rows = self._store.views.select(ProtectedAliasRow, at=self._at, registry_id=self.id, order="alias")
        return [row.alias for row in rows]

    # --- what can be changed ------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name without W&B's prefix; change it, then ``save()``."""
        return self._said.name

    @name.setter
    def name(self, name: str) -> None:
        self._said.name = registry_name(text(name, "name").removeprefix(REGISTRY_PREFIX))

    @property
    def description(self) -> str | None:
        """What the registry is, in words; change it, then ``save()``."""
        return self._said.description

    @description.setter
    def description(self, description: str | None) -> None:
        self._said.description = description

    @property
    def visibility(self) -> str:
        """Who sees it: ``organization`` or ``restricted``; change it, then ``save()``."""
        return self._said.visibility

    @visibility.setter
    def visibility(self, visibility: Literal["organization", "restricted"]) -> None:
        self._said.visibility = seen_by(visibility).value

    @property
    def allow_all_artifact_types(self) -> bool:
        """Whether every type is accepted; change it, then ``save()``."""
        return self._said.allow_all

    @allow_all_artifact_types.setter
    def allow_all_artifact_types(self, allow: bool) -> None:
        self._said.allow_all = bool(allow)

    @property
    def artifact_types(self) -> AddOnlyTypes:
        """The types that are accepted; append to it, then ``save()``."""
        return self._types

    @artifact_types.setter
    def artifact_types(self, types: Iterable[str]) -> None:
        wanted = list(types)
        missing = sorted(self._types.saved - set(wanted))
        if missing:
            msg = f"Cannot remove artifact types {missing}: they have been saved, and types are only added"
            raise InvalidValueError(msg)
        self._types.extend(wanted)

    def load(self) -> Registry:
        """Read the registry again; changes that were not saved are lost."""
        row = self._store.views.find(RegistryRow, at=self._at, registry_id=self.id)
        if row is None:
            msg = f"registry {self._seen.name} is not here any more"
            raise NotFoundError(msg)
        self._row = row
        self._read()
        return self

    def save(self) -> None:
        """Keep what was changed, in one transaction."""
        current(self._at, "Registry.save")
        said, seen = self._said, self._seen
        added = tuple(type_ for type_ in self._types if type_ not in self._types.saved)
        if added and said.allow_all:
            msg = (
                "Cannot update artifact types when `allows_all_artifact_types` is True: the registry accepts all. "
                "Set it to False first"
            )
            raise InvalidValueError(msg)
        edits = RegistryEdits(
            name=said.name if said.name != seen.name else None,
            description=said.description or "" if said.description != seen.description else None,
            visibility=Visibility(said.visibility) if said.visibility != seen.visibility else None,
            types=added,
            all_types=said.allow_all if said.allow_all != seen.allow_all else None,
        )
        if edits != RegistryEdits():
            with as_comm_error():
                registries.edit(self._store, self._row, edits)
            self.load()

    def protect_aliases(self, aliases: Iterable[str]) -> Registry:
        """Say which aliases only admins may move or remove, in place of those before."""
        current(self._at, "Registry.protect_aliases")
        with as_comm_error():
            registries.protect(self._store, self._row, list(aliases))
        return self

    def delete(self) -> None:
        """Let the registry go with its collections and links; the linked versions stay."""
        current(self._at, "Registry.delete")
        with as_comm_error():
            registries.delete(self._store, self._row)

    # --- what it holds ------------------------------------------------------------------------------------------------

    def collections(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Collections:
        """Return the collections, by name unless *order* says otherwise."""
        return Collections(self._scope, fetch_collections(self._shelf, filter, order), per_page, start)

    def versions(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Paginator[Artifact]:
        """Return the linked versions of all collections."""
        return self.collections().versions(filter, order, per_page, start)

    # --- who is in it -------------------------------------------------------------------------------------------------

    def members(self) -> list[UserMember | TeamMember]:
        """Return who is in the registry, users and teams."""
        return members.of(self._store, self._row, self._at)

    def user_members(self) -> list[UserMember]:
        """Return the users in the registry."""
        return [member for member in self.members() if isinstance(member, UserMember)]

    def team_members(self) -> list[TeamMember]:
        """Return the teams in the registry."""
        return [member for member in self.members() if isinstance(member, TeamMember)]

    def add_members(self, *members_: Someone | Iterable[Someone], role: str = "viewer") -> Registry:
        """Let users and teams in, given as objects or by name; who is in already keeps the role."""
        current(self._at, "Registry.add_members")
        with as_comm_error():
            for someone in _each(members_):
                members.add(self._store, self._row, someone, role)
        return self

    def remove_members(self, *members_: Someone | Iterable[Someone]) -> Registry:
        """Take users and teams out, given as objects or by name."""
        current(self._at, "Registry.remove_members")
        with as_comm_error():
            for someone in _each(members_):
                members.set_role(self._store, self._row, someone, None)
        return self

    def update_member(self, member: Someone, role: str) -> Registry:
        """Give a user or team another role."""
        current(self._at, "Registry.update_member")
        with as_comm_error():
            members.set_role(self._store, self._row, member, role)
        return self

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _scope(self) -> Scope:
        return Scope(self._store, self._at)

    @property
    def _shelf(self) -> Shelf:
        return Shelf(self._scope, "", self._row)

    def _read(self) -> None:
        row = self._row
        description = None
        if row.description is not None:
            description = filters.personal(self._store, [row.description]).get(row.description, ERASED_TEXT)
        said = (row.name or ERASED_TEXT, description, row.visibility, bool(row.all_types))
        self._said, self._seen = _Said(*said), _Said(*said)
        types = self._store.views.select(AcceptedTypeRow, at=self._at, registry_id=row.registry_id, order="type")
        self._types = AddOnlyTypes(each.type for each in types)


def seen_by(visibility: str) -> Visibility:
    """Return the visibility of this name."""
    try:
        return Visibility(visibility)
    except ValueError as error:
        msg = f"visibility must be 'organization' or 'restricted', not {visibility!r}"
        raise InvalidValueError(msg) from error


def _each(members_: Iterable[Someone | Iterable[Someone]]) -> Iterable[Someone]:
    for someone in members_:
        if isinstance(someone, list | tuple | set):
            yield from someone
        else:
            yield someone  # type: ignore[misc]
