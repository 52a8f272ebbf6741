"""What a witness signs: the newest checkpoint of a ledger that begins with the one it saw before, and nothing else."""

from __future__ import annotations

from muniment.domain.checkpoint import Checkpoint
from muniment.domain.errors import ConflictError, InvalidValueError, ProofError, SplitViewError
from muniment.domain.proof_file import ConsistencyFile


def admit(seen: Checkpoint | None, asked: ConsistencyFile) -> Checkpoint:
    """Return the checkpoint that the witness may sign now, having seen another one before, or none.

    ConflictError if it saw more, or something else than the proof begins at; SplitViewError if what it saw is not the
    beginning of what it is shown now.
    """
    shown = asked.checkpoint
    size = seen.size if seen else 0
    if asked.old > shown.size:
        msg = f"the request begins at {asked.old} events, its checkpoint has {shown.size} — make it again"
        raise InvalidValueError(msg)
    if shown.size < size:
        msg = (
            f"the witness saw {size} events, this checkpoint has {shown.size} — a newer one is wanted; "
            "if the ledger has no more, it was rolled back"
        )
        raise ConflictError(msg)
    if asked.old != size:
        msg = f"the witness saw {size} events, the proof begins at {asked.old} — make it from {size}"
        raise ConflictError(msg)
    if seen is None or not size:
        if asked.hashes:
            msg = "a proof that begins at nothing has no hashes — make it again"
            raise InvalidValueError(msg)
        return shown
    try:
        asked.verify(seen)
    except ProofError as error:
        msg = (
            f"the ledger of {shown.size} events is not shown to begin with the {size} that the witness saw: "
            "it has two histories, or the proof was changed — both checkpoints are kept as evidence"
        )
        raise SplitViewError(msg) from error
    return shown
