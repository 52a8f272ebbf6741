from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from muniment.app import clock, directory, lifecycle, link_artifact, registries, runs
from muniment.app.lifecycle import Edits
from muniment.app.listing import Paging
from muniment.app.telling import history
from muniment.domain.errors import InvalidValueError, RuleError
from muniment.domain.registry import MemberKind
from muniment.domain.team import TtlSetters
from muniment.domain.values import Role, Ttl
from tests.app.story import Story


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setenv("MUNIMENT_ACTOR", "ada")
    return Story()


def told(story: Story, subject: str, paging: Paging | None = None) -> list[str]:
    """Return what happened to a thing: each act with its changes, on one line."""
    acts = history.of(story.store, subject, paging).items
    return [" | ".join([act.act, *map(str, act.changes)]) for act in acts]


def test_the_history_of_an_alias_tells_who_moved_it_from_where_to_where(story: Story) -> None:
    story.log("digits", "a", aliases=("best",))
    story.log("digits", "b", aliases=("best",))
    artifact_id = story.find("digits").artifact.artifact_id

    acts = [act for act in history.of(story.store, artifact_id).items if act.act == "alias moved"]

    path = "local/uncategorized/digits"
    assert [str(each) for act in acts for each in act.changes] == [
        f"alias best: — → {path}:v0",
        f"alias best: {path}:v0 → {path}:v1",
    ]
    assert {act.actor for act in acts} == {"ada"}
    assert acts[0].seq < acts[1].seq
    assert acts[0].subject == f"artifact {path}"


def test_the_history_of_an_artifact_has_what_happened_to_its_versions(story: Story) -> None:
    story.log("digits", "a", metadata={"n": 1})
    artifact_id = story.find("digits").artifact.artifact_id
    edits = Edits(
        add_tags=("checked",),
        ttl=Ttl.after(86_400_000_000),
        new_metadata=True,
        metadata={"n": 2},
        new_description=True,
        description="hand-written",
    )
    story.edit("digits:v0", edits)
    story.edit("digits:v0", Edits(remove_tags=("checked",)))
    lifecycle.delete(story.store, story.find("digits:v0"))

    assert told(story, artifact_id) == [
        "artifact created | name: — → digits | type: — → dataset | ttl: — → inherit",
        "version created | version: — → local/uncategorized/digits:v0",
        "version ttl set | ttl: inherit → 1d",
        'version metadata changed | metadata: {"n": 1} → {"n": 2}',
        "version described | description: — → hand-written",
        "version tagged | tag: — → checked",
        "version untagged | tag: checked → —",
        "version deleted | state: committed → deleted",
    ]


def test_pages_of_a_history_join_without_gap_either_way(story: Story) -> None:
    for text in "abcde":
        story.log("digits", text, tags=("t",))
    artifact_id = story.find("digits").artifact.artifact_id
    everything = [act.seq for act in history.of(story.store, artifact_id).items]

    for descending in (False, True):
        found, start = [], None
        while True:
            page = history.of(story.store, artifact_id, Paging(start=start, size=3, descending=descending))
            found += [act.seq for act in page.items]
            start = page.next
            if start is None:
                break
        assert found == (everything[::-1] if descending else everything)


def test_as_of_an_event_later_ones_are_no_history_yet(story: Story) -> None:
    artifact_id = story.log("digits", "a").artifact_id
    before = story.seq
    story.log("digits", "b")

    for descending in (False, True):
        acts = history.of(story.store, artifact_id, Paging(at=before, descending=descending)).items
        assert sorted(act.seq for act in acts) == [before - 1, before]


def test_the_history_of_a_version_has_its_runs_links_and_aliases(story: Story) -> None:
    train = story.run("train")
    version_id = story.log("model", "w", type_="model", run=train).version_id
    story.run("evaluate", version_id)
    found = story.link("model:v0", "wandb-registry-model/classifier", "production")
    link_artifact.unlink(story.store, found)

    lines = told(story, version_id)

    path, link = "local/uncategorized/model:v0", "local/wandb-registry-model/classifier:v0"
    assert f"run output logged | logged: — → {path}" in lines
    assert f"run input used | used: — → {path}" in lines
    assert f"collection linked | link {link}: — → {path}" in lines
    assert f"alias moved | alias production: — → {path}" in lines
    assert lines[-2:] == [
        f"alias removed | alias production: {path} → —",
        f"collection unlinked | link {link}: {path} → —",
    ]


def test_latest_put_by_hand_is_told_with_where_it_was(story: Story) -> None:
    story.log("digits", "a")
    artifact_id = story.log("digits", "b").artifact_id
    story.edit("digits:v0", Edits(add_aliases=("latest",)))
    story.edit("digits:v0", Edits(remove_aliases=("latest",)))

    path = "local/uncategorized/digits"
    assert told(story, artifact_id)[-2:] == [
        f"alias latest moved | latest: {path}:v1 → {path}:v0",
        f"alias latest removed | latest: {path}:v0 → —",
    ]


def test_latest_of_a_collection_is_told_too(story: Story) -> None:
    for text in "ab":
        story.log("model", text, type_="model")
        story.link("model:latest", "wandb-registry-model/classifier")
    found = story.link("model:v0", "wandb-registry-model/classifier", "latest")
    if found.collection is None:
        pytest.fail("not found through its collection")
    link_artifact.set_link_aliases(story.store, found, ["latest"], [])

    lines = told(story, found.collection.collection_id)

    path = "local/uncategorized/model"
    assert lines[-1] == f"alias latest moved | latest: {path}:v1 → {path}:v0"


