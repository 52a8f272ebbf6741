"""The store as use cases see it: its parts, and who acts on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol

from attrs import define, evolve

from muniment.app.config import Config
from muniment.app.transact import Request, Steps, transact
from muniment.domain.checkpoint import Checkpoint
from muniment.domain.ports import (
    BlobStore,
    Context,
    FileMemory,
    Ledger,
    ManifestCodec,
    Receipt,
    ReferenceStore,
    SlotDraft,
    Vault,
    Views,
)
from muniment.domain.values import Json, Micros, Personal, RunId


class Signer(Protocol):
    """Signs the checkpoints of this store."""

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the signed note of a checkpoint."""
        ...

    def verifier_key(self) -> str:
        """Return the key with which anybody can check the signatures."""
        ...


@define(slots=False)
class Store:
    """Everything that a use case may need, put together by the composition root."""

    config: Config
    ledger: Ledger
    vault: Vault
    blobs: BlobStore
    cache: BlobStore
    codec: ManifestCodec
    files: FileMemory
    references: Mapping[str, ReferenceStore]
    clock: Callable[[], Micros]
    make_signer: Callable[[], Signer]
    check_note: Callable[[str, str], Checkpoint]
    context: Context

    @property
    def views(self) -> Views:
        """The committed rows."""
        return self.ledger.views

    @cached_property
    def signer(self) -> Signer:
        """What signs checkpoints; its key is made when it is first needed."""
        return self.make_signer()

    @property
    def staging(self) -> Path:
        """The folder where files wait to be logged."""
        data = self.config["data_dir"]
        return Path(data).expanduser().absolute() / "staging" if data else self.config.home / "staging"

    def acting(self, *, source: str | None = None, run: RunId | None = None) -> Store:
        """Return the same store, acted on from another place or inside a run."""
        context = evolve(self.context, source=source or self.context.source, run=run or self.context.run)
        return evolve(self, context=context)

    def transact(self, request: Request, decide: Callable[[Steps], Json]) -> Receipt:
        """Run one command as whoever acts."""
        return transact(self.ledger, self.context, request, decide)

    def keep(self, owner: str, **values: Json | None) -> dict[str, Personal[Json] | None]:
        """Put personal values into the vault in one batch; ``None`` stays ``None``."""
        drafts = [SlotDraft(owner, field, value) for field, value in values.items() if value is not None]
        kept = iter(self.vault.put_many(drafts)) if drafts else iter(())
        return {field: None if value is None else next(kept) for field, value in values.items()}
