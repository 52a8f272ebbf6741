"""Organisations, teams, projects and those who act: making them, finding them, and what their roles allow."""

from __future__ import annotations

from attrs import frozen

from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id, transact
from muniment.domain import organisation as organisations
from muniment.domain import principal as principals
from muniment.domain import project as projects
from muniment.domain import registry as registries
from muniment.domain import team as teams
from muniment.domain.errors import NotFoundError, PermissionDeniedError
from muniment.domain.ports import Context, Ledger, SlotDraft, Vault, Views
from muniment.domain.registry import require_role
from muniment.domain.rows import MemberRow, OrganisationRow, PrincipalRow, ProjectRow, RegistryRow, TeamRow
from muniment.domain.values import (
    Micros,
    OrganisationId,
    PrincipalId,
    ProjectId,
    Role,
    TeamId,
    plain_name,
)

LOGIN = "login"


def enter(
    ledger: Ledger, vault: Vault, login: str, *, organisation: str, team: str, project: str, source: str = "sdk"
) -> Context:
    """Return who acts where; a new store gets its organisation, team, project and core registries, and its admin."""
    home = ledger.views.find(OrganisationRow, name=organisation) or _first(ledger.views)
    if home is None:
        plain_name(organisation, "Organization name")
        plain_name(team, "Team name")
        plain_name(project, "Project name")
    someone = _someone(ledger.views, vault, login)
    if someone.created is None and home is not None:
        return Context(home.organisation_id, someone.id, source)
    org = home.organisation_id if home else OrganisationId(new_id())

    def decide(steps: Steps) -> str:
        someone.make_known(steps)
        found = _first(steps.views)
        if found is None:
            _found(steps, org, someone.id, organisation, team, project)
        return found.organisation_id if found else org

    receipt = transact(ledger, Context(org, someone.id, source), Request("enter"), decide)
    return Context(OrganisationId(receipt.answer), someone.id, source)


def _first(views: Views) -> OrganisationRow | None:
    rows = views.select(OrganisationRow, order="name", limit=1)
    return rows[0] if rows else None


def _found(steps: Steps, org: OrganisationId, actor: PrincipalId, organisation: str, team: str, project: str) -> None:
    team_id, project_id = TeamId(new_id()), ProjectId(new_id())
    _organisation(steps, org, organisation, actor)
    steps.step(teams.TEAM, team_id, teams.create_team, teams.TeamCreated(org, team))
    steps.step(teams.TEAM, team_id, teams.set_team_role, actor, Role.ADMIN)
    steps.step(projects.PROJECT, project_id, projects.create_project, projects.ProjectCreated(team_id, project))


def _organisation(steps: Steps, org: OrganisationId, name: str, admin: PrincipalId) -> None:
    taken = steps.views.find(OrganisationRow, name=name)
    created = steps.step(
        organisations.ORGANISATION,
        org,
        organisations.create_organisation,
        name,
        taken.organisation_id if taken else None,
    )
    steps.step(organisations.ORGANISATION, org, organisations.set_organisation_role, admin, Role.ADMIN)
    if created:
        for core, types in registries.CORE.items():
            event = registries.RegistryCreated(
                org, core, core=True, visibility=registries.Visibility.ORGANISATION, types=types
            )
            steps.step(registries.REGISTRY, new_id(), registries.create_registry, event)


# --- making ----------------------------------------------------------------------------------------------------------


def create_organisation(store: Store, name: str) -> OrganisationRow:
    """Make an organisation with its core registries; who makes it is its admin."""
    plain_name(name, "Organization name")
    org = OrganisationId(new_id())
    store.transact(
        Request("create organisation", name, org),
        lambda steps: _organisation(steps, org, name, store.context.actor),
    )
    return organisation(store.views, name)


def create_team(store: Store, name: str, organisation_name: str | None = None) -> TeamRow:
    """Make a team in an organisation; who makes it is its admin."""
    plain_name(name, "Team name")
    home = organisation(store.views, organisation_name or store.config.text("organisation"))
    id_ = TeamId(new_id())

    def decide(steps: Steps) -> None:
        _require_organisation_role(steps.views, home, store.context.actor, Role.MEMBER, "create a team")
        taken = steps.views.find(TeamRow, name=name)
        created = teams.TeamCreated(home.organisation_id, name)
        steps.step(teams.TEAM, id_, teams.create_team, created, taken.team_id if taken else None)
        steps.step(teams.TEAM, id_, teams.set_team_role, store.context.actor, Role.ADMIN)

    store.transact(Request("create team", [name, home.organisation_id], id_), decide)
    return team(store.views, name)


def create_project(store: Store, team_name: str, name: str) -> ProjectRow:
    """Return the project of a team, made if it is not there yet."""
    owner = team(store.views, team_name)
    found = store.views.find(ProjectRow, team_id=owner.team_id, name=name)
    if found is not None:
        return found
    plain_name(name, "Project name")
    id_ = ProjectId(new_id())

    def decide(steps: Steps) -> None:
        require_team_role(steps.views, owner, store.context.actor, Role.MEMBER, "create a project")
        taken = steps.views.find(ProjectRow, team_id=owner.team_id, name=name)
        created = projects.ProjectCreated(owner.team_id, name)
        steps.step(projects.PROJECT, id_, projects.create_project, created, taken.project_id if taken else None)

    store.transact(Request("create project", [owner.team_id, name], id_), decide)
    return project(store.views, team_name, name)


