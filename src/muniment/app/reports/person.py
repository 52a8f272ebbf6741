"""What belongs into the package of one person: what is stored about it, and nothing of anybody else.

What is also attached to somebody else is named by its version only: neither its path nor its bytes are handed out,
because only a person can take the others out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

from muniment.app import manifests
from muniment.app.erasing import data_subjects
from muniment.app.erasing.data_subjects import Attached
from muniment.app.files.download import open_entry
from muniment.app.manifests import Manifest
from muniment.app.reports.shape import Cells, Scope, Sheet, amount, counted, json_, text
from muniment.app.store import Store
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import NotFoundError
from muniment.domain.manifest import Entry
from muniment.domain.rows import DataSubjectRow, RequestRow, RunRow, SubjectEntryRow, SubjectTargetRow, VersionRow
from muniment.domain.values import Digest
from muniment.domain.version import State

HERE, SHARED, ELSEWHERE, GONE = "handed out", "also about others", "not stored here", "bytes are gone"
_BLOCK: Final = 1 << 20
_ENDING: Final = re.compile(r"\.[A-Za-z0-9]{1,8}")


@frozen
class Thing:
    """An entry about the person: what becomes of it, and as which file it is handed out."""

    version: VersionRow
    path: str | None
    entry: Entry | None
    fate: str
    file: str | None = None


def request(scope: Scope) -> RequestRow:
    """Return the request that the package answers."""
    row = scope.store.views.find(RequestRow, at=scope.at, request_id=scope.about or "")
    assert row is not None  # noqa: S101 (the scope was checked)
    return row


def subject(scope: Scope) -> DataSubjectRow:
    """Return the person as it is known."""
    row = scope.store.views.find(DataSubjectRow, at=scope.at, subject_id=request(scope).subject_id)
    assert row is not None  # noqa: S101 (a request is about one that there is)
    return row


def versions(scope: Scope) -> list[VersionRow]:
    """Return the versions that hold something about the person, in the order in which they were made."""
    if "versions" not in scope.shared:
        views, found = scope.store.views, attached(scope)
        targets = [row.target for row in found.targets]
        rows = [
            *views.gather(VersionRow, "version_id", targets, at=scope.at),
            *views.gather(VersionRow, "artifact_id", targets, at=scope.at),
            *views.gather(VersionRow, "version_id", [row.version_id for row in found.entries], at=scope.at),
        ]
        known = {row.version_id: row for row in rows}
        scope.shared["versions"] = sorted(known.values(), key=lambda row: row.created_seq)
    held: list[VersionRow] = scope.shared["versions"]
    return held


def attached(scope: Scope) -> Attached:
    """Return what was attached to the person."""
    return data_subjects.attached(scope.store.views, request(scope).subject_id, scope.at)


def things(scope: Scope) -> list[Thing]:
    """Return every entry about the person, in the order of versions and paths; looked up once."""
    if "things" not in scope.shared:
        found, numbers = attached(scope), 0
        listed: list[Thing] = []
        for version in versions(scope):
            for thing in _of_version(scope, version, found):
                numbers += thing.fate == HERE
                named = _named(thing, numbers) if thing.fate == HERE else thing
                listed.append(named)
        scope.shared["things"] = listed
    held: list[Thing] = scope.shared["things"]
    return held


def is_shared(scope: Scope, version: VersionRow) -> bool:
    """Whether a version, its artifact or its run is attached as a whole to somebody else too."""
    ids = [version.version_id, version.artifact_id, *([version.run_id] if version.run_id else [])]
    rows = scope.store.views.gather(SubjectTargetRow, "target", ids, at=scope.at)
    return any(row.subject_id != request(scope).subject_id for row in rows)


def is_whole(scope: Scope, version: VersionRow) -> bool:
    """Whether all of a version is about the person and about nobody else who is known."""
    whole = {row.target for row in attached(scope).targets} & {version.version_id, version.artifact_id}
    return bool(whole) and not is_shared(scope, version) and not _of_others(scope, version)


def _of_others(scope: Scope, version: VersionRow) -> set[str | None]:
    rows = scope.store.views.select(SubjectEntryRow, at=scope.at, version_id=version.version_id, order="entry_id")
    return {row.path for row in rows if row.subject_id != request(scope).subject_id}


def _of_version(scope: Scope, version: VersionRow, found: Attached) -> Iterator[Thing]:
    shared, others = is_shared(scope, version), _of_others(scope, version)
    manifest = _manifest(scope, version)
    whole = any(row.target in {version.version_id, version.artifact_id} for row in found.targets)
    ours = sorted({row.path for row in found.entries if row.version_id == version.version_id and row.path})
    if manifest is None:
        yield Thing(version, None, None, GONE)
        return
    entries = manifest.entries() if whole else (manifest.get(path) for path in ours)
    for entry in entries:
        if entry is None:
            yield Thing(version, None, None, GONE)
        elif shared or entry.path in others:
            yield Thing(version, None, None, SHARED)
        elif entry.ref is not None:
            yield Thing(version, entry.path, entry, ELSEWHERE)
        else:
            yield Thing(version, entry.path, entry, HERE)


def _named(thing: Thing, number: int) -> Thing:
    """Return a thing with the name of its file: a number and the ending of its path, nothing else that was typed."""
    ending = _ENDING.fullmatch(Path(thing.path or "").suffix)
    return Thing(
        thing.version, thing.path, thing.entry, HERE, f"data-{number:06}{ending[0].lower() if ending else '.bin'}"
    )


def _manifest(scope: Scope, version: VersionRow) -> Manifest | None:
    if version.manifest is None or version.state not in {State.COMMITTED.value, State.DELETED.value}:
        return None
    try:
        return manifests.read(_store(scope, version).blobs, scope.store.codec, Digest(version.manifest))
    except NotFoundError:
        return None


def _store(scope: Scope, version: VersionRow) -> Store:
    team_id = scope.labels.team_of(version)
    return scope.store if team_id is None else scope.store.of_team(team_id)


# --- sheets and files ------------------------------------------------------------------------------------------------


def data(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each entry about the person."""
    for thing in things(scope):
        entry = thing.entry
        yield (
            scope.name(thing.version.version_id),
            thing.path,
            thing.fate,
            thing.file,
            entry.size if entry else None,
            entry.digest if entry and entry.ref is None else None,
            entry.ref if entry else None,
        )


