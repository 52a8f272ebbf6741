"""Registries and collections: what can be changed about them, and what about the core ones cannot."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from muniment.app import catalog, directory, registries
from muniment.domain.errors import (
    InvalidNameError,
    MunimentError,
    NameTakenError,
    NotFoundError,
    PermissionDeniedError,
    RuleError,
    TypeRefusedError,
)
from muniment.domain.registry import Visibility
from muniment.domain.rows import AcceptedTypeRow, CollectionRow, RegistryRow, TagRow
from muniment.domain.values import Role
from tests.app.scene import Scene


def accepted(scene: Scene, registry: str) -> list[str]:
    rows = scene.views.select(AcceptedTypeRow, registry_id=scene.registry(registry).registry_id, order="type")
    return [row.type for row in rows]


def collection(scene: Scene, registry: str, name: str) -> CollectionRow:
    return catalog.collection_named(scene.views, scene.registry(registry), name)


def test_every_organisation_has_the_core_registries(scene: Scene) -> None:
    directory.create_organisation(scene.store, "acme")
    for organisation in ("local", "acme"):
        rows = registries.listed(scene.store, organisation)
        assert [(row.name, row.core, row.all_types) for row in rows] == [("dataset", 1, 0), ("model", 1, 0)]
    assert (accepted(scene, "dataset"), accepted(scene, "model")) == (["dataset"], ["model"])
    assert len(registries.listed(scene.store)) == 4


def test_a_core_registry_keeps_its_name_visibility_and_types(scene: Scene) -> None:
    row = scene.registry("model")
    acts: list[Callable[[], object]] = [
        lambda: registries.rename(scene.store, row, "models"),
        lambda: registries.describe(scene.store, row, "text"),
        lambda: registries.restrict(scene.store, row, Visibility.RESTRICTED),
        lambda: registries.accept_all_types(scene.store, row),
        lambda: registries.delete(scene.store, row),
    ]
    for act in acts:
        with pytest.raises(RuleError, match="core registry model cannot be"):
            act()
    registries.accept_types(scene.store, row, ["adapter"])
    assert accepted(scene, "model") == ["adapter", "model"]


def test_a_custom_registry_takes_all_types_or_these(scene: Scene) -> None:
    assert registries.create(scene.store, "local", "any").all_types == 1
    row = registries.create(scene.store, "local", "some", types=["b", "a", "b"], description="canary")
    assert (row.all_types, accepted(scene, "some")) == (0, ["a", "b"])
    assert row.description
    assert scene.store.vault.get_many([row.description]) == {row.description: "canary"}


def test_accepted_types_only_grow(scene: Scene) -> None:
    row = registries.create(scene.store, "local", "some", types=["a"])
    registries.accept_types(scene.store, row, ["b", "a"])
    seq = scene.seq
    registries.accept_types(scene.store, row, ["a", "b"])
    assert scene.happened(seq) == []
    assert accepted(scene, "some") == ["a", "b"]
    registries.accept_all_types(scene.store, row)
    scene.log("x", "one", type_="whatever")
    scene.link("x", "some/things")
    with pytest.raises(RuleError, match="allow_all_artifact_types to False first"):
        registries.accept_types(scene.store, row, ["c"])
    registries.accept_types(scene.store, row, ["c"], narrow=True)
    assert accepted(scene, "some") == ["a", "b", "c"]
    with pytest.raises(TypeRefusedError):
        scene.link("x", "some/others")


@pytest.mark.parametrize(
    "name", ["", " a", "wandb-registry-a", "a/b", "a\\b", "a#b", "a?b", "a%b", "a:b", "a\nb", "a\rb", "n" * 114]
)
def test_a_name_that_is_not_allowed(scene: Scene, name: str) -> None:
    row, seq = registries.create(scene.store, "local", "fine" * 28), scene.seq
    with pytest.raises(InvalidNameError, match="Registry name"):
        registries.create(scene.store, "local", name)
    with pytest.raises(InvalidNameError, match="Registry name"):
        registries.rename(scene.store, row, name)
    assert scene.happened(seq) == []


def test_a_name_is_there_once_per_organisation_until_it_is_free(scene: Scene) -> None:
    directory.create_organisation(scene.store, "acme")
    row = registries.create(scene.store, "local", "x")
    registries.create(scene.store, "acme", "x")
    with pytest.raises(NameTakenError, match="has a registry x"):
        registries.create(scene.store, "local", "x")
    with pytest.raises(NameTakenError):
        registries.create(scene.store, "local", "model")
    other = registries.create(scene.store, "local", "y")
    with pytest.raises(NameTakenError):
        registries.rename(scene.store, other, "x")
    registries.rename(scene.store, row, "z")
    registries.rename(scene.store, other, "x")
    assert [each.name for each in registries.listed(scene.store, "local")] == ["dataset", "model", "x", "z"]
    registries.delete(scene.store, scene.registry("x"))
    assert registries.create(scene.store, "local", "x").registry_id != other.registry_id


def test_a_restricted_registry_does_not_open_again(scene: Scene) -> None:
    row = registries.create(scene.store, "local", "x")
    registries.restrict(scene.store, row, Visibility.RESTRICTED)
    assert scene.registry("x").visibility == "restricted"
    with pytest.raises(RuleError, match="cannot be opened"):
        registries.restrict(scene.store, row, Visibility.ORGANISATION)


def test_a_description_comes_and_goes(scene: Scene) -> None:
    row = registries.create(scene.store, "local", "x")
    registries.describe(scene.store, row, "text")
    assert scene.registry("x").description
    registries.describe(scene.store, row, "")
    assert scene.registry("x").description is None


def test_a_deleted_registry_goes_with_its_collections_but_not_the_versions(scene: Scene) -> None:
    row = registries.create(scene.store, "local", "x")
    scene.log("images", "one")
    scene.link("images", "x/sets", "a")
    sets = collection(scene, "x", "sets")
    registries.delete(scene.store, row)
    with pytest.raises(NotFoundError, match="no registry 'x'"):
        scene.linked("x/sets:a")
    assert scene.find("images").version.state == "committed"
    acts: list[Callable[[], object]] = [
        lambda: registries.rename(scene.store, row, "y"),
        lambda: registries.describe(scene.store, row, "text"),
        lambda: registries.accept_types(scene.store, row, ["a"]),
        lambda: registries.protect(scene.store, row, ["a"]),
        lambda: registries.create_collection(scene.store, row, "c", "dataset"),
        lambda: registries.edit_collection(scene.store, sets, name="c"),
        lambda: registries.delete_collection(scene.store, sets),
        lambda: registries.edit_collection(scene.by("mallory").store, sets, tags=["t"]),
    ]
    for act in acts:
        with pytest.raises(NotFoundError, match="deleted"):
            act()
    seq = scene.seq
    registries.delete(scene.store, row)
    assert scene.happened(seq) == []


# --- collections -----------------------------------------------------------------------------------------------------


def test_a_collection_is_made_without_a_link(scene: Scene) -> None:
    row = registries.create_collection(scene.store, scene.registry("model"), "best", "model")
    assert (row.name, row.type) == ("best", "model")
    with pytest.raises(NameTakenError, match="has a collection best"):
        registries.create_collection(scene.store, scene.registry("model"), "best", "model")
    with pytest.raises(TypeRefusedError):
        registries.create_collection(scene.store, scene.registry("model"), "sets", "dataset")
    scene.log("net", "one", type_="model")
    assert scene.link("net", "model/best").collection == row


@pytest.mark.parametrize(
    ("name", "type_", "error"),
    [("a/b", "model", InvalidNameError), ("", "model", InvalidNameError), ("a", "m/n", InvalidNameError)],
)
def test_a_collection_that_is_not_allowed(scene: Scene, name: str, type_: str, error: type[MunimentError]) -> None:
    with pytest.raises(error):
        registries.create_collection(scene.store, scene.registry("model"), name, type_)


def test_a_collection_changes_name_texts_and_tags_at_once(scene: Scene) -> None:
    row = registries.create_collection(scene.store, scene.registry("model"), "best", "model")
    seq = scene.seq
    registries.edit_collection(scene.store, row, name="top", description="text", tags=["b", "a", "a"])
    events = scene.since(seq)
    assert [type(each.event).__name__ for each in events] == [
        "CollectionRenamed",
        "CollectionDescribed",
        "CollectionTagged",
        "CollectionTagged",
    ]
    assert len({each.command for each in events}) == 1
    now = collection(scene, "model", "top")
    assert now.collection_id == row.collection_id
    registries.edit_collection(scene.store, now, description="", tags=["b", "c"])
    assert collection(scene, "model", "top").description is None
    tags = scene.views.select(TagRow, owner_id=row.collection_id, order="tag")
    assert [each.tag for each in tags] == ["b", "c"]
    other = registries.create_collection(scene.store, scene.registry("model"), "best", "model")
    with pytest.raises(NameTakenError):
        registries.edit_collection(scene.store, other, name="top")
    with pytest.raises(InvalidNameError):
        registries.edit_collection(scene.store, other, tags=["a.b"])
    with pytest.raises(InvalidNameError):
        registries.edit_collection(scene.store, other, name="a:b")


def test_a_deleted_collection_stays_deleted(scene: Scene) -> None:
    row = registries.create_collection(scene.store, scene.registry("model"), "best", "model")
    registries.delete_collection(scene.store, row)
    seq = scene.seq
    registries.delete_collection(scene.store, row)
    assert scene.happened(seq) == []
    for edits in ({"name": "x"}, {"description": "x"}, {"tags": ["x"]}):
        with pytest.raises(NotFoundError, match="collection was deleted"):
            registries.edit_collection(scene.store, row, **edits)


def test_who_makes_a_registry_is_its_admin(scene: Scene) -> None:
    directory.set_organisation_role(scene.store, "local", "bob", Role.MEMBER)
    bob = scene.by("bob")
    row = registries.create(bob.store, "local", "bobs", visibility=Visibility.RESTRICTED)
    registries.protect(bob.store, row, ["production"])
    assert directory.registry_role(scene.views, row, bob.store.context.actor) is Role.ADMIN
    directory.set_organisation_role(scene.store, "local", "carol", Role.MEMBER)
    with pytest.raises(PermissionDeniedError):
        registries.create_collection(scene.by("carol").store, row, "x", "model")
    assert isinstance(row, RegistryRow)
