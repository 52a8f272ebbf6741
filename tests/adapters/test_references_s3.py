"""References to objects in buckets of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from attrs import frozen
from botocore.exceptions import ClientError

from muniment.adapters.references.s3 import S3References
from muniment.adapters.s3 import listing
from muniment.adapters.s3.client import S3Client
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, StorageError
from muniment.domain.ports import ReferencedObject, ReferenceStore
from tests.conformance.references import ReferencesConformance
from tests.servers import seaweedfs
from tests.servers.seaweedfs import S3Server


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with pytest.MonkeyPatch.context() as patch:
        yield seaweedfs.entered(patch)


@pytest.fixture(scope="module")
def references(server: S3Server) -> S3References:
    assert server.process.poll() is None
    return S3References(S3Client(pause=lambda _: None))


@frozen
class Keys:
    """A bucket as a place where objects lie."""

    client: Any
    bucket: str

    def put(self, name: str, content: bytes) -> str:
        self.client.put_object(Bucket=self.bucket, Key=name, Body=content)
        return f"s3://{self.bucket}/{name}"

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=name)

    def version(self, name: str) -> str:
        return str(self.client.head_object(Bucket=self.bucket, Key=name)["VersionId"])


@pytest.fixture
def plain(server: S3Server) -> Keys:
    return Keys(server.client, server.bucket())


@pytest.fixture
def versioned(server: S3Server) -> Keys:
    return Keys(server.client, server.bucket(versioned=True))


class TestBuckets(ReferencesConformance):
    @pytest.fixture
    def place(self, plain: Keys) -> Keys:
        return plain

    @pytest.fixture
    def store(self, references: S3References) -> ReferenceStore:
        return references

    @pytest.mark.parametrize("uri", ["ftp://host/a", "/a/path", "", "gs://bucket/key"])
    def test_other_schemes_are_refused(self, store: ReferenceStore, uri: str) -> None:
        with pytest.raises(InvalidValueError, match="is none of"):
            list(store.resolve(uri, checksum=True, limit=1))


def below(references: S3References, uri: str, limit: int = 10_000) -> dict[str, ReferencedObject]:
    return {each.path: each for each in references.resolve(uri, checksum=True, limit=limit)}


def read(references: S3References, found: ReferencedObject) -> bytes:
    with references.fetch(found) as stream:
        return stream.read()


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("kind", ["plain", "versioned"])
def test_a_prefix_means_what_a_folder_means(
    references: S3References, request: pytest.FixtureRequest, kind: str, end: str
) -> None:
    keys: Keys = request.getfixturevalue(kind)
    for name in ("data/a", "data/b/c", "data/empty.txt", "data2/x", "data.csv"):
        keys.put(name, b"" if "empty" in name else name.encode())
    for folder in ("data/", "data/b/", "data/d/"):
        keys.put(folder, b"")
    found = below(references, f"s3://{keys.bucket}/data{end}")
    assert sorted(found) == ["a", "b/c", "empty.txt"]
    assert found["a"].uri == f"s3://{keys.bucket}/data/a"
    assert {name: read(references, each) for name, each in found.items()} == {
        "a": b"data/a",
        "b/c": b"data/b/c",
        "empty.txt": b"",
    }
    assert len(below(references, f"s3://{keys.bucket}")) == len(below(references, f"s3://{keys.bucket}/")) == 5


def test_the_etag_is_the_digest_and_the_version_is_kept(references: S3References, versioned: Keys) -> None:
    uri = versioned.put("data/a", b"hello")
    annex = {"etag": "5d41402abc4b2a76b9719d911017c592", "versionID": versioned.version("data/a")}
    (single,) = references.resolve(uri, checksum=True, limit=1)
    (listed,) = references.resolve(f"s3://{versioned.bucket}/data", checksum=True, limit=1)
    assert single == ReferencedObject("", uri, annex["etag"], 5, annex)
    assert listed == ReferencedObject("a", uri, annex["etag"], 5, annex)


def test_without_versions_none_is_kept(references: S3References, server: S3Server, plain: Keys) -> None:
    (found,) = references.resolve(plain.put("a", b"hello"), checksum=True, limit=1)
    assert found.annex == {"etag": "5d41402abc4b2a76b9719d911017c592"}
    server.client.put_bucket_versioning(Bucket=plain.bucket, VersioningConfiguration={"Status": "Suspended"})
    (listed,) = references.resolve(f"s3://{plain.bucket}", checksum=True, limit=1)
    assert (listed.path, listed.annex) == ("a", found.annex)


def test_the_very_version_is_fetched_whatever_came_later(references: S3References, versioned: Keys) -> None:
    (found,) = references.resolve(versioned.put("a", b"first"), checksum=True, limit=1)
    versioned.put("a", b"second")
    assert read(references, found) == b"first"
    versioned.remove("a")
    assert read(references, found) == b"first"
    with pytest.raises(NotFoundError):
        list(references.resolve(found.uri, checksum=True, limit=1))


def test_a_version_in_the_uri_is_meant(references: S3References, versioned: Keys) -> None:
    uri = versioned.put("a", b"first")
    first = f"{uri}?versionId={versioned.version('a')}"
    versioned.put("a", b"second")
    (found,) = references.resolve(first, checksum=True, limit=1)
    assert (found.uri, found.size) == (first, 5)
    assert read(references, found) == b"first"
    assert read(references, ReferencedObject("", first, first)) == b"first"
    for other in (f"{uri}?versionId=" + "0" * 32, f"s3://{versioned.bucket}/b/?versionId=1"):
        with pytest.raises(NotFoundError, match="is not there"):
            list(references.resolve(other, checksum=True, limit=1))


def test_a_version_that_was_deleted_is_looked_for_by_its_content(
    references: S3References, server: S3Server, versioned: Keys
) -> None:
    (found,) = references.resolve(versioned.put("a", b"first"), checksum=True, limit=1)
    versioned.put("a", b"second")
    versioned.put("a", b"first")
    versioned.put("a", b"third")
    versioned.put("ab", b"first")
    server.client.delete_object(Bucket=versioned.bucket, Key="a", VersionId=found.annex["versionID"])
    assert read(references, found) == b"first"
    for version in server.client.list_object_versions(Bucket=versioned.bucket, Prefix="a")["Versions"]:
        if version["Key"] == "a" and version["Size"] == 5 and not version["IsLatest"]:
            server.client.delete_object(Bucket=versioned.bucket, Key="a", VersionId=version["VersionId"])
    with pytest.raises(NotFoundError, match="is not there"):
        references.fetch(found)


def test_what_was_replaced_is_an_error(references: S3References, plain: Keys) -> None:
    (found,) = references.resolve(plain.put("a", b"hello"), checksum=True, limit=1)
    plain.put("a", b"other")
    with pytest.raises(CorruptError, match="changed since it was added"):
        references.fetch(found)


def test_a_folder_is_no_object_to_fetch(references: S3References, plain: Keys) -> None:
    plain.put("data/a", b"")
    for uri in (f"s3://{plain.bucket}", f"s3://{plain.bucket}/data", f"s3://{plain.bucket}/data/"):
        with pytest.raises(InvalidValueError, match="is a folder"):
            references.fetch(ReferencedObject("", uri, uri))


@pytest.mark.parametrize("rest", ["", "/", "/nothing", "/nothing/"])
def test_nothing_is_not_found(references: S3References, plain: Keys, rest: str) -> None:
    for bucket, said in (
        (plain.bucket, "is not there$"),
        ("no-such-bucket", "there is no such bucket — correct its name"),
    ):
        with pytest.raises(NotFoundError, match=said):
            list(references.resolve(f"s3://{bucket}{rest}", checksum=True, limit=1))


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "s3://me:secret@bucket/key", "s3://a b/key"])
def test_uris_that_name_no_bucket_are_refused(references: S3References, uri: str) -> None:
    with pytest.raises(InvalidValueError, match="must name a bucket") as caught:
        references.resolve(uri, checksum=False, limit=1)
    assert "secret" not in str(caught.value)


def test_wrong_credentials_are_said_and_not_shown(plain: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    with pytest.raises(StorageError, match="S3 refused") as caught:
        list(S3References().resolve(f"s3://{plain.bucket}", checksum=True, limit=1))
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    with pytest.raises(StorageError, match="needs credentials") as missing:
        list(S3References().resolve(f"s3://{plain.bucket}", checksum=True, limit=1))
    said = f"{caught.value!r} {missing.value!r}"
    assert "canary" not in said
    assert seaweedfs.KEY not in said


@pytest.fixture
def large(plain: Keys, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """Return a bucket whose listings come in pages of a few keys."""
    for folder in ("b", "c/d", "c/e", "f"):
        for at in range(7):
            plain.put(f"top/{folder}/{at}", b"x")
    plain.put("top/a", b"x")
    plain.put("top/z", b"x")
    asked = S3Client.call

    def short(self: S3Client, operation: str, **arguments: object) -> dict[str, Any]:
        more = {"MaxKeys": 3} if operation.startswith("list_object") else {}
        return asked(self, operation, **arguments, **more)

    monkeypatch.setattr(S3Client, "call", short)
    return plain


EXPECTED = ["a", *(f"{folder}/{at}" for folder in ("b", "c/d", "c/e", "f") for at in range(7)), "z"]


@pytest.mark.parametrize("most", [0, 50], ids=["one-by-one", "folders-at-once"])
@pytest.mark.parametrize("place", ["", "/top"])
def test_long_listings_are_whole_and_in_order(
    references: S3References, large: Keys, monkeypatch: pytest.MonkeyPatch, place: str, most: int
) -> None:
    monkeypatch.setattr(listing, "MOST_FOLDERS", most)
    prefix = "" if place else "top/"
    assert list(below(references, f"s3://{large.bucket}{place}")) == [prefix + name for name in EXPECTED]


@frozen
class Denying:
    """A server that does not let these credentials do all that they ask for."""

    client: Any
    denied: frozenset[str]

    def __getattr__(self, operation: str) -> Any:
        if operation not in self.denied:
            return getattr(self.client, operation)

        def refuse(**_: object) -> Any:
            code = "403" if operation == "head_object" else "AccessDenied"
            answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(answer, operation)

        return refuse


def _denied(keys: Keys, *operations: str) -> S3References:
    return S3References(S3Client(connect=lambda: Denying(keys.client, frozenset(operations))))


def test_what_may_not_be_read_is_said(plain: Keys) -> None:
    uri = plain.put("data/a", b"x")
    with pytest.raises(StorageError, match=r"data/a.*403.*let the credentials in use do that"):
        below(_denied(plain, "head_object"), uri)
    with pytest.raises(StorageError, match=r"AccessDenied.*let the credentials in use do that"):
        below(_denied(plain, "list_objects_v2"), f"s3://{plain.bucket}/data")
    (found,) = S3References().resolve(uri, checksum=True, limit=1)
    with pytest.raises(StorageError, match="AccessDenied"):
        _denied(plain, "get_object").fetch(found)


def test_who_may_read_below_a_folder_only_can_refer_to_it(versioned: Keys) -> None:
    uri = versioned.put("data/a", b"x")
    found = below(_denied(versioned, "head_object"), f"s3://{versioned.bucket}/data")
    assert found["a"].annex["versionID"]
    for operation in ("get_bucket_versioning", "list_object_versions"):
        listed = below(_denied(versioned, operation), f"s3://{versioned.bucket}/data")
        assert {path: (each.uri, sorted(each.annex)) for path, each in listed.items()} == {"a": (uri, ["etag"])}


@pytest.mark.parametrize("name", ["a?versionId=1", "a?versionId=null"])
def test_a_name_that_looks_like_a_version_is_written_with_its_own(
    references: S3References, plain: Keys, name: str
) -> None:
    uri = plain.put(f"data/{name}", b"x")
    found = below(references, f"s3://{plain.bucket}/data")
    assert {path: each.uri for path, each in found.items()} == {name: f"{uri}?versionId=null"}
    assert read(references, found[name]) == b"x"


def test_long_listings_end_at_the_limit(references: S3References, large: Keys) -> None:
    assert len(below(references, f"s3://{large.bucket}/top", limit=len(EXPECTED))) == len(EXPECTED)
    with pytest.raises(InvalidValueError, match="Exceeded 29 objects tracked, pass max_objects"):
        below(references, f"s3://{large.bucket}/top", limit=29)
    first = next(iter(references.resolve(f"s3://{large.bucket}/top", checksum=True, limit=99)))
    assert first.path == "a"


def test_a_page_that_fails_in_a_folder_is_an_error(references: S3References, large: Keys) -> None:
    def call(operation: str, **arguments: object) -> dict[str, Any]:
        if str(arguments.get("Prefix")).startswith("top/c/") and "ContinuationToken" in arguments:
            msg = "broken"
            raise StorageError(msg)
        return references.client.call(operation, **arguments)

    class Failing(S3Client):
        def call(self, operation: str, **arguments: object) -> dict[str, Any]:
            return call(operation, **arguments)

    with pytest.raises(StorageError, match="broken"):
        below(S3References(Failing()), f"s3://{large.bucket}/top")


def test_what_breaks_off_goes_on_where_it_broke_off(server: S3Server, plain: Keys) -> None:
    """The body of the first answers ends early; the stream asks for the rest."""
    content = bytes(range(256)) * 20_000
    (found,) = S3References().resolve(plain.put("a", content), checksum=True, limit=1)
    asked: list[str] = []

    class Short:
        def __getattr__(self, operation: str) -> Any:
            def call(**arguments: Any) -> Any:
                answer = getattr(server.client, operation)(**arguments)
                asked.append(arguments.get("Range", "whole"))
                if operation == "get_object" and len(asked) < 3:
                    answer["Body"] = BytesIO(answer["Body"].read(1 << 20))
                return answer

            return call

    references = S3References(S3Client(connect=Short, pause=lambda _: None))
    assert read(references, found) == content
    assert asked == ["whole", f"bytes=1048576-{len(content) - 1}", f"bytes=2097152-{len(content) - 1}"]
