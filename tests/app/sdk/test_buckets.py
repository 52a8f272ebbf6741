"""The whole library on a bucket: what it costs in requests, and what is left when something is deleted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import muniment
from muniment.adapters.s3.client import S3Client
from muniment.app.bootstrap import open_blobs, open_cache, open_store
from muniment.app.collecting import collect
from muniment.app.config import load
from muniment.app.sdk import session
from muniment.domain.disposal import CopiesLeft, Hindrance
from muniment.domain.errors import StorageError
from muniment.domain.evidence import Check
from muniment.domain.values import Digest
from muniment.domain.version import Purged
from tests.servers import seaweedfs
from tests.servers.seaweedfs import S3Server

FILES = 20_000 if os.environ.get("CI") == "true" else 2_000
FILES_PER_REQUEST = 50
CANARY = b"canary-9f8e7d6c5b4a"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with pytest.MonkeyPatch.context() as patch:
        yield seaweedfs.entered(patch)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return what is asked of the server, counted."""
    counted: Counter[str] = Counter()
    once = S3Client.once

    def counting(self: S3Client, operation: str, **arguments: object) -> dict[str, Any]:
        counted[operation] += 1
        return once(self, operation, **arguments)

    monkeypatch.setattr(S3Client, "once", counting)
    return counted


def on(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_BLOBS", f"s3://{bucket}/team")


def log(folder: Path) -> None:
    with muniment.init(project="p") as run:
        artifact = muniment.Artifact("data", type="dataset")
        artifact.add_dir(str(folder))
        run.log_artifact(artifact)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_many_small_files_are_few_requests(
    server: S3Server, asked: Counter[str], monkeypatch: pytest.MonkeyPatch, here: Path, own_home: Path
) -> None:
    on(server.bucket(), monkeypatch)
    files = here / "files"
    for number in range(FILES):
        path = files / f"{number % 20:02}" / f"{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{number}-".encode() * 40)
    most = FILES // FILES_PER_REQUEST
    log(files)
    assert 0 < asked.total() <= most, asked

    asked.clear()
    log(files)
    assert asked.total() <= most, asked

    asked.clear()
    session.close()
    for forgotten in (own_home / "remote", own_home / "cache"):
        shutil.rmtree(forgotten)
    muniment.Api().artifact("p/data:latest").download(str(here / "down"))
    assert 0 < asked.total() <= most, asked
    assert contents(here / "down") == contents(files)

    asked.clear()
    muniment.Api().artifact("p/data:latest").download(str(here / "again"))
    assert asked.total() == 0, asked
    assert contents(here / "again") == contents(files)


READER = """
import sys
import muniment
for number in range(3):
    muniment.Api().artifact("p/data:latest").download(f"{sys.argv[1]}/{number}")
"""


def test_two_processes_share_a_cache_that_holds_less_than_they_read(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    on(server.bucket(), monkeypatch)
    monkeypatch.setenv("MUNIMENT_CACHE_MAX", "4MB")
    folder = write(here / "files", *(f"{number}" for number in range(20)))
    for number in range(4):
        (folder / f"large{number}").write_bytes(os.urandom(1_400_000))
    log(folder)
    readers = [subprocess.Popen([sys.executable, "-c", READER, str(here / name)]) for name in ("one", "two")]
    assert [reader.wait() for reader in readers] == [0, 0]
    for read in (here / name / str(number) for name in ("one", "two") for number in range(3)):
        assert contents(read) == contents(folder)
    cache = open_cache(load())
    assert 0 < cache.usage().size <= cache.limit + cache.limit // 8  # an eighth may come before the next look
    assert list((cache.folder / "tmp").iterdir()) == []


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"{name} of {folder.name} ".encode() * 9)
    return folder


def versions(server: S3Server, bucket: str) -> list[bytes]:
    client = server.client
    page = client.list_object_versions(Bucket=bucket)
    assert page.get("DeleteMarkers", []) == []
    return [
        client.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
        for each in page["Versions"]
    ]


