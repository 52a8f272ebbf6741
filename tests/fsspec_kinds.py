"""File systems for tests of what speaks to fsspec: some that are less able than others, one that fails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem

from tests.servers import azurite, gcs

_LARGE_BODIES = pytest.mark.filterwarnings(  # from aiohttp, below both packages: they hand it bytes, as they were given
    "ignore:Sending a large body directly with raw bytes might lock the event loop:ResourceWarning:aiohttp.payload"
)
EMULATED = [pytest.param(scheme, marks=_LARGE_BODIES) for scheme in ("gs", "az")]
"""The schemes of the stores that emulators stand for, as parameters of tests."""


def emulated(scheme: str, patch: pytest.MonkeyPatch) -> str:
    """Return the URL of a fresh bucket on an emulator, which the package of the scheme finds while *patch* holds."""
    if scheme == "gs":
        gcs.entered(patch)
        return gcs.bucket()
    azurite.entered(patch)
    return azurite.container()


class RenamingFileSystem(LocalFileSystem):  # type: ignore[misc] # fsspec ships no types
    """Files of this machine that nobody can link, as on a file server."""

    protocol = "renaming"
    local_file = False


class OverwritingFileSystem(MemoryFileSystem):  # type: ignore[misc] # fsspec ships no types
    """Takes the wish to create only, and does as it likes."""

    protocol = "overwriting"
    store: dict[str, Any] = {}  # noqa: RUF012 (as in fsspec)
    pseudo_dirs = [""]  # noqa: RUF012

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        del mode
        super().pipe_file(path, value, mode="overwrite", **more)


class ServedFileSystem(AsyncFileSystem):  # type: ignore[misc] # fsspec ships no types
    """Speaks as gcsfs and adlfs do of a server that creates objects atomically."""

    protocol = "served"
    held: ClassVar[dict[str, bytes]] = {}
    written: ClassVar[datetime] = datetime(2026, 3, 3, tzinfo=UTC)
    meanwhile: ClassVar[Callable[[str], object]] = id

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        if path in self.held:
            return {"name": path, "size": len(self.held[path]), "type": "file", "LastModified": self.written}
        if any(name.startswith(f"{path}/") for name in tuple(self.held)):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    async def _find(self, path: str, **_: Any) -> dict[str, Any]:
        return {name: await self._info(name) for name in sorted(self.held) if name.startswith(f"{path}/")}

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        if path not in self.held:
            raise FileNotFoundError(path)
        return self.held[path][start:end]

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        if mode == "create" and path in self.held:
            raise FileExistsError(path)
        self.held[path] = value

    async def _put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **_: Any) -> None:
        content = Path(lpath).read_bytes()  # noqa: ASYNC240 (nobody waits here)
        await self._pipe_file(rpath, content, mode)
        type(self).meanwhile(lpath)

    async def _rm_file(self, path: str, **_: Any) -> None:
        if self.held.pop(path, None) is None:
            raise FileNotFoundError(path)


class Failing(AbstractFileSystem):  # type: ignore[misc] # fsspec ships no types
    """A backend that is not well."""

    protocol = "failing"
    error: Exception
    short = False

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        if self.short:
            return {"name": path, "size": 10, "type": "file"}
        raise self.error

    def ls(self, *_: Any, **__: Any) -> list[Any]:
        raise self.error

    def cat_file(self, *_: Any, **__: Any) -> bytes:
        if self.short:
            return b"123"
        raise self.error
