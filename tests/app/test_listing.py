from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from muniment.app import directory, lifecycle, listing, runs
from muniment.app.listing import Page, Paging
from muniment.domain.errors import InvalidValueError
from tests.app.story import Story


@pytest.fixture
def story() -> Story:
    return Story()


def walk(list_: Callable[[Paging], Page[Any]], size: int = 2) -> list[list[Any]]:
    """Return all pages of a list."""
    pages, start = [], None
    while True:
        page = list_(Paging(start=start, size=size))
        pages.append(list(page.items))
        if page.next is None:
            return pages
        start = page.next


def test_artifacts_are_listed_by_name_page_by_page(story: Story) -> None:
    for name in ("e", "b", "d", "a", "c"):
        story.log(name, name)

    pages = walk(lambda paging: listing.artifacts(story.views, story.project.project_id, paging))

    assert [[row.name for row in page] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]


def test_a_full_last_page_has_no_cursor(story: Story) -> None:
    story.log("a", "a")
    story.log("b", "b")
    page = listing.artifacts(story.views, story.project.project_id, Paging(size=2))
    assert (len(page.items), page.next) == (2, None)


def test_types_are_listed_once_each(story: Story) -> None:
    for number, type_ in enumerate(["model", "dataset", "dataset", "code", "model", "eval"]):
        story.log(f"a{number}", "x", type_=type_)

    def pages(paging: Paging) -> Page[str]:
        return listing.types(story.views, story.project.project_id, paging)

    assert walk(pages) == [["code", "dataset"], ["eval", "model"]]
    assert walk(pages, 10) == [["code", "dataset", "eval", "model"]]
    of_type = listing.artifacts(story.views, story.project.project_id, type_="dataset")
    assert [row.name for row in of_type.items] == ["a1", "a2"]


def test_versions_are_listed_either_way_without_deleted_ones(story: Story) -> None:
    for number in range(5):
        story.log("digits", str(number))
    lifecycle.delete(story.store, story.find("digits:v1"))
    artifact_id = story.find("digits:v0").artifact.artifact_id

    newest = listing.versions(story.views, artifact_id, Paging(size=3, descending=True))
    rest = listing.versions(story.views, artifact_id, Paging(start=newest.next, size=3, descending=True))

    assert [row.index for row in (*newest.items, *rest.items)] == [4, 3, 2, 0]


def test_runs_are_listed_in_the_order_in_which_they_began(story: Story) -> None:
    rows = [story.run(key) for key in ("c", "a", "b")]
    runs.finish(story.store, rows[1])
    project = story.project.project_id

    assert [row.key for row in listing.runs(story.views, project).items] == ["c", "a", "b"]
    assert [row.key for row in listing.runs(story.views, project, Paging(descending=True)).items] == ["b", "a", "c"]
    assert [row.key for row in listing.runs(story.views, project, state="finished").items] == ["a"]


def test_teams_projects_registries_collections_and_links_are_listed(story: Story) -> None:
    directory.create_team(story.store, "vision")
    story.log("model", "weights", type_="model")
    story.link("model:v0", "wandb-registry-model/classifier")
    organisation = listing.organisations(story.views).items[0]
    team = directory.team(story.views, "local")
    registry = listing.registries(story.views, organisation.organisation_id).items[1]
    collection = listing.collections(story.views, registry.registry_id).items[0]

    assert [row.name for row in listing.teams(story.views).items] == ["local", "vision"]
    of_it = listing.teams(story.views, organisation_id=organisation.organisation_id)
    assert len(of_it.items) == 2
    assert [row.name for row in listing.projects(story.views, team.team_id).items] == ["uncategorized"]
    assert (registry.name, collection.name) == ("model", "classifier")
    assert [row.index for row in listing.links(story.views, collection.collection_id).items] == [0]


def test_what_a_run_used_and_logged_is_listed_in_order(story: Story) -> None:
    first, second = (story.log("digits", text).version_id for text in "ab")
    run = story.run("train", second, first)
    model = story.log("model", "w", type_="model", run=run).version_id

    assert [row.version_id for row in listing.used(story.views, run.run_id).items] == [second, first]
    assert [row.version_id for row in listing.logged(story.views, run.run_id).items] == [model]


def test_a_list_as_of_an_earlier_event_has_what_was_there(story: Story) -> None:
    story.log("a", "a")
    before = story.seq
    story.log("b", "b", type_="model")

    project = story.project.project_id
    assert [row.name for row in listing.artifacts(story.views, project, Paging(at=before)).items] == ["a"]
    assert listing.types(story.views, project, Paging(at=before)).items == ("dataset",)


def test_a_wrong_cursor_or_size_is_refused(story: Story) -> None:
    artifact_id = story.log("a", "a").artifact_id
    with pytest.raises(InvalidValueError, match="no cursor"):
        listing.versions(story.views, artifact_id, Paging(start="zebra"))
    with pytest.raises(InvalidValueError, match="at least one"):
        listing.versions(story.views, artifact_id, Paging(size=0))


def test_the_first_page_costs_the_same_statements_however_long_the_list_is(story: Story) -> None:
    def steps() -> int:
        """Count what SQLite does for the first pages: its virtual machine's steps, not time."""
        views: Any = story.views
        source = views.cursor()
        connection = source.connection if isinstance(source, sqlite3.Cursor) else source
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        connection.set_progress_handler(step, 10)
        listing.artifacts(story.views, project, Paging(size=5))
        listing.types(story.views, project, Paging(size=5))
        listing.versions(story.views, artifact_id, Paging(size=5, descending=True))
        connection.set_progress_handler(None, 0)
        return count

    project = story.project.project_id
    for number in range(10):
        story.log(f"name-{number:04}", "x")
        artifact_id = story.log("digits", f"{number}").artifact_id
    few = steps()
    for number in range(10, 200):
        story.log(f"name-{number:04}", "x")
        story.log("digits", f"{number}")
    assert few
    assert steps() == pytest.approx(few, abs=2)
