"""R3, the record of processing (GDPR Art. 30): what was declared, beside what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import define, field

from muniment.app.reports.shape import Cells, Report, Scope, Sheet, amount, counted, flag, json_, moment, number, text
from muniment.domain.rows import ActivityRow, SubjectEntryRow, SubjectTargetRow, VersionRow
from muniment.domain.version import State


@define
class Holdings:
    """What is in each scope: versions, bytes, and how many of them are about data subjects."""

    versions: dict[str, int] = field(factory=dict)
    sizes: dict[str, int] = field(factory=dict)
    about: dict[str, int] = field(factory=dict)
    artifacts: dict[str, set[str]] = field(factory=dict)
    undeclared: dict[str, list[int]] = field(factory=dict)

    @classmethod
    def of(cls, scope: Scope) -> Holdings:
        """Return what is there, looked up once for all sheets."""
        if "holdings" not in scope.shared:
            scope.shared["holdings"] = cls().filled(scope)
        found: Holdings = scope.shared["holdings"]
        return found

    def filled(self, scope: Scope) -> Holdings:
        """Look at every version whose bytes are kept."""
        declared = {row.target for row in scope.each(ActivityRow, "declared_at")}
        for state in (State.COMMITTED, State.DELETED):
            for version in scope.each(VersionRow, "created_at", state=state.value):
                self._add(scope, version, declared)
        return self

    def _add(self, scope: Scope, version: VersionRow, declared: set[str]) -> None:
        found = [id_ for id_ in scopes_of(scope, version) if id_ in declared]
        personal = is_about_somebody(scope, version)
        for id_ in found:
            self.versions[id_] = self.versions.get(id_, 0) + 1
            self.sizes[id_] = self.sizes.get(id_, 0) + version.size
            self.about[id_] = self.about.get(id_, 0) + personal
            self.artifacts.setdefault(id_, set()).add(version.artifact_id)
        if personal and not found:
            held = self.undeclared.setdefault(version.artifact_id, [0, 0])
            held[0] += 1
            held[1] += version.size


def scopes_of(scope: Scope, version: VersionRow) -> Iterator[str]:
    """Yield the ids of the artifact, project, team and organisation that a version belongs to."""
    yield version.artifact_id
    artifact = scope.labels.artifact_row(version.artifact_id)
    project = scope.labels.project_row(artifact.project_id) if artifact else None
    team = scope.labels.team_row(project.team_id) if project else None
    if project is not None:
        yield project.project_id
    if team is not None:
        yield from (team.team_id, team.organisation_id)


def is_about_somebody(scope: Scope, version: VersionRow) -> bool:
    """Whether a version, its artifact, its run or an entry of it was attached to a data subject."""
    views, at = scope.store.views, scope.at
    targets = [version.version_id, version.artifact_id, *([version.run_id] if version.run_id else [])]
    if views.gather(SubjectTargetRow, "target", targets, at=at):
        return True
    return bool(views.select(SubjectEntryRow, at=at, version_id=version.version_id, order="entry_id", limit=1))


def activities(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each activity that goes on."""
    there = Holdings.of(scope)
    for row in scope.each(ActivityRow, "declared_at"):
        yield (
            row.activity_id,
            row.part,
            row.name,
            row.purpose,
            row.legal_basis,
            row.subject_categories,
            row.data_categories,
            row.special,
            row.recipients,
            row.transfers,
            row.retention,
            row.measures,
            scope.value(row.contacts),
            row.scope,
            row.target,
            scope.name(row.target),
            row.declared_by,
            row.declared_at,
            len(there.artifacts.get(row.target, ())),
            there.versions.get(row.target, 0),
            there.sizes.get(row.target, 0),
            there.about.get(row.target, 0),
        )


def undeclared(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each artifact about data subjects for which nothing was declared."""
    for artifact_id, (versions, size) in sorted(Holdings.of(scope).undeclared.items()):
        yield artifact_id, scope.name(artifact_id), versions, size


REPORT: Final = Report(
    name="processing",
    number="R3",
    title="Record of processing activities",
    reader="data protection officers, supervisory authorities",
    note="Purposes, legal bases, categories, recipients and measures are as declared; numbers are counted.",
    sheets=(
        Sheet(
            "activities",
            "Activities",
            (
                text("activity_id", "the id of the activity"),
                counted("part", "controller (Art. 30(1)) or processor (Art. 30(2))"),
                text("activity", "its name"),
                text("purpose", "what data is processed for"),
                counted("legal_basis", "the letter of Art. 6(1)"),
                text("subject_categories", "whom the data is about"),
                text("data_categories", "what kinds of data"),
                flag("special", "whether categories of Art. 9 are among them"),
                text("recipients", "who receives them"),
                text("transfers", "third countries, with the safeguards"),
                text("retention", "the time limits for erasure, in words"),
                text("measures", "technical and organisational measures"),
                json_("contacts", "controller, representative and officer, where the report shows personal values"),
                text("scope", "what kind of thing it was declared for"),
                text("target", "the id of that"),
                text("target_name", "its name; [erased] where it was redacted"),
                text("declared_by", "the id of who declared it last"),
                moment("declared_at", "when"),
                number("artifacts", "how many artifacts with versions are in the scope"),
                amount("versions", "how many versions whose bytes are kept"),
                amount("bytes", "how many bytes these have"),
                amount("about_subjects", "how many of the versions were attached to data subjects"),
            ),
            activities,
        ),
        Sheet(
            "undeclared",
            "About data subjects, and nothing declared",
            (
                text("artifact_id", "the id of the artifact"),
                text("artifact", "its name; [erased] where it was redacted"),
                amount("versions", "how many of its versions were attached to data subjects"),
                amount("bytes", "how many bytes these have"),
            ),
            undeclared,
        ),
    ),
)
