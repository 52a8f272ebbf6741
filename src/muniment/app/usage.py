"""Who used what: for each version who used or downloaded it, in which run, how often and when last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from muniment.app import projector
from muniment.app.projections.usage import USAGE, fold
from muniment.app.projector import ON_DEMAND, Progress
from muniment.app.store import Store
from muniment.domain.errors import ReadOnlyError
from muniment.domain.projection import total
from muniment.domain.rows import Add, LastUseRow, UsageRow, key_of
from muniment.domain.values import Micros, PrincipalId, VersionId


def up_to_date(store: Store) -> Progress:
    """Catch up before asking, as far as nobody has to wait long; the answer tells how far that was."""
    try:
        return projector.catch_up(store, USAGE, most=ON_DEMAND)
    except ReadOnlyError:
        return projector.progress_of(store, USAGE)


def last_uses(store: Store, at: int) -> dict[VersionId, Micros]:
    """Return when each version was last used or downloaded up to event *at*; all events up to it are read."""
    found: dict[VersionId, Micros] = {}
    for recorded in store.ledger.read(until=at):
        for change in fold(recorded):
            if isinstance(change, Add) and isinstance(change.row, LastUseRow):
                row = change.row
                found[row.version_id] = max(row.last_used_at, found.get(row.version_id, 0))
    return found


def users_of(store: Store, version_id: VersionId, at: int | None = None) -> list[UsageRow]:
    """Return who used or downloaded a version, the last first.

    As of a past event this is what folding the events up to it gives: all of them are read.
    """
    if at is not None:
        return _last_first(row for row in _as_of(store, at) if row.version_id == version_id)
    up_to_date(store)
    return store.views.select(UsageRow, version_id=version_id, order="last_at", descending=True)


def used_by(store: Store, principal_id: PrincipalId, at: int | None = None) -> list[UsageRow]:
    """Return what somebody used or downloaded, the last first; as of a past event as ``users_of``."""
    if at is not None:
        return _last_first(row for row in _as_of(store, at) if row.principal_id == principal_id)
    up_to_date(store)
    return store.views.select(UsageRow, principal_id=principal_id, order="last_at", descending=True)


def _as_of(store: Store, at: int) -> Iterator[UsageRow]:
    found: dict[tuple[object, ...], UsageRow] = {}
    for recorded in store.ledger.read(until=at):
        for change in fold(recorded):
            if isinstance(change, Add) and isinstance(change.row, UsageRow):
                before = found.get(key_of(change))
                found[key_of(change)] = total(before, change.row) if before else change.row
    yield from found.values()


def _last_first(rows: Iterable[UsageRow]) -> list[UsageRow]:
    return sorted(rows, key=lambda row: (-row.last_at, row.version_id, row.principal_id, row.run_id, row.kind))
