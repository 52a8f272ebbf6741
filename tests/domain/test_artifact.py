"""An artifact: begun once under a free name, changed while it lives, let go for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.artifact import (
    ARTIFACT,
    NUMBERING,
    Artifact,
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactDescribed,
    ArtifactRenamed,
    ArtifactTagged,
    ArtifactTtlSet,
    ArtifactUntagged,
    TypeChanged,
    VersionCreated,
    change_type,
    create_artifact,
    create_version,
    delete_artifact,
    describe_artifact,
    rename_artifact,
    set_artifact_ttl,
    tag_artifact,
    untag_artifact,
)
from muniment.domain.errors import NameTakenError, NotFoundError, VersionHeldError
from muniment.domain.values import (
    ERASED,
    INHERIT,
    NEVER,
    ArtifactId,
    Digest,
    Personal,
    ProjectId,
    SlotId,
    Ttl,
    VersionId,
)
from tests.decisions import Act, act, attempt, happen
from tests.spec import Spec

P, OTHER = ProjectId("p"), ArtifactId("other")
TEXT: Personal[str] = Personal(SlotId("slot"), "commit")
WEEK = Ttl.after(7 * 86_400_000_000)
BEGUN = ArtifactCreated(P, "net", "model")
artifact = Spec(ARTIFACT)
numbering = Spec(NUMBERING)


def made(id_: str, digest: str = "d") -> VersionCreated:
    return VersionCreated(VersionId(id_), Digest(digest), Digest("m"), 1, 1)


def test_an_artifact_lives_as_its_story_tells() -> None:
    story = (
        BEGUN,
        ArtifactRenamed("net-2"),
        TypeChanged("network"),
        ArtifactDescribed(TEXT),
        ArtifactTtlSet(WEEK),
        ArtifactTagged("t1", "gold"),
        ArtifactTagged("t2", "old"),
        ArtifactUntagged("t2"),
    )
    assert artifact.given(*story).state == Artifact(P, "net-2", "network", WEEK, TEXT, frozenset({"t1"}))
    assert artifact.given(*story, ArtifactDeleted()).state.deleted


# --- beginning -------------------------------------------------------------------------------------------------------


def test_a_name_begins() -> None:
    assert artifact.when(create_artifact, BEGUN).then(BEGUN) == Artifact(P, "net", "model")


def test_a_name_begins_with_a_description() -> None:
    begun = ArtifactCreated(P, "net", "model", TEXT)
    assert artifact.when(create_artifact, begun).then(begun).description == TEXT


def test_what_began_does_not_begin_again() -> None:
    artifact.given(BEGUN).when(create_artifact, BEGUN).then_nothing()


def test_a_taken_name_is_refused() -> None:
    artifact.when(create_artifact, BEGUN, OTHER).then_raises(NameTakenError, "the name net is taken in this project")


def test_what_was_deleted_never_begins_again() -> None:
    artifact.given(BEGUN, ArtifactDeleted()).when(create_artifact, BEGUN).then_nothing()


# --- changing --------------------------------------------------------------------------------------------------------


def test_an_artifact_is_renamed() -> None:
    artifact.given(BEGUN).when(rename_artifact, "net-2").then(ArtifactRenamed("net-2"))


def test_its_own_name_is_no_new_name_even_though_it_is_taken_by_itself() -> None:
    artifact.given(BEGUN).when(rename_artifact, "net", OTHER).then_nothing()


def test_a_name_of_another_one_is_refused() -> None:
    artifact.given(BEGUN).when(rename_artifact, "net-2", OTHER).then_raises(NameTakenError, "the name net-2 is taken")


def test_an_artifact_whose_name_was_erased_can_be_renamed() -> None:
    artifact.given(ArtifactCreated(P, ERASED, ERASED)).when(rename_artifact, "net").then(ArtifactRenamed("net"))


def test_the_type_changes_once() -> None:
    artifact.given(BEGUN).when(change_type, "network").then(TypeChanged("network"))
    artifact.given(BEGUN).when(change_type, "model").then_nothing()


def test_the_description_is_set_and_taken_away() -> None:
    artifact.given(BEGUN).when(describe_artifact, TEXT).then(ArtifactDescribed(TEXT))
    artifact.given(BEGUN, ArtifactDescribed(TEXT)).when(describe_artifact, TEXT).then_nothing()
    artifact.given(BEGUN, ArtifactDescribed(TEXT)).when(describe_artifact, None).then(ArtifactDescribed(None))
    artifact.given(BEGUN).when(describe_artifact, None).then_nothing()


@pytest.mark.parametrize("ttl", [WEEK, NEVER])
def test_a_ttl_is_set_and_taken_back(ttl: Ttl) -> None:
    artifact.given(BEGUN).when(set_artifact_ttl, ttl).then(ArtifactTtlSet(ttl))
    artifact.given(BEGUN, ArtifactTtlSet(ttl)).when(set_artifact_ttl, ttl).then_nothing()
    artifact.given(BEGUN, ArtifactTtlSet(ttl)).when(set_artifact_ttl, INHERIT).then(ArtifactTtlSet(INHERIT))


def test_a_tag_is_added_once_and_taken_away_once() -> None:
    tagged = ArtifactTagged("t1", "gold")
    artifact.given(BEGUN).when(tag_artifact, "t1", "gold").then(tagged)
    artifact.given(BEGUN, tagged).when(tag_artifact, "t1", "gold").then_nothing()
    artifact.given(BEGUN, tagged).when(tag_artifact, "t2", "gold", "t1").then_nothing()
    artifact.given(BEGUN, tagged).when(untag_artifact, "t1").then(ArtifactUntagged("t1"))
    artifact.given(BEGUN, tagged, ArtifactUntagged("t1")).when(untag_artifact, "t1").then_nothing()
    artifact.given(BEGUN).when(untag_artifact, None).then_nothing()


CHANGES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (rename_artifact, ("x",)),
    (change_type, ("x",)),
    (describe_artifact, (TEXT,)),
    (set_artifact_ttl, (WEEK,)),
    (tag_artifact, ("t1", "gold")),
    (untag_artifact, ("t1",)),
]


@pytest.mark.parametrize(("decision", "arguments"), CHANGES, ids=lambda part: getattr(part, "__name__", ""))
def test_what_was_deleted_or_never_began_cannot_be_changed(
    decision: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    artifact.given(BEGUN, ArtifactDeleted()).when(decision, *arguments).then_raises(NotFoundError, "was deleted")
    artifact.when(decision, *arguments).then_raises(NotFoundError, "was deleted")


# --- letting go ------------------------------------------------------------------------------------------------------


def test_an_artifact_is_let_go_once_with_a_reason() -> None:
    artifact.given(BEGUN).when(delete_artifact, reason=TEXT).then(ArtifactDeleted(TEXT))
    artifact.given(BEGUN, ArtifactDeleted()).when(delete_artifact).then_nothing()
    artifact.when(delete_artifact).then_nothing()


def test_links_hold_an_artifact() -> None:
    artifact.given(BEGUN).when(delete_artifact, holders=("acme/nets", "acme/best")).then_raises(
        VersionHeldError, "linked in acme/nets, acme/best — unlink them first"
    )


# --- numbering -------------------------------------------------------------------------------------------------------


def test_a_version_is_made_and_becomes_the_head() -> None:
    assert numbering.when(create_version, made("v")).then(made("v")).head == VersionId("v")
    numbering.given(made("v")).when(create_version, made("w")).then(made("w"))


def test_content_that_a_live_version_has_makes_no_new_one() -> None:
    numbering.given(made("v")).when(create_version, made("w"), VersionId("v")).then_nothing()


def test_the_version_that_was_just_made_is_not_made_again() -> None:
    numbering.given(made("v")).when(create_version, made("v")).then_nothing()


def test_content_that_only_a_deleted_version_has_makes_a_new_one() -> None:
    numbering.given(made("v")).when(create_version, made("w"), None).then(made("w"))


# --- any sequence of decisions ---------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b"])
acts = st.one_of(
    act(create_artifact, st.builds(ArtifactCreated, st.just(P), names, names)),
    act(rename_artifact, names),
    act(change_type, names),
    act(describe_artifact, st.sampled_from([None, TEXT])),
    act(set_artifact_ttl, st.sampled_from([INHERIT, NEVER, WEEK])),
    act(tag_artifact, names, names),
    act(untag_artifact, st.none() | names),
    act(delete_artifact),
)


@given(st.lists(acts, max_size=12))
def test_any_decision_taken_again_changes_nothing_and_the_deleted_stay_deleted(wanted: list[Act]) -> None:
    state = ARTIFACT.initial
    for each in wanted:
        events = attempt(state, each)
        assert not (state.deleted and events)
        state = happen(ARTIFACT, state, events)
        assert attempt(state, each) == []


@given(st.lists(act(create_version, st.sampled_from("abc").map(made)), max_size=8))
def test_the_head_is_the_version_made_last(wanted: list[Act]) -> None:
    state = NUMBERING.initial
    for each in wanted:
        events = attempt(state, each)
        state = happen(NUMBERING, state, events)
        assert not events or state.head == events[0].version_id
        assert attempt(state, each) == []
