"""Projects, and the types of the artifacts in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muniment.app import clock, lifecycle
from muniment.app.sdk.collection import ArtifactCollection
from muniment.app.sdk.errors import NotThereError, as_comm_error
from muniment.app.sdk.pages import Fetch, Paginator, mapped
from muniment.app.sdk.people import current
from muniment.app.sdk.scope import Scope, Shelf
from muniment.app.store import Store
from muniment.domain.rows import ProjectRow, TeamRow
from muniment.domain.values import ERASED_TEXT


class ArtifactType:
    """A type of artifacts in a project or registry."""

    def __init__(self, shelf: Shelf, name: str) -> None:
        self._shelf, self._name = shelf, name

    def __repr__(self) -> str:
        return f"<ArtifactType {self.name}>"

    @property
    def id(self) -> str:
        """What tells the type from others."""
        return f"{self._shelf.id}:{self._name}"

    @property
    def name(self) -> str:
        """The name of the type."""
        return self._name

    @property
    def type(self) -> str:
        """The name of the type."""
        return self._name

    @property
    def entity(self) -> str:
        """The team, or the organization of a registry."""
        return self._shelf.entity

    @property
    def project(self) -> str:
        """The project, or the registry with W&B's prefix."""
        return self._shelf.project

    def collections(
        self,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> Paginator[ArtifactCollection]:
        """Return the collections of this type."""
        return collections(self._shelf, self._name, filters, order, per_page, start)

    def collection(self, name: str) -> ArtifactCollection:
        """Return a collection of this type by its name."""
        with as_comm_error():
            return collection_of_type(self._shelf, self._name, name)


class Project:
    """A project of a team."""

    def __init__(self, store: Store, row: ProjectRow, at: int | None = None) -> None:
        self._store, self._row, self._at = store, row, at

    def __repr__(self) -> str:
        return f"<Project {'/'.join(self.path)}>"

    @property
    def id(self) -> str:
        """The id of the project."""
        return self._row.project_id

    @property
    def name(self) -> str:
        """The name of the project."""
        return self._row.name or ERASED_TEXT

    @property
    def entity(self) -> str:
        """The name of the team."""
        row = self._store.views.find(TeamRow, at=self._at, team_id=self._row.team_id)
        return row.name or ERASED_TEXT if row else ERASED_TEXT

    @property
    def path(self) -> list[str]:
        """Team and project."""
        return [self.entity, self.name]

    @property
    def url(self) -> str:
        """The address of the project; there is no web page behind it."""
        return f"muniment://{self.entity}/{self.name}"

    @property
    def created_at(self) -> str:
        """When the project began."""
        return clock.to_text(self._row.created_at)

    def artifacts_types(self, per_page: int = 50, start: str | None = None) -> Paginator[ArtifactType]:
        """Return the types of the artifacts in the project."""
        return types(self._shelf, per_page, start)

    def collections(
        self,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> Paginator[ArtifactCollection]:
        """Return the collections of the project, of whatever type."""
        return collections(self._shelf, None, filters, order, per_page, start)

    def delete(self) -> None:
        """Let the project go with its artifacts and runs; refused while one of their versions is linked."""
        current(self._at, "Project.delete")
        with as_comm_error():
            lifecycle.delete_project(self._store, self._row)

    @property
    def _shelf(self) -> Shelf:
        return Shelf(Scope(self._store, self._at), self.entity, self._row)


def types(shelf: Shelf, per_page: int, start: str | None) -> Paginator[ArtifactType]:
    """Return the types of the artifacts in a project or registry."""
    fetch: Fetch[str] = shelf.types
    return Paginator(mapped(fetch, lambda name: ArtifactType(shelf, name)), per_page, start)


def collections(
    shelf: Shelf,
    type_name: str | None,
    filters: Mapping[str, Any] | None,
    order: str | None,
    per_page: int,
    start: str | None,
) -> Paginator[ArtifactCollection]:
    """Return the collections of a project or registry, of one type or all."""
    with as_comm_error():
        fetch = shelf.collections(type_name, filters, order)
    count = None if filters or order else shelf.count(type_name)
    store, at = shelf.scope.store, shelf.scope.at
    return Paginator(mapped(fetch, lambda row: ArtifactCollection(store, row, at)), per_page, start, count)


def collection_of_type(shelf: Shelf, type_name: str | None, name: str) -> ArtifactCollection:
    """Return a collection by its name; CommError if it is of another type."""
    found = ArtifactCollection(shelf.scope.store, shelf.collection(name), shelf.scope.at)
    if type_name is not None and found.type != type_name:
        msg = f"collection {name!r} is of type {found.type!r}, not {type_name!r}"
        raise NotThereError(msg)
    return found
