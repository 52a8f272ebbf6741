"""Where versions stand: their home, their links and when these ended, what came after them, whom they are about.

For one version only what it needs is looked up; for many (*wide*) it is looked up once for each artifact.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

from attrs import define, field, frozen

from muniment.app import catalog
from muniment.domain.hold import ScopeKind
from muniment.domain.ports import Views
from muniment.domain.rows import (
    ArtifactRow,
    CollectionRow,
    DataSubjectRow,
    EndingRow,
    LinkRow,
    ProjectRow,
    RegistryRow,
    SubjectEntryRow,
    SubjectTargetRow,
    TeamRow,
    VersionRow,
)
from muniment.domain.values import ArtifactId, CollectionId, Micros, RegistryId, VersionId
from muniment.domain.version import State


@frozen
class Home:
    """Where a version belongs: its artifact and project as they are, ``None`` if deleted, and its team.

    *born_in* is the project that it was made in, whatever became of it.
    """

    artifact: ArtifactRow | None
    project: ProjectRow | None
    born_in: ProjectRow | None
    team: TeamRow | None
    type: str | None


@frozen
class Shelf:
    """A collection and its registry, ``None`` where they were deleted, and when the first of them was."""

    collection: CollectionRow | None
    registry: RegistryRow | None
    registry_id: RegistryId | None
    ended_at: Micros | None


@define
class Standing:
    """Looks up what a decision about versions needs, as of one moment."""

    views: Views
    at: int | None = None
    wide: bool = False
    _homes: dict[ArtifactId, Home] = field(init=False, factory=dict)
    _links: dict[ArtifactId, dict[VersionId, list[LinkRow]]] = field(init=False, factory=dict)
    _shelves: dict[CollectionId, Shelf] = field(init=False, factory=dict)
    _live: dict[ArtifactId, tuple[list[int], list[Micros]]] = field(init=False, factory=dict)
    _about: dict[str, frozenset[str]] = field(init=False, factory=dict)
    _subjects: bool | None = field(init=False, default=None)

    def home(self, version: VersionRow) -> Home:
        """Return where a version belongs."""
        id_ = version.artifact_id
        if id_ not in self._homes:
            views, at, begun = self.views, self.at, version.created_seq
            artifact = views.find(ArtifactRow, at=at, artifact_id=id_)
            made = artifact or views.find(ArtifactRow, at=begun, artifact_id=id_)
            project = views.find(ProjectRow, at=at, project_id=artifact.project_id) if artifact else None
            born_in = project or (views.find(ProjectRow, at=begun, project_id=made.project_id) if made else None)
            team = views.find(TeamRow, at=at, team_id=born_in.team_id) if born_in else None
            self._homes[id_] = Home(artifact, project, born_in, team, made.type if made else None)
        return self._homes[id_]

    def links(self, version: VersionRow) -> list[LinkRow]:
        """Return the links of a version that nobody ended, also those whose collection or registry was deleted."""
        if not self.wide:
            return self.views.select(LinkRow, at=self.at, version_id=version.version_id, order="link_id")
        id_ = version.artifact_id
        if id_ not in self._links:
            self._links[id_] = defaultdict(list)
            for row in self.views.select(LinkRow, at=self.at, artifact_id=id_, order="link_id"):
                self._links[id_][row.version_id].append(row)
        return self._links[id_].get(version.version_id, [])

    def shelf(self, link: LinkRow) -> Shelf:
        """Return the collection of a link and its registry."""
        id_ = link.collection_id
        if id_ not in self._shelves:
            views, at = self.views, self.at
            collection = views.find(CollectionRow, at=at, collection_id=id_)
            known = collection or views.find(CollectionRow, at=link.linked_seq, collection_id=id_)
            registry_id = known.registry_id if known else None
            registry = views.find(RegistryRow, at=at, registry_id=registry_id) if collection else None
            ended = None
            if registry is None:
                ended = views.find(EndingRow, at=at, subject_id=registry_id if collection else id_)
            self._shelves[id_] = Shelf(collection, registry, registry_id, ended.ended_at if ended else None)
        return self._shelves[id_]

    def held_by(self, version: VersionRow) -> tuple[str, ...]:
        """Return the names of the links by which a live version is held."""
        if version.state != State.COMMITTED.value or self.home(version).project is None:
            return ()
        found = ((link, self.shelf(link)) for link in self.links(version))
        return tuple(
            catalog.link_name(shelf.registry, shelf.collection, link)
            for link, shelf in found
            if shelf.registry is not None and shelf.collection is not None
        )

    def held_until(self, version: VersionRow) -> Micros | None:
        """Return when a version was last unlinked, or the collection or registry of a link was deleted."""
        ends = (self.shelf(link).ended_at for link in self.links(version))
        return max((end for end in (version.unlinked_at, *ends) if end is not None), default=None)

    def scopes(self, version: VersionRow) -> Iterator[tuple[ScopeKind, str]]:
        """Yield every scope that a version is in, but for tags and data subjects.

        Deleting an artifact, a project, a collection or a registry takes nothing out of their scope.
        """
        yield ScopeKind.VERSION, version.version_id
        yield ScopeKind.ARTIFACT, version.artifact_id
        for link in self.links(version):
            yield ScopeKind.COLLECTION, link.collection_id
            registry_id = self.shelf(link).registry_id
            if registry_id is not None:
                yield ScopeKind.REGISTRY, registry_id
        home = self.home(version)
        if home.born_in is not None:
            yield ScopeKind.PROJECT, home.born_in.project_id
        if home.team is not None:
            yield ScopeKind.TEAM, home.team.team_id
            yield ScopeKind.ORGANISATION, home.team.organisation_id

    def newer(self, version: VersionRow, wanted: int) -> tuple[Micros, ...]:
        """Return when the first *wanted* later live versions of the artifact were made."""
        if not self.wide:
            return tuple(row.created_at for row in self._committed(version.artifact_id, version.index, wanted))
        id_ = version.artifact_id
        if id_ not in self._live:
            rows = self._committed(id_)
            self._live[id_] = [row.index for row in rows], [row.created_at for row in rows]
        indexes, times = self._live[id_]
        first = bisect_right(indexes, version.index)
        return tuple(times[first : first + wanted])

    def about(self, subject_id: str, version: VersionRow) -> bool:
        """Whether a version is about a data subject."""
        if not self.wide:
            return concerns(self.views, subject_id, version, self.at)
        if subject_id not in self._about:
            targets = self.views.select(SubjectTargetRow, at=self.at, subject_id=subject_id, order="target")
            entries = self.views.select(SubjectEntryRow, at=self.at, subject_id=subject_id, order="entry_id")
            self._about[subject_id] = frozenset(
                (*(row.target for row in targets), *(row.version_id for row in entries))
            )
        return not self._about[subject_id].isdisjoint((version.version_id, version.artifact_id))

    def personal(self, version: VersionRow) -> bool:
        """Whether a version is about any data subject."""
        if self._subjects is None:
            self._subjects = bool(self.views.select(DataSubjectRow, at=self.at, order="registered_at", limit=1))
        return self._subjects and (
            any(
                self.views.select(SubjectTargetRow, at=self.at, target=target, order="subject_id", limit=1)
                for target in (version.version_id, version.artifact_id)
            )
            or bool(
                self.views.select(SubjectEntryRow, at=self.at, version_id=version.version_id, order="entry_id", limit=1)
            )
        )

    def _committed(
        self, artifact_id: ArtifactId, after: int | None = None, limit: int | None = None
    ) -> list[VersionRow]:
        return self.views.select(
            VersionRow,
            at=self.at,
            artifact_id=artifact_id,
            state=State.COMMITTED.value,
            order="index",
            after=after,
            limit=limit,
        )


def concerns(views: Views, subject_id: str, version: VersionRow, at: int | None = None) -> bool:
    """Whether a version is about a data subject, as a whole, by its artifact, or by one of its entries."""
    whole = (version.version_id, version.artifact_id)
    if any(views.find(SubjectTargetRow, at=at, subject_id=subject_id, target=target) for target in whole):
        return True
    entries = views.select(
        SubjectEntryRow, at=at, subject_id=subject_id, version_id=version.version_id, order="entry_id", limit=1
    )
    return bool(entries)
