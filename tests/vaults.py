"""Vaults for tests: where one is, and what its files hold."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from muniment.adapters.vault.sqlite import SqliteVault
from tests.conformance.vault import Clock

ORIGIN = "5eed" * 8


def at(folder: Path, clock: Clock | None = None) -> SqliteVault:
    return SqliteVault.at(folder, folder / "master.key", ORIGIN, clock=clock or Clock())


def sql(path: Path, statement: str, *values: str | bytes) -> list[tuple[str | bytes, ...]]:
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "master.key")
