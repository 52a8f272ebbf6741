"""References through fsspec: the suite of their port, and what stores with checksums and generations add."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5, sha256
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any, ClassVar

import fsspec
import pytest
from attrs import evolve, frozen
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from fsspec.utils import infer_storage_options
from gcsfs.retry import HttpError

from muniment.adapters.references.fsspec import FsspecReferences, answers_for
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, StorageError
from muniment.domain.ports import ReferencedObject, ReferenceStore
from tests.conformance.references import Place, ReferencesConformance, VersionsConformance
from tests.conformance.tracking import TrackingConformance
from tests.fsspec_kinds import Failing


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@frozen
class Held:
    """Objects of a file system of fsspec below one URL."""

    files: Any
    root: str
    url: str

    def put(self, name: str, content: bytes) -> str:
        path = f"{self.root}/{name}"
        self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.files.pipe_file(path, content)
        return f"{self.url}/{name}"

    def remove(self, name: str) -> None:
        self.files.rm_file(f"{self.root}/{name}")


class TestMemory(ReferencesConformance):
    @pytest.fixture
    def place(self) -> Held:
        return Held(MemoryFileSystem(), "/bucket/folder", "memory://bucket/folder")

    @pytest.fixture
    def store(self) -> ReferenceStore:
        return FsspecReferences(("memory",))

    def test_a_prefix_means_a_folder(self, store: ReferenceStore, place: Held) -> None:
        names = ["data/a/c", "data/a-b", "data/a.b", "data/ä", "data2/x", "data.txt"]
        for name in names:
            place.put(name, name.encode())
        for uri in ("memory://bucket/folder/data", "memory://bucket/folder/data/"):
            found = list(store.resolve(uri, checksum=True, limit=4))
            assert [each.path for each in found] == sorted(["a/c", "a-b", "a.b", "ä"], key=str.encode)
            assert [each.uri for each in found] == [f"memory://bucket/folder/data/{each.path}" for each in found]
            for each in found:
                assert each.digest == f"sha256:{sha256(f'data/{each.path}'.encode()).hexdigest()}"
                with store.fetch(each) as stream:
                    assert stream.read() == f"data/{each.path}".encode()
            with pytest.raises(InvalidValueError, match="Exceeded 3 objects tracked"):
                list(store.resolve(uri, checksum=True, limit=3))

    def test_a_folder_cannot_be_fetched(self, store: ReferenceStore, place: Held) -> None:
        place.put("data/a", b"")
        (found,) = store.resolve("memory://bucket/folder/data", checksum=False, limit=1)
        with pytest.raises(InvalidValueError, match="is a folder"):
            store.fetch(found)

    def test_another_size_is_another_object(self, store: ReferenceStore, place: Held) -> None:
        (found,) = store.resolve(place.put("a", b"hello"), checksum=True, limit=1)
        place.put("a", b"longer")
        with pytest.raises(CorruptError, match="changed since it was added"):
            store.fetch(found)


class TestFiles(ReferencesConformance):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Held(LocalFileSystem(), str(tmp_path), tmp_path.as_uri())

    @pytest.fixture
    def store(self) -> ReferenceStore:
        return FsspecReferences(("file",))


if OWN := os.environ.get("FSSPEC_TEST_URL"):
    SCHEME = OWN.partition("://")[0]

    class TestOwn(ReferencesConformance):
        """A place of one's own, such as ``gs://bucket/prefix``; what is put there is left there."""

        @pytest.fixture
        def place(self) -> Place:
            files, root = fsspec.core.url_to_fs(f"{OWN}/{token_hex(8)}")
            return Held(files, root, f"{SCHEME}://{root}")

        @pytest.fixture
        def store(self) -> ReferenceStore:
            return FsspecReferences((SCHEME,))


class Bucket(MemoryFileSystem):  # type: ignore[misc] # fsspec ships no types
    """Speaks as gcsfs does of a bucket that keeps every generation, or the last one only."""

    protocol = "gs"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    kept: ClassVar[dict[str, dict[str, bytes]]] = {}
    numbers: ClassVar[Iterator[int]] = count(1)
    keeping: ClassVar[bool] = True
    remembering: ClassVar[bool] = False
    cut: ClassVar[int] = 0
    swapped: ClassVar[bytes] = b""

    def __init__(self, *, version_aware: bool = False, **more: Any) -> None:
        super().__init__(**more)
        self.version_aware = version_aware

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("gs://").strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        return {"version_aware": True} if path.rpartition("#")[2].isdigit() else {}

    def info(self, path: str, **__: Any) -> dict[str, Any]:
        name, asked = self._split(path)
        held = self.kept.get(name, {})
        found: dict[str, Any] = {"name": name, "type": "file"} if asked and held else super().info(name)
        if found["type"] == "directory":
            return found
        if asked and asked not in held:
            raise FileNotFoundError(path)
        number = asked or list(held)[-1]
        content = held[number]
        checksum = b64encode(md5(content, usedforsecurity=False).digest()).decode()
        facts = {"generation": number, "etag": f"C{number}=", "md5Hash": checksum, "contentType": "text/x"}
        return found | facts | {"size": len(content)}

    def find(self, path: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().find(path, **more)
        return {name: self.info(name) for name in found}

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **__: Any) -> bytes:
        name, asked = self._split(path)
        content = self.kept[name][asked or list(self.kept[name])[-1]]
        return (self.swapped or content)[start:end][self.cut :]

    def _split(self, path: str) -> tuple[str, str]:
        name, _, asked = path.rpartition("#") if self.version_aware else (path, "", "")
        return (name, asked) if name else (path, "")


