"""The lists that ``Api`` gives: types, collections, runs, projects, registries, teams."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from muniment.app import directory, listing
from muniment.app.listing import Page
from muniment.app.sdk import filters
from muniment.app.sdk.collection import ArtifactCollection
from muniment.app.sdk.errors import as_comm_error
from muniment.app.sdk.kinds import text
from muniment.app.sdk.pages import Fetch, Paginator, mapped
from muniment.app.sdk.people import Team
from muniment.app.sdk.public_run import Run
from muniment.app.sdk.registries import Registries
from muniment.app.sdk.scope import Scope, Shelf
from muniment.app.sdk.types import ArtifactType, Project, collections, types
from muniment.app.store import Store
from muniment.domain.errors import InvalidNameError
from muniment.domain.rows import OrganisationRow, ProjectRow, RunRow, TeamRow
from muniment.domain.values import REGISTRY_PREFIX

_PROJECT_PARTS = 2
_BEGAN = frozenset({"created_at", "createdAt", "started_at"})


class Lists:
    """What can be listed as of one moment."""

    _at: int | None

    @property
    @abstractmethod
    def _store(self) -> Store:
        """Return what the class that is used knows."""

    # --- artifacts ----------------------------------------------------------------------------------------------------

    def artifact_types(
        self, project: str | None = None, per_page: int = 50, start: str | None = None
    ) -> Paginator[ArtifactType]:
        """Return the types of the artifacts in a project or registry."""
        return types(self._shelf_named(project), per_page, start)

    def artifact_collections(
        self,
        project_name: str,
        type_name: str | None = None,
        per_page: int = 50,
        order: str | None = None,
        start: str | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> Paginator[ArtifactCollection]:
        """Return the collections of a project or registry, of one type or all."""
        return collections(self._shelf_named(project_name), type_name, filters, order, per_page, start)

    # --- runs, projects, registries, teams ----------------------------------------------------------------------------

    def runs(
        self,
        path: str | None = None,
        filters: Mapping[str, Any] | None = None,
        order: str = "+created_at",
        per_page: int = 50,
        include_sweeps: bool = True,
        lazy: bool = True,
        start: str | None = None,
    ) -> Paginator[Run]:
        """Return the runs of a project, ``[entity/]project``, in the order in which they began or of another field."""
        del include_sweeps, lazy
        store, at = self._store, self._at
        with as_comm_error():
            row = self._project_row(path or "")
            fetch = _runs(self._scope, row, filters, order)
        count = (
            None
            if filters
            else lambda: store.views.count(RunRow, at=at, project_id=row.project_id, order="started_seq")
        )
        return Paginator(mapped(fetch, lambda each: Run.of(store, each, at)), per_page, start, count)

    def projects(self, entity: str | None = None, per_page: int = 200, start: str | None = None) -> Paginator[Project]:
        """Return the projects of a team, by name."""
        store, at = self._store, self._at
        with as_comm_error():
            owner = directory.team(store.views, entity or store.config.text("entity"), at)

        def fetch(cursor: str | None, size: int) -> Page[ProjectRow]:
            return listing.projects(store.views, owner.team_id, self._scope.paging(cursor, size))

        count = lambda: store.views.count(ProjectRow, at=at, team_id=owner.team_id, order="name")  # noqa: E731
        return Paginator(mapped(fetch, lambda row: Project(store, row, at)), per_page, start, count)

    def registries(
        self,
        organization: str | None = None,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Registries:
        """Return the registries of an organization that a filter lets pass."""
        views = self._store.views
        with as_comm_error():
            owner = organization or self._store.config.text("organisation")
            owners: list[OrganisationRow] = [directory.organisation(views, owner, self._at)]
        return Registries(self._scope, owners, filter, order, per_page, start)

    def teams(self, per_page: int = 200, start: str | None = None) -> Paginator[Team]:
        """Return all teams, by name."""
        store, at = self._store, self._at

        def fetch(cursor: str | None, size: int) -> Page[TeamRow]:
            return listing.teams(store.views, self._scope.paging(cursor, size))

        return Paginator(mapped(fetch, lambda row: Team(store, row, at)), per_page, start)

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _scope(self) -> Scope:
        return Scope(self._store, self._at)

    def _shelf_named(self, path: str | None) -> Shelf:
        """Return the project or registry of a path, ``[entity/]project``."""
        entity, project = self._split("" if path is None else path)
        with as_comm_error():
            return self._shelf(entity, project)

    def _shelf(self, entity: str | None, project: str) -> Shelf:
        views, config = self._store.views, self._store.config
        if project.startswith(REGISTRY_PREFIX):
            owner = entity or config.text("organisation")
            row = directory.registry(views, owner, project.removeprefix(REGISTRY_PREFIX), self._at)
            return Shelf(self._scope, owner, row)
        team = entity or config.text("entity")
        return Shelf(self._scope, team, directory.project(views, team, project, self._at))

    def _project_row(self, path: str) -> ProjectRow:
        entity, project = self._split(path)
        team = entity or self._store.config.text("entity")
        return directory.project(self._store.views, team, project, self._at)

    def _split(self, path: str) -> tuple[str | None, str]:
        """Read ``[entity/]project``; what is left out is what the settings say."""
        parts = [part for part in text(path, "path").strip("/").split("/") if part]
        if len(parts) > _PROJECT_PARTS:
            msg = f"Invalid project path: {path!r} — write [entity/]project"
            raise InvalidNameError(msg)
        project = parts[-1] if parts else self._store.config.text("project")
        return (parts[0] if len(parts) == _PROJECT_PARTS else None), project


def _runs(scope: Scope, row: ProjectRow, filter_: Mapping[str, Any] | None, order: str | None) -> Fetch[RunRow]:
    name, descending = filters.direction(order or "+created_at")
    indexed = name in _BEGAN

    def fetch(cursor: str | None, size: int) -> Page[RunRow]:
        paging = scope.paging(cursor, size, descending=indexed and descending)
        return listing.runs(scope.store.views, row.project_id, paging)

    documents = filters.of_runs(scope.store)
    passing = filters.filtered(fetch, filter_, filters.RUN_FIELDS, documents)
    return passing if indexed else filters.ordered(passing, order or "", filters.RUN_FIELDS, documents)
