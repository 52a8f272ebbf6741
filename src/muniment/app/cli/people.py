"""Organizations and teams: who is in them, what they may do, how long their versions live."""

from __future__ import annotations

from typing import Any

import click

from muniment.app import directory, durations
from muniment.app.cli.frame import group, store
from muniment.app.cli.show import Many, One, Shown, Values
from muniment.app.cli.trying import acted_on, dry_run_option, tried
from muniment.app.store import Store
from muniment.domain.rows import MemberRow, OrganisationRow, TeamRow
from muniment.domain.team import TtlSetters
from muniment.domain.values import ERASED_TEXT, Micros, PrincipalId, Role, TeamId, TtlRule

ROLES = click.Choice([role.value for role in Role])


# --- organizations ---------------------------------------------------------------------------------------------------


@group(examples=("muniment org ls", "muniment org create research"))
def org() -> None:
    """Make organizations and say who is in them."""


@org.command("ls", examples=("muniment org ls", "muniment org ls --json"))
def org_ls() -> Shown:
    """List the organizations."""
    opened = store()
    rows = opened.views.select(OrganisationRow, order="name")
    return Many([_organisation(opened, row) for row in rows], ("name", "members", "teams"), "no organizations")


@org.command("create", examples=("muniment org create research",))
@click.argument("name")
def org_create(name: str) -> Shown:
    """Make an organization with its core registries; you become its admin."""
    opened = store()
    row = directory.create_organisation(opened, name)
    return One(_organisation(opened, row), f"created organization {name}")


@org.command(
    "member",
    examples=(
        "muniment org member research",
        "muniment org member research ana admin",
        "muniment org member research ana --remove",
    ),
)
@click.argument("name")
@click.argument("login", required=False)
@click.argument("role", required=False, type=ROLES)
@click.option("--remove", is_flag=True, help="Take the membership away.")
@dry_run_option
def org_member(name: str, login: str | None, role: str | None, remove: bool, dry_run: bool) -> Shown:
    """List who is in an organization, give somebody a role, or take the membership away."""
    opened = store()
    if wants_change(login, role, remove):
        acted = acted_on(opened, dry_run=dry_run)
        directory.set_organisation_role(acted, name, str(login), Role(role) if role else None)
        return tried(acted) or changed_member(name, str(login), role)
    return members(opened, directory.organisation(opened.views, name).organisation_id)


# --- teams -----------------------------------------------------------------------------------------------------------


@group(examples=("muniment team ls", "muniment team create vision"))
def team() -> None:
    """Make teams, say who is in them and how long versions live."""


@team.command("ls", examples=("muniment team ls", "muniment team ls research --json"))
@click.argument("organization", required=False)
def team_ls(organization: str | None) -> Shown:
    """List the teams of an organization, or all."""
    opened = store()
    if organization is None:
        rows = opened.views.select(TeamRow, order="name")
    else:
        owner = directory.organisation(opened.views, organization)
        rows = opened.views.select(TeamRow, organisation_id=owner.organisation_id, order="name")
    columns = ("name", "organization", "members", "ttl_setters", "ttl_default")
    return Many([_team(opened, row) for row in rows], columns, "no teams")


@team.command("create", examples=("muniment team create vision", "muniment team create vision --org research"))
@click.argument("name")
@click.option("--org", "organization", metavar="NAME", help="The organization it is in; otherwise the configured one.")
def team_create(name: str, organization: str | None) -> Shown:
    """Make a team; you become its admin."""
    opened = store()
    row = directory.create_team(opened, name, organization)
    return One(_team(opened, row), f"created team {name}")


@team.command("show", examples=("muniment team show local",))
@click.argument("name")
def team_show(name: str) -> Shown:
    """Show a team, its policy and how many are in it."""
    opened = store()
    return One(_team(opened, directory.team(opened.views, name)))


