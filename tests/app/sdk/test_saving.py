"""Changing what is said about a logged artifact: all of it at once, or nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

import muniment as wandb
from muniment.app import catalog, directory, lifecycle, names, policies
from muniment.app.lifecycle import Edits
from muniment.app.sdk import session
from muniment.domain.errors import AliasMovedMeanwhileError, InvalidValueError, PermissionDeniedError, VersionHeldError
from muniment.domain.hold import ScopeKind
from muniment.domain.policy import DAY, Terms
from muniment.domain.team import TtlSetters
from muniment.domain.values import Role
from tests.app.sdk.words import events, find, logged


def elsewhere(name: str, *aliases: str) -> None:
    """Point aliases at a version, as another process would."""
    store = session.store()
    address = names.parse(name, entity="local", project="uncategorized", organisation="local")
    lifecycle.edit(store, catalog.find(store.views, address), Edits(add_aliases=aliases))


def test_everything_is_saved_in_one_transaction() -> None:
    made = logged(metadata={"n": 1}, description="old")
    before = session.store().ledger.head().size
    made.description = "new"
    made.metadata["n"] = 2
    made.ttl = timedelta(days=3)
    made.aliases.append("best")
    made.tags = ["good", "very good"]
    made.save()
    again = find("ds:best")
    assert (again.description, again.metadata, again.ttl) == ("new", {"n": 2}, timedelta(days=3))
    assert (again.aliases, again.tags) == (["best", "latest"], ["good", "very good"])
    commands = {each.command for each in session.store().ledger.read(after=before)}
    assert len(commands) == 1


def test_saving_nothing_records_nothing() -> None:
    made = logged(metadata={"n": 1})
    made.metadata = {"n": 1}
    before = events()
    made.save()
    assert events() == before


def test_one_wrong_alias_keeps_all_changes_out() -> None:
    made = logged()
    made.description = "new"
    made.aliases.append("v3")
    with pytest.raises(ValueError, match="is a version number"):
        made.save()
    with pytest.raises(ValueError, match="Alias may not hold"):
        made.aliases = ["a/b"]
    with pytest.raises(ValueError, match="Invalid tag"):
        made.tags = ["a.b"]
    assert find("ds:v0").description is None


def test_an_alias_that_somebody_else_moved_is_not_moved_away_unseen() -> None:
    first = logged("one")
    logged("two")
    first.aliases.append("best")
    elsewhere("ds:v1", "best")
    with pytest.raises(AliasMovedMeanwhileError, match="alias best moved meanwhile") as caught:
        first.save()
    assert isinstance(caught.value, wandb.CommError)
    assert find("ds:best").version == "v1"
    reloaded = find("ds:v0")
    reloaded.aliases.append("best")
    reloaded.save()
    assert find("ds:best").version == "v0"


def test_an_alias_that_we_moved_ourselves_is_no_surprise() -> None:
    first, second = logged("one"), logged("two")
    first.aliases.append("best")
    second.aliases.append("best")
    first.save()
    second.save()
    assert find("ds:best").version == "v1"
    second.aliases.remove("best")
    second.save()
    with pytest.raises(LookupError):
        find("ds:best")


def test_latest_can_be_taken_away() -> None:
    made = logged()
    made.aliases.remove("latest")
    made.save()
    with pytest.raises(LookupError, match="no alias 'latest'"):
        find("ds:latest")


@pytest.mark.parametrize("micros", [500_000, 1, 86_400_000_001])
def test_a_ttl_is_kept_to_the_microsecond(micros: int) -> None:
    made = wandb.Artifact("short", "dataset")
    made.ttl = timedelta(microseconds=micros)
    with wandb.init() as run:
        run.log_artifact(made)
    assert made.ttl == timedelta(microseconds=micros)
    made.ttl = None
    made.save()
    assert find("short:v0").ttl is None


def test_an_inherited_ttl_is_that_of_the_team() -> None:
    made = logged()
    assert made.ttl is None
    directory.set_ttl_policy(session.store(), "local", TtlSetters.MEMBERS, 86_400_000_000)
    assert find("ds:v0").ttl == timedelta(days=1)


def test_a_ttl_that_is_read_is_what_collecting_does() -> None:
    made = logged()
    made.ttl = timedelta(days=1)
    made.save()
    project = directory.project(session.store().views, "local", "uncategorized")
    policies.set_policy(session.store(), ScopeKind.PROJECT, project.project_id, Terms(minimum=9 * DAY))
    assert find("ds:v0").ttl == timedelta(days=9)
    made.link("wandb-registry-dataset/shared")
    assert find("ds:v0").ttl is None, "a link suspends it"
    made.ttl = timedelta(days=12)
    assert made.ttl == timedelta(days=12), "what is not saved yet is what was said"
    made.save()
    assert made.ttl is None
    find("wandb-registry-dataset/shared:v0").unlink()
    assert find("ds:v0").ttl == timedelta(days=12)


def test_who_may_not_set_a_ttl_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    store = session.store()
    directory.set_ttl_policy(store, "local", TtlSetters.ADMINS, None)
    directory.set_team_role(store, "local", "bob", Role.MEMBER)
    monkeypatch.setenv("MUNIMENT_ACTOR", "bob")
    made = logged()
    made.ttl = timedelta(days=1)
    with pytest.raises(PermissionDeniedError, match="the team lets only admins set a TTL"):
        made.save()
    draft = wandb.Artifact("other", "dataset")
    draft.ttl = timedelta(days=1)
    with pytest.raises(PermissionDeniedError), wandb.init() as run:
        run.log_artifact(draft)
    assert events().count("principal.denied.1") == 2


def test_a_version_that_is_held_is_not_deleted() -> None:
    made = logged()
    made.aliases.append("best")
    made.save()
    with pytest.raises(wandb.CommError, match="the version has aliases") as caught:
        made.delete()
    assert isinstance(caught.value, VersionHeldError)
    made.delete(delete_aliases=True)
    assert made.state == "DELETED"
    with pytest.raises(LookupError):
        find("ds:best")
    with pytest.raises(ValueError, match="was deleted"):
        find("ds:v0")
    made.restore()
    assert (made.state, find("ds:v0").state) == ("COMMITTED", "COMMITTED")


def test_how_it_was_at_another_time_cannot_be_changed() -> None:
    made = logged()
    store = session.store()
    then = wandb.Artifact.of(store, catalog.find(store.views, session.address("ds")), at=store.ledger.head().size)
    made.aliases.append("best")
    made.description = "new"
    made.save()
    assert (then.aliases, then.description) == (["latest"], None)
    then.description = "other"
    for change in (then.save, then.delete, then.unlink):
        with pytest.raises(wandb.UsageError, match="load it without as_of"):
            change()


def test_a_draft_saves_itself_by_the_active_run_or_a_run_of_its_own() -> None:
    made = wandb.Artifact("own", "dataset")
    made.save(project="elsewhere")
    assert made.qualified_name == "local/elsewhere/own:v0"
    run = made.logged_by()
    assert (run.job_type, run.state) == ("auto", "finished")
    with wandb.init(job_type="train") as active:
        other = wandb.Artifact("other", "dataset")
        other.save()
    assert other.logged_by().id == active.id


def test_metadata_is_checked_when_it_is_saved() -> None:
    made = logged()
    made.metadata["bad"] = float("nan")
    with pytest.raises(InvalidValueError, match="Out of range"):
        made.save()


def test_what_was_erased_says_so() -> None:
    made = logged(description="secret", metadata={"a": 1})
    store = session.store()
    store.vault.destroy(made._version("test").artifact.artifact_id)  # noqa: SLF001 (the id is nowhere else)
    again = find("ds:v0")
    assert (again.description, again.metadata) == ("[erased]", {})
