"""R7, the request register: what data subjects asked for, until when, and what was done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from muniment.app.reports.shape import (
    Cells,
    Report,
    Scope,
    Sheet,
    amount,
    counted,
    flag,
    moment,
    number,
    text,
)
from muniment.domain.policy import DAY
from muniment.domain.request import MONTHS, Stage, months_after
from muniment.domain.rows import RequestRow


def rows(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each request."""
    for row in scope.each(RequestRow, "received_at"):
        if row.received_at > scope.since or row.closed_at is None or row.closed_at > scope.since:
            end = row.closed_at or scope.moment
            yield (
                row.request_id,
                row.subject_id,
                row.right,
                row.stage,
                row.received_at,
                int(row.stage != Stage.RECEIVED.value),
                row.due_at,
                int(row.due_at > months_after(row.received_at, MONTHS)),
                row.verdict,
                row.decided_at,
                row.exemption,
                len((row.kept or "").split()),
                row.found,
                row.erased,
                row.residual,
                row.certificate_id,
                row.closed_at,
                max(0, (end - row.received_at) // DAY),
                int(end > row.due_at),
                scope.value(row.text),
                scope.value(row.ground),
            )


REPORT: Final = Report(
    name="requests",
    number="R7",
    title="Register of data subject requests",
    reader="data protection officers",
    sheets=(
        Sheet(
            "requests",
            "Requests",
            (
                text("request_id", "the id of the request"),
                text("subject_id", "the random id of the data subject"),
                counted("right", "what was asked for"),
                counted("stage", "how far it is"),
                moment("received_at", "when it arrived"),
                flag("identified", "whether who asks was identified"),
                moment("due_at", "until when it must be answered"),
                flag("extended", "whether the deadline was put off"),
                counted("decision", "what was decided"),
                moment("decided_at", "when"),
                text("exemption", "the letter of Art. 17(3) by which something is kept"),
                amount("kept", "how many things are kept by that"),
                amount("found", "how many things were found"),
                amount("erased", "how many were erased"),
                amount("residual", "how many copies were left for a while"),
                text("certificate_id", "the id of the certificate of erasure"),
                moment("closed_at", "when the person had been told"),
                number("days", "whole days from its arrival until it was closed, or until now"),
                flag("late", "whether it took longer than it may"),
                text("text", "what the person wrote, where the report shows personal values"),
                text("ground", "why it was decided so, where the report shows personal values"),
            ),
            rows,
        ),
    ),
)