@frozen
class Kept:
    """A bucket of that kind."""

    files: Bucket

    def put(self, name: str, content: bytes) -> str:
        self.files.pipe_file(f"/bucket/{name}", content)
        held = self.files.kept.setdefault(f"/bucket/{name}", {})
        if not self.files.keeping:
            held.clear()
        held[str(next(self.files.numbers))] = content
        return self.uri(name)

    def uri(self, name: str) -> str:
        return f"gs://bucket/{name}"

    def version(self, name: str) -> str:
        return f"{self.uri(name)}#{list(self.files.kept[f'/bucket/{name}'])[-1]}"

    def remove(self, name: str) -> None:
        self.files.rm_file(f"/bucket/{name}")
        if not self.files.remembering:
            del self.files.kept[f"/bucket/{name}"]


@pytest.fixture
def bucket() -> Iterator[Kept]:
    fsspec.register_implementation("gs", Bucket, clobber=True)
    yield Kept(Bucket())
    _registry.pop("gs")
    Bucket.store.clear()
    Bucket.kept.clear()
    Bucket.remembering = False
    Bucket.keeping, Bucket.cut, Bucket.swapped = True, 0, b""


class TestGenerations(ReferencesConformance):
    @pytest.fixture
    def place(self, bucket: Kept) -> Place:
        return bucket

    @pytest.fixture
    def store(self) -> ReferenceStore:
        return FsspecReferences(("gs",))

    def test_the_checksum_is_the_digest_and_the_generation_is_kept(self, store: ReferenceStore, bucket: Kept) -> None:
        (found,) = store.resolve(bucket.put("a", b"hello"), checksum=True, limit=1)
        (again,) = store.resolve(bucket.put("a", b"hello"), checksum=True, limit=1)
        assert found.digest == again.digest == "XUFAKrxLKna5cZ2REBfFkg=="
        assert found.annex["versionID"] != again.annex["versionID"]
        assert {**found.annex, "etag": "", "versionID": ""} == {
            "etag": "",
            "md5": found.digest,
            "contentType": "text/x",
            "versionID": "",
        }

    @pytest.mark.parametrize("form", ["{uri}#{number}", "{uri}?generation={number}"])
    def test_a_generation_can_be_asked_for(self, store: ReferenceStore, bucket: Kept, form: str) -> None:
        (old,) = store.resolve(bucket.put("a", b"old"), checksum=True, limit=1)
        bucket.put("a", b"newer")
        uri = form.format(uri=old.uri, number=old.annex["versionID"])
        (found,) = store.resolve(uri, checksum=True, limit=1)
        assert found == evolve(old, uri=uri)
        with store.fetch(found) as stream:
            assert stream.read() == b"old"

    def test_what_was_added_is_fetched_as_long_as_the_bucket_keeps_it(
        self, store: ReferenceStore, bucket: Kept
    ) -> None:
        (old,) = store.resolve(bucket.put("a", b"old"), checksum=True, limit=1)
        bucket.put("a", b"new")
        with store.fetch(old) as stream:
            assert stream.read() == b"old"
        Bucket.keeping = False
        bucket.put("a", b"old")
        with store.fetch(old) as stream:
            assert stream.read() == b"old", "another generation, the same content"
        bucket.put("a", b"newest")
        with pytest.raises(CorruptError, match="changed since it was added"):
            store.fetch(old)
        bucket.remove("a")
        with pytest.raises(NotFoundError, match="is not there"):
            store.fetch(old)

    def test_an_etag_tells_that_an_object_is_another(self, store: ReferenceStore, bucket: Kept) -> None:
        (old,) = store.resolve(bucket.put("a", b"old"), checksum=True, limit=1)
        bucket.put("a", b"new")
        with pytest.raises(CorruptError, match="changed since it was added"):
            store.fetch(evolve(old, annex={"etag": old.annex["etag"]}))

    def test_bytes_without_the_checksum_are_refused_at_their_end(self, store: ReferenceStore, bucket: Kept) -> None:
        (old,) = store.resolve(bucket.put("a", b"old"), checksum=True, limit=1)
        Bucket.swapped = b"odd"
        with store.fetch(old) as stream, pytest.raises(CorruptError):
            stream.read()

    def test_a_body_that_ends_too_early_is_an_error(self, store: ReferenceStore, bucket: Kept) -> None:
        (old,) = store.resolve(bucket.put("a", b"hello"), checksum=True, limit=1)
        Bucket.cut = 2
        with store.fetch(old) as stream, pytest.raises(StorageError, match="broke off: 3 of 5 bytes"):
            stream.read()

    def test_marks_that_stand_for_folders_are_no_objects(self, store: ReferenceStore, bucket: Kept) -> None:
        bucket.put("data/a", b"x")
        Bucket.store["/bucket/data/"] = Bucket.store["/bucket/data/a"]
        Bucket.kept["/bucket/data/"] = {"1": b""}
        found = [each.path for each in store.resolve("gs://bucket/data", checksum=True, limit=9)]
        assert found == ["a"]


