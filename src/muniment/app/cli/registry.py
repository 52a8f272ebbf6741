"""Registries: what they accept, who is in them, and the versions linked into their collections."""

from __future__ import annotations

from typing import Any

import click

from muniment.app import catalog, clock, directory, link_artifact, registries
from muniment.app.catalog import Found
from muniment.app.cli import frame, people
from muniment.app.cli.frame import as_of_option, group, store
from muniment.app.cli.show import Many, One, Shown, Values, pairs
from muniment.app.cli.trying import acted_on, dry_run_option, tried
from muniment.app.store import Store
from muniment.app.subjects import address
from muniment.domain.registry import MemberKind, Visibility
from muniment.domain.rows import (
    AcceptedTypeRow,
    AliasRow,
    CollectionRow,
    LinkRow,
    OrganisationRow,
    ProtectedAliasRow,
    RegistryRow,
)
from muniment.domain.values import LATEST, REGISTRY_PREFIX, Role

TEAM = "team:"


@group(examples=("muniment registry ls", "muniment registry link mnist:v3 wandb-registry-dataset/mnist -a production"))
def registry() -> None:
    """Look at and change registries, link versions into them."""


@registry.command("ls", examples=("muniment registry ls", "muniment registry ls research --json"))
@click.argument("organization", required=False)
@as_of_option
def ls(organization: str | None, moment: str | None) -> Shown:
    """List the registries of an organization, or all."""
    opened = store()
    at = frame.seq_at(opened, moment)
    rows = [_registry(opened, row, at) for row in registries.listed(opened, organization, at)]
    return Many(rows, ("name", "organization", "types", "visibility", "collections"), "no registries")


@registry.command(
    "create", examples=("muniment registry create reports -t report", "muniment registry create drafts --restricted")
)
@click.argument("name")
@click.option("--type", "-t", "types", multiple=True, metavar="TYPE", help="An artifact type to accept; otherwise all.")
@click.option("--restricted", is_flag=True, help="Only its members see it.")
@click.option("--description", "-d", metavar="TEXT", help="What it is for.")
def create(name: str, types: tuple[str, ...], restricted: bool, description: str | None) -> Shown:
    """Make a registry; you become its admin.

    NAME is [organization/]name.
    """
    opened = store()
    owner, short = _split(opened, name)
    visibility = Visibility.RESTRICTED if restricted else Visibility.ORGANISATION
    row = registries.create(opened, owner, short, visibility=visibility, types=types or None, description=description)
    return One(_registry(opened, row), f"created registry {owner}/{REGISTRY_PREFIX}{short}")


@registry.command(
    "show", examples=("muniment registry show model", "muniment registry show model --as-of 2026-03-03T12:00Z")
)
@click.argument("name")
@as_of_option
def show(name: str, moment: str | None) -> Shown:
    """Show a registry, its collections and their aliases."""
    opened = store()
    at = frame.seq_at(opened, moment)
    row = find(opened, name, at)
    rows = opened.views.select(CollectionRow, at=at, registry_id=row.registry_id, order="name")
    values = {**_registry(opened, row, at), "collections": [_collection(opened, each, at) for each in rows]}
    shown = {key: value for key, value in values.items() if key != "collections"}
    lines = [
        f"{each['name']} ({each['type']}, {each['versions']} linked) {_aliases(each)}" for each in values["collections"]
    ]
    return One(values, "\n".join([pairs(shown), "", "collections", *(f"  {line}" for line in lines or ["none"])]))


@registry.command(
    "link",
    examples=(
        "muniment registry link mnist:v3 wandb-registry-dataset/mnist -a production",
        "muniment registry link digits/model:latest research/wandb-registry-model/digits",
    ),
)
@click.argument("source")
@click.argument("target")
@click.option("--alias", "-a", "aliases", multiple=True, help="An alias in the collection; repeat.")
def link(source: str, target: str, aliases: tuple[str, ...]) -> Shown:
    """Link a version into a collection, which is made if it is not there.

    SOURCE is [entity/][project/]name[:alias], TARGET [organization/]wandb-registry-<registry>/<collection>.
    """
    opened = store()
    found = link_artifact.link(opened, frame.find(opened, source), address(opened, target), aliases)
    return _linked(opened, found)


