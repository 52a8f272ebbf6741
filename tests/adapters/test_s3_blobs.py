"""Blobs in buckets, small ones in packs, keep the contract of blob stores, on a good way and on a bad one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.adapters.blobs.s3 import S3ObjectStore
from muniment.domain.errors import StorageError
from muniment.domain.ports import BlobStore, ObjectStore
from muniment.domain.values import Digest
from tests.conformance.blob_store import BlobStoreConformance, machine_for, named, put
from tests.servers import seaweedfs
from tests.servers.seaweedfs import S3Server
from tests.wire import FAULTS, Fault, Wire

CONTENTS = [f"{number}".encode() * 50 for number in range(40)] + [b"large" * 100_000]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with pytest.MonkeyPatch.context() as patch:
        yield seaweedfs.entered(patch)


def packed(objects: ObjectStore, folder: Path, few: int = 16) -> PackedBlobStore:
    return PackedBlobStore(objects, PackIndex(folder / "index.sqlite3"), folder / "spool", few=few)


class TestInABucket(BlobStoreConformance):
    @pytest.fixture(params=[1, 16], ids=["packed", "alone"])
    def store(self, server: S3Server, tmp_path: Path, request: pytest.FixtureRequest) -> BlobStore:
        objects = S3ObjectStore.at(f"s3://{server.bucket()}/blobs", client=Wire(server.client).s3())
        return packed(objects, tmp_path / "home", request.param)

    def damage(self, store: BlobStore, digest: Digest, content: bytes) -> None:
        there = cast("PackedBlobStore", store)
        bucket = cast("S3ObjectStore", there.objects).bucket
        client = seaweedfs.running().client
        places = [(where.pack, where.start, where.length) for where in there.index.find(digest)]
        for name, start, length in places or [(f"sha256/{digest[:2]}/{digest}", 0, 1 << 20)]:
            old = there.objects.read(name, 0, 1 << 20)
            new = old[:start] + content + old[start + length :]
            client.put_object(Bucket=bucket.name, Key=bucket.key(name), Body=new)


def _fresh() -> BlobStore:
    server = seaweedfs.running()
    objects = S3ObjectStore.at(f"s3://{server.bucket(versioned=True)}", client=Wire(server.client).s3())
    return packed(objects, Path(tempfile.mkdtemp()), few=2)


TestInABucketMachine = machine_for(_fresh, examples=8)


def everything(server: S3Server, bucket: str) -> list[bytes]:
    """Return the bytes of every version of everything in a bucket."""
    client = server.client
    return [
        client.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for each in page.get("Versions", [])
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_when_every_request_fails_once_nothing_is_lost_or_left(server: S3Server, tmp_path: Path, fault: Fault) -> None:
    bucket = server.bucket(versioned=True)
    wire = Wire(server.client)
    wire.every_other(fault)
    store = packed(S3ObjectStore.at(f"s3://{bucket}", client=wire.s3()), tmp_path)
    assert [result.error for result in put(store, *CONTENTS)] == [None] * len(CONTENTS)
    assert all(store.get(named(content)) == content for content in CONTENTS)
    kept, gone = CONTENTS[:10], CONTENTS[10:]
    results = list(store.delete_many(map(named, gone)))
    assert [(result.done, result.error) for result in results] == [(True, None)] * len(gone)
    assert [digest for digest, _ in store.list()] == sorted(map(named, kept))
    assert all(store.get(named(content)) == content for content in kept)
    wire.heal()
    left = b"".join(everything(server, bucket))
    assert [content for content in gone if content in left.replace(b"".join(kept), b"")] == []


@pytest.mark.parametrize("fault", ["refused", "lost"])
def test_wherever_a_rewrite_ends_for_good_nothing_is_lost(server: S3Server, tmp_path: Path, fault: Fault) -> None:
    small = CONTENTS[:20]
    for count in range(40):
        bucket = server.bucket()
        wire = Wire(server.client)
        store = packed(S3ObjectStore.at(f"s3://{bucket}", client=wire.s3(1)), tmp_path / str(count))
        assert [result.error for result in put(store, *small)] == [None] * len(small)
        wire.all_after(count, fault)
        try:
            errors = [result.error for result in store.delete_many([named(small[0])])]
        except StorageError as error:
            errors = [error]
        wire.heal()
        elsewhere = packed(S3ObjectStore.at(f"s3://{bucket}", client=wire.s3()), tmp_path / f"{count} elsewhere")
        for each in (store, elsewhere):
            assert all(each.get(named(content)) == content for content in small[1:])
        if errors == [None]:
            break
        assert [result.error for result in store.delete_many([named(small[0])])] == [None]
        store.sweep(2**62)
        assert small[0] not in b"".join(everything(server, bucket)).replace(b"".join(small[1:]), b"")
    assert 3 < count < 39
