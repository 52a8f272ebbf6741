"""What a store holds, in numbers: every version is looked at once, no manifest and no blob is read."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, frozen

from muniment.app import projector
from muniment.app.projector import Progress
from muniment.app.reach import sites
from muniment.app.store import Store
from muniment.domain.ports import Views
from muniment.domain.rows import ArtifactRow, ProjectRow, TeamRow, VersionRow
from muniment.domain.values import ERASED_TEXT, ArtifactId, ProjectId
from muniment.domain.version import State

PAGE = 1000


@frozen
class ProjectStats:
    """What a project holds; ``size`` counts the bytes of every version, shared ones each time."""

    name: str
    artifacts: int
    versions: int
    size: int


@frozen
class Stats:
    """What a store holds; ``stored`` are the bytes that are kept, ``referenced`` those that its versions stand for.

    Manifests are among the blobs; what references lead to is not, though versions stand for it.
    """

    events: int
    artifacts: int
    versions: int
    deleted: int
    blobs: int
    stored: int
    referenced: int
    projects: tuple[ProjectStats, ...]
    projections: tuple[Progress, ...]

    @property
    def dedupe(self) -> float | None:
        """How many bytes versions stand for, for each that is kept; ``None`` where nothing is kept."""
        return round(self.referenced / self.stored, 3) if self.stored else None


@define
class _Sum:
    versions: int = 0
    size: int = 0


def measure(store: Store) -> Stats:
    """Count what the store holds now."""
    sums = _sums(store.views)
    projects = tuple(_projects(store.views, sums))
    blobs = stored = 0
    for site in sites(store):
        for _, size in site.blobs.list():
            blobs += 1
            stored += size
    return Stats(
        events=store.ledger.head().size,
        artifacts=sum(project.artifacts for project in projects),
        versions=sum(each.versions for each in sums.values()),
        deleted=store.views.count(VersionRow, state=State.DELETED.value, order="created_at"),
        blobs=blobs,
        stored=stored,
        referenced=sum(each.size for each in sums.values()),
        projects=projects,
        projections=tuple(projector.progress(store)),
    )


def _sums(views: Views) -> dict[ProjectId | None, _Sum]:
    """Add up the committed versions of each project; ``None`` are those whose artifact is gone."""
    sums: dict[ProjectId | None, _Sum] = {}
    projects: dict[ArtifactId, ProjectId | None] = {}
    after = None
    while True:
        page = views.select(VersionRow, state=State.COMMITTED.value, order="created_at", after=after, limit=PAGE)
        for version in page:
            if version.artifact_id not in projects:
                artifact = views.find(ArtifactRow, artifact_id=version.artifact_id)
                projects[version.artifact_id] = artifact.project_id if artifact else None
            found = sums.setdefault(projects[version.artifact_id], _Sum())
            found.versions += 1
            found.size += version.size
        if len(page) < PAGE:
            return sums
        after = page[-1].created_at


def _projects(views: Views, sums: dict[ProjectId | None, _Sum]) -> Iterator[ProjectStats]:
    for team in views.select(TeamRow, order="name"):
        for project in views.select(ProjectRow, team_id=team.team_id, order="name"):
            artifacts = views.count(ArtifactRow, project_id=project.project_id, order="name")
            found = sums.get(project.project_id, _Sum())
            name = f"{team.name or ERASED_TEXT}/{project.name or ERASED_TEXT}"
            yield ProjectStats(name, artifacts, found.versions, found.size)
