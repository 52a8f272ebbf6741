"""The record of erasures beside the store: what must not come back with a backup that is older than the erasure.

It is a file of its own that no backup of the ledger or the vault overwrites: a line for each erasure, with ids, and
terms that only the vault's master key makes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from attrs import asdict, field, frozen

from muniment.app.disk import writing
from muniment.app.erasing_plan import Plan
from muniment.app.fence import NOTES
from muniment.app.store import Store
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import CorruptError


@frozen
class Erasure:
    """One line: whose erasure, what went as a whole, and terms for the entries that went."""

    subject_id: str
    request_id: str
    targets: list[list[str]] = field(factory=list)
    entries: dict[str, list[str]] = field(factory=dict)


def note(store: Store, plan: Plan) -> None:
    """Write down that a request erases this, before it does; once is enough."""
    if any(line.request_id == plan.request_id for line in noted(store.config.home)):
        return
    whole = ((TargetKind.VERSION, plan.whole), (TargetKind.ARTIFACT, plan.artifacts), (TargetKind.RUN, plan.runs))
    targets = [[kind.value, id_] for kind, ids in whole for id_ in ids]
    line = json.dumps(
        asdict(
            Erasure(plan.subject_id, plan.request_id, targets, {str(id_): each for id_, each in plan.entries.items()})
        )
    )
    with writing():
        file = os.open(store.config.home / NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, f"{line}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)


def noted(home: Path) -> list[Erasure]:
    """Return the erasures that were noted beside the store in this folder."""
    try:
        lines = (home / NOTES).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    try:
        return [Erasure(**json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        msg = f"{NOTES} beside the store is damaged — put it back from a copy: it keeps erased data from coming back"
        raise CorruptError(msg) from error
