"""A team (W&B: entity): owns projects, says who may set a TTL and where its blobs are kept."""

from __future__ import annotations

import enum
import re
from typing import ClassVar, Final, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import InvalidValueError, NameTakenError, NotFoundError, PermissionDeniedError
from muniment.domain.values import (
    Audit,
    Erased,
    Micros,
    OrganisationId,
    PrincipalId,
    Role,
    TeamId,
    Ttl,
    Words,
    holds_password,
    shown_uri,
)

NAMES_A_USER: Final = frozenset({"abfs", "abfss", "hdfs", "sftp", "smb", "ssh", "webhdfs"})
"""The schemes of places where what is before an ``@`` is no secret."""
SCHEME_ALONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!//)")
"""How a path begins that is more likely a URL with a slash too few, such as ``s3:/bucket``."""


class TtlSetters(enum.Enum):
    """Who may set a TTL."""

    ADMINS = "admins"
    MEMBERS = "members"


@frozen
class TeamCreated(Event):
    """A team began."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    organisation_id: OrganisationId
    name: Words[str]


@frozen
class TeamRenamed(Event):
    """The team has another name; the old one is free again."""

    name: Words[str]


@frozen
class TeamRoleSet(Event):
    """A principal now has this role in the team; ``None`` takes the membership away."""

    audit: ClassVar[Audit] = Audit.SECURITY
    principal_id: PrincipalId
    role: Role | None


@frozen
class TtlPolicySet(Event):
    """Who may set a TTL, and how long versions live that nobody said anything about (``None``: for ever)."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    setters: TtlSetters
    default: Micros | None


@frozen
class StorageSet(Event):
    """Where new blobs of the team go; ``None`` is the store's own place."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    store: Words[str] | None


@frozen
class StorageGathered(Event):
    """Everything that the team's versions need is in its current place; its earlier ones are looked into no more."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


TeamEvent: TypeAlias = TeamCreated | TeamRenamed | TeamRoleSet | TtlPolicySet | StorageSet | StorageGathered
Place: TypeAlias = str | Erased | None
"""Where blobs are kept; ``None`` is the store's own place."""


@frozen
class Team:
    """What decisions about a team need to know.

    *earlier* are the places before the current one in which versions may lie, the newest first; *left* are those in
    which none of them lies any more, though bytes that nothing needs may.
    """

    organisation_id: OrganisationId | None = None
    name: str | Erased | None = None
    members: tuple[tuple[PrincipalId, Role], ...] = ()
    setters: TtlSetters = TtlSetters.MEMBERS
    default: Micros | None = None
    store: Place = None
    earlier: tuple[Place, ...] = ()
    left: tuple[Place, ...] = ()


def create_team(team: Team, created: TeamCreated, taken: TeamId | None = None) -> list[TeamEvent]:
    """Begin a team under a free name."""
    if taken is not None:
        msg = f"there is a team {created.name}"
        raise NameTakenError(msg)
    return [] if team.organisation_id is not None else [created]


def rename_team(team: Team, name: str, taken: TeamId | None = None) -> list[TeamEvent]:
    """Give the team another free name."""
    _require(team)
    if name == team.name:
        return []
    if taken is not None:
        msg = f"there is a team {name}"
        raise NameTakenError(msg)
    return [TeamRenamed(name)]


def set_team_role(
    team: Team, principal_id: PrincipalId, role: Role | None, *, is_watched: bool = True
) -> list[TeamEvent]:
    """Give a member a role, or take the membership away.

    The last admin stays one unless the team *is_watched*: admins of the organisation are admins of its teams.
    """
    _require(team)
    held = dict(team.members).get(principal_id)
    if held is role:
        return []
    others = {member for member, other in team.members if other is Role.ADMIN} - {principal_id}
    if held is Role.ADMIN and not others and not is_watched:
        msg = "a team needs an admin, for its organisation has none — make somebody else its admin first"
        raise InvalidValueError(msg)
    return [TeamRoleSet(principal_id, role)]


def set_ttl_policy(team: Team, setters: TtlSetters, default: Micros | None) -> list[TeamEvent]:
    """Say who may set a TTL, and the default."""
    _require(team)
    if default is not None:
        Ttl.after(default)
    return [] if (setters, default) == (team.setters, team.default) else [TtlPolicySet(setters, default)]


def set_storage(team: Team, store: str | None) -> list[TeamEvent]:
    """Say where new blobs of the team go."""
    _require(team)
    return [] if store == team.store else [StorageSet(store)]


def gather_storage(team: Team, store: str | None) -> list[TeamEvent]:
    """Say that everything the team's versions need is in *store*, where new blobs go from now on too."""
    moved = set_storage(team, store)
    return [*moved, StorageGathered()] if moved or team.earlier else []


def storage_place(text: str) -> str:
    """Return the place that a text names in the form that is kept; InvalidValueError if it holds what is secret.

    A URL has no slash at its end; whatever has no ``://`` is the path of a folder.
    """
    shown = shown_uri(text)
    if not text.strip() or not text.isprintable():
        msg = f"{shown!r} names no place for blobs — write s3://bucket/prefix, another URL, or the path of a folder"
        raise InvalidValueError(msg)
    scheme, named, rest = text.partition("://")
    if not named:
        if SCHEME_ALONE.match(text):
            msg = f"{shown!r} is neither a URL nor plainly a path — write s3://bucket/prefix, or ./ before a folder"
            raise InvalidValueError(msg)
        return text
    named_user = "@" in rest.partition("/")[0] and scheme.lower() not in NAMES_A_USER
    if named_user or holds_password(text) or "?" in rest or "#" in rest:
        msg = (
            "the URL of a place may hold no user, password, query or fragment, because it is kept in the ledger — "
            "give credentials by the variables and files of the storage's own SDK"
        )
        raise InvalidValueError(msg)
    return f"{scheme.lower()}://{rest.rstrip('/') or rest}"


def require_ttl_setter(setters: TtlSetters, role: Role | None) -> None:
    """Refuse to let somebody set a TTL whom the team's policy does not allow it."""
    needed = Role.ADMIN if setters is TtlSetters.ADMINS else Role.MEMBER
    if role is None or not role.covers(needed):
        msg = f"the team lets only {setters.value} set a TTL — ask one of its admins"
        raise PermissionDeniedError(msg)


def _require(team: Team) -> None:
    if team.organisation_id is None:
        msg = "there is no such team"
        raise NotFoundError(msg)


def _without(places: tuple[Place, ...], *without: Place) -> tuple[Place, ...]:
    return tuple(place for place in places if place not in without)


def evolve(team: Team, event: TeamEvent) -> Team:
    """Return the team after *event*."""
    match event:
        case TeamCreated(organisation_id=organisation_id, name=name):
            return Team(organisation_id, name)
        case TeamRenamed(name=name):
            return replace(team, name=name)
        case TeamRoleSet(principal_id=principal_id, role=role):
            others = tuple(member for member in team.members if member[0] != principal_id)
            return replace(team, members=others if role is None else (*others, (principal_id, role)))
        case TtlPolicySet(setters=setters, default=default):
            return replace(team, setters=setters, default=default)
        case StorageSet(store=store):
            kept = _without(tuple(dict.fromkeys((team.store, *team.earlier))), store)
            return replace(team, store=store, earlier=kept, left=_without(team.left, store, *kept))
        case StorageGathered():
            left = dict.fromkeys((*team.earlier, *team.left))
            return replace(team, earlier=(), left=_without(tuple(left), team.store))
        case _:
            assert_never(event)


TEAM: Decider[Team, TeamEvent] = Decider("team", Team(), evolve)
