"""Stores for tests: everything in memory, or the ledger in a SQLite file and the rest in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from attrs import define, evolve, field

from muniment.adapters import signing
from muniment.adapters.blobs.cache import BlobCache
from muniment.adapters.blobs.memory import MemoryBlobStore
from muniment.adapters.file_memory import SqliteFileMemory
from muniment.adapters.ledger.memory import MemoryLedger
from muniment.adapters.ledger.sqlite import SqliteLedger
from muniment.adapters.manifests import MsgpackManifestCodec
from muniment.adapters.references.file import FileReferences
from muniment.adapters.vault.memory import MemoryVault
from muniment.adapters.views import sqlite as rows
from muniment.adapters.views.memory import MemoryViews
from muniment.app import directory
from muniment.app.config import load
from muniment.app.places import Places
from muniment.app.projections import FOLDS
from muniment.app.store import Store
from muniment.domain.checkpoint import log_name
from muniment.domain.ports import Context, Fold, Ledger
from muniment.domain.projection import Projections
from muniment.domain.values import Micros

START: Micros = 1_700_000_000_000_000
"""When the tests' clocks begin: in November 2023."""


@define
class Clock:
    """A clock that goes on by one microsecond whenever it is asked, and that can be set."""

    now: Micros = START

    def __call__(self) -> Micros:
        self.now += 1
        return self.now


class ProjectedLedger(Ledger, Protocol):
    """A ledger, and the batched projections in the same place."""

    @property
    def projections(self) -> Projections: ...


def memory_ledger(clock: Callable[[], Micros], folds: Sequence[Fold] = FOLDS) -> MemoryLedger:
    return MemoryLedger.empty(MemoryViews, folds, clock)


def sqlite_ledger(path: Path, clock: Callable[[], Micros], folds: Sequence[Fold] = FOLDS) -> SqliteLedger:
    return SqliteLedger.in_file(path, rows, rows.SqliteViews, folds, clock)


def memory_store(folder: Path) -> Store:
    """Return a store that ends with its process; *folder* is for its key and for what is remembered of files."""
    clock = Clock()
    return store_on(memory_ledger(clock), folder, clock)


def sqlite_store(folder: Path) -> Store:
    """Return a store whose ledger is a file in *folder*."""
    clock = Clock()
    return store_on(sqlite_ledger(folder / "ledger.sqlite3", clock), folder, clock)


def store_on(ledger: ProjectedLedger, folder: Path, clock: Callable[[], Micros]) -> Store:
    """Return a store on this ledger, entered by its first admin, ``ada``."""
    vault = MemoryVault(ledger.origin, clock)
    context = directory.enter(ledger, vault, "ada", organisation="local", team="local", project="uncategorized")
    return join(ledger, folder, clock, context, vault)


def join(
    ledger: ProjectedLedger,
    folder: Path,
    clock: Callable[[], Micros],
    context: Context,
    vault: MemoryVault | None = None,
) -> Store:
    """Return a store on this ledger, acted on by somebody who is known there."""
    blobs = MemoryBlobStore()
    name = log_name(ledger.origin)
    return Store(
        config=load({"MUNIMENT_HOME": str(folder), "MUNIMENT_ACTOR": "ada"}),
        ledger=ledger,
        vault=vault or MemoryVault(ledger.origin, clock),
        blobs=blobs,
        cache=BlobCache(folder / "cache"),
        codec=MsgpackManifestCodec(),
        files=SqliteFileMemory(folder / "files.sqlite3"),
        references={"file": FileReferences()},
        clock=clock,
        make_signer=lambda: signing.SigningKey.at(folder / "signing.key", name),
        notary=signing.Notary(),
        context=context,
        places=Places(str(folder / "blobs"), MemoryPlaces()),
        projections=ledger.projections,
    )


@define
class MemoryPlaces:
    """Places in memory: what was put under a URL is there when it is opened again."""

    held: dict[str, MemoryBlobStore] = field(factory=dict)

    def __call__(self, url: str) -> MemoryBlobStore:
        return self.held.setdefault(url, MemoryBlobStore())


def as_login(store: Store, login: str) -> Store:
    """Return the same store, acted on by somebody else."""
    return evolve(store, context=evolve(store.context, actor=directory.principal(store, login)))
