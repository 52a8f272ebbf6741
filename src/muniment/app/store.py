"""The store as use cases see it: its parts, and who acts on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from attrs import define, evolve, frozen

from muniment.app.config import Config
from muniment.app.places import OWN, Kept, Places, TeamBlobs
from muniment.app.transact import Request, Steps, transact
from muniment.domain.checkpoint import Checkpoint
from muniment.domain.ports import (
    BlobResult,
    BlobStore,
    Context,
    FileMemory,
    Ledger,
    ManifestCodec,
    Receipt,
    Recorded,
    ReferenceStore,
    SlotDraft,
    Vault,
    Views,
)
from muniment.domain.projection import Projections
from muniment.domain.values import Digest, Json, Micros, Personal, Residual, RunId, TeamId


class Signer(Protocol):
    """Signs the checkpoints of this store."""

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the signed note of a checkpoint."""
        ...

    def verifier_key(self) -> str:
        """Return the key with which anybody can check the signatures."""
        ...

    def chain(self) -> str:
        """Return the announcements by which this key followed older ones, joined."""
        ...

    def replace(self, checkpoint: Checkpoint) -> Signer:
        """Put a new key in the place of this one, at this checkpoint; both sign the announcement."""
        ...


class Scrubber(Protocol):
    """Something in which deleted bytes may still lie."""

    def scrub(self) -> Iterator[Residual]:
        """Make it forget what was deleted; yield what may be there still."""
        ...


class Notary(Protocol):
    """Checks signatures; needs no store."""

    def open_note(self, note: str, key: str) -> str:
        """Return the text of a note signed by this key; InvalidValueError if it is not, CorruptError if changed."""
        ...

    def cosigned_at(self, note: str, key: str) -> int | None:
        """Return when a witness of this key signed a note, in seconds since 1970; ``None`` if it did not."""
        ...


class Cache(Protocol):
    """Blobs that were fetched from elsewhere, kept on this machine; it may forget any of them at any time.

    What it returns is as right as what a blob store returns. Where it fails, blobs are fetched as if there were none.
    """

    def around(self, blobs: BlobStore) -> BlobStore:
        """Return the same blobs; what is read of them is kept here, and read from here."""
        ...

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        """Remove blobs from here alone, yielding a result per item; an absent one is a result with ``done=False``.

        Whoever deletes them where they come from does that before: then none stays here that was fetched before.
        """
        ...

    def holds(self, digest: Digest) -> bool:
        """Whether a blob is here, as far as its name tells."""
        ...

    def clear(self) -> bool:
        """Forget all that nobody reads at this moment; whether nothing is left."""
        ...


@frozen
class Scope:
    """The team that a store is seen by: its current place, and the blobs of the store's own place."""

    team_id: TeamId
    place: str | None
    own: BlobStore


@define(slots=False)
class Store:
    """Everything that a use case may need, put together by the composition root.

    *alarm* is why nothing may be written: a witness saw more of the ledger than there is. *blobs* are those of the
    store's own place; in the *scope* of a team, those of its versions (``of_team``). *reading* says that blobs from
    elsewhere are read through the cache (``through_cache``).
    """

    config: Config
    ledger: Ledger
    vault: Vault
    blobs: BlobStore
    cache: Cache
    codec: ManifestCodec
    files: FileMemory
    references: Mapping[str, ReferenceStore]
    clock: Callable[[], Micros]
    make_signer: Callable[[], Signer]
    notary: Notary
    context: Context
    places: Places
    projections: Projections
    scope: Scope | None = None
    alarm: str | None = None
    scrubbers: tuple[Scrubber, ...] = ()
    reading: bool = False

    @property
    def own_blobs(self) -> BlobStore:
        """The blobs of the store's own place, for whomever the store is seen."""
        return self.blobs if self.scope is None else self.scope.own

    def blobs_at(self, place: str | None) -> BlobStore:
        """Return the blobs of one place; ``None`` is the store's own."""
        blobs = self.own_blobs if place is None or self.places.key(place) == OWN else self.places.open(place)
        return self.cache.around(blobs) if self.reading and self.places.is_elsewhere(place) else blobs

    def kept(self, team_id: TeamId) -> Kept:
        """Return where the blobs of a team are."""
        return self.places.of_team(self.ledger, team_id)

    def of_team(self, team_id: TeamId) -> Store:
        """Return the same store with the blobs of a team.

        They are put into the team's current place and read from there, its earlier ones, or the store's own.
        """
        kept, own = self.kept(team_id), self.own_blobs
        others = dict.fromkeys(place for place in (*kept.earlier, None) if place != kept.current)
        alone = {self.places.key(place) for place in kept.needed} == {OWN}
        blobs = (
            self.blobs_at(None)
            if alone
            else TeamBlobs(self.blobs_at(kept.current), tuple(partial(self.blobs_at, place) for place in others))
        )
        return evolve(self, blobs=blobs, scope=Scope(team_id, kept.current, own))

    def through_cache(self) -> Store:
        """Return the same store for handing out bytes: what comes from elsewhere is kept in the cache, and read there.

        Whoever checks, carries or deletes blobs, or decides by what is there, must not read through it.
        """
        if self.reading:
            return self
        reading = evolve(self, reading=True)
        if self.scope is not None:
            return reading.of_team(self.scope.team_id)
        return evolve(reading, blobs=reading.blobs_at(None))

    @property
    def views(self) -> Views:
        """The committed rows."""
        return self.ledger.views

    def event(self, seq: int) -> Recorded:
        """Return an event of the ledger by its number."""
        return next(iter(self.ledger.read(after=seq - 1, until=seq)))

    def moment(self, seq: int) -> Micros:
        """Return when an event was recorded; 0 for number 0, before the first one."""
        return self.event(seq).recorded_at if seq else 0

    @property
    def signer(self) -> Signer:
        """What signs checkpoints; its key is made when it is first needed, and read again whenever it is."""
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
