"""Destroying the words of events, and making files forget what was destroyed."""

from __future__ import annotations

from pathlib import Path

import click

from muniment.app import approvals, clock, redaction
from muniment.app import scrub as scrubbing
from muniment.app.cli.frame import command, show_now, store
from muniment.app.cli.show import Many, One, Shown, Values, printable
from muniment.app.cli.trying import acted_on, dry_run_option
from muniment.app.store import Store
from muniment.domain.approval import Act


@command(
    examples=("muniment redact 17 18 --propose --reason 'a name that should not be there'", "muniment redact 17 18")
)
@click.argument("seqs", metavar="SEQ...", nargs=-1, type=click.IntRange(1), required=True)
@click.option("--propose", is_flag=True, help="Ask another admin to agree; nothing is destroyed yet.")
@click.option("--reason", metavar="TEXT", help="Why, with --propose.")
@dry_run_option
def redact(seqs: tuple[int, ...], propose: bool, reason: str | None, dry_run: bool) -> Shown:
    """Destroy the words of events for good: the names, aliases, tags and digests that they say.

    It takes two people: one proposes it, another approves it, and then it can be done. The events stay, with all
    proofs; an event says which lost their words. What is held is not redacted. Afterwards run `muniment scrub`.
    """
    opened = store()
    if reason is not None and not propose:
        msg = "--reason goes with --propose: what is proposed has a reason"
        raise click.UsageError(msg)
    if propose:
        target = redaction.target_of(seqs)
        id_ = approvals.propose(opened, Act.REDACT, target, reason)
        text = f"proposed as {id_}; another admin runs: muniment approval approve {id_}"
        return One({"proposal": id_, "target": target}, text)
    if dry_run:
        gone = redaction.destroy(acted_on(opened, dry_run=True), seqs)
        text = f"would destroy the words of {len(gone)} events: {', '.join(map(str, gone)) or 'none'}\nnothing was done"
        return One({"dry_run": True, "redacted": list(gone)}, text)
    count = redaction.redact(opened, seqs)
    return One({"redacted": count}, f"destroyed the words of {count} events")


@command(examples=("muniment scrub --dry-run", "muniment scrub"))
@dry_run_option
@click.pass_context
def scrub(context: click.Context, dry_run: bool) -> None:
    """Make files and tables forget what was deleted: free pages, logs, the cache, the memory of files.

    Everything is written anew, which takes as long as reading it and as much room again. Prints what may hold deleted
    bytes still, why, and when that ends.
    """
    if dry_run:
        opened = store()
        there = [{"place": _named(opened, path)} for path in scrubbing.files(opened) if path.exists()]
        show_now(context, Many(there, line=lambda row: printable(f"would be written anew: {row['place']}")))
        click.echo("the cache and the memory of unchanged files would be emptied; nothing was done", err=True)
        return
    rows: list[Values] = [
        {"place": each.place, "why": each.why, "ends_at": clock.told(each.ends_at)} for each in scrubbing.scrub(store())
    ]
    show_now(context, Many(rows, line=_residual))
    click.echo(f"{len(rows)} places may hold deleted bytes still" if rows else "nothing deleted is kept", err=True)


def _named(opened: Store, path: Path) -> str:
    """Return what a file is called beside the others of the store."""
    home = opened.config.home
    return str(path.relative_to(home) if path.is_relative_to(home) else path)


def _residual(row: Values) -> str:
    until = f", until {row['ends_at']}" if row["ends_at"] else ""
    return printable(f"{row['place']}: {row['why']}{until}")
