"""A registry of an organisation: which artifact types it accepts, who may do what, which aliases are protected."""

from __future__ import annotations

import enum
from typing import ClassVar, Final, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import NameTakenError, NotFoundError, PermissionDeniedError, RuleError, TypeRefusedError
from muniment.domain.values import Audit, Erased, OrganisationId, Personal, RegistryId, Role, Words

CORE: Final = {"model": ("model",), "dataset": ("dataset",)}
"""The registries that every organisation has, with the types they accept."""


class Visibility(enum.Enum):
    """Who sees a registry: everybody in the organisation, or its members only."""

    ORGANISATION = "organization"
    RESTRICTED = "restricted"


class MemberKind(enum.Enum):
    """What has a role: one principal, or everybody of a team."""

    PRINCIPAL = "user"
    TEAM = "team"


@frozen
class RegistryCreated(Event):
    """A registry began; it accepts every type, or these."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    organisation_id: OrganisationId
    name: Words[str]
    core: bool
    visibility: Visibility
    types: Words[tuple[str, ...]] = ()
    description: Personal[str] | None = None
    all_types: bool = False


@frozen
class RegistryRenamed(Event):
    """The registry has another name; the old one is free again."""

    name: Words[str]


@frozen
class RegistryDescribed(Event):
    """The description changed, or was taken away."""

    description: Personal[str] | None


@frozen
class VisibilityChanged(Event):
    """Others than before see the registry."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    visibility: Visibility


@frozen
class AcceptedTypesAdded(Event):
    """The registry accepts more types than before, or, from all of them, these and the saved ones."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    types: Words[tuple[str, ...]]


@frozen
class AllTypesAccepted(Event):
    """The registry accepts every type from now on; the types it had stay saved."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


@frozen
class MemberRoleSet(Event):
    """A principal or team now has this role; ``None`` takes the membership away."""

    audit: ClassVar[Audit] = Audit.SECURITY
    member_id: str
    kind: MemberKind
    role: Role | None


@frozen
class ProtectedAliasesSet(Event):
    """Only admins may move or remove the added aliases; the removed ones are anybody's again."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    added: Words[tuple[str, ...]] = ()
    removed: Words[tuple[str, ...]] = ()


@frozen
class RegistryDeleted(Event):
    """The registry, its collections and links are gone; the linked versions stay."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


RegistryEvent: TypeAlias = (
    RegistryCreated
    | RegistryRenamed
    | RegistryDescribed
    | VisibilityChanged
    | AcceptedTypesAdded
    | AllTypesAccepted
    | MemberRoleSet
    | ProtectedAliasesSet
    | RegistryDeleted
)


@frozen
class Registry:
    """What decisions about a registry need to know; ``types`` stay saved while it accepts all."""

    organisation_id: OrganisationId | None = None
    name: str | Erased | None = None
    core: bool = False
    visibility: Visibility = Visibility.ORGANISATION
    all_types: bool = False
    types: frozenset[str] = frozenset()
    description: Personal[str] | None = None
    members: tuple[tuple[str, Role], ...] = ()
    protected: frozenset[str] = frozenset()
    deleted: bool = False


def create_registry(
    registry: Registry, created: RegistryCreated, taken: RegistryId | None = None
) -> list[RegistryEvent]:
    """Begin a registry under a free name."""
    if taken is not None:
        msg = f"the organisation has a registry {created.name}"
        raise NameTakenError(msg)
    return [] if registry.organisation_id is not None else [created]


def rename_registry(registry: Registry, name: str, taken: RegistryId | None = None) -> list[RegistryEvent]:
    """Give a custom registry another free name."""
    require_alive(registry)
    if name == registry.name:
        return []
    _require_custom(registry, "renamed")
    if taken is not None:
        msg = f"the organisation has a registry {name}"
        raise NameTakenError(msg)
    return [RegistryRenamed(name)]


def describe_registry(registry: Registry, description: Personal[str] | None) -> list[RegistryEvent]:
    """Set or take away the description of a custom registry."""
    require_alive(registry)
    if description == registry.description:
        return []
    _require_custom(registry, "described")
    return [RegistryDescribed(description)]


def change_visibility(registry: Registry, visibility: Visibility) -> list[RegistryEvent]:
    """Restrict a custom registry to its members; there is no way back."""
    require_alive(registry)
    if visibility is registry.visibility:
        return []
    _require_custom(registry, "restricted")
    if registry.visibility is Visibility.RESTRICTED:
        msg = "a restricted registry cannot be opened to the organisation — create another one"
        raise RuleError(msg)
    return [VisibilityChanged(visibility)]


def accept_types(registry: Registry, types: tuple[str, ...], *, narrow: bool = False) -> list[RegistryEvent]:
    """Accept more types; from accepting all, only these and the saved ones, on request (*narrow*)."""
    require_alive(registry)
    if registry.all_types and not narrow:
        msg = "the registry accepts all types — set allow_all_artifact_types to False first"
        raise RuleError(msg)
    if registry.all_types and not registry.types and not types:
        msg = "a registry that accepts no type at all is of no use — name at least one"
        raise RuleError(msg)
    fresh = tuple(sorted(set(types) - registry.types))
    return [AcceptedTypesAdded(fresh)] if fresh or registry.all_types else []


