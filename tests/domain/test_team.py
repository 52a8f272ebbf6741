"""A team: begun under a free name, with members, a policy for TTLs and a place for its blobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import InvalidValueError, NameTakenError, NotFoundError, PermissionDeniedError
from muniment.domain.team import (
    TEAM,
    StorageGathered,
    StorageSet,
    Team,
    TeamCreated,
    TeamRenamed,
    TeamRoleSet,
    TtlPolicySet,
    TtlSetters,
    create_team,
    gather_storage,
    rename_team,
    require_ttl_setter,
    set_storage,
    set_team_role,
    set_ttl_policy,
    storage_place,
)
from muniment.domain.values import ERASED, LONGEST_TTL, OrganisationId, PrincipalId, Role, TeamId
from tests.decisions import Act, act, attempt, happen
from tests.spec import Spec

ORG, OTHER = OrganisationId("o"), TeamId("other")
ANN, BOB = PrincipalId("ann"), PrincipalId("bob")
ADMINS, MEMBERS = TtlSetters.ADMINS, TtlSetters.MEMBERS
BEGUN = TeamCreated(ORG, "vision")
DAY = 86_400_000_000
team = Spec(TEAM)


def test_a_team_lives_as_its_story_tells() -> None:
    story = (
        BEGUN,
        TeamRenamed("sight"),
        TeamRoleSet(ANN, Role.MEMBER),
        TeamRoleSet(BOB, Role.VIEWER),
        TeamRoleSet(ANN, Role.ADMIN),
        TeamRoleSet(BOB, None),
        TtlPolicySet(ADMINS, DAY),
        StorageSet("file:///srv/sight"),
    )
    found = Team(ORG, "sight", ((ANN, Role.ADMIN),), ADMINS, DAY, "file:///srv/sight", earlier=(None,))
    assert team.given(*story).state == found


def test_members_may_set_a_ttl_unless_said_otherwise() -> None:
    assert team.given(BEGUN).state.setters is MEMBERS


def test_a_team_begins_once_under_a_free_name() -> None:
    team.when(create_team, BEGUN).then(BEGUN)
    team.given(BEGUN).when(create_team, BEGUN).then_nothing()
    team.when(create_team, BEGUN, OTHER).then_raises(NameTakenError, "there is a team vision")


def test_a_team_is_renamed_to_a_free_name() -> None:
    team.given(BEGUN).when(rename_team, "sight").then(TeamRenamed("sight"))
    team.given(BEGUN).when(rename_team, "vision", OTHER).then_nothing()
    team.given(BEGUN).when(rename_team, "sight", OTHER).then_raises(NameTakenError, "there is a team sight")
    team.given(TeamCreated(ORG, ERASED)).when(rename_team, "sight").then(TeamRenamed("sight"))


def test_a_member_gets_a_role_another_one_and_none() -> None:
    member = TeamRoleSet(ANN, Role.MEMBER)
    team.given(BEGUN).when(set_team_role, ANN, Role.MEMBER).then(member)
    team.given(BEGUN, member).when(set_team_role, ANN, Role.MEMBER).then_nothing()
    team.given(BEGUN, member).when(set_team_role, ANN, Role.ADMIN).then(TeamRoleSet(ANN, Role.ADMIN))
    assert team.given(BEGUN, member).when(set_team_role, ANN, None).then(TeamRoleSet(ANN, None)).members == ()
    team.given(BEGUN).when(set_team_role, ANN, None).then_nothing()


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.MEMBER])
def test_only_a_team_of_an_organisation_with_an_admin_may_be_without_one(role: Role | None) -> None:
    admin, gone = TeamRoleSet(ANN, Role.ADMIN), TeamRoleSet(ANN, role)
    team.given(BEGUN, admin).when(set_team_role, ANN, role).then(gone)
    alone = team.given(BEGUN, admin, TeamRoleSet(BOB, Role.MEMBER))
    refused = alone.when(set_team_role, ANN, role, is_watched=False)
    refused.then_raises(InvalidValueError, "a team needs an admin, for its organisation has none")
    two = team.given(BEGUN, admin, TeamRoleSet(BOB, Role.ADMIN))
    two.when(set_team_role, ANN, role, is_watched=False).then(gone)


def test_the_ttl_policy_is_set_once() -> None:
    policy = TtlPolicySet(ADMINS, DAY)
    team.given(BEGUN).when(set_ttl_policy, ADMINS, DAY).then(policy)
    team.given(BEGUN, policy).when(set_ttl_policy, ADMINS, DAY).then_nothing()
    team.given(BEGUN, policy).when(set_ttl_policy, ADMINS, None).then(TtlPolicySet(ADMINS, None))
    team.given(BEGUN).when(set_ttl_policy, MEMBERS, None).then_nothing()
    team.given(BEGUN).when(set_ttl_policy, MEMBERS, 1).then(TtlPolicySet(MEMBERS, 1))


@pytest.mark.parametrize(("micros", "text"), [(0, "positive"), (-DAY, "positive"), (LONGEST_TTL + 1, "1,000 years")])
def test_a_default_that_is_no_duration_is_refused(micros: int, text: str) -> None:
    team.given(BEGUN).when(set_ttl_policy, MEMBERS, micros).then_raises(InvalidValueError, text)


def test_the_place_for_blobs_is_set_once_and_taken_back() -> None:
    placed = StorageSet("file:///srv/vision")
    team.given(BEGUN).when(set_storage, "file:///srv/vision").then(placed)
    team.given(BEGUN, placed).when(set_storage, "file:///srv/vision").then_nothing()
    team.given(BEGUN, placed).when(set_storage, None).then(StorageSet(None))
    team.given(BEGUN).when(set_storage, None).then_nothing()


def test_earlier_places_are_remembered_the_newest_first_each_once() -> None:
    a, b, own = StorageSet("/a"), StorageSet("/b"), StorageSet(None)
    assert team.given(BEGUN).state.earlier == ()
    assert team.given(BEGUN, a).state.earlier == (None,)
    assert team.given(BEGUN, a, b).state.earlier == ("/a", None)
    assert team.given(BEGUN, a, b, a).state.earlier == ("/b", None)
    assert team.given(BEGUN, a, b, own).state.earlier == ("/b", "/a")


def test_what_lies_in_one_place_has_left_the_others() -> None:
    a, b, gathered = StorageSet("/a"), StorageSet("/b"), StorageGathered()
    team.given(BEGUN).when(gather_storage, "/a").then(a, gathered)
    team.given(BEGUN, a).when(gather_storage, "/a").then(gathered)
    team.given(BEGUN, a, gathered).when(gather_storage, "/a").then_nothing()
    team.given(BEGUN).when(gather_storage, None).then_nothing()
    found = team.given(BEGUN, a, b, gathered).state
    assert (found.store, found.earlier, found.left) == ("/b", (), ("/a", None))
    back = team.given(BEGUN, a, b, gathered, a).state
    assert (back.store, back.earlier, back.left) == ("/a", ("/b",), (None,))
    home = team.given(BEGUN, a, gathered, b, gathered, StorageSet(None), gathered).state
    assert (home.store, home.earlier, home.left) == (None, (), ("/b", "/a"))


def test_a_place_that_was_forgotten_on_purpose_stays_one() -> None:
    found = team.given(BEGUN, StorageSet(ERASED), StorageSet("/a")).state
    assert (found.store, found.earlier) == ("/a", (ERASED, None))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("s3://bucket/prefix/", "s3://bucket/prefix"),
        ("S3://bucket", "s3://bucket"),
        ("gs://bucket/a//", "gs://bucket/a"),
        ("abfs://box@account.dfs.core.windows.net/a", "abfs://box@account.dfs.core.windows.net/a"),
        ("memory://", "memory://"),
        ("sftp://ann@host:22/a@b", "sftp://ann@host:22/a@b"),
        ("sftp://host:22/a@b", "sftp://host:22/a@b"),
        ("sftp://[::1]/a@b", "sftp://[::1]/a@b"),
        ("gs://bucket/a:b@c", "gs://bucket/a:b@c"),
        ("/srv/blobs", "/srv/blobs"),
        ("a@b:c?d", "a@b:c?d"),
    ],
)
def test_a_place_is_kept_in_one_form(text: str, kept: str) -> None:
    assert storage_place(text) == kept
    assert storage_place(kept) == kept


@pytest.mark.parametrize(
    "text",
    [
        "s3://ann:secret@bucket/a",
        "s3://ann@bucket",
        "https://token@host/a",
        "sftp://ann:secret@host/a",
        "sftp://ann:secret/1@host/a",
        "ftp://ann:my/secret@host",
        "abfs://box@account/a?sig=secret",
        "s3://bucket/a#secret",
    ],
)
def test_a_place_with_a_secret_in_it_is_refused_without_telling_it(text: str) -> None:
    with pytest.raises(InvalidValueError, match="by the variables and files of the storage's own SDK") as refused:
        storage_place(text)
    assert "secret" not in str(refused.value)
    assert "token@" not in str(refused.value)


@pytest.mark.parametrize("text", ["s3:/bucket/a", "s3:bucket/a", "file:/srv/blobs"])
def test_a_url_with_a_slash_too_few_is_no_folder(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"neither a URL nor plainly a path — write .* or \./ before a folder"):
        storage_place(text)
    assert storage_place(f"./{text}") == f"./{text}"


@pytest.mark.parametrize("text", ["", "  ", "s3://a\nb"])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="names no place for blobs"):
        storage_place(text)


@pytest.mark.parametrize("text", ["s3://ann:secret@a\nb", "s3:/ann:secret@bucket", "ann:secret@bucket/a"])
def test_what_names_no_place_is_refused_without_a_password_in_it(text: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        storage_place(text)
    assert "secret" not in str(refused.value)


CHANGES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (rename_team, ("x",)),
    (set_team_role, (ANN, Role.ADMIN)),
    (set_ttl_policy, (ADMINS, DAY)),
    (set_storage, ("file:///srv",)),
    (gather_storage, ("file:///srv",)),
]


@pytest.mark.parametrize(("decision", "arguments"), CHANGES, ids=lambda part: getattr(part, "__name__", ""))
def test_a_team_that_never_began_cannot_be_changed(decision: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    team.when(decision, *arguments).then_raises(NotFoundError, "there is no such team")


@pytest.mark.parametrize(
    ("setters", "role", "may"),
    [
        (ADMINS, Role.ADMIN, True),
        (ADMINS, Role.MEMBER, False),
        (ADMINS, Role.VIEWER, False),
        (ADMINS, Role.RESTRICTED_VIEWER, False),
        (ADMINS, None, False),
        (MEMBERS, Role.ADMIN, True),
        (MEMBERS, Role.MEMBER, True),
        (MEMBERS, Role.VIEWER, False),
        (MEMBERS, Role.RESTRICTED_VIEWER, False),
        (MEMBERS, None, False),
    ],
)
def test_who_may_set_a_ttl_is_the_policy_of_the_team(setters: TtlSetters, role: Role | None, *, may: bool) -> None:
    if may:
        require_ttl_setter(setters, role)
        return
    with pytest.raises(PermissionDeniedError, match=f"the team lets only {setters.value} set a TTL — ask one of its"):
        require_ttl_setter(setters, role)


names, people, roles = st.sampled_from(["a", "b"]), st.sampled_from([ANN, BOB]), st.none() | st.sampled_from(Role)
acts = st.one_of(
    act(create_team, st.builds(TeamCreated, st.just(ORG), names)),
    act(rename_team, names),
    act(set_team_role, people, roles),
    act(set_ttl_policy, st.sampled_from(TtlSetters), st.none() | st.integers(-1, 2)),
    act(set_storage, st.none() | names),
    act(gather_storage, st.none() | names),
)


@given(st.lists(acts, max_size=12))
def test_any_decision_taken_again_changes_nothing_and_nobody_has_two_roles(wanted: list[Act]) -> None:
    state = TEAM.initial
    for each in wanted:
        state = happen(TEAM, state, attempt(state, each))
        assert attempt(state, each) == []
        assert len(dict(state.members)) == len(state.members)
        assert state.default is None or state.default > 0
        places = (state.store, *state.earlier, *state.left)
        assert len(set(places)) == len(places)
