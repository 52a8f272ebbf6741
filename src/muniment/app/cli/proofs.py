"""Proofs for outsiders, and checking them, for which no store is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from muniment.app import kit as kits
from muniment.app.cli import asked
from muniment.app.cli.frame import command, show_now, store
from muniment.app.cli.show import Many, One, Shown, Values, printable
from muniment.app.proving import entries, facts, proofs, verifying
from muniment.app.proving.verifying import Trust, Verdict
from muniment.domain.errors import MunimentError
from muniment.domain.fact import DECIDING

EVENT: Final = re.compile(r"[0-9]+|[0-9a-f]{32}")
REVEAL: Final = ("words",)


@command(
    examples=(
        "muniment prove 17 -o event-17.tlog-proof",
        "muniment prove mnist:production --at 2026-03-03T12:00Z --reveal words -o production.fact.json",
        "muniment prove mnist:v3 --about ttl",
        "muniment prove --consistency june.note -o june-to-now.txt",
    )
)
@click.argument("what", metavar="EVENT|FACT", required=False)
@click.option("--about", type=click.Choice(list(DECIDING)), help="Which fact about a version; by default its making.")
@click.option("--at", "--as-of", metavar="MOMENT", help="The fact as it was then: an ISO time, or a seq.")
@click.option("--consistency", metavar="OLD", help="Prove that the ledger continues this checkpoint, a file; 0: anew.")
@click.option("--checkpoint", metavar="FILE", help="Prove it by this checkpoint, such as one that a witness signed.")
@click.option("--reveal", type=click.Choice(REVEAL), help="Show names and digests too; otherwise ids, times, numbers.")
@click.option("--output", "-o", metavar="FILE", help="Write it there instead of printing it.")
def prove(
    what: str | None,
    about: str | None,
    at: str | None,
    consistency: str | None,
    checkpoint: str | None,
    reveal: str | None,
    output: str | None,
) -> Shown:
    """Prove an event (its seq or id), or a fact about a version or alias, to somebody who has not the ledger.

    Personal values are never in a proof, names and digests only with --reveal words.
    """
    if (what is None) == (consistency is None):
        msg = "name an event or a fact, or --consistency with a checkpoint"
        raise click.UsageError(msg)
    note = None if checkpoint is None else verifying.read(Path(checkpoint))
    opened = store()
    if consistency is not None:
        old = int(consistency) if consistency.isdecimal() else verifying.read(Path(consistency))
        return _out(proofs.prove_consistency(opened, old, note=note), output)
    assert what is not None  # noqa: S101 (one of both was given)
    words = reveal is not None
    if EVENT.fullmatch(what):
        return _out(proofs.prove_event(opened, what, note=note, words=words), output)
    return _out(facts.prove_fact(opened, what, about=about, at=at, note=note, words=words).render(), output)


@command("prove-entry", examples=("muniment prove-entry mnist:v3 train/labels.csv -o labels.entry.json",))
@click.argument("artifact")
@click.argument("path")
@click.option("--at", "--as-of", metavar="MOMENT", help="What the name meant then: an ISO time, or a seq.")
@click.option("--checkpoint", metavar="FILE", help="Prove it by this checkpoint, such as one that a witness signed.")
@click.option("--output", "-o", metavar="FILE", help="Write it there instead of printing it.")
def prove_entry(artifact: str, path: str, at: str | None, checkpoint: str | None, output: str | None) -> Shown:
    """Prove that a version holds an entry of this path, or that it holds none.

    The proof shows the digest of the version and up to 128 entries that stand beside this one.
    """
    note = None if checkpoint is None else verifying.read(Path(checkpoint))
    return _out(entries.prove_entry(store(), artifact, path, at=at, note=note).render(), output)


@command(
    examples=(
        "muniment verify event-17.tlog-proof --key muniment/0123+4567+89ab",
        "muniment verify audit-2026/ --key ledger.key --witness dpo.key",
        "muniment verify june.note --consistency june-to-now.txt --key ledger.key",
    )
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--key", required=True, metavar="VERIFIER", help="The key of the ledger to trust, or a file with it.")
@click.option("--witness", "witnesses", multiple=True, metavar="KEY", help="A witness that must have signed; repeat.")
@click.option("--chain", metavar="FILE", help="How keys of the ledger followed each other (`muniment key chain`).")
@click.option("--consistency", metavar="FILE", help="The proof that a newer ledger begins with the checkpoint.")
@click.pass_context
def verify(
    context: click.Context,
    files: tuple[str, ...],
    key: str,
    witnesses: tuple[str, ...],
    chain: str | None,
    consistency: str | None,
) -> None:
    """Check proofs, checkpoints and folders of bundles; the exit status is 1 if one does not hold.

    With --consistency the first file is the older checkpoint, a second one may be the newer.
    """
    from muniment.app.bootstrap import open_notary  # noqa: PLC0415 (help needs none of it)

    trust = Trust.of(
        open_notary(), _key(key), tuple(map(_key, witnesses)), "" if chain is None else verifying.read(Path(chain))
    )
    wrong = 0

    def rows() -> Iterator[Values]:
        nonlocal wrong
        if consistency is not None:
            older, newer, *_ = (*map(Path, files), None)
            if len(files) > 2:  # noqa: PLR2004 (an older and a newer checkpoint)
                msg = f"--consistency takes an older and a newer checkpoint, not {len(files)} files"
                raise click.UsageError(msg)
            proof = verifying.read(Path(consistency))
            told = None if newer is None else verifying.read(newer)
            yield _row(files[0], verifying.verify_consistency(verifying.read(older), proof, trust, told))
            return
        for name in files:
            try:
                yield _row(name, verifying.verify(Path(name), trust))
            except MunimentError as error:
                wrong += 1
                yield {"file": name, "holds": False, "verdict": type(error).__name__, "why": str(error)}

    show_now(context, Many(rows(), line=_line))
    if wrong:
        click.echo(f"error: {wrong} of {len(files)} do not hold — do not rely on them", err=True)
        context.exit(1)


@command(examples=("muniment kit -o audit-kit",))
@click.option("--output", "-o", required=True, metavar="FOLDER", help="Where to write them.")
def kit(output: str) -> Shown:
    """Write the programs that check proofs and bundles without Muniment: one of Python alone, one of the shell."""
    written = [str(path) for path in kits.write(Path(output))]
    return One({"files": written}, "\n".join(written))


def _out(text: str, output: str | None) -> One:
    return asked.written(text, output, {"proof": text} if output is None else {})


def _key(given: str) -> str:
    """Return a verifier key: as it is given, or from the file that is named."""
    return verifying.read(Path(given)).strip() if "+" not in given else given


def _row(name: str, verdict: Verdict) -> Values:
    return {"file": name, "holds": True, "proved": list(verdict.proved), "open": list(verdict.open)}


def _line(row: Values) -> str:
    if not row["holds"]:
        return printable(f"REFUSED {row['file']}: {row['why']}")
    lines = [f"OK {row['file']}", *(f"   {each}" for each in row["proved"])]
    return "\n".join(printable(each) for each in [*lines, *(f"   NOT PROVED: {each}" for each in row["open"])])
