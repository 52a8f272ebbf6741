"""Buckets of teams, from the library down to what lies in them; carrying a team to a bucket and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import muniment
from muniment.app import directory, fsck, storage
from muniment.app.collecting import collect
from muniment.app.files import reference
from muniment.app.sdk import session
from muniment.app.storage_migration import migrate
from muniment.app.store import Store
from muniment.domain.errors import StorageError
from muniment.domain.values import VersionId
from tests.servers import seaweedfs
from tests.servers.seaweedfs import S3Server

CANARY = {"red": b"canary-of-red-0a1b2c", "blue": b"canary-of-blue-3d4e5f"}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with pytest.MonkeyPatch.context() as patch:
        yield seaweedfs.entered(patch)


@pytest.fixture
def store(here: Path) -> Store:
    del here
    opened = session.store()
    for team in CANARY:
        directory.create_team(opened, team)
    return opened


def log(team: str, content: bytes) -> Any:
    with muniment.init(entity=team, project="p") as run:
        artifact = muniment.Artifact("data", type="dataset")
        with artifact.new_file("text", "wb") as file:
            file.write(content)
        for number in range(30):
            with artifact.new_file(f"small/{number}", "wb") as file:
                file.write(content + str(number).encode())
        run.log_artifact(artifact)
    return artifact


def bytes_in(server: S3Server, bucket: str) -> bytes:
    """Return the bytes of every version of every object."""
    found = server.client.list_object_versions(Bucket=bucket)
    keys = [(each["Key"], each["VersionId"]) for each in found.get("Versions", [])]
    return b"".join(
        server.client.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read() for key, version in keys
    )


def text(team: str, version: str = "latest") -> bytes:
    return Path(muniment.Api().artifact(f"{team}/p/data:{version}").download(), "text").read_bytes()


def test_the_bytes_of_each_team_lie_in_its_own_bucket_alone(
    server: S3Server, store: Store, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets = {team: server.bucket(versioned=True) for team in CANARY}
    for team, bucket in buckets.items():
        storage.set_place(store, team, f"s3://{bucket}/muniment")
        log(team, CANARY[team])
    for team, other in (("red", "blue"), ("blue", "red")):
        held = bytes_in(server, buckets[team])
        assert CANARY[team] in held
        assert CANARY[other] not in held
        assert text(team) == CANARY[team]
    own = [path for path in (own_home / "blobs").rglob("*") if path.is_file() and not path.name.startswith(".index")]
    assert own == []
    assert [fault.text for fault in fsck.check(store)] == []

    artifact = muniment.Api().artifact("red/p/data:latest")
    with muniment.init(entity="blue", project="p") as run:
        mixed = muniment.Artifact("mixed", type="dataset")
        mixed.add_reference(reference.reference_to(VersionId(str(artifact.id)), "text"), name="of-red")
        run.log_artifact(mixed)
    assert Path(muniment.Api().artifact("blue/p/mixed:v0").download(), "of-red").read_bytes() == CANARY["red"]
    assert CANARY["red"] not in bytes_in(server, buckets["blue"])

    artifact.delete(delete_aliases=True)
    monkeypatch.setenv("MUNIMENT_GRACE", "0s")
    collect.act(session.store())
    assert CANARY["red"] not in bytes_in(server, buckets["red"])
    assert text("blue") == CANARY["blue"]


def test_a_team_is_carried_to_a_bucket_and_back(server: S3Server, store: Store, own_home: Path) -> None:
    log("red", CANARY["red"])
    large = muniment.Artifact("large", type="dataset")
    with large.new_file("text", "wb") as file:
        file.write(CANARY["red"] * 100_000)
    with muniment.init(entity="red", project="p") as run:
        run.log_artifact(large)
    before = dict(store.blobs.list())
    place = f"s3://{server.bucket(versioned=True)}/muniment"
    there = migrate(store, "red", place, delete_source=True)
    assert dict(store.blobs_at(place).list()) == before
    assert (there.blobs, there.copied, there.deleted) == (len(before), len(before), len(before))
    assert dict(store.blobs.list()) == {}
    assert not any(CANARY["red"] in path.read_bytes() for path in (own_home / "blobs").rglob("*") if path.is_file())
    assert text("red") == CANARY["red"]

    back = migrate(store, "red", None, delete_source=True)
    assert dict(store.blobs.list()) == before
    assert (back.copied, back.failed) == (len(before), ())
    assert CANARY["red"] not in bytes_in(server, place.split("/")[2])
    assert [fault.text for fault in fsck.check(store)] == []
    assert text("red") == CANARY["red"]


def test_what_teams_put_is_encrypted_as_the_store_says(
    server: S3Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = server.bucket()
    monkeypatch.setenv("MUNIMENT_S3_SSE", "AES256")
    actor = store.config.actor
    session.close()
    assert session.store().config.actor == actor
    storage.set_place(session.store(), "red", f"s3://{bucket}")
    log("red", CANARY["red"])
    heads = [
        server.client.head_object(Bucket=bucket, Key=each["Key"])
        for each in server.client.list_objects_v2(Bucket=bucket)["Contents"]
        if each["Key"] != ".muniment"
    ]
    assert {head.get("ServerSideEncryption") for head in heads} == {"AES256"}
    assert text("red") == CANARY["red"]


def test_a_bucket_that_is_not_there_is_refused(server: S3Server, store: Store) -> None:
    del server
    with pytest.raises(StorageError, match="s3://no-such-bucket-of-ours"):
        storage.set_place(store, "red", "s3://no-such-bucket-of-ours/a")
    assert directory.team(store.views, "red").store is None
