"""What happens to versions and artifacts later: aliases, tags, texts, TTL, deletion, restoring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from muniment.app import catalog, directory, lifecycle, registries
from muniment.app.collecting import collect
from muniment.app.lifecycle import Edits
from muniment.domain.errors import (
    AliasMovedMeanwhileError,
    AliasReservedError,
    InvalidNameError,
    InvalidValueError,
    NameTakenError,
    NotFoundError,
    PermissionDeniedError,
    RuleError,
    TypeRefusedError,
    VersionDeletedError,
    VersionHeldError,
)
from muniment.domain.rows import ArtifactRow, TagRow
from muniment.domain.team import TtlSetters
from muniment.domain.values import NEVER, Role, Ttl
from tests.app.scene import DAY, SECOND, Scene

HOUR = 3600 * SECOND


@pytest.fixture
def three(scene: Scene) -> Scene:
    """Return a store with three versions of ``images``."""
    for text in ("one", "two", "three"):
        scene.log("images", text)
    return scene


# --- aliases ---------------------------------------------------------------------------------------------------------


def test_an_alias_has_one_holder(three: Scene) -> None:
    three.edit("images:v0", add_aliases=("best", "good"))
    three.edit("images:v2", add_aliases=("best",))
    assert three.points("images") == {"good": 0, "best": 2, "latest": 2}
    three.edit("images:best", remove_aliases=("best",))
    assert three.points("images") == {"good": 0, "latest": 2}
    three.edit("images:v1", add_aliases=("best",))
    assert three.points("images") == {"good": 0, "best": 1, "latest": 2}


def test_an_alias_lives_in_one_slot_stream(three: Scene) -> None:
    for index in (0, 1, 0, 2):
        three.edit(f"images:v{index}", add_aliases=("best",))
    slots = {each.stream for each in three.since(0) if each.type.startswith("alias.")}
    assert len(slots) == 1


def test_removing_an_alias_that_points_elsewhere_leaves_it(three: Scene) -> None:
    three.edit("images:v0", add_aliases=("best",))
    seq = three.seq
    three.edit("images:v1", remove_aliases=("best", "never there"))
    assert three.happened(seq) == []
    assert three.points("images")["best"] == 0


def test_saving_what_is_so_already_is_no_event(three: Scene) -> None:
    three.edit("images:v0", add_aliases=("best",), add_tags=("t",))
    seq = three.seq
    three.edit("images:v0", add_aliases=("best", "best"), add_tags=("t", "t"))
    assert three.happened(seq) == []


def test_an_alias_moves_only_from_where_it_is_expected(three: Scene) -> None:
    v0, v1 = three.find("images:v0").version.version_id, three.find("images:v1").version.version_id
    three.edit("images:v0", add_aliases=("best",), expected={"best": None})
    seq = three.seq
    for wrong in (None, v1):
        with pytest.raises(AliasMovedMeanwhileError, match="best"):
            three.edit("images:v2", add_aliases=("best", "other"), expected={"best": wrong})
    assert three.happened(seq) == []
    three.edit("images:v1", add_aliases=("best",), expected={"best": v0})
    assert three.points("images") == {"best": 1, "latest": 2}


def test_latest_moves_only_from_where_it_is_expected(three: Scene) -> None:
    v0, v2 = three.find("images:v0").version.version_id, three.find("images:v2").version.version_id
    with pytest.raises(AliasMovedMeanwhileError, match="latest"):
        three.edit("images:v1", add_aliases=("latest",), expected={"latest": v0})
    three.edit("images:v1", add_aliases=("latest",), expected={"latest": v2})
    assert three.points("images") == {"latest": 1}


def test_latest_put_by_hand_stays_until_the_next_version(three: Scene) -> None:
    three.edit("images:v0", add_aliases=("latest",))
    assert three.points("images") == {"latest": 0}
    three.log("images", "four")
    assert three.points("images") == {"latest": 3}


def test_latest_taken_away_stays_away_until_the_next_version(three: Scene) -> None:
    three.edit("images:v2", remove_aliases=("latest",))
    with pytest.raises(NotFoundError, match="no alias 'latest'"):
        three.find("images")
    three.delete("images:v2")
    assert three.points("images") == {}
    three.log("images", "four")
    assert three.points("images") == {"latest": 3}


def test_taking_latest_from_a_version_that_has_it_not_does_nothing(three: Scene) -> None:
    seq = three.seq
    three.edit("images:v0", remove_aliases=("latest",))
    assert three.happened(seq) == []


def test_after_a_deletion_latest_is_the_highest_that_lives(three: Scene) -> None:
    three.delete("images:v2")
    assert three.points("images") == {"latest": 1}
    three.edit("images:v0", add_aliases=("latest",))
    three.delete("images:v0")
    assert three.points("images") == {"latest": 1}
    gone = three.delete("images:v1")
    with pytest.raises(NotFoundError):
        three.find("images")
    lifecycle.restore(three.store, gone)
    assert three.points("images") == {"latest": 1}


@pytest.mark.parametrize(
    ("edits", "error"),
    [
        ({"add_aliases": ("v7",)}, AliasReservedError),
        ({"add_aliases": ("a/b",)}, InvalidNameError),
        ({"add_aliases": ("fine", "")}, InvalidNameError),
        ({"add_tags": ("a.b",)}, InvalidNameError),
        ({"add_aliases": ("a",), "remove_aliases": ("a",)}, InvalidValueError),
        ({"add_tags": ("a",), "remove_tags": ("a",)}, InvalidValueError),
    ],
)
def test_an_edit_that_is_not_allowed_changes_nothing(three: Scene, edits: Any, error: type[RuleError]) -> None:
    seq = three.seq
    with pytest.raises(error):
        three.edit("images:v0", **edits)
    assert three.happened(seq) == []


def test_one_save_is_one_transaction(three: Scene) -> None:
    seq = three.seq
    three.edit(
        "images:v0",
        add_aliases=("a",),
        add_tags=("t",),
        ttl=Ttl.after(HOUR),
        metadata={"x": 1},
        new_metadata=True,
        description="text",
        new_description=True,
    )
    events = three.since(seq)
    names = {type(each.event).__name__ for each in events}
    assert names == {"AliasMoved", "Tagged", "TtlSet", "MetadataChanged", "VersionDescribed"}
    assert len({each.command for each in events}) == 1


def test_one_wrong_part_of_a_save_undoes_all_of_it(three: Scene) -> None:
    directory.set_ttl_policy(three.store, "local", TtlSetters.ADMINS, None)
    directory.set_team_role(three.store, "local", "bob", Role.MEMBER)
    seq = three.seq
    with pytest.raises(PermissionDeniedError):
        three.by("bob").edit("images:v0", add_aliases=("a",), add_tags=("t",), ttl=Ttl.after(HOUR))
    assert three.happened(seq) == ["Denied"]


def test_texts_are_replaced_and_taken_away(three: Scene) -> None:
    three.edit("images:v0", description="text", new_description=True, metadata={"x": 1}, new_metadata=True)
    row = three.find("images:v0").version
    assert row.metadata
    assert three.store.vault.get_many([row.metadata]) == {row.metadata: {"x": 1}}
    three.edit("images:v0", description="", new_description=True, metadata=None, new_metadata=True)
    row = three.find("images:v0").version
    assert (row.description, row.metadata) == (None, None)


def test_tags_are_added_and_taken_away(three: Scene) -> None:
    three.edit("images:v0", add_tags=("a", "b"))
    three.edit("images:v0", add_tags=("c",), remove_tags=("a", "never there"))
    owner = three.find("images:v0").version.version_id
    assert [row.tag for row in three.views.select(TagRow, owner_id=owner, order="tag")] == ["b", "c"]


# --- deleting --------------------------------------------------------------------------------------------------------


def test_a_version_with_aliases_stays_unless_they_go_too(three: Scene) -> None:
    three.edit("images:v0", add_aliases=("best", "good"))
    with pytest.raises(VersionHeldError, match=r"aliases \(best, good\).*delete_aliases=True"):
        three.delete("images:v0")
    three.delete("images:v0", delete_aliases=True)
    assert three.points("images") == {"latest": 2}
    with pytest.raises(NotFoundError, match="no alias 'best'"):
        three.find("images:best")
    with pytest.raises(VersionDeletedError, match="images:v0 was deleted — restore it first"):
        three.find("images:v0")


def test_latest_does_not_hold_a_version(three: Scene) -> None:
    three.delete("images:latest")
    assert three.points("images") == {"latest": 1}


def test_deleting_twice_is_once(three: Scene) -> None:
    found = three.delete("images:v0")
    seq = three.seq
    lifecycle.delete(three.store, found)
    assert three.happened(seq) == []


def test_nothing_happens_to_a_deleted_version_but_restoring(three: Scene) -> None:
    three.edit("images:v0", add_tags=("t",))
    found = three.delete("images:v0")
    edits = [
        Edits(add_aliases=("a",)),
        Edits(add_aliases=("latest",)),
        Edits(add_tags=("u",)),
        Edits(remove_tags=("t",)),
        Edits(ttl=NEVER),
        Edits(metadata={"a": 1}, new_metadata=True),
        Edits(description="d", new_description=True),
    ]
    for each in edits:
        with pytest.raises(VersionDeletedError, match="restore it first"):
            lifecycle.edit(three.store, found, each)
    lifecycle.restore(three.store, found)
    seq = three.seq
    lifecycle.restore(three.store, found)
    assert three.happened(seq) == []
    assert three.indexes("images") == [0, 1, 2]
    assert three.find("images:v0").version.deleted_at is None


def test_a_purged_version_does_not_come_back(three: Scene) -> None:
    found = three.delete("images:v0")
    three.pass_time(8 * DAY)
    assert collect.act(three.store).purged == 1
    with pytest.raises(VersionDeletedError, match="purged"):
        lifecycle.restore(three.store, found)
    with pytest.raises(VersionDeletedError, match="was purged on 20"):
        three.find("images:v0")
    assert three.log("images", "one").index == 3


def test_when_the_bytes_of_a_deleted_version_go(three: Scene) -> None:
    row = three.version(three.delete("images:v0").version.version_id)
    assert row.deleted_at is not None
    assert lifecycle.purge_after(three.store, row) == row.deleted_at + 7 * DAY
    assert lifecycle.purge_after(three.store, three.find("images:v1").version) is None


def test_why_it_was_deleted_is_in_the_vault(three: Scene) -> None:
    three.delete("images:v0", reason="canary")
    event = three.since(three.seq - 1)[0].event
    assert three.store.vault.get_many([event.reason.slot]) == {event.reason.slot: "canary"}
    assert "canary" not in repr(event)


def test_an_artifact_goes_with_its_versions_and_its_name_is_free(three: Scene) -> None:
    three.edit("images:v0", add_aliases=("best",))
    row = three.artifact("images")
    found = three.find("images:best")
    lifecycle.delete_artifact(three.store, row, three.team)
    for name in ("images", "images:v0", "images:best"):
        with pytest.raises(NotFoundError, match="no artifact 'images'"):
            three.find(name)
    assert not catalog.is_live(three.views, found.version)
    seq = three.seq
    lifecycle.delete_artifact(three.store, row, three.team)
    assert three.happened(seq) == []
    three.log("images", "one", type_="model")
    assert three.points("images") == {"latest": 0}


def test_nothing_happens_to_versions_of_a_deleted_artifact(three: Scene) -> None:
    live, deleted = three.find("images:v0"), three.delete("images:v1")
    lifecycle.delete_artifact(three.store, three.artifact("images"), three.team)
    acts: list[Callable[[], object]] = [
        lambda: lifecycle.edit(three.store, live, Edits(add_aliases=("a",))),
        lambda: lifecycle.edit(three.store, live, Edits(ttl=NEVER)),
        lambda: lifecycle.delete(three.store, live),
        lambda: lifecycle.restore(three.store, deleted),
        lambda: lifecycle.set_artifact_ttl(three.store, live.artifact, live.team, NEVER),
        lambda: lifecycle.edit_artifact(three.store, live.artifact, live.team, name="other"),
    ]
    for act in acts:
        with pytest.raises(NotFoundError, match="artifact images was deleted"):
            act()


def test_an_artifact_with_a_linked_version_stays(three: Scene) -> None:
    three.link("images:v1", "dataset/shared")
    with pytest.raises(VersionHeldError, match="dataset/shared:v0 — unlink them first"):
        lifecycle.delete_artifact(three.store, three.artifact("images"), three.team)
    three.unlink("dataset/shared")
    lifecycle.delete_artifact(three.store, three.artifact("images"), three.team)


def test_a_project_goes_with_everything_in_it_and_its_name_is_free(scene: Scene) -> None:
    there = evolve(scene, project_name="p")
    row = directory.create_project(scene.store, "local", "p")
    there.log("images", "one", "best")
    there.run("r")
    live = there.find("images")
    lifecycle.delete_project(scene.store, row)
    with pytest.raises(NotFoundError, match="no project 'p'"):
        there.find("images:best")
    with pytest.raises(NotFoundError, match="or its project was"):
        lifecycle.edit(scene.store, live, Edits(add_aliases=("a",)))
    seq = scene.seq
    lifecycle.delete_project(scene.store, row)
    assert scene.happened(seq) == []
    again = directory.create_project(scene.store, "local", "p")
    assert again.project_id != row.project_id
    assert there.log("images", "one").index == 0


def test_a_project_with_a_linked_version_stays(scene: Scene) -> None:
    there = evolve(scene, project_name="p")
    row = directory.create_project(scene.store, "local", "p")
    there.log("other", "one")
    there.log("images", "one")
    there.link("images", "dataset/shared")
    with pytest.raises(VersionHeldError, match="dataset/shared:v0 — unlink them first"):
        lifecycle.delete_project(scene.store, row)
    assert there.linked("dataset/shared").artifact.name == "images"
    registries.delete_collection(
        scene.store, catalog.collection_named(scene.views, scene.registry("dataset"), "shared")
    )
    lifecycle.delete_project(scene.store, row)


# --- artifacts -------------------------------------------------------------------------------------------------------


def test_an_artifact_gets_another_name_and_the_old_one_is_free(three: Scene) -> None:
    row = three.artifact("images")
    lifecycle.edit_artifact(three.store, row, three.team, name="pictures")
    with pytest.raises(NotFoundError):
        three.find("images")
    assert three.log("images", "one").index == 0
    assert three.indexes("pictures") == [0, 1, 2]
    with pytest.raises(NameTakenError, match="images"):
        lifecycle.edit_artifact(three.store, three.artifact("pictures"), three.team, name="images")
    for name in ("a b", "", "n" * 129):
        with pytest.raises(InvalidNameError):
            lifecycle.edit_artifact(three.store, three.artifact("pictures"), three.team, name=name)
    assert [row.name for row in three.views.select(ArtifactRow, project_id=row.project_id, order="name")] == [
        "images",
        "pictures",
    ]


def test_an_artifact_gets_another_type_unless_a_registry_relies_on_it(three: Scene) -> None:
    three.link("images:v0", "dataset/shared")
    with pytest.raises(TypeRefusedError, match="dataset/shared:v0"):
        lifecycle.edit_artifact(three.store, three.artifact("images"), three.team, type_="model")
    lifecycle.edit_artifact(three.store, three.artifact("images"), three.team, type_="dataset")
    three.unlink("dataset/shared")
    lifecycle.edit_artifact(three.store, three.artifact("images"), three.team, type_="model")
    assert three.artifact("images").type == "model"
    with pytest.raises(TypeRefusedError):
        three.link("images:v0", "dataset/shared")
    with pytest.raises(InvalidNameError):
        lifecycle.edit_artifact(three.store, three.artifact("images"), three.team, type_="a/b")


def test_an_artifact_has_a_description_and_tags(three: Scene) -> None:
    row = three.artifact("images")
    lifecycle.edit_artifact(three.store, row, three.team, description="text", tags=["a", "b", "a"])
    assert three.artifact("images").description is not None
    lifecycle.edit_artifact(three.store, row, three.team, description="", tags=["b", "c"])
    assert three.artifact("images").description is None
    tags = three.views.select(TagRow, owner_id=row.artifact_id, order="tag")
    assert [each.tag for each in tags] == ["b", "c"]
    seq = three.seq
    lifecycle.edit_artifact(three.store, row, three.team, tags=["b", "c"])
    assert three.happened(seq) == []
