"""R13, impact: which versions the data of a person went into, and where these stand now."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from muniment.app import impact
from muniment.app.impact import CHUNK, Reached, State
from muniment.app.reports.shape import About, Cells, Report, Scope, Sheet, counted, flag, number, text
from muniment.domain.rows import AliasRow, DataSubjectRow, LinkRow, RunRow, VersionRow
from muniment.domain.values import ERASED_TEXT

ACTIONS: Final = {
    State.CONTAINS: "erase, restrict or keep with a ground",
    State.TRAINED_ON: "decide about retraining; whether the model still holds the data is not known",
    State.EVALUATED_ON: "decide about the figures; the version itself was not made from the data",
    State.UNKNOWN: "find out what the run did with the data",
}


def rows(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each data subject and version that its data may have gone into."""
    subjects = [scope.about] if scope.about else [row.subject_id for row in scope.each(DataSubjectRow, "registered_at")]
    for subject_id in subjects:
        reached = impact.of_subject(scope.store.views, subject_id, scope.at)
        while some := list(islice(reached, CHUNK)):
            yield from _told(scope, subject_id, some)


def _told(scope: Scope, subject_id: str, reached: list[Reached]) -> Iterator[Cells]:
    views, at = scope.store.views, scope.at
    ids = [each.version_id for each in reached]
    scope.labels.forget(2 * CHUNK)
    scope.labels.learn(VersionRow, ids)
    scope.labels.learn(RunRow, {each.run_id for each in reached if each.run_id})
    aliases: dict[str, list[str]] = {}
    for row in views.gather(AliasRow, "version_id", ids, at=at):
        aliases.setdefault(row.version_id or "", []).append(row.alias or ERASED_TEXT)
    linked = {row.version_id for row in views.gather(LinkRow, "version_id", ids, at=at)}
    for each in reached:
        version, _ = scope.labels.row(VersionRow, version_id=each.version_id)
        run, _ = scope.labels.row(RunRow, run_id=each.run_id) if each.run_id else (None, False)
        yield (
            subject_id,
            each.version_id,
            scope.name(each.version_id),
            each.state.text,
            int(each.partly),
            each.steps,
            each.before or None,
            each.run_id or None,
            run.job_type if run else None,
            version.state if version else None,
            "\n".join(sorted(aliases.get(each.version_id, []))) or None,
            int(each.version_id in linked),
            ACTIONS[each.state],
        )


REPORT: Final = Report(
    name="impact",
    number="R13",
    title="Subject, data and model impact",
    reader="data protection officers, owners of models",
    about=About.SUBJECT,
    note=(
        "What a run did is told from its job type; where that says nothing the state is unknown. "
        "No state says that a model holds nothing of the data."
    ),
    sheets=(
        Sheet(
            "versions",
            "Versions that the data went into, or may have",
            (
                text("subject_id", "the random id of the data subject"),
                text("version_id", "the id of the version"),
                text("version", "its name; [erased] where it was redacted"),
                counted("state", "contains, trained-on, evaluated-on or unknown"),
                flag("partly", "whether only entries of it are about the data subject"),
                number("steps", "how many steps it is away from what contains the data"),
                text("from_id", "the id of the version that it was made from"),
                text("run_id", "the id of the run that made it"),
                text("job_type", "what kind of run that was"),
                counted("kept", "committed, deleted or purged"),
                text("aliases", "the aliases that point at it, a line each"),
                flag("linked", "whether it is linked into a registry"),
                text("proposed", "what somebody should decide"),
            ),
            rows,
        ),
    ),
)