class TestKeptGenerations(VersionsConformance):
    @pytest.fixture
    def versions(self, bucket: Kept) -> Kept:
        Bucket.remembering = True
        return bucket

    @pytest.fixture
    def store(self) -> ReferenceStore:
        return FsspecReferences(("gs",))


class TestTrackedGenerations(TrackingConformance):
    keeps = True

    @pytest.fixture
    def place(self, bucket: Kept) -> Place:
        Bucket.remembering = True
        return bucket


class Cutting(MemoryFileSystem):  # type: ignore[misc] # fsspec ships no types
    """Takes a path for a URL, as sftp and smb do."""

    protocol = "cutting"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(infer_storage_options(path)["path"])


@pytest.mark.parametrize("name", ["a?b", "data/a?b/c"])
def test_names_that_a_package_would_cut_are_refused(name: str) -> None:
    fsspec.register_implementation("cutting", Cutting, clobber=True)
    with pytest.raises(InvalidValueError, match=r"the package of cutting:// reads otherwise"):
        list(FsspecReferences(("cutting",)).resolve(f"cutting://host/{name}", checksum=True, limit=1))


@pytest.mark.parametrize("error", [PermissionError("no"), HttpError({"code": 403, "message": "canary"})])
def test_what_the_credentials_may_not_is_said(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    fsspec.register_implementation("failing", Failing, clobber=True)
    monkeypatch.setattr(Failing, "error", error, raising=False)
    with pytest.raises(StorageError, match=r"'failing://bucket/a' is refused to the credentials in use") as caught:
        list(FsspecReferences(("failing",)).resolve("failing://bucket/a", checksum=True, limit=1))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("name", ["a:b", "a?b", "a#1"])
def test_of_a_name_that_the_package_would_take_apart_the_last_generation_is_read(bucket: Kept, name: str) -> None:
    store = FsspecReferences(("gs",))
    uri = bucket.put(name, b"old") + "#" + bucket.version(name).rpartition("#")[2]
    (found,) = store.resolve(uri, checksum=True, limit=1)
    with store.fetch(found) as stream:
        assert stream.read() == b"old"
    bucket.put(name, b"old")
    with store.fetch(found) as stream:
        assert stream.read() == b"old"
    bucket.put(name, b"new")
    with pytest.raises(CorruptError, match="changed since it was added"):
        store.fetch(found)
    with pytest.raises(NotFoundError, match="the last generation only can be read"):
        list(store.resolve(uri, checksum=True, limit=1))


@pytest.mark.parametrize(
    ("uri", "message"),
    [("sftp://ada:secret@host/a", "may not hold a password"), ("sftp://host?a", "names no place")],
)
def test_uris_that_cannot_be_kept_are_refused(uri: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        FsspecReferences(("sftp",)).resolve(uri, checksum=False, limit=1)
    assert "secret" not in str(caught.value)


def test_a_package_that_is_missing_is_named() -> None:
    fsspec.register_implementation("missing", "nowhere.Files", errtxt="install nowhere", clobber=True)
    found = FsspecReferences(("missing",)).resolve("missing://bucket/a", checksum=True, limit=1)
    with pytest.raises(StorageError, match=r"needs a package of its own — install nowhere"):
        list(found)


def test_without_checksum_no_package_is_needed() -> None:
    store = FsspecReferences(("missing",))
    assert list(store.resolve("missing://bucket/a", checksum=False, limit=1)) == [
        ReferencedObject("", "missing://bucket/a", "missing://bucket/a")
    ]


@pytest.mark.parametrize(
    ("scheme", "ours"),
    [("gs", True), ("az", True), ("abfs", True), ("memory", True), ("s3", False), ("file", False), ("zip", False)],
)
def test_which_schemes_are_ours(scheme: str, *, ours: bool) -> None:
    assert answers_for(scheme) is ours
    assert not answers_for("nobody-knows")
