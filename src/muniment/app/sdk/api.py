"""``Api``: looking at and working on everything in the store from outside of runs, as of now or of any moment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from attrs import evolve

from muniment.app import catalog, directory, exports, registries, runs
from muniment.app.config import Config
from muniment.app.listing import Paging
from muniment.app.names import Address
from muniment.app.runs import RunDraft
from muniment.app.sdk import session
from muniment.app.sdk.artifact import Artifact
from muniment.app.sdk.collection import ArtifactCollection, versions
from muniment.app.sdk.errors import CommError, NotThereError, as_comm_error
from muniment.app.sdk.kinds import path_text, text
from muniment.app.sdk.lineage_view import Lineage
from muniment.app.sdk.lists import Lists
from muniment.app.sdk.pages import Paginator
from muniment.app.sdk.people import Organization, Team, User, current, users
from muniment.app.sdk.public_run import Run
from muniment.app.sdk.registry import Registry, seen_by
from muniment.app.sdk.types import ArtifactType, Project, collection_of_type
from muniment.app.store import Store
from muniment.app.subjects import subject, version_or_run
from muniment.app.telling import history as histories
from muniment.app.telling import lineage as lineages
from muniment.app.telling.history import Act
from muniment.app.transact import new_id
from muniment.domain.errors import InvalidNameError, InvalidValueError, NotFoundError, VersionDeletedError
from muniment.domain.values import REGISTRY_PREFIX, PrincipalId

_SET: tuple[str, ...] = ("entity", "project", "organization")


class Api(Lists):
    """Everything in the store; with *as_of* (a time, or the number of an event) as it was then, and read-only.

    *overrides* may set ``entity``, ``project`` and ``organization``, which names leave out. *timeout* and *api_key* are
    accepted, and mean nothing here.
    """

    def __init__(
        self,
        overrides: Mapping[str, Any] | None = None,
        timeout: int | None = None,
        api_key: str | None = None,
        as_of: str | int | datetime | None = None,
    ) -> None:
        del api_key
        self.timeout = timeout
        self._overrides = {key: str(value) for key, value in (overrides or {}).items() if key in _SET and value}
        with as_comm_error():
            self._at = None if as_of is None else histories.as_of(self._store, as_of)

    def __repr__(self) -> str:
        return "<Api>" if self._at is None else f"<Api as of event {self._at}>"

    @property
    def settings(self) -> dict[str, str]:
        """The team, project and organization that names leave out."""
        config = self._store.config
        return {
            "entity": config.text("entity"),
            "project": config.text("project"),
            "organization": config.text("organisation"),
        }

    @property
    def as_of(self) -> int | None:
        """The number of the event as of which everything is shown; ``None`` for now."""
        return self._at

    @property
    def default_entity(self) -> str:
        """The team that names leave out."""
        return self._store.config.text("entity")

    @property
    def viewer(self) -> User:
        """Who acts."""
        actor = self._store.context.actor
        return users(self._store, {actor})[actor]

    def flush(self) -> None:
        """Forget what was fetched; every object here is read afresh anyway."""

    # --- artifacts ----------------------------------------------------------------------------------------------------

    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """Return an artifact by its name, ``[entity/][project/]name[:alias|vN]``; without an alias it is ``latest``."""
        with as_comm_error():
            found = catalog.find(self._store.views, self._address(name), self._at)
        if type is not None and found.artifact.type != type:
            msg = f"type {type!r} specified but this artifact is of type {found.artifact.type!r}"
            raise CommError(msg)
        return Artifact.of(self._store, found, self._at)

    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Whether there is an artifact of this name (and type)."""
        address = self._address(name)
        try:
            found = catalog.find(self._store.views, address, self._at)
        except (NotFoundError, VersionDeletedError):
            return False
        return type is None or found.artifact.type == type

    def artifact_collection(self, type_name: str, name: str) -> ArtifactCollection:
        """Return a collection by its type and name."""
        address = self._address(name)
        with as_comm_error():
            return collection_of_type(self._shelf(address.owner, address.project), type_name, address.name)

    def artifact_collection_exists(self, name: str, type: str | None = None) -> bool:
        """Whether there is a collection of this name (and type)."""
        address = self._address(name)
        try:
            collection_of_type(self._shelf(address.owner, address.project), type, address.name)
        except NotFoundError:
            return False
        return True

    def artifacts(
        self,
        type_name: str,
        name: str,
        per_page: int = 50,
        tags: str | list[str] | None = None,
        order: str | None = None,
        start: str | None = None,
    ) -> Paginator[Artifact]:
        """Return the versions of a collection, newest first; with *tags* those that have them all."""
        address = self._address(name)
        wanted = [tags] if isinstance(tags, str) else list(tags or ())
        filter_ = {"$and": [{"tag": tag} for tag in wanted]} if wanted else None
        with as_comm_error():
            shelf = self._shelf(address.owner, address.project)
            collection_of_type(shelf, type_name, address.name)
            row = shelf.collection(address.name)
        return versions(self._scope, row, filter_=filter_, order=order, per_page=per_page, start=start)

    artifact_versions = artifacts

    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """Return an artifact type of a project or registry."""
        shelf = self._shelf_named(project)
        if not any(found.name == type_name for found in self.artifact_types(project)):
            msg = f"{shelf.entity}/{shelf.project} has no artifacts of type {type_name!r}"
            raise NotThereError(msg)
        return ArtifactType(shelf, type_name)

    # --- runs and projects --------------------------------------------------------------------------------------------

    def run(self, path: str = "") -> Run:
        """Return a run by its path, ``[[entity/]project/]run_id``."""
        parts = [part for part in text(path, "path").strip("/").split("/") if part]
        if len(parts) > 1 and parts[-2] == "runs":
            del parts[-2]
        if not parts or len(parts) > 3:  # noqa: PLR2004 (entity, project, run)
            msg = f"Invalid run path: {path!r} — write [[entity/]project/]run_id"
            raise InvalidNameError(msg)
        *where, key = parts
        with as_comm_error():
            row = runs.named(self._store, self._project_row("/".join(where)), key, self._at)
        return Run.of(self._store, row, self._at)

    def create_run(self, *, run_id: str | None = None, project: str | None = None, entity: str | None = None) -> Run:
        """Begin a run, which is made with its project if it is not there."""
        current(self._at, "Api.create_run")
        key = run_id or new_id()[:8]
        with as_comm_error():
            there = directory.create_project(
                self._store, entity or self.default_entity, project or self.settings["project"]
            )
            row = runs.start(self._store, there, RunDraft(key, key))
        return Run.of(self._store, row)

    def project(self, name: str, entity: str | None = None) -> Project:
        """Return a project by its name."""
        with as_comm_error():
            row = directory.project(self._store.views, entity or self.default_entity, name, self._at)
        return Project(self._store, row, self._at)

    def create_project(self, name: str, entity: str | None = None) -> Project:
        """Make a project, unless it is there."""
        current(self._at, "Api.create_project")
        with as_comm_error():
            return Project(self._store, directory.create_project(self._store, entity or self.default_entity, name))

    # --- registries ---------------------------------------------------------------------------------------------------

    def registry(self, name: str, organization: str | None = None) -> Registry:
        """Return a registry of an organization by its name, with or without W&B's prefix."""
        with as_comm_error():
            owner = organization or self.settings["organization"]
            row = directory.registry(
                self._store.views, owner, text(name, "name").removeprefix(REGISTRY_PREFIX), self._at
            )
        return Registry(self._store, row, self._at)

    def create_registry(
        self,
        name: str,
        visibility: Literal["organization", "restricted"] = "organization",
        organization: str | None = None,
        description: str | None = None,
        artifact_types: list[str] | None = None,
    ) -> Registry:
        """Make a registry; without *artifact_types* it accepts all."""
        current(self._at, "Api.create_registry")
        with as_comm_error():
            row = registries.create(
                self._store,
                organization or self.settings["organization"],
                text(name, "name").removeprefix(REGISTRY_PREFIX),
                visibility=seen_by(visibility),
                types=artifact_types,
                description=description,
            )
        return Registry(self._store, row)

    # --- people -------------------------------------------------------------------------------------------------------

    def create_organization(self, name: str) -> Organization:
        """Make an organization with its core registries; who makes it is its admin."""
        current(self._at, "Api.create_organization")
        with as_comm_error():
            return Organization(self._store, directory.create_organisation(self._store, name))

    def organization(self, name: str | None = None) -> Organization:
        """Return an organization by its name."""
        with as_comm_error():
            row = directory.organisation(self._store.views, name or self.settings["organization"], self._at)
        return Organization(self._store, row, self._at)

    def create_team(self, team: str, organization: str | None = None) -> Team:
        """Make a team in an organization; who makes it is its admin."""
        current(self._at, "Api.create_team")
        with as_comm_error():
            return Team(self._store, directory.create_team(self._store, team, organization))

    def team(self, team: str) -> Team:
        """Return a team by its name."""
        with as_comm_error():
            return Team(self._store, directory.team(self._store.views, team, self._at), self._at)

    def user(self, username_or_email: str) -> User | None:
        """Return a user by the login name; ``None`` if nobody has it."""
        known = self._store.vault.find(directory.LOGIN, username_or_email)
        return None if known is None else User(PrincipalId(known), username_or_email)

    # --- what happened ------------------------------------------------------------------------------------------------

    def lineage(
        self, name: str, depth: int | None = None, direction: Literal["up", "down", "both"] = "both"
    ) -> Lineage:
        """Return what a version or run was made from and what it led to, *depth* steps in each direction."""
        if direction not in {"up", "down", "both"}:
            msg = f"direction must be 'up', 'down' or 'both', not {direction!r}"
            raise InvalidValueError(msg)
        steps = lineages.DEPTH if depth is None else depth
        with as_comm_error():
            found = version_or_run(self._store, name, self._at)
            graph = lineages.graph(
                self._store.views,
                found.id,
                up=0 if direction == "down" else steps,
                down=0 if direction == "up" else steps,
                at=self._at,
            )
        return Lineage(graph)

    def history(
        self, name: str, newest_first: bool = False, per_page: int = 50, start: str | None = None
    ) -> Paginator[Act]:
        """Return who did what to something, with the values before and after.

        *name* is that of an artifact, version, collection, registry, run, project, team or organization, or an id.
        """
        store, at = self._store, self._at
        with as_comm_error():
            found = subject(store, name, at)
        return Paginator(
            lambda cursor, size: histories.of(store, found.id, Paging(cursor, size, newest_first, at)), per_page, start
        )

    def export(self, format: str, name: str, path: str | os.PathLike[str], depth: int | None = None) -> None:
        """Write what is on record about a version, run or project to a file, in a format of others.

        *format* is openlineage, prov, croissant, cyclonedx or datapackage; *depth* is how many steps of lineage belong
        to it. The same store and moment give the same bytes.
        """
        with as_comm_error():
            chunks = exports.export(self._store, format, name, at=self._at, depth=depth)
            exports.save(chunks, Path(path_text(path, "path")))

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _store(self) -> Store:
        store = session.store()
        return evolve(store, config=_overridden(store.config, self._overrides)) if self._overrides else store

    def _address(self, name: str) -> Address:
        with as_comm_error():
            return session.address(name, entity=self._overrides.get("entity"), project=self._overrides.get("project"))


def _overridden(config: Config, overrides: Mapping[str, str]) -> Config:
    names = {"organization": "organisation"}
    chosen = {names.get(key, key): value for key, value in overrides.items()}
    return Config({**config.values, **chosen}, {**config.sources, **dict.fromkeys(chosen, "argument")})
