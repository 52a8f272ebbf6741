"""Collecting garbage beside running sessions, unfinished versions, and other collections: nothing wanted is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve, field, frozen

from muniment.app import fsck, leases, upload
from muniment.app.collecting import collect, condemning
from muniment.app.collecting.collect import Report
from muniment.app.collecting.condemning import CONDEMNED
from muniment.app.log_artifact import PARTS
from muniment.domain.errors import CorruptError
from muniment.domain.ports import BlobResult
from muniment.domain.values import Digest
from tests.app.scene import DAY, SECOND, Scene


def test_bytes_that_nothing_names_go(scene: Scene) -> None:
    scene.log("images", "one")
    kept = scene.blobs()
    scene.bring({"a": "left behind by a session that died"})
    plan = collect.plan(scene.store)
    report = collect.act(scene.store)
    assert (report.blobs, report.size) == (plan.blobs, plan.size)
    assert report.blobs == 3
    assert scene.blobs() == kept


def test_a_part_of_a_version_that_is_being_made_stays_until_it_expires(scene: Scene) -> None:
    written = scene.bring({"a": "a part"})
    until = scene.clock.now + DAY
    row = {"manifest": written.manifest}
    scene.store.ledger.work(lambda transaction: transaction.scratch.put(PARTS, "part", row, until))
    before = scene.blobs()
    assert collect.act(scene.store) == Report()
    assert scene.blobs() == before
    scene.pass_time(DAY)
    assert collect.act(scene.store).blobs == 3


def test_a_running_session_of_before_holds_back_the_deletion(scene: Scene) -> None:
    lease = leases.take(scene.store)
    draft = scene.draft("images", "one")
    report = collect.act(scene.store)
    assert (report.blobs, report.kept) == (0, 3)
    assert collect.plan(scene.store).sessions == 1
    scene.log("images", "one", lease=lease)
    assert draft.manifest in scene.blobs()
    assert collect.act(scene.store) == Report()
    assert scene.contents("images") == ["one"]


def test_a_session_that_came_to_nothing_holds_nothing(scene: Scene) -> None:
    lease = leases.take(scene.store)
    scene.bring({"a": "one"})
    leases.release(scene.store, lease)
    leases.release(scene.store, lease)
    assert collect.act(scene.store).blobs == 3


def test_a_session_that_died_holds_back_until_its_lease_expires(scene: Scene) -> None:
    leases.take(scene.store)
    scene.bring({"a": "one"})
    assert collect.act(scene.store).kept == 3
    scene.pass_time(leases.LASTING + SECOND)
    assert collect.act(scene.store).blobs == 3


def test_a_session_that_began_later_does_not_hold_back(scene: Scene) -> None:
    old = leases.take(scene.store)
    scene.bring({"a": "one"})
    collect.act(scene.store)
    leases.take(scene.store)
    leases.release(scene.store, old)
    epoch = leases.epoch(scene.store.ledger.scratch)
    assert condemning.sessions_ended(scene.store, epoch, 0)  # what act asks


@frozen
class Beside:
    """A blob store in front of another: something happens elsewhere just before blobs are listed or deleted."""

    blobs: Any
    before_delete: list[Any] = field(factory=list)
    after_list: list[Any] = field(factory=list)

    def list(self) -> Iterator[tuple[Digest, int]]:
        listed = list(self.blobs.list())
        while self.after_list:
            self.after_list.pop()()
        return iter(listed)

    def delete_many(self, digests: Any) -> Iterator[BlobResult]:
        doomed = [*digests]
        while self.before_delete:
            self.before_delete.pop()()
        return iter([*self.blobs.delete_many(doomed)])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.blobs, name)


def beside(scene: Scene, **happens: Any) -> Scene:
    blobs_ = Beside(scene.store.blobs, **happens)
    return evolve(scene, store=evolve(scene.store, blobs=blobs_))


def test_a_version_logged_between_marking_and_deleting_keeps_its_bytes(scene: Scene) -> None:
    scene.bring({"data.txt": "wanted again"})

    def log() -> None:
        lease = leases.take(scene.store)
        upload.rescue(scene.store, scene.blobs())
        scene.log("images", "wanted again", lease=lease)

    report = collect.act(beside(scene, after_list=[log]).store)
    assert report.blobs == 0
    assert scene.contents("images") == ["wanted again"]
    assert list(fsck.check(scene.store)) == []
    assert scene.store.ledger.scratch.items(CONDEMNED) == []


def test_a_condemned_blob_that_a_session_rescued_stays(scene: Scene) -> None:
    written = scene.bring({"data.txt": "wanted again"})
    old = leases.take(scene.store)
    assert collect.act(scene.store).kept == 3
    assert {digest for digest, _ in scene.store.ledger.scratch.items(CONDEMNED)} == scene.blobs()
    lease = leases.take(scene.store)
    assert upload.rescue(scene.store, scene.blobs()) == frozenset()
    leases.release(scene.store, old)
    epoch = leases.epoch(scene.store.ledger.scratch)
    assert condemning.begin_deleting(scene.store, sorted(scene.blobs()), epoch) == []
    scene.log("images", "wanted again", lease=lease)
    assert written.manifest in scene.blobs()


def test_two_collections_do_not_delete_what_the_other_condemned(scene: Scene) -> None:
    scene.bring({"data.txt": "wanted again"})
    dead = sorted(scene.blobs())
    first = condemning.condemn(scene.store, dead)  # two processes, step by step
    lease = leases.take(scene.store)
    upload.rescue(scene.store, dead)
    second = condemning.condemn(scene.store, dead)
    assert condemning.sessions_ended(scene.store, first, 0)
    assert not condemning.sessions_ended(scene.store, second, 0)
    assert condemning.begin_deleting(scene.store, [*dead], first) == []
    scene.log("images", "wanted again", lease=lease)
    assert scene.contents("images") == ["wanted again"]


def test_what_one_collection_is_deleting_another_does_not_condemn(scene: Scene) -> None:
    scene.bring({"data.txt": "one"})
    dead = sorted(scene.blobs())
    epoch = condemning.condemn(scene.store, dead)
    assert condemning.begin_deleting(scene.store, [*dead], epoch) == dead
    condemning.condemn(scene.store, dead)
    states = {row["state"] for _, row in scene.store.ledger.scratch.items(CONDEMNED)}
    assert states == {"deleting"}
    scene.pass_time(condemning.DELETING_LASTS + SECOND)
    assert collect.act(scene.store).blobs == 3


def test_a_collection_beside_another_loses_nothing(scene: Scene) -> None:
    scene.log("images", "one")
    scene.bring({"a": "dead"})
    other: list[Report] = []
    report = collect.act(beside(scene, before_delete=[lambda: other.append(collect.act(scene.store))]).store)
    assert (report.blobs, other[0].blobs) == (3, 0)
    assert scene.contents("images") == ["one"]
    assert collect.act(scene.store) == Report()


def test_a_blob_that_cannot_be_deleted_is_reported(scene: Scene) -> None:
    class Stuck(Beside):
        def delete_many(self, digests: Any) -> Iterator[BlobResult]:
            return (BlobResult(each, done=False, error=OSError("stuck")) for each in digests)

    class Liar(Beside):
        def delete_many(self, digests: Any) -> Iterator[BlobResult]:
            return (BlobResult(each) for each in digests)

    scene.bring({"a": "dead"})
    for blobs_, text in ((Stuck, "stuck"), (Liar, "still there")):
        report = collect.act(evolve(scene.store, blobs=blobs_(scene.store.blobs)))
        assert (report.blobs, report.kept, len(report.failed)) == (0, 3, 3)
        assert all(text in line for line in report.failed)
    assert collect.act(scene.store).blobs == 3


def test_nothing_is_deleted_while_a_manifest_cannot_be_read(scene: Scene) -> None:
    scene.log("images", "one")
    scene.bring({"a": "dead"})
    held = scene.store.blobs.held  # type: ignore[attr-defined]
    index = Digest(scene.find("images").version.manifest or "")
    whole_bytes, held[index] = held[index], b"damaged"
    before = scene.blobs()
    with pytest.raises(
        CorruptError, match=r"the manifest of local/uncategorized/images:v0 cannot be read.*muniment fsck"
    ):
        collect.act(scene.store)
    del held[index]
    with pytest.raises(CorruptError, match=r"images:v0 cannot be read"):
        collect.plan(scene.store)
    held[index] = whole_bytes
    assert scene.blobs() == before
    assert collect.act(scene.store).blobs == 3
