"""What things are called: from ids to the names that people know, also for what is not there any more."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, TypeVar

from attrs import define, field, frozen

from muniment.domain.ports import Views
from muniment.domain.rows import (
    ArtifactRow,
    CollectionRow,
    LinkRow,
    OrganisationRow,
    ProjectRow,
    RegistryRow,
    Row,
    RunRow,
    TeamRow,
    TimelineRow,
    VersionRow,
)
from muniment.domain.values import ERASED_TEXT, REGISTRY_PREFIX, TeamId

R = TypeVar("R", bound=Row)

KINDS: Final[dict[str, tuple[type[Row], str]]] = {
    "version": (VersionRow, "version_id"),
    "artifact": (ArtifactRow, "artifact_id"),
    "run": (RunRow, "run_id"),
    "collection": (CollectionRow, "collection_id"),
    "registry": (RegistryRow, "registry_id"),
    "project": (ProjectRow, "project_id"),
    "team": (TeamRow, "team_id"),
    "organization": (OrganisationRow, "organisation_id"),
    "link": (LinkRow, "link_id"),
}
"""The kinds of things that have labels: their rows, and the key of these."""
KEYS: Final[dict[type[Row], str]] = dict(KINDS.values())
"""The keys of these rows."""


@frozen
class Label:
    """What a thing is, what it is called for short, and its whole path."""

    kind: str
    name: str
    path: str
    gone: bool = False


@define
class Labels:
    """Finds what things are called as of one moment, and remembers it; what ended goes by its last name."""

    views: Views
    at: int | None = None
    _rows: dict[tuple[type[Row], str], tuple[Row | None, bool]] = field(factory=dict)
    _kinds: dict[str, Callable[[str], Label | None]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._kinds = {
            "version": self.version,
            "artifact": self.artifact,
            "run": self.run,
            "collection": self.collection,
            "registry": self.registry,
            "project": self.project,
            "team": self.team,
            "organization": self.organisation,
            "link": self.link,
        }

    def of(self, id_: str) -> Label | None:
        """Return the label of anything; ``None`` if no such thing ever was."""
        kind = self._kind(id_)
        looks = self._kinds.values() if kind is None else (self._kinds[kind],)
        return next((label for look in looks if (label := look(id_)) is not None), None)

    def _kind(self, id_: str) -> str | None:
        """Return what a thing is, by its row now or after its first event: looking for its end costs much more."""
        first = self.views.select(TimelineRow, subject_id=id_, order="event_seq", limit=1)
        for at in (self.at, *(row.event_seq for row in first)):
            for name, (kind, key) in KINDS.items():
                if self._known(kind, id_) or self.views.find(kind, at=at, **{key: id_}) is not None:
                    return name
        return None

    def _known(self, kind: type[Row], id_: str) -> bool:
        return self._rows.get((kind, id_), (None, False))[0] is not None

    def version(self, id_: str) -> Label | None:
        """Return what a version is called: ``artifact:v3``."""
        row, _ = self.row(VersionRow, version_id=id_)
        return None if row is None else self.of_version(row)

    def of_version(self, row: VersionRow) -> Label:
        """Return what the version of a row is called."""
        artifact = self.artifact(row.artifact_id) or Label("artifact", ERASED_TEXT, ERASED_TEXT, gone=True)
        suffix = f":v{row.index}"
        return Label(
            "version", artifact.name + suffix, artifact.path + suffix, artifact.gone or row.state != "committed"
        )

    def artifact(self, id_: str) -> Label | None:
        """Return what an artifact is called."""
        row, gone = self.row(ArtifactRow, artifact_id=id_)
        return None if row is None else self._below("artifact", row.name, self.project(row.project_id), gone=gone)

    def artifact_row(self, id_: str) -> ArtifactRow | None:
        """Return an artifact, also one that is not there any more."""
        return self.row(ArtifactRow, artifact_id=id_)[0]

    def team_of(self, version: VersionRow) -> TeamId | None:
        """Return whose a version is or was; ``None`` if that is not known."""
        artifact = self.artifact_row(version.artifact_id)
        project = self.project_row(artifact.project_id) if artifact else None
        return TeamId(project.team_id) if project else None

    def project_row(self, id_: str) -> ProjectRow | None:
        """Return a project, also one that is not there any more."""
        return self.row(ProjectRow, project_id=id_)[0]

    def team_row(self, id_: str) -> TeamRow | None:
        """Return a team."""
        return self.row(TeamRow, team_id=id_)[0]

    def run(self, id_: str) -> Label | None:
        """Return what a run is called; its path ends in the short id that its user sees."""
        row, gone = self.row(RunRow, run_id=id_)
        if row is None:
            return None
        found = self._below("run", row.key, self.project(row.project_id), gone=gone)
        return Label("run", row.name or found.name, found.path, found.gone)

    def project(self, id_: str) -> Label | None:
        """Return what a project is called."""
        row, gone = self.row(ProjectRow, project_id=id_)
        return None if row is None else self._below("project", row.name, self.team(row.team_id), gone=gone)

    def team(self, id_: str) -> Label | None:
        """Return what a team is called."""
        row, gone = self.row(TeamRow, team_id=id_)
        return None if row is None else self._below("team", row.name, None, gone=gone)

    def organisation(self, id_: str) -> Label | None:
        """Return what an organisation is called."""
        row, gone = self.row(OrganisationRow, organisation_id=id_)
        return None if row is None else self._below("organization", row.name, None, gone=gone)

    def registry(self, id_: str) -> Label | None:
        """Return what a registry is called; its path is that of its project in W&B's eyes."""
        row, gone = self.row(RegistryRow, registry_id=id_)
        if row is None:
            return None
        full = None if row.name is None else REGISTRY_PREFIX + row.name
        found = self._below("registry", full, self.organisation(row.organisation_id), gone=gone)
        return Label("registry", row.name or ERASED_TEXT, found.path, found.gone)

    def collection(self, id_: str) -> Label | None:
        """Return what a collection of a registry is called."""
        row, gone = self.row(CollectionRow, collection_id=id_)
        return None if row is None else self._below("collection", row.name, self.registry(row.registry_id), gone=gone)

    def link(self, id_: str) -> Label | None:
        """Return what a link is called: ``collection:v3``."""
        row, gone = self.row(LinkRow, link_id=id_)
        collection = None if row is None else self.collection(row.collection_id)
        if row is None or collection is None:
            return None
        suffix = f":v{row.index}"
        return Label("link", collection.name + suffix, collection.path + suffix, gone or collection.gone)

    def row(self, kind: type[R], **key: str) -> tuple[R | None, bool]:
        """Return the row of a thing, and whether it had ended before the moment; then it is its last row."""
        ((_, id_),) = key.items()
        if (kind, id_) not in self._rows:
            live = self.views.find(kind, at=self.at, **key)
            self._rows[kind, id_] = (live, False) if live is not None else (self._last(kind, id_, key), True)
        row, gone = self._rows[kind, id_]
        assert row is None or isinstance(row, kind)  # noqa: S101 (the key of the memory says so)
        return row, gone

    def learn(self, kind: type[Row], ids: Collection[str]) -> None:
        """Look rows up many at a time, so that asking for them costs nothing; what ended is found when asked for."""
        key = KEYS[kind]
        unknown = sorted(id_ for id_ in ids if (kind, id_) not in self._rows)
        for row in self.views.gather(kind, key, unknown, at=self.at):
            self._rows[kind, getattr(row, key)] = (row, False)

    def forget(self, most: int) -> None:
        """Let go of what was looked up once it is more than *most* rows."""
        if len(self._rows) > most:
            self._rows.clear()

    def _last(self, kind: type[R], id_: str, key: dict[str, str]) -> R | None:
        """Return the row as it was before the event that ended it."""
        before = None if self.at is None else self.at + 1
        while True:
            events = self.views.select(
                TimelineRow, subject_id=id_, order="event_seq", after=before, descending=True, limit=20
            )
            for event in events:
                row = self.views.find(kind, at=event.event_seq - 1, **key)
                if row is not None:
                    return row
            if not events:
                return None
            before = events[-1].event_seq

    def _below(self, kind: str, name: str | None, parent: Label | None, *, gone: bool) -> Label:
        known = name or ERASED_TEXT
        path = known if parent is None else f"{parent.path}/{known}"
        return Label(kind, known, path, gone or (parent is not None and parent.gone))