def shown(kind: type) -> list[Any]:
    """Return the events of a kind."""
    store = open_store(load())
    try:
        return [each.event for each in store.ledger.read() if isinstance(each.event, kind)]
    finally:
        store.ledger.close()


@pytest.mark.parametrize("size", [30, 400_000], ids=["in-a-pack", "alone"])
def test_what_a_lock_held_is_gone_once_the_lock_ends(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, here: Path, size: int
) -> None:
    bucket = server.bucket(locked=True)
    on(bucket, monkeypatch)
    monkeypatch.setenv("MUNIMENT_GRACE", "0s")
    folder = write(here / "files", *(f"{number}" for number in range(40)))
    (folder / "secret").write_bytes(CANARY + b"x" * size)
    log(folder)
    locks = [(each["Key"], each["VersionId"]) for each in server.client.list_object_versions(Bucket=bucket)["Versions"]]
    for key, version in locks:
        server.client.put_object_legal_hold(Bucket=bucket, Key=key, VersionId=version, LegalHold={"Status": "ON"})
    (folder / "secret").unlink()
    log(folder)
    report = delete_and_collect("v0")
    assert (report.purged, report.ended) == (1, 0)
    assert {each.why for each in shown(CopiesLeft)} == {Hindrance.LEGAL_HOLD}
    for key, version in locks:
        server.client.put_object_legal_hold(Bucket=bucket, Key=key, VersionId=version, LegalHold={"Status": "OFF"})
    report = delete_and_collect("v0")
    assert (report.failed, report.residual, report.ended) == ((), 0, len(shown(CopiesLeft)))
    assert not any(CANARY in content for content in versions(server, bucket))


