"""What may be changed about a version after it was logged: aliases, how long it lives, whether it is there."""

from __future__ import annotations

import click

from muniment.app import catalog, clock, durations, lifecycle, link_artifact, retention
from muniment.app.catalog import Found
from muniment.app.cli import describe, frame
from muniment.app.cli.frame import command, store
from muniment.app.cli.show import One, Shown
from muniment.app.cli.trying import acted_on, dry_run_option, tried
from muniment.app.lifecycle import Edits
from muniment.app.store import Store
from muniment.app.subjects import address, subject
from muniment.domain.errors import InvalidValueError, NotFoundError, VersionHeldError
from muniment.domain.rows import ArtifactRow, TeamRow
from muniment.domain.values import Ttl, TtlRule, VersionId

NOWHERE = "none"


@command(
    examples=(
        "muniment artifact alias mnist:v3 best",
        "muniment artifact alias mnist:v3 best --expect v2",
        "muniment artifact alias wandb-registry-model/digits:v1 production",
        "muniment artifact alias mnist:v3 best --remove",
        "muniment artifact alias mnist:v3",
    )
)
@click.argument("name")
@click.argument("aliases", nargs=-1)
@click.option("--remove", is_flag=True, help="Take the aliases away from this version.")
@click.option("--expect", metavar="vN|none", help="Only if the aliases point at this version, or nowhere, now.")
@dry_run_option
def alias(name: str, aliases: tuple[str, ...], remove: bool, expect: str | None, dry_run: bool) -> Shown:
    """Show the aliases of a version, move aliases to it, or take them away.

    A NAME in a registry changes the aliases of the collection, others those of the artifact.
    """
    opened = store()
    found = frame.find(opened, name)
    added, removed = ((), aliases) if remove else (aliases, ())
    if (remove or expect is not None) and not aliases:
        msg = "name the aliases"
        raise click.UsageError(msg)
    if remove and expect is not None:
        msg = "--expect is for moving aliases: removing only ever touches those of this version"
        raise click.UsageError(msg)
    acted = acted_on(opened, dry_run=dry_run)
    if aliases:
        expected = None if expect is None else _expected(opened, name, expect, added)
        changes = Edits(add_aliases=added, remove_aliases=removed, expected=expected)
        if found.link is not None:
            link_artifact.edit(acted, found, changes)
        else:
            lifecycle.edit(acted, found, changes)
    if would := tried(acted):
        return would
    now = catalog.all_aliases(opened.views, found)
    label = describe.display_name(found)
    return One({"name": label, "aliases": now}, f"{label}: {', '.join(now) or 'no aliases'}")


@command(
    examples=(
        "muniment artifact ttl mnist:v3 30d",
        "muniment artifact ttl mnist:v3 never",
        "muniment artifact ttl mnist inherit --artifact",
        "muniment artifact ttl mnist:v3",
    )
)
@click.argument("name")
@click.argument("time", required=False, metavar="[TIME|never|inherit]")
@click.option("--artifact", "whole", is_flag=True, help="For all versions of the artifact that say nothing themselves.")
@dry_run_option
def ttl(name: str, time: str | None, whole: bool, dry_run: bool) -> Shown:
    """Show or set how long a version lives, counted from its creation: 30d, 12h, never, or inherit.

    A version that is linked in a registry does not expire while it is; a hold or a policy may keep it longer, or let
    it go earlier. When it expires in fact, and why, is said too.
    """
    opened = store()
    acted = acted_on(opened, dry_run=dry_run)
    chosen = None if time is None else durations.ttl_from_text(time)
    if whole:
        row, team = _artifact(opened, name)
        if chosen is not None:
            lifecycle.set_artifact_ttl(acted, row, team, chosen)
            if would := tried(acted):
                return would
            row, _ = _artifact(opened, name)
        said = durations.ttl_to_text(Ttl(TtlRule(row.ttl_rule), row.ttl_micros))
        return One({"name": row.name, "ttl": said}, f"{row.name}: {said}")
    found = _own(frame.find(opened, name), "set its TTL")
    if chosen is not None:
        lifecycle.edit(acted, found, Edits(ttl=chosen))
        if would := tried(acted):
            return would
        found = catalog.origin(opened.views, found.version.version_id)
    values = _lives(opened, found)
    text = f"{values['name']}: {values['ttl']}, expires {values['expires_at'] or 'never'}"
    return One(values, text + f" ({values['because']})" if values["because"] else text)


