"""References to folders, buckets and prefixes: the suite on every scheme, and what a listing costs."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fsspec
import pytest
from attrs import frozen
from azure.storage.blob import BlobServiceClient
from botocore.exceptions import ClientError
from fsspec.implementations.memory import MemoryFileSystem

from muniment.adapters.references.file import FileReferences
from muniment.adapters.references.fsspec import FsspecReferences
from muniment.adapters.references.s3 import S3References
from muniment.adapters.s3.client import S3Client
from muniment.domain.errors import StorageError
from muniment.domain.ports import ReferenceStore
from tests.conformance.references import BucketsConformance, Folder, FoldersConformance, VersionsConformance, below
from tests.conformance.tracking import TrackingConformance
from tests.fsspec_kinds import EMULATED, emulated
from tests.servers import seaweedfs
from tests.servers.seaweedfs import S3Server


@frozen
class Files:
    """A folder of this machine."""

    path: Path

    def uri(self, name: str) -> str:
        return f"{self.path.as_uri()}/{quote(name)}" if name else self.path.as_uri()

    def put(self, name: str, content: bytes) -> str:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(content)
        return self.uri(name)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()
        if not any((self.path / name).parent.iterdir()):
            (self.path / name).parent.rmdir()


@frozen
class Keys:
    """A bucket of the S3 server."""

    client: Any
    bucket: str

    def uri(self, name: str) -> str:
        return f"s3://{self.bucket}/{name}" if name else f"s3://{self.bucket}"

    def put(self, name: str, content: bytes) -> str:
        self.client.put_object(Bucket=self.bucket, Key=name, Body=content)
        return self.uri(name)

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=name)

    def version(self, name: str) -> str:
        number = self.client.head_object(Bucket=self.bucket, Key=name)["VersionId"]
        return f"{self.uri(name)}?versionId={number}"


@frozen
class Paths:
    """What fsspec reaches below a URL."""

    url: str

    def uri(self, name: str) -> str:
        return f"{self.url}/{name}" if name else self.url

    def put(self, name: str, content: bytes) -> str:
        files, root = fsspec.core.url_to_fs(self.url)
        files.pipe_file(f"{root.rstrip('/')}/{name}", content)
        return self.uri(name)

    def remove(self, name: str) -> None:
        files, root = fsspec.core.url_to_fs(self.url)
        files.rm_file(f"{root.rstrip('/')}/{name}")


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "folder").mkdir()
    return Files(tmp_path / "folder")


class TestFiles(FoldersConformance):
    @pytest.fixture
    def place(self, files: Files) -> Files:
        return files

    @pytest.fixture
    def store(self) -> ReferenceStore:
        return FileReferences()


class TestTrackedFiles(TrackingConformance):
    @pytest.fixture
    def place(self, files: Files) -> Files:
        return files


# --- S3 --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> S3Server:
    return seaweedfs.entered(monkeypatch)


@pytest.fixture
def versions(server: S3Server) -> Keys:
    return Keys(server.client, server.bucket(versioned=True))


class TestS3(BucketsConformance):
    @pytest.fixture(params=[False, True], ids=["plain", "versioned"])
    def place(self, server: S3Server, request: pytest.FixtureRequest) -> Keys:
        return Keys(server.client, server.bucket(versioned=request.param))

    @pytest.fixture
    def store(self, server: S3Server) -> ReferenceStore:
        del server
        return S3References()


class TestS3Versions(VersionsConformance):
    @pytest.fixture
    def store(self, server: S3Server) -> ReferenceStore:
        del server
        return S3References()


class TestTrackedS3(TrackingConformance):
    @pytest.fixture
    def place(self, server: S3Server) -> Keys:
        return Keys(server.client, server.bucket())


class TestTrackedS3Versions(TrackingConformance):
    keeps = True

    @pytest.fixture
    def place(self, versions: Keys) -> Keys:
        return versions


# --- fsspec ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[Paths]:
    yield Paths("memory://bucket")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


class TestMemory(FoldersConformance):
    @pytest.fixture
    def place(self, memory: Paths) -> Paths:
        return memory

    @pytest.fixture
    def store(self) -> ReferenceStore:
        return FsspecReferences(("memory",))


class TestTrackedMemory(TrackingConformance):
    @pytest.fixture
    def place(self, memory: Paths) -> Paths:
        return memory


@frozen
class Blobs(Paths):
    """What adlfs reaches; it makes no objects whose names end in a slash, so that another package does."""

    def put(self, name: str, content: bytes) -> str:
        if not name.endswith("/"):
            return super().put(name, content)
        container, _, top = self.url.removeprefix("az://").partition("/")
        with BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"]) as service:
            service.get_blob_client(container, f"{top}/{name}").upload_blob(content)
        return self.uri(name)


@pytest.fixture(params=EMULATED)
def emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Paths:
    url = emulated(request.param, monkeypatch)
    return Paths(url) if url.startswith("gs") else Blobs(f"{url}/top")


class TestEmulated(BucketsConformance):
    @pytest.fixture
    def place(self, emulator: Paths) -> Paths:
        return emulator

    @pytest.fixture
    def store(self, emulator: Paths) -> ReferenceStore:
        return FsspecReferences((emulator.url.partition("://")[0],))

    def test_an_object_comes_before_a_folder_of_its_name(self, store: ReferenceStore, place: Folder) -> None:
        if store.schemes == ("gs",):
            super().test_an_object_comes_before_a_folder_of_its_name(store, place)
            return
        place.put("data", b"object")
        place.put("data/a", b"below")
        assert list(below(store, place.uri("data"))) == [""]
        with pytest.raises(StorageError, match="is an object too"):
            below(store, place.uri("data/"))

    def test_a_bucket_is_referred_to_as_a_whole(self, store: ReferenceStore, place: Folder) -> None:
        root = "/".join(place.put("a/b", b"x").split("/")[:3])
        for uri in (root, f"{root}/"):
            assert [path.removeprefix("top/") for path in below(store, uri)] == ["a/b"]


class TestTrackedEmulated(TrackingConformance):
    @pytest.fixture
    def place(self, emulator: Paths) -> Paths:
        return emulator


# --- what a listing costs --------------------------------------------------------------------------------------------


@frozen
class Counting:
    """A bucket that is only listed, page by page as a server does; ``asked`` holds what was asked for."""

    keys: list[str]
    asked: list[str]

    def head_object(self, **_: object) -> dict[str, Any]:
        self.asked.append("head_object")
        raise ClientError({"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "HeadObject")

    def get_bucket_versioning(self, **_: object) -> dict[str, Any]:
        self.asked.append("get_bucket_versioning")
        return {}

    def list_objects_v2(self, **said: Any) -> dict[str, Any]:
        prefix, delimiter, after = said["Prefix"], said.get("Delimiter", ""), said.get("ContinuationToken", "")
        self.asked.append("list_objects_v2")
        found: dict[str, bool] = {}
        for key in self.keys:
            rest = key[len(prefix) :]
            inner = bool(delimiter) and delimiter in rest
            name = f"{prefix}{rest.partition('/')[0]}/" if inner else key
            if key.startswith(prefix) and name > after:
                found[name] = inner
            if len(found) > 1_000:
                break
        names = list(found)[:1_000]
        return {
            "Contents": [{"Key": name, "Size": 1, "ETag": '"0"'} for name in names if not found[name]],
            "CommonPrefixes": [{"Prefix": name} for name in names if found[name]],
            "IsTruncated": len(found) > 1_000,
            **({"NextContinuationToken": names[-1]} if names else {}),
        }


@pytest.mark.parametrize(
    ("shape", "most"),
    [
        ("{at:05}", 2 + 1 + 10 + 10),
        ("{folder}/{at:05}", 2 + 1 + 1 + 7 * 2),
        ("{at:05}/x", 2 + 10),
        ("a/b/c/{folder}/{at:05}", 2 + 1 + 4 + 7 * 2),
        ("{skewed}", 2 + 1 + 1 + 10),
    ],
    ids=["flat", "few-folders", "many-folders", "deep", "many-folders-behind-a-large-one"],
)
def test_ten_thousand_objects_take_few_requests(shape: str, most: int) -> None:
    keys = [
        "top/" + shape.format(at=at, folder=at % 7, skewed=f"a/{at:05}" if at < 1_500 else f"b{at:05}/x")
        for at in range(10_000)
    ]
    server = Counting(sorted(keys), [])
    references = S3References(S3Client(connect=lambda: server))
    tracemalloc.start()
    try:
        found = sum(1 for _ in references.resolve("s3://bucket/top", checksum=True, limit=10_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == 10_000
    assert len(server.asked) <= most
    assert peak < 10_000 * 1_500, "bytes for each object, of a level that is held at most"


def test_a_real_listing_takes_the_requests_of_its_pages(server: S3Server) -> None:
    plain = Keys(server.client, server.bucket())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: plain.put(f"top/{at % 3}/{at:04}", b"x"), range(1_100)))
    asked: list[str] = []

    class Listed(S3Client):
        def once(self, operation: str, **arguments: object) -> dict[str, Any]:
            asked.append(operation)
            return super().once(operation, **arguments)

    found = below(S3References(Listed()), f"s3://{plain.bucket}/top")
    assert sorted(found) == sorted(f"{at % 3}/{at:04}" for at in range(1_100))
    assert len(asked) == 2 + 1 + 1 + 3