def test_the_history_of_a_registry_tells_roles_types_and_protection(story: Story) -> None:
    row = registries.create(story.store, "local", "golden", types=["model"])
    registries.accept_types(story.store, row, ["dataset"])
    registries.protect(story.store, row, ["production"])
    bea = directory.principal(story.store, "bea")
    registries.set_role(story.store, row, bea, MemberKind.PRINCIPAL, Role.VIEWER)
    registries.set_role(story.store, row, bea, MemberKind.PRINCIPAL, Role.ADMIN)
    team = directory.create_team(story.store, "vision")
    registries.set_role(story.store, row, team.team_id, MemberKind.TEAM, Role.MEMBER)
    registries.describe(story.store, row, "the best")
    registries.rename(story.store, row, "silver")

    assert told(story, row.registry_id)[1:] == [
        "registry role set | role of ada: — → admin",
        'registry types added | artifact types: ["model"] → ["dataset", "model"]',
        'registry protected aliases set | protected aliases: [] → ["production"]',
        "registry role set | role of bea: — → viewer",
        "registry role set | role of bea: viewer → admin",
        "registry role set | role of vision: — → member",
        "registry described | description: — → the best",
        "registry renamed | name: golden → silver",
    ]


def test_the_history_of_a_run_and_a_team(story: Story) -> None:
    run = story.run("train")
    runs.log_rows(story.store, run, [{"loss": 1}, {"loss": 2}], 1)
    runs.finish(story.store, run, exit_code=1, summary={"loss": 2})
    team = directory.create_team(story.store, "vision")
    directory.set_ttl_policy(story.store, "vision", TtlSetters.ADMINS, 1_000_000)

    assert told(story, run.run_id)[1:] == [
        "run logged | logged rows: — → 2",
        'run finished | state: running → failed | summary: — → {"loss": 2}',
    ]
    assert told(story, team.team_id)[-1] == "team ttl policy set | ttl: — → 1s | ttl_setters: members → admins"


def test_a_denied_act_is_part_of_the_history(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registries.create(story.store, "local", "golden")
    with pytest.raises(RuleError):
        registries.rename(story.store, registry, "model")

    (act,) = [act for act in history.of(story.store, registry.registry_id).items if act.recorded.outcome == "denied"]

    assert [str(each) for each in act.changes] == ["refused: — → NameTakenError"]
    assert act.subject == "registry local/wandb-registry-golden"
    del monkeypatch


def test_who_and_what_was_erased_is_shown_as_erased(story: Story) -> None:
    artifact_id = story.log("digits", "a", metadata={"secret": 1}).artifact_id
    story.edit("digits:v0", Edits(new_metadata=True, metadata={"secret": 2}))
    store = story.store
    store.vault.destroy(artifact_id)
    store.vault.destroy(store.context.actor)

    act = history.of(store, artifact_id).items[-1]

    assert [str(each) for each in act.changes] == ["metadata: [erased] → [erased]"]
    assert act.actor == "[erased]"
    assert "secret" not in json.dumps(act.to_json())


def test_an_act_as_json_has_everything_a_script_needs(story: Story) -> None:
    run = story.run("train")
    version_id = story.log("digits", "a", run=run).version_id
    act = history.of(story.store, version_id).items[0]

    value = json.loads(json.dumps(act.to_json()))

    assert value["act"] == "version created"
    assert value["at"].endswith("Z")
    assert value["class"] == "change"
    assert value["outcome"] == "ok"
    assert value["changes"] == [{"field": "version", "before": None, "after": "local/uncategorized/digits:v0"}]


def test_a_moment_is_an_event_or_a_time(story: Story) -> None:
    story.log("digits", "a")
    seq, head = story.seq, story.store.ledger.head()
    last = clock.to_datetime(head.recorded_at)

    assert history.as_of(story.store, seq) == history.as_of(story.store, str(seq)) == seq
    assert history.as_of(story.store, "now") == seq
    assert history.as_of(story.store, clock.to_text(head.recorded_at)) == seq
    assert history.as_of(story.store, last.isoformat()) == seq
    assert history.as_of(story.store, last) == seq
    assert history.as_of(story.store, last.replace(tzinfo=None)) == seq
    assert history.as_of(story.store, last - timedelta(microseconds=1)) < seq
    assert history.as_of(story.store, datetime(2000, 1, 1, tzinfo=UTC)) == 0
    assert history.as_of(story.store, "2000-01-01") == 0
    assert history.as_of(story.store, last.astimezone() + timedelta(days=1)) == seq


@pytest.mark.parametrize("moment", ["yesterday", "", "-1", 10_000, "20000", -3])
def test_what_is_no_moment_is_refused(story: Story, moment: str | int) -> None:
    with pytest.raises(InvalidValueError):
        history.as_of(story.store, moment)


def test_a_wrong_cursor_or_size_is_refused(story: Story) -> None:
    artifact_id = story.log("digits", "a").artifact_id
    with pytest.raises(InvalidValueError, match="no cursor"):
        history.of(story.store, artifact_id, Paging(start="x"))
    with pytest.raises(InvalidValueError, match="at least one"):
        history.of(story.store, artifact_id, Paging(size=0))
