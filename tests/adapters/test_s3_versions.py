"""Buckets that keep versions, buckets that lock them, and servers that can do less than was hoped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from muniment.adapters.blobs.s3 import S3ObjectStore
from muniment.domain.errors import CorruptError, StillThereError, StorageError
from muniment.domain.evidence import Check, CopyKind
from muniment.domain.ports import ObjectResult, ObjectSource
from tests.conformance.object_store import put
from tests.servers import seaweedfs
from tests.servers.seaweedfs import S3Server
from tests.wire import Fault, Wire

PREFIX = "team"
KEY = f"{PREFIX}/packs/a"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with pytest.MonkeyPatch.context() as patch:
        yield seaweedfs.entered(patch)


@pytest.fixture
def wire(server: S3Server) -> Wire:
    return Wire(server.client)


def at(bucket: str, wire: Wire) -> S3ObjectStore:
    return S3ObjectStore.at(f"s3://{bucket}/{PREFIX}", client=wire.s3())


def kept(server: S3Server, bucket: str) -> list[tuple[str, str]]:
    """Return the keys and version ids of whatever there is, delete markers too, apart from our marker."""
    page = server.client.list_object_versions(Bucket=bucket)
    there = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [(each["Key"], each["VersionId"]) for each in there if not each["Key"].endswith(".muniment")]


def test_every_version_and_marker_of_exactly_this_object_goes(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket()
    store = at(bucket, wire)
    server.client.put_object(Bucket=bucket, Key=KEY, Body=b"before versions were kept")
    for status in ("Enabled", "Suspended", "Enabled"):
        server.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        for content in (b"first", b"second"):
            server.client.put_object(Bucket=bucket, Key=KEY, Body=content)
        if status == "Enabled":  # the marker of a suspended bucket is one that this server cannot delete
            server.client.delete_object(Bucket=bucket, Key=KEY)
    server.client.put_object(Bucket=bucket, Key=KEY, Body=b"last")
    put(store, {"packs/ab": b"kept"})
    ids = [version for key, version in kept(server, bucket) if key == KEY]
    assert len(ids) >= 6
    assert "null" in ids
    assert list(store.delete_many(["packs/a"])) == [ObjectResult("packs/a")]
    assert [key for key, _ in kept(server, bucket)] == [f"{KEY}b"]


def test_what_stays_although_the_server_says_otherwise_is_said(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket(versioned=True)
    store = at(bucket, wire)
    put(store, {"packs/a": b"x"})
    server.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    server.client.delete_object(Bucket=bucket, Key=KEY)  # leaves a marker that this server cannot delete
    (result,) = store.delete_many(["packs/a"])
    assert "is listed again after S3 said that it was deleted" in str(result.error)
    assert kept(server, bucket) == [(KEY, "null")]


def test_what_lies_behind_a_delete_marker_goes_too(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket(versioned=True)
    store = at(bucket, wire)
    put(store, {"packs/a": b"secret"})
    server.client.delete_object(Bucket=bucket, Key=KEY)
    assert store.sizes(["packs/a"]) == {}
    assert list(store.delete_many(["packs/a"])) == [ObjectResult("packs/a")]
    assert kept(server, bucket) == []


@pytest.mark.parametrize("others", [0, 80], ids=["asked-one-by-one", "listed"])
def test_all_that_a_bucket_keeps_of_a_name_is_seen(server: S3Server, wire: Wire, others: int) -> None:
    bucket = server.bucket(versioned=True)
    store = at(bucket, wire)
    put(store, {f"packs/{number:03}": b"other" for number in range(5)})
    for content in (b"first", b"second"):
        server.client.put_object(Bucket=bucket, Key=KEY, Body=content)
    server.client.put_object(Bucket=bucket, Key=f"{KEY}b", Body=b"another name")
    server.client.create_multipart_upload(Bucket=bucket, Key=KEY)
    names = ["packs/a", *(f"packs/x{number:03}" for number in range(others))]
    seen = store.copies(names, "packs/")
    assert {name: Counter(kinds) for name, kinds in seen.found.items()} == {
        "packs/a": Counter([CopyKind.OBJECT, CopyKind.VERSION, CopyKind.PART])
    }
    assert (seen.by, seen.hidden) == (Check.VERSIONS, frozenset())
    server.client.delete_object(Bucket=bucket, Key=KEY)
    seen = store.copies(["packs/a"], "packs/")
    assert Counter(seen.found["packs/a"])[CopyKind.MARKER] == 1
    assert store.copies((), "packs/").hidden == {"packs/a"}
    (result,) = store.delete_many(["packs/a"])
    assert (result.error, result.copies) == (None, 4)
    assert store.copies(["packs/a"], "packs/").found == {}
    assert store.copies((), "packs/").hidden == frozenset()


def test_many_versions_take_few_requests(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket()
    store = at(bucket, wire)
    names = [f"packs/{number:03}" for number in range(120)]
    put(store, dict.fromkeys(names, b"x"))
    wire.asked.clear()
    assert all(result.done for result in store.delete_many(names))
    assert wire.total <= 4  # versions? uploads? which are there? go
    assert list(store.list("")) == []


def locked(server: S3Server, bucket: str, **lock: Any) -> str:
    answer = server.client.put_object(Bucket=bucket, Key=KEY, Body=b"locked", **lock)
    return str(answer["VersionId"])


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_a_lock_is_kept_and_its_end_is_said(server: S3Server, wire: Wire, mode: str) -> None:
    bucket = server.bucket(locked=True)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)  # noqa: TID251 (the server's clock decides)
    server.client.put_object(Bucket=bucket, Key=KEY, Body=b"not locked")
    version = locked(server, bucket, ObjectLockMode=mode, ObjectLockRetainUntilDate=until)
    store = at(bucket, wire)
    put(store, {"packs/b": b"free"})
    held, free = store.delete_many(["packs/a", "packs/b"])
    assert free == ObjectResult("packs/b")
    assert isinstance(held.error, StillThereError)
    assert held.error.until == round(until.timestamp() * 1_000_000)
    assert f"{mode}) until {until:%Y-%m-%dT%H:%M:%SZ}" in str(held.error)
    assert not held.done
    assert kept(server, bucket) == [(KEY, version)]


def test_a_legal_hold_is_said_and_once_lifted_the_object_goes(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket(locked=True)
    version = locked(server, bucket, ObjectLockLegalHoldStatus="ON")
    store = at(bucket, wire)
    (held,) = store.delete_many(["packs/a"])
    assert isinstance(held.error, StillThereError)
    assert held.error.until is None
    assert "a legal hold is on it" in str(held.error)
    server.client.put_object_legal_hold(Bucket=bucket, Key=KEY, VersionId=version, LegalHold={"Status": "OFF"})
    assert list(store.delete_many(["packs/a"])) == [ObjectResult("packs/a")]
    assert kept(server, bucket) == []


def refuse(operation: str, arguments: dict[str, Any], code: str, status: int) -> None:
    said = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    del arguments
    raise ClientError(said, operation)


@pytest.mark.parametrize(("code", "status"), [("NotImplemented", 501), ("MethodNotAllowed", 405)])
def test_a_server_that_knows_no_versions_is_asked_for_none(
    server: S3Server, wire: Wire, code: str, status: int
) -> None:
    store = at(server.bucket(), wire)
    put(store, {"packs/a": b"x"})

    def fault(operation: str, arguments: dict[str, Any]) -> Fault | None:
        if "version" in operation:
            refuse(operation, arguments, code, status)
        return None

    wire.fault = fault
    assert list(store.delete_many(["packs/a"])) == [ObjectResult("packs/a")]


def test_who_may_not_know_whether_versions_are_kept_looks_for_them(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket(versioned=True)
    store = at(bucket, wire)
    put(store, {"packs/a": b"x"})

    def fault(operation: str, arguments: dict[str, Any]) -> Fault | None:
        if operation in denied:
            refuse(operation, arguments, "AccessDenied", 403)
        return None

    wire.fault = fault
    denied = {"get_bucket_versioning", "list_object_versions"}
    (result,) = store.delete_many(["packs/a"])
    assert isinstance(result.error, StorageError)
    assert "AccessDenied" in str(result.error)
    denied = {"get_bucket_versioning"}
    assert list(store.delete_many(["packs/a"])) == [ObjectResult("packs/a")]
    assert kept(server, bucket) == []


def test_each_key_that_the_server_fails_at_is_tried_again_or_said(server: S3Server, wire: Wire) -> None:
    store = at(server.bucket(), wire)
    put(store, {f"packs/{name}": b"x" for name in "abcd"})
    real, asked = wire.client, []

    class Moody:
        def __getattr__(self, operation: str) -> Any:
            return getattr(real, operation)

        def delete_objects(self, **arguments: Any) -> dict[str, Any]:
            asked.append([each["Key"] for each in arguments["Delete"]["Objects"]])
            keys = asked[-1]
            answer = real.delete_objects(
                Bucket=arguments["Bucket"], Delete={"Objects": [{"Key": key} for key in keys if key.endswith("a")]}
            )
            refused = {"b": "InternalError", "c": "AccessDenied"}
            errors = [{"Key": key, "Code": refused[key[-1]]} for key in keys if key[-1] in refused]
            return {**answer, "Errors": errors}  # of d nothing is said

    wire.client = Moody()
    results = {each.name[-1]: each for each in store.delete_many([f"packs/{name}" for name in "abcd"])}
    assert results["a"] == ObjectResult("packs/a")
    for name, said in (("b", "InternalError"), ("c", "AccessDenied"), ("d", "NoAnswer")):
        assert said in str(results[name].error)
    assert [len(keys) for keys in asked] == [4] + [1] * 7


def test_a_server_without_conditions_is_asked_first(server: S3Server, wire: Wire) -> None:
    wire.ignored = {"IfNoneMatch"}
    bucket = server.bucket(versioned=True)
    store = at(bucket, wire)
    assert not store.bucket.writing.creates
    assert put(store, {"packs/a": b"hello"}) == {"packs/a": True}
    assert put(store, {"packs/a": b"HELLO"}) == {"packs/a": False}
    assert put(store, {"packs/a": b"longer"}) == {"packs/a": True}
    assert store.read("packs/a", 0, 9) == b"longer"


def test_a_server_without_sha256_verifies_md5(server: S3Server, wire: Wire, tmp_path: Path) -> None:
    wire.ignored = {"ChecksumSHA256", "ChecksumAlgorithm"}
    file = tmp_path / "changing"
    file.write_bytes(b"before")
    store = at(server.bucket(), wire)
    assert not store.bucket.writing.verifies
    assert store.bucket.writing.creates

    def change(operation: str, arguments: dict[str, Any]) -> Fault | None:
        if operation == "put_object" and arguments["Key"] == KEY:
            file.write_bytes(b"after!")
        return None

    wire.fault = change
    (result,) = store.put_many([ObjectSource("packs/a", 6, path=str(file))])
    assert isinstance(result.error, CorruptError)
    assert list(store.list("")) == []


def test_what_a_server_can_do_is_found_out_once(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket()
    store = at(bucket, wire)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: put(store, {f"packs/{name}": b"x"}), range(30)))
    assert wire.asked == {"put_object": 33}
    second = Wire(server.client)
    put(at(bucket, second), {"packs/x": b"x"})
    assert second.asked == {"put_object": 3}
    assert [each.name for each in store.list("")] == sorted([f"packs/{name}" for name in range(30)] + ["packs/x"])


def test_asking_for_many_takes_few_requests(server: S3Server, wire: Wire) -> None:
    store = at(server.bucket(), wire)
    names = [f"sha256/{number % 16:02x}/{number:064x}" for number in range(400)]
    put(store, dict.fromkeys(names, b"x"))
    for wanted, most in ((names, 1), ([*names, "packs/a"], 1), (names[:200], 1), (names[:1], 1), ([], 0)):
        wire.asked.clear()
        assert store.sizes(wanted) == {name: 1 for name in wanted if name in names}
        assert wire.total <= most


@pytest.mark.parametrize("length", [1, 3, 7, 50])
def test_pages_of_any_length_give_the_same_sizes(
    server: S3Server, wire: Wire, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr("muniment.adapters.blobs.s3.looking.PAGE", length)
    bucket = server.bucket()
    store = at(bucket, wire)
    names = [f"sha256/{number % 4:02x}/{number:064x}" for number in range(60)]
    put(store, {name: b"x" * number for number, name in enumerate(names) if number % 3})
    for stranger in ("sha256/00~", "sha256/é", "packs/", f"{names[4][:-1]}/~~"):
        server.client.put_object(Bucket=bucket, Key=f"{PREFIX}/{stranger}", Body=b"")
    expected = {name: number for number, name in enumerate(names) if number % 3}
    assert store.sizes([*names, "packs/a", "sha256/00", "zz"]) == expected
    wire.asked.clear()
    store.sizes(names)
    assert wire.total <= len(names)
