"""R11, residual copies: what could not go yet, where, why, and when that ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from muniment.app.reports.shape import Cells, Report, Scope, Sheet, amount, counted, flag, moment, text
from muniment.domain.rows import ResidualRow


def rows(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each place where copies were left."""
    for row in scope.each(ResidualRow, "found_at"):
        if row.found_at > scope.since or row.ended_at is None or row.ended_at > scope.since:
            overdue = row.ended_at is None and row.ends_at is not None and row.ends_at <= scope.moment
            yield (
                row.residual_id,
                row.disposal_id,
                row.state,
                row.place,
                row.why,
                row.copies,
                row.found_at,
                row.ends_at,
                row.ended_at,
                int(overdue),
            )


REPORT: Final = Report(
    name="residuals",
    number="R11",
    title="Residual copies",
    reader="data protection officers",
    sheets=(
        Sheet(
            "residuals",
            "Copies that were left",
            (
                text("residual_id", "the id of what was left"),
                text("disposal_id", "the disposal that left it"),
                counted("state", "left, or gone since"),
                text("place", "where the copies are; empty for the store's own place"),
                counted("why", "what keeps them"),
                amount("copies", "how many"),
                moment("found_at", "when they were found to be left"),
                moment("ends_at", "when what keeps them ends, if anybody said so"),
                moment("ended_at", "when they were verified absent, or wanted again"),
                flag("overdue", "whether they could have gone and did not yet"),
            ),
            rows,
        ),
    ),
)
