"""Processes that write to one ledger; a module of its own, so that spawned ones can import it."""

from __future__ import annotations

import os
from pathlib import Path

from muniment.domain.ports import Context
from tests.acts import Acts
from tests.stores import Clock, join, sqlite_ledger


def write(path: Path, context: Context, name: str, times: int) -> None:
    """Log so many versions of one artifact, each with the same alias, and as many of one that has this *name*."""
    clock = Clock()
    store = join(sqlite_ledger(path, clock), path.parent, clock, context)
    for number in range(times):
        Acts(store).log("model", f"{name}-{number}", aliases=("best",))
        Acts(store).log(name, number)
    store.ledger.close()


def write_for_ever(path: Path, context: Context, name: str, acknowledge: int) -> None:
    """Log versions without end; write the id of each to a pipe once it is there."""
    clock = Clock()
    store = join(sqlite_ledger(path, clock), path.parent, clock, context)
    number = 0
    while True:
        logged = Acts(store).log("model", f"{name}-{number}", aliases=("best",), tags=(f"t{number}",))
        os.write(acknowledge, f"{logged.version_id}\n".encode())
        number += 1
