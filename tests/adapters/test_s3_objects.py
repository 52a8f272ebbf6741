"""Objects in buckets of a real server: plain, versioned, locked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from muniment.adapters.blobs.s3 import S3ObjectStore
from muniment.adapters.s3.client import S3Client
from muniment.domain.ports import ObjectStore
from tests.conformance.object_store import ObjectStoreConformance, machine_for
from tests.servers import seaweedfs
from tests.servers.seaweedfs import S3Server


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with pytest.MonkeyPatch.context() as patch:
        yield seaweedfs.entered(patch)


@pytest.fixture(scope="module")
def client(server: S3Server) -> S3Client:
    assert server.process.poll() is None
    return S3Client()


class TestBucket(ObjectStoreConformance):
    @pytest.fixture(params=["plain", "versioned", "locked"])
    def store(self, server: S3Server, client: S3Client, request: pytest.FixtureRequest) -> ObjectStore:
        bucket = server.bucket(versioned=request.param == "versioned", locked=request.param == "locked")
        return S3ObjectStore.at(f"s3://{bucket}/team/store", client=client)


def _fresh(*, versioned: bool) -> ObjectStore:
    server = seaweedfs.running()
    client = S3Client(connect=lambda: server.client)
    return S3ObjectStore.at(f"s3://{server.bucket(versioned=versioned)}", client=client)


TestBucketMachine = machine_for(lambda: _fresh(versioned=False), examples=6)
TestVersionedBucketMachine = machine_for(lambda: _fresh(versioned=True), examples=6)
