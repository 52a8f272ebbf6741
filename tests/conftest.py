"""What holds for every test: its own home folder, no settings from outside, and how hard Hypothesis tries."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fast", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "fast")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs in its background so
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a home folder of its own and none of the variables of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("MUNIMENT_", "WANDB_")):
            monkeypatch.delenv(name)
    home = tmp_path / "muniment-home"
    monkeypatch.setenv("MUNIMENT_HOME", str(home))
    return home
