"""Lists, page by page: each page is one look-up in the order of an index, however long the list is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from attrs import fields_dict, frozen

from muniment.domain.errors import InvalidValueError
from muniment.domain.ports import Views
from muniment.domain.rows import (
    ArtifactRow,
    Cell,
    CollectionRow,
    EdgeRow,
    LinkRow,
    OrganisationRow,
    ProjectRow,
    RegistryRow,
    Row,
    RunRow,
    TeamRow,
    VersionRow,
)
from muniment.domain.values import ArtifactId, CollectionId, OrganisationId, ProjectId, RegistryId, RunId, TeamId
from muniment.domain.version import State

T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R", bound=Row)

PAGE: Final = 50
BEFORE_ALL: Final = ""
"""No name sorts before it; rows whose name was erased have none and are not listed."""


@frozen
class Page(Generic[T]):
    """A part of a list, and the cursor with which the next part begins (``None``: this was the last)."""

    items: tuple[T, ...]
    next: str | None = None


@frozen
class Paging:
    """Which page is wanted: after which cursor, how long, in which direction and as of when."""

    start: str | None = None
    size: int = PAGE
    descending: bool = False
    at: int | None = None


FIRST: Final = Paging()


def organisations(views: Views, paging: Paging = FIRST) -> Page[OrganisationRow]:
    """List the organisations by name."""
    return page(views, OrganisationRow, "name", paging)


def teams(views: Views, paging: Paging = FIRST, organisation_id: OrganisationId | None = None) -> Page[TeamRow]:
    """List the teams by name, of one organisation or all."""
    if organisation_id is None:
        return page(views, TeamRow, "name", paging)
    return page(views, TeamRow, "name", paging, organisation_id=organisation_id)


def projects(views: Views, team_id: TeamId, paging: Paging = FIRST) -> Page[ProjectRow]:
    """List the projects of a team by name."""
    return page(views, ProjectRow, "name", paging, team_id=team_id)


def runs(views: Views, project_id: ProjectId, paging: Paging = FIRST, state: str | None = None) -> Page[RunRow]:
    """List the runs of a project in the order in which they began, all or those in one state."""
    if state is None:
        return page(views, RunRow, "started_seq", paging, project_id=project_id)
    return page(views, RunRow, "started_seq", paging, project_id=project_id, state=state)


def artifacts(
    views: Views, project_id: ProjectId, paging: Paging = FIRST, type_: str | None = None
) -> Page[ArtifactRow]:
    """List the artifacts of a project by name, all or those of one type."""
    if type_ is None:
        return page(views, ArtifactRow, "name", paging, project_id=project_id)
    return page(views, ArtifactRow, "name", paging, project_id=project_id, type=type_)


def types(views: Views, project_id: ProjectId, paging: Paging = FIRST) -> Page[str]:
    """List the types of the artifacts of a project: one look-up for each type, not for each artifact."""
    found: list[str] = []
    after: str = BEFORE_ALL if paging.start is None else paging.start
    while len(found) <= paging.size:
        rows = views.select(ArtifactRow, at=paging.at, project_id=project_id, order="type", after=after, limit=1)
        if not rows or rows[0].type is None:
            return Page(tuple(found))
        after = rows[0].type
        found.append(after)
    return Page(tuple(found[: paging.size]), found[paging.size - 1])


def versions(views: Views, artifact_id: ArtifactId, paging: Paging = FIRST) -> Page[VersionRow]:
    """List the live versions of an artifact by index."""
    state = State.COMMITTED.value
    return page(views, VersionRow, "index", paging, artifact_id=artifact_id, state=state)


def registries(views: Views, organisation_id: OrganisationId, paging: Paging = FIRST) -> Page[RegistryRow]:
    """List the registries of an organisation by name."""
    return page(views, RegistryRow, "name", paging, organisation_id=organisation_id)


def collections(views: Views, registry_id: RegistryId, paging: Paging = FIRST) -> Page[CollectionRow]:
    """List the collections of a registry by name."""
    return page(views, CollectionRow, "name", paging, registry_id=registry_id)


def links(views: Views, collection_id: CollectionId, paging: Paging = FIRST) -> Page[LinkRow]:
    """List the links of a collection by index."""
    return page(views, LinkRow, "index", paging, collection_id=collection_id)


def used(views: Views, run_id: RunId, paging: Paging = FIRST) -> Page[EdgeRow]:
    """List what a run used, in the order in which it did."""
    return page(views, EdgeRow, "edge_seq", paging, run_id=run_id, role="in")


def logged(views: Views, run_id: RunId, paging: Paging = FIRST) -> Page[EdgeRow]:
    """List what a run logged, in the order in which it did."""
    return page(views, EdgeRow, "edge_seq", paging, run_id=run_id, role="out")


def page(views: Views, kind: type[R], order: str, paging: Paging, **equal: Cell) -> Page[R]:
    """Return one page of a lookup."""
    if paging.size < 1:
        msg = f"a page holds at least one row, not {paging.size}"
        raise InvalidValueError(msg)
    rows = views.select(
        kind,
        order=order,
        at=paging.at,
        after=_after(kind, order, paging),
        limit=paging.size + 1,
        descending=paging.descending,
        **equal,
    )
    return cut(rows, paging.size, order)


def cut(rows: Sequence[R], size: int, order: str) -> Page[R]:
    """Make a page of rows of which one more than wanted was asked for."""
    more = len(rows) > size
    return Page(tuple(rows[:size]), str(getattr(rows[size - 1], order)) if more else None)


def _after(kind: type[Row], order: str, paging: Paging) -> Cell:
    number = str(fields_dict(kind)[order].type) == "int"
    if paging.start is None:
        return None if number or paging.descending else BEFORE_ALL
    if not number:
        return paging.start
    try:
        return int(paging.start)
    except ValueError as error:
        msg = f"{paging.start!r} is no cursor of this list — take it from the page before"
        raise InvalidValueError(msg) from error
