"""A collection: begun under a free name for one artifact type; versions join and leave it, each join a new index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.collection import (
    COLLECTION,
    LINK,
    LINK_NUMBERING,
    Collection,
    CollectionCreated,
    CollectionDeleted,
    CollectionDescribed,
    CollectionRenamed,
    CollectionTagged,
    CollectionUntagged,
    Linked,
    Unlinked,
    create_collection,
    delete_collection,
    describe_collection,
    link,
    rename_collection,
    tag_collection,
    unlink,
    untag_collection,
)
from muniment.domain.errors import NameTakenError, NotFoundError, TypeRefusedError
from muniment.domain.values import ERASED, ArtifactId, CollectionId, LinkId, Personal, RegistryId, SlotId, VersionId
from tests.decisions import Act, act, attempt, happen
from tests.spec import Spec

R, C, OTHER = RegistryId("r"), CollectionId("c"), CollectionId("other")
V, A = VersionId("v"), ArtifactId("a")
TEXT: Personal[str] = Personal(SlotId("slot"), "commit")
BEGUN = CollectionCreated(R, "nets", "model")
collection = Spec(COLLECTION)
numbering = Spec(LINK_NUMBERING)
links = Spec(LINK)


def test_a_collection_lives_as_its_story_tells() -> None:
    story = (
        BEGUN,
        CollectionRenamed("grids"),
        CollectionDescribed(TEXT),
        CollectionTagged("t1", "gold"),
        CollectionTagged("t2", "old"),
        CollectionUntagged("t2"),
    )
    assert collection.given(*story).state == Collection(R, "grids", "model", TEXT, frozenset({"t1"}))
    assert collection.given(*story, CollectionDeleted()).state.deleted


def test_a_collection_begins_once_under_a_free_name() -> None:
    collection.when(create_collection, BEGUN).then(BEGUN)
    collection.given(BEGUN).when(create_collection, BEGUN).then_nothing()
    refused = collection.when(create_collection, BEGUN, OTHER)
    refused.then_raises(NameTakenError, "the registry has a collection nets")


def test_what_was_deleted_never_begins_again() -> None:
    collection.given(BEGUN, CollectionDeleted()).when(create_collection, BEGUN).then_nothing()


def test_a_collection_is_renamed_to_a_free_name() -> None:
    collection.given(BEGUN).when(rename_collection, "grids").then(CollectionRenamed("grids"))
    collection.given(BEGUN).when(rename_collection, "nets", C).then_nothing()
    refused = collection.given(BEGUN).when(rename_collection, "grids", OTHER)
    refused.then_raises(NameTakenError, "the registry has a collection grids")


def test_a_collection_whose_name_was_erased_can_be_renamed() -> None:
    given_ = collection.given(CollectionCreated(R, ERASED, ERASED))
    given_.when(rename_collection, "nets").then(CollectionRenamed("nets"))


def test_the_description_is_set_and_taken_away() -> None:
    collection.given(BEGUN).when(describe_collection, TEXT).then(CollectionDescribed(TEXT))
    collection.given(BEGUN, CollectionDescribed(TEXT)).when(describe_collection, TEXT).then_nothing()
    described = collection.given(BEGUN, CollectionDescribed(TEXT))
    described.when(describe_collection, None).then(CollectionDescribed(None))
    collection.given(BEGUN).when(describe_collection, None).then_nothing()


def test_a_tag_is_added_once_and_taken_away_once() -> None:
    tagged = CollectionTagged("t1", "gold")
    collection.given(BEGUN).when(tag_collection, "t1", "gold").then(tagged)
    collection.given(BEGUN, tagged).when(tag_collection, "t1", "gold").then_nothing()
    collection.given(BEGUN, tagged).when(tag_collection, "t2", "gold", "t1").then_nothing()
    collection.given(BEGUN, tagged).when(untag_collection, "t1").then(CollectionUntagged("t1"))
    collection.given(BEGUN, tagged, CollectionUntagged("t1")).when(untag_collection, "t1").then_nothing()
    collection.given(BEGUN).when(untag_collection, None).then_nothing()


CHANGES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (rename_collection, ("x",)),
    (describe_collection, (TEXT,)),
    (tag_collection, ("t1", "gold")),
    (untag_collection, ("t1",)),
]


@pytest.mark.parametrize(("decision", "arguments"), CHANGES, ids=lambda part: getattr(part, "__name__", ""))
def test_what_was_deleted_or_never_began_cannot_be_changed(
    decision: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    collection.given(BEGUN, CollectionDeleted()).when(decision, *arguments).then_raises(NotFoundError, "was deleted")
    collection.when(decision, *arguments).then_raises(NotFoundError, "was deleted")


def test_a_collection_ends_once() -> None:
    collection.given(BEGUN).when(delete_collection).then(CollectionDeleted())
    collection.given(BEGUN, CollectionDeleted()).when(delete_collection).then_nothing()
    collection.when(delete_collection).then_nothing()


# --- links -----------------------------------------------------------------------------------------------------------


def joined(id_: str) -> Linked:
    return Linked(LinkId(id_), V, A)


def test_a_version_joins_and_its_link_is_the_head() -> None:
    joining = numbering.when(link, joined("l1"), type_="model", collection_type="model")
    assert joining.then(joined("l1")).head == LinkId("l1")


def test_a_member_does_not_join_again() -> None:
    given_ = numbering.given(joined("l1"))
    given_.when(link, joined("l2"), type_="model", collection_type="model", member=LinkId("l1")).then_nothing()
    given_.when(link, joined("l1"), type_="model", collection_type="model").then_nothing()


def test_a_version_that_left_joins_again_under_a_new_index() -> None:
    given_ = numbering.given(joined("l1"))
    given_.when(link, joined("l2"), type_="model", collection_type="model").then(joined("l2"))


def test_another_type_does_not_join() -> None:
    refused = numbering.when(link, joined("l1"), type_="dataset", collection_type="model")
    refused.then_raises(TypeRefusedError, "the collection holds artifacts of type 'model', not 'dataset'")


def test_the_first_version_of_a_new_collection_brings_its_type() -> None:
    numbering.when(link, joined("l1"), type_="dataset", collection_type=None).then(joined("l1"))


def test_a_link_ends_once() -> None:
    assert links.when(unlink, C, V).then(Unlinked(C, V)).ended
    links.given(Unlinked(C, V)).when(unlink, C, V).then_nothing()


# --- any sequence of decisions ---------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b"])
acts = st.one_of(
    act(create_collection, st.builds(CollectionCreated, st.just(R), names, names)),
    act(rename_collection, names),
    act(describe_collection, st.sampled_from([None, TEXT])),
    act(tag_collection, names, names),
    act(untag_collection, st.none() | names),
    act(delete_collection),
)


@given(st.lists(acts, max_size=12))
def test_any_decision_taken_again_changes_nothing_and_the_deleted_stay_deleted(wanted: list[Act]) -> None:
    state = COLLECTION.initial
    for each in wanted:
        events = attempt(state, each)
        assert not (state.deleted and events)
        state = happen(COLLECTION, state, events)
        assert attempt(state, each) == []


@given(st.lists(acts, max_size=12))
def test_the_type_of_a_collection_never_changes(wanted: list[Act]) -> None:
    state = COLLECTION.initial
    types = set()
    for each in wanted:
        state = happen(COLLECTION, state, attempt(state, each))
        types.add(state.type)
    assert len(types - {None}) <= 1