def values(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each personal value about the person: who it is, what it wrote, what was said of its data."""
    who = subject(scope)
    yield "identity", None, scope.value(who.identity)
    for row in scope.each(RequestRow, "received_at", subject_id=who.subject_id):
        if row.text is not None:
            yield "request", row.request_id, scope.value(row.text)
    for version in versions(scope):
        if is_whole(scope, version):
            for what, slot in (("description", version.description), ("metadata", version.metadata)):
                if slot is not None:
                    yield what, scope.name(version.version_id), scope.value(slot)
    runs = [row.target for row in attached(scope).targets if row.kind == TargetKind.RUN.value]
    for run in scope.store.views.gather(RunRow, "run_id", sorted(runs), at=scope.at):
        others = scope.store.views.gather(SubjectTargetRow, "target", [run.run_id], at=scope.at)
        for what, slot in (("notes", run.notes), ("config", run.config), ("summary", run.summary)):
            if slot is not None and {row.subject_id for row in others} == {who.subject_id}:
                yield what, scope.name(run.run_id), scope.value(slot)


def copied(scope: Scope, folder: Path) -> Iterator[str]:
    """Write the contents that are handed out into the folder and yield their names; they are verified on the way."""
    for thing in things(scope):
        if thing.file is not None and thing.entry is not None:
            with (
                open_entry(_store(scope, thing.version), thing.entry) as source,
                (folder / thing.file).open("wb") as file,
            ):
                while block := source.read(_BLOCK):
                    file.write(block)
            yield thing.file


DATA: Final = Sheet(
    "data",
    "Files about you",
    (
        text("version", "the version that the file belongs to"),
        text("path", "its path there"),
        counted("fate", "handed out, also about others, not stored here, or bytes are gone"),
        text("file", "the file beside this one that holds it"),
        amount("bytes", "its size"),
        text("sha256", "the SHA-256 of what it holds"),
        text("reference", "where it lies if it is not stored here"),
    ),
    data,
)
VALUES: Final = Sheet(
    "values",
    "What is written about you",
    (
        counted("what", "what kind of value"),
        text("of", "what it was written for"),
        json_("value", "the value"),
    ),
    values,
)
