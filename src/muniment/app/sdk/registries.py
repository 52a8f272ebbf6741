"""The registries of organizations, as they are searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muniment.app import listing
from muniment.app.listing import Page
from muniment.app.sdk import filters
from muniment.app.sdk.artifact import Artifact
from muniment.app.sdk.collections import Collections, fetch_collections
from muniment.app.sdk.errors import as_comm_error
from muniment.app.sdk.pages import Fetch, Paginator, mapped, nested
from muniment.app.sdk.registry import Registry
from muniment.app.sdk.scope import Scope, Shelf
from muniment.domain.rows import OrganisationRow, RegistryRow


class Registries(Paginator[Registry]):
    """The registries of one organization or of all."""

    def __init__(
        self,
        scope: Scope,
        organisations: list[OrganisationRow],
        filter: Mapping[str, Any] | None,
        order: str | None,
        per_page: int,
        start: str | None,
    ) -> None:
        self._scope = scope
        with as_comm_error():
            self._rows = _fetch_registries(scope, organisations, filter, order)
        super().__init__(mapped(self._rows, lambda row: Registry(scope.store, row, scope.at)), per_page, start)

    def collections(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Collections:
        """Return the collections of these registries."""
        scope = self._scope
        if order is None:
            fetch = nested(self._rows, lambda row: fetch_collections(Shelf(scope, "", row), filter, None))
        else:
            documents = filters.of_collections(scope.store, scope.at)
            fetch = nested(self._rows, lambda row: fetch_collections(Shelf(scope, "", row), filter, None))
            fetch = filters.ordered(fetch, order, filters.COLLECTION_FIELDS, documents)
        return Collections(scope, fetch, per_page, start)

    def versions(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Paginator[Artifact]:
        """Return the versions that are linked in these registries."""
        return self.collections().versions(filter, order, per_page, start)


def _fetch_registries(
    scope: Scope, organisations: list[OrganisationRow], filter_: Mapping[str, Any] | None, order: str | None
) -> Fetch[RegistryRow]:
    views, documents = scope.store.views, filters.of_registries(scope.store)
    by_name = {str(number): row for number, row in enumerate(organisations)}

    def owners(start: str | None, size: int) -> Page[OrganisationRow]:
        at = int(start or 0)
        rows = organisations[at : at + size]
        return Page(tuple(rows), str(at + size) if str(at + size) in by_name else None)

    def inside(owner: OrganisationRow) -> Fetch[RegistryRow]:
        return lambda start, size: listing.registries(views, owner.organisation_id, scope.paging(start, size))

    fetch = filters.filtered(nested(owners, inside), filter_, filters.REGISTRY_FIELDS, documents)
    return fetch if order is None else filters.ordered(fetch, order, filters.REGISTRY_FIELDS, documents)
