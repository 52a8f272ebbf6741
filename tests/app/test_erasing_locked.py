"""Erasing where a bucket keeps versions, locks, refuses, or is slow: nothing stays without being told, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from attrs import evolve, frozen

from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.adapters.blobs.s3 import S3ObjectStore
from muniment.app import clock, directory, fsck
from muniment.app.collecting import collect
from muniment.app.erasing import certificate, checking, data_subjects, requests
from muniment.app.erasing.executing import Eraser
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import StorageError
from muniment.domain.rows import DisposalRow, RequestRow, ResidualRow
from muniment.domain.values import Digest, Role
from tests.app.scene import Scene
from tests.app.test_erasing import FILES, ann, approved, paths
from tests.servers import seaweedfs
from tests.servers.seaweedfs import S3Server
from tests.stores import Clock, memory_store
from tests.wire import Wire

ANN = Digest(sha256(b"about ann").hexdigest())
XRAY = Digest(sha256(b"x-ray of ann").hexdigest())


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with pytest.MonkeyPatch.context() as patch:
        yield seaweedfs.entered(patch)


@frozen
class Bucket:
    """A scene whose blobs lie in a bucket, each as an object of its own."""

    server: S3Server
    name: str
    wire: Wire
    scene: Scene
    prefix: str = "team"

    def key(self, digest: Digest) -> str:
        return f"{self.prefix}/sha256/{digest[:2]}/{digest}"

    def kept(self, prefix: str | None = None) -> set[str]:
        """Return the names of all that the bucket keeps, versions and delete markers too."""
        page = self.server.client.list_object_versions(Bucket=self.name, Prefix=f"{prefix or self.prefix}/")
        return {each["Key"].rpartition("/")[2] for kind in ("Versions", "DeleteMarkers") for each in page.get(kind, [])}

    def erase(self, request_id: str) -> RequestRow:
        """Erase, verify and certify."""
        row = Eraser(self.scene.store, request_id).execute()
        if row.stage == "executed":
            assert checking.verify(self.scene.store, request_id).findings == ()
        return certificate.issue(self.scene.store, request_id)

    def told(self, request_id: str) -> dict[str, Any]:
        return certificate.read(self.scene.store, request_id).told


Making: TypeAlias = Callable[..., Bucket]


@pytest.fixture
def making(server: S3Server, tmp_path: Path) -> Making:
    """Return what makes a store in a bucket: with an entry about Ann, and a version that is about her as a whole."""

    def make(name: str, prefix: str = "team") -> Bucket:
        wire, folder = Wire(server.client), tmp_path / prefix
        folder.mkdir()
        store = memory_store(folder)
        assert isinstance(store.clock, Clock)
        objects = S3ObjectStore.at(f"s3://{name}/{prefix}", client=wire.s3())
        blobs = PackedBlobStore(objects, PackIndex(folder / "index.sqlite3"), folder / "spool", few=1_000)
        scene = Scene(evolve(store, blobs=blobs), store.clock)
        directory.set_organisation_role(scene.store, "local", "ben", Role.ADMIN)
        people = scene.log("people", FILES).version_id
        scan = scene.log("scan", "x-ray of ann").version_id
        data_subjects.attach_entries(scene.store, ann(scene), people, ["ann.txt"])
        data_subjects.attach(scene.store, ann(scene), TargetKind.VERSION, scan)
        return Bucket(server, name, wire, scene, prefix)

    return make


def lock(bucket: Bucket, digest: Digest, mode: str) -> datetime:
    """Lock a blob for a day."""
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)  # noqa: TID251 (the server's clock decides)
    bucket.server.client.put_object_retention(
        Bucket=bucket.name, Key=bucket.key(digest), Retention={"Mode": mode, "RetainUntilDate": until}
    )
    return until


def residuals(bucket: Bucket) -> list[ResidualRow]:
    return bucket.scene.views.select(ResidualRow, order="found_at")


# --- versions and delete markers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_every_version_and_marker_goes_and_others_stay(server: S3Server, making: Making, status: str) -> None:
    name = server.bucket(versioned=True)
    bucket = making(name)
    before = bucket.kept()
    server.client.put_object(Bucket=name, Key=bucket.key(ANN), Body=b"about ann")  # a second version
    server.client.delete_object(Bucket=name, Key=bucket.key(XRAY))  # only a marker is seen
    server.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": status})
    request_id = approved(bucket.scene)
    row = bucket.erase(request_id)
    assert (row.stage, row.found, row.erased, row.residual) == ("certified", 2, 2, 0)
    after = bucket.kept()
    assert {ANN, XRAY}.isdisjoint(after)
    assert before - after > {ANN, XRAY}, "the manifests went too"
    disposed = bucket.scene.views.select(DisposalRow, request_id=request_id, order="at")
    assert sum(each.blobs for each in disposed) == len(before - after)
    assert all("versions" in each.verified_by for each in disposed)
    assert paths(bucket.scene, "people:v0") == ["bob.txt", "both.txt"]
    assert list(fsck.check(bucket.scene.store)) == []


def test_a_store_whose_prefix_goes_on_differently_keeps_the_same_bytes(server: S3Server, making: Making) -> None:
    name = server.bucket(versioned=True)
    ours, others = making(name, "aa"), making(name, "aab")
    kept = others.kept()
    ours.erase(approved(ours.scene))
    assert {ANN, XRAY}.isdisjoint(ours.kept())
    assert others.kept() == kept > {ANN, XRAY}
    assert list(fsck.check(others.scene.store)) == []


# --- locks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE", "legal-hold"])
def test_what_a_lock_keeps_is_residual_with_its_end_until_it_can_go(
    server: S3Server, making: Making, mode: str
) -> None:
    bucket = making(server.bucket(locked=True))
    until = None if mode == "legal-hold" else lock(bucket, ANN, mode)
    if until is None:
        holding(bucket, "ON")
    request_id = approved(bucket.scene)
    row = bucket.erase(request_id)
    assert (row.stage, row.found, row.erased, row.residual) == ("certified", 2, 1, 1)
    (left,) = residuals(bucket)
    ends_at = None if until is None else round(until.timestamp() * 1_000_000)
    why = "legal-hold" if until is None else "lock"
    assert (left.state, left.why, left.copies, left.ends_at) == ("left", why, 1, ends_at)
    (told,) = bucket.told(request_id)["residuals"]
    assert told["residual"] == left.residual_id
    assert told["ends_at"] == (None if ends_at is None else clock.to_text(ends_at))
    assert "1 copies" in told["why"]
    assert bucket.kept() > {ANN}
    assert XRAY not in bucket.kept()
    assert bucket.erase(request_id).certificate_id == row.certificate_id, (
        "as long as it is locked, nothing is said anew"
    )
    assert len(residuals(bucket)) == 1
    if mode == "COMPLIANCE":
        return  # nobody shortens that
    lift(bucket, ANN, mode)
    again = bucket.erase(request_id)
    assert (again.stage, again.erased, again.residual) == ("certified", 2, 0)
    assert again.certificate_id != row.certificate_id
    assert bucket.told(request_id)["residuals"] == []
    assert [each.state for each in residuals(bucket)] == ["gone"]
    assert ANN not in bucket.kept()
    assert str(ANN) not in "".join(map(str, bucket.scene.since(0))), "what named the copies is redacted"
    assert bucket.scene.store.ledger.scratch.items("erasing") == []
    assert list(fsck.check(bucket.scene.store)) == []


def holding(bucket: Bucket, status: str) -> None:
    bucket.server.client.put_object_legal_hold(Bucket=bucket.name, Key=bucket.key(ANN), LegalHold={"Status": status})


def lift(bucket: Bucket, digest: Digest, mode: str) -> None:
    """Let the lock of a blob end, as whoever owns the bucket may."""
    if mode == "legal-hold":
        holding(bucket, "OFF")
        return
    page = bucket.server.client.list_object_versions(Bucket=bucket.name, Prefix=bucket.key(digest))
    for each in page["Versions"]:
        bucket.server.client.delete_object(
            Bucket=bucket.name, Key=each["Key"], VersionId=each["VersionId"], BypassGovernanceRetention=True
        )


def test_a_collection_that_takes_what_was_locked_lets_the_request_be_completed(
    server: S3Server, making: Making
) -> None:
    bucket = making(server.bucket(locked=True))
    holding(bucket, "ON")
    request_id = approved(bucket.scene)
    assert bucket.erase(request_id).residual == 1
    holding(bucket, "OFF")
    assert collect.act(bucket.scene.store).ended == 1
    assert bucket.erase(request_id).residual == 0


# --- refusals --------------------------------------------------------------------------------------------------------


def refusing(bucket: Bucket, refused: Digest) -> None:
    """Let the server deny that one object be deleted, and no other."""
    real = bucket.wire.client

    class Denying:
        def __getattr__(self, operation: str) -> Any:
            return getattr(real, operation)

        def delete_objects(self, **arguments: Any) -> dict[str, Any]:
            asked = arguments["Delete"]["Objects"]
            allowed = [each for each in asked if not each["Key"].endswith(refused)]
            answer = real.delete_objects(Bucket=arguments["Bucket"], Delete={"Objects": allowed}) if allowed else {}
            errors = [{**each, "Code": "AccessDenied"} for each in asked if each not in allowed]
            return {**answer, "Errors": [*answer.get("Errors", []), *errors]}

    bucket.wire.client = Denying()


def test_one_refused_object_is_named_and_the_others_go(server: S3Server, making: Making) -> None:
    bucket = making(server.bucket(versioned=True))
    real = bucket.wire.client
    refusing(bucket, ANN)
    request_id = approved(bucket.scene)
    with pytest.raises(StorageError, match=f"not all could be deleted.*{ANN}.*AccessDenied.*{request_id}"):
        Eraser(bucket.scene.store, request_id).execute()
    assert ANN in bucket.kept()
    assert XRAY not in bucket.kept()
    assert paths(bucket.scene, "people:v0") == ["bob.txt", "both.txt"]
    assert bucket.scene.store.vault.find(data_subjects.TERM, "ann") is None
    assert requests.request(bucket.scene.views, request_id).stage == "fenced"
    assert residuals(bucket) == [], "it is no lock that ends by itself"
    bucket.wire.client = real
    row = bucket.erase(request_id)
    assert (row.stage, row.erased, row.residual) == ("certified", 2, 0)
    assert ANN not in bucket.kept()
    assert list(fsck.check(bucket.scene.store)) == []


def test_a_server_that_asks_for_fewer_requests_is_asked_again(server: S3Server, making: Making) -> None:
    bucket = making(server.bucket(versioned=True))
    request_id = approved(bucket.scene)
    bucket.wire.every_other("throttled")
    row = bucket.erase(request_id)
    bucket.wire.heal()
    assert (row.erased, row.residual) == (2, 0)
    assert {ANN, XRAY}.isdisjoint(bucket.kept())