def rename_team(store: Store, name: str, new: str) -> None:
    """Give a team another free name."""
    plain_name(new, "Team name")
    row = team(store.views, name)

    def decide(steps: Steps) -> None:
        require_team_role(steps.views, row, store.context.actor, Role.ADMIN, "rename the team")
        taken = steps.views.find(TeamRow, name=new)
        steps.step(teams.TEAM, row.team_id, teams.rename_team, new, taken.team_id if taken else None)

    store.transact(Request("rename team", new, row.team_id), decide)


def set_ttl_policy(store: Store, name: str, setters: teams.TtlSetters, default: Micros | None) -> None:
    """Say who in a team may set a TTL, and how long versions live that nobody said anything about."""
    row = team(store.views, name)

    def decide(steps: Steps) -> None:
        require_team_role(steps.views, row, store.context.actor, Role.ADMIN, "set the team's TTL policy")
        steps.step(teams.TEAM, row.team_id, teams.set_ttl_policy, setters, default)

    store.transact(Request("set ttl policy", [setters.value, default], row.team_id), decide)


# --- people ----------------------------------------------------------------------------------------------------------


def principal(store: Store, login: str) -> PrincipalId:
    """Return the id of a login name, made known if it is new."""
    someone = _someone(store.views, store.vault, login)
    if someone.created is not None:
        store.transact(Request("create principal", None, someone.id), someone.make_known)
    return someone.id


def known_principal(store: Store, login: str) -> PrincipalId:
    """Return the id of a login name that is known; NotFoundError if it is not."""
    plain_name(login, "Login name")
    known = store.vault.find(LOGIN, login)
    if known is None or store.views.find(PrincipalRow, principal_id=known) is None:
        msg = f"there is no user {login!r}"
        raise NotFoundError(msg)
    return PrincipalId(known)


@frozen
class _Someone:
    """A principal, and how to make it known if it is not yet."""

    id: PrincipalId
    created: principals.PrincipalCreated | None

    def make_known(self, steps: Steps) -> None:
        if self.created is not None:
            steps.step(principals.PRINCIPAL, self.id, principals.create_principal, self.created)


def _someone(views: Views, vault: Vault, login: str) -> _Someone:
    """Return the principal of a login name; a new one is remembered, and known once it was made known."""
    plain_name(login, "Login name")
    known = vault.find(LOGIN, login)
    if known is not None and views.find(PrincipalRow, principal_id=known):
        return _Someone(PrincipalId(known), None)
    id_ = PrincipalId(known or vault.remember(LOGIN, login, new_id()))
    kept = vault.put_many([SlotDraft(id_, LOGIN, login)])[0]
    return _Someone(id_, principals.PrincipalCreated(principals.PrincipalKind.HUMAN, kept))


def logins(store: Store, ids: set[PrincipalId]) -> dict[PrincipalId, str]:
    """Return the login names of principals, as far as they are known and not erased."""
    rows = [row for id_ in ids if (row := store.views.find(PrincipalRow, principal_id=id_))]
    values = store.vault.get_many({row.login for row in rows})
    return {row.principal_id: values[row.login] for row in rows if row.login in values}


def set_team_role(store: Store, name: str, login: str, role: Role | None) -> None:
    """Give somebody a role in a team, or take the membership away.

    NotFoundError if it is to be taken from a login that nobody has.
    """
    row, member = team(store.views, name), _member(store, login, role)

    def decide(steps: Steps) -> None:
        require_team_role(steps.views, row, store.context.actor, Role.ADMIN, "change who is in the team")
        member.make_known(steps)
        admins = steps.views.select(MemberRow, scope_id=row.organisation_id, order="member_id")
        is_watched = any(each.role == Role.ADMIN.value for each in admins)
        steps.step(teams.TEAM, row.team_id, teams.set_team_role, member.id, role, is_watched=is_watched)

    store.transact(Request("set team role", [member.id, role and role.value], row.team_id), decide)


def set_organisation_role(store: Store, name: str, login: str, role: Role | None) -> None:
    """Give somebody a role in an organisation, or take the membership away; the last admin stays one.

    NotFoundError if it is to be taken from a login that nobody has.
    """
    row, member = organisation(store.views, name), _member(store, login, role)

    def decide(steps: Steps) -> None:
        _require_organisation_role(
            steps.views, row, store.context.actor, Role.ADMIN, "change who is in the organization"
        )
        member.make_known(steps)
        steps.step(
            organisations.ORGANISATION, row.organisation_id, organisations.set_organisation_role, member.id, role
        )

    store.transact(Request("set organisation role", [member.id, role and role.value], row.organisation_id), decide)


def _member(store: Store, login: str, role: Role | None) -> _Someone:
    """Return whom a role is for; nobody becomes known by having none."""
    return _Someone(known_principal(store, login), None) if role is None else _someone(store.views, store.vault, login)