def accept_all_types(registry: Registry) -> list[RegistryEvent]:
    """Accept every type from now on."""
    require_alive(registry)
    _require_custom(registry, "opened to all types")
    return [] if registry.all_types else [AllTypesAccepted()]


def set_member_role(registry: Registry, member_id: str, kind: MemberKind, role: Role | None) -> list[RegistryEvent]:
    """Give a member a role, or take the membership away."""
    require_alive(registry)
    return [] if dict(registry.members).get(member_id) is role else [MemberRoleSet(member_id, kind, role)]


def set_protected_aliases(registry: Registry, aliases: frozenset[str]) -> list[RegistryEvent]:
    """Say which aliases only admins may move or remove."""
    require_alive(registry)
    added, removed = aliases - registry.protected, registry.protected - aliases
    return [ProtectedAliasesSet(tuple(sorted(added)), tuple(sorted(removed)))] if added or removed else []


def delete_registry(registry: Registry) -> list[RegistryEvent]:
    """End a custom registry with its collections and links."""
    if not _alive(registry):
        return []
    _require_custom(registry, "deleted")
    return [RegistryDeleted()]


def require_role(actual: Role | None, needed: Role, act: str) -> None:
    """Refuse an act for which the role is too weak."""
    if actual is None or not actual.covers(needed):
        has = f"your role is {actual.value}" if actual else "you are no member"
        article = "an" if needed is Role.ADMIN else "a"
        msg = f"only {article} {needed.value} may {act}; {has} — ask an admin"
        raise PermissionDeniedError(msg)


def require_reader(actual: Role | None, visibility: Visibility, act: str) -> None:
    """Refuse to hand versions out to those who may only look, and in a restricted registry to strangers too."""
    if actual is Role.RESTRICTED_VIEWER or (actual is None and visibility is Visibility.RESTRICTED):
        require_role(actual, Role.VIEWER, act)


def require_same_organisation(source: OrganisationId, organisation: OrganisationId, name: str) -> None:
    """Refuse a version of another organisation."""
    if source != organisation:
        msg = f"registry {name} takes versions of its own organization only — link it into one of the version's"
        raise RuleError(msg)


def require_type(types: frozenset[str] | None, type_: str, name: str) -> None:
    """Refuse an artifact type that a registry does not accept (*types* is ``None`` for all)."""
    if types is not None and type_ not in types:
        msg = f"registry {name} accepts type {', '.join(sorted(types)) or 'nothing yet'}, not {type_!r}"
        raise TypeRefusedError(msg)


def require_alive(registry: Registry) -> None:
    """Refuse what is asked of a registry that is not there any more."""
    if not _alive(registry):
        msg = "the registry was deleted"
        raise NotFoundError(msg)


def _alive(registry: Registry) -> bool:
    return registry.organisation_id is not None and not registry.deleted


def _require_custom(registry: Registry, act: str) -> None:
    if registry.core:
        msg = f"the core registry {registry.name} cannot be {act}"
        raise RuleError(msg)


def _known(types: tuple[str, ...] | Erased) -> frozenset[str]:
    return frozenset() if isinstance(types, Erased) else frozenset(types)


def _begun(created: RegistryCreated) -> Registry:
    return Registry(
        organisation_id=created.organisation_id,
        name=created.name,
        core=created.core,
        visibility=created.visibility,
        all_types=created.all_types,
        types=_known(created.types),
        description=created.description,
    )


def _with_member(registry: Registry, member_id: str, role: Role | None) -> Registry:
    others = tuple(member for member in registry.members if member[0] != member_id)
    return replace(registry, members=others if role is None else (*others, (member_id, role)))


def evolve(registry: Registry, event: RegistryEvent) -> Registry:
    """Return the registry after *event*."""
    match event:
        case RegistryCreated():
            return _begun(event)
        case RegistryRenamed(name=name):
            return replace(registry, name=name)
        case RegistryDescribed(description=description):
            return replace(registry, description=description)
        case VisibilityChanged(visibility=visibility):
            return replace(registry, visibility=visibility)
        case AcceptedTypesAdded(types=types):
            return replace(registry, all_types=False, types=registry.types | _known(types))
        case AllTypesAccepted():
            return replace(registry, all_types=True)
        case MemberRoleSet(member_id=member_id, role=role):
            return _with_member(registry, member_id, role)
        case ProtectedAliasesSet(added=added, removed=removed):
            return replace(registry, protected=(registry.protected | _known(added)) - _known(removed))
        case RegistryDeleted():
            return replace(registry, deleted=True)
        case _:
            assert_never(event)


REGISTRY: Decider[Registry, RegistryEvent] = Decider("registry", Registry(), evolve)
