"""Looking at artifacts: lists, everything about a version, what differs between two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from muniment.app import catalog, listing
from muniment.app.cli import describe, frame
from muniment.app.cli.frame import as_of_option, command, page_options, project_of, seq_at, store
from muniment.app.cli.show import Many, One, Shown, Values, human_size, pairs, printable
from muniment.app.files.download import manifest_of
from muniment.app.listing import Paging
from muniment.app.manifests import Difference
from muniment.app.store import Store
from muniment.app.subjects import address
from muniment.domain.errors import InvalidValueError
from muniment.domain.manifest import Entry
from muniment.domain.rows import ArtifactRow, ProjectRow, TeamRow

MARKS = {"added": "+", "removed": "-", "changed": "~"}


@command(
    examples=(
        "muniment artifact ls",
        "muniment artifact ls -t model local/digits",
        "muniment artifact ls --versions mnist --json",
    ),
)
@click.argument("where", metavar="[[ENTITY/]PROJECT]", required=False)
@click.option("--type", "-t", "type_", metavar="TYPE", help="Only artifacts of this type.")
@click.option("--versions", metavar="NAME", help="List the versions of this artifact instead, the newest first.")
@page_options
@as_of_option
def ls(
    where: str | None, type_: str | None, versions: str | None, limit: int, after: str | None, moment: str | None
) -> Shown:
    """List the artifacts of a project, each with its latest version, or the versions of one."""
    opened = store()
    at = seq_at(opened, moment)
    if versions is not None:
        return _versions(opened, versions, Paging(start=after, size=limit, descending=True, at=at))
    project = project_of(opened, where, at)
    page = listing.artifacts(opened.views, project.project_id, Paging(start=after, size=limit, at=at), type_)
    team = _team(opened, project, at)
    rows = [_latest(opened, team, project, row, at) for row in page.items]
    return Many(rows, ("type", "updated_at", "size", "name", "aliases"), "no artifacts", page.next)


@command(
    examples=(
        "muniment artifact show mnist",
        "muniment artifact show wandb-registry-model/digits:production --json",
        "muniment artifact show mnist:v0 --files",
        "muniment artifact show mnist:best --as-of 2026-03-03T12:00Z",
    ),
)
@click.argument("name")
@click.option("--files", is_flag=True, help="List its entries instead.")
@as_of_option
def show(name: str, files: bool, moment: str | None) -> Shown:
    """Show everything about a version, or list its entries.

    NAME is [entity/][project/]name[:alias] or [organization/]wandb-registry-<registry>/<collection>[:alias].
    """
    opened = store()
    at = seq_at(opened, moment)
    found = frame.find(opened, name, at)
    if files:
        entries = manifest_of(opened, found).entries()
        return Many(map(_entry, entries), empty="no files", line=_file)
    values = describe.version(opened, found, at)
    return One(values, pairs({key: value for key, value in values.items() if value not in (None, [], {})}))


@command(examples=("muniment artifact diff mnist:v0 mnist:latest", "muniment artifact diff mnist:v0 mnist:v1 --json"))
@click.argument("before")
@click.argument("after")
@as_of_option
def diff(before: str, after: str, moment: str | None) -> Shown:
    """List the entries that differ between two versions."""
    opened = store()
    at = seq_at(opened, moment)
    one, two = (manifest_of(opened, frame.find(opened, name, at)) for name in (before, after))
    return Many(map(_difference, one.diff(two)), line=_changed)


def _latest(opened: Store, team: TeamRow, project: ProjectRow, row: ArtifactRow, at: int | None) -> Values:
    newest = catalog.latest_version(opened.views, row, at)
    if newest is None:
        return {"name": row.name, "type": row.type, "size": None, "updated_at": None, "aliases": []}
    return describe.version_line(opened, catalog.Found(newest, row, project, team), at)


def _versions(opened: Store, name: str, paging: Paging) -> Shown:
    where = address(opened, name)
    if where.registry is not None:
        msg = f"{name!r} is a collection — see: muniment registry show {where.registry}"
        raise InvalidValueError(msg)
    project = project_of(opened, f"{where.owner}/{where.project}", paging.at)
    row = catalog.artifact_named(opened.views, project, where.name, paging.at)
    page = listing.versions(opened.views, row.artifact_id, paging)
    team = _team(opened, project, paging.at)
    founds = [catalog.Found(each, row, project, team) for each in page.items]
    rows = [describe.version_line(opened, found, paging.at) for found in founds]
    return Many(rows, ("name", "updated_at", "size", "aliases", "digest"), "no versions", page.next)


def _team(opened: Store, project: ProjectRow, at: int | None) -> TeamRow:
    team = opened.views.find(TeamRow, at=at, team_id=project.team_id)
    assert team is not None  # noqa: S101 (a project goes with its team)
    return team


def _entry(entry: Entry) -> dict[str, Any]:
    return {"path": entry.path, "size": entry.size, "digest": entry.digest, "ref": entry.ref}


def _file(row: Values) -> str:
    size = "" if row["size"] is None else human_size(row["size"])
    return printable(f"{size:>10}  {row['path']}" + (f"  → {row['ref']}" if row["ref"] else ""))


def _difference(difference: Difference) -> Values:
    before, after = (each and _entry(each) for each in (difference.before, difference.after))
    return {"path": difference.path, "kind": difference.kind, "before": before, "after": after}


def _changed(row: Values) -> str:
    sizes = list(_sizes(row))
    return printable(f"{MARKS[row['kind']]} {row['path']}  ({' → '.join(sizes)})")


def _sizes(row: Values) -> Iterator[str]:
    for each in (row["before"], row["after"]):
        if each is not None:
            yield "unknown size" if each["size"] is None else human_size(each["size"])
