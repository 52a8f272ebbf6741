"""Carrying a team's blobs to another place: all of them, verified, at any point ended and gone on with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from muniment.app import directory, drafts, fsck, leases, lifecycle, storage_migration
from muniment.app.bootstrap import open_blobs
from muniment.app.collecting import collect, condemning
from muniment.app.config import load
from muniment.app.files.staging import Staging
from muniment.app.places import Places, mark
from muniment.app.progress import Bar
from muniment.app.storage_migration import Carried, Planned, migrate, migrate_own, plan
from muniment.domain.errors import CorruptError, InvalidValueError, PermissionDeniedError, StorageError
from muniment.domain.ports import BlobResult, BlobSource
from muniment.domain.team import StorageGathered, StorageSet
from muniment.domain.values import Digest, Role
from tests.app.placed import A, B, C, Placed
from tests.stores import as_login, memory_store


@pytest.fixture
def placed(tmp_path: Path) -> Placed:
    return Placed.on(memory_store(tmp_path), tmp_path)


def whole(placed: Placed) -> None:
    assert [fault.text for fault in fsck.check(placed.store)] == []


def delete(placed: Placed, text: str) -> None:
    lifecycle.delete(placed.store, placed.find(text), delete_aliases=True)


def damage(placed: Placed, place: str | None, digest: Digest) -> None:
    placed.at(place).held[digest] = b"damaged"  # type: ignore[attr-defined]  # behind its back


# --- what it does ----------------------------------------------------------------------------------------------------


def test_everything_of_the_team_is_carried_and_the_place_changes(placed: Placed) -> None:
    placed.log("red", "one")
    placed.log("red", "two")
    placed.log("blue", "blue's")
    before = placed.held(None)
    needed = placed.needed("data:v0") | placed.needed("data:v1")
    assert plan(placed.store, "red", A) == Planned(A, 2, len(needed), len(needed))
    done = migrate(placed.store, "red", A)
    sizes = sum(size for _, size in placed.at(A).list())
    assert done == Carried(A, 2, len(needed), len(needed), sizes)
    assert placed.held(A) == needed
    assert placed.held(None) == before
    assert placed.events() == [StorageSet(A), StorageGathered()]
    assert (placed.read("data:v0"), placed.read("data:v1")) == ("one", "two")
    assert placed.store.ledger.scratch.items(leases.LEASE) == []
    whole(placed)


def test_again_it_copies_nothing_and_says_nothing_new(placed: Placed) -> None:
    placed.log("red", "one")
    migrate(placed.store, "red", A)
    events = placed.events()
    again = migrate(placed.store, "red", A)
    assert (again.copied, again.blobs) == (0, len(placed.held(A)))
    assert placed.events() == events


def test_what_was_left_is_collected_and_what_others_need_there_is_not(placed: Placed) -> None:
    placed.log("red", "one")
    placed.log("blue", "two")
    migrate(placed.store, "red", A)
    collect.act(placed.store)
    assert placed.held(None) == placed.needed("blue/p/data:v0")
    assert placed.held(A) == placed.needed("data:v0")
    whole(placed)


def test_the_source_is_deleted_at_once_where_it_is_asked_for(placed: Placed) -> None:
    placed.move("red", A)
    placed.move("blue", A)
    placed.log("red", "one")
    placed.log("blue", "two")
    before = placed.held(A)
    done = migrate(placed.store, "red", B, delete_source=True)
    assert placed.held(A) == placed.needed("blue/p/data:v0")
    assert (done.deleted, done.kept, done.failed) == (len(before - placed.held(A)), 0, ())
    assert placed.held(B) == placed.needed("data:v0")
    whole(placed)


def test_a_running_upload_keeps_the_source_from_being_deleted_at_once(placed: Placed) -> None:
    placed.log("red", "one")
    lease = leases.take(placed.store)
    done = migrate(placed.store, "red", A, delete_source=True)
    assert (done.deleted, done.kept) == (0, len(placed.held(None)))
    leases.release(placed.store, lease)
    collect.act(placed.store)
    assert placed.held(None) == set()
    assert placed.read("data:v0") == "one"


def test_several_places_become_one_and_the_stores_own_is_one_too(placed: Placed) -> None:
    placed.log("red", "own")
    placed.move("red", A)
    placed.log("red", "a")
    placed.move("red", B)
    placed.log("red", "b")
    migrate(placed.store, "red", B, delete_source=True)
    assert (placed.held(None), placed.held(A)) == (set(), set())
    migrate(placed.store, "red", None, delete_source=True)
    assert placed.held(B) == set()
    assert [placed.read(f"data:v{index}") for index in range(3)] == ["own", "a", "b"]
    assert placed.store.kept(placed.project("red").team_id).needed == (None,)
    whole(placed)


def test_what_can_be_restored_and_parts_that_wait_come_along(placed: Placed) -> None:
    placed.log("red", "one")
    found = placed.find("data:v0")
    delete(placed, "data:v0")
    project = placed.project("red")
    with Staging(placed.store) as staging:
        drafts.keep_part(placed.store, project, "parts", "d", [staging.add_bytes("shared.txt", b"shared")])
    migrate(placed.store, "red", A, delete_source=True)
    assert placed.held(None) == set()
    lifecycle.restore(placed.store, found)
    assert placed.read("data:v0") == "one"
    with Staging(placed.store) as staging:
        last = [staging.add_bytes("text.txt", b"last")]
        drafts.log_finished(placed.store, project, "parts", "d", last, lambda written: placed.draft("parts", written))
    assert placed.read("parts:v0") == "last"


def test_versions_that_are_logged_meanwhile_come_along(placed: Placed, monkeypatch: pytest.MonkeyPatch) -> None:
    placed.log("red", "one")
    arrive, late = storage_migration._arrive, iter(["two", "three"])  # noqa: SLF001 (the moment before the last look)

    def arriving(*arguments: Any) -> bool:
        for text in late:
            placed.log("red", text)
            break
        return arrive(*arguments)

    monkeypatch.setattr(storage_migration, "_arrive", arriving)
    done = migrate(placed.store, "red", A, delete_source=True)
    assert done.versions == 3
    assert placed.held(None) == set()
    assert [placed.read(f"data:v{index}") for index in range(3)] == ["one", "two", "three"]


def test_a_lease_that_ended_meanwhile_makes_everything_be_verified_again(
    placed: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed.log("red", "one")
    arrive, ends = storage_migration._arrive, iter([True])  # noqa: SLF001

    def arriving(*arguments: Any) -> bool:
        for _ in ends:
            leases.release(placed.store, arguments[3])
            list(placed.at(A).delete_many(placed.held(A)))  # as a collection would that found no lease
        return arrive(*arguments)

    monkeypatch.setattr(storage_migration, "_arrive", arriving)
    migrate(placed.store, "red", A)
    assert placed.held(A) == placed.needed("data:v0")


def test_collecting_beside_it_deletes_nothing_that_is_carried(placed: Placed, monkeypatch: pytest.MonkeyPatch) -> None:
    placed.move("blue", A)
    placed.log("red", "one")
    arrive = storage_migration._arrive  # noqa: SLF001

    def arriving(*arguments: Any) -> bool:
        collect.act(placed.store)
        return arrive(*arguments)

    monkeypatch.setattr(storage_migration, "_arrive", arriving)
    migrate(placed.store, "red", A)
    collect.act(placed.store)
    assert placed.held(A) == placed.needed("data:v0")


def test_what_is_condemned_in_the_new_place_is_rescued(placed: Placed) -> None:
    placed.move("blue", A)
    placed.log("red", "one")
    for digest in placed.needed("data:v0"):
        assert next(iter(placed.at(A).put_many([content_of(placed, digest)]))).error is None
    marks = [mark(placed.store.places.key(A), digest) for digest in sorted(placed.held(A))]
    epoch = condemning.condemn(placed.store, marks)  # one half of a collection
    migrate(placed.store, "red", A)
    assert condemning.begin_deleting(placed.store, marks, epoch) == []  # the other half


def content_of(placed: Placed, digest: Digest) -> BlobSource:
    content = placed.at(None).get(digest)
    return BlobSource(digest, len(content), content)


# --- what it does not believe ----------------------------------------------------------------------------------------


def test_a_blob_that_is_wrong_in_the_new_place_is_put_again(placed: Placed) -> None:
    placed.log("red", "one")
    migrate(placed.store, "red", A)
    placed.move("red", None)
    placed.log("red", "two")
    for digest in placed.needed("data:v0"):
        damage(placed, A, digest)
    placed.at(None)
    migrate(placed.store, "red", None)
    done = migrate(placed.store, "red", A)
    assert done.copied == len(placed.held(A))
    assert placed.read("data:v0") == "one"
    whole(placed)


def test_a_blob_that_is_wrong_in_the_old_place_stops_it(placed: Placed) -> None:
    placed.log("red", "one")
    for digest in placed.needed("data:v0"):
        if placed.at(None).get(digest) == b"one":
            damage(placed, None, digest)
    with pytest.raises(CorruptError, match="is damaged — run fsck"):
        migrate(placed.store, "red", A)
    assert placed.events() == []


def test_a_blob_that_is_missing_stops_it(placed: Placed) -> None:
    placed.log("red", "one")
    lost = next(digest for digest in placed.needed("data:v0") if placed.at(None).get(digest) == b"one")
    list(placed.at(None).delete_many([lost]))
    with pytest.raises(CorruptError, match=f"blob {lost} is in no place of the team"):
        migrate(placed.store, "red", A)
    manifest = Digest(placed.find("data:v0").version.manifest or "")
    list(placed.at(None).delete_many([manifest]))
    with pytest.raises(StorageError, match="the manifest of red/p/data:v0 cannot be read — run `muniment fsck`"):
        migrate(placed.store, "red", A)
    assert placed.events() == []


@define
class Lying:
    """A place that says that it has kept what it has not."""

    inner: Any

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        for each in blobs:
            if each.content == b"one":
                yield BlobResult(each.digest)
            else:
                yield from self.inner.put_many([each])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_place_that_does_not_keep_what_it_said_is_not_believed(placed: Placed) -> None:
    placed.log("red", "one")
    placed.store.places.opening.held[A] = Lying(placed.at(A))  # type: ignore[attr-defined]
    placed.store.places._opened.clear()  # noqa: SLF001
    with pytest.raises(CorruptError, match=f"is not in {A} as it was put there"):
        migrate(placed.store, "red", A)
    assert placed.events() == []
    assert placed.read("data:v0") == "one"


def test_who_may(placed: Placed) -> None:
    directory.set_team_role(placed.store, "red", "ann", Role.ADMIN)
    ann = as_login(placed.store, "ann")
    migrate(ann, "red", A)
    with pytest.raises(PermissionDeniedError):
        migrate(ann, "blue", A)
    with pytest.raises(PermissionDeniedError, match="collect"):
        migrate(ann, "red", B, delete_source=True)
    with pytest.raises(PermissionDeniedError, match="collect"):
        migrate_own(ann, C)
    assert placed.events() == [StorageSet(A), StorageGathered()]


def test_a_plan_makes_nothing(placed: Placed, tmp_path: Path) -> None:
    placed.log("red", "one")
    seq = placed.store.ledger.head().size
    assert plan(placed.store, "red", str(tmp_path / "nowhere")).missing == len(placed.held(None))
    assert plan(placed.store, None, C).missing == len(placed.held(None))
    assert not (tmp_path / "nowhere").exists()
    assert placed.held(C) == set()
    assert placed.store.ledger.head().size == seq


# --- the whole store -------------------------------------------------------------------------------------------------


def test_the_stores_own_place_is_copied_with_all_that_lies_there(placed: Placed) -> None:
    placed.log("red", "own")
    placed.log("blue", "own too")
    placed.move("red", A)
    placed.log("red", "a")
    own = placed.held(None)
    done = migrate_own(placed.store, C)
    assert placed.held(C) == own
    assert done.copied == len(own)
    moved = Placed(evolve(placed.store, blobs=placed.at(C), places=evolve(placed.store.places, own=C)), placed.folder)
    assert [moved.read(f"red/p/data:v{index}") for index in range(2)] == ["own", "a"]
    assert moved.read("blue/p/data:v0") == "own too"
    whole(moved)
    assert migrate_own(placed.store, C).copied == 0
    with pytest.raises(InvalidValueError, match="is the store's own place already"):
        migrate_own(placed.store, placed.store.places.own)


def test_folders_are_carried_to_and_fro(placed: Placed, tmp_path: Path) -> None:
    config = load({"MUNIMENT_HOME": str(tmp_path / "home")})
    places = Places(
        str(tmp_path / "own"), lambda url: open_blobs(evolve(config, values={**config.values, "blobs": url}))
    )
    there = Placed(evolve(placed.store, places=places, blobs=places.opening(places.own)), tmp_path)
    for number in range(40):
        there.log("red", f"{number}" * 100)
    with Staging(there.store) as staging:
        large = [staging.add_bytes("shared.txt", b"shared"), staging.add_bytes("text.txt", b"large" * 100_000)]
        storage_migration_log(there, large)
    before = {text: there.read(text) for text in ("data:v0", "data:v39", "data:v40")}
    own = there.held(None)
    bar = Bar()
    migrate(there.store, "red", str(tmp_path / "a"), delete_source=True, progress=bar)
    assert there.held(str(tmp_path / "a")) == own
    assert there.held(None) == set()
    assert bar._files == bar._all_files == len(own)  # noqa: SLF001 (what it was told)
    migrate(there.store, "red", None, delete_source=True)
    assert there.held(None) == own
    assert {text: there.read(text) for text in before} == before
    whole(there)
    assert list(there.store.staging.glob("*/*")) == []


def storage_migration_log(placed: Placed, staged: Any) -> None:
    from muniment.app.upload import log_contents  # noqa: PLC0415 (used here alone)

    log_contents(placed.store, placed.project("red"), staged, lambda written: placed.draft("data", written))
