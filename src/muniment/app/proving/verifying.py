"""Checks what was exported, without a store: proofs, facts, entries, bundles, and that a ledger continues another."""

from __future__ import annotations

import struct
from pathlib import Path

from attrs import frozen

from muniment.app import canonical, clock
from muniment.app.proving import bundles, entries, facts, keys, proofs
from muniment.app.store import Notary
from muniment.domain.checkpoint import Checkpoint, SignedNote
from muniment.domain.errors import InvalidValueError, ProofError, StorageError
from muniment.domain.fact import Shown
from muniment.domain.key_chain import TrustedKey
from muniment.domain.proof_file import HEADER, ConsistencyFile, InclusionFile

SECOND = 1_000_000
MALFORMED = (
    ArithmeticError,
    AttributeError,
    IndexError,
    KeyError,
    RecursionError,
    TypeError,
    UnicodeError,
    struct.error,
)
"""What reading JSON of any shape may raise."""


@frozen
class Trust:
    """Whom to believe: keys of one ledger, and witnesses that must all have signed."""

    notary: Notary
    keys: tuple[TrustedKey, ...]
    witnesses: tuple[str, ...] = ()

    @classmethod
    def of(cls, notary: Notary, key: str, witnesses: tuple[str, ...] = (), chain: str = "") -> Trust:
        """Trust a key, and those that follow from it through a chain."""
        return cls(notary, tuple(keys.follow(key, chain, notary.open_note)), witnesses)

    def check(self, note: SignedNote) -> list[str]:
        """Return what is known of a checkpoint, a line each, or refuse it."""
        text = note.render()
        checkpoint = keys.check(text, self.keys, self.notary.open_note)
        said = [f"checkpoint of {checkpoint.size} events of {checkpoint.origin}"]
        for witness in self.witnesses:
            seconds = self.notary.cosigned_at(text, witness)
            if seconds is None:
                msg = f"the witness {witness.partition('+')[0]} did not sign the checkpoint — ask for one that it saw"
                raise ProofError(msg)
            said.append(f"witness {witness.partition('+')[0]} saw it at {clock.to_text(seconds * SECOND)}")
        return said


@frozen
class Verdict:
    """What holds, line by line, and what is left open."""

    proved: tuple[str, ...]
    open: tuple[str, ...] = ()


def verify(path: Path, trust: Trust) -> Verdict:
    """Check a bundle's folder, a proof or a checkpoint; whatever does not hold is a MunimentError that says so."""
    try:
        return _verify(path, trust)
    except MALFORMED as error:
        msg = f"{path.name} is not of its form ({type(error).__name__}) — give it as it was written"
        raise InvalidValueError(msg) from error


def _verify(path: Path, trust: Trust) -> Verdict:
    if path.is_dir():
        return _bundle(path, trust)
    text = read(path)
    if text.startswith(HEADER):
        proof = InclusionFile.parse(text)
        return Verdict((*trust.check(proof.note), line(proofs.shown(proof))))
    if text.startswith("{"):
        return _composed(text, trust)
    return Verdict(tuple(trust.check(SignedNote.parse(text))))


def verify_consistency(older: str, proof: str, trust: Trust, newer: str | None = None) -> Verdict:
    """Check that the ledger of a proof, or of *newer*, begins with that of an older checkpoint."""
    asked, before = ConsistencyFile.parse(proof), SignedNote.parse(older)
    said = [*trust.check(before), *trust.check(asked.note)]
    if newer is not None:
        trust.check(SignedNote.parse(newer))
        if SignedNote.parse(newer).text != asked.note.text:
            msg = "the proof leads to another checkpoint than the newer one that was given"
            raise ProofError(msg)
    asked.verify(Checkpoint.parse(before.text))
    return Verdict((*said, f"it begins with the {asked.old} events of the older checkpoint"))


def line(event: Shown) -> str:
    """Return what is proved of an event."""
    when, words = clock.to_text(event.recorded_at), f", words {_json(event.words)}" if event.words else ""
    who = f"event {event.seq}, {event.type}, recorded {when} for principal {event.leaf['actor']}"
    return f"{who}, facts {_json(event.facts)}{words}"


def read(path: Path) -> str:
    """Return the text of a file, with its line ends as they are."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        msg = f"{path} cannot be read: {why} — give a proof, a checkpoint or the folder of a bundle"
        raise StorageError(msg) from error


def _json(value: object) -> str:
    return canonical.dump(value)


def _composed(text: str, trust: Trust) -> Verdict:
    kind = canonical.load(text.encode(), "the proof").get("kind")
    if kind == facts.KIND:
        fact = facts.FactFile.parse(text)
        judged = fact.judge()
        return Verdict((*trust.check(fact.note), *judged.proved), judged.open)
    if kind == entries.KIND:
        proof = entries.EntryFile.parse(text)
        said, created = proof.verify()
        return Verdict((*trust.check(proof.created.note), line(created), said))
    msg = f"a proof of the form {kind!r} is not known here — upgrade Muniment"
    raise InvalidValueError(msg)


def _bundle(folder: Path, trust: Trust) -> Verdict:
    checked = bundles.check(folder)
    return Verdict((*trust.check(checked.note), checked.text, line(checked.event)))