@command(
    examples=(
        "muniment artifact delete mnist:v0",
        "muniment artifact delete mnist:best --delete-aliases --reason 'wrong labels'",
        "muniment artifact delete scratch --artifact",
    )
)
@click.argument("name")
@click.option("--delete-aliases", is_flag=True, help="Let its aliases go too; otherwise they hold it.")
@click.option("--artifact", "whole", is_flag=True, help="The artifact with all its versions.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@dry_run_option
def delete(name: str, delete_aliases: bool, whole: bool, reason: str | None, dry_run: bool) -> Shown:
    """Mark a version deleted; it can be restored until its bytes are collected.

    NAME says which version: name:v3 or name:alias.
    """
    opened = store()
    acted = acted_on(opened, dry_run=dry_run)
    if whole:
        row, team = _artifact(opened, name)
        lifecycle.delete_artifact(acted, row, team, reason=reason)
        return tried(acted) or One(
            {"deleted": row.name, "artifact_id": row.artifact_id}, f"deleted artifact {row.name}"
        )
    if ":" not in name:
        msg = f"say which version of {name}, for example {name}:v0, or use --artifact for all of it"
        raise click.UsageError(msg)
    found = _own(frame.find(opened, name), "delete it, or take it out of the registry with `muniment registry unlink`")
    lifecycle.delete(acted, found, delete_aliases=delete_aliases, reason=reason)
    if would := tried(acted):
        return would
    row_ = catalog.origin(opened.views, found.version.version_id).version
    until = lifecycle.purge_after(opened, row_)
    label = describe.source_name(found)
    values = {
        "deleted": label,
        "version_id": row_.version_id,
        "restorable_until": clock.told(until),
    }
    return One(
        values, f"deleted {label}; `muniment artifact restore` brings it back until {values['restorable_until']}"
    )


@command(examples=("muniment artifact restore mnist:v0",))
@click.argument("name")
def restore(name: str) -> Shown:
    """Take the deletion of a version back.

    NAME is name:vN, or the version's id.
    """
    opened = store()
    meant = subject(opened, name)
    if meant.kind not in {"version", "id"}:
        msg = f"{name!r} is no version — write name:vN"
        raise NotFoundError(msg)
    found = catalog.origin(opened.views, VersionId(meant.id))
    lifecycle.restore(opened, found)
    label = describe.source_name(found)
    return One({"restored": label, "version_id": found.version.version_id}, f"restored {label}")


def _expected(opened: Store, name: str, expect: str, aliases: tuple[str, ...]) -> dict[str, VersionId | None]:
    """Return where aliases must point now: at what ``vN`` means beside *name*, or nowhere."""
    known = None
    if expect != NOWHERE:
        known = frame.find(opened, f"{name.partition(':')[0]}:{expect}").version.version_id
    return dict.fromkeys(aliases, known)


def _own(found: Found, act: str) -> Found:
    """Refuse what is not for a link to change."""
    if found.link is not None:
        msg = f"this is a link to {describe.source_name(found)} — name that version to {act}"
        raise VersionHeldError(msg)
    return found


def _artifact(opened: Store, name: str) -> tuple[ArtifactRow, TeamRow]:
    where = address(opened, name)
    if where.registry is not None or ":" in name:
        msg = f"{name!r} is no artifact — leave out the alias, and name it in its project"
        raise InvalidValueError(msg)
    project = frame.project_of(opened, f"{where.owner}/{where.project}")
    team = opened.views.find(TeamRow, team_id=project.team_id)
    if team is None:
        msg = f"team {where.owner} is not here any more"
        raise NotFoundError(msg)
    return catalog.artifact_named(opened.views, project, where.name), team


def _lives(opened: Store, found: Found) -> dict[str, object]:
    row = found.version
    decision = retention.explain(opened, row)
    expires, unsaid = decision.removed_at, decision.because[0].rule == "P7"
    return {
        "name": describe.source_name(found),
        "ttl": durations.ttl_to_text(Ttl(TtlRule(row.ttl_rule), row.ttl_micros)),
        "in_force": durations.ttl_to_text(lifecycle.ttl_in_force(opened, found)),
        "expires_at": clock.told(expires),
        "because": None if unsaid else decision.why,
        "linked": bool(catalog.links_of(opened.views, row.version_id)),
    }