# --- finding and roles -----------------------------------------------------------------------------------------------


def organisation(views: Views, name: str, at: int | None = None) -> OrganisationRow:
    """Return an organisation by its name."""
    row = views.find(OrganisationRow, at=at, name=name)
    if row is None:
        msg = _absent("organization", name, "org", at)
        raise NotFoundError(msg)
    return row


def team(views: Views, name: str, at: int | None = None) -> TeamRow:
    """Return a team by its name."""
    row = views.find(TeamRow, at=at, name=name)
    if row is None:
        msg = _absent("team (entity)", name, "team", at)
        raise NotFoundError(msg)
    return row


def seen_by(store: Store, name: str) -> Store:
    """Return the store with the blobs of a team; with those of its own place if there is no such team yet."""
    row = store.views.find(TeamRow, name=name)
    return store if row is None else store.of_team(row.team_id)


def project(views: Views, team_name: str, name: str, at: int | None = None) -> ProjectRow:
    """Return a project of a team by its name."""
    owner = team(views, team_name, at)
    row = views.find(ProjectRow, at=at, team_id=owner.team_id, name=name)
    if row is None:
        msg = f"team {team_name} has no project {name!r}"
        way_out = "it is made when something is first logged in it"
        raise NotFoundError(f"{msg} — {way_out}" if at is None else f"{msg} at event {at}")
    return row


def registry(views: Views, organisation_name: str, name: str, at: int | None = None) -> RegistryRow:
    """Return a registry of an organisation by its short name."""
    owner = organisation(views, organisation_name, at)
    row = views.find(RegistryRow, at=at, organisation_id=owner.organisation_id, name=name)
    if row is None:
        msg = f"organization {organisation_name} has no registry {name!r}"
        way_out = f"registries are never made by linking: create it with `muniment registry create {name}`"
        raise NotFoundError(f"{msg} — {way_out}" if at is None else f"{msg} at event {at}")
    return row


def _absent(kind: str, name: str, command: str, at: int | None) -> str:
    if at is not None:
        return f"there was no {kind} {name!r} at event {at}"
    return f"there is no {kind} {name!r} — create it with `muniment {command} create {name}`"


def role_of(views: Views, scope: str, member: str) -> Role | None:
    """Return somebody's own role in an organisation, team or registry."""
    row = views.find(MemberRow, scope_id=scope, member_id=member)
    return Role(row.role) if row else None


def team_role(views: Views, row: TeamRow, actor: PrincipalId) -> Role | None:
    """Return what somebody is in a team; an admin of the organisation is one of its teams too."""
    if role_of(views, row.organisation_id, actor) is Role.ADMIN:
        return Role.ADMIN
    return role_of(views, row.team_id, actor)


def registry_role(views: Views, row: RegistryRow, actor: PrincipalId) -> Role | None:
    """Return what somebody is in a registry: the strongest of organisation, teams and the registry itself.

    In a registry of the whole organisation the members of its teams are what they are there, but no admins.
    """
    in_organisation = role_of(views, row.organisation_id, actor)
    if in_organisation is Role.ADMIN:
        return Role.ADMIN
    roles = [role_of(views, row.registry_id, actor)]
    memberships = views.select(MemberRow, order="scope_id", member_id=actor)
    roles += [role_of(views, row.registry_id, membership.scope_id) for membership in memberships]
    if row.visibility == registries.Visibility.ORGANISATION.value:
        roles.append(in_organisation)
        for each in memberships:
            there = views.find(TeamRow, team_id=each.scope_id)
            if there is not None and there.organisation_id == row.organisation_id:
                roles.append(min(Role(each.role), Role.MEMBER, key=list(Role).index))
    held = [role for role in roles if role is not None]
    return max(held, key=list(Role).index) if held else None


def require_team_role(views: Views, row: TeamRow, actor: PrincipalId, needed: Role, act: str) -> None:
    """Refuse an act for which the actor's role in the team is too weak."""
    role = team_role(views, row, actor)
    if role is None or not role.covers(needed):
        require_role(role, needed, f"{act} of team {row.name}" if role else act)


def require_registry_role(views: Views, row: RegistryRow, actor: PrincipalId, needed: Role, act: str) -> None:
    """Refuse an act for which the actor's role in the registry is too weak."""
    require_role(registry_role(views, row, actor), needed, act)


def require_reader(views: Views, row: RegistryRow, actor: PrincipalId) -> None:
    """Refuse to hand out what was reached through a registry in which the actor's role is too weak for it."""
    visibility = registries.Visibility(row.visibility)
    registries.require_reader(registry_role(views, row, actor), visibility, f"use what is in registry {row.name}")


def _require_organisation_role(views: Views, row: OrganisationRow, actor: PrincipalId, needed: Role, act: str) -> None:
    role = role_of(views, row.organisation_id, actor)
    if role is None or not role.covers(needed):
        article = "an" if needed is Role.ADMIN else "a"
        msg = f"only {article} {needed.value} of organization {row.name} may {act} — ask one of its admins"
        raise PermissionDeniedError(msg)
