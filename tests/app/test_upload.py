"""What was staged comes into the store under a lease, and becomes visible only when its version is logged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import evolve, frozen

from muniment.app import bootstrap, catalog, config, directory, leases, manifests, names
from muniment.app.catalog import Found
from muniment.app.collecting import collect, condemning
from muniment.app.files.download import manifest_of
from muniment.app.files.staging import POLICIES, Staged, Staging
from muniment.app.log_artifact import Draft, Logged
from muniment.app.manifests import Removed, Written
from muniment.app.store import Store
from muniment.app.upload import log_contents, rescue, upload
from muniment.domain.errors import CorruptError, InvalidNameError, LeaseExpiredError, NotFoundError, StorageError
from muniment.domain.manifest import Entry
from muniment.domain.ports import BlobResult, BlobSource, BlobStore, Transaction
from muniment.domain.rows import ProjectRow
from muniment.domain.values import Digest, Json
from tests.told import Told


@pytest.fixture
def store() -> Store:
    return bootstrap.open_store(config.load())


@pytest.fixture
def project(store: Store) -> ProjectRow:
    return directory.project(store.views, "local", "uncategorized")


@pytest.fixture
def staging(store: Store) -> Iterator[Staging]:
    with Staging(store) as staging:
        yield staging


def named(name: str) -> Callable[[Written], Draft]:
    return lambda written: Draft(name, "data", written.digest, written.manifest, written.size, written.entries)


def found(store: Store, text: str) -> Found:
    address = names.parse(text, entity="local", project="uncategorized", organisation="local")
    return catalog.find(store.views, address)


def hexed(content: bytes) -> Digest:
    return Digest(sha256(content).hexdigest())


def condemn(store: Store, *digests: str, state: str = "condemned") -> None:
    def act(transaction: Transaction) -> None:
        for digest in digests:
            transaction.scratch.put(condemning.CONDEMNED, digest, {"state": state})

    store.ledger.work(act)


def condemned(store: Store) -> dict[str, Json]:
    return dict(store.ledger.scratch.items(condemning.CONDEMNED))


def forget(store: Store, kind: str) -> None:
    def act(transaction: Transaction) -> None:
        for key, _ in transaction.scratch.items(kind):
            transaction.scratch.delete(kind, key)

    store.ledger.work(act)


def read(store: Store, version: Logged) -> dict[str, bytes]:
    manifest = manifest_of(store, catalog.origin(store.views, version.version_id))
    return {entry.path: store.blobs.get(Digest(entry.digest)) for entry in manifest.entries()}


# --- logging ---------------------------------------------------------------------------------------------------------


def test_what_was_staged_becomes_a_version_and_the_same_again_makes_none(
    store: Store, project: ProjectRow, staging: Staging
) -> None:
    content = {"b": b"two", "a/x": b"one", "c": b"two"}
    staged = [staging.add_bytes(path, bytes_) for path, bytes_ in content.items()]
    first = log_contents(store, project, staged, named("set"))
    assert (first.index, first.created) == (0, True)
    assert read(store, first) == content
    again = log_contents(
        store, project, [staging.add_bytes(path, bytes_) for path, bytes_ in content.items()], named("set")
    )
    assert again == evolve(first, created=False)
    assert found(store, "set:latest").version.size == 9
    assert store.ledger.scratch.items(leases.LEASE) == []


def test_a_version_may_hold_nothing(store: Store, project: ProjectRow) -> None:
    assert read(store, log_contents(store, project, [], named("empty"))) == {}


def test_many_small_and_one_large_file_arrive(
    store: Store, project: ProjectRow, staging: Staging, tmp_path: Path
) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}").write_bytes(b"%d" % number)
    (tmp_path / "large").write_bytes(bytes(3 << 20))
    files = [(path, path.name) for path in sorted(tmp_path.iterdir()) if path.is_file()]
    for policy in POLICIES:
        version = log_contents(
            store,
            project,
            staging.add_files(files, policy=policy),
            named(policy),
        )
        assert read(store, version) == {name: local.read_bytes() for local, name in files}


def test_an_immutable_file_that_changed_all_the_same_is_refused(
    store: Store, project: ProjectRow, staging: Staging, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("before")
    staged = staging.add_files([(tmp_path / "x", "x")], policy="immutable")
    (tmp_path / "x").write_text("after!")
    with pytest.raises(CorruptError, match="the file changed"):
        log_contents(store, project, staged, named("set"))
    with pytest.raises(NotFoundError):
        found(store, "set:latest")


def test_a_file_that_went_before_it_was_uploaded_is_an_error(
    store: Store, project: ProjectRow, staging: Staging, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("x")
    staged = staging.add_files([(tmp_path / "x", "x")], policy="immutable")
    (tmp_path / "x").unlink()
    with pytest.raises(StorageError):
        log_contents(store, project, staged, named("set"))
    assert store.ledger.scratch.items(leases.LEASE) == []


def test_a_failure_on_the_way_leaves_neither_version_nor_lease(
    store: Store, project: ProjectRow, staging: Staging
) -> None:
    def fail(_: Written) -> Draft:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log_contents(store, project, [staging.add_bytes("x", b"x")], fail)
    assert store.ledger.scratch.items(leases.LEASE) == []
    with pytest.raises(NotFoundError):
        found(store, "set:latest")


def test_paths_that_clash_are_refused_before_any_content_moves(
    store: Store, project: ProjectRow, staging: Staging
) -> None:
    with pytest.raises(InvalidNameError, match="'a' is a file and the folder of 'a/b'"):
        log_contents(store, project, [staging.add_bytes("a", b"1"), staging.add_bytes("a/b", b"2")], named("set"))
    with pytest.raises(InvalidNameError, match="comes twice"):
        log_contents(store, project, [staging.add_bytes("a", b"1"), staging.add_bytes("a", b"2")], named("set"))
    assert list(store.blobs.list()) == []


def test_an_entry_whose_bytes_are_nowhere_is_refused_by_name(store: Store, project: ProjectRow) -> None:
    with pytest.raises(CorruptError, match="'lost/x'"):
        log_contents(store, project, [Staged(Entry("lost/x", hexed(b"lost"), 4))], named("set"))


def test_references_need_no_bytes(store: Store, project: ProjectRow) -> None:
    entry = Entry("x", "some-etag", None, "s3://bucket/x")
    logged = log_contents(store, project, [Staged(entry)], named("set"))
    assert list(manifest_of(store, catalog.origin(store.views, logged.version_id)).entries()) == [entry]


def test_progress_adds_up_to_all_bytes(store: Store, project: ProjectRow, staging: Staging) -> None:
    told = Told()
    staged = [staging.add_bytes("a", b"12345"), staging.add_bytes("b", b"123"), staging.add_bytes("c", b"123")]
    log_contents(store, project, staged, named("one"), progress=told)
    assert told.expected == told.heard == {"uploading": (3, 11)}
    told = Told()
    log_contents(store, project, [staging.add_bytes("c", b"123")], named("two"), progress=told)
    assert told.expected == told.heard == {"uploading": (1, 3)}


# --- onto another version --------------------------------------------------------------------------------------------


def test_changes_are_made_to_the_base(store: Store, project: ProjectRow, staging: Staging) -> None:
    first = [staging.add_bytes(path, path.encode()) for path in ("a", "b", "c")]
    log_contents(store, project, first, named("set"))
    base = manifest_of(store, found(store, "set:v0"))
    changes: list[Staged | Removed] = [staging.add_bytes("b", b"new"), Removed("c"), staging.add_bytes("d", b"d")]
    second = log_contents(store, project, changes, named("set"), base=base, incremental=True)
    assert (second.index, read(store, second)) == (1, {"a": b"a", "b": b"new", "d": b"d"})


def test_without_incremental_the_base_only_lends_what_it_knows(
    store: Store, project: ProjectRow, staging: Staging
) -> None:
    born = evolve(staging.add_bytes("a", b"a").entry, annex={"birth": "v0"})
    log_contents(store, project, [evolve(staging.add_bytes("a", b"a"), entry=born)], named("set"))
    base = manifest_of(store, found(store, "set:v0"))
    second = log_contents(
        store, project, [staging.add_bytes("a", b"a"), staging.add_bytes("b", b"b")], named("set"), base=base
    )
    entries = {entry.path: entry.annex for entry in manifest_of(store, found(store, "set:v1")).entries()}
    assert second.index == 1
    assert entries == {"a": {"birth": "v0"}, "b": {}}


def test_a_base_whose_bytes_are_gone_is_noticed(store: Store, project: ProjectRow, staging: Staging) -> None:
    log_contents(store, project, [staging.add_bytes("a", b"a")], named("set"))
    base = manifest_of(store, found(store, "set:v0"))
    assert [result.done for result in store.blobs.delete_many([hexed(b"a")])] == [True]
    with pytest.raises(CorruptError, match="'a'"):
        log_contents(store, project, [staging.add_bytes("b", b"b")], named("set"), base=base, incremental=True)


# --- beside a collection ---------------------------------------------------------------------------------------------


def test_condemned_blobs_that_are_wanted_again_are_rescued(store: Store, project: ProjectRow, staging: Staging) -> None:
    log_contents(store, project, [staging.add_bytes("a", b"a")], named("one"))
    blobs = [digest for digest, _ in store.blobs.list()]
    condemn(store, *blobs, hexed(b"unwanted"))
    log_contents(store, project, [staging.add_bytes("a", b"a")], named("two"))
    assert list(condemned(store)) == [hexed(b"unwanted")]


def test_blobs_that_are_being_deleted_are_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    condemn(store, hexed(b"a"), state="deleting")
    condemn(store, hexed(b"b"))
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            forget(store, condemning.CONDEMNED)

    monkeypatch.setattr(time, "sleep", pause)
    with store.ledger.alone():  # who deletes them
        assert rescue(store, {hexed(b"a"), hexed(b"b"), hexed(b"c")}) == {hexed(b"a")}
    assert pauses == [0.01, 0.02, 0.04]


def test_blobs_whose_deleter_has_died_are_waited_for_no_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    condemn(store, hexed(b"a"), state="deleting")
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert rescue(store, {hexed(b"a")}) == {hexed(b"a")}
    assert pauses == [0.01]
    assert condemned(store) == {}


def test_what_is_there_of_a_manifest_is_rescued_before_anybody_counts_on_it(
    store: Store, project: ProjectRow, staging: Staging
) -> None:
    log_contents(store, project, [staging.add_bytes("a", b"a")], named("one"))
    blobs = [digest for digest, _ in store.blobs.list()]
    condemn(store, *blobs)

    @frozen
    class Looked:
        """Blobs, of which those that are found there must not be condemned at that moment."""

        inner: BlobStore

        def put_many(self, sources: Iterable[BlobSource]) -> Iterator[BlobResult]:
            for result in self.inner.put_many(sources):
                assert result.done or result.digest not in condemned(store)
                yield result

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    looked = cast("BlobStore", Looked(store.blobs))
    log_contents(evolve(store, blobs=looked), project, [staging.add_bytes("a", b"a")], named("two"))
    assert condemned(store) == {}


def test_parts_of_a_manifest_that_were_deleted_are_written_again(
    store: Store, project: ProjectRow, staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_contents(store, project, [staging.add_bytes("a", b"a")], named("one"))
    dying = [digest for digest, _ in store.blobs.list()]
    condemn(store, *dying, state="deleting")

    def collected(_: float) -> None:
        assert all(result.error is None for result in store.blobs.delete_many(dying))
        forget(store, condemning.CONDEMNED)

    monkeypatch.setattr(time, "sleep", collected)
    with store.ledger.alone():  # who deletes them
        logged = log_contents(store, project, [staging.add_bytes("a", b"a")], named("two"))
    assert read(store, logged) == {"a": b"a"}


def test_what_is_uploaded_survives_a_collection_that_begins_meanwhile(
    store: Store, project: ProjectRow, staging: Staging
) -> None:
    staged = [staging.add_bytes("a", b"a")]

    logged = log_contents(store, project, staged, named("set"), progress=Told(lambda: collect.act(store)))
    collect.act(store)
    assert read(store, logged) == {"a": b"a"}


# --- leases ----------------------------------------------------------------------------------------------------------


def test_a_lease_is_renewed_when_half_of_it_has_passed(store: Store, staging: Staging) -> None:
    staged = [staging.add_bytes("x", b"x")]
    times = iter(range(0, 10 * leases.LASTING, leases.LASTING // 2))
    slow = evolve(store, clock=lambda: next(times))
    lease = leases.take(store)
    upload(slow, lease, staged)
    leases.release(store, lease)
    upload(store, lease, staged)  # quick enough not to notice that the lease is gone; logging would
    with pytest.raises(LeaseExpiredError):
        upload(slow, lease, staged)


def test_an_upload_that_outlived_its_lease_is_done_once_more(
    store: Store, project: ProjectRow, staging: Staging
) -> None:
    kinds = [leases.LEASE]

    def expire_first() -> None:
        if kinds:
            forget(store, kinds.pop())

    told = Told(expire_first)
    logged = log_contents(store, project, [staging.add_bytes("x", b"x")], named("set"), progress=told)
    assert (logged.index, read(store, logged)) == (0, {"x": b"x"})
    assert store.ledger.scratch.items(leases.LEASE) == []


def test_an_upload_that_always_outlives_its_lease_gives_up(store: Store, project: ProjectRow, staging: Staging) -> None:
    with pytest.raises(LeaseExpiredError):
        log_contents(
            store,
            project,
            [staging.add_bytes("x", b"x")],
            named("set"),
            progress=Told(lambda: forget(store, leases.LEASE)),
        )
    with pytest.raises(NotFoundError):
        found(store, "set:latest")


def test_an_upload_alone_makes_nothing_visible(store: Store, staging: Staging) -> None:
    size = store.ledger.head().size
    lease = leases.take(store)
    written = upload(store, lease, [staging.add_bytes("x", b"x")])
    assert store.ledger.head().size == size
    assert [entry.path for entry in manifests.read(store.blobs, store.codec, written.manifest).entries()] == ["x"]
