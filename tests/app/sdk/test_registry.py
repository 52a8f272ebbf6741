"""Registries of organizations: what they hold and accept, who is in them, and how they are searched."""

from __future__ import annotations

from typing import Any

import pytest

import muniment as wandb
from muniment.domain.errors import InvalidValueError, NameTakenError, NotFoundError, PermissionDeniedError
from tests.app.story import Story


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setenv("MUNIMENT_ACTOR", "ada")
    return Story()


@pytest.fixture
def api(story: Story) -> wandb.Api:
    """Return an ``Api`` over two registries with three collections in them."""
    for name, size in (("small", 1), ("large", 3)):
        story.log(name, "x" * size, type_="model", metadata={"accuracy": size / 10}, tags=(name,))
        story.link(f"{name}:v0", f"wandb-registry-model/{name}-net", "production")
    found = wandb.Api()
    found.create_registry("golden", description="the best")
    story.link("large:v0", "wandb-registry-golden/chosen", "gold")
    return found


def names(found: Any) -> list[str]:
    return [each.name for each in found]


def test_every_organization_has_the_core_registries(api: wandb.Api) -> None:
    assert names(api.registries()) == ["dataset", "golden", "model"]
    core = api.registry("wandb-registry-model")
    assert (core.full_name, core.entity, core.organization) == ("wandb-registry-model", "local", "local")
    assert (core.is_core, core.visibility, list(core.artifact_types)) == (True, "organization", ["model"])
    assert core.path == ["local", "wandb-registry-model"]
    assert not core.allow_all_artifact_types
    core.name = "other"
    for act in (core.delete, core.save):
        with pytest.raises(wandb.CommError, match="core registry"):
            act()
    with pytest.raises(wandb.CommError, match="no registry 'other'"):
        api.registry("other")


def test_a_registry_is_made_with_or_without_the_prefix_of_addresses(api: wandb.Api) -> None:
    made = api.create_registry("wandb-registry-silver")
    assert (made.name, made.full_name) == ("silver", "wandb-registry-silver")
    made.name = "wandb-registry-bronze"
    made.save()
    assert api.registry("wandb-registry-bronze").id == api.registry("bronze").id == made.id


def test_a_registry_is_made_changed_in_one_transaction_and_deleted(story: Story, api: wandb.Api) -> None:
    registry = api.registry("golden")
    assert (registry.description, registry.allow_all_artifact_types, list(registry.artifact_types)) == (
        *("the best", True),
        [],
    )
    before = story.seq
    registry.name, registry.description, registry.visibility = "silver", "second", "restricted"
    registry.allow_all_artifact_types = False
    registry.artifact_types.append("model")
    registry.artifact_types += ["dataset"]
    registry.save()

    again = api.registry("silver")
    assert (again.description, again.visibility) == ("second", "restricted")
    assert list(again.artifact_types) == ["dataset", "model"]
    assert again.id == registry.id
    assert len({each.command for each in story.store.ledger.read(after=before)}) == 1
    again.delete()
    assert names(api.registries()) == ["dataset", "model"]
    assert api.artifact_exists("large:v0")
    with pytest.raises(NotFoundError):
        again.load()


def test_what_a_registry_may_not_become_is_refused_and_nothing_changes(api: wandb.Api) -> None:
    registry = api.registry("golden")
    registry.artifact_types.append("model")
    with pytest.raises(ValueError, match="Set it to False first"):
        registry.save()
    registry.load()
    with pytest.raises(InvalidValueError, match="'organization' or 'restricted'"):
        registry.visibility = "public"  # type: ignore[assignment]
    for name in ("", "a/b", "x" * 114):
        with pytest.raises(ValueError, match="Registry name"):
            registry.name = name
    registry.description, registry.name = "changed", "model"
    with pytest.raises(NameTakenError):
        registry.save()
    assert api.registry("golden").description == "the best"
    with pytest.raises(NameTakenError):
        api.create_registry("golden")
    with pytest.raises(InvalidValueError, match="visibility"):
        api.create_registry("x", visibility="public")  # type: ignore[arg-type]


