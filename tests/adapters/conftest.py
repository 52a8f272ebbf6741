"""A vault in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from muniment.adapters.vault.sqlite import SqliteVault
from tests.vaults import at


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def vault(folder: Path) -> Iterator[SqliteVault]:
    vault = at(folder)
    yield vault
    vault.close()
