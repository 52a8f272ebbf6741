"""Carrying the ledger or the vault to another database."""

from __future__ import annotations

from contextlib import closing

import click

from muniment.app import bootstrap
from muniment.app import migrate as carrying
from muniment.app.cli.frame import command, settings, watched
from muniment.app.cli.show import One, Shown, counted
from muniment.app.config import Config


@command(
    examples=(
        "muniment migrate ~/.muniment/ledger.sqlite3 postgresql://ada@db/registry",
        "muniment migrate --vault ~/.muniment postgresql://ada@db/registry",
    )
)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--vault", is_flag=True, help="Carry the vault; FROM and TO are folders or URLs of vaults.")
def migrate(source: str, target: str, vault: bool) -> Shown:
    """Carry the ledger, or with --vault the vault, from one database to another: SQLite or PostgreSQL.

    A place is a path or postgresql://…. The target must be empty, or hold the very same already; all arrives, or
    nothing does, and both are compared afterwards. Let nobody write meanwhile; the settings stay as they are, so name
    the new place in MUNIMENT_LEDGER or MUNIMENT_VAULT then.
    """
    config = settings()
    return _vault(config, source, target) if vault else _ledger(config, source, target)


def _ledger(config: Config, source: str, target: str) -> One:
    one = bootstrap.at_place(config, "ledger", source, there=True)
    other = bootstrap.at_place(config, "ledger", target, there=False)
    with closing(bootstrap.open_ledger(one)) as old:
        carrying.require_used(old)
        with closing(bootstrap.open_ledger(other)) as new, watched() as progress:
            moved = carrying.ledger(old, new, progress=progress)
    values = {"events": moved.events, "root": moved.root.hex(), "done": moved.done}
    return One(values, f"{_what(done=moved.done)} {counted(moved.events, 'event')}, root {moved.root.hex()}")


def _vault(config: Config, source: str, target: str) -> One:
    one = bootstrap.at_place(config, "vault", source, there=True)
    other = bootstrap.at_place(config, "vault", target, there=False)
    with closing(bootstrap.open_ledger(config)) as ledger:
        origin = ledger.origin
    with (
        closing(bootstrap.open_vault(one, origin)) as old,
        closing(bootstrap.open_vault(other, origin)) as new,
        watched() as progress,
    ):
        moved = carrying.vault(old, new, progress=progress)
    values = {"slots": moved.slots, "done": moved.done}
    return One(values, f"{_what(done=moved.done)} {counted(moved.slots, 'slot')}")


def _what(*, done: bool) -> str:
    return "carried over" if done else "all was there already:"
