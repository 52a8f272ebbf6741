"""What was disposed of, what shows it, and what could not go yet."""

from __future__ import annotations

from collections.abc import Iterator

import click

from muniment.app import clock, subjects
from muniment.app.cli.frame import command, store
from muniment.app.cli.show import Many, Shown, Values
from muniment.app.places import OWN_NAME
from muniment.app.reach import name_of
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError
from muniment.domain.rows import DisposalRow, ResidualRow, VersionRow
from muniment.domain.values import ERASED_TEXT, Micros, VersionId

PAGE = 500
GONE = ("at", "name", "trigger", "place", "method", "verified_by", "blobs", "bytes", "residual")
LEFT = ("found_at", "place", "why", "copies", "ends_at", "disposal_id")


@command(examples=("muniment disposals", "muniment disposals mnist:v0", "muniment disposals --since 2026-03-01 --json"))
@click.argument("name", required=False)
@click.option("--since", metavar="MOMENT", help="Not before: an ISO time such as 2026-03-03T12:00Z.")
@click.option("--left", is_flag=True, help="Show the copies that could not go yet instead, and when that ends.")
def disposals(name: str | None, since: str | None, left: bool) -> Shown:
    """Show what was removed for good, why, from which place, by which means, and by what it was verified absent.

    NAME is a version: [entity/][project/]name:vN. Without it all are shown, those of bytes that no version had too.
    """
    opened = store()
    begin = None if since is None else clock.from_text(since)
    if left:
        if name is not None:
            msg = "--left shows the copies of all versions — leave the name out"
            raise InvalidValueError(msg)
        return Many(_left(opened, begin), LEFT, "no copy is left")
    return Many(_disposals(opened, name, begin), GONE, "nothing was disposed of")


def _disposals(opened: Store, name: str | None, since: Micros | None) -> Iterator[Values]:
    views, after = opened.views, None if since is None else since - 1
    if name is not None:
        owner = subjects.version_or_run(opened, name).id
        rows = views.select(DisposalRow, owner_id=owner, order="at", after=after)
        yield from (_disposal(opened, row) for row in rows)
        return
    while page := views.select(DisposalRow, order="at", after=after, limit=PAGE):
        yield from (_disposal(opened, row) for row in page)
        after = page[-1].at


def _disposal(opened: Store, row: DisposalRow) -> Values:
    version = opened.views.find(VersionRow, version_id=VersionId(row.owner_id)) if row.owner_id else None
    return {
        "at": clock.to_text(row.at),
        "name": name_of(opened, version) if version else None,
        "owner_id": row.owner_id,
        "trigger": row.trigger,
        "place": _place(row.place),
        "method": row.method,
        "verified_by": row.verified_by,
        "blobs": row.blobs,
        "bytes": row.size,
        "copies": row.copies,
        "residual": row.residual,
        "marked_at": clock.told(row.marked_at),
        "due_at": clock.told(row.due_at),
        "request_id": row.request_id,
        "disposal_id": row.disposal_id,
    }


def _left(opened: Store, since: Micros | None) -> Iterator[Values]:
    after = None if since is None else since - 1
    for row in opened.views.select(ResidualRow, state="left", order="found_at", after=after):
        yield {
            "found_at": clock.to_text(row.found_at),
            "place": _place(row.place),
            "why": row.why,
            "copies": row.copies,
            "ends_at": clock.told(row.ends_at),
            "disposal_id": row.disposal_id,
            "residual_id": row.residual_id,
        }


def _place(place: str | None) -> str:
    return ERASED_TEXT if place is None else place or OWN_NAME
