"""Google's and Azure's stores, as their emulators show them: the machine of objects, and references.

The suites of objects and of packs run on them beside the other kinds of file systems, in ``test_fsspec_objects.py``.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5
from typing import Any

import fsspec
import pytest
from attrs import frozen

from muniment.adapters.blobs.fsspec import FsspecObjectStore
from muniment.adapters.references.fsspec import FsspecReferences
from muniment.domain.errors import CorruptError
from muniment.domain.ports import ReferenceStore
from tests.adapters.test_fsspec_objects import packed
from tests.conformance import blob_store
from tests.conformance.object_store import machine_for
from tests.conformance.references import Place, ReferencesConformance
from tests.fsspec_kinds import EMULATED, emulated
from tests.servers import azurite, gcs


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> None:
    gcs.entered(monkeypatch)


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> None:
    azurite.entered(monkeypatch)


TestGoogleMachine = pytest.mark.usefixtures("google")(
    machine_for(lambda: FsspecObjectStore.at(f"{gcs.bucket()}/store"), examples=5)
)
TestAzureMachine = pytest.mark.usefixtures("azure")(
    machine_for(lambda: FsspecObjectStore.at(f"{azurite.container()}/store"), examples=5)
)
TestGooglePacksMachine = pytest.mark.usefixtures("google")(
    blob_store.machine_for(lambda: packed(f"{gcs.bucket()}/store"), examples=3)
)
TestAzurePacksMachine = pytest.mark.usefixtures("azure")(
    blob_store.machine_for(lambda: packed(f"{azurite.container()}/store"), examples=3)
)


@frozen
class Bucket:
    """A folder of a fresh bucket."""

    files: Any
    root: str
    url: str

    def put(self, name: str, content: bytes) -> str:
        self.files.pipe_file(f"{self.root}/{name}", content)
        return f"{self.url}/{name}"

    def remove(self, name: str) -> None:
        self.files.rm_file(f"{self.root}/{name}")


class TestReferences(ReferencesConformance):
    """The suite of references, and what is known of an object on each."""

    @pytest.fixture(params=EMULATED)
    def place(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
        url = f"{emulated(request.param, monkeypatch)}/folder"
        files, root = fsspec.core.url_to_fs(url)
        return Bucket(files, root, url)

    @pytest.fixture
    def store(self) -> ReferenceStore:
        return FsspecReferences(("gs", "az"))

    def test_the_digest_is_the_checksum_of_the_store(self, store: ReferenceStore, place: Bucket) -> None:
        (found,) = store.resolve(place.put("a", b"hello"), checksum=True, limit=1)
        assert found.digest == b64encode(md5(b"hello", usedforsecurity=False).digest()).decode()
        assert found.annex["etag"]
        assert ("versionID" in found.annex) == place.url.startswith("gs:")

    def test_an_object_that_changed_is_not_fetched(self, store: ReferenceStore, place: Bucket) -> None:
        (found,) = store.resolve(place.put("a", b"hello"), checksum=True, limit=1)
        place.put("a", b"world")
        with pytest.raises(CorruptError, match="changed since it was added"):
            store.fetch(found)