@team.command(
    "member",
    examples=(
        "muniment team member local",
        "muniment team member local ana member",
        "muniment team member local ana --remove",
    ),
)
@click.argument("name")
@click.argument("login", required=False)
@click.argument("role", required=False, type=ROLES)
@click.option("--remove", is_flag=True, help="Take the membership away.")
@dry_run_option
def team_member(name: str, login: str | None, role: str | None, remove: bool, dry_run: bool) -> Shown:
    """List who is in a team, give somebody a role, or take the membership away."""
    opened = store()
    if wants_change(login, role, remove):
        acted = acted_on(opened, dry_run=dry_run)
        directory.set_team_role(acted, name, str(login), Role(role) if role else None)
        return tried(acted) or changed_member(name, str(login), role)
    return members(opened, directory.team(opened.views, name).team_id)


@team.command("ttl", examples=("muniment team ttl local", "muniment team ttl local --setters admins --default 90d"))
@click.argument("name")
@click.option("--setters", type=click.Choice([each.value for each in TtlSetters]), help="Who may set a TTL.")
@click.option(
    "--default", metavar="TIME|never", help="How long versions live that nobody said anything about: 90d, 12h."
)
@dry_run_option
def team_ttl(name: str, setters: str | None, default: str | None, dry_run: bool) -> Shown:
    """Show or set who may set a TTL, and how long versions live by default."""
    opened = store()
    row = directory.team(opened.views, name)
    if setters is not None or default is not None:
        chosen = TtlSetters(setters or row.ttl_setters)
        micros = row.ttl_micros if default is None else _default(default)
        acted = acted_on(opened, dry_run=dry_run)
        directory.set_ttl_policy(acted, name, chosen, micros)
        if would := tried(acted):
            return would
        row = directory.team(opened.views, name)
    values = _team(opened, row)
    return One({key: values[key] for key in ("name", "ttl_setters", "ttl_default")})


# --- what both share -------------------------------------------------------------------------------------------------


def wants_change(login: str | None, role: str | None, remove: bool) -> bool:
    """Whether a role is to be set; what does not fit together is wrong usage."""
    if login is None:
        if remove:
            msg = "say whose membership to take away"
            raise click.UsageError(msg)
        return False
    if remove == (role is not None):
        msg = f"give {login} a role ({', '.join(each.value for each in Role)}), or use --remove"
        raise click.UsageError(msg)
    return True


def changed_member(name: str, login: str, role: str | None) -> One:
    """Return what became of a membership."""
    text = f"{login} is {role} of {name}" if role else f"{login} is in {name} no more"
    return One({"name": name, "member": login, "role": role}, text)


def members(opened: Store, scope: str) -> Many:
    """Return the members of an organization, team or registry."""
    rows = opened.views.select(MemberRow, scope_id=scope, order="member_id")
    logins: dict[Any, str] = {**directory.logins(opened, {PrincipalId(row.member_id) for row in rows})}
    for row in rows:
        found = opened.views.find(TeamRow, team_id=TeamId(row.member_id)) if row.member_kind == "team" else None
        if found is not None:
            logins[row.member_id] = str(found.name)
    listed = [
        {"member": logins.get(row.member_id, ERASED_TEXT), "kind": row.member_kind, "role": row.role} for row in rows
    ]
    return Many(sorted(listed, key=lambda each: each["member"]), ("member", "kind", "role"), "nobody")


def _default(text: str) -> Micros | None:
    return None if text == TtlRule.NEVER.value else durations.lasting(text, "90d, or never")


def _organisation(opened: Store, row: OrganisationRow) -> Values:
    return {
        "name": row.name,
        "members": opened.views.count(MemberRow, scope_id=row.organisation_id, order="member_id"),
        "teams": opened.views.count(TeamRow, organisation_id=row.organisation_id, order="name"),
        "id": row.organisation_id,
    }


def _team(opened: Store, row: TeamRow) -> Values:
    owner = opened.views.find(OrganisationRow, organisation_id=row.organisation_id)
    return {
        "name": row.name,
        "organization": owner.name if owner else None,
        "members": opened.views.count(MemberRow, scope_id=row.team_id, order="member_id"),
        "ttl_setters": row.ttl_setters,
        "ttl_default": durations.to_text(row.ttl_micros),
        "storage": row.store,
        "id": row.team_id,
    }
