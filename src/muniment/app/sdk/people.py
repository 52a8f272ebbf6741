"""Who there is: users, teams and organizations, and what they may do."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from attrs import frozen

from muniment.app import directory
from muniment.app.clock import MICRO
from muniment.app.sdk.errors import UsageError, as_comm_error
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError
from muniment.domain.rows import MemberRow, OrganisationRow, TeamRow
from muniment.domain.team import TtlSetters
from muniment.domain.values import ERASED_TEXT, PrincipalId, Role


@frozen
class User:
    """Somebody who acts here, by login name."""

    id: str
    username: str

    @property
    def name(self) -> str:
        """The login name."""
        return self.username

    @property
    def entity(self) -> str:
        """The login name; users have no projects of their own here."""
        return self.username


@frozen
class Member:
    """A user of a team or organization, and the role: ``admin``, ``member``, ``viewer`` or ``restricted_viewer``."""

    user: User
    role: str

    @property
    def id(self) -> str:
        """The id of the user."""
        return self.user.id

    @property
    def name(self) -> str:
        """The login name."""
        return self.user.username

    @property
    def username(self) -> str:
        """The login name."""
        return self.user.username


def role_named(role: str) -> Role:
    """Return the role of this name."""
    try:
        return Role(role)
    except ValueError as error:
        msg = f"there is no role {role!r} — use one of {', '.join(each.value for each in Role)}"
        raise InvalidValueError(msg) from error


def current(at: int | None, what: str) -> None:
    """Refuse a change of something as it was at another time."""
    if at is not None:
        msg = f"{what}: this is how it was at event {at}, which cannot be changed — use an Api without as_of"
        raise UsageError(msg)


def users(store: Store, ids: set[PrincipalId]) -> dict[PrincipalId, User]:
    """Return users by their ids; an erased one has no name."""
    logins = directory.logins(store, ids)
    return {id_: User(id_, logins.get(id_, ERASED_TEXT)) for id_ in ids}


def members(store: Store, scope: str, at: int | None) -> list[Member]:
    """Return the users of a team or organization, by their names."""
    rows = store.views.select(MemberRow, at=at, scope_id=scope, order="member_id")
    known = users(store, {PrincipalId(row.member_id) for row in rows})
    found = [Member(known[PrincipalId(row.member_id)], row.role) for row in rows]
    return sorted(found, key=lambda member: member.username)


class Team:
    """A team (W&B: entity), which owns projects."""

    def __init__(self, store: Store, row: TeamRow, at: int | None = None) -> None:
        self._store, self._row, self._at = store, row, at

    def __repr__(self) -> str:
        return f"<Team {self.name}>"

    @property
    def id(self) -> str:
        """The id of the team."""
        return self._row.team_id

    @property
    def name(self) -> str:
        """The name of the team."""
        return self._row.name or ERASED_TEXT

    @property
    def organization(self) -> str:
        """The name of the organization that the team belongs to."""
        row = self._store.views.find(OrganisationRow, at=self._at, organisation_id=self._row.organisation_id)
        return row.name or ERASED_TEXT if row else ERASED_TEXT

    @property
    def members(self) -> list[Member]:
        """Who is in the team, and in which role."""
        return members(self._store, self._row.team_id, self._at)

    @property
    def ttl_setters(self) -> str:
        """Who may set a TTL: ``members`` or ``admins``."""
        return self._row.ttl_setters

    @property
    def default_ttl(self) -> timedelta | None:
        """How long versions are kept that nobody said anything about; ``None`` for ever."""
        return None if self._row.ttl_micros is None else self._row.ttl_micros * MICRO

    def add_member(self, login: str, role: str = "member") -> Team:
        """Give somebody a role in the team, also one who is in it already."""
        current(self._at, "Team.add_member")
        with as_comm_error():
            directory.set_team_role(self._store, self.name, login, role_named(role))
        return self

    def remove_member(self, login: str) -> Team:
        """Take somebody out of the team."""
        current(self._at, "Team.remove_member")
        with as_comm_error():
            directory.set_team_role(self._store, self.name, login, None)
        return self

    def set_ttl_policy(
        self, setters: Literal["members", "admins"] = "members", default: timedelta | None = None
    ) -> Team:
        """Say who may set a TTL, and how long versions are kept that say nothing themselves (``None``: for ever)."""
        current(self._at, "Team.set_ttl_policy")
        if setters not in {each.value for each in TtlSetters}:
            msg = f"setters must be 'members' or 'admins', not {setters!r}"
            raise InvalidValueError(msg)
        if default is not None and not (isinstance(default, timedelta) and default > timedelta(0)):
            msg = f"the default TTL is a positive timedelta, or None for ever, not {default!r}"
            raise InvalidValueError(msg)
        with as_comm_error():
            micros = None if default is None else default // MICRO
            directory.set_ttl_policy(self._store, self.name, TtlSetters(setters), micros)
        return self._reload()

    def rename(self, name: str) -> Team:
        """Give the team another free name."""
        current(self._at, "Team.rename")
        with as_comm_error():
            directory.rename_team(self._store, self.name, name)
        return self._reload()

    def _reload(self) -> Team:
        self._row = self._store.views.find(TeamRow, team_id=self._row.team_id) or self._row
        return self


class Organization:
    """An organization, which has teams and registries."""

    def __init__(self, store: Store, row: OrganisationRow, at: int | None = None) -> None:
        self._store, self._row, self._at = store, row, at

    def __repr__(self) -> str:
        return f"<Organization {self.name}>"

    @property
    def id(self) -> str:
        """The id of the organization."""
        return self._row.organisation_id

    @property
    def name(self) -> str:
        """The name of the organization."""
        return self._row.name or ERASED_TEXT

    @property
    def members(self) -> list[Member]:
        """Who is in the organization, and in which role."""
        return members(self._store, self._row.organisation_id, self._at)

    @property
    def teams(self) -> list[Team]:
        """The teams, by their names."""
        rows = self._store.views.select(TeamRow, at=self._at, organisation_id=self._row.organisation_id, order="name")
        return [Team(self._store, row, self._at) for row in rows]

    def add_member(self, login: str, role: str = "member") -> Organization:
        """Give somebody a role in the organization, also one who is in it already."""
        current(self._at, "Organization.add_member")
        with as_comm_error():
            directory.set_organisation_role(self._store, self.name, login, role_named(role))
        return self

    def remove_member(self, login: str) -> Organization:
        """Take somebody out of the organization."""
        current(self._at, "Organization.remove_member")
        with as_comm_error():
            directory.set_organisation_role(self._store, self.name, login, None)
        return self
