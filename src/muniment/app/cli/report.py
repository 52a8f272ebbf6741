"""Reports for auditors and data protection officers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from muniment.app import reports
from muniment.app.cli.asked import ONE_ID
from muniment.app.cli.frame import command, seq_at, store
from muniment.app.cli.show import Many, One, Shown
from muniment.app.erasing import data_subjects
from muniment.app.reports import making
from muniment.app.reports.making import FORMATS, HTML, JSONL, TABLES, Wanted
from muniment.app.reports.shape import Report
from muniment.domain.errors import InvalidValueError

LIST = "list"


@command(
    examples=(
        "muniment report list",
        "muniment report audit-trail --from 2026-03-01 --to 2026-04-01 -o march --bundle --format jsonl --format csv",
        "muniment report promotion-history --at 2026-03-03 -o promotions",
        "muniment report requests --json",
        f"muniment report subject-access --request {ONE_ID} -o answer --bundle",
    )
)
@click.argument("name", metavar="NAME|list")
@click.option("--from", "begin", metavar="MOMENT", help="Of what happened since: an ISO time, or a seq.")
@click.option("--to", "end", metavar="MOMENT", help="Of what happened until then: an ISO time, or a seq.")
@click.option("--at", "--as-of", metavar="MOMENT", help="As it was then: an ISO time, or a seq; the same as --to.")
@click.option("--request", metavar="ID", help="About this request of a data subject.")
@click.option("--subject", metavar="SUBJECT", help="About this data subject.")
@click.option(
    "--format", "formats", type=click.Choice(FORMATS), multiple=True, help="In this form; can be given several times."
)
@click.option("--output", "-o", metavar="FOLDER", help="Write it there; otherwise its first table is printed.")
@click.option("--bundle", is_flag=True, help="With manifest, proof and the programs that check it; needs -o.")
@click.option("--reveal", metavar="REASON", help="Show personal values too; who and why is recorded.")
def report(
    *,
    name: str,
    begin: str | None,
    end: str | None,
    at: str | None,
    request: str | None,
    subject: str | None,
    formats: tuple[str, ...],
    output: str | None,
    bundle: bool,
    reveal: str | None,
) -> Shown | None:
    """Make a report of the ledger; NAME is one of those that `muniment report list` tells of.

    Only an admin of every organization may. The same events give the same bytes, whenever and wherever it is made.
    """
    if name == LIST:
        return _listed()
    if at is not None and end is not None:
        msg = "--at and --to mean the same; give one of them"
        raise click.UsageError(msg)
    if request is not None and subject is not None:
        msg = "a report is about a request or a data subject, not both"
        raise click.UsageError(msg)
    if bundle and output is None:
        msg = "a bundle is a folder; say which with -o"
        raise click.UsageError(msg)
    wanted_one, opened = reports.named(name), store()
    wanted = Wanted(
        formats=formats or _usual(page=wanted_one.page, written=output is not None),
        after=_before(begin),
        at=seq_at(opened, at or end),
        about=data_subjects.named(opened, subject).subject_id if subject else request,
        reveal=reveal,
    )
    if output is None:
        _print(wanted_one, wanted)
        return None
    folder = Path(output)
    if not bundle:
        written = making.write(opened, wanted_one, wanted, folder)
        return One(_values(written, folder), _told(written, folder))
    made, written = making.bundle(opened, wanted_one, wanted, folder)
    values = {**_values(written, folder), "report_id": made.report_id, "seq": made.seq, "manifest": made.manifest}
    return One(values, f"{_told(written, folder)}, recorded as event {made.seq}; verify_muniment.py checks it")


def _listed() -> Many:
    rows = [
        {
            "number": each.number,
            "name": each.name,
            "title": each.title,
            "reader": each.reader,
            "about": each.about.value if each.about else None,
            "columns": {sheet.name: {one.name: one.meaning for one in sheet.columns} for sheet in each.sheets},
        }
        for each in reports.listed()
    ]
    return Many(rows, ("number", "name", "title", "reader", "about"))


def _usual(*, page: bool, written: bool) -> tuple[str, ...]:
    """Return the forms for whoever names none: those that need nothing installed."""
    if not written:
        return (JSONL,)
    return (*(form for form in TABLES if form != "parquet"), *((HTML,) if page else ()))


def _before(begin: str | None) -> int:
    """Return the event after which a report begins."""
    if begin is None:
        return 0
    if begin.isdecimal():
        return max(0, int(begin) - 1)
    from muniment.app import clock  # noqa: PLC0415 (only where a time was given)

    return store().ledger.at(clock.from_text(begin) - 1)


def _print(wanted_one: Report, wanted: Wanted) -> None:
    if len(wanted.formats) != 1 or wanted.formats[0] not in {JSONL, "csv"}:
        msg = "without -o a report is printed as jsonl or csv, one of them"
        raise InvalidValueError(msg)
    chunks: Iterator[bytes] = making.stream(store(), wanted_one, wanted, wanted.formats[0])
    sys.stdout.buffer.writelines(chunks)
    sys.stdout.buffer.flush()


def _values(written: making.Written, folder: Path) -> dict[str, Any]:
    return {
        "folder": folder.name,
        "files": [{"name": each.name, "rows": each.rows} for each in written.files],
        "control_totals": written.totals,
    }


def _told(written: making.Written, folder: Path) -> str:
    rows = sum(int(total["rows"]) for total in written.totals.values())
    return f"{rows} rows in {len(written.files)} files in {folder.name}"
