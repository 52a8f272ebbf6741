"""A project: begun unless its name is there, renamed, let go unless links hold a version of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import NameTakenError, NotFoundError, VersionHeldError
from muniment.domain.project import (
    PROJECT,
    Project,
    ProjectCreated,
    ProjectDeleted,
    ProjectRenamed,
    create_project,
    delete_project,
    rename_project,
)
from muniment.domain.values import ERASED, ProjectId, TeamId
from tests.decisions import Act, act, attempt, happen
from tests.spec import Spec

T, OTHER = TeamId("t"), ProjectId("other")
BEGUN = ProjectCreated(T, "digits")
project = Spec(PROJECT)


def test_a_project_lives_as_its_story_tells() -> None:
    assert project.given(BEGUN, ProjectRenamed("numbers")).state == Project(T, "numbers")
    assert project.given(BEGUN, ProjectDeleted()).state == Project(T, "digits", deleted=True)


def test_a_project_begins_once_and_one_that_is_there_is_enough() -> None:
    project.when(create_project, BEGUN).then(BEGUN)
    project.given(BEGUN).when(create_project, BEGUN).then_nothing()
    project.when(create_project, BEGUN, OTHER).then_nothing()
    project.given(BEGUN, ProjectDeleted()).when(create_project, BEGUN).then_nothing()


def test_a_project_is_renamed_to_a_free_name() -> None:
    project.given(BEGUN).when(rename_project, "numbers").then(ProjectRenamed("numbers"))
    project.given(BEGUN).when(rename_project, "digits", OTHER).then_nothing()
    refused = project.given(BEGUN).when(rename_project, "numbers", OTHER)
    refused.then_raises(NameTakenError, "the team has a project numbers")
    project.given(ProjectCreated(T, ERASED)).when(rename_project, "numbers").then(ProjectRenamed("numbers"))


def test_a_project_that_is_not_there_is_not_renamed() -> None:
    project.when(rename_project, "numbers").then_raises(NotFoundError, "there is no such project")
    deleted = project.given(BEGUN, ProjectDeleted())
    deleted.when(rename_project, "numbers").then_raises(NotFoundError, "the project was deleted")


def test_a_project_is_let_go_once() -> None:
    project.given(BEGUN).when(delete_project).then(ProjectDeleted())
    project.given(BEGUN, ProjectDeleted()).when(delete_project).then_nothing()
    project.given(BEGUN, ProjectDeleted()).when(delete_project, ("acme/nets",)).then_nothing()
    project.when(delete_project).then_nothing()


def test_links_hold_a_project() -> None:
    refused = project.given(BEGUN).when(delete_project, ("acme/nets", "acme/best"))
    refused.then_raises(VersionHeldError, "versions of this project are linked in acme/nets, acme/best — unlink")


names = st.sampled_from(["a", "b"])
acts = st.one_of(
    act(create_project, st.builds(ProjectCreated, st.just(T), names), st.sampled_from([None, OTHER])),
    act(rename_project, names),
    act(delete_project, st.sampled_from([(), ("x",)])),
)


@given(st.lists(acts, max_size=12))
def test_any_decision_taken_again_changes_nothing_and_the_deleted_stay_deleted(wanted: list[Act]) -> None:
    state = PROJECT.initial
    for each in wanted:
        events = attempt(state, each)
        assert not (state.deleted and events)
        state = happen(PROJECT, state, events)
        assert attempt(state, each) == []
