"""Which aliases this process moved itself: what it did since it looked is no surprise to it, what others did is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Final

from muniment.app.store import Store
from muniment.domain.rows import AliasRow
from muniment.domain.values import LATEST, VersionId

REMEMBERED: Final = 10_000

_moves: OrderedDict[tuple[str, str, str], tuple[int, VersionId | None]] = OrderedDict()
_lock = Lock()


def remember(store: Store, owner: str, aliases: Iterable[str], version_id: VersionId | None) -> None:
    """Remember that this process pointed *aliases* of an artifact or collection at a version, or took them away."""
    named = [alias for alias in aliases if alias != LATEST]
    if not named:
        return
    seq = store.ledger.head().size
    with _lock:
        for alias in named:
            _moves[store.ledger.origin, owner, alias] = (seq, version_id)
        while len(_moves) > REMEMBERED:
            _moves.popitem(last=False)


def expected(store: Store, owner: str, aliases: Iterable[str], seen: int) -> dict[str, VersionId | None]:
    """Return where aliases must point for a move to be no surprise: as at event *seen*, or as we put them since."""
    found: dict[str, VersionId | None] = {}
    for alias in aliases:
        with _lock:
            moved = _moves.get((store.ledger.origin, owner, alias))
        if moved is not None and moved[0] > seen:
            found[alias] = moved[1]
        elif alias != LATEST:
            row = store.views.find(AliasRow, at=seen, owner_id=owner, alias=alias)
            found[alias] = row.version_id if row else None
    return found
