"""Teams that bring their own places: what goes where, what is read from where, and what is deleted where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from muniment.app import directory, doctor, drafts, fsck, leases, lifecycle, stats, storage
from muniment.app.collecting import collect, condemning
from muniment.app.files import reference
from muniment.app.files.staging import Staged, Staging
from muniment.app.log_artifact import PlaceMovedError, log
from muniment.app.manifests import Removed
from muniment.app.places import OWN, TeamBlobs, mark
from muniment.app.upload import log_contents, rescue, rescue_at, upload
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, PermissionDeniedError, StorageError
from muniment.domain.ports import BlobResult, BlobSource
from muniment.domain.rows import ArtifactRow
from muniment.domain.team import StorageSet
from muniment.domain.values import Digest, Role
from tests.app import scene
from tests.app.placed import A, B, C, Placed
from tests.app.scene import DAY, SECOND
from tests.stores import Clock, as_login, memory_store

GRACE = 7 * DAY


@pytest.fixture
def placed(tmp_path: Path) -> Placed:
    return Placed.on(memory_store(tmp_path), tmp_path)


def pass_time(placed: Placed, micros: int) -> None:
    assert isinstance(placed.store.clock, Clock)
    scene.pass_time(placed.store, placed.store.clock, micros)


def delete(placed: Placed, text: str) -> None:
    lifecycle.delete(placed.store, placed.find(text), delete_aliases=True)


def whole(placed: Placed) -> None:
    assert [fault.text for fault in fsck.check(placed.store)] == []


# --- what goes where -------------------------------------------------------------------------------------------------


def test_each_team_keeps_its_versions_in_its_own_place_alone(placed: Placed) -> None:
    placed.move("red", A)
    placed.move("blue", B)
    placed.log("red", "one")
    placed.log("blue", "two")
    assert placed.held(None) == set()
    assert placed.held(A) == placed.needed("red/p/data:v0")
    assert placed.held(B) == placed.needed("blue/p/data:v0")
    assert placed.held(A) & placed.held(B)  # the shared file, once in each
    assert (placed.read("red/p/data:v0"), placed.read("blue/p/data:v0")) == ("one", "two")
    whole(placed)


def test_a_team_without_a_place_keeps_its_versions_in_the_stores_own(placed: Placed) -> None:
    placed.move("red", A)
    placed.log("blue", "two")
    assert placed.held(None) == placed.needed("blue/p/data:v0")
    assert placed.held(A) == set()


def test_two_teams_may_share_a_place_and_what_is_equal_in_it(placed: Placed) -> None:
    placed.move("red", A)
    placed.move("blue", A)
    placed.log("red", "one")
    before = placed.held(A)
    placed.log("blue", "one")
    assert placed.held(A) == before
    assert placed.read("blue/p/data:v0") == "one"


def test_new_versions_lie_whole_in_the_current_place_and_old_ones_are_read_from_the_earlier(placed: Placed) -> None:
    placed.log("red", "own")
    placed.move("red", A)
    placed.log("red", "a")
    placed.move("red", B)
    placed.log("red", "b")
    assert placed.held(B) == placed.needed("data:v2")
    assert [placed.read(f"data:v{index}") for index in range(3)] == ["own", "a", "b"]
    placed.move("red", None)
    placed.log("red", "own again")
    assert [placed.read(f"data:v{index}") for index in range(4)] == ["own", "a", "b", "own again"]
    assert placed.needed("data:v3") <= placed.held(None)
    whole(placed)


def test_a_version_made_from_an_earlier_one_brings_along_what_it_keeps(placed: Placed) -> None:
    large = b"x" * (300 << 10)
    with Staging(placed.store) as staging:
        staged = [staging.add_bytes("large", large), staging.add_bytes("text", b"t")]
        log_contents(placed.store, placed.project("red"), staged, lambda written: placed.draft("data", written))
    placed.move("red", A)
    with Staging(placed.store) as staging:
        change: list[Staged | Removed] = [staging.add_bytes("added", b"a"), Removed("text")]
        drafts.log_onto_latest(
            placed.store, placed.project("red"), "data", change, lambda written: placed.draft("data", written)
        )
    assert placed.held(A) == placed.needed("data:v1")
    assert len(placed.at(A).get(Digest(placed_digest(placed, "data:v1", "large")))) == len(large)


def placed_digest(placed: Placed, text: str, path: str) -> str:
    from muniment.app.files.download import manifest_of  # noqa: PLC0415 (used by few tests)

    entry = manifest_of(placed.store, placed.find(text)).get(path)
    assert entry is not None
    return entry.digest


def test_parts_of_a_version_come_along_when_the_place_changes(placed: Placed) -> None:
    project = placed.project("red")
    with Staging(placed.store) as staging:
        drafts.keep_part(placed.store, project, "data", "d", [staging.add_bytes("shared.txt", b"shared")])
    placed.move("red", A)
    with Staging(placed.store) as staging:
        last = [staging.add_bytes("text.txt", b"last")]
        drafts.log_finished(placed.store, project, "data", "d", last, lambda written: placed.draft("data", written))
    assert placed.held(A) == placed.needed("data:v0")
    assert placed.read("data:v0") == "last"


def test_an_upload_beside_which_the_place_changes_is_done_again_in_the_new_one(placed: Placed) -> None:
    with Staging(placed.store) as staging:
        staged = [staging.add_bytes("shared.txt", b"shared"), staging.add_bytes("text.txt", b"late")]
        moved = iter([A])

        def draft(written: object) -> object:
            for place in moved:
                placed.move("red", place)
            return placed.draft("data", written)  # type: ignore[arg-type]

        log_contents(placed.store, placed.project("red"), staged, draft)  # type: ignore[arg-type]
    assert placed.held(A) == placed.needed("data:v0")
    assert placed.read("data:v0") == "late"
    assert placed.store.ledger.scratch.items(leases.LEASE) == []


def test_what_was_put_in_another_place_cannot_be_logged(placed: Placed) -> None:
    seen = placed.store.of_team(placed.project("red").team_id)
    lease = leases.take(seen)
    with Staging(seen) as staging:
        written = upload(seen, lease, [staging.add_bytes("a", b"a")])
    placed.move("red", A)
    with pytest.raises(PlaceMovedError, match="the blobs of team red go to another place"):
        log(seen, placed.project("red"), placed.draft("data", written), lease=lease)
    assert placed.store.views.find(ArtifactRow, project_id=placed.project("red").project_id, name="data") is None


def test_a_reference_to_another_teams_version_is_read_where_that_is(placed: Placed) -> None:
    placed.move("red", A)
    placed.move("blue", B)
    source = placed.log("red", "one")
    uri = reference.reference_to(source.version_id, "text.txt")
    shared = reference.reference_to(source.version_id, "shared.txt")
    entries = [*reference.resolve(placed.store, shared), *reference.resolve(placed.store, uri)]
    staged = [Staged(entry) for entry in entries]
    log_contents(placed.store, placed.project("blue"), staged, lambda written: placed.draft("data", written))
    text = next(entry.digest for entry in entries if entry.path == "text.txt")
    assert text not in placed.held(B)
    assert placed.read("blue/p/data:v0") == "one"


def test_a_file_that_is_remembered_is_read_again_where_its_bytes_are_not(placed: Placed, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"bytes")
    memory = placed.store.files
    look = file.stat()
    digest = Digest("0" * 64)
    memory.put_many({str(file): (look, (digest, None))}, look.st_mtime_ns // 1000 + 60 * SECOND)
    placed.at(None)
    placed.move("red", A)
    with Staging(directory.seen_by(placed.store, "red")) as staging:
        (staged,) = staging.add_files([(str(file), "file")])
    assert staged.entry.digest != digest


# --- saying where ----------------------------------------------------------------------------------------------------


def test_an_admin_of_the_team_or_the_organisation_says_where(placed: Placed) -> None:
    directory.set_team_role(placed.store, "red", "ann", Role.ADMIN)
    directory.set_team_role(placed.store, "red", "bob", Role.MEMBER)
    storage.set_place(as_login(placed.store, "ann"), "red", A)
    storage.set_place(placed.store, "red", B)
    opened: list[str] = []
    places = evolve(placed.store.places, opening=lambda url: opened.append(url) or placed.at(url))  # type: ignore[func-returns-value]
    bob = evolve(as_login(placed.store, "bob"), places=places)
    with pytest.raises(PermissionDeniedError, match="admin"):
        storage.set_place(bob, "red", C)
    assert opened == []
    assert placed.events() == [StorageSet(A), StorageSet(B)]


def test_the_stores_own_place_is_none_however_it_is_written(placed: Placed) -> None:
    own = placed.store.places.own
    placed.move("red", own)
    assert placed.events() == []
    placed.move("red", A)
    placed.move("red", f"file://{own}/")
    assert placed.events() == [StorageSet(A), StorageSet(None)]


def test_a_folder_is_kept_by_its_whole_path(placed: Placed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage.set_place(placed.store, "red", "blobs-of-red") == str(tmp_path / "blobs-of-red")


def test_a_place_that_is_known_by_another_name_is_refused(placed: Placed) -> None:
    same = placed.at(A)
    placed.move("red", A)
    placed.store.places.opening.held[B] = same  # type: ignore[attr-defined]
    with pytest.raises(InvalidValueError, match=f"{B} is {A} by another name"):
        placed.move("blue", B)
    assert placed.held(A) == set()


def test_a_place_with_the_blobs_of_others_is_refused(placed: Placed) -> None:
    list(placed.at(A).put_many([BlobSource(Digest("0" * 63 + "1"), 0, b"")]))
    strange = next(iter(placed.at(A).put_many([source(b"of another store")])))
    assert strange.error is None
    with pytest.raises(InvalidValueError, match="holds 1 blobs that no version of this store needs"):
        placed.move("red", A)
    assert placed.events() == []


def source(content: bytes) -> BlobSource:
    from hashlib import sha256  # noqa: PLC0415 (used by few tests)

    return BlobSource(Digest(sha256(content).hexdigest()), len(content), content)


class Failing:
    """A place that cannot be written."""

    def list(self) -> Iterator[tuple[Digest, int]]:
        return iter(())

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        return (BlobResult(each.digest, done=False, error=StorageError("no entry")) for each in blobs)

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        return (BlobResult(each, done=False) for each in digests)


def test_a_place_that_cannot_be_written_is_refused(placed: Placed) -> None:
    placed.store.places.opening.held[A] = Failing()  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match=f"blobs cannot be kept in {A}: no entry"):
        placed.move("red", A)
    assert placed.events() == []


# --- what is deleted where -------------------------------------------------------------------------------------------


def test_collecting_deletes_in_the_place_of_the_version_only(placed: Placed) -> None:
    placed.move("red", A)
    placed.move("blue", B)
    placed.log("red", "same")
    placed.log("blue", "same")
    before = placed.held(B)
    delete(placed, "red/p/data:v0")
    pass_time(placed, GRACE + SECOND)
    assert collect.plan(placed.store).blobs == len(placed.held(A))
    report = collect.act(placed.store)
    assert (report.purged, report.failed) == (1, ())
    assert (placed.held(A), placed.held(B)) == (set(), before)
    assert placed.read("blue/p/data:v0") == "same"
    whole(placed)


def test_garbage_in_the_place_of_a_team_goes_and_that_of_an_earlier_place_too(placed: Placed) -> None:
    placed.move("red", A)
    placed.log("red", "a")
    placed.move("red", B)
    kept = placed.held(A)
    for place in (None, A, B):
        assert next(iter(placed.at(place).put_many([source(b"garbage")]))).error is None
    assert collect.act(placed.store).blobs == 3
    assert (placed.held(None), placed.held(A), placed.held(B)) == (set(), kept, set())


def test_what_is_condemned_in_one_place_is_not_in_another(placed: Placed) -> None:
    placed.move("red", A)
    digest = source(b"garbage").digest
    own, key = OWN, placed.store.places.key(A)
    condemning.condemn(placed.store, [mark(key, digest)])  # one half of a collection
    before = placed.store.ledger.scratch.items(condemning.CONDEMNED)
    assert rescue_at(placed.store, own, [digest]) == frozenset()
    assert rescue(placed.store.of_team(placed.project("blue").team_id), [digest]) == frozenset()
    assert placed.store.ledger.scratch.items(condemning.CONDEMNED) == before
    assert rescue(placed.store.of_team(placed.project("red").team_id), [digest]) == frozenset()
    assert placed.store.ledger.scratch.items(condemning.CONDEMNED) == []


def test_what_is_deleted_at_this_moment_in_the_place_is_waited_for_there_alone(placed: Placed) -> None:
    placed.move("red", A)
    digest = source(b"garbage").digest
    marked = mark(placed.store.places.key(A), digest)
    epoch = condemning.condemn(placed.store, [marked])
    assert condemning.begin_deleting(placed.store, [marked], epoch) == [marked]
    assert rescue_at(placed.store, OWN, [digest]) == frozenset()
    pass_time(placed, condemning.DELETING_LASTS)
    assert rescue_at(placed.store, placed.store.places.key(A), [digest]) <= {digest}


def test_parts_that_wait_are_kept_in_the_place_of_their_team(placed: Placed) -> None:
    placed.move("red", A)
    with Staging(placed.store) as staging:
        drafts.keep_part(placed.store, placed.project("red"), "data", "d", [staging.add_bytes("a", b"a")])
    before = placed.held(A)
    assert collect.act(placed.store).blobs == 0
    assert placed.held(A) == before != set()


def test_versions_of_a_deleted_artifact_are_still_those_of_their_team(placed: Placed) -> None:
    placed.move("red", A)
    placed.log("red", "one")
    found = placed.find("data:v0")
    before = placed.held(A)
    lifecycle.delete_artifact(placed.store, found.artifact, found.team)
    collect.act(placed.store)
    assert placed.held(A) == before
    whole(placed)
    pass_time(placed, GRACE + SECOND)
    collect.act(placed.store)
    assert placed.held(A) == set()


# --- looking after it ------------------------------------------------------------------------------------------------


def test_fsck_names_the_place(placed: Placed) -> None:
    placed.move("red", A)
    placed.log("red", "a")
    placed.move("red", B)
    placed.log("red", "b")
    wrong = Digest(placed_digest(placed, "data:v1", "text.txt"))
    assert next(iter(placed.at(B).delete_many([wrong]))).done
    (fault,) = fsck.check(placed.store)
    assert fault.text == f"red/p/data:v1: file text.txt is missing (in {B}, {A}, the store's own place)"
    (fault,) = fsck.check(placed.store, fast=True)
    assert "is missing" in fault.text
    with pytest.raises(CorruptError, match="is damaged or missing in the store"):
        placed.read("data:v1")
    assert placed.read("data:v0") == "a"


def test_all_places_are_counted_and_tried(placed: Placed) -> None:
    placed.move("red", A)
    placed.log("red", "one")
    placed.log("blue", "two")
    found = stats.measure(placed.store)
    assert found.blobs == len(placed.held(A)) + len(placed.held(None))
    said = [each.text for each in doctor.examine(placed.store.config, lambda: placed.store) if each.check == "blobs"]
    assert said == ["can be put, read and deleted", f"can be put, read and deleted (in {A})"]
    placed.store.places._opened[placed.store.places.key(A)] = Failing()  # type: ignore[assignment]  # noqa: SLF001
    bad = [each for each in doctor.examine(placed.store.config, lambda: placed.store) if each.check == "blobs"]
    assert [(each.state, each.text) for each in bad][1] == ("fail", f"no entry (in {A})")


def test_what_teams_keep_is_shown_for_each_place(placed: Placed) -> None:
    placed.log("red", "own")
    placed.move("red", A)
    placed.log("red", "a")
    found = [(use.place, use.state, use.versions, use.blobs) for use in storage.shown(placed.store, "red")]
    assert found == [(A, "current", 1, len(placed.held(A))), (None, "earlier", 1, len(placed.held(None)))]
    assert [use.team for use in storage.shown(placed.store)] == ["blue", "local", "red", "red"]


def test_a_store_that_is_seen_by_one_team_can_be_seen_by_another(placed: Placed) -> None:
    placed.move("red", A)
    seen = placed.store.of_team(placed.project("red").team_id)
    assert isinstance(seen.blobs, TeamBlobs)
    assert seen.own_blobs is placed.store.blobs
    assert seen.of_team(placed.project("blue").team_id).blobs is placed.store.blobs
    assert placed.store.of_team(placed.project("blue").team_id).blobs is placed.store.blobs
    with pytest.raises(NotFoundError):
        seen.blobs.get(Digest("0" * 64))
