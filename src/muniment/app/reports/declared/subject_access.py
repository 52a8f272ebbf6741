"""R8, the answer to a request for access (GDPR Art. 15): data, purposes, recipients, retention, consultations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from muniment.app.reports import person
from muniment.app.reports.shape import About, Cells, Report, Scope, Sheet, counted, json_, moment, text
from muniment.app.retention import Book
from muniment.domain.principal import VersionDownloaded, VersionUsed
from muniment.domain.rows import ActivityRow, EdgeRow, MemberRow, VersionRow

RIGHTS: Final = (
    ("rectification", "Art. 16", "You may ask for wrong data to be put right."),
    ("erasure", "Art. 17", "You may ask for data to be erased, unless something in Art. 17(3) stands against it."),
    ("restriction", "Art. 18", "You may ask for data to be kept and not used."),
    ("portability", "Art. 20", "You may ask for what you gave in a form that machines read."),
    ("objection", "Art. 21", "You may object to processing that rests on Art. 6(1)(e) or (f)."),
    ("complaint", "Art. 77", "You may complain to the supervisory authority of where you live, work, or were wronged."),
)


def versions(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each version with something about the person: where it is from, and how long it is kept."""
    views, at = scope.store.views, scope.at
    book = Book(views, scope.store.config.grace, at)
    for version in person.versions(scope):
        made = views.select(EdgeRow, at=at, version_id=version.version_id, role="out", order="edge_seq", limit=1)
        decision = book.decide(version, scope.moment)
        yield (
            scope.name(version.version_id),
            version.created_at,
            scope.name(made[0].run_id) if made else "logged outside of a run",
            version.state,
            decision.due_at,
        )


def purposes(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each activity that something about the person is processed for."""
    wanted = {id_ for version in person.versions(scope) for id_ in _scopes(scope, version)}
    for row in scope.each(ActivityRow, "declared_at"):
        if row.target in wanted:
            yield (
                row.name,
                row.purpose,
                row.legal_basis,
                row.data_categories,
                row.recipients,
                row.transfers,
                row.retention,
                scope.value(row.contacts),
            )


def consultations(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each use and download: when and by what function, never by whom."""
    wanted = {version.version_id: scope.name(version.version_id) for version in person.versions(scope)}
    for recorded in scope.store.ledger.read(until=scope.at):
        event = recorded.event
        if isinstance(event, VersionUsed | VersionDownloaded) and event.version_id in wanted:
            what = "used" if isinstance(event, VersionUsed) else "downloaded"
            role = scope.store.views.find(
                MemberRow, at=recorded.seq, scope_id=recorded.organisation, member_id=recorded.actor
            )
            yield recorded.recorded_at, what, wanted[event.version_id], role.role if role else "member of a team"


def rights(scope: Scope) -> Iterator[Cells]:
    """Yield what else the person may ask for."""
    del scope
    yield from RIGHTS


def files(scope: Scope, folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Write the data itself."""
    del names
    return person.copied(scope, folder)


def _scopes(scope: Scope, version: VersionRow) -> Iterator[str]:
    artifact = scope.labels.artifact_row(version.artifact_id)
    project = scope.labels.project_row(artifact.project_id) if artifact else None
    team = scope.labels.team_row(project.team_id) if project else None
    yield version.artifact_id
    yield from (project.project_id,) if project else ()
    yield from (team.team_id, team.organisation_id) if team else ()


REPORT: Final = Report(
    name="subject-access",
    number="R8",
    title="What is stored about you",
    reader="the person who asked",
    about=About.REQUEST,
    needed=True,
    private=True,
    note=(
        "This is the answer to your request for access under Art. 15 of the GDPR. "
        "Files that are also about others are named and not handed out; ask for them, and somebody will look at them."
    ),
    sheets=(
        person.VALUES,
        person.DATA,
        Sheet(
            "versions",
            "Where that is from, and how long it is kept",
            (
                text("version", "the version"),
                moment("made_at", "when it was made"),
                text("source", "the run that made it"),
                counted("state", "committed, deleted or purged"),
                moment("due_at", "when it goes, if nothing changes"),
            ),
            versions,
        ),
        Sheet(
            "purposes",
            "What it is processed for",
            (
                text("activity", "what is done"),
                text("purpose", "what for"),
                counted("legal_basis", "the letter of Art. 6(1)"),
                text("data_categories", "what kinds of data"),
                text("recipients", "who receives them"),
                text("transfers", "third countries, with the safeguards"),
                text("retention", "the time limits for erasure, in words"),
                json_("contacts", "whom to turn to"),
            ),
            purposes,
        ),
        Sheet(
            "consultations",
            "When it was used and downloaded",
            (
                moment("at", "when"),
                counted("what", "used or downloaded"),
                text("version", "the version"),
                counted("function", "in what function; whose it was is not told"),
            ),
            consultations,
        ),
        Sheet(
            "rights",
            "What else you may ask for",
            (text("right", "the right"), text("article", "where it stands"), text("meaning", "what it means")),
            rights,
        ),
    ),
    files=files,
)
