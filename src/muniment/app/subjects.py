"""From what people type to the id of the thing they mean, also where several kinds of things have names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from attrs import frozen

from muniment.app import catalog, directory, names
from muniment.app.names import Address
from muniment.app.store import Store
from muniment.domain.errors import NotFoundError
from muniment.domain.rows import LinkRow, ProjectRow, RegistryRow, RunRow, VersionRow
from muniment.domain.values import REGISTRY_PREFIX, version_index

ID: Final = re.compile(r"[0-9a-f]{32}")
RUNS: Final = "runs"


@frozen
class Subject:
    """A thing that has a history: what it is, and its id."""

    kind: str
    id: str


def subject(store: Store, text: str, at: int | None = None) -> Subject:
    """Return what a name means.

    An id is what it is; ``name:alias`` is a version, deleted ones too; a name alone is an artifact, a collection, a
    registry, a run, a project, a team or an organisation, the first of these that there is.
    """
    if ID.fullmatch(text):
        return Subject("id", text)
    look = _by_alias if ":" in text else _by_name
    found = next(look(store, text.strip("/"), at), None)
    if found is None:
        msg = (
            f"nothing here is called {text!r} — write [entity/][project/]name[:alias], [entity/][project/]runs/<run>, "
            f"[organization/]{REGISTRY_PREFIX}<registry>[/collection], or the name of a team or organization"
        )
        raise NotFoundError(msg)
    return found


def version_or_run(store: Store, text: str, at: int | None = None) -> Subject:
    """Return the version or run that a name means; an artifact or collection means its ``latest``."""
    found = subject(store, text, at)
    if found.kind in {"artifact", "collection"}:
        return Subject("version", catalog.find(store.views, address(store, text), at).version.version_id)
    if found.kind not in {"version", "run", "id"}:
        msg = f"{text!r} is a {found.kind} — name a version ([entity/][project/]name[:alias]) or a run (runs/<run>)"
        raise NotFoundError(msg)
    return found


def address(store: Store, text: str) -> Address:
    """Read a name; what it leaves out is what the settings say."""
    config = store.config
    return names.parse(
        text,
        entity=config.text("entity"),
        project=config.text("project"),
        organisation=config.text("organisation"),
    )


def _by_alias(store: Store, text: str, at: int | None) -> Iterator[Subject]:
    where = address(store, text)
    numbered = version_index(where.alias)
    if numbered is None:
        yield Subject("version", catalog.find(store.views, where, at).version.version_id)
        return
    if where.registry is not None:
        registry = directory.registry(store.views, where.owner, where.registry, at)
        collection = catalog.collection_named(store.views, registry, where.name, at)
        link = store.views.find(LinkRow, at=at, collection_id=collection.collection_id, index=numbered)
        if link is not None:
            yield Subject("version", link.version_id)
        return
    project = directory.project(store.views, where.owner, where.project, at)
    artifact = catalog.artifact_named(store.views, project, where.name, at)
    version = store.views.find(VersionRow, at=at, artifact_id=artifact.artifact_id, index=numbered)
    if version is not None:
        yield Subject("version", version.version_id)


def _by_name(store: Store, text: str, at: int | None) -> Iterator[Subject]:
    parts = text.split("/")
    for kind, look in _LOOKS.items():
        try:
            id_ = look(store, parts, at)
        except NotFoundError:
            continue
        if id_ is not None:
            yield Subject(kind, id_)


def _project(store: Store, parts: list[str], at: int | None) -> ProjectRow:
    """Return the project that the last two of *parts* name, or that the settings say."""
    entity, project = [store.config.text("entity"), store.config.text("project")][: 2 - len(parts)] + parts
    if len(parts) == 1:
        entity = store.config.text("entity")
    return directory.project(store.views, entity, project, at)


def _artifact(store: Store, parts: list[str], at: int | None) -> str | None:
    *where, name = parts
    if len(where) > 2 or (where and where[-1].startswith(REGISTRY_PREFIX)):  # noqa: PLR2004 (entity, project)
        return None
    return catalog.artifact_named(store.views, _project(store, where, at), name, at).artifact_id


def _collection(store: Store, parts: list[str], at: int | None) -> str | None:
    *where, name = parts
    registry = _registry_row(store, where, at)
    return None if registry is None else catalog.collection_named(store.views, registry, name, at).collection_id


def _registry(store: Store, parts: list[str], at: int | None) -> str | None:
    registry = _registry_row(store, parts, at)
    return None if registry is None else registry.registry_id


def _registry_row(store: Store, parts: list[str], at: int | None) -> RegistryRow | None:
    *where, name = parts or [""]
    if not name.startswith(REGISTRY_PREFIX) or len(where) > 1:
        return None
    owner = where[0] if where else store.config.text("organisation")
    return directory.registry(store.views, owner, name.removeprefix(REGISTRY_PREFIX), at)


def _run(store: Store, parts: list[str], at: int | None) -> str | None:
    *where, key = parts
    where = where[:-1] if where and where[-1] == RUNS else where
    if len(where) > 2:  # noqa: PLR2004 (entity, project)
        return None
    project = _project(store, where, at)
    row = store.views.find(RunRow, at=at, project_id=project.project_id, key=key)
    return None if row is None else row.run_id


def _project_id(store: Store, parts: list[str], at: int | None) -> str | None:
    return _project(store, parts, at).project_id if len(parts) <= 2 else None  # noqa: PLR2004 (entity, project)


def _team(store: Store, parts: list[str], at: int | None) -> str | None:
    return directory.team(store.views, parts[0], at).team_id if len(parts) == 1 else None


def _organisation(store: Store, parts: list[str], at: int | None) -> str | None:
    return directory.organisation(store.views, parts[0], at).organisation_id if len(parts) == 1 else None


_LOOKS: Final[dict[str, Callable[[Store, list[str], int | None], str | None]]] = {
    "artifact": _artifact,
    "collection": _collection,
    "registry": _registry,
    "run": _run,
    "project": _project_id,
    "team": _team,
    "organization": _organisation,
}
