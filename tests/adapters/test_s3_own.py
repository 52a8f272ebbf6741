"""The suites on a bucket of one's own: ``S3_TEST_URL=s3://bucket/prefix``, and the SDK's own variables."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from attrs import frozen

from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.adapters.blobs.s3 import S3ObjectStore
from muniment.adapters.references.s3 import S3References
from muniment.adapters.s3.client import S3Client, connect
from muniment.domain.ports import BlobStore, ObjectStore, ReferenceStore
from muniment.domain.values import Digest
from tests.conformance.blob_store import BlobStoreConformance
from tests.conformance.object_store import ObjectStoreConformance
from tests.conformance.references import ReferencesConformance

URL = os.environ.get("S3_TEST_URL", "").rstrip("/")
CLIENT = S3Client()


def fresh() -> S3ObjectStore:
    return S3ObjectStore.at(f"{URL}/{token_hex(8)}", client=CLIENT)


@frozen
class Keys:
    """The bucket as a place where objects lie."""

    client: Any
    bucket: str
    prefix: str

    def put(self, name: str, content: bytes) -> str:
        self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content)
        return f"s3://{self.bucket}/{self.prefix}{name}"

    def remove(self, name: str) -> None:
        for each in self.client.list_object_versions(Bucket=self.bucket, Prefix=self.prefix + name)["Versions"]:
            self.client.delete_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])


if URL:

    class TestOwnObjects(ObjectStoreConformance):
        @pytest.fixture
        def store(self) -> ObjectStore:
            return fresh()

    class TestOwnBlobs(BlobStoreConformance):
        @pytest.fixture
        def store(self, tmp_path: Path) -> BlobStore:
            return PackedBlobStore(fresh(), PackIndex(tmp_path / "home" / "index.sqlite3"), tmp_path / "home" / "spool")

        def damage(self, store: BlobStore, digest: Digest, content: bytes) -> None:
            assert isinstance(store, PackedBlobStore)
            assert isinstance(store.objects, S3ObjectStore)
            key = store.objects.bucket.key(f"sha256/{digest[:2]}/{digest}")
            store.objects.bucket.call("put_object", Key=key, Body=content)

    class TestOwnReferences(ReferencesConformance):
        @pytest.fixture
        def place(self) -> Keys:
            bucket = fresh().bucket
            return Keys(connect(), bucket.name, bucket.prefix)

        @pytest.fixture
        def store(self) -> ReferenceStore:
            return S3References(CLIENT)

        @pytest.mark.parametrize("uri", ["ftp://host/a", "/a/path", ""])
        def test_other_schemes_are_refused(self, store: ReferenceStore, uri: str) -> None:
            super().test_other_schemes_are_refused(store, uri)


def test_the_suites_run_here_if_a_bucket_is_named() -> None:
    assert ("TestOwnObjects" in globals()) == bool(URL)
