"""Artifact collections: all versions of a name in a project, or all links of a collection in a registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, evolve

from muniment.app import clock, lifecycle, registries
from muniment.app.catalog import Found
from muniment.app.sdk import filters
from muniment.app.sdk.artifact import Artifact
from muniment.app.sdk.errors import as_comm_error
from muniment.app.sdk.pages import Fetch, Paginator, mapped
from muniment.app.sdk.people import current
from muniment.app.sdk.scope import Scope
from muniment.app.store import Store
from muniment.domain.errors import InvalidNameError, InvalidValueError, NotFoundError
from muniment.domain.rows import (
    AliasRow,
    ArtifactRow,
    CollectionRow,
    OrganisationRow,
    ProjectRow,
    RegistryRow,
    TeamRow,
)
from muniment.domain.values import ERASED_TEXT, NAME_LIMIT, REGISTRY_PREFIX, tag_name


@define
class _Said:
    """What can be changed about a collection."""

    name: str
    type: str
    description: str | None
    tags: list[str]


class ArtifactCollection:
    """All versions of a name in a project (a sequence), or what is linked in a collection of a registry."""

    def __init__(self, store: Store, row: ArtifactRow | CollectionRow, at: int | None = None) -> None:
        self._store, self._row, self._at = store, row, at
        self._read()

    @classmethod
    def of(cls, store: Store, found: Found, at: int | None = None) -> ArtifactCollection:
        """Return the collection through which a version was reached."""
        return cls(store, found.collection or found.artifact, at)

    def __repr__(self) -> str:
        return f"<ArtifactCollection {self.name} ({self.type})>"

    # --- what it is ---------------------------------------------------------------------------------------------------

    def is_sequence(self) -> bool:
        """Whether its versions were logged here, not linked."""
        return isinstance(self._row, ArtifactRow)

    @property
    def id(self) -> str:
        """The id of the collection."""
        return self._row.artifact_id if isinstance(self._row, ArtifactRow) else self._row.collection_id

    @property
    def entity(self) -> str:
        """The team, or the organization of the registry."""
        project, registry = self._project, self._registry
        views, at = self._store.views, self._at
        if registry is not None:
            owner = views.find(OrganisationRow, at=at, organisation_id=registry.organisation_id)
            return owner.name or ERASED_TEXT if owner else ERASED_TEXT
        team = views.find(TeamRow, at=at, team_id=project.team_id) if project else None
        return team.name or ERASED_TEXT if team else ERASED_TEXT

    @property
    def project(self) -> str:
        """The project, or the registry with W&B's prefix."""
        project, registry = self._project, self._registry
        if registry is not None:
            return REGISTRY_PREFIX + (registry.name or ERASED_TEXT)
        return project.name or ERASED_TEXT if project else ERASED_TEXT

    @property
    def created_at(self) -> str:
        """When the collection began."""
        return clock.to_text(self._row.created_at)

    @property
    def updated_at(self) -> str:
        """When what is said about the collection changed last."""
        row = self._row
        return clock.to_text(row.created_at if isinstance(row, ArtifactRow) else row.updated_at)

    @property
    def aliases(self) -> list[str]:
        """All aliases that point somewhere, ``latest`` aside."""
        rows = self._store.views.select(AliasRow, at=self._at, owner_id=self.id, order="alias")
        return [row.alias for row in rows if row.alias is not None and row.version_id is not None]

    # --- what can be changed ------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name; change it, then ``save()``."""
        return self._said.name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str) or not name or "/" in name or len(name) > NAME_LIMIT:
            msg = f"Collection name may not be empty, hold '/' or be longer than {NAME_LIMIT} characters: {name!r}"
            raise InvalidNameError(msg)
        self._said.name = name

    @property
    def type(self) -> str:
        """The type of the artifacts; that of a sequence can be changed, then ``save()``."""
        return self._said.type

    @type.setter  # noqa: A003 (this very property)
    def type(self, type: str) -> None:
        if not self.is_sequence():
            msg = "Type can only be changed if the artifact collection is a sequence: this one is in a registry"
            raise InvalidValueError(msg)
        self._said.type = type

    @property
    def description(self) -> str | None:
        """What the collection is, in words; change it, then ``save()``."""
        return self._said.description

    @description.setter
    def description(self, description: str | None) -> None:
        self._said.description = description

    @property
    def tags(self) -> list[str]:
        """The tags of the collection; change them, then ``save()``."""
        return self._said.tags

    @tags.setter
    def tags(self, tags: list[str]) -> None:
        self._said.tags = [tag_name(tag) for tag in tags]

    def save(self) -> None:
        """Keep what was changed, in one transaction."""
        current(self._at, "ArtifactCollection.save")
        said, seen, row = self._said, self._seen, self._row
        if said == seen:
            return
        name = said.name if said.name != seen.name else None
        description = said.description or "" if said.description != seen.description else None
        tags = said.tags if said.tags != seen.tags else None
        with as_comm_error():
            if isinstance(row, CollectionRow):
                registries.edit_collection(self._store, row, name=name, description=description, tags=tags)
            else:
                type_ = said.type if said.type != seen.type else None
                lifecycle.edit_artifact(
                    self._store, row, self._team(), name=name, type_=type_, description=description, tags=tags
                )
        self.load()

    def change_type(self, new_type: str) -> None:
        """Change the type at once; better set ``type`` and ``save()``."""
        self.type = new_type
        self.save()

    def delete(self) -> None:
        """Let the collection go: a sequence with its versions, a registry's one with its links only."""
        current(self._at, "ArtifactCollection.delete")
        with as_comm_error():
            if isinstance(self._row, CollectionRow):
                registries.delete_collection(self._store, self._row)
            else:
                lifecycle.delete_artifact(self._store, self._row, self._team())

    # --- what it holds ------------------------------------------------------------------------------------------------

    def artifacts(self, per_page: int = 50, start: str | None = None) -> Paginator[Artifact]:
        """Return the versions, newest first."""
        return versions(Scope(self._store, self._at), self._row, per_page=per_page, start=start)

    def versions(self, per_page: int = 50, start: str | None = None) -> Paginator[Artifact]:
        """Return the versions, newest first."""
        return self.artifacts(per_page, start)

    def load(self) -> ArtifactCollection:
        """Read the collection again; changes that were not saved are lost."""
        views, row = self._store.views, self._row
        now = (
            views.find(ArtifactRow, at=self._at, artifact_id=row.artifact_id)
            if isinstance(row, ArtifactRow)
            else views.find(CollectionRow, at=self._at, collection_id=row.collection_id)
        )
        if now is None:
            msg = f"collection {self._seen.name} is not here any more"
            raise NotFoundError(msg)
        self._row = now
        self._read()
        return self

    # --- inside -------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        row = self._row
        texts = filters.personal(self._store, [row.description])
        description = None if row.description is None else texts.get(row.description, ERASED_TEXT)
        tags = filters.tags(self._store, self.id, self._at)
        self._seen = _Said(row.name or ERASED_TEXT, row.type or ERASED_TEXT, description, tags)
        self._said = evolve(self._seen, tags=list(tags))

    @property
    def _project(self) -> ProjectRow | None:
        if isinstance(self._row, CollectionRow):
            return None
        return self._store.views.find(ProjectRow, at=self._at, project_id=self._row.project_id)

    @property
    def _registry(self) -> RegistryRow | None:
        if isinstance(self._row, ArtifactRow):
            return None
        return self._store.views.find(RegistryRow, at=self._at, registry_id=self._row.registry_id)

    def _team(self) -> TeamRow:
        project = self._project
        team = self._store.views.find(TeamRow, team_id=project.team_id) if project else None
        if team is None:
            msg = f"the project of {self.name} was deleted"
            raise NotFoundError(msg)
        return team


def versions(
    scope: Scope,
    row: ArtifactRow | CollectionRow,
    *,
    filter_: Mapping[str, Any] | None = None,
    order: str | None = None,
    per_page: int = 50,
    start: str | None = None,
) -> Paginator[Artifact]:
    """Return the versions of a collection, newest first unless *order* says otherwise."""
    name, descending = ("version", True) if order is None else filters.direction(order)
    indexed = name in {"version", "created_at"} if isinstance(row, ArtifactRow) else name in {"version", "linked_at"}
    downwards = not indexed or descending
    fetch: Fetch[Found] = (
        scope.versions(row, descending=downwards)
        if isinstance(row, ArtifactRow)
        else scope.links(row, descending=downwards)
    )
    documents = filters.of_versions(scope.store, scope.at)
    with as_comm_error():
        fetch = filters.filtered(fetch, filter_, filters.VERSION_FIELDS, documents)
        if not indexed:
            fetch = filters.ordered(fetch, order or "", filters.VERSION_FIELDS, documents)
    count = None if filter_ else lambda: scope.count(row)
    return Paginator(mapped(fetch, lambda found: Artifact.of(scope.store, found, scope.at)), per_page, start, count)
