"""Building a store again as it was at a moment."""

from __future__ import annotations

from pathlib import Path

import click
from attrs import evolve

from muniment.app import bootstrap, clock
from muniment.app import replay as replays
from muniment.app.cli.frame import command, seq_at, store
from muniment.app.cli.show import One, Shown
from muniment.app.migrate import Movable


@command(
    examples=(
        "muniment replay --until 2026-03-03T12:00Z -o march",
        "muniment replay --until 1200 -o before",
    )
)
@click.option("--until", "moment", metavar="MOMENT", required=True, help="An ISO time, the number of an event, or now.")
@click.option("--output", "-o", metavar="FOLDER", required=True, help="Where to; a new or empty folder.")
def replay(moment: str, output: str) -> Shown:
    """Build the store as it was at some moment in a folder of its own, to be looked at and never written.

    The events up to then are copied as they are stored and come to the same root; all rows are made again from them.
    Blobs and personal values are not copied: they are read where this store has them. Look at it with --home FOLDER.
    """
    opened = store()
    seq = seq_at(opened, moment) or 0
    config = opened.config

    def open_target(home: Path) -> Movable:
        return bootstrap.open_ledger(evolve(config, values={**config.values, "home": str(home), "ledger": None}))

    found = replays.build(opened.ledger, config, seq, Path(output), open_target)  # type: ignore[arg-type] # both can be carried
    values = {
        "origin": found.origin,
        "seq": found.seq,
        "root": found.root,
        "recorded_at": clock.to_text(found.recorded_at),
    }
    return One(
        values, f"{found.seq} events in {output}, root {found.root}\nlook at it with: muniment --home {output} …"
    )
