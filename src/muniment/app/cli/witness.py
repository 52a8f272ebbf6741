"""A witness: on somebody else's machine, with a folder and a key of its own; only ``keep`` needs the store."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from muniment.app import clock
from muniment.app.cli import asked
from muniment.app.cli.asked import STDIN
from muniment.app.cli.frame import group, store
from muniment.app.cli.show import Many, One, Shown
from muniment.app.proving import rollback, verifying
from muniment.app.proving import witness as witnessing
from muniment.domain.checkpoint import Checkpoint, SignedNote


@group(examples=("muniment witness init ./witness --name dpo.example.org/w1 --log muniment/0123+4567+89ab",))
def witness() -> None:
    """Sign that a ledger was seen to grow, and keep evidence if it did not."""


@witness.command(examples=("muniment witness init ./witness --name dpo.example.org/w1 --log muniment/0123+4567+89ab",))
@click.argument("folder")
@click.option("--name", required=True, help="What tells it from other witnesses, like a web address.")
@click.option("--log", "logs", multiple=True, metavar="KEY", help="The verifier key of a ledger to watch; repeat.")
def init(folder: str, name: str, logs: tuple[str, ...]) -> Shown:
    """Make a witness with a new key in a folder."""
    from muniment.app.bootstrap import make_witness  # noqa: PLC0415 (help needs none of it)

    made = make_witness(Path(folder), name)
    watched = [made.watch(key) for key in logs]
    return One({"verifier": made.verifier_key(), "logs": watched}, made.verifier_key())


@witness.command(examples=("muniment witness watch ./witness muniment/0123+4567+89ab",))
@click.argument("folder")
@click.argument("key")
def watch(folder: str, key: str) -> Shown:
    """Watch another ledger, named by its verifier key."""
    from muniment.app.bootstrap import open_witness  # noqa: PLC0415 (help needs none of it)

    origin = open_witness(Path(folder)).watch(key)
    return One({"log": origin}, f"watching {origin}")


@witness.command(
    examples=(
        "muniment prove --consistency 0 -o request.txt",
        "muniment witness add ./witness request.txt -o seen.note",
        "muniment witness add ./witness - < request.txt",
    )
)
@click.argument("folder")
@click.argument("request")
@click.option("--chain", metavar="FILE", help="How the ledger's key changed, after `muniment key rotate`.")
@click.option("--output", "-o", metavar="FILE", help="Write the signed note there instead of printing it.")
def add(folder: str, request: str, chain: str | None, output: str | None) -> Shown:
    """Check that a ledger continues what was seen of it, remember it and sign; REQUEST is a file, or - for stdin.

    What contradicts what was seen is kept as evidence and refused.
    """
    from muniment.app.bootstrap import open_notary, open_witness  # noqa: PLC0415 (help needs none of it)

    request_ = sys.stdin.read() if request == STDIN else verifying.read(Path(request))
    known = None if chain is None else verifying.read(Path(chain))
    note = witnessing.add(open_witness(Path(folder)), open_notary(), request_, clock.now(), known)
    return asked.written(note, output, {"note": note} if output is None else {})


@witness.command(examples=("muniment witness show ./witness",))
@click.argument("folder")
def show(folder: str) -> Shown:
    """Show the ledgers that a witness watches, and how much of each it saw."""
    from muniment.app.bootstrap import open_witness  # noqa: PLC0415 (help needs none of it)

    opened = open_witness(Path(folder))
    rows = []
    for origin in opened.logs():
        seen = opened.seen(origin)
        checkpoint = None if seen is None else Checkpoint.parse(SignedNote.parse(seen).text)
        rows.append({"log": origin, "events": checkpoint.size if checkpoint else 0, "note": seen or ""})
    return Many(rows, ("log", "events"), empty=f"{opened.verifier_key()} watches nothing yet")


@witness.command(examples=("muniment witness keep seen.note",))
@click.argument("note")
def keep(note: str) -> Shown:
    """Keep, beside the store, the newest note that a witness signed: a database that was put back is then noticed."""
    size = rollback.keep(store(), verifying.read(Path(note)))
    return One({"events": size}, f"kept: a ledger of fewer than {size} events will not be written")