def test_saved_types_are_never_taken_back(api: wandb.Api) -> None:
    registry = api.create_registry("narrow", artifact_types=["model", "dataset"])
    types = registry.artifact_types
    types.append("code")
    types.remove("code")
    types.extend(["code", "code"])
    assert types.pop() == "code"
    attempts = (
        lambda: types.remove("model"),
        types.pop,
        types.clear,
        lambda: types.__delitem__(0),
        lambda: types.__setitem__(0, "other"),
        lambda: setattr(registry, "artifact_types", ["model"]),
    )
    for attempt in attempts:
        with pytest.raises(ValueError, match="Cannot remove artifact type"):
            attempt()
    registry.artifact_types = ["model", "dataset", "eval"]
    registry.save()
    assert list(api.registry("narrow").artifact_types) == ["dataset", "eval", "model"]
    registry.allow_all_artifact_types = True
    registry.save()
    assert api.registry("narrow").allow_all_artifact_types


def test_users_and_teams_are_let_in_promoted_and_taken_out(api: wandb.Api) -> None:
    me = api.viewer.username
    team = api.create_team("vision")
    registry = api.registry("golden")

    registry.add_members("bea", team)
    registry.add_members(["cem"], role="member")
    registry.update_member("bea", "admin")

    everybody = {member.name: member.role for member in registry.members()}
    assert everybody == {me: "admin", "bea": "admin", "cem": "member", "vision": "viewer"}
    assert [member.team.name for member in registry.team_members()] == ["vision"]
    registry.add_members("bea")
    assert {member.name: member.role for member in registry.user_members()}["bea"] == "admin"
    registry.remove_members("bea", registry.team_members()[0], registry.user_members()[2])
    assert names(registry.members()) == [me]
    registry.add_members("vision")
    assert names(registry.team_members()) == ["vision"]
    registry.remove_members("vision")
    with pytest.raises(NotFoundError, match="no user or team 'zoe'"):
        registry.remove_members("zoe")
    with pytest.raises(InvalidValueError, match="no role"):
        registry.update_member("bea", "king")
    with pytest.raises(InvalidValueError, match="a member is"):
        registry.update_member(5, "viewer")  # type: ignore[arg-type]


def test_a_name_that_is_a_user_and_a_team_must_be_made_clear(api: wandb.Api) -> None:
    registry = api.registry("golden")
    team = api.create_team("zed")
    team.add_member("zed")

    with pytest.raises(InvalidValueError, match="both a user and a team"):
        registry.add_members("zed")

    user = api.user("zed")
    assert user is not None
    registry.add_members(user)
    assert registry.team_members() == []
    assert "zed" in names(registry.user_members())


