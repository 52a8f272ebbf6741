"""Looking after the store: collecting, checking, rebuilding, signing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from muniment.app import fsck as checking
from muniment.app import projector, trial
from muniment.app.cli import asked
from muniment.app.cli.frame import command, show_now, store, watched
from muniment.app.cli.show import Many, One, Shown, Values, human_size, printable
from muniment.app.collecting import collect as collecting
from muniment.app.collecting.collect import Plan, Report
from muniment.app.places import OWN_NAME
from muniment.app.proving import checkpoints
from muniment.domain.errors import StorageError
from muniment.domain.policy import DAY


@command(examples=("muniment gc", "muniment gc --yes", "muniment gc --yes --wait 60"))
@click.option("--yes", is_flag=True, help="Do it; without this the plan is printed and nothing happens.")
@click.option("--dry-run", is_flag=True, help="Print the plan only, even with --yes.")
@click.option(
    "--wait", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="How long to wait for running uploads."
)
@click.pass_context
def gc(context: click.Context, yes: bool, dry_run: bool, wait: float) -> Shown:
    """Delete versions whose time is over, purge what was deleted long enough ago, remove dead bytes.

    Prints what would be done; with --yes it is done. What is named by an alias, linked, held or used by a running
    upload stays. What is purged is looked for afterwards where its bytes lay: see `muniment disposals`.
    """
    opened = store()
    if dry_run:
        collecting.require_permission(trial.of(opened))
    if dry_run or not yes:
        return _plan(collecting.plan(opened))
    with watched() as progress:
        report = collecting.act(opened, wait=wait, progress=progress)
    if report.failed:
        show_now(context, _report(report))
        context.exit(1)
    return _report(report)


def _plan(plan: Plan) -> One:
    versions = [
        {"name": due.name, "version_id": due.version_id, "action": due.action.value, "because": due.because}
        for due in plan.due
    ]
    values = {"versions": versions, "blobs": plan.blobs, "bytes": plan.size, "sessions": plan.sessions}
    lines = [f"{each['action']:<7} {printable(each['name'])}  ({each['because']})" for each in versions]
    lines.append(
        f"{len(plan.expired)} versions to delete, {len(plan.purgeable)} to purge, "
        f"{plan.blobs} blobs ({human_size(plan.size)}) to remove; {plan.sessions} uploads are running"
    )
    if plan.due or plan.blobs:
        lines.append("nothing was done: `muniment gc --yes` does it")
    return One(values, "\n".join(lines))


def _report(report: Report) -> One:
    values = {
        "deleted": report.deleted,
        "let_go": report.let_go,
        "purged": report.purged,
        "blobs": report.blobs,
        "bytes": report.size,
        "places": [{"place": each.place, "blobs": each.blobs, "bytes": each.size} for each in report.places],
        "kept": report.kept,
        "residual": report.residual,
        "residual_ended": report.ended,
        "late_seconds": report.late // 1_000_000,
        "waiting": report.waiting,
        "parked": report.parked,
        "staging_bytes": report.staging,
        "failed": list(report.failed),
    }
    return One(values, "\n".join(_lines(report)))


def _lines(report: Report) -> Iterator[str]:
    yield (
        f"deleted {report.deleted} versions, purged {report.purged}, removed {report.blobs} blobs "
        f"({human_size(report.size)}) and {human_size(report.staging)} of leftovers; {report.kept} dead blobs kept"
    )
    if len(report.places) > 1 or any(each.place for each in report.places):
        for each in report.places:
            yield f"  from {printable(each.place or OWN_NAME)}: {each.blobs} blobs ({human_size(each.size)})"
    if report.late > DAY:
        yield f"the latest of them was due {report.late / DAY:,.1f} days ago"
    if report.residual:
        yield f"{report.residual} blobs are held by a lock of their store: see `muniment disposals --left`"
    if report.ended:
        yield f"copies of {report.ended} earlier disposals that were left are gone by now"
    if report.parked is not None:
        yield f"{report.waiting} versions are due and wait: {report.parked}"
    yield from (f"failed: {printable(line)}" for line in report.failed)


@command(
    examples=(
        "muniment fsck",
        "muniment fsck --fast",
        "muniment fsck --checkpoint june.note --verifier muniment/0123+4567+89ab",
    )
)
@click.option(
    "--checkpoint", metavar="FILE", help="A checkpoint that was kept elsewhere; shows rewriting and truncation."
)
@click.option(
    "--verifier", metavar="KEY", help="The key to trust (`muniment checkpoint --verifier`); otherwise the store's."
)
@click.option("--fast", is_flag=True, help="Look whether blobs are there, without reading them.")
@click.pass_context
def fsck(context: click.Context, checkpoint: str | None, verifier: str | None, fast: bool) -> None:
    """Check ledger, rows, vault, manifests and blobs; each fault is a line, and the exit status 1."""
    note = None if checkpoint is None else _read(checkpoint)
    found = 0

    def rows() -> Iterator[Values]:
        nonlocal found
        with watched() as progress:
            for fault in checking.check(store(), checkpoint=note, verifier=verifier, fast=fast, progress=progress):
                found += 1
                progress.wipe()
                yield {"kind": fault.kind, "fault": fault.text}

    show_now(context, Many(rows(), line=lambda row: printable(f"{row['kind']}: {row['fault']}")))
    if count := checking.redacted(store()):
        click.echo(f"{count} events were redacted with authorisation", err=True)
    if found:
        click.echo(f"error: {found} faults — restore from a backup what they name", err=True)
        context.exit(1)
    click.echo("no faults", err=True)


@command(examples=("muniment rebuild",))
def rebuild() -> Shown:
    """Make all rows of the projections again from the events, while others go on reading and writing."""
    opened = store()
    folded = opened.ledger.rebuild()
    projector.rebuild(opened)
    return One({"events": folded}, f"rebuilt all rows from {folded} events")


@command(
    examples=("muniment checkpoint", "muniment checkpoint -o june.note", "muniment checkpoint --verifier"),
)
@click.option("--output", "-o", metavar="FILE", help="Write it there instead of printing it.")
@click.option("--verifier", is_flag=True, help="Print the key with which anybody can check the signature.")
def checkpoint(output: str | None, verifier: bool) -> Shown:
    """Sign the state of the ledger; keep it elsewhere and give it to fsck later."""
    opened = store()
    if verifier:
        key = opened.signer.verifier_key()
        return One({"verifier": key}, key)
    note = checkpoints.make(opened)
    values = {"note": note, "events": int(note.splitlines()[1]), "verifier": opened.signer.verifier_key()}
    return asked.written(note, output, values, f"signed {values['events']} events into {output}")


def _read(name: str) -> str:
    try:
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        msg = f"the checkpoint {name} cannot be read: {why} — give its file"
        raise StorageError(msg) from error
