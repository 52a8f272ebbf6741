"""The collections of registries, and the versions that are linked in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muniment.app.catalog import Found
from muniment.app.sdk import filters
from muniment.app.sdk.artifact import Artifact
from muniment.app.sdk.collection import ArtifactCollection
from muniment.app.sdk.errors import as_comm_error
from muniment.app.sdk.pages import Fetch, Paginator, mapped, nested
from muniment.app.sdk.scope import Scope, Shelf
from muniment.domain.rows import CollectionRow


class Collections(Paginator[ArtifactCollection]):
    """The collections of registries."""

    def __init__(self, scope: Scope, fetch: Fetch[CollectionRow], per_page: int, start: str | None) -> None:
        self._scope, self._rows = scope, fetch
        super().__init__(mapped(fetch, lambda row: ArtifactCollection(scope.store, row, scope.at)), per_page, start)

    def versions(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Paginator[Artifact]:
        """Return the versions that are linked in these collections."""
        scope, documents = self._scope, filters.of_versions(self._scope.store, self._scope.at)
        fetch: Fetch[Found] = nested(self._rows, scope.links)
        with as_comm_error():
            fetch = filters.filtered(fetch, filter, filters.VERSION_FIELDS, documents)
            if order is not None:
                fetch = filters.ordered(fetch, order, filters.VERSION_FIELDS, documents)
        return Paginator(mapped(fetch, lambda found: Artifact.of(scope.store, found, scope.at)), per_page, start)


def fetch_collections(shelf: Shelf, filter_: Mapping[str, Any] | None, order: str | None) -> Fetch[CollectionRow]:
    """List the collections of a registry that a filter lets pass."""
    with as_comm_error():
        return shelf.collections(None, filter_, order)
