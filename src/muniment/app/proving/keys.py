"""The keys of a ledger: which are trusted, because one is and the others followed it, and a new one in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from muniment.app.store import Store
from muniment.domain.checkpoint import Checkpoint, log_name
from muniment.domain.errors import InvalidValueError, MunimentError, ProofError
from muniment.domain.key_chain import TrustedKey, split, trusted


def follow(key: str, chain: str, open_note: Callable[[str, str], str]) -> list[TrustedKey]:
    """Return the keys that follow from trusting one, through a chain of announcements."""
    return trusted(key.strip(), split(chain), open_note)


def check(note: str, keys: Sequence[TrustedKey], open_note: Callable[[str, str], str]) -> Checkpoint:
    """Return the checkpoint of a note that one of these keys signed while it was in force."""
    refused: MunimentError | None = None
    for key in keys:
        try:
            checkpoint = Checkpoint.parse(open_note(note, key.verifier))
        except InvalidValueError as error:
            refused = refused or error
            continue
        if checkpoint.origin != key.verifier.partition("+")[0]:
            msg = f"the checkpoint is about {checkpoint.origin}, which is not the ledger of this key — give one of it"
            raise InvalidValueError(msg)
        if key.until is not None and checkpoint.size > key.until:
            msg = (
                f"the checkpoint of {checkpoint.size} events is signed by a key that was replaced at {key.until}: "
                "somebody kept the old key — do not trust it"
            )
            raise ProofError(msg)
        return checkpoint
    raise refused or InvalidValueError("no key to check the checkpoint with — name one")


def rotate(store: Store) -> str:
    """Replace the key that signs checkpoints; return the verifier key of the new one.

    Old and new key sign the announcement, so whoever trusts the old one can trust the new one by it.
    """
    head = store.ledger.head()
    checkpoint = Checkpoint(log_name(store.ledger.origin), head.size, head.root)
    return store.signer.replace(checkpoint).verifier_key()
