"""Where blobs are kept: for each team, in the store's own place or in one that the team brought along."""

from __future__ import annotations

import click

from muniment.app import storage as keeping
from muniment.app.cli.frame import group, show_now, store, watched
from muniment.app.cli.show import Many, One, Shown, Values, counted, human_size, printable
from muniment.app.places import OWN_NAME
from muniment.app.storage import PlaceUse
from muniment.app.storage_migration import Carried, Planned, migrate, migrate_own, plan


@group(examples=("muniment storage show", "muniment storage set vision s3://vision-bucket/muniment"))
def storage() -> None:
    """Say and show where the blobs of teams are kept, and carry them to another place."""


@storage.command("show", examples=("muniment storage show", "muniment storage show vision --json"))
@click.argument("team", required=False)
def show(team: str | None) -> Shown:
    """Show the places of a team, or of all, and what of its versions lies in each.

    New blobs go to the current place; what is in an earlier one is read from there; from one that was left nothing is
    read, and `muniment gc` empties it. Every place is listed.
    """
    rows = [_use(use) for use in keeping.shown(store(), team)]
    return Many(rows, ("team", "place", "state", "versions", "blobs", "bytes"), "no teams")


@storage.command(
    "set", examples=("muniment storage set vision s3://vision-bucket/muniment", "muniment storage set vision --default")
)
@click.argument("team")
@click.argument("url", required=False)
@click.option("--default", is_flag=True, help="The store's own place again.")
def set_(team: str, url: str | None, default: bool) -> Shown:
    """Let new blobs of a team go to URL: s3://bucket/prefix, what else fsspec reaches, or a folder.

    A blob is put there, read back and deleted before. What is in the team's earlier places stays there and is read
    from there; `muniment storage migrate` brings it along. Only an admin of the team or organization may.
    """
    place = keeping.set_place(store(), team, _url(url, default))
    return One({"team": team, "place": place}, f"new blobs of {team} go to {_named(place)}")


@storage.command(
    "migrate",
    examples=(
        "muniment storage migrate vision s3://vision-bucket/muniment",
        "muniment storage migrate vision s3://vision-bucket/muniment --delete-source",
        "muniment storage migrate vision --default --dry-run",
        "muniment storage migrate --all s3://new-bucket/muniment",
    ),
)
@click.argument("names", metavar="[TEAM] [URL]", nargs=-1)
@click.option("--default", is_flag=True, help="To the store's own place.")
@click.option("--all", "all_", is_flag=True, help="What lies in the store's own place, whoever's it is.")
@click.option("--delete-source", is_flag=True, help="Then delete what nothing needs any more from the earlier places.")
@click.option("--dry-run", is_flag=True, help="Count what would be carried, and change nothing.")
@click.pass_context
def migrate_(
    context: click.Context, names: tuple[str, ...], default: bool, all_: bool, delete_source: bool, dry_run: bool
) -> Shown | None:
    """Carry all blobs of a team's versions to URL, read every one back, and let new ones go there.

    Others may log and read meanwhile. When it is ended too early, do it again: it goes on where it was. With --all
    nobody may log, because the place changes with MUNIMENT_BLOBS, which is to be set when it is done.
    """
    team, url = _team_and_url(names, all_, default)
    opened = store()
    if all_ and delete_source:
        msg = "--all deletes nothing: set MUNIMENT_BLOBS, look with `muniment fsck`, and delete the old place then"
        raise click.UsageError(msg)
    if dry_run:
        return _planned(plan(opened, team, url))
    with watched() as progress:
        if team is None:
            done = migrate_own(opened, str(url), progress=progress)
        else:
            done = migrate(opened, team, url, delete_source=delete_source, progress=progress)
    shown = _carried(done, team)
    if done.failed:
        show_now(context, shown)
        context.exit(1)
    return shown


def _team_and_url(names: tuple[str, ...], all_: bool, default: bool) -> tuple[str | None, str | None]:
    """Read what was given: TEAM URL, TEAM --default, or --all URL."""
    if all_ and not default and len(names) == 1:
        return None, names[0]
    if not all_ and names and len(names) + default == 2:  # noqa: PLR2004 (a team and a place)
        return names[0], _url(names[1] if len(names) > 1 else None, default)
    msg = "give a team and a URL, a team and --default, or --all and a URL"
    raise click.UsageError(msg)


def _url(url: str | None, default: bool) -> str | None:
    if (url is None) != default:
        msg = "give either a URL or --default"
        raise click.UsageError(msg)
    return url


def _named(place: str | None) -> str:
    return printable(place or OWN_NAME)


def _use(use: PlaceUse) -> Values:
    return {
        "team": use.team,
        "place": use.place or OWN_NAME,
        "state": use.state,
        "versions": use.versions,
        "blobs": use.blobs,
        "bytes": use.size,
    }


def _planned(found: Planned) -> One:
    values = {
        "place": found.place,
        "versions": found.versions,
        "blobs": found.blobs,
        "missing": found.missing,
        "dry_run": True,
    }
    text = (
        f"{found.missing} of {counted(found.blobs, 'blob')} of {counted(found.versions, 'version')} would be copied to"
    )
    return One(values, f"{text} {_named(found.place)}\nnothing was done")


def _carried(done: Carried, team: str | None) -> One:
    values = {
        "place": done.place,
        "versions": done.versions,
        "blobs_verified": done.blobs,
        "blobs_copied": done.copied,
        "bytes_copied": done.copied_size,
        "blobs_deleted": done.deleted,
        "bytes_deleted": done.freed,
        "kept": done.kept,
        "failed": list(done.failed),
    }
    where = _named(done.place)
    copied = f"copied {counted(done.copied, 'blob')} ({human_size(done.copied_size)})"
    carried = f"{counted(done.blobs, 'blob')} of {counted(done.versions, 'version')}"
    lines = [f"{copied}; read back {carried} from {where}, and nothing is wrong"]
    if team is None:
        lines.append(f"set MUNIMENT_BLOBS={where} now, everywhere")
    else:
        lines.append(f"new blobs of {team} go to {where}")
    if done.deleted:
        lines.append(f"deleted {counted(done.deleted, 'blob')} ({human_size(done.freed)}) from the earlier places")
    if done.kept:
        lines.append(
            f"kept {counted(done.kept, 'dead blob')} there: uploads are running, `muniment gc` deletes them later"
        )
    return One(values, "\n".join([*lines, *(f"failed: {printable(line)}" for line in done.failed)]))
