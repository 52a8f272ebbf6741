"""R5, the disposal register: what went from where, why, when, and how that was verified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from muniment.app.reports.shape import Cells, Report, Scope, Sheet, amount, counted, moment, number, text
from muniment.domain.policy import DAY
from muniment.domain.rows import DisposalRow


def rows(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each place that bytes went from."""
    for row in scope.each(DisposalRow, "at"):
        if row.at > scope.since:
            late = None if row.due_at is None else max(0, (row.at - row.due_at) // DAY)
            yield (
                row.disposal_id,
                row.owner_id,
                scope.name(row.owner_id),
                row.request_id,
                row.trigger,
                row.marked_at,
                row.due_at,
                row.at,
                late,
                row.place,
                row.method,
                row.verified_by,
                row.blobs,
                row.size,
                row.copies,
                row.residual,
            )


REPORT: Final = Report(
    name="disposals",
    number="R5",
    title="Disposal register",
    reader="data protection officers, auditors",
    sheets=(
        Sheet(
            "disposals",
            "What was disposed of",
            (
                text("disposal_id", "the id of the disposal"),
                text("object_id", "the id of what the bytes belonged to"),
                text("object_name", "its name; [erased] where it was redacted"),
                text("request_id", "the request to erase that it was done for"),
                counted("trigger", "why the bytes were let go"),
                moment("marked_at", "when it was marked deleted"),
                moment("due_at", "when it was due"),
                moment("purged_at", "when it was verified absent"),
                number("days_late", "how many whole days after it was due"),
                text("place", "where the copies were; empty for the store's own place"),
                counted("method", "how they went"),
                text("verified_by", "what was asked afterwards whether they are absent"),
                amount("blobs", "how many blobs"),
                amount("bytes", "how many bytes"),
                amount("copies", "how many copies, versions, delete markers and unfinished parts were removed"),
                amount("residual", "how many blobs could not go yet"),
            ),
            rows,
        ),
    ),
)
