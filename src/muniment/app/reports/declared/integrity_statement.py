"""R2, the integrity statement: what the ledger was checked for, and what was found."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from muniment.app.proving import rollback
from muniment.app.proving.proofs import Prover
from muniment.app.reports.shape import Cells, Report, Scope, Sheet, counted, moment, number, text
from muniment.domain.checkpoint import Checkpoint, SignedNote, log_name
from muniment.domain.errors import MunimentError
from muniment.domain.key_chain import Rotation, split
from muniment.domain.proof import Tree, verify_consistency
from muniment.domain.redaction import EventsRedacted

MOST_FAULTS: Final = 10_000
HOLDS, FAILS, STATED = "holds", "fails", "stated"


def statement(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each thing that was checked or is stated."""
    ledger = scope.store.ledger
    yield "origin", STATED, None, log_name(ledger.origin)
    yield "begins after", STATED, scope.after, ledger.root(scope.after).hex()
    yield "ends with", STATED, scope.at, ledger.root(scope.at).hex()
    yield _continues(scope)
    found = scope.shared["faults"] = list(islice(ledger.verify(), MOST_FAULTS))
    yield "events, leaves, head and rows", FAILS if found else HOLDS, len(found), "faults, listed below"
    redacted = sum(1 for _ in redactions(scope))
    yield "authorised redactions", STATED, redacted, "events lost their words on purpose, listed below"
    yield from _keys(scope)
    yield _witness(scope)


def faults(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each fault of the ledger, the first of them if there are very many."""
    yield from enumerate(scope.shared["faults"], 1)


def redactions(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each event whose words were destroyed on purpose."""
    for recorded in scope.store.ledger.read(until=scope.at):
        if isinstance(recorded.event, EventsRedacted):
            for seq in recorded.event.seqs:
                yield seq, recorded.seq, recorded.recorded_at, recorded.actor, recorded.event.request_id


def _continues(scope: Scope) -> Cells:
    """Check that the ledger at the end continues the ledger at the beginning."""
    ledger = scope.store.ledger
    what = "the end continues the beginning"
    if not scope.after:
        return what, STATED, None, "the report begins with the first event"
    proof = Tree(scope.at, ledger.subtrees).consistency(scope.after)
    try:
        verify_consistency(scope.after, scope.at, proof, ledger.root(scope.after), ledger.root(scope.at))
    except MunimentError as error:
        return what, FAILS, len(proof), str(error)
    return what, HOLDS, len(proof), "hashes of the consistency proof"


def _keys(scope: Scope) -> Iterator[Cells]:
    try:
        signer = scope.store.signer
        note = Prover.of(scope.store).note
        rotations = [Rotation.parse(SignedNote.parse(each).text) for each in split(signer.chain())]
    except MunimentError as error:
        yield "signature", STATED, None, f"nothing can be signed here: {error}"
        return
    signed = scope.store.notary.open_note(note.render(), signer.verifier_key()) == note.text
    yield "signature", HOLDS if signed else FAILS, 1, signer.verifier_key()
    yield (
        "replaced keys",
        STATED,
        sum(each.checkpoint.size <= scope.at for each in rotations),
        "each announced by the key before it",
    )


def _witness(scope: Scope) -> Cells:
    """Say what a witness has seen, and that it may be in the same hands."""
    what, place = "witness", scope.store.config.home / rollback.KEPT
    if not place.exists():
        return what, STATED, 0, "no note of a witness is kept beside the store"
    note = SignedNote.parse(place.read_text("utf-8"))
    seen = Checkpoint.parse(note.text)
    why = rollback.found(scope.store.ledger, [note.render()])
    if why is not None:
        return what, FAILS, seen.size, why
    signers = ", ".join(sorted(signature.name for signature in note.signatures))
    return what, HOLDS, seen.size, f"events seen; signed by {signers}, kept on this machine"


REPORT: Final = Report(
    name="integrity",
    number="R2",
    title="Integrity statement",
    reader="auditors",
    note=(
        "The ledger is tamper-evident: changes show against a checkpoint that somebody else holds. "
        "This statement was made by the store itself; check it with the kit, and with a checkpoint of your own."
    ),
    sheets=(
        Sheet(
            "statement",
            "What was checked",
            (
                text("check", "what was checked, or is stated"),
                counted("verdict", "holds, fails, or stated without a check"),
                number("count", "how many, or how large"),
                text("detail", "what the number counts, a root, a key or a name"),
            ),
            statement,
        ),
        Sheet(
            "faults",
            "Faults",
            (number("number", "the number of the fault"), text("fault", "what is wrong, and where")),
            faults,
        ),
        Sheet(
            "redactions",
            "Authorised redactions",
            (
                number("seq", "the event whose words were destroyed"),
                number("by", "the event that says so"),
                moment("at", "when"),
                text("actor", "the id of who did it"),
                text("request_id", "the request that it was done for"),
            ),
            redactions,
        ),
    ),
)
