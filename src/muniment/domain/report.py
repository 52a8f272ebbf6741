"""A report that was made from the ledger: that it was made, when the ledger was how long, and what is in it."""

from __future__ import annotations

from typing import ClassVar, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import ConflictError
from muniment.domain.values import Audit, Digest, Personal, Words


@frozen
class ReportGenerated(Event):
    """A report was made of the ledger of this size and root; the digest is of its manifest without the log's part."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE

    size: int
    root: Digest
    report: Words[str]
    manifest: Words[Digest]


@frozen
class ValuesRevealed(Event):
    """Personal values are shown in a report of the first *size* events, for a reason."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE

    size: int
    report: Words[str]
    reason: Personal[str]


ReportEvent: TypeAlias = ReportGenerated | ValuesRevealed


@frozen
class Report:
    """Whether a report was made."""

    made: bool = False


def generate(report: Report, generated: ReportGenerated) -> list[ReportEvent]:
    """Say that a report was made, once."""
    if report.made:
        msg = "this report was made before — make another one under an id of its own"
        raise ConflictError(msg)
    return [generated]


def reveal(report: Report, revealed: ValuesRevealed) -> list[ReportEvent]:
    """Say that personal values are shown, each time that they are."""
    del report
    return [revealed]


def evolve(report: Report, event: ReportEvent) -> Report:
    """Return the state after an event."""
    match event:
        case ReportGenerated():
            return replace(report, made=True)
        case ValuesRevealed():
            return report
        case _:
            assert_never(event)


REPORT: Decider[Report, ReportEvent] = Decider("report", Report(), evolve)
