"""Collecting garbage: what is due, what is kept and why, and what happens beside running sessions and each other."""

from __future__ import annotations

import pytest
from attrs import evolve

from muniment.app import catalog, directory, fsck, lifecycle, reach, registries
from muniment.app.collecting import collect, disposal, purging
from muniment.app.collecting.collect import Report
from muniment.app.lifecycle import Edits
from muniment.app.retention import Book
from muniment.domain.errors import VersionDeletedError
from muniment.domain.ports import SlotDraft
from muniment.domain.retention import Action
from muniment.domain.team import TtlSetters
from muniment.domain.values import NEVER, Digest, Ttl
from muniment.domain.version import Cause, MarkedDeleted, Purged
from tests.app.scene import DAY, SECOND, Scene

GRACE = 7 * DAY


def whole(scene: Scene) -> None:
    assert [fault.text for fault in fsck.check(scene.store)] == []


def purge(scene: Scene, name: str) -> Report:
    scene.delete(name, delete_aliases=True)
    scene.pass_time(GRACE + SECOND)
    return collect.act(scene.store)


# --- versions --------------------------------------------------------------------------------------------------------


def test_a_store_without_garbage_is_left_alone(scene: Scene) -> None:
    scene.log("images", "one")
    before, seq = scene.blobs(), scene.seq
    assert collect.plan(scene.store) == collect.Plan((), 0, 0, 0)
    assert collect.act(scene.store) == Report()
    assert (scene.blobs(), scene.happened(seq)) == (before, [])


def test_the_plan_shows_what_is_due_and_does_nothing(scene: Scene) -> None:
    scene.log("images", "one", ttl=Ttl.after(DAY))
    scene.log("images", "second")
    gone = scene.delete("images:v1").version
    scene.pass_time(GRACE + SECOND)
    before, seq = scene.blobs(), scene.seq
    plan = collect.plan(scene.store)
    assert [(due.name, due.action) for due in plan.due] == [
        ("local/uncategorized/images:v0", Action.DELETE),
        ("local/uncategorized/images:v1", Action.PURGE),
    ]
    assert "its own TTL" in plan.expired[0].because
    assert "grace period" in plan.purgeable[0].because
    manifest = scene.store.blobs.get(Digest(gone.manifest or ""))
    assert plan.blobs == 3  # the content, the leaf and the index of v1
    assert plan.size > len(manifest) + len("second")
    assert (scene.blobs(), scene.happened(seq), scene.indexes("images")) == (before, [], [0])


def test_what_expired_is_marked_deleted_with_its_aliases(scene: Scene) -> None:
    created = scene.version(scene.log("images", "one", "best", ttl=Ttl.after(DAY)).version_id).created_at
    scene.log("images", "two")
    scene.clock.now = created + DAY - 100
    assert collect.act(scene.store).deleted == 0
    scene.clock.now = created + DAY
    assert collect.act(scene.store).deleted == 1
    assert scene.points("images") == {"latest": 1}
    event = next(each.event for each in scene.since(0) if isinstance(each.event, MarkedDeleted))
    assert event.cause is Cause.EXPIRED
    with pytest.raises(VersionDeletedError, match="restore it first"):
        scene.find("images:v0")
    assert collect.act(scene.store) == Report()


