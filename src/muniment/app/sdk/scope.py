"""What a search works on: a store as of one moment, and the projects and registries in it, which are alike to W&B."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from muniment.app import catalog, listing
from muniment.app.catalog import Found
from muniment.app.listing import Page, Paging
from muniment.app.sdk import filters
from muniment.app.sdk.pages import Fetch, everything, sifted
from muniment.app.store import Store
from muniment.domain.rows import ArtifactRow, CollectionRow, LinkRow, ProjectRow, RegistryRow, TeamRow, VersionRow
from muniment.domain.values import REGISTRY_PREFIX
from muniment.domain.version import State


@frozen
class Scope:
    """A store as of now, or as of event *at*."""

    store: Store
    at: int | None = None

    def paging(self, start: str | None, size: int, *, descending: bool = False) -> Paging:
        """Return which page is wanted."""
        return Paging(start, size, descending, self.at)

    # --- versions -----------------------------------------------------------------------------------------------------

    def versions(self, artifact: ArtifactRow, *, descending: bool = True) -> Fetch[Found]:
        """List the live versions of an artifact."""
        views, at = self.store.views, self.at
        project = views.find(ProjectRow, at=at, project_id=artifact.project_id)
        team = views.find(TeamRow, at=at, team_id=project.team_id) if project else None

        def get(start: str | None, size: int) -> Page[Found]:
            if project is None or team is None:
                return Page(())
            page = listing.versions(views, artifact.artifact_id, self.paging(start, size, descending=descending))
            return Page(tuple(Found(row, artifact, project, team) for row in page.items), page.next)

        return get

    def links(self, collection: CollectionRow, *, descending: bool = True) -> Fetch[Found]:
        """List the versions linked in a collection."""
        views, at = self.store.views, self.at

        def get(start: str | None, size: int) -> Page[Found]:
            page = listing.links(views, collection.collection_id, self.paging(start, size, descending=descending))
            found = (catalog.through(views, row, at) for row in page.items)
            return Page(tuple(each for each in found if each is not None), page.next)

        return get

    def count(self, row: ArtifactRow | CollectionRow) -> int:
        """Return how many versions or links there are."""
        views, at = self.store.views, self.at
        if isinstance(row, CollectionRow):
            return views.count(LinkRow, at=at, collection_id=row.collection_id, order="index")
        state = State.COMMITTED.value
        return views.count(VersionRow, at=at, artifact_id=row.artifact_id, state=state, order="index")


@frozen
class Shelf:
    """A project of a team, or a registry of an organisation: where collections are."""

    scope: Scope
    entity: str
    row: ProjectRow | RegistryRow

    @property
    def id(self) -> str:
        """The id of the project or registry."""
        return self.row.registry_id if isinstance(self.row, RegistryRow) else self.row.project_id

    @property
    def project(self) -> str:
        """The name of the project; that of a registry has W&B's prefix."""
        return (REGISTRY_PREFIX if isinstance(self.row, RegistryRow) else "") + (self.row.name or "")

    def types(self, start: str | None, size: int) -> Page[str]:
        """List the types of the artifacts in it."""
        scope, row = self.scope, self.row
        if isinstance(row, ProjectRow):
            return listing.types(scope.store.views, row.project_id, scope.paging(start, size))
        rows = everything(self._registered(row))
        found = sorted({each.type for each in rows if each.type and each.type > (start or "")})
        return Page(tuple(found[:size]), found[size - 1] if len(found) > size else None)

    def collection(self, name: str) -> ArtifactRow | CollectionRow:
        """Return a collection by its name."""
        views, at = self.scope.store.views, self.scope.at
        if isinstance(self.row, RegistryRow):
            return catalog.collection_named(views, self.row, name, at)
        return catalog.artifact_named(views, self.row, name, at)

    def collections(self, type_name: str | None, filters_: Mapping[str, Any] | None, order: str | None) -> Fetch[Any]:
        """List the collections in it."""
        store, at = self.scope.store, self.scope.at
        name, descending = ("name", False) if order is None else filters.direction(order)
        indexed = name == "name"
        if isinstance(self.row, RegistryRow):
            documents: filters.Documents[Any] = filters.of_collections(store, at)
            fetch: Fetch[Any] = self._registered(self.row, type_name, descending=indexed and descending)
        else:
            documents = filters.of_artifacts(store, at)
            fetch = self._logged(self.row, type_name, descending=indexed and descending)
        fetch = filters.filtered(fetch, filters_, filters.COLLECTION_FIELDS, documents)
        return fetch if indexed else filters.ordered(fetch, order or "", filters.COLLECTION_FIELDS, documents)

    def count(self, type_name: str | None) -> Callable[[], int] | None:
        """Return what counts the collections, where that takes no look at each."""
        views, at, row = self.scope.store.views, self.scope.at, self.row
        if isinstance(row, RegistryRow):
            if type_name is not None:
                return None
            return lambda: views.count(CollectionRow, at=at, registry_id=row.registry_id, order="name")
        if type_name is None:
            return lambda: views.count(ArtifactRow, at=at, project_id=row.project_id, order="name")
        return lambda: views.count(ArtifactRow, at=at, project_id=row.project_id, type=type_name, order="name")

    def _registered(
        self, row: RegistryRow, type_name: str | None = None, *, descending: bool = False
    ) -> Fetch[CollectionRow]:
        def get(start: str | None, size: int) -> Page[CollectionRow]:
            paging = self.scope.paging(start, size, descending=descending)
            return listing.collections(self.scope.store.views, row.registry_id, paging)

        return get if type_name is None else sifted(get, lambda rows: [each.type == type_name for each in rows])

    def _logged(self, row: ProjectRow, type_name: str | None, *, descending: bool) -> Fetch[ArtifactRow]:
        def get(start: str | None, size: int) -> Page[ArtifactRow]:
            paging = self.scope.paging(start, size, descending=descending)
            return listing.artifacts(self.scope.store.views, row.project_id, paging, type_name)

        return get
