"""Every test of the library works in a folder of its own and leaves no run behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from muniment.app.sdk import recording, session


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path) -> Iterator[Path]:
    """Work in an empty folder, say nothing, and forget the runs of a test that failed."""
    del own_home
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MUNIMENT_SILENT", "true")
    monkeypatch.setenv("MUNIMENT_ACTOR", "ada")
    yield folder
    recording.ACTIVE.clear()
    session.close()
