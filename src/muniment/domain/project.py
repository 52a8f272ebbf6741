"""A project of a team: where runs happen and artifacts live."""

from __future__ import annotations

from typing import ClassVar, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import NameTakenError, NotFoundError, VersionHeldError
from muniment.domain.values import Audit, Erased, ProjectId, TeamId, Words


@frozen
class ProjectCreated(Event):
    """A project began."""

    team_id: TeamId
    name: Words[str]


@frozen
class ProjectRenamed(Event):
    """The project has another name; the old one is free again."""

    name: Words[str]


@frozen
class ProjectDeleted(Event):
    """The project, its artifacts and runs were let go; its name is free again."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


ProjectEvent: TypeAlias = ProjectCreated | ProjectRenamed | ProjectDeleted


@frozen
class Project:
    """What decisions about a project need to know."""

    team_id: TeamId | None = None
    name: str | Erased | None = None
    deleted: bool = False


def create_project(project: Project, created: ProjectCreated, taken: ProjectId | None = None) -> list[ProjectEvent]:
    """Begin a project, unless the team has one of this name."""
    return [] if taken is not None or project.team_id is not None else [created]


def rename_project(project: Project, name: str, taken: ProjectId | None = None) -> list[ProjectEvent]:
    """Give the project another free name."""
    _require(project)
    if name == project.name:
        return []
    if taken is not None:
        msg = f"the team has a project {name}"
        raise NameTakenError(msg)
    return [ProjectRenamed(name)]


def delete_project(project: Project, holders: tuple[str, ...] = ()) -> list[ProjectEvent]:
    """Let the project go, unless links hold one of its versions (*holders* names them)."""
    if project.team_id is None or project.deleted:
        return []
    if holders:
        msg = f"versions of this project are linked in {', '.join(holders)} — unlink them first"
        raise VersionHeldError(msg)
    return [ProjectDeleted()]


def _require(project: Project) -> None:
    if project.team_id is None or project.deleted:
        msg = "the project was deleted" if project.deleted else "there is no such project"
        raise NotFoundError(msg)


def evolve(project: Project, event: ProjectEvent) -> Project:
    """Return the project after *event*."""
    match event:
        case ProjectCreated(team_id=team_id, name=name):
            return Project(team_id, name)
        case ProjectRenamed(name=name):
            return replace(project, name=name)
        case ProjectDeleted():
            return replace(project, deleted=True)
        case _:
            assert_never(event)


PROJECT: Decider[Project, ProjectEvent] = Decider("project", Project(), evolve)
