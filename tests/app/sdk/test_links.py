"""Artifacts in registries: linking, what a link shows, and taking it out again."""

from __future__ import annotations

from datetime import timedelta

import pytest

import muniment as wandb
from muniment.app import directory, registries
from muniment.app.sdk import session
from muniment.domain.errors import NotFoundError, RuleError, TypeRefusedError, VersionHeldError
from tests.app.sdk.words import artifact, events, find, logged

TARGET = "wandb-registry-dataset/pictures"


def test_a_link_shows_the_collection_and_knows_its_source() -> None:
    logged("one")
    source = logged("two", description="pictures")
    with wandb.init() as run:
        linked = run.link_artifact(source, TARGET, aliases=["production"])
    assert linked.is_link
    assert not source.is_link
    assert (linked.name, linked.version, linked.project) == ("pictures:v0", "v0", "wandb-registry-dataset")
    assert linked.qualified_name == "local/wandb-registry-dataset/pictures:v0"
    assert linked.source_qualified_name == source.qualified_name == "local/uncategorized/ds:v1"
    assert (linked.source_version, linked.source_artifact.name, linked.id) == ("v1", "ds:v1", source.id)
    assert (linked.aliases, linked.description) == (["production", "latest"], "pictures")
    assert linked.linked_at is not None
    assert [each.qualified_name for each in source.linked_artifacts] == [linked.qualified_name]
    assert linked.linked_artifacts == []
    assert linked.collection.name == "pictures"
    assert (linked.source_collection.name, source.source_artifact) == ("ds", source)


@pytest.mark.parametrize("name", ["pictures:production", "pictures:v0", "pictures:latest", "pictures"])
@pytest.mark.parametrize("owner", ["", "local/"])
def test_a_link_is_reached_by_index_alias_and_latest(name: str, owner: str) -> None:
    source = logged()
    source.link(TARGET, aliases=["production"])
    with wandb.init() as run:
        found = run.use_artifact(f"{owner}wandb-registry-dataset/{name}")
        assert found.id == source.id
        assert found.download().endswith("ds:v0")


def test_a_registry_is_named_by_its_organization_or_by_a_team_of_it() -> None:
    store = session.store()
    directory.create_organisation(store, "acme")
    directory.create_team(store, "vision", "acme")
    with wandb.init(entity="vision") as run:
        made = run.log_artifact(artifact()).wait()
        for owner in ("acme/", "vision/", ""):
            assert run.link_artifact(made, f"{owner}{TARGET}").entity == "acme"
        assert run.use_artifact(TARGET).qualified_name == "acme/wandb-registry-dataset/pictures:v0"


def test_a_draft_is_logged_before_it_is_linked() -> None:
    with wandb.init() as run:
        linked = run.link_artifact(artifact(), TARGET)
    assert (linked.source_name, linked.logged_by().id) == ("ds:v0", run.id)
    alone = artifact("two", name="alone").link(TARGET)
    assert (alone.version, alone.logged_by().job_type) == ("v1", "auto")


def test_a_link_of_a_link_links_the_source() -> None:
    first = logged().link(TARGET)
    second = first.link("wandb-registry-dataset/others")
    assert (second.name, second.source_name) == ("others:v0", "ds:v0")


def test_linking_again_only_moves_the_aliases() -> None:
    source = logged()
    first = source.link(TARGET, ["a"])
    again = source.link(TARGET, ["b"])
    assert (again.version, again.aliases, again.linked_at) == ("v0", ["a", "b", "latest"], first.linked_at)


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("pictures", RuleError),
        ("local/uncategorized/pictures", RuleError),
        ("wandb-registry-nowhere/pictures", NotFoundError),
        ("nobody/wandb-registry-dataset/pictures", NotFoundError),
        ("wandb-registry-model/pictures", TypeRefusedError),
        ("wandb-registry-dataset/pictures:v0", RuleError),
        ("a/b/c/d", RuleError),
        ("", RuleError),
    ],
)
def test_a_target_is_a_collection_of_a_registry_that_takes_the_type(target: str, error: type[Exception]) -> None:
    source = logged()
    with pytest.raises(error):
        source.link(target)


def test_the_older_model_registry_leads_to_the_one_of_today() -> None:
    linked = logged(name="net", type_="model").link("local/model-registry/classifier")
    assert linked.qualified_name == "local/wandb-registry-model/classifier:v0"


def test_saving_a_link_changes_its_aliases_here_and_its_texts_everywhere() -> None:
    source = logged()
    linked = source.link(TARGET)
    linked.aliases = ["production"]
    linked.description = "better"
    linked.metadata = {"n": 1}
    linked.tags = ["good"]
    before = session.store().ledger.head().size
    linked.save()
    assert len({each.command for each in session.store().ledger.read(after=before)}) == 1
    assert find(f"{TARGET}:production").id == source.id
    fresh = find("ds:v0")
    assert (fresh.description, fresh.metadata, fresh.tags, fresh.aliases) == ("better", {"n": 1}, ["good"], ["latest"])
    with pytest.raises(LookupError, match="no alias 'latest'"):
        find(TARGET)


def test_a_ttl_is_set_on_the_source() -> None:
    linked = logged().link(TARGET)
    with pytest.raises(ValueError, match=r"Cannot set TTL for link artifact\. Unlink the artifact first"):
        linked.ttl = timedelta(days=1)


def test_a_linked_version_is_not_deleted() -> None:
    source = logged()
    linked = source.link(TARGET)
    source.aliases.remove("latest")
    with pytest.raises(VersionHeldError, match="the version is linked in dataset/pictures:v0"):
        source.delete(delete_aliases=True)
    linked.unlink()
    assert source.linked_artifacts == []
    source.delete(delete_aliases=True)
    with pytest.raises(LookupError):
        find(TARGET)


def test_deleting_a_link_only_takes_the_link(caplog: pytest.LogCaptureFixture) -> None:
    source = logged()
    source.link(TARGET, ["a"]).delete()
    assert "only the link is deleted" in caplog.text
    assert find("ds:v0").id == source.id
    assert events().count("collection.unlinked.1") == 1
    with pytest.raises(ValueError, match="This is not a linked artifact"):
        source.unlink()


def test_an_alias_of_a_collection_is_not_moved_away_unseen() -> None:
    first, second = logged("one").link(TARGET), logged("two").link(TARGET)
    second.aliases.append("production")
    second.save()
    registry = directory.registry(session.store().views, "local", "dataset")
    registries.protect(session.store(), registry, ["production"])
    first.aliases.append("production")
    first.save()
    assert find(f"{TARGET}:production").version == "v0"


def test_a_registry_without_an_owner_is_that_of_the_team_whose_version_is_linked() -> None:
    api = wandb.Api()
    api.create_organization("other")
    api.create_team("theirs", "other")
    with wandb.init(entity="theirs") as run:
        made = run.log_artifact(artifact(type_="model")).wait()
    assert made.link("wandb-registry-model/nets").qualified_name == "other/wandb-registry-model/nets:v0"
    with pytest.raises(wandb.CommError, match="its own organization only"):
        made.link("local/wandb-registry-model/nets")
