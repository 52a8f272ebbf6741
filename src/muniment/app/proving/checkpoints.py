"""Signed checkpoints: a few lines of text that pin the whole ledger up to one event, to be kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from muniment.app.proving import keys
from muniment.app.store import Store
from muniment.domain.checkpoint import Checkpoint, log_name
from muniment.domain.errors import MunimentError, NotFoundError


def make(store: Store) -> str:
    """Return the signed note of the ledger as it stands."""
    head = store.ledger.head()
    return store.signer.sign(Checkpoint(log_name(store.ledger.origin), head.size, head.root))


def check(store: Store, note: str, verifier: str | None = None) -> Iterator[str]:
    """Yield what contradicts a checkpoint; *verifier* is the key to trust, by default the store's own.

    A ledger shorter than the checkpoint lost its end; one with another root was rewritten, which only somebody who
    could write the ledger and its leaves can have done.
    """
    try:
        signer = store.signer
        trusted = keys.follow(verifier or signer.verifier_key(), signer.chain(), store.notary.open_note)
        checkpoint = keys.check(note, trusted, store.notary.open_note)
    except MunimentError as error:
        yield f"the checkpoint cannot be trusted: {error}"
        return
    origin = log_name(store.ledger.origin)
    if checkpoint.origin != origin:
        yield f"the checkpoint is about {checkpoint.origin}, this ledger is {origin}"
        return
    try:
        root = store.ledger.root(checkpoint.size)
    except NotFoundError:
        there = store.ledger.head().size
        yield (
            f"events {there + 1} to {checkpoint.size} are missing: "
            f"the checkpoint was signed over {checkpoint.size} events, the ledger has {there}"
        )
        return
    if root != checkpoint.root:
        yield (
            f"an event up to {checkpoint.size} was rewritten: "
            f"the first {checkpoint.size} have another root than was signed"
        )
