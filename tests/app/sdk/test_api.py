"""``Api``: everything in the store, looked at from outside of runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import muniment as wandb
from muniment.app.sdk.people import Member
from muniment.domain.errors import (
    InvalidNameError,
    InvalidValueError,
    NameTakenError,
    NotFoundError,
    PermissionDeniedError,
)
from tests.app.story import Story


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setenv("MUNIMENT_ACTOR", "ada")
    return Story()


@pytest.fixture
def api(story: Story) -> wandb.Api:
    del story
    return wandb.Api()


def names(found: Any) -> list[str]:
    return [each.name for each in found]


# --- artifacts -------------------------------------------------------------------------------------------------------


def test_an_artifact_is_found_by_alias_by_number_and_as_the_latest(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a", aliases=("best",))
    story.log("digits", "b")

    for name in ("digits", "uncategorized/digits", "local/uncategorized/digits:latest", "digits:v1"):
        assert api.artifact(name).name == "digits:v1"
    assert api.artifact("digits:best", type="dataset").qualified_name == "local/uncategorized/digits:v0"


def test_an_artifact_of_another_type_or_name_is_a_comm_error_and_a_value_error(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")

    with pytest.raises(wandb.CommError, match="type 'model' specified but this artifact is of type 'dataset'"):
        api.artifact("digits", type="model")
    with pytest.raises(ValueError, match="no artifact 'other'"):
        api.artifact("other")
    with pytest.raises(NotFoundError, match="no alias 'best'"):
        api.artifact("digits:best")
    with pytest.raises(wandb.CommError, match="Invalid artifact path"):
        api.artifact("a/b/c/d")


def test_whether_artifacts_and_collections_exist(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")

    assert api.artifact_exists("digits:v0")
    assert api.artifact_exists("digits", type="dataset")
    assert not api.artifact_exists("digits", type="model")
    assert not api.artifact_exists("digits:v7")
    assert not api.artifact_exists("nobody/digits")
    assert api.artifact_collection_exists("digits", "dataset")
    assert not api.artifact_collection_exists("digits", "model")
    assert not api.artifact_collection_exists("other", "dataset")
    api.artifact("digits:v0").delete(delete_aliases=True)
    assert not api.artifact_exists("digits:v0")
    with pytest.raises(InvalidNameError):
        api.artifact_exists("a/b/c/d")


def test_the_versions_of_a_collection_come_newest_first_or_as_ordered(story: Story, api: wandb.Api) -> None:
    for size, tags in ((3, ("raw",)), (1, ("raw", "clean")), (2, ())):
        story.log("digits", "x" * size, tags=tags)

    assert names(api.artifacts("dataset", "digits")) == ["digits:v2", "digits:v1", "digits:v0"]
    assert names(api.artifacts("dataset", "digits", order="+created_at")) == ["digits:v0", "digits:v1", "digits:v2"]
    by_size = api.artifacts("dataset", "digits", order="artifact_size", per_page=2)
    assert names(by_size) == ["digits:v1", "digits:v2", "digits:v0"]
    assert names(api.artifacts("dataset", "digits", tags="raw")) == ["digits:v1", "digits:v0"]
    assert names(api.artifacts("dataset", "digits", tags=["raw", "clean"])) == ["digits:v1"]
    assert names(api.artifact_versions("dataset", "digits", per_page=1)) == ["digits:v2", "digits:v1", "digits:v0"]
    with pytest.raises(wandb.CommError, match="is of type 'dataset', not 'model'"):
        api.artifacts("model", "digits")
    with pytest.raises(wandb.CommError, match="no order by 'colour'"):
        api.artifacts("dataset", "digits", order="colour")


def test_lists_are_fetched_as_far_as_they_are_looked_at_and_can_be_resumed(story: Story, api: wandb.Api) -> None:
    for number in range(7):
        story.log("digits", str(number))

    found = api.artifacts("dataset", "digits", per_page=3)
    assert len(found) == 7
    assert found.cursor is None
    assert found[1].version == "v5"
    assert found.more
    rest = api.artifacts("dataset", "digits", per_page=3, start=found.cursor)
    assert names(rest) == [f"digits:v{number}" for number in (3, 2, 1, 0)]
    assert len(rest) == 4
    assert not rest.more
    assert names(found[2:5]) == ["digits:v4", "digits:v3", "digits:v2"]
    assert found[-1].version == "v0"
    assert [found.next().version, next(found).version] == ["v6", "v5"]
    assert bool(found)
    with pytest.raises(IndexError, match="7 items"):
        found[7]
    with pytest.raises(InvalidValueError, match="at least 1"):
        api.artifacts("dataset", "digits", per_page=0)
    with pytest.raises(wandb.CommError, match="no cursor"):
        list(api.artifacts("dataset", "digits", start="nonsense"))


def test_types_and_collections_of_a_project(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")
    story.log("letters", "b", tags=("v",))
    story.log("net", "c", type_="model")

    assert names(api.artifact_types()) == ["dataset", "model"]
    assert names(api.artifact_types("local/uncategorized", per_page=1)) == ["dataset", "model"]
    type_ = api.artifact_type("dataset")
    assert (type_.name, type_.entity, type_.project) == ("dataset", "local", "uncategorized")
    assert names(type_.collections()) == ["digits", "letters"]
    assert type_.collection("digits").type == "dataset"
    assert names(api.artifact_collections("uncategorized", "dataset", order="-name")) == ["letters", "digits"]
    assert len(api.artifact_collections("uncategorized", "dataset")) == 2
    assert names(api.artifact_collections("uncategorized", filters={"name": {"$regex": "t"}})) == [
        *("digits", "letters", "net")
    ]
    assert names(api.project("uncategorized").collections(order="-created_at")) == ["net", "letters", "digits"]
    assert names(api.project("uncategorized").artifacts_types()) == ["dataset", "model"]
    with pytest.raises(wandb.CommError, match="no artifacts of type 'other'"):
        api.artifact_type("other")
    with pytest.raises(wandb.CommError, match="is of type"):
        type_.collection("net")


def test_a_sequence_can_be_renamed_retyped_described_tagged_and_deleted(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a", aliases=("best",))
    before = story.seq

    collection = api.artifact_collection("dataset", "digits")
    assert collection.is_sequence()
    assert collection.aliases == ["best"]
    collection.name, collection.type, collection.description = "numbers", "images", "small pictures"
    collection.tags.append("eight by eight")
    collection.save()
    collection.save()

    again = api.artifact_collection("images", "numbers")
    assert (again.description, again.tags, again.id) == ("small pictures", ["eight by eight"], collection.id)
    assert (again.entity, again.project) == ("local", "uncategorized")
    assert names(again.artifacts()) == ["numbers:v0"]
    commands = {each.command for each in story.store.ledger.read(after=before)}
    assert len(commands) == 1
    again.change_type("dataset")
    assert api.artifact("numbers").type == "dataset"
    again.delete()
    assert not api.artifact_exists("numbers")
    with pytest.raises(NotFoundError, match="not here any more"):
        again.load()


@pytest.mark.parametrize("name", ["", "a/b", "x" * 129])
def test_a_collection_takes_no_impossible_name(story: Story, api: wandb.Api, name: str) -> None:
    story.log("digits", "a")
    with pytest.raises(ValueError, match="Collection name"):
        api.artifact_collection("dataset", "digits").name = name


def test_a_name_that_is_taken_is_refused_and_nothing_is_changed(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")
    story.log("letters", "b")
    collection = api.artifact_collection("dataset", "digits")
    collection.name, collection.description = "letters", "changed"

    with pytest.raises(NameTakenError):
        collection.save()

    assert api.artifact_collection("dataset", "digits").description is None
    assert collection.load().name == "digits"


# --- people ----------------------------------------------------------------------------------------------------------


def roles(members: list[Member]) -> dict[str, str]:
    return {member.username: member.role for member in members}


def test_organizations_teams_and_members_are_made_from_the_library(
    api: wandb.Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = api.viewer.username
    organization = api.create_organization("acme")
    team = api.create_team("vision", organization="acme")

    team.add_member("bea").add_member("cem", "viewer")
    team.add_member("cem", "admin")
    team.remove_member("bea")
    organization.add_member("dora", role="viewer").add_member("eli").remove_member("eli")

    assert (team.organization, names(organization.teams)) == ("acme", ["vision"])
    assert roles(api.team("vision").members) == {me: "admin", "cem": "admin"}
    assert roles(api.organization("acme").members) == {me: "admin", "dora": "viewer"}
    assert names(api.teams()) == ["local", "vision"]
    known = api.user("dora")
    assert known is not None
    assert known.name == "dora"
    assert api.user("nobody") is None
    with pytest.raises(InvalidValueError, match="no role 'king'"):
        team.add_member("bea", "king")
    with pytest.raises(NameTakenError):
        api.create_team("vision")
    monkeypatch.setenv("MUNIMENT_ACTOR", "dora")
    with pytest.raises(PermissionDeniedError):
        wandb.Api().team("vision").add_member("dora", "admin")
    assert team.rename("sight").name == "sight"
    assert api.team("sight").id == team.id


def test_a_team_says_who_may_set_a_ttl_and_how_long_versions_are_kept(story: Story, api: wandb.Api) -> None:
    story.log("digits", "a")
    team = api.team("local").set_ttl_policy("admins", timedelta(days=30))

    assert (team.ttl_setters, team.default_ttl) == ("admins", timedelta(days=30))
    assert api.artifact("digits").ttl == timedelta(days=30)
    assert api.team("local").set_ttl_policy().default_ttl is None
    for wrong in (timedelta(0), timedelta(days=-1), 5):
        with pytest.raises(InvalidValueError, match="positive timedelta"):
            team.set_ttl_policy(default=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="'members' or 'admins'"):
        team.set_ttl_policy("everybody")  # type: ignore[arg-type]


def test_overrides_say_what_names_leave_out(story: Story) -> None:
    story.log("digits", "a")
    Story("other").log("letters", "b")
    api = wandb.Api(overrides={"project": "other", "base_url": "https://example.org"}, api_key="x", timeout=3)

    assert api.artifact("letters").project == "other"
    assert names(api.artifact_types()) == ["dataset"]
    assert api.settings == {"entity": "local", "project": "other", "organization": "local"}
    assert not api.artifact_exists("digits")
    assert api.default_entity == "local"
    api.flush()
