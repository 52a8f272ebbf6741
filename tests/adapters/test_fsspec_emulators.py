"""Google's and Azure's stores, as their emulators show them: the machine of objects.

The suites of objects and of packs run on them beside the other kinds of file systems, in ``test_fsspec_objects.py``.
"""

from __future__ import annotations

import pytest

from muniment.adapters.blobs.fsspec import FsspecObjectStore
from tests.conformance.object_store import machine_for
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
