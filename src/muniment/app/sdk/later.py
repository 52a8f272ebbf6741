"""Names of the library that know each other both ways, such as artifacts and runs: looked up when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def later(module: str, name: str) -> Any:  # noqa: ANN401 (a class or function of the library)
    """Return a name of another module of the library."""
    return getattr(import_module(f"muniment.app.sdk.{module}"), name)
