"""Who is in a registry: users and teams, each with a role."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from muniment.app import directory, registries
from muniment.app.sdk.people import Member, Team, User, role_named, users
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.registry import MemberKind
from muniment.domain.rows import MemberRow, RegistryRow, TeamRow
from muniment.domain.values import PrincipalId


@frozen
class UserMember:
    """A user in a registry."""

    user: User
    role: str
    kind: MemberKind = MemberKind.PRINCIPAL

    @property
    def name(self) -> str:
        """The login name."""
        return self.user.username


@frozen
class TeamMember:
    """A team in a registry; the role is that of everybody in the team."""

    team: Team
    role: str
    kind: MemberKind = MemberKind.TEAM

    @property
    def name(self) -> str:
        """The name of the team."""
        return self.team.name


Someone: TypeAlias = User | Team | Member | UserMember | TeamMember | str
"""Who can be meant: an object, a login name, or the name of a team."""


def of(store: Store, registry: RegistryRow, at: int | None) -> list[UserMember | TeamMember]:
    """Return the members of a registry, users first."""
    rows = store.views.select(MemberRow, at=at, scope_id=registry.registry_id, order="member_id")
    people = [row for row in rows if row.member_kind == MemberKind.PRINCIPAL.value]
    known = users(store, {PrincipalId(row.member_id) for row in people})
    found: list[UserMember | TeamMember] = [UserMember(known[PrincipalId(row.member_id)], row.role) for row in people]
    for row in rows:
        team = store.views.find(TeamRow, at=at, team_id=row.member_id)
        if row.member_kind == MemberKind.TEAM.value and team is not None:
            found.append(TeamMember(Team(store, team, at), row.role))
    return sorted(found, key=lambda member: (member.kind is MemberKind.TEAM, member.name))


def add(store: Store, registry: RegistryRow, someone: Someone, role: str) -> None:
    """Let somebody in who is not in yet."""
    id_, kind = _meant(store, registry, someone, adding=True)
    if store.views.find(MemberRow, scope_id=registry.registry_id, member_id=id_) is None:
        registries.set_role(store, registry, id_, kind, role_named(role))


def set_role(store: Store, registry: RegistryRow, someone: Someone, role: str | None) -> None:
    """Give somebody a role in a registry, or take the membership away."""
    id_, kind = _meant(store, registry, someone, adding=role is not None)
    registries.set_role(store, registry, id_, kind, None if role is None else role_named(role))


def _meant(store: Store, registry: RegistryRow, someone: Someone, *, adding: bool) -> tuple[str, MemberKind]:
    """Return whom is meant; of a team and a user of one name, whoever is a member, and nobody when adding."""
    match someone:
        case Team():
            return someone.id, MemberKind.TEAM
        case TeamMember():
            return someone.team.id, MemberKind.TEAM
        case User():
            return someone.id, MemberKind.PRINCIPAL
        case Member() | UserMember():
            return someone.user.id, MemberKind.PRINCIPAL
        case str():
            return _named(store, registry, someone, adding=adding)
        case _:
            msg = f"a member is a user, a team or the name of one, not {type(someone).__name__}"
            raise InvalidValueError(msg)


def _named(store: Store, registry: RegistryRow, name: str, *, adding: bool) -> tuple[str, MemberKind]:
    team = store.views.find(TeamRow, name=name)
    login = store.vault.find(directory.LOGIN, name)
    if team is not None and (login is None or not adding):
        there = store.views.find(MemberRow, scope_id=registry.registry_id, member_id=team.team_id)
        if adding or login is None or there is not None:
            return team.team_id, MemberKind.TEAM
    if team is not None and adding:
        msg = f"{name!r} is both a user and a team — pass api.user({name!r}) or api.team({name!r})"
        raise InvalidValueError(msg)
    if login is None and not adding:
        msg = f"there is no user or team {name!r}"
        raise NotFoundError(msg)
    principal = directory.principal if adding else directory.known_principal
    return principal(store, name), MemberKind.PRINCIPAL
