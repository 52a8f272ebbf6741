"""Whatever goes wrong on the way to a bucket, at every request: it is tried again, or said; nothing is half-done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from muniment.adapters.blobs.s3 import Encryption, S3ObjectStore
from muniment.adapters.s3.client import ATTEMPTS, LONGEST_PAUSE, S3Client, connect
from muniment.domain.errors import InvalidValueError, StorageError, StorageFullError
from muniment.domain.ports import ObjectResult, ObjectSource
from muniment.domain.values import Digest
from tests.conformance.object_store import source
from tests.servers import seaweedfs
from tests.servers.seaweedfs import S3Server
from tests.wire import FAULTS, Fault, Wire

MEBIBYTE = 1 << 20
CONTENT = bytes(range(256)) * (11 * MEBIBYTE // 256)
LARGE = ObjectSource(f"sha256/ab/{sha256(CONTENT).hexdigest()}", len(CONTENT), CONTENT)
FAR = 2**62


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with pytest.MonkeyPatch.context() as patch:
        yield seaweedfs.entered(patch)


@pytest.fixture
def wire(server: S3Server) -> Wire:
    return Wire(server.client)


@pytest.fixture(params=["plain", "versioned"])
def bucket(server: S3Server, request: pytest.FixtureRequest) -> str:
    return server.bucket(versioned=request.param == "versioned")


def at(bucket: str, wire: Wire, attempts: int = ATTEMPTS) -> S3ObjectStore:
    opened = S3ObjectStore.at(f"s3://{bucket}/store", client=wire.s3(attempts))
    return S3ObjectStore(opened.bucket, large_bytes=6 * MEBIBYTE, part_bytes=5 * MEBIBYTE)


def kept(server: S3Server, bucket: str) -> list[str]:
    """Return whatever the server keeps, apart from the marker: versions, delete markers, unfinished uploads."""
    page = server.client.list_object_versions(Bucket=bucket)
    uploads = server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    there = [*page.get("Versions", []), *page.get("DeleteMarkers", []), *uploads]
    return [each["Key"] for each in there if each["Key"] != "store/.muniment"]


def story(store: S3ObjectStore) -> list[object]:
    """Do everything once; return what came of it."""
    said: list[object] = [list(store.put_many([source("packs/a", b"hello"), source("packs/b", b"world")]))]
    said.append(list(store.put_many([source("packs/a", b"hello"), LARGE])))
    said.append(store.read("packs/a", 1, 3))
    with store.open("packs/b", 2) as stream:
        said.append(stream.read())
    with store.open(LARGE.name) as stream:
        said.append(sha256(stream.read()).hexdigest())
    said.append([(each.name, each.size) for each in store.list("")])
    said.append(store.sizes(["packs/a", "packs/c"]))
    said.append(store.sizes([f"packs/{at}" for at in "abcdefghijkl"]))
    said.append(list(store.delete_many(["packs/a", "packs/c", LARGE.name])))
    said.append([each.name for each in store.list("")])
    return said


TOLD: list[object] = [
    [ObjectResult("packs/a"), ObjectResult("packs/b")],
    [ObjectResult("packs/a", done=False), ObjectResult(LARGE.name)],
    b"ell",
    b"rld",
    sha256(CONTENT).hexdigest(),
    [("packs/a", 5), ("packs/b", 5), (LARGE.name, len(CONTENT))],
    {"packs/a": 5},
    {"packs/a": 5, "packs/b": 5},
    [ObjectResult("packs/a"), ObjectResult("packs/c", done=False), ObjectResult(LARGE.name)],
    ["packs/b"],
]


@pytest.mark.parametrize("fault", FAULTS)
def test_when_every_request_fails_once_all_is_as_if_none_did(
    server: S3Server, bucket: str, wire: Wire, fault: Fault
) -> None:
    wire.every_other(fault)
    store = at(bucket, wire)
    assert story(store) == TOLD
    wire.heal()
    store.sweep(FAR)
    assert set(kept(server, bucket)) == {"store/packs/b"}


def test_a_body_that_is_lost_on_the_wire_is_closed() -> None:
    body = BytesIO(b"lost")
    wire = Wire(SimpleNamespace(get_object=lambda **_: {"Body": body}))
    wire.fault = lambda _operation, _arguments: "lost"
    with pytest.raises(ConnectionClosedError):
        wire.get_object(Bucket="b", Key="k")
    assert body.closed


@pytest.mark.parametrize("fault", ["refused", "lost"])
@pytest.mark.parametrize("wanted", [source("packs/a", b"hello"), LARGE], ids=["small", "large"])
def test_wherever_a_put_ends_for_good_it_can_be_done_again(
    server: S3Server, wire: Wire, wanted: ObjectSource, fault: Fault
) -> None:
    bucket = server.bucket()
    failed = 0
    for count in range(20):
        wire.all_after(count, fault)
        (result,) = at(bucket, wire, attempts=2).put_many([wanted])
        wire.heal()
        if result.error is None:
            break
        failed += 1
        assert isinstance(result.error, StorageError)
        store = at(bucket, wire)
        (again,) = store.put_many([wanted])
        assert again.error is None
        with store.open(wanted.name) as stream:
            assert stream.read() == wanted.content
        assert [each.error for each in store.delete_many([wanted.name])] == [None]
        store.sweep(FAR)
        assert kept(server, bucket) == []
    assert failed == (3 if wanted is not LARGE else 8)


def test_wherever_a_delete_ends_for_good_the_next_one_does_it(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket(versioned=True)
    for count in range(20):
        wire.heal()
        store = at(bucket, wire, attempts=2)
        for content in (b"1", b"22", b"333"):
            assert [each.done for each in store.put_many([source("packs/a", content)])] == [True]
        list(store.put_many([source("packs/aa", b"kept")]))
        wire.all_after(count, "refused")
        (result,) = store.delete_many(["packs/a"])
        wire.heal()
        if result.error is None:
            break
        assert isinstance(result.error, StorageError)
        assert not result.done
        assert [each.error for each in store.delete_many(["packs/a"])] == [None]
        assert kept(server, bucket) == ["store/packs/aa"]
    assert count == 5


def test_an_upload_goes_on_where_it_ended(server: S3Server, wire: Wire, tmp_path: Path) -> None:
    bucket = server.bucket()
    file = tmp_path / "large"
    file.write_bytes(CONTENT)
    wanted = ObjectSource(LARGE.name, LARGE.size, path=str(file), digest=Digest(LARGE.name[-64:]))
    sent: list[int] = []

    def second_part(operation: str, arguments: dict[str, Any]) -> Fault | None:
        return "timeout" if operation == "upload_part" and arguments["PartNumber"] == 2 else None

    wire.fault = second_part
    (failed,) = at(bucket, wire, attempts=2).put_many([wanted])
    assert isinstance(failed.error, StorageError)

    def note(operation: str, arguments: dict[str, Any]) -> Fault | None:
        if operation == "upload_part":
            sent.append(arguments["PartNumber"])
        return None

    wire.fault = note
    wire.asked.clear()
    store = at(bucket, wire)
    assert list(store.put_many([wanted])) == [ObjectResult(wanted.name)]
    assert sent == [2]
    assert wire.asked["create_multipart_upload"] == 0
    with store.open(wanted.name) as stream:
        assert stream.read() == CONTENT
    assert kept(server, bucket) == [f"store/{wanted.name}"]


def test_another_upload_of_other_bytes_is_not_believed(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket()
    key = f"store/{LARGE.name}"
    upload = server.client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    for number, length in ((1, 5 * MEBIBYTE), (2, MEBIBYTE)):
        server.client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=b"x" * length)
    named = ObjectSource(LARGE.name, LARGE.size, CONTENT, digest=Digest(LARGE.name[-64:]))
    store = at(bucket, wire)
    assert list(store.put_many([named])) == [ObjectResult(LARGE.name)]
    assert (wire.asked["upload_part"], wire.asked["create_multipart_upload"]) == (3, 0)
    with store.open(LARGE.name) as stream:
        assert stream.read() == CONTENT


def test_what_an_interrupted_upload_left_is_swept_once_it_is_old(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket()
    for key in ("store/sha256/ab/x", "other/y"):
        upload = server.client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        server.client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * MEBIBYTE)
    store = at(bucket, wire)
    assert store.sweep(1) == 0
    wire.every_other("lost")
    assert store.sweep(FAR) == MEBIBYTE
    assert kept(server, bucket) == ["other/y"]


def test_a_file_that_changes_while_it_is_sent_is_refused_by_the_server(
    server: S3Server, wire: Wire, tmp_path: Path
) -> None:
    bucket = server.bucket()
    file = tmp_path / "changing"
    file.write_bytes(b"before")

    def change(operation: str, arguments: dict[str, Any]) -> Fault | None:
        if operation == "put_object" and arguments["Key"].endswith("packs/a"):
            file.write_bytes(b"after!")
        return None

    wire.fault = change
    (result,) = at(bucket, wire).put_many([ObjectSource("packs/a", 6, path=str(file))])
    assert "changed while it was sent" in str(result.error)
    assert kept(server, bucket) == []


def test_pauses_grow_are_bounded_and_differ() -> None:
    pauses: list[float] = []
    client = S3Client(pause=pauses.append, attempts=12)
    assert list(client.tries()) == [False] * 11 + [True]
    assert len(set(pauses)) == 11
    assert all(0 <= pause <= LONGEST_PAUSE for pause in pauses)
    assert pauses[0] <= 0.4


class Refusing:
    """A client whose server answers everything with one refusal."""

    def __init__(self, code: str, status: int) -> None:
        self.said = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        self.count = 0

    def __getattr__(self, operation: str) -> Any:
        def call(**_: Any) -> None:
            self.count += 1
            raise ClientError(self.said, operation)

        return call


@pytest.mark.parametrize(
    ("code", "status", "kind", "said", "attempts"),
    [
        ("AccessDenied", 403, StorageError, "AccessDenied.*policy", 1),
        ("NoSuchBucket", 404, StorageError, "NoSuchBucket.*make the bucket", 1),
        ("InvalidAccessKeyId", 403, StorageError, "check the SDK's credentials", 1),
        ("PermanentRedirect", 301, StorageError, "AWS_DEFAULT_REGION", 1),
        ("QuotaExceeded", 403, StorageFullError, "no space is left", 1),
        ("InsufficientStorage", 507, StorageFullError, "no space is left", 1),
        ("SlowDown", 503, StorageError, "try again later", ATTEMPTS),
        ("ConditionalRequestConflict", 409, StorageError, "try again later", ATTEMPTS),
        ("Whatever", 500, StorageError, "Whatever", ATTEMPTS),
    ],
)
def test_refusals_are_said_in_our_errors(
    code: str, status: int, kind: type[Exception], said: str, attempts: int
) -> None:
    refusing = Refusing(code, status)
    store = S3ObjectStore.at("s3://bucket/store", client=S3Client(connect=lambda: refusing, pause=lambda _: None))
    (result,) = store.put_many([source("a", b"x")])
    assert type(result.error) is kind or isinstance(result.error, kind)
    assert refusing.count == attempts
    for act in (lambda: list(store.list("")), lambda: store.read("a", 0, 1), lambda: store.sizes(["a"])):
        with pytest.raises(kind, match=said):
            act()
    (deleted,) = store.delete_many(["a"])
    assert isinstance(deleted.error, kind)
    assert not deleted.done


@pytest.mark.parametrize(
    "url",
    [
        *("s3://", "s3:///a", "s3://b/a?b", "s3://bucket/a b", "s3://bucket/../x", "s3://bucket/a\nb", "gs://bucket"),
        *("s3://me:secret@bucket", "s3://me:my/secret@bucket", "s3://me:secret[@bucket", "s3:/me:secret@bucket"),
    ],
)
def test_places_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(InvalidValueError, match="MUNIMENT_BLOBS") as caught:
        S3ObjectStore.at(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_said_without_its_address(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.process.poll() is None
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    store = S3ObjectStore.at("s3://bucket", client=S3Client(pause=lambda _: None))
    with pytest.raises(StorageError, match=r"EndpointConnectionError.*AWS_ENDPOINT_URL_S3") as caught:
        store.read("a", 0, 1)
    assert "127.0.0.1" not in str(caught.value)


def test_encryption_is_asked_of_the_server(server: S3Server, wire: Wire) -> None:
    bucket = server.bucket()
    opened = S3ObjectStore.at(f"s3://{bucket}", Encryption("AES256"), wire.s3())
    store = S3ObjectStore(opened.bucket, large_bytes=6 * MEBIBYTE, part_bytes=5 * MEBIBYTE)
    assert [each.error for each in store.put_many([source("a", b"x"), LARGE])] == [None, None]
    made = [arguments for operation, arguments in wire.seen if operation in {"put_object", "create_multipart_upload"}]
    assert {each.get("ServerSideEncryption") for each in made} == {"AES256"}
    assert server.client.head_object(Bucket=bucket, Key="a")["ServerSideEncryption"] == "AES256"
    assert Encryption("aws:kms", "key").arguments() == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key"}
    with pytest.raises(InvalidValueError, match="MUNIMENT_S3_SSE=aws:kms"):
        Encryption(None, "key")
    with pytest.raises(InvalidValueError, match="'aes256' is no encryption — write AES256 or aws:kms"):
        Encryption("aes256")


def test_a_fork_makes_connections_of_its_own(server: S3Server) -> None:
    connections: list[object] = []

    def connecting() -> object:
        connections.append(connect())
        return connections[-1]

    store = S3ObjectStore.at(f"s3://{server.bucket()}", client=S3Client(connecting))
    list(store.put_many([source("a", b"x")]))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, store.read("a", 0, 1) + bytes([len(connections)]))
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 9) == b"x\x02"
    os.close(reading)
    os.waitpid(child, 0)
    assert store.read("a", 0, 1) == b"x"
    assert len(connections) == 1
