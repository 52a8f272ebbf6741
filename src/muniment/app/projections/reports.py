"""Reports that were made, and what data was declared to be processed for."""

from __future__ import annotations

from collections.abc import Sequence

from muniment.app.projections.catalog import known, slot
from muniment.domain import processing, report
from muniment.domain.ports import Recorded
from muniment.domain.rows import ActivityRow, Change, Close, Insert, Put, ReportRow


def fold(recorded: Recorded) -> Sequence[Change]:
    """Return what an event changes about reports and activities."""
    at, actor = recorded.recorded_at, recorded.actor
    match recorded.event:
        case report.ReportGenerated(size=size, report=name):
            return [Insert(ReportRow(recorded.stream, known(name), size, actor, at))]
        case processing.ActivityDeclared() as told:
            row = ActivityRow(
                activity_id=recorded.stream,
                scope=told.scope.value,
                target=told.target,
                part=told.part.value,
                special=int(told.special),
                name=known(told.name),
                purpose=known(told.purpose),
                legal_basis=told.legal_basis.value if told.legal_basis else None,
                subject_categories=known(told.subject_categories),
                data_categories=known(told.data_categories),
                recipients=known(told.recipients),
                transfers=known(told.transfers),
                retention=known(told.retention),
                measures=known(told.measures),
                contacts=slot(told.contacts),
                declared_by=actor,
                declared_at=at,
            )
            return [Put(row)]
        case processing.ActivityEnded():
            return [Close(ActivityRow, (recorded.stream,))]
        case _:
            return ()