def test_bytes_that_somebody_hid_behind_a_delete_marker_go_with_their_version(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    bucket = server.bucket(versioned=True)
    on(bucket, monkeypatch)
    monkeypatch.setenv("MUNIMENT_GRACE", "0s")
    (here / "secret").write_bytes(CANARY + b"x" * 400_000)
    log(write(here, "other"))
    keys = [each["Key"] for each in server.client.list_objects_v2(Bucket=bucket)["Contents"] if each["Size"] > 400_000]
    (key,) = keys
    server.client.delete_object(Bucket=bucket, Key=key)
    session.close()
    report = delete_and_collect("v0")
    assert (report.failed, report.purged) == ((), 1)
    assert not any(CANARY in content for content in versions(server, bucket))


def delete_and_collect(name: str) -> collect.Report:
    for artifact in muniment.Api().artifact_versions("dataset", "p/data"):
        if name in artifact.aliases or artifact.version == name:
            artifact.delete(delete_aliases=True)
    session.close()
    store = open_store(load())
    try:
        return collect.act(store)
    finally:
        store.ledger.close()


@pytest.mark.parametrize("size", [30, 400_000], ids=["in-a-pack", "alone"])
def test_what_was_deleted_is_in_no_version_and_no_upload(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, here: Path, size: int
) -> None:
    bucket = server.bucket(versioned=True)
    on(bucket, monkeypatch)
    monkeypatch.setenv("MUNIMENT_GRACE", "0s")
    folder = write(here / "files", *(f"{number}" for number in range(40)))
    (folder / "secret").write_bytes(CANARY + b"x" * size)
    log(folder)
    (folder / "secret").unlink()
    log(folder)
    assert any(CANARY in content for content in versions(server, bucket))
    report = delete_and_collect("v0")
    assert (report.failed, report.purged) == ((), 1)
    assert shown(Purged)[-1].evidence[0].verified_by == (Check.VERSIONS, Check.FOOTERS)
    assert not any(CANARY in content for content in versions(server, bucket))
    assert server.client.list_multipart_uploads(Bucket=bucket).get("Uploads") is None
    muniment.Api().artifact("p/data:v1").download(str(here / "down"))
    assert len(list((here / "down").rglob("*"))) == 40


@pytest.mark.parametrize("size", [30, 400_000], ids=["in-a-pack", "alone"])
def test_what_a_lock_holds_is_reported_with_its_end(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, here: Path, size: int
) -> None:
    bucket = server.bucket(locked=True)
    on(bucket, monkeypatch)
    monkeypatch.setenv("MUNIMENT_GRACE", "0s")
    folder = write(here / "files", *(f"{number}" for number in range(40)))
    (folder / "secret").write_bytes(CANARY + b"x" * size)
    log(folder)
    until = datetime.now(UTC) + timedelta(days=2)  # noqa: TID251 (the server's clock decides)
    for each in server.client.list_object_versions(Bucket=bucket)["Versions"]:
        server.client.put_object_retention(
            Bucket=bucket,
            Key=each["Key"],
            VersionId=each["VersionId"],
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
        )
    (folder / "secret").unlink()
    log(folder)
    for purged in (1, 0):
        report = delete_and_collect("v0")
        assert any(f"GOVERNANCE) until {until:%Y-%m-%dT%H:%M}" in each for each in report.failed), report
        assert any(CANARY in content for content in versions(server, bucket))
        assert (report.purged, report.ended) == (purged, 0)
    left = shown(CopiesLeft)
    assert {(each.why, each.place) for each in left} == {(Hindrance.LOCK, "")}
    assert all(abs(each.ends_at - until.timestamp() * 1_000_000) < 1_000_000 for each in left)
    assert shown(Purged)[-1].evidence[0].residual == sum(len(each.digests) for each in left)
    muniment.Api().artifact("p/data:v1").download(str(here / "down"))
    assert len(list((here / "down").rglob("*"))) == 40


def test_the_sdk_of_s3_is_loaded_only_when_it_is_used(own_home: Path) -> None:
    code = (
        "import sys; from muniment.app.bootstrap import open_store; from muniment.app.config import load;"
        "store = open_store(load()); reference = store.references['s3'];"
        "list(reference.resolve('s3://bucket/key', checksum=False, limit=1));"
        "assert not {'boto3', 'botocore'} & sys.modules.keys()"
    )
    environment = {"MUNIMENT_HOME": str(own_home), "MUNIMENT_BLOBS": "s3://bucket", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_without_the_sdk_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    store = open_blobs(load({"MUNIMENT_BLOBS": "s3://bucket"}))
    with pytest.raises(StorageError, match=r"pip install 'muniment\[s3\]'"):
        store.missing([Digest("0" * 64)])


def test_encryption_is_a_setting(server: S3Server, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    bucket = server.bucket()
    on(bucket, monkeypatch)
    monkeypatch.setenv("MUNIMENT_S3_SSE", "AES256")
    log(write(here / "files", "a", "b"))
    objects = server.client.list_objects_v2(Bucket=bucket)["Contents"]
    heads = [server.client.head_object(Bucket=bucket, Key=each["Key"]) for each in objects]
    assert {each.get("ServerSideEncryption") for each in heads} == {"AES256"}


def test_a_changed_bucket_makes_a_new_version_and_an_unchanged_one_does_not(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    bucket = server.bucket(versioned=True)
    on(server.bucket(), monkeypatch)

    def refer() -> str:
        with muniment.init(project="p") as run:
            artifact = muniment.Artifact("data", type="dataset")
            artifact.add_reference(f"s3://{bucket}/data")
            return str(run.log_artifact(artifact).wait().version)

    server.client.put_object(Bucket=bucket, Key="data/a", Body=b"first")
    server.client.put_object(Bucket=bucket, Key="data2/a", Body=b"another folder")
    assert [refer(), refer()] == ["v0", "v0"]
    server.client.put_object(Bucket=bucket, Key="data2/b", Body=b"another folder")
    assert refer() == "v0"
    server.client.put_object(Bucket=bucket, Key="data/a", Body=b"second")
    assert refer() == "v1"
    for version, content in (("v0", b"first"), ("v1", b"second")):
        muniment.Api().artifact(f"p/data:{version}").download(str(here / version))
        assert (here / version / "a").read_bytes() == content
