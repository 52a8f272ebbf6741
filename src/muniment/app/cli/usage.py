"""Who used a version."""

from __future__ import annotations

import click

from muniment.app import clock
from muniment.app import usage as using
from muniment.app.cli.describe import Logins
from muniment.app.cli.frame import as_of_option, command, find, seq_at, store
from muniment.app.cli.show import Many, Shown
from muniment.app.store import Store
from muniment.domain.rows import RunRow
from muniment.domain.values import RunId


@command(
    examples=("muniment usage mnist", "muniment usage mnist:v0 --json", "muniment usage mnist:best --as-of 2026-03-03")
)
@click.argument("name")
@as_of_option
def usage(name: str, moment: str | None) -> Shown:
    """Show who used and downloaded a version, in which run, how often, and when first and last.

    NAME is [entity/][project/]name[:alias] or [organization/]wandb-registry-<registry>/<collection>[:alias].
    As of a moment all events up to it are read.
    """
    opened = store()
    at = seq_at(opened, moment)
    version = find(opened, name, at).version
    behind = using.up_to_date(opened).behind if at is None else 0
    if behind:
        click.echo(f"the last {behind} events are not counted: `muniment projections run --once` does it", err=True)
    rows = using.users_of(opened, version.version_id, at)
    logins = Logins(opened)
    logins.learn(row.principal_id for row in rows)
    values = [
        {
            "kind": row.kind,
            "user": logins.of(row.principal_id),
            "principal_id": row.principal_id,
            "run": _run(opened, row.run_id),
            "run_id": row.run_id or None,
            "count": row.count,
            "first_at": clock.to_text(row.first_at),
            "last_at": clock.to_text(row.last_at),
        }
        for row in rows
    ]
    return Many(values, ("last_at", "user", "kind", "count", "run", "first_at"), "nobody")


def _run(opened: Store, run_id: str) -> str | None:
    row = opened.views.find(RunRow, run_id=RunId(run_id)) if run_id else None
    return row.key if row else None
