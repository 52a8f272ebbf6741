"""What shows that erased words are gone: looking for them, and making files forget them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from muniment.app import scan as scanning
from muniment.app.cli import asked
from muniment.app.cli.frame import group, settings, show_now
from muniment.app.cli.show import Many, Shown, Values, printable
from muniment.app.cli.trying import dry_run_option
from muniment.app.erasing import checking

if TYPE_CHECKING:
    from muniment.app.store import Store


@group(examples=("muniment compliance scan --canary - ~/.muniment < words.txt",))
def compliance() -> None:
    """Look for words that must be gone, try an erasure out, erase again what a backup brought back."""


@compliance.command(
    examples=(
        "muniment compliance scan --canary - ~/.muniment < words.txt",
        "muniment compliance scan --canary 7f3a9c51-e2b4 ~/.muniment s3://bucket/prefix",
    )
)
@click.option("--canary", "canaries", metavar="TEXT", multiple=True, required=True, help="A word; - reads one a line.")
@click.argument("places", metavar="PATH...", nargs=-1, required=True)
@click.pass_context
def scan(context: click.Context, canaries: tuple[str, ...], places: tuple[str, ...]) -> None:
    """Look for words in files, folders and buckets (s3://bucket/prefix, all versions), byte by byte.

    They are looked for as UTF-8, UTF-16, base64, hexadecimal digits, in the escapes of URLs, JSON and HTML, and in what
    zlib, gzip, bzip2, xz, zstd or zip compressed; what is encrypted cannot be found. The exit status is 1 if a word was
    found or something could not be read. Words are never printed.
    """
    found = checking.scan_for(asked.words(canaries), places)
    rows: list[Values] = [asdict(hit) for hit in found.hits]
    rows += [{"unread": text} for text in found.unread] + [{"note": text} for text in found.limits]
    *texts, total = scanning.lines(found)
    lines = iter(texts)
    show_now(context, Many(rows, line=lambda _: printable(next(lines))))
    click.echo(total, err=True)
    if not found.clean:
        context.exit(1)


@compliance.command(examples=("muniment compliance drill", "muniment compliance drill --json"))
@click.pass_context
def drill(context: click.Context) -> None:
    """Erase an invented person from an invented store, and put every promise of an erasure to the test.

    Words are planted in every input, looked for in every byte before and after, an old backup is put back, and what was
    erased is brought in again. It takes a few seconds and a folder of its own. The exit status is 1 if a step fails.
    """
    from muniment.app.drill.drill import Drill  # noqa: PLC0415 (only who asks pays for it)

    with TemporaryDirectory(prefix="muniment-drill-") as folder:
        lines = list(Drill(Path(folder), _invented).run())
    rows: list[Values] = [{"step": line.step, "ok": line.ok, "told": line.told} for line in lines]
    show_now(context, Many(rows, line=lambda row: f"{'ok ' if row['ok'] else 'RED'}  {row['step']}: {row['told']}"))
    if not all(line.ok for line in lines):
        context.exit(1)


@compliance.command("erase-again", examples=("muniment compliance erase-again",))
@dry_run_option
def erase_again(dry_run: bool) -> Shown:
    """Erase again what came back because the store was restored from before an erasure.

    Until then such a store is not opened for anything else. Only an admin of the organization may.
    """
    from muniment.app.bootstrap import open_store  # noqa: PLC0415
    from muniment.app.erasing import erasures  # noqa: PLC0415 (only who asks pays for it)

    opened = open_store(settings(), source="cli", erasing_again=True)
    click.get_current_context().call_on_close(opened.ledger.close)
    if dry_run:
        undone: list[Values] = [{"request_id": line.request_id} for line in erasures.undone(opened)]
        return Many(undone, ("request_id",), "nothing came back")
    rows: list[Values] = [
        {"request_id": row.request_id, "erased": row.erased, "certificate_id": row.certificate_id}
        for row in erasures.again(opened)
    ]
    return Many(rows, ("request_id", "erased", "certificate_id"), "nothing came back")


def _invented(home: Path, actor: str, again: bool) -> Store:
    """Open the store of a drill; no setting but these two counts."""
    from muniment.app.bootstrap import open_store  # noqa: PLC0415 (only who asks pays for it)
    from muniment.app.config import load  # noqa: PLC0415

    found = load({"MUNIMENT_HOME": str(home), "MUNIMENT_ACTOR": actor})
    return open_store(found, source="drill", erasing_again=again)
