"""Whether a witness saw more of the ledger than there is: then its database was put back, and must not be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from muniment.app.proving import keys
from muniment.app.store import Store
from muniment.domain.checkpoint import Checkpoint, SignedNote, log_name
from muniment.domain.errors import ConflictError, MunimentError, RolledBackError, StorageError
from muniment.domain.ports import Ledger
from muniment.domain.proof import Tree

KEPT: Final = "witnessed.note"
"""Where the newest note that a witness signed is kept, below the home folder."""


def found(ledger: Ledger, notes: Iterable[str]) -> str | None:
    """Return how a ledger contradicts the notes of witnesses, ``None`` if it does not.

    Signatures are not checked here: a note can only keep the store from writing, and says whose it is.
    """
    for note in notes:
        try:
            seen = Checkpoint.parse(SignedNote.parse(note).text)
        except MunimentError as error:
            return f"the note of the witness cannot be used ({error}) — put it back, or take it away"
        if seen.origin != log_name(ledger.origin):
            return f"the note of the witness is about {seen.origin}, this ledger is {log_name(ledger.origin)}"
        size = ledger.head().size
        if seen.size > size:
            return (
                f"the database was rolled back: a witness saw {seen.size} events, there are {size} — "
                "restore a newer copy; until then it can be read, and nothing is written"
            )
        if Tree(seen.size, ledger.subtrees).root() != seen.root:
            return (
                f"the database was exchanged: the first {seen.size} events are not those that a witness saw — "
                "restore the right copy; until then it can be read, and nothing is written"
            )
    return None


def refusal(alarm: str) -> Callable[[], RolledBackError]:
    """Return what makes the error of whoever would write all the same."""
    return lambda: RolledBackError(alarm)


def keep(store: Store, note: str) -> int:
    """Keep the note that a witness signed, to be compared with whenever the store is opened; return its size.

    It must be signed by this ledger's key and not be older than the one that is kept.
    """
    signer = store.signer
    trusted = keys.follow(signer.verifier_key(), signer.chain(), store.notary.open_note)
    checkpoint = keys.check(note, trusted, store.notary.open_note)
    why = found(store.ledger, [note])
    if why is not None:
        raise ConflictError(why)
    place = store.config.home / KEPT
    if place.exists():
        before = Checkpoint.parse(SignedNote.parse(place.read_text("utf-8")).text)
        if before.size > checkpoint.size:
            msg = f"a newer note is kept already, of {before.size} events — this one has {checkpoint.size}"
            raise ConflictError(msg)
    _write(place, note)
    return checkpoint.size


def _write(place: Path, note: str) -> None:
    fresh = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        fresh.write_text(note, "utf-8", newline="\n")
        fresh.replace(place)
    except OSError as error:
        msg = f"the note cannot be kept in the home folder ({error.strerror}) — make room, or check its permissions"
        raise StorageError(msg) from error
