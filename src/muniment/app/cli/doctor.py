"""Whether the store can do its work here."""

from __future__ import annotations

from collections.abc import Iterator

import click

from muniment.app.cli.frame import command, settings, show_now, store
from muniment.app.cli.show import Many, Values, printable
from muniment.app.doctor import examine


@command(examples=("muniment doctor", "muniment doctor --json"))
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check this machine and the store: permissions, keys, backends, projections, space, clock, versions, leftovers.

    Each check is a line, ok, warn or fail, with the way out; the exit status is 1 if one failed. Backends are tried
    by writing something small, reading it back, and removing it.
    """
    failed = 0

    def rows() -> Iterator[Values]:
        nonlocal failed
        for found in examine(settings(), store):
            failed += found.state == "fail"
            yield {"check": found.check, "state": found.state, "text": found.text, "way_out": found.way_out}

    show_now(context, Many(rows(), line=_line))
    if failed:
        context.exit(1)


def _line(row: Values) -> str:
    way_out = f" — {row['way_out']}" if row["way_out"] else ""
    return printable(f"{row['state']:<4}  {row['check']}: {row['text']}{way_out}")
