"""R6, the hold register: which holds were placed, on what, and how much they keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from muniment.app import holds
from muniment.app.reports.shape import (
    Cells,
    Report,
    Scope,
    Sheet,
    amount,
    counted,
    flag,
    moment,
    text,
)
from muniment.domain.approval import Act, Stage
from muniment.domain.rows import HoldRow, ProposalRow, VersionRow
from muniment.domain.version import State


def rows(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each hold there ever was."""
    found = list(scope.each(HoldRow, "placed_at"))
    objects, sizes = _held(scope, any(row.state == holds.PLACED for row in found))
    for row in found:
        if row.placed_at > scope.since or row.released_at is None or row.released_at > scope.since:
            review = row.state == holds.PLACED and row.review_by is not None and row.review_by <= scope.moment
            yield (
                row.hold_id,
                row.state,
                row.kind,
                scope.value(row.matter),
                row.scope,
                row.target,
                row.tag if row.scope == "tag" else scope.name(row.target),
                row.placed_by,
                row.placed_at,
                row.review_by,
                int(review),
                _approver(scope, row),
                row.released_at,
                objects[row.hold_id],
                sizes[row.hold_id],
            )


def _held(scope: Scope, wanted: bool) -> tuple[Counter[str], Counter[str]]:  # noqa: FBT001 (read where it is called)
    """Return how many versions each hold keeps, and how many bytes."""
    objects: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for state in (State.COMMITTED, State.DELETED) if wanted else ():
        for version in scope.each(VersionRow, "created_at", state=state.value):
            for row in holds.on_version(scope.store.views, version, scope.at):
                objects[row.hold_id] += 1
                sizes[row.hold_id] += version.size
    return objects, sizes


def _approver(scope: Scope, row: HoldRow) -> str | None:
    if row.released_at is None:
        return None
    proposals = scope.each(ProposalRow, "proposed_at", act=Act.RELEASE_HOLD.value, target=row.hold_id)
    return next((each.approved_by for each in proposals if each.state == Stage.CARRIED_OUT.value), None)


REPORT: Final = Report(
    name="holds",
    number="R6",
    title="Hold register",
    reader="lawyers, data protection officers",
    sheets=(
        Sheet(
            "holds",
            "Holds",
            (
                text("hold_id", "the id of the hold"),
                counted("state", "placed or released"),
                counted("kind", "litigation, regulatory or investigation"),
                text("matter", "what it is for, where the report shows personal values"),
                counted("scope", "what kind of thing it holds"),
                text("target", "the id of that"),
                text("target_name", "its name, or the tag"),
                text("placed_by", "the id of who placed it"),
                moment("placed_at", "when it was placed"),
                moment("review_by", "when somebody is to look again"),
                flag("review_overdue", "whether that moment has passed"),
                text("release_approved_by", "the id of who approved its release"),
                moment("released_at", "when it was released"),
                amount("objects", "how many versions it keeps"),
                amount("bytes", "how many bytes these have"),
            ),
            rows,
        ),
    ),
)
