"""R12, recipients and downloads: who took which version, when, and in which run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from muniment.app import directory
from muniment.app.reports.shape import Cells, Report, Scope, Sheet, amount, counted, moment, number, text
from muniment.domain.ports import Recorded
from muniment.domain.principal import VersionDownloaded, VersionUsed


def uses(scope: Scope) -> Iterator[tuple[Recorded, VersionUsed | VersionDownloaded]]:
    """Yield every use and download, in the order in which they happened."""
    for recorded in scope.store.ledger.read(after=scope.after, until=scope.at):
        if isinstance(recorded.event, VersionUsed | VersionDownloaded):
            yield recorded, recorded.event


def rows(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each use and download."""
    for recorded, event in uses(scope):
        downloaded = event if isinstance(event, VersionDownloaded) else None
        logins = directory.logins(scope.store, {recorded.actor}) if scope.revealed else {}
        yield (
            recorded.seq,
            recorded.recorded_at,
            "downloaded" if downloaded else "used",
            event.version_id,
            scope.name(event.version_id),
            recorded.actor,
            scope.actor_kind(recorded.actor),
            recorded.on_behalf_of,
            recorded.run,
            scope.name(recorded.run),
            recorded.source,
            downloaded.entries if downloaded else None,
            downloaded.size if downloaded else None,
            logins.get(recorded.actor),
        )


REPORT: Final = Report(
    name="recipients",
    number="R12",
    title="Recipients and downloads",
    reader="data protection officers",
    sheets=(
        Sheet(
            "uses",
            "Uses and downloads",
            (
                number("seq", "the place of the event in the ledger"),
                moment("at", "when"),
                counted("what", "used as the input of a run or of work outside of one, or downloaded"),
                text("version_id", "the id of the version"),
                text("version", "its name; [erased] where it was redacted"),
                text("recipient", "the id of who took it"),
                counted("recipient_kind", "human, service or system"),
                text("on_behalf_of", "the id of whom it was taken for"),
                text("run_id", "the id of the run"),
                text("run", "the run"),
                text("source", "through what it was taken"),
                amount("entries", "how many entries were downloaded"),
                amount("bytes", "how many bytes"),
                text("login", "who took it, where the report shows personal values"),
            ),
            rows,
        ),
    ),
)
