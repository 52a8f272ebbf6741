"""A witness: somebody else's folder and key, which signs that it saw a ledger grow, and keeps evidence if not."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from muniment.app.proving import keys
from muniment.app.store import Notary
from muniment.domain.checkpoint import Checkpoint, Signature, SignedNote
from muniment.domain.errors import NotFoundError, SplitViewError
from muniment.domain.key_chain import TrustedKey
from muniment.domain.proof_file import ConsistencyFile
from muniment.domain.values import Micros
from muniment.domain.witness import admit

SECOND = 1_000_000


class Memory(Protocol):
    """What a witness remembers, and its key; every change is durable once it returns.

    Whoever holds ``alone`` is the only one, of all processes, between reading what was seen and keeping it.
    """

    def alone(self) -> AbstractContextManager[None]:
        """Be the only one."""
        ...

    def log_key(self, origin: str) -> str | None:
        """Return the verifier key of a ledger that it watches."""
        ...

    def logs(self) -> list[str]:
        """Return the names of the ledgers that it watches."""
        ...

    def seen(self, origin: str) -> str | None:
        """Return the newest note that it signed."""
        ...

    def keep(self, origin: str, note: str) -> None:
        """Remember the newest note, in the place of the one before."""
        ...

    def accuse(self, origin: str, seen: str, shown: str) -> str:
        """Keep two notes that contradict each other; return where."""
        ...

    def chain(self, origin: str) -> str:
        """Return the chain of keys that it knows of a ledger."""
        ...

    def learn(self, origin: str, chain: str) -> None:
        """Remember a longer chain of keys."""
        ...

    def cosign(self, text: str, seconds: int) -> Signature:
        """Sign that a checkpoint was seen."""
        ...

    def verifier_key(self) -> str:
        """Return with what anybody can check that."""
        ...


def add(witness: Memory, notary: Notary, request: str, now: Micros, chain: str | None = None) -> str:
    """Return the note of a request with the signature of the witness, who remembers it from now on.

    NotFoundError: it does not watch this ledger. InvalidValueError or CorruptError: not signed by its key.
    ConflictError: it saw more, or something else than the proof begins at. SplitViewError: the ledger has two
    histories, of which it keeps both signed notes. *chain* says how the ledger's key changed.
    """
    asked = ConsistencyFile.parse(request)
    origin = asked.checkpoint.origin
    with witness.alone():
        checkpoint = keys.check(asked.note.render(), _keys(witness, notary, origin, chain), notary.open_note)
        seen = witness.seen(origin)
        try:
            admit(None if seen is None else Checkpoint.parse(SignedNote.parse(seen).text), asked)
        except SplitViewError as error:
            place = witness.accuse(origin, seen or "", asked.note.render())
            msg = f"{error} in {place}"
            raise SplitViewError(msg) from error
        signature = witness.cosign(checkpoint.text(), now // SECOND)
        note = asked.note.with_signatures(signature).render()
        if chain is not None:
            witness.learn(origin, chain)
        witness.keep(origin, note)
    return note


def _keys(witness: Memory, notary: Notary, origin: str, chain: str | None) -> list[TrustedKey]:
    key = witness.log_key(origin)
    if key is None:
        msg = f"this witness does not watch {origin} — `muniment witness watch` its verifier key first"
        raise NotFoundError(msg)
    return keys.follow(key, witness.chain(origin) if chain is None else chain, notary.open_note)
