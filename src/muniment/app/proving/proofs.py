"""Proofs that an outsider can check: that an event is in the ledger, and that one checkpoint continues another."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from muniment.app import canonical
from muniment.app.proving import checkpoints
from muniment.app.store import Store
from muniment.domain import base64
from muniment.domain.checkpoint import Checkpoint, SignedNote, log_name
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, ProofError
from muniment.domain.fact import Shown
from muniment.domain.merkle import leaf_hash
from muniment.domain.proof import LeafContent, Tree, commit
from muniment.domain.proof_file import ConsistencyFile, InclusionFile
from muniment.domain.values import EventId

FORM: Final = 1
_ID_LENGTH: Final = 32


@frozen
class Prover:
    """Makes proofs about the ledger as it was at one checkpoint."""

    store: Store
    note: SignedNote
    tree: Tree = field(repr=False)

    @classmethod
    def of(cls, store: Store, note: str | None = None) -> Prover:
        """Return a prover at a checkpoint that was signed before, or at a new one.

        A checkpoint that the ledger does not fit is ProofError: run ``muniment fsck --checkpoint`` on it.
        """
        signed = SignedNote.parse(note or checkpoints.make(store))
        checkpoint = Checkpoint.parse(signed.text)
        if checkpoint.origin != log_name(store.ledger.origin):
            msg = f"the checkpoint is about {checkpoint.origin}, this ledger is {log_name(store.ledger.origin)}"
            raise InvalidValueError(msg)
        if checkpoint.size > store.ledger.head().size:
            msg = f"the checkpoint was signed over {checkpoint.size} events, the ledger has fewer — it was cut short"
            raise ProofError(msg)
        tree = Tree(checkpoint.size, store.ledger.subtrees)
        if tree.root() != checkpoint.root:
            msg = "the ledger is not the one that this checkpoint was signed over — run `muniment fsck --checkpoint`"
            raise ProofError(msg)
        return cls(store, signed, tree)

    def event(self, seq: int, *, words: bool = False) -> InclusionFile:
        """Return the proof of an event; with *words*, what people typed is shown too, unless it was redacted."""
        hashes = self.tree.inclusion(seq - 1)
        content = self.store.ledger.leaf(seq)
        proof = InclusionFile(seq - 1, tuple(hashes), self.note, _extra(content, words=words))
        try:
            proof.verify(leaf_hash(content.text))
        except ProofError as error:
            msg = f"event {seq} does not match its leaf, or the tree is damaged — run `muniment fsck`"
            raise CorruptError(msg) from error
        return proof

    def consistency(self, old: int) -> ConsistencyFile:
        """Return the proof that this checkpoint continues the one over the first *old* events."""
        return ConsistencyFile(old, tuple(self.tree.consistency(old)), self.note)


def prove_event(store: Store, which: str | int, *, note: str | None = None, words: bool = False) -> str:
    """Return the file that proves an event, named by its ``seq`` or its id."""
    return Prover.of(store, note).event(seq_of(store, which), words=words).render()


def prove_consistency(store: Store, old: str | int, *, note: str | None = None) -> str:
    """Return the file that proves that the ledger continues a checkpoint, given as its note or its number of events."""
    size = old if isinstance(old, int) else Checkpoint.parse(SignedNote.parse(old).text).size
    return Prover.of(store, note).consistency(size).render()


def seq_of(store: Store, which: str | int) -> int:
    """Return the number of an event; finding one by its id reads the ledger from its beginning."""
    if isinstance(which, int) or which.isdecimal():
        return int(which)
    if len(which) == _ID_LENGTH:
        for recorded in store.ledger.read():
            if recorded.event_id == EventId(which):
                return recorded.seq
    msg = f"there is no event {which!r} — `muniment events` shows which there are"
    raise NotFoundError(msg)


_SHOWN: Final = {"v", "leaf", "facts", "facts_blind"}
_WORDS: Final = {"words", "words_blind"}


def shown(proof: InclusionFile) -> Shown:
    """Return the event that a proof is about, after checking that it is in the ledger and is shown as it was.

    ProofError says what does not fit. Whether the checkpoint was signed by whom it should is another question.
    """
    if proof.extra is None:
        msg = "the proof does not hold the event that it is about — ask for it as it was written"
        raise ProofError(msg)
    parts = canonical.decode(proof.extra, "what the proof holds of the event")
    if not isinstance(parts, dict) or parts.get("v") != FORM or parts.keys() not in (_SHOWN, _SHOWN | _WORDS):
        msg = "the proof holds the event in a form that this Muniment does not know — upgrade it"
        raise ProofError(msg)
    text, facts, blind = (_part(parts, name) for name in ("leaf", "facts", "facts_blind"))
    proof.verify(leaf_hash(text))
    leaf = canonical.load(text, "the leaf")
    words = _words(parts, leaf)
    if (
        leaf.get("v") != FORM
        or leaf.get("seq") != proof.index + 1
        or leaf["facts_commit"] != commit(blind, facts).hex()
    ):
        msg = f"the proof of event {proof.index + 1} shows another event or other facts than the ledger holds"
        raise ProofError(msg)
    return Shown(leaf, canonical.load(facts, "the facts"), words)


def _words(parts: dict[str, str], leaf: dict[str, str]) -> dict[str, str] | None:
    if "words" not in parts:
        return None
    words, blind = _part(parts, "words"), _part(parts, "words_blind")
    if leaf.get("words_commit") != commit(blind, words).hex():
        msg = "the proof shows other words than the ledger holds — they were changed"
        raise ProofError(msg)
    found: dict[str, str] = canonical.load(words, "the words")
    return found


def _part(parts: dict[str, str], name: str) -> bytes:
    content = base64.decode(str(parts.get(name)))
    if content is None:
        msg = f"the proof has no {name.replace('_', ' ')} of the event — ask for it as it was written"
        raise ProofError(msg)
    return content


def _extra(content: LeafContent, *, words: bool) -> bytes:
    parts = {"leaf": content.text, "facts": content.facts, "facts_blind": content.facts_blind}
    if words and content.words is not None and content.words_blind is not None:
        parts |= {"words": content.words, "words_blind": content.words_blind}
    return canonical.encode({"v": FORM, **{name: base64.encode(part) for name, part in parts.items()}})
