"""Looking at batched projections, keeping them up with the ledger, and folding again what they could not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import click

from muniment.app import clock, projector
from muniment.app.cli.frame import group, store
from muniment.app.cli.show import Many, One, Shown, Values, printable
from muniment.app.projections import BATCHED
from muniment.app.projector import Progress

COLUMNS: Final = ("name", "position", "behind", "parked")


@group(examples=("muniment projections ls", "muniment projections run --once", "muniment projections retry"))
def projections() -> None:
    """Look at the rows that follow the ledger in batches, and keep them up with it."""


@projections.command("ls", examples=("muniment projections ls", "muniment projections ls --json"))
def ls() -> Shown:
    """Show how far each projection is, and which events it could not fold."""
    return Many(map(_row, projector.progress(store())), line=_line)


@projections.command("run", examples=("muniment projections run --once", "muniment projections run --every 10"))
@click.option("--once", is_flag=True, help="Catch up with the ledger and end.")
@click.option(
    "--every", type=click.FloatRange(0.1), default=2.0, show_default=True, metavar="SECONDS", help="How often to look."
)
def run(once: bool, every: float) -> Shown:
    """Keep the projections up with the ledger, until interrupted; any number of these may run.

    A line is printed whenever one has got further.
    """
    opened = store()
    if once:
        return Many((_row(projector.catch_up(opened, each)) for each in BATCHED), line=_line)

    def rows() -> Iterator[Values]:
        reached: dict[str, int] = {}
        while True:
            for each in BATCHED:
                found = projector.catch_up(opened, each)
                if reached.get(found.name) != found.position:
                    reached[found.name] = found.position
                    yield _row(found)
            time.sleep(every)

    return Many(rows(), line=_line)


@projections.command("retry", examples=("muniment projections retry", "muniment projections retry usage"))
@click.argument("name", required=False)
def retry(name: str | None) -> Shown:
    """Fold parked events once more, as after an upgrade; if any can be folded, rows are made again in their order.

    NAME is a projection; otherwise all of them.
    """
    opened = store()
    chosen = BATCHED if name is None else (projector.named(name),)
    folded = sum(projector.retry(opened, each) for each in chosen)
    parked = sum(len(projector.progress_of(opened, each).parked) for each in chosen)
    return One({"folded": folded, "parked": parked}, f"{folded} parked events were folded, {parked} are parked")


def _row(found: Progress) -> Values:
    return {
        "name": found.name,
        "position": found.position,
        "behind": found.behind,
        "parked": [
            {"seq": each.seq, "error": each.error, "place": each.place, "time": clock.to_text(each.parked_at)}
            for each in found.parked
        ],
    }


def _line(row: Values) -> str:
    head = f"{row['name']}: at event {row['position']}, {row['behind']} behind, {len(row['parked'])} parked"
    parked = (f"  event {each['seq']}: {each['error']} in {each['place']}" for each in row["parked"])
    return "\n".join(map(printable, (head, *parked)))
