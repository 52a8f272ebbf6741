"""The way of a version from deleted to purged: what shows its end, and what is said afterwards."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from muniment.app import catalog, lifecycle
from muniment.app.collecting import collect, purging, residuals
from muniment.app.collecting.disposal import dispose
from muniment.app.files.download import download
from muniment.app.transact import Request
from muniment.domain import version as versions
from muniment.domain.errors import GoneError, StillThereError, StorageError, VersionHeldError
from muniment.domain.evidence import Check, Copy, CopyKind, Method, Trigger
from muniment.domain.rows import DisposalRow, ResidualRow
from muniment.domain.values import Digest, Ttl
from muniment.domain.version import LetGo, Purged, State
from tests.app.purged import GRACE, Around, around, due, last, state
from tests.app.scene import DAY, SECOND, Scene

# --- evidence --------------------------------------------------------------------------------------------------------


def test_a_purge_says_why_since_when_and_what_was_removed_from_where(scene: Scene) -> None:
    id_ = due(scene)
    marked = scene.version(id_).deleted_at or 0
    report = collect.act(scene.store)
    assert (report.let_go, report.purged, report.blobs, report.failed) == (1, 1, 3, ())
    assert scene.happened(0)[-2:] == ["LetGo", "Purged"]
    purged = last(scene, Purged)
    (shown,) = purged.evidence
    assert purged.places == ("",)
    assert (purged.trigger, purged.marked_at, purged.due_at) == (Trigger.DELETED, marked, marked + GRACE)
    assert (shown.method, shown.verified_by, shown.blobs, shown.copies) == (Method.DELETED, (Check.MEMORY,), 3, 3)
    (row,) = scene.views.select(DisposalRow, owner_id=id_, order="at")
    assert (row.trigger, row.method, row.verified_by, row.place) == ("deleted", "deleted", "memory", "")
    assert (row.blobs, row.size, row.residual, row.due_at) == (3, report.size, 0, marked + GRACE)
    assert report.late == pytest.approx(SECOND, abs=1000)
    assert [(freed.place, freed.blobs, freed.size) for freed in report.places] == [(None, 3, report.size)]


def test_what_expired_says_so(scene: Scene) -> None:
    scene.log("images", "one", ttl=Ttl.after(DAY))
    scene.pass_time(2 * DAY)
    collect.act(scene.store)
    scene.pass_time(GRACE + SECOND)
    collect.act(scene.store)
    assert last(scene, LetGo).trigger is Trigger.EXPIRED


def test_a_version_whose_bytes_others_need_is_purged_without_removing_any(scene: Scene) -> None:
    scene.log("copies", "one")
    id_ = due(scene)
    report = collect.act(scene.store)
    assert (report.purged, report.blobs) == (1, 0)
    (row,) = scene.views.select(DisposalRow, owner_id=id_, order="at")
    assert (row.method, row.blobs, row.copies) == ("already-absent", 0, 0)
    assert scene.contents("copies") == ["one"]


def test_bytes_that_are_gone_already_are_no_fault(scene: Scene) -> None:
    id_ = due(scene)
    for digest in scene.blobs():
        del scene.store.blobs.held[digest]  # type: ignore[attr-defined]
    report = collect.act(scene.store)
    assert (report.purged, report.blobs, report.failed) == (1, 0, ())
    (row,) = scene.views.select(DisposalRow, owner_id=id_, order="at")
    assert (row.method, row.verified_by) == ("already-absent", "memory")


def test_bytes_of_no_version_leave_evidence_too(scene: Scene) -> None:
    scene.bring({"a": "left behind by a session that died"})
    report = collect.act(scene.store)
    (row,) = scene.views.select(DisposalRow, order="at")
    assert (row.trigger, row.owner_id, row.blobs, row.size) == ("leftover", None, 3, report.size)


def test_blobs_that_are_named_go_and_needed_ones_stay(scene: Scene) -> None:
    scene.log("images", "kept")
    needed = scene.blobs()
    loose = scene.bring({"a": "loose"})
    wanted = scene.blobs() - needed
    done = dispose(scene.store, [*wanted, *needed], Trigger.ERASURE, owner_id="o" * 32, request_id="r" * 32)
    assert (done.blobs, done.kept, done.failed) == (3, 0, ())
    assert scene.blobs() == needed
    assert loose.manifest not in scene.blobs()
    (row,) = scene.views.select(DisposalRow, request_id="r" * 32, order="at")
    assert (row.disposal_id, row.owner_id, row.trigger) == (done.evidence[0].disposal_id, "o" * 32, "erasure")


# --- stores that do not do what they say -----------------------------------------------------------------------------


def test_a_store_that_says_deleted_and_keeps_the_bytes_is_not_believed(scene: Scene) -> None:
    id_ = due(scene)
    report = collect.act(around(scene, lies=True).store)
    assert (report.let_go, report.purged, report.blobs) == (1, 0, 0)
    assert all("is still there after it was deleted" in line for line in report.failed)
    assert state(scene, id_) is State.LET_GO
    assert scene.views.select(DisposalRow, order="at") == []
    report = collect.act(scene.store)
    assert (report.let_go, report.purged, report.blobs) == (0, 1, 3)


def test_a_copy_that_no_reader_sees_is_a_copy(scene: Scene) -> None:
    id_ = due(scene)
    (content, *_) = scene.blobs()
    report = collect.act(around(scene, copies=[Copy(content, CopyKind.VERSION)]).store)
    assert report.purged == 0
    assert "is still there" in report.failed[0]
    assert state(scene, id_) is State.LET_GO


def test_a_store_that_nobody_can_look_into_purges_nothing(scene: Scene) -> None:
    def unreachable() -> None:
        msg = "the listing was refused"
        raise StorageError(msg)

    id_ = due(scene)
    report = collect.act(around(scene, before_search=[unreachable]).store)
    assert report.purged == 0
    assert any("nobody could look whether they are gone: the listing was refused" in line for line in report.failed)
    assert state(scene, id_) is State.LET_GO
    assert collect.act(scene.store).purged == 1


def test_one_refused_blob_keeps_its_version_and_no_other(scene: Scene) -> None:
    first = scene.log("images", "one").version_id
    others = scene.blobs()
    second = scene.log("images", "two").version_id
    (refused, *_) = scene.blobs() - others
    for index in (0, 1):
        scene.delete(f"images:v{index}", delete_aliases=True)
    scene.pass_time(GRACE + SECOND)
    report = collect.act(around(scene, refused={refused: StorageError("denied")}).store)
    assert report.purged == 1
    assert [line.rpartition(": ")[2] for line in report.failed] == ["denied"]
    assert (state(scene, first), state(scene, second)) == (State.PURGED, State.LET_GO)
    assert collect.act(scene.store).purged == 1
    assert scene.blobs() == set()


# --- what a lock holds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("until", "why"), [(1_800_000_000_000_000, "lock"), (None, "legal-hold")])
def test_what_a_lock_holds_is_told_with_its_end_and_looked_for_until_it_is_gone(
    scene: Scene, until: int | None, why: str
) -> None:
    id_ = due(scene)
    locked = {digest: StillThereError("the bucket locks it", until) for digest in scene.blobs()}
    held = around(scene, refused=locked)
    report = collect.act(held.store)
    assert (report.purged, report.residual, report.blobs) == (1, 3, 0)
    assert all("the bucket locks it" in line for line in report.failed)
    (row,) = scene.views.select(ResidualRow, order="found_at")
    (disposal,) = scene.views.select(DisposalRow, owner_id=id_, order="at")
    assert (row.state, row.why, row.ends_at, row.copies, row.place) == ("left", why, until, 3, "")
    assert (row.disposal_id, disposal.residual) == (disposal.disposal_id, 3)
    again = collect.act(held.store)
    assert (again.residual, again.ended) == (3, 0)
    assert len(scene.views.select(ResidualRow, order="found_at")) == 1, "it is told of once"
    report = collect.act(scene.store)
    assert (report.blobs, report.ended, report.failed) == (3, 1, ())
    (row,) = scene.views.select(ResidualRow, order="found_at")
    assert (row.state, row.ended_at is not None) == ("gone", True)
    assert residuals.known(scene.store) == frozenset()
    assert collect.act(scene.store) == collect.Report()


def test_copies_that_a_version_wants_again_are_no_residual_any_more(scene: Scene) -> None:
    due(scene)
    locked = {digest: StillThereError("the bucket locks it", 7) for digest in scene.blobs()}
    held = around(scene, refused=locked)
    collect.act(held.store)
    scene.log("images", "one")
    assert collect.act(held.store).ended == 1
    assert scene.contents("images:v1") == ["one"]


# --- what is said afterwards -----------------------------------------------------------------------------------------


def test_what_was_purged_is_gone_and_says_since_when(scene: Scene, tmp_path: Path) -> None:
    scene.log("images", "one")
    found, seq = scene.find("images:v0"), scene.seq
    scene.delete("images:v0", delete_aliases=True)
    scene.pass_time(GRACE + SECOND)
    collect.act(scene.store)
    day = datetime.fromtimestamp(scene.clock.now / SECOND, UTC).strftime("%Y-%m-%dT")
    said = rf"images:v0 was purged on {day}.*Z, and what it held is gone"
    for asking in (
        lambda: scene.find("images:v0"),
        lambda: lifecycle.restore(scene.store, found),
        lambda: download(scene.store, found, tmp_path / "down"),
        lambda: download(scene.store, scene.find("images:v0", seq), tmp_path / "down"),
    ):
        with pytest.raises(GoneError, match=said):
            asking()


def test_a_download_that_was_under_way_when_the_version_went_says_so(scene: Scene, tmp_path: Path) -> None:
    scene.log("images", {f"{number:02}": f"file {number}" for number in range(40)})
    found = scene.find("images:v0")
    scene.delete("images:v0", delete_aliases=True)
    scene.pass_time(GRACE + SECOND)

    class Slow(Around):
        def open(self, digest: Digest, start: int = 0, length: int | None = None) -> Any:
            collect.act(scene.store)
            return self.blobs.open(digest, start, length)

        def get(self, digest: Digest) -> bytes:
            content: bytes = self.blobs.get(digest)
            if content.startswith(b"file"):
                collect.act(scene.store)
                content = self.blobs.get(digest)
            return content

    store = evolve(scene.store, blobs=Slow(scene.store.blobs), cache=scene.store.cache)
    with pytest.raises(GoneError, match=r"images:v0 was (let go|purged) on"):
        download(store, found, tmp_path / "down")


def test_the_same_content_after_the_purge_is_a_new_version_and_the_old_one_stays_gone(scene: Scene) -> None:
    due(scene)
    collect.act(scene.store)
    assert scene.log("images", "one").index == 1
    assert scene.contents("images:v1") == ["one"]
    with pytest.raises(GoneError):
        scene.find("images:v0")
    assert catalog.latest_version(scene.views, scene.artifact("images")).index == 1  # type: ignore[union-attr]


def test_a_live_version_is_not_let_go(scene: Scene) -> None:
    logged = scene.log("images", "one")
    assert purging.let_go(scene.store, logged.version_id) is None
    with pytest.raises(VersionHeldError):
        scene.store.transact(
            Request("let go"),
            lambda steps: bool(steps.step(versions.VERSION, logged.version_id, versions.let_go_in_time, None, 1)),
        )