def test_half_a_second_is_a_ttl(scene: Scene) -> None:
    scene.log("images", "one", ttl=Ttl.after(SECOND // 2))
    scene.pass_time(SECOND // 4)
    assert collect.act(scene.store).deleted == 0
    scene.pass_time(SECOND // 4 + 1000)
    assert collect.act(scene.store).deleted == 1


def test_the_ttl_of_artifact_and_team_count_for_versions_that_say_nothing(scene: Scene) -> None:
    scene.log("images", "own", ttl=Ttl.after(9 * DAY))
    scene.log("images", "never", ttl=NEVER)
    scene.log("images", "artifact")
    scene.log("other", "team")
    lifecycle.set_artifact_ttl(scene.store, scene.artifact("images"), scene.team, Ttl.after(2 * DAY))
    directory.set_ttl_policy(scene.store, "local", TtlSetters.MEMBERS, DAY)
    left = []
    for _ in range(3):
        scene.pass_time(DAY + SECOND)
        collect.act(scene.store)
        left.append((scene.indexes("images"), scene.indexes("other")))
    assert left == [([0, 1, 2], []), ([0, 1], []), ([0, 1], [])]
    scene.pass_time(9 * DAY)
    collect.act(scene.store)
    assert scene.indexes("images") == [1]


def test_a_version_restored_after_it_expired_says_so_until_its_ttl_changes(scene: Scene) -> None:
    scene.log("images", "one", ttl=Ttl.after(DAY))
    found = scene.find("images")
    scene.pass_time(DAY + SECOND)
    assert collect.act(scene.store).deleted == 1
    lifecycle.restore(scene.store, found)
    lifecycle.edit(scene.store, found, Edits(ttl=NEVER))
    assert collect.act(scene.store).deleted == 0


def test_what_was_deleted_can_be_restored_until_the_grace_period_is_over(scene: Scene) -> None:
    scene.log("images", "one")
    scene.log("images", "two")
    found = scene.delete("images:v0")
    scene.pass_time(GRACE - SECOND)
    assert collect.act(scene.store) == Report()
    lifecycle.restore(scene.store, found)
    assert scene.contents("images:v0") == ["one"]
    scene.delete("images:v0")
    scene.pass_time(GRACE - SECOND)
    assert collect.act(scene.store) == Report()
    scene.pass_time(2 * SECOND)
    report = collect.act(scene.store)
    assert (report.purged, report.blobs, report.kept) == (1, 3, 0)
    assert report.size > 0
    assert scene.contents("images:v1") == ["two"]
    whole(scene)


def test_a_grace_period_of_nothing_deletes_at_once(scene: Scene) -> None:
    config = evolve(scene.store.config, values=scene.store.config.values | {"grace": "0"})
    at_once = evolve(scene, store=evolve(scene.store, config=config))
    at_once.log("images", "one", ttl=Ttl.after(SECOND))
    at_once.pass_time(2 * SECOND)
    report = collect.act(at_once.store)
    assert (report.deleted, report.purged, report.blobs) == (1, 1, 3)
    assert scene.blobs() == set()


def test_what_other_versions_need_stays(scene: Scene) -> None:
    scene.log("images", {"shared": "both", "a": "only the first"})
    scene.log("images", {"shared": "both", "b": "only the second"})
    scene.log("copies", {"shared": "both", "a": "only the first"})
    report = purge(scene, "images:v0")
    assert (report.purged, report.blobs) == (1, 0)
    assert sorted(scene.contents("copies:v0")) == ["both", "only the first"]
    report = purge(scene, "copies:v0")
    assert report.purged == 1
    assert sorted(scene.contents("images:v1")) == ["both", "only the second"]
    purged = [each.event for each in scene.since(0) if isinstance(each.event, Purged)]
    assert [event.blobs for event in purged] == [0, 3]  # of the second one its content, its leaf and its index
    assert purged[1].size == report.size > len("only the first")
    whole(scene)


def test_two_versions_purged_together_count_what_they_shared_once(scene: Scene) -> None:
    scene.log("images", {"shared": "both", "a": "1"})
    scene.log("images", {"shared": "both", "b": "22"})
    for name in ("images:v0", "images:v1"):
        scene.delete(name)
    scene.pass_time(GRACE + SECOND)
    report = collect.act(scene.store)
    purged = [each.event for each in scene.since(0) if isinstance(each.event, Purged)]
    assert [event.blobs for event in purged] == [4, 3]
    assert sum(event.size for event in purged) == report.size > len("both") + len("1") + len("22")
    assert scene.blobs() == set()


def test_versions_of_a_deleted_artifact_go_in_their_time(scene: Scene) -> None:
    scene.log("images", "one", "best", ttl=NEVER)
    scene.log("images", "two")
    lifecycle.delete_artifact(scene.store, scene.artifact("images"), scene.team)
    assert [due.because for due in collect.plan(scene.store).due] == ["its artifact or project was deleted"] * 2
    assert collect.act(scene.store).deleted == 2
    assert {each.event.cause for each in scene.since(0) if isinstance(each.event, MarkedDeleted)} == {Cause.PARENT}
    scene.pass_time(GRACE + SECOND)
    assert collect.act(scene.store).purged == 2
    assert scene.blobs() == set()
    whole(scene)


def test_versions_of_a_deleted_project_go_in_their_time(scene: Scene) -> None:
    there = evolve(scene, project_name="p")
    project = directory.create_project(scene.store, "local", "p")
    there.log("images", "one", "best")
    lifecycle.delete_project(scene.store, project)
    assert collect.act(scene.store).deleted == 1
    assert {each.event.cause for each in scene.since(0) if isinstance(each.event, MarkedDeleted)} == {Cause.PARENT}
    scene.pass_time(GRACE + SECOND)
    assert collect.act(scene.store).purged == 1
    assert scene.blobs() == set()


def test_a_link_holds_what_expired_and_its_end_lets_it_go(scene: Scene) -> None:
    scene.log("net", "one", type_="model", ttl=Ttl.after(DAY))
    found = scene.link("net", "model/best")
    scene.pass_time(9 * DAY)
    assert collect.plan(scene.store).due == ()
    assert "model/best:v0, which suspends" in Book(scene.views, 0).decide(found.version, scene.clock.now).why
    registry = scene.registry("model")
    registries.delete_collection(scene.store, catalog.collection_named(scene.views, registry, "best"))
    assert collect.act(scene.store).deleted == 0
    scene.pass_time(GRACE)
    assert collect.act(scene.store).deleted == 1


def test_more_versions_than_a_page(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "BATCH", 2)
    monkeypatch.setattr(disposal, "BATCH", 2)
    monkeypatch.setattr(purging, "CHUNK", 2)
    for index in range(7):
        scene.log("images", str(index), ttl=Ttl.after(DAY) if index % 2 else NEVER)
    scene.pass_time(DAY + SECOND)
    assert collect.act(scene.store).deleted == 3
    scene.pass_time(GRACE + SECOND)
    assert (collect.act(scene.store).purged, scene.indexes("images")) == (3, [0, 2, 4, 6])
    whole(scene)


# --- the vault -------------------------------------------------------------------------------------------------------


def test_personal_values_that_nothing_refers_to_go_after_a_day(scene: Scene) -> None:
    scene.log("images", "one", metadata={"a": 1}, description="kept")
    row = scene.find("images").version
    (loose,) = scene.store.vault.put_many([SlotDraft("o" * 32, "note", "left behind")])
    slots = [loose.slot, row.metadata, row.description]
    assert all(slot is not None for slot in slots)
    wanted = [slot for slot in slots if slot is not None]
    scene.pass_time(DAY - SECOND)
    collect.act(scene.store)
    assert len(scene.store.vault.get_many(wanted)) == 3
    scene.pass_time(2 * SECOND)
    collect.act(scene.store)
    assert set(scene.store.vault.get_many(wanted)) == {row.metadata, row.description}
    assert directory.logins(scene.store, {scene.store.context.actor})


def test_personal_values_of_purged_versions_and_old_edits_stay_provable(scene: Scene) -> None:
    scene.log("images", "one", metadata={"a": 1})
    before = scene.find("images").version.metadata
    scene.edit("images", metadata={"a": 2}, new_metadata=True)
    purge(scene, "images")
    assert before is not None
    assert scene.store.vault.get_many([before]) == {before: {"a": 1}}
