"""Runs: what they used, what they logged, what they say about themselves."""

from __future__ import annotations

from typing import Any

import click

from muniment.app import clock, listing, runs
from muniment.app.cli.describe import Logins
from muniment.app.cli.frame import as_of_option, group, page_options, project_of, seq_at, store, texts
from muniment.app.cli.show import Many, One, Shown
from muniment.app.cli.trying import acted_on, dry_run_option, tried
from muniment.app.labels import Labels
from muniment.app.listing import Paging
from muniment.app.store import Store
from muniment.app.subjects import ID, subject
from muniment.domain.errors import NotFoundError
from muniment.domain.rows import RunRow
from muniment.domain.run import RunState
from muniment.domain.values import RunId

EDGES = 100


@group(examples=("muniment run ls", "muniment run show 1a2b3c4d"))
def run() -> None:
    """Look at runs, and delete them."""


@run.command(
    "ls", examples=("muniment run ls", "muniment run ls local/digits --state failed", "muniment run ls --json")
)
@click.argument("project", required=False)
@click.option("--state", type=click.Choice([each.value for each in RunState]), help="Only those in this state.")
@page_options
@as_of_option
def ls(project: str | None, state: str | None, limit: int, after: str | None, moment: str | None) -> Shown:
    """List the runs of a project, the newest first.

    PROJECT is [entity/]project; otherwise the configured one.
    """
    opened = store()
    at = seq_at(opened, moment)
    row = project_of(opened, project, at)
    paging = Paging(start=after, size=limit, descending=True, at=at)
    page = listing.runs(opened.views, row.project_id, paging, state)
    labels, logins = Labels(opened.views, at), Logins(opened)
    logins.learn(each.actor for each in page.items)
    rows = [_run(each, labels, logins) for each in page.items]
    return Many(rows, ("id", "name", "state", "job_type", "user", "started_at", "finished_at"), "no runs", page.next)


@run.command("show", examples=("muniment run show 1a2b3c4d", "muniment run show digits/runs/1a2b3c4d --json"))
@click.argument("name")
@as_of_option
def show(name: str, moment: str | None) -> Shown:
    """Show a run: its configuration and summary, what it used and what it logged.

    NAME is [[entity/]project/][runs/]id.
    """
    opened = store()
    at = seq_at(opened, moment)
    row = _found(opened, name, at)
    labels = Labels(opened.views, at)
    notes, config, summary = texts(opened, row.notes, row.config, row.summary)
    values = {
        **_run(row, labels, Logins(opened)),
        "notes": notes,
        "config": config,
        "summary": summary,
        "used": _versions(opened, row, "in", labels),
        "logged": _versions(opened, row, "out", labels),
    }
    return One(values)


@run.command(
    "delete",
    examples=("muniment run delete 1a2b3c4d --dry-run", "muniment run delete digits/runs/1a2b3c4d --artifacts"),
)
@click.argument("name")
@click.option("--artifacts", is_flag=True, help="Mark the versions that it logged deleted too, aliases and all.")
@dry_run_option
def delete(name: str, artifacts: bool, dry_run: bool) -> Shown:
    """Delete a run; what it logged stays unless asked otherwise.

    NAME is [[entity/]project/][runs/]id.
    """
    opened = store()
    acted = acted_on(opened, dry_run=dry_run)
    row = _found(opened, name)
    runs.delete(acted, row, delete_artifacts=artifacts)
    return tried(acted) or One({"deleted": row.key, "run_id": row.run_id}, f"deleted run {row.key}")


def _found(opened: Store, name: str, at: int | None = None) -> RunRow:
    """Return the run that a name means."""
    found = subject(opened, name if "/" in name or ID.fullmatch(name) else f"runs/{name}", at)
    if found.kind not in {"run", "id"}:
        msg = f"{name!r} is a {found.kind} — name a run"
        raise NotFoundError(msg)
    return runs.get(opened, RunId(found.id), at)


def _run(row: RunRow, labels: Labels, logins: Logins) -> dict[str, Any]:
    label = labels.run(row.run_id)
    return {
        "id": row.key,
        "name": row.name,
        "path": label.path if label else None,
        "state": row.state,
        "job_type": row.job_type,
        "group": row.group,
        "tags": row.tags.split("\n") if row.tags else [],
        "user": logins.of(row.actor),
        "started_at": clock.to_text(row.started_at),
        "finished_at": clock.told(row.finished_at),
        "run_id": row.run_id,
    }


def _versions(opened: Store, row: RunRow, role: str, labels: Labels) -> list[str]:
    """Return the paths of the first versions that a run used or logged."""
    look = listing.used if role == "in" else listing.logged
    page = look(opened.views, row.run_id, Paging(size=EDGES, at=labels.at))
    known = [label.path for edge in page.items if (label := labels.version(edge.version_id))]
    return [*known, "…"] if page.next else known
