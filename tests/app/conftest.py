"""What the tests of the use cases begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.scene import Scene
from tests.stores import Clock, memory_store


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return a new store, on which its admin ``ada`` acts."""
    store = memory_store(tmp_path)
    assert isinstance(store.clock, Clock)
    return Scene(store, store.clock)
