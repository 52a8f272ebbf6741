"""Organisations, teams, projects and people, and for every act who may do it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from muniment.app import catalog, directory, lifecycle, link_artifact, registries, runs
from muniment.app.collecting import collect
from muniment.app.transact import Request
from muniment.domain.errors import (
    InvalidNameError,
    InvalidValueError,
    NameTakenError,
    NotFoundError,
    PermissionDeniedError,
)
from muniment.domain.organisation import ORGANISATION, OrganisationRoleSet
from muniment.domain.principal import Denied
from muniment.domain.registry import MemberKind, Visibility
from muniment.domain.rows import MemberRow, OrganisationRow, PrincipalRow, ProjectRow, RegistryRow, RunRow, TeamRow
from muniment.domain.team import TtlSetters
from muniment.domain.values import NEVER, PrincipalId, Role, RunId
from muniment.domain.version import MarkedDeleted
from tests.app.scene import Scene
from tests.stores import Clock, memory_ledger

V, M, A = Role.VIEWER, Role.MEMBER, Role.ADMIN


# --- who may do what -------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(scene: Scene) -> Scene:
    """Return a store with something of everything: versions, links, a run, a custom registry."""
    for text in ("one", "two", "three"):
        scene.log("net", text, type_="model")
    scene.delete("net:v1")
    registries.create(scene.store, "local", "ours")
    scene.link("net:v0", "ours/nets", "old")
    scene.run("r")
    directory.create_project(scene.store, "local", "empty")
    return scene


def deleted(stage: Scene) -> catalog.Found:
    mark = next(each.seq for each in stage.since(0) if isinstance(each.event, MarkedDeleted))
    return stage.find("net:v1", mark - 1)


def row(stage: Scene) -> RegistryRow:
    return stage.registry("ours")


def run(stage: Scene) -> RunRow:
    return runs.named(stage.store, stage.project, "r")


def nets(stage: Scene) -> Any:
    return catalog.collection_named(stage.views, row(stage), "nets")


TEAM_ACTS: dict[str, tuple[Role, Callable[[Scene], object]]] = {
    "log": (M, lambda s: s.log("net", "new", type_="model")),
    "log a new name": (M, lambda s: s.log("other", "new")),
    "log what is there": (M, lambda s: s.log("net", "one", type_="model")),
    "edit aliases": (M, lambda s: s.edit("net:v0", add_aliases=("a",))),
    "edit tags": (M, lambda s: s.edit("net:v0", add_tags=("a",))),
    "edit metadata": (M, lambda s: s.edit("net:v0", metadata={}, new_metadata=True)),
    "set a TTL": (M, lambda s: s.edit("net:v0", ttl=NEVER)),
    "set the TTL of an artifact": (M, lambda s: lifecycle.set_artifact_ttl(s.store, s.artifact("net"), s.team, NEVER)),
    "delete a version": (M, lambda s: s.delete("net:v2")),
    "restore a version": (M, lambda s: lifecycle.restore(s.store, deleted(s))),
    "edit an artifact": (M, lambda s: lifecycle.edit_artifact(s.store, s.artifact("net"), s.team, name="x")),
    "delete an artifact": (M, lambda s: lifecycle.delete_artifact(s.store, s.artifact("net"), s.team)),
    "make a project": (M, lambda s: directory.create_project(s.store, "local", "new")),
    "start a run": (M, lambda s: s.run("new")),
    "go on with a run": (M, lambda s: s.run("r")),
    "edit a run": (M, lambda s: runs.edit(s.store, run(s), runs.RunDraft("r", "renamed"))),
    "change a configuration": (M, lambda s: runs.change_config(s.store, run(s), {"a": 1})),
    "log rows": (M, lambda s: runs.log_rows(s.store, run(s), [{"a": 1}], 0)),
    "use by a run": (
        M,
        lambda s: runs.use(s.store, s.find("net:v0").version.version_id, RunId(run(s).run_id)),
    ),
    "finish a run": (M, lambda s: runs.finish(s.store, run(s))),
    "delete a run": (M, lambda s: runs.delete(s.store, run(s))),
    "delete a project": (
        A,
        lambda s: lifecycle.delete_project(s.store, directory.project(s.views, "local", "empty")),
    ),
    "rename the team": (A, lambda s: directory.rename_team(s.store, "local", "renamed")),
    "set the TTL policy": (A, lambda s: directory.set_ttl_policy(s.store, "local", TtlSetters.ADMINS, None)),
    "change who is in the team": (A, lambda s: directory.set_team_role(s.store, "local", "eve", M)),
}

REGISTRY_ACTS: dict[str, tuple[Role, Callable[[Scene], object]]] = {
    "link": (M, lambda s: s.link("net:v2", "ours/nets", "new")),
    "link to a new collection": (M, lambda s: s.link("net:v2", "ours/fresh")),
    "unlink": (M, lambda s: s.unlink("ours/nets:v0")),
    "edit aliases of a link": (
        M,
        lambda s: link_artifact.set_link_aliases(s.store, s.linked("ours/nets"), ["a"], ["old"]),
    ),
    "make a collection": (M, lambda s: registries.create_collection(s.store, row(s), "fresh", "model")),
    "edit a collection": (M, lambda s: registries.edit_collection(s.store, nets(s), name="x", tags=["t"])),
    "delete a collection": (M, lambda s: registries.delete_collection(s.store, nets(s))),
    "rename": (M, lambda s: registries.rename(s.store, row(s), "x")),
    "describe": (M, lambda s: registries.describe(s.store, row(s), "x")),
    "accept types": (M, lambda s: registries.accept_types(s.store, row(s), ["x"], narrow=True)),
    "restrict": (A, lambda s: registries.restrict(s.store, row(s), Visibility.RESTRICTED)),
    "protect": (A, lambda s: registries.protect(s.store, row(s), ["production"])),
    "change who is in it": (
        A,
        lambda s: registries.set_role(s.store, row(s), "e" * 32, MemberKind.PRINCIPAL, M),
    ),
    "delete": (A, lambda s: registries.delete(s.store, row(s))),
}

ORGANISATION_ACTS: dict[str, tuple[Role, Callable[[Scene], object]]] = {
    "make a team": (M, lambda s: directory.create_team(s.store, "new")),
    "make a registry": (M, lambda s: registries.create(s.store, "local", "new")),
    "change who is in it": (A, lambda s: directory.set_organisation_role(s.store, "local", "eve", M)),
    "collect": (A, lambda s: collect.act(s.store)),
}


def attempt(stage: Scene, someone: Scene, needed: Role, role: Role | None, act: Callable[[Scene], object]) -> None:
    """Let somebody act; without the role nothing may happen but that the refusal is recorded."""
    if role is not None and role.covers(needed):
        act(someone)
        return
    seq, people = stage.seq, stage.views.count(PrincipalRow, order="principal_id")
    rows = list(stage.store.ledger.dump())
    with pytest.raises(PermissionDeniedError) as refused:
        act(someone)
    assert isinstance(refused.value, PermissionError)
    (recorded,) = stage.since(seq)
    assert isinstance(recorded.event, Denied)
    assert (recorded.outcome, recorded.actor) == ("denied", someone.store.context.actor)
    assert stage.views.count(PrincipalRow, order="principal_id") == people
    assert len(list(stage.store.ledger.dump())) - len(rows) <= 2  # the entries of the refusal in the timelines


@pytest.mark.parametrize("role", [None, V, M, A])
@pytest.mark.parametrize("act", TEAM_ACTS)
def test_who_may_do_what_in_a_team(stage: Scene, act: str, role: Role | None) -> None:
    needed, do = TEAM_ACTS[act]
    bob = stage.by("bob")
    if act == "delete an artifact":
        stage.unlink("ours/nets")
    directory.set_team_role(stage.store, "local", "bob", role)
    attempt(stage, bob, needed, role, do)


@pytest.mark.parametrize("role", [None, V, M, A])
@pytest.mark.parametrize("act", REGISTRY_ACTS)
def test_who_may_do_what_in_a_registry(stage: Scene, act: str, role: Role | None) -> None:
    needed, do = REGISTRY_ACTS[act]
    bob = stage.by("bob")
    registries.set_role(stage.store, row(stage), bob.store.context.actor, MemberKind.PRINCIPAL, role)
    attempt(stage, bob, needed, role, do)


@pytest.mark.parametrize("role", [None, V, M, A])
@pytest.mark.parametrize("act", ORGANISATION_ACTS)
def test_who_may_do_what_in_an_organisation(stage: Scene, act: str, role: Role | None) -> None:
    needed, do = ORGANISATION_ACTS[act]
    bob = stage.by("bob")
    directory.set_organisation_role(stage.store, "local", "bob", role)
    attempt(stage, bob, needed, role, do)


@pytest.mark.parametrize("act", [*TEAM_ACTS, *REGISTRY_ACTS])
def test_an_admin_of_the_organisation_may_do_everything(stage: Scene, act: str) -> None:
    do = (TEAM_ACTS.get(act) or REGISTRY_ACTS[act])[1]
    bob = stage.by("bob")
    if act == "delete an artifact":
        stage.unlink("ours/nets")
    directory.set_organisation_role(stage.store, "local", "bob", A)
    do(bob)


@pytest.mark.parametrize("act", TEAM_ACTS)
def test_a_member_of_the_organisation_is_none_of_its_teams(stage: Scene, act: str) -> None:
    bob = stage.by("bob")
    directory.set_organisation_role(stage.store, "local", "bob", M)
    attempt(stage, bob, A, None, TEAM_ACTS[act][1])


def test_a_role_that_was_taken_away_is_gone(stage: Scene) -> None:
    bob = stage.by("bob")
    directory.set_team_role(stage.store, "local", "bob", M)
    bob.log("net", "new", type_="model")
    directory.set_team_role(stage.store, "local", "bob", None)
    with pytest.raises(PermissionDeniedError, match="you are no member"):
        bob.log("net", "newer", type_="model")


@pytest.mark.parametrize("role", [None, V, M])
def test_the_last_admin_of_an_organisation_stays_and_may_leave_the_team(scene: Scene, role: Role | None) -> None:
    with pytest.raises(InvalidValueError, match="an organisation needs an admin"):
        directory.set_organisation_role(scene.store, "local", "ada", role)
    directory.set_team_role(scene.store, "local", "ada", role)
    scene.log("net", "still an admin of the team", type_="model")
    directory.set_organisation_role(scene.store, "local", "bob", A)
    directory.set_organisation_role(scene.store, "local", "ada", role)
    assert directory.role_of(scene.views, scene.store.context.organisation, scene.store.context.actor) is role


def test_without_an_admin_of_its_organisation_a_team_keeps_one(scene: Scene) -> None:
    """No decision leads there any more, but ledgers from before may."""
    org = scene.store.context.organisation
    gone = OrganisationRoleSet(scene.store.context.actor, None)
    directory.set_organisation_role(scene.store, "local", "bob", M)
    scene.store.transact(Request("as before", None, org), lambda steps: steps.step(ORGANISATION, org, lambda _: [gone]))
    with pytest.raises(InvalidValueError, match="a team needs an admin"):
        directory.set_team_role(scene.store, "local", "ada", None)
    directory.set_team_role(scene.store, "local", "bob", A)
    directory.set_team_role(scene.store, "local", "ada", None)


def test_somebody_unknown_has_no_membership_to_take_and_stays_unknown(scene: Scene) -> None:
    before, people = list(scene.store.ledger.dump()), scene.views.count(PrincipalRow, order="principal_id")
    for take in (directory.set_team_role, directory.set_organisation_role):
        with pytest.raises(NotFoundError, match="there is no user 'zoe'"):
            take(scene.store, "local", "zoe", None)
    assert scene.store.vault.find(directory.LOGIN, "zoe") is None
    assert scene.views.count(PrincipalRow, order="principal_id") == people
    assert list(scene.store.ledger.dump()) == before


# --- roles in a registry ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visibility", "organisation", "team", "direct", "by_team", "role"),
    [
        (Visibility.ORGANISATION, None, None, None, None, None),
        (Visibility.ORGANISATION, V, None, None, None, V),
        (Visibility.ORGANISATION, M, None, None, None, M),
        (Visibility.ORGANISATION, A, None, None, None, A),
        (Visibility.ORGANISATION, None, V, None, None, V),
        (Visibility.ORGANISATION, None, M, None, None, M),
        (Visibility.ORGANISATION, None, A, None, None, M),
        (Visibility.ORGANISATION, V, M, None, None, M),
        (Visibility.ORGANISATION, M, V, A, None, A),
        (Visibility.ORGANISATION, M, V, V, None, M),
        (Visibility.ORGANISATION, None, V, None, A, A),
        (Visibility.RESTRICTED, None, None, None, None, None),
        (Visibility.RESTRICTED, M, A, None, None, None),
        (Visibility.RESTRICTED, A, None, None, None, A),
        (Visibility.RESTRICTED, M, None, V, None, V),
        (Visibility.RESTRICTED, M, V, None, M, M),
        (Visibility.RESTRICTED, None, None, None, A, None),
    ],
)
def test_the_strongest_role_counts(
    scene: Scene,
    *,
    visibility: Visibility,
    organisation: Role | None,
    team: Role | None,
    direct: Role | None,
    by_team: Role | None,
    role: Role | None,
) -> None:
    there = registries.create(scene.store, "local", "x", visibility=visibility)
    bob = directory.principal(scene.store, "bob")
    directory.set_organisation_role(scene.store, "local", "bob", organisation)
    directory.set_team_role(scene.store, "local", "bob", team)
    registries.set_role(scene.store, there, bob, MemberKind.PRINCIPAL, direct)
    registries.set_role(scene.store, there, scene.team.team_id, MemberKind.TEAM, by_team)
    assert directory.registry_role(scene.views, there, bob) is role


def test_a_team_of_another_organisation_has_no_role_here(scene: Scene) -> None:
    directory.create_organisation(scene.store, "acme")
    directory.create_team(scene.store, "rivals", "acme")
    directory.set_team_role(scene.store, "rivals", "bob", A)
    bob = directory.principal(scene.store, "bob")
    assert directory.registry_role(scene.views, scene.registry("model"), bob) is None
    assert directory.registry_role(scene.views, directory.registry(scene.views, "acme", "model"), bob) is M


# --- making and finding ----------------------------------------------------------------------------------------------


def test_a_new_store_has_one_of_everything_and_its_admin(scene: Scene) -> None:
    assert [each.name for each in scene.views.select(OrganisationRow, order="name")] == ["local"]
    assert [each.name for each in scene.views.select(TeamRow, order="name")] == ["local"]
    assert scene.project.name == "uncategorized"
    ada = scene.store.context.actor
    assert directory.logins(scene.store, {ada}) == {ada: "ada"}
    assert directory.team_role(scene.views, scene.team, ada) is A
    assert scene.team.ttl_setters == "members"


def test_who_comes_again_is_the_same_and_who_is_new_has_no_role(scene: Scene) -> None:
    def enter(login: str) -> PrincipalId:
        store = scene.store
        entered = directory.enter(
            store.ledger, store.vault, login, organisation="local", team="local", project="uncategorized"
        )
        assert entered.organisation == store.context.organisation
        return entered.actor

    seq = scene.seq
    assert enter("ada") == scene.store.context.actor
    assert scene.happened(seq) == []
    mallory = enter("mallory")
    assert enter("mallory") == mallory
    assert scene.happened(seq) == ["PrincipalCreated"]
    assert scene.views.select(MemberRow, member_id=mallory, order="scope_id") == []


def test_a_login_is_in_the_vault_only(scene: Scene) -> None:
    scene.by("canary")
    assert not any("canary" in repr(each) for each in scene.since(0))
    assert b"canary" not in b"".join(scene.store.ledger.dump())


@pytest.mark.parametrize("login", ["", "a/b", "a\nb", " a", "n" * 129])
def test_a_login_that_is_not_allowed(scene: Scene, login: str) -> None:
    seq = scene.seq
    with pytest.raises(InvalidNameError, match="Login name"):
        directory.principal(scene.store, login)
    with pytest.raises(InvalidNameError, match="Login name"):
        directory.enter(scene.store.ledger, scene.store.vault, login, organisation="o", team="t", project="p")
    assert scene.happened(seq) == []


@pytest.mark.parametrize("wrong", ["organisation", "team", "project"])
def test_a_new_store_does_not_begin_with_names_that_are_not_allowed(scene: Scene, tmp_path: Path, wrong: str) -> None:
    ledger = memory_ledger(Clock())
    names = {"organisation": "o", "team": "t", "project": "p", wrong: "a/b"}
    with pytest.raises(InvalidNameError, match="a/b"):
        directory.enter(ledger, scene.store.vault, "ada", **names)
    assert ledger.head().size == 0
    assert tmp_path.exists()


@pytest.mark.parametrize("name", ["", "a/b", "a:b", " a", "a\x00", "n" * 129])
def test_a_name_that_is_not_allowed(scene: Scene, name: str) -> None:
    acts: list[Callable[[], object]] = [
        lambda: directory.create_organisation(scene.store, name),
        lambda: directory.create_team(scene.store, name),
        lambda: directory.create_project(scene.store, "local", name),
        lambda: directory.rename_team(scene.store, "local", name),
    ]
    seq = scene.seq
    for act in acts:
        with pytest.raises(InvalidNameError, match="name"):
            act()
    assert scene.happened(seq) == []


def test_names_are_there_once(scene: Scene) -> None:
    directory.create_team(scene.store, "vision")
    for act in (
        lambda: directory.create_organisation(scene.store, "local"),
        lambda: directory.create_team(scene.store, "vision"),
        lambda: directory.rename_team(scene.store, "vision", "local"),
    ):
        with pytest.raises(NameTakenError):
            act()
    project = directory.create_project(scene.store, "vision", "p")
    seq = scene.seq
    assert directory.create_project(scene.store, "vision", "p") == project
    assert scene.happened(seq) == []


def test_a_renamed_team_is_found_by_its_new_name_only(scene: Scene) -> None:
    scene.log("images", "one")
    directory.rename_team(scene.store, "local", "home")
    assert evolve(scene, team_name="home").find("images").team.name == "home"
    with pytest.raises(NotFoundError, match="muniment team create local"):
        scene.find("images")
    directory.create_team(scene.store, "local")


def test_what_is_not_there_is_named_with_the_way_to_make_it(scene: Scene) -> None:
    views = scene.views
    for act, text in (
        (lambda: directory.organisation(views, "x"), "no organization 'x' — create it with `muniment org create x`"),
        (lambda: directory.team(views, "x"), "no team .* 'x' — create it with `muniment team create x`"),
        (lambda: directory.project(views, "local", "x"), "team local has no project 'x'"),
        (lambda: directory.registry(views, "local", "x"), "no registry 'x'.*muniment registry create x"),
    ):
        with pytest.raises(NotFoundError, match=text):
            act()
    assert views.select(ProjectRow, team_id=scene.team.team_id, order="name") == [scene.project]