@registry.command("unlink", examples=("muniment registry unlink wandb-registry-dataset/mnist:v0",))
@click.argument("name")
@dry_run_option
def unlink(name: str, dry_run: bool) -> Shown:
    """Take a version out of a collection; the version itself stays.

    NAME is [organization/]wandb-registry-<registry>/<collection>[:alias].
    """
    opened = store()
    found = frame.find(opened, name)
    acted = acted_on(opened, dry_run=dry_run)
    link_artifact.unlink(acted, found)
    (label,) = catalog.link_names([found]) or (name,)
    return tried(acted) or One({"unlinked": label, "version_id": found.version.version_id}, f"unlinked {label}")


@registry.command(
    "delete",
    examples=(
        "muniment registry delete drafts --dry-run",
        "muniment registry delete wandb-registry-dataset/mnist",
    ),
)
@click.argument("name")
@dry_run_option
def delete(name: str, dry_run: bool) -> Shown:
    """Delete a custom registry with its collections, or one collection with its links; the versions stay.

    NAME is [organization/]name of a registry, or [organization/]wandb-registry-<registry>/<collection>.
    """
    opened = store()
    acted = acted_on(opened, dry_run=dry_run)
    owner, short = _collection_of(name)
    if short is None:
        registries.delete(acted, find(opened, name))
    else:
        registries.delete_collection(acted, _held(opened, owner, short))
    return tried(acted) or One({"deleted": name}, f"deleted {name}")


@registry.command(
    "types",
    examples=(
        "muniment registry types model",
        "muniment registry types model adapter",
        "muniment registry types reports --all",
    ),
)
@click.argument("name")
@click.argument("types", nargs=-1)
@click.option("--all", "all_types", is_flag=True, help="Accept every type from now on.")
@click.option("--narrow", is_flag=True, help="From accepting all types, accept these only.")
def types(name: str, types: tuple[str, ...], all_types: bool, narrow: bool) -> Shown:
    """Show the accepted artifact types, or accept more; accepted types only grow."""
    opened = store()
    row = find(opened, name)
    if all_types and types:
        msg = "name types, or use --all"
        raise click.UsageError(msg)
    if narrow and not types:
        msg = "name the types that --narrow leaves"
        raise click.UsageError(msg)
    if all_types:
        registries.accept_all_types(opened, row)
    elif types:
        registries.accept_types(opened, row, types, narrow=narrow)
    values = _registry(opened, find(opened, name))
    return One({"name": values["name"], "types": values["types"]}, ", ".join(values["types"] or ["all types"]))


@registry.command(
    "protect",
    examples=(
        "muniment registry protect model",
        "muniment registry protect model production staging",
        "muniment registry protect model --none",
    ),
)
@click.argument("name")
@click.argument("aliases", nargs=-1)
@click.option("--none", "nothing", is_flag=True, help="Protect no alias any more.")
def protect(name: str, aliases: tuple[str, ...], nothing: bool) -> Shown:
    """Show the protected aliases, or say which ones only admins may move from now on."""
    opened = store()
    row = find(opened, name)
    if nothing and aliases:
        msg = "name aliases, or use --none"
        raise click.UsageError(msg)
    if nothing or aliases:
        registries.protect(opened, row, aliases)
    values = _registry(opened, row)
    return One({"name": values["name"], "protected": values["protected"]}, ", ".join(values["protected"]) or "none")


