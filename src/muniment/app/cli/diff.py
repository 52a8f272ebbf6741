"""What changed between two moments."""

from __future__ import annotations

import click

from muniment.app.cli.frame import command, seq_at, store
from muniment.app.cli.show import Many, Shown, Values, printable
from muniment.app.store import Store
from muniment.app.subjects import subject
from muniment.app.telling import differences
from muniment.domain.errors import NotFoundError


@command(
    examples=(
        "muniment diff 2026-03-01 2026-03-31",
        "muniment diff 1200 now wandb-registry-model",
        "muniment diff 2026-03-01 now mnist --values --json",
    )
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.argument("name", required=False)
@click.option("--values", is_flag=True, help="Show descriptions, metadata and the like, not only that they changed.")
def diff(before: str, after: str, name: str | None, values: bool) -> Shown:
    """Show what is otherwise at moment B than it was at moment A: of everything, or of NAME and all that is in it.

    A and B are ISO times, numbers of events, or now. What came and went between the two is no difference. NAME is that
    of an artifact, version, collection, registry, run, project, team or organization, at either moment, or an id.
    """
    opened = store()
    first, last = seq_at(opened, before) or 0, seq_at(opened, after) or 0
    within = None if name is None else _named(opened, name, first, last)
    found = differences.between(opened, first, last, within=within, values=values)
    rows = ({**each.to_json(), "text": str(each)} for each in found)
    return Many(rows, line=_line)


def _named(opened: Store, name: str, first: int, last: int) -> str:
    try:
        return subject(opened, name, last).id
    except NotFoundError:
        return subject(opened, name, first).id


def _line(row: Values) -> str:
    return printable(row["text"])
