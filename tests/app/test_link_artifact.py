"""Links: which collection takes what, their numbers and aliases, and what holds between a link and its source."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from muniment.app import catalog, directory, lifecycle, link_artifact, names, registries
from muniment.app.catalog import Found
from muniment.app.lifecycle import Edits
from muniment.domain.errors import (
    AliasMovedMeanwhileError,
    AliasProtectedError,
    AliasReservedError,
    InvalidNameError,
    MunimentError,
    NotFoundError,
    PermissionDeniedError,
    RuleError,
    TypeRefusedError,
    VersionDeletedError,
    VersionHeldError,
)
from muniment.domain.registry import MemberKind
from muniment.domain.rows import AliasRow, CollectionRow, TagRow
from muniment.domain.values import Role, Ttl
from tests.app.scene import DAY, Scene


@pytest.fixture
def nets(scene: Scene) -> Scene:
    """Return a store with three versions of the model ``net`` and one of the dataset ``images``."""
    for text in ("one", "two", "three"):
        scene.log("net", text, type_="model")
    scene.log("images", "one")
    return scene


def collection(scene: Scene, registry: str, name: str) -> CollectionRow:
    return catalog.collection_named(scene.views, scene.registry(registry), name)


# --- what is taken ---------------------------------------------------------------------------------------------------


def test_the_first_link_makes_the_collection_in_the_type_of_the_version(nets: Scene) -> None:
    found = nets.link("net:v1", "model/best", "staging")
    assert (found.collection and found.collection.name, found.collection and found.collection.type) == ("best", "model")
    assert (found.link and found.link.index, found.version.index) == (0, 1)
    assert nets.points("model/best") == {"staging": 0, "latest": 0}
    nets.link("net:v2", "model/best")
    there = nets.views.select(CollectionRow, registry_id=nets.registry("model").registry_id, order="name")
    assert [row.name for row in there] == ["best"]


@pytest.mark.parametrize(
    ("source", "target", "needs"),
    [("images", "model/x", "model"), ("net", "dataset/x", "dataset"), ("net", "sets/x", "dataset, table")],
)
def test_a_registry_takes_only_the_types_it_accepts(nets: Scene, source: str, target: str, needs: str) -> None:
    registries.create(nets.store, "local", "sets", types=["table", "dataset"])
    seq = nets.seq
    with pytest.raises(TypeRefusedError, match=f"accepts type {needs}, not"):
        nets.link(source, target)
    assert nets.happened(seq) == ["Denied"]


def test_a_custom_registry_takes_any_type_but_a_collection_only_one(nets: Scene) -> None:
    registries.create(nets.store, "local", "any")
    nets.link("images", "any/sets")
    nets.link("net:v0", "any/nets")
    with pytest.raises(TypeRefusedError, match="holds artifacts of type 'dataset', not 'model'"):
        nets.link("net:v1", "any/sets")


def test_a_registry_is_never_made_by_linking(nets: Scene) -> None:
    seq = nets.seq
    with pytest.raises(NotFoundError, match="muniment registry create nowhere"):
        nets.link("net", "nowhere/x")
    with pytest.raises(RuleError, match="is no registry"):
        link_artifact.link(nets.store, nets.find("net"), names.Address("local", "uncategorized", "x"))
    assert nets.happened(seq) == []


@pytest.mark.parametrize("name", ["n" * 129, " a", "a\n"])
def test_a_collection_has_a_name_that_is_allowed(nets: Scene, name: str) -> None:
    target = names.Address("local", "wandb-registry-model", name)
    with pytest.raises(InvalidNameError, match="Collection name"):
        link_artifact.link(nets.store, nets.find("net"), target)


@pytest.mark.parametrize(
    ("alias", "error"), [("v0", AliasReservedError), ("a/b", InvalidNameError), ("", InvalidNameError)]
)
def test_an_alias_of_a_link_is_checked_like_any(nets: Scene, alias: str, error: type[MunimentError]) -> None:
    seq = nets.seq
    with pytest.raises(error):
        nets.link("net", "model/best", "fine", alias)
    assert nets.happened(seq) == []


def test_what_is_deleted_is_not_linked(nets: Scene) -> None:
    target = nets.address("wandb-registry-model/best")
    version = nets.delete("net:v0")
    with pytest.raises(VersionDeletedError, match="restore it first"):
        link_artifact.link(nets.store, version, target)
    live = nets.find("net:v1")
    lifecycle.delete_artifact(nets.store, nets.artifact("net"), nets.team)
    with pytest.raises(NotFoundError):
        link_artifact.link(nets.store, live, target)
    with pytest.raises(NotFoundError):
        collection(nets, "model", "best")


def test_a_link_of_a_link_links_the_source(nets: Scene) -> None:
    registries.create(nets.store, "local", "any")
    first = nets.link("net:v1", "model/best")
    again = link_artifact.link(nets.store, first, nets.address("wandb-registry-any/copies"), ["x"])
    assert again.version == first.version
    assert len(catalog.links_of(nets.views, first.version.version_id)) == 2
    assert nets.points("model/best") == {"latest": 0}


# --- numbers and aliases ---------------------------------------------------------------------------------------------


def test_links_are_numbered_on_their_own_and_the_last_is_latest(nets: Scene) -> None:
    for index in (2, 0, 1):
        nets.link(f"net:v{index}", "model/best")
    assert [nets.linked(f"model/best:v{index}").version.index for index in range(3)] == [2, 0, 1]
    assert nets.linked("model/best").version.index == 1
    assert nets.points("net") == {"latest": 2}


def test_linking_again_only_moves_aliases(nets: Scene) -> None:
    nets.link("net:v0", "model/best", "a")
    nets.link("net:v1", "model/best")
    seq = nets.seq
    again = nets.link("net:v0", "model/best", "a", "b", "b")
    assert again.link
    assert again.link.index == 0
    assert nets.happened(seq) == ["AliasMoved"]
    assert nets.points("model/best") == {"a": 0, "b": 0, "latest": 1}
    nets.link("net:v1", "model/best", "a")
    assert nets.points("model/best") == {"a": 1, "b": 0, "latest": 1}


def test_linking_again_as_latest_moves_latest(nets: Scene) -> None:
    nets.link("net:v0", "model/best", "latest")
    nets.link("net:v1", "model/best")
    nets.link("net:v0", "model/best", "latest")
    assert nets.points("model/best") == {"latest": 0}
    nets.link("net:v2", "model/best")
    assert nets.points("model/best") == {"latest": 2}


def test_unlinking_drops_the_aliases_and_the_number_is_gone(nets: Scene) -> None:
    nets.link("net:v0", "model/best", "a")
    nets.link("net:v1", "model/best", "b", "c")
    nets.unlink("model/best:v1")
    assert nets.points("model/best") == {"a": 0, "latest": 0}
    for gone in ("v1", "b", "c"):
        with pytest.raises(NotFoundError, match="collection 'best' has no"):
            nets.linked(f"model/best:{gone}")
    again = nets.link("net:v1", "model/best")
    assert again.link
    assert again.link.index == 2
    assert nets.points("model/best") == {"a": 0, "latest": 2}
    assert nets.find("net:v1").version.index == 1


def test_unlinking_twice_is_once_and_a_later_link_stays(nets: Scene) -> None:
    old = nets.link("net:v0", "model/best", "a")
    nets.unlink("model/best:v0")
    seq = nets.seq
    link_artifact.unlink(nets.store, old)
    assert nets.happened(seq) == []
    nets.link("net:v0", "model/best", "b")
    seq = nets.seq
    link_artifact.unlink(nets.store, old)
    assert nets.happened(seq) == []
    assert nets.points("model/best") == {"b": 1, "latest": 1}


def test_what_is_no_link_is_not_unlinked(nets: Scene) -> None:
    with pytest.raises(VersionHeldError, match="no linked version"):
        link_artifact.unlink(nets.store, nets.find("net"))


def test_the_last_link_gone_there_is_no_latest(nets: Scene) -> None:
    nets.link("net:v0", "model/best")
    nets.unlink("model/best")
    with pytest.raises(NotFoundError, match="no alias 'latest'"):
        nets.linked("model/best")


def test_aliases_of_a_collection_are_its_own(nets: Scene) -> None:
    nets.edit("net:v0", add_aliases=("a",))
    nets.link("net:v1", "model/best", "a")
    assert nets.points("net") == {"a": 0, "latest": 2}
    nets.edit("wandb-registry-model/best:v0", remove_aliases=("a",), add_aliases=("b",))
    assert nets.points("net") == {"a": 0, "latest": 2}
    assert nets.points("model/best") == {"b": 0, "latest": 0}


def test_an_alias_of_a_collection_moves_only_from_where_it_is_expected(nets: Scene) -> None:
    v0 = nets.link("net:v0", "model/best", "a").version.version_id
    v1 = nets.link("net:v1", "model/best").version.version_id
    with pytest.raises(AliasMovedMeanwhileError):
        nets.edit("wandb-registry-model/best:v1", add_aliases=("a",), expected={"a": None})
    with pytest.raises(AliasMovedMeanwhileError):
        nets.edit("wandb-registry-model/best:v0", add_aliases=("latest",), expected={"latest": v0})
    nets.edit("wandb-registry-model/best:v0", add_aliases=("latest", "b"), expected={"latest": v1, "b": None})
    nets.edit("wandb-registry-model/best:v1", add_aliases=("a",), expected={"a": v0})
    assert nets.points("model/best") == {"a": 1, "b": 0, "latest": 0}


def test_latest_taken_away_stays_away_until_the_next_link(nets: Scene) -> None:
    nets.link("net:v0", "model/best")
    nets.edit("wandb-registry-model/best:v0", remove_aliases=("latest",))
    assert nets.points("model/best") == {}
    nets.link("net:v0", "model/best", "a")
    assert nets.points("model/best") == {"a": 0}
    nets.link("net:v1", "model/best")
    assert nets.points("model/best") == {"a": 0, "latest": 1}


def test_no_alias_is_put_on_what_is_not_linked_any_more(nets: Scene) -> None:
    stale = nets.link("net:v0", "model/best")
    nets.unlink("model/best:v0")
    for alias in ("a", "latest"):
        with pytest.raises(NotFoundError, match="not linked here any more"):
            link_artifact.set_link_aliases(nets.store, stale, [alias], [])
    owner = collection(nets, "model", "best").collection_id
    assert nets.views.select(AliasRow, owner_id=owner, order="alias") == []
    live = nets.link("net:v1", "model/best")
    registries.delete_collection(nets.store, collection(nets, "model", "best"))
    with pytest.raises(NotFoundError, match="collection was deleted"):
        link_artifact.set_link_aliases(nets.store, live, ["a"], [])


def test_saving_a_link_edits_the_source_and_its_own_aliases_at_once(nets: Scene) -> None:
    nets.link("net:v0", "model/best")
    seq = nets.seq
    nets.edit("wandb-registry-model/best:v0", add_aliases=("a",), add_tags=("t",), ttl=Ttl.after(DAY))
    assert sorted(nets.happened(seq)) == ["AliasMoved", "Tagged", "TtlSet"]
    assert len({each.command for each in nets.since(seq)}) == 1
    owner = nets.find("net:v0").version.version_id
    assert [row.tag for row in nets.views.select(TagRow, owner_id=owner, order="tag")] == ["t"]
    assert nets.points("net") == {"latest": 2}


# --- source and link -------------------------------------------------------------------------------------------------


def test_a_source_with_a_live_link_stays(nets: Scene) -> None:
    nets.link("net:v0", "model/best", "production")
    for delete_aliases in (False, True):
        with pytest.raises(VersionHeldError, match="linked in model/best:v0 — unlink it first"):
            nets.delete("net:v0", delete_aliases=delete_aliases)
    assert nets.linked("model/best:production").version.state == "committed"
    nets.unlink("model/best")
    nets.delete("net:v0")


@pytest.mark.parametrize("gone", ["collection", "registry"])
def test_a_link_of_a_deleted_collection_or_registry_holds_nothing(nets: Scene, gone: str) -> None:
    registries.create(nets.store, "local", "any")
    nets.link("net:v0", "any/best", "production")
    if gone == "collection":
        registries.delete_collection(nets.store, collection(nets, "any", "best"))
    else:
        registries.delete(nets.store, nets.registry("any"))
    assert catalog.links_of(nets.views, nets.find("net:v0").version.version_id) == []
    nets.delete("net:v0")


def test_a_deleted_collection_begins_anew(nets: Scene) -> None:
    nets.link("net:v0", "model/best", "a")
    registries.delete_collection(nets.store, collection(nets, "model", "best"))
    with pytest.raises(NotFoundError, match="no collection 'best'"):
        nets.linked("model/best:a")
    nets.link("net:v1", "model/best")
    assert nets.points("model/best") == {"latest": 0}


def test_a_deleted_registry_takes_nothing(nets: Scene) -> None:
    row = registries.create(nets.store, "local", "any")
    found, target = nets.link("net:v0", "any/best"), nets.address("wandb-registry-any/best")
    registries.delete(nets.store, row)
    acts: list[Callable[[], object]] = [
        lambda: link_artifact.link(nets.store, nets.find("net:v1"), target),
        lambda: link_artifact.set_link_aliases(nets.store, found, ["a"], []),
        lambda: link_artifact.unlink(nets.store, found),
    ]
    seq = nets.seq
    for act in acts:
        with pytest.raises(NotFoundError):
            act()
    assert nets.happened(seq) == []


def test_a_deleted_registry_gets_no_collection(nets: Scene) -> None:
    row = registries.create(nets.store, "local", "any")
    registries.delete(nets.store, row)
    with pytest.raises(NotFoundError, match="registry any was deleted"):
        registries.create_collection(nets.store, row, "x", "model")


# --- protected aliases -----------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(nets: Scene) -> Scene:
    """Return the store with ``production`` protected and ``bob`` a member of the organisation."""
    registries.protect(nets.store, nets.registry("model"), ["production"])
    directory.set_organisation_role(nets.store, "local", "bob", Role.MEMBER)
    nets.link("net:v0", "model/best", "production")
    nets.link("net:v1", "model/best", "staging")
    return nets


def test_a_protected_alias_is_for_admins(guarded: Scene) -> None:
    bob = guarded.by("bob")
    acts: list[Callable[[], object]] = [
        lambda: bob.link("net:v1", "model/best", "production"),
        lambda: bob.link("net:v2", "model/best", "free", "production"),
        lambda: bob.edit("wandb-registry-model/best:v1", add_aliases=("production",)),
        lambda: bob.edit("wandb-registry-model/best:v0", remove_aliases=("production",)),
        lambda: bob.unlink("model/best:v0"),
    ]
    for act in acts:
        with pytest.raises(AliasProtectedError, match="production is protected in this registry — ask"):
            act()
    with pytest.raises(PermissionDeniedError, match="collections that hold a protected alias"):
        registries.delete_collection(bob.store, collection(guarded, "model", "best"))
    assert guarded.points("model/best") == {"production": 0, "staging": 1, "latest": 1}
    bob.link("net:v0", "model/best", "production")
    bob.edit("wandb-registry-model/best:v0", add_aliases=("staging",))
    bob.unlink("model/best:v1")
    guarded.link("net:v2", "model/best", "production")
    assert guarded.points("model/best") == {"staging": 0, "production": 2, "latest": 2}


def test_an_admin_of_the_registry_moves_a_protected_alias(guarded: Scene) -> None:
    carol = guarded.by("carol")
    registries.set_role(
        guarded.store, guarded.registry("model"), carol.store.context.actor, MemberKind.PRINCIPAL, Role.ADMIN
    )
    carol.link("net:v1", "model/best", "production")
    carol.edit("wandb-registry-model/best:v1", remove_aliases=("production",))
    registries.delete_collection(guarded.by("bob").store, collection(guarded, "model", "best"))


def test_what_is_protected_no_more_is_anybodys(guarded: Scene) -> None:
    registries.protect(guarded.store, guarded.registry("model"), ["champion"])
    guarded.by("bob").link("net:v1", "model/best", "production")
    with pytest.raises(AliasProtectedError, match="champion"):
        guarded.by("bob").link("net:v1", "model/best", "champion")


def test_latest_cannot_be_protected(guarded: Scene) -> None:
    with pytest.raises(AliasReservedError, match="latest cannot be protected"):
        registries.protect(guarded.store, guarded.registry("model"), ["latest"])


def test_who_edits_aliases_only_needs_no_role_in_the_team(guarded: Scene) -> None:
    bob = guarded.by("bob")
    bob.edit("wandb-registry-model/best:v1", add_aliases=("candidate",))
    found: Found = bob.linked("model/best:candidate")
    with pytest.raises(PermissionDeniedError, match="edit artifacts"):
        link_artifact.edit(bob.store, found, Edits(add_aliases=("x",), add_tags=("t",)))
    assert "x" not in guarded.points("model/best")


def test_a_registry_takes_versions_of_its_own_organisation_only(nets: Scene) -> None:
    directory.create_organisation(nets.store, "other")
    directory.create_team(nets.store, "theirs", "other")
    directory.create_project(nets.store, "theirs", "uncategorized")
    abroad = evolve(nets, team_name="theirs")
    abroad.log("net", "one", type_="model")
    with pytest.raises(RuleError, match="registry model takes versions of its own organization only"):
        abroad.link("net:v0", "model/best")
    assert catalog.links_of(nets.views, abroad.find("net:v0").version.version_id) == []