@registry.command(
    "members",
    examples=(
        "muniment registry members model",
        "muniment registry members model ana admin",
        "muniment registry members model team:vision viewer",
        "muniment registry members model ana --remove",
    ),
)
@click.argument("name")
@click.argument("member", required=False)
@click.argument("role", required=False, type=people.ROLES)
@click.option("--remove", is_flag=True, help="Take the membership away.")
@dry_run_option
def members(name: str, member: str | None, role: str | None, remove: bool, dry_run: bool) -> Shown:
    """List who is in a registry, give a role to somebody or to team:NAME, or take the membership away."""
    opened = store()
    row = find(opened, name)
    if people.wants_change(member, role, remove):
        who = str(member)
        acted = acted_on(opened, dry_run=dry_run)
        if who.startswith(TEAM):
            id_: str = directory.team(opened.views, who.removeprefix(TEAM)).team_id
            kind = MemberKind.TEAM
        else:
            principal = directory.known_principal if remove else directory.principal
            id_, kind = principal(acted, who), MemberKind.PRINCIPAL
        registries.set_role(acted, row, id_, kind, Role(role) if role else None)
        return tried(acted) or people.changed_member(name, who, role)
    return people.members(opened, row.registry_id)


# --- finding and showing ---------------------------------------------------------------------------------------------


def find(opened: Store, name: str, at: int | None = None) -> RegistryRow:
    """Return a registry by ``[organization/][wandb-registry-]name``."""
    return directory.registry(opened.views, *_split(opened, name), at)


def _collection_of(name: str) -> tuple[str, str | None]:
    """Return the registry and the collection of a name; ``None`` for the latter if the registry itself is meant."""
    above, _, last = name.rpartition("/")
    inside = above.rpartition("/")[2].startswith(REGISTRY_PREFIX)
    return (above, last) if inside else (name, None)


def _held(opened: Store, registry_name: str, name: str) -> CollectionRow:
    return catalog.collection_named(opened.views, find(opened, registry_name), name)


def _split(opened: Store, name: str) -> tuple[str, str]:
    owner, slash, short = name.rpartition("/")
    return (owner if slash else opened.config.text("organisation")), short.removeprefix(REGISTRY_PREFIX)


def _registry(opened: Store, row: RegistryRow, at: int | None = None) -> dict[str, Any]:
    views = opened.views
    owner = views.find(OrganisationRow, at=at, organisation_id=row.organisation_id)
    accepted = views.select(AcceptedTypeRow, at=at, registry_id=row.registry_id, order="type")
    protected = views.select(ProtectedAliasRow, at=at, registry_id=row.registry_id, order="alias")
    (description,) = frame.texts(opened, row.description)
    return {
        "name": row.name,
        "organization": owner.name if owner else None,
        "types": None if row.all_types else [each.type for each in accepted],
        "visibility": row.visibility,
        "core": bool(row.core),
        "protected": [each.alias for each in protected],
        "collections": views.count(CollectionRow, at=at, registry_id=row.registry_id, order="name"),
        "description": description,
        "created_at": clock.to_text(row.created_at),
        "updated_at": clock.to_text(row.updated_at),
        "id": row.registry_id,
    }


def _collection(opened: Store, row: CollectionRow, at: int | None) -> dict[str, Any]:
    views, owner = opened.views, row.collection_id
    aliases = {}
    for each in views.select(AliasRow, at=at, owner_id=owner, order="alias"):
        there = views.find(LinkRow, at=at, collection_id=owner, version_id=each.version_id) if each.version_id else None
        if there is not None:
            aliases[str(each.alias)] = f"v{there.index}"
    newest = catalog.latest_link(views, row, at)
    if newest is not None:
        aliases[LATEST] = f"v{newest.index}"
    count = views.count(LinkRow, at=at, collection_id=owner, order="index")
    return {"name": row.name, "type": row.type, "versions": count, "aliases": aliases}


def _aliases(collection: Values) -> str:
    return ", ".join(f"{alias} → {version}" for alias, version in collection["aliases"].items())


def _linked(opened: Store, found: Found) -> One:
    (label,) = catalog.link_names([found])
    aliases = catalog.all_aliases(opened.views, found)
    source = f"{found.team.name}/{found.project.name}/{found.artifact.name}:v{found.version.index}"
    values = {"link": label, "source": source, "aliases": aliases, "version_id": found.version.version_id}
    return One(values, f"linked {source} as {label} ({', '.join(aliases)})")
