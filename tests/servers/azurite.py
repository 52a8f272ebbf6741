"""An emulator of Azure's blob storage for the tests: Azurite, which runs on Node and so is no wheel.

``.ci/setup`` installs it. In CI a missing one is an error; elsewhere the tests that want it are skipped, and say so.
"""

from __future__ import annotations

import os
import secrets
import shutil
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Final

import fsspec
import pytest

from tests.servers.program import Program, start

BINARY: Final = Path(__file__).parents[2] / ".ci" / "tools" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
ACCOUNT: Final = "muniment"
KEY: Final = b64encode(secrets.token_bytes(64)).decode()
MISSING: Final = "Azurite is not installed, so nothing was tested on Azure's storage — run .ci/setup, which needs npm"
_OPENED: Final[dict[str, object]] = {}
"""The file systems that were opened on the emulator, which fsspec would give to whoever asks for the same URL."""


def _command(port: int, folder: Path) -> list[str | Path]:
    place = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    return [BINARY, *place, "--disableTelemetry", "--skipApiVersionCheck", "--silent"]


@cache
def running() -> Program:
    """Return the server of this process, starting it if need be; skip the test if there is none, but not in CI."""
    if not (BINARY.exists() and shutil.which("node")):
        if os.environ.get("CI") != "true":
            pytest.skip(MISSING)
        raise RuntimeError(MISSING)
    return start(_command, {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"})


def _connection() -> str:
    where = f"BlobEndpoint={running().endpoint}/{ACCOUNT}"
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{where};"


def entered(patch: pytest.MonkeyPatch) -> Program:
    """Return the server of this process, and let adlfs find it by its variable."""
    server = running()
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        patch.delenv(name)
    patch.setenv("AZURE_STORAGE_CONNECTION_STRING", _connection())
    patch.setattr(fsspec.get_filesystem_class("az"), "_cache", _OPENED)
    return server


def container() -> str:
    """Make a fresh container and return its URL."""
    name = f"c-{secrets.token_hex(6)}"
    fsspec.filesystem("az", connection_string=_connection()).mkdir(name)
    return f"az://{name}"
