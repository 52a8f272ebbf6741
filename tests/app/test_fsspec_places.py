"""Places that fsspec reaches, by their URLs: what references lead to and where blobs are kept."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from muniment.app.bootstrap import open_store
from muniment.app.config import load
from muniment.app.files import reference
from muniment.app.files.staging import Staging
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError
from muniment.domain.values import Digest


@pytest.fixture
def files() -> Iterator[MemoryFileSystem]:
    yield MemoryFileSystem()
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(load({"MUNIMENT_HOME": str(tmp_path / "home"), "MUNIMENT_ACTOR": "ada"}))
    yield opened
    opened.ledger.close()


def test_any_url_that_fsspec_knows_can_be_referred_to(store: Store, files: MemoryFileSystem) -> None:
    files.pipe_file("/bucket/data/a", b"hello")
    (entry,) = reference.resolve(store, "memory://bucket/data", "images")
    assert (entry.path, entry.size, entry.ref) == ("images/a", 5, "memory://bucket/data/a")
    assert "memory" in list(store.references)
    assert len(store.references) == len(list(store.references))


def test_what_nobody_knows_is_tracked_by_its_uri_alone(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    (entry,) = reference.resolve(store, "nobody-knows://bucket/a", "a")
    assert (entry.digest, entry.size) == ("nobody-knows://bucket/a", None)
    assert "tracked by their URI alone" in caplog.text
    with pytest.raises(InvalidValueError, match="give a name"):
        reference.resolve(store, "nobody-knows://bucket/a")


def test_without_fsspec_its_schemes_are_unknown(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muniment.adapters.references.by_scheme.find_spec", lambda _: None)
    assert store.references.get("memory") is None
    assert store.references.get("https") is not None


def test_a_store_loads_no_way_to_read_references_before_it_is_used() -> None:
    code = (
        "import sys; from muniment.app.bootstrap import open_store; from muniment.app.config import load;"
        "store = open_store(load()); names = ('http.client', 'boto3', 'fsspec');"
        "assert not any(name in sys.modules for name in names);"
        "store.references['http']; assert 'http.client' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fsspec_is_loaded_only_when_it_is_used(tmp_path: Path) -> None:
    code = (
        "import sys; from muniment.app.bootstrap import open_store; from muniment.app.config import load;"
        "store = open_store(load()); store.references['file']; assert 'fsspec' not in sys.modules;"
        "store.references['memory']; assert 'fsspec' in sys.modules"
    )
    environment = {"MUNIMENT_HOME": str(tmp_path / "home"), "MUNIMENT_ACTOR": "ada", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def _put(store: Store, path: Path, content: str) -> str:
    path.write_text(content)
    with Staging(store) as staging:
        staged = staging.add_files([(str(path), path.name)])
        (result,) = store.blobs.put_many([each.source for each in staged if each.source is not None])
    assert result.error is None
    return str(result.digest)


@pytest.mark.parametrize("size", [6, 300_000], ids=["small", "large"])
def test_blobs_are_kept_where_fsspec_reaches(tmp_path: Path, files: MemoryFileSystem, size: int) -> None:
    places = {"MUNIMENT_HOME": str(tmp_path / "home"), "MUNIMENT_ACTOR": "ada", "MUNIMENT_BLOBS": "memory://bucket/us"}
    store = open_store(load(places))
    digest = Digest(_put(store, tmp_path / "a.txt", "x" * size))
    assert [name.startswith("/bucket/us/") for name in files.find("/bucket/us")] == [True]
    store.ledger.close()
    shutil.rmtree(tmp_path / "home" / "remote")  # what is remembered there may be lost
    again = open_store(load(places))
    assert again.blobs.get(digest) == b"x" * size
    assert [each.error for each in again.blobs.delete_many([digest])] == [None]
    assert files.find("/bucket/us") == []
    again.ledger.close()