def test_only_admins_move_protected_aliases(api: wandb.Api, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = api.registry("golden").add_members("bea", role="member").protect_aliases(["gold"])
    api.team("local").add_member("bea")
    assert registry.protected_aliases == ["gold"]

    monkeypatch.setenv("MUNIMENT_ACTOR", "bea")
    with pytest.raises(PermissionDeniedError, match="gold"):
        wandb.Api().artifact("small:v0").link("wandb-registry-golden/chosen", ["gold"])
    with pytest.raises(PermissionDeniedError):
        wandb.Api().registry("golden").protect_aliases([])


def test_a_member_may_describe_a_registry_but_only_an_admin_restricts_it(
    api: wandb.Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.registry("golden").add_members("bea", role="member")
    monkeypatch.setenv("MUNIMENT_ACTOR", "bea")
    registry = wandb.Api().registry("golden")
    registry.description = "described by bea"
    registry.save()

    registry.description, registry.visibility = "restricted by bea", "restricted"
    with pytest.raises(PermissionDeniedError, match="admin"):
        registry.save()

    assert wandb.Api().registry("golden").description == "described by bea"


def test_collections_are_found_by_filter_and_in_order(api: wandb.Api) -> None:
    model = api.registry("model")

    assert names(model.collections()) == ["large-net", "small-net"]
    assert names(model.collections(order="-name")) == ["small-net", "large-net"]
    assert names(model.collections(order="created_at", per_page=1)) == ["small-net", "large-net"]
    assert names(model.collections({"name": {"$contains": "small"}})) == ["small-net"]
    collection = model.collections()[0]
    assert not collection.is_sequence()
    assert (collection.entity, collection.project, collection.type) == ("local", "wandb-registry-model", "model")
    assert collection.aliases == ["production"]
    collection.name, collection.description, collection.tags = "big-net", "the large one", ["b", "a"]
    collection.save()
    assert names(model.collections({"tag": "a", "description": {"$regex": "large"}})) == ["big-net"]
    with pytest.raises(ValueError, match="sequence"):
        collection.type = "dataset"
    with pytest.raises(wandb.CommError, match="no field 'colour'"):
        model.collections({"colour": "red"})
    collection.delete()
    assert names(model.collections()) == ["small-net"]
    assert api.artifact_exists("large:v0")


def test_versions_are_found_by_alias_tag_and_metadata(api: wandb.Api) -> None:
    model = api.registry("model")

    assert names(model.versions()) == ["large-net:v0", "small-net:v0"]
    assert names(model.versions(per_page=1)) == ["large-net:v0", "small-net:v0"]
    assert names(model.versions({"metadata.accuracy": {"$gt": 0.2}})) == ["large-net:v0"]
    assert names(model.versions({"tag": "small", "alias": "production"})) == ["small-net:v0"]
    assert names(model.versions({"alias": "latest", "version": "v0"}, order="artifact_size")) == [
        *("small-net:v0", "large-net:v0")
    ]
    assert names(model.versions(order="-linked_at")) == ["large-net:v0", "small-net:v0"]
    found = model.versions()[0]
    assert (found.is_link, found.source_name) == (True, "large:v0")


def test_searching_across_registries(api: wandb.Api) -> None:
    everything = api.registries()
    assert names(everything.collections()) == ["chosen", "large-net", "small-net"]
    assert names(everything.versions({"alias": {"$in": ["gold", "production"]}})) == [
        *("chosen:v0", "large-net:v0", "small-net:v0")
    ]
    assert names(api.registries(filter={"name": "wandb-registry-golden"})) == ["golden"]
    assert names(api.registries(filter={"name": {"$regex": "^(golden|model)$"}})) == ["golden", "model"]
    assert names(api.registries(filter={"description": {"$contains": "best"}}).versions()) == ["chosen:v0"]
    assert names(api.registries(order="-created_at"))[0] == "golden"
    in_pages = api.registries(per_page=1)
    assert in_pages[0].name == "dataset"
    assert names(api.registries(start=in_pages.cursor)) == ["golden", "model"]
    later = everything.collections(per_page=1)
    assert later[1].name == "large-net"
    assert names(everything.collections(start=later.cursor)) == ["small-net"]
    with pytest.raises(wandb.CommError, match="no cursor"):
        list(everything.collections(start="nonsense"))
    with pytest.raises(wandb.CommError, match="no organization 'nowhere'"):
        api.registries("nowhere")


def test_a_registry_is_reached_through_the_api_like_a_project(api: wandb.Api) -> None:
    assert names(api.artifact_collections("wandb-registry-model", "model")) == ["large-net", "small-net"]
    assert names(api.artifact_types("local/wandb-registry-model")) == ["model"]
    assert names(api.artifacts("model", "wandb-registry-model/small-net")) == ["small-net:v0"]
    assert api.artifact_collection_exists("wandb-registry-model/small-net", "model")
    linked = api.artifact("wandb-registry-model/small-net:production")
    assert linked.collection.name == "small-net"
    assert linked.source_collection.name == "small"
