"""An organisation: the outermost owner, whose members see its registries."""

from __future__ import annotations

from typing import ClassVar, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import InvalidValueError, NameTakenError, NotFoundError
from muniment.domain.values import Audit, Erased, OrganisationId, PrincipalId, Role, Words


@frozen
class OrganisationCreated(Event):
    """An organisation began."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    name: Words[str]


@frozen
class OrganisationRenamed(Event):
    """The organisation has another name; the old one is free again."""

    name: Words[str]


@frozen
class OrganisationRoleSet(Event):
    """A principal now has this role in the organisation; ``None`` takes the membership away."""

    audit: ClassVar[Audit] = Audit.SECURITY
    principal_id: PrincipalId
    role: Role | None


OrganisationEvent: TypeAlias = OrganisationCreated | OrganisationRenamed | OrganisationRoleSet


@frozen
class Organisation:
    """What decisions about an organisation need to know."""

    name: str | Erased | None = None
    members: tuple[tuple[PrincipalId, Role], ...] = ()


def create_organisation(
    organisation: Organisation, name: str, taken: OrganisationId | None = None
) -> list[OrganisationEvent]:
    """Begin an organisation under a free name."""
    if taken is not None:
        msg = f"there is an organisation {name}"
        raise NameTakenError(msg)
    return [] if organisation.name is not None else [OrganisationCreated(name)]


def rename_organisation(
    organisation: Organisation, name: str, taken: OrganisationId | None = None
) -> list[OrganisationEvent]:
    """Give the organisation another free name."""
    _require(organisation)
    if name == organisation.name:
        return []
    if taken is not None:
        msg = f"there is an organisation {name}"
        raise NameTakenError(msg)
    return [OrganisationRenamed(name)]


def set_organisation_role(
    organisation: Organisation, principal_id: PrincipalId, role: Role | None
) -> list[OrganisationEvent]:
    """Give a member a role, or take the membership away; the last admin stays one."""
    _require(organisation)
    held = dict(organisation.members).get(principal_id)
    if held is role:
        return []
    if held is Role.ADMIN and not _admins(organisation) - {principal_id}:
        msg = "an organisation needs an admin — make somebody else its admin first"
        raise InvalidValueError(msg)
    return [OrganisationRoleSet(principal_id, role)]


def _admins(organisation: Organisation) -> set[PrincipalId]:
    return {member for member, role in organisation.members if role is Role.ADMIN}


def _require(organisation: Organisation) -> None:
    if organisation.name is None:
        msg = "there is no such organisation"
        raise NotFoundError(msg)


def evolve(organisation: Organisation, event: OrganisationEvent) -> Organisation:
    """Return the organisation after *event*."""
    match event:
        case OrganisationCreated(name=name) | OrganisationRenamed(name=name):
            return replace(organisation, name=name)
        case OrganisationRoleSet(principal_id=principal_id, role=role):
            others = tuple(member for member in organisation.members if member[0] != principal_id)
            return replace(organisation, members=others if role is None else (*others, (principal_id, role)))
        case _:
            assert_never(event)


ORGANISATION: Decider[Organisation, OrganisationEvent] = Decider("organisation", Organisation(), evolve)
