"""Copies that could not go yet: told of with the date on which what keeps them ends, and looked for until they went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from muniment.app.places import mark
from muniment.app.reach import Reach, Site
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import disposal
from muniment.domain.disposal import DISPOSAL, CopiesLeft, Ending, Hindrance
from muniment.domain.errors import StorageError
from muniment.domain.ports import Views
from muniment.domain.rows import DisposalRow, ResidualRow
from muniment.domain.values import Digest, Erased, Micros, StreamId

LEFT: Final = "left"


@frozen
class Stuck:
    """A blob that a lock of its store holds: until when, how many copies of it, and a line that says so."""

    digest: Digest
    until: Micros | None
    copies: int
    line: str


def leave(steps: Steps, disposal_id: str, place: str | None, stuck: Sequence[Stuck]) -> None:
    """Record inside a command that copies stay for now; an event for each date, and not too many blobs in one."""
    by_end: dict[Micros | None, list[Stuck]] = defaultdict(list)
    for each in stuck:
        by_end[each.until].append(each)
    for until, group in by_end.items():
        for start in range(0, len(group), disposal.MOST):
            part = group[start : start + disposal.MOST]
            why = Hindrance.LEGAL_HOLD if until is None else Hindrance.LOCK
            digests = tuple(each.digest for each in part)
            left = CopiesLeft(disposal_id, why, until, place or "", digests, sum(each.copies for each in part))
            steps.step(DISPOSAL, new_id(), disposal.leave_copies, left)


def share(steps: Steps, disposal_id: str, place: str | None, digests: Sequence[Digest]) -> None:
    """Record inside a command that blobs stay which were to be erased, because versions of others need them."""
    for start in range(0, len(digests), disposal.MOST):
        part = tuple(digests[start : start + disposal.MOST])
        left = CopiesLeft(disposal_id, Hindrance.SHARED, None, place or "", part, len(part))
        steps.step(DISPOSAL, new_id(), disposal.leave_copies, left)


def is_shared(views: Views, row: DisposalRow) -> bool:
    """Whether a disposal left blobs to others that need them."""
    rows = views.select(ResidualRow, disposal_id=row.disposal_id, order="found_at")
    return any(each.why == Hindrance.SHARED.value for each in rows)


def any_left(store: Store) -> bool:
    """Whether any copies were left and not seen to be gone since."""
    return bool(store.views.select(ResidualRow, state=LEFT, order="found_at", limit=1))


def known(store: Store) -> frozenset[str]:
    """Return the marks of the blobs of which it is known that a lock keeps copies."""
    found: set[str] = set()
    for row in _open(store):
        left = None if row.why == Hindrance.SHARED.value else _left(store, row)
        if left is not None:
            found.update(mark(store.places.key(row.place or None), each) for each in _digests(left))
    return frozenset(found)


def look_again(store: Store, sites: Sequence[Site], found: Reach) -> tuple[int, tuple[str, ...]]:
    """End the residuals whose copies are gone, or wanted again; return how many ended, and a line for each failure."""
    places = {site.key: site for site in sites}
    ended, failed = 0, []
    for row in _open(store):
        left = _left(store, row)
        site = places.get(store.places.key(row.place or None)) if row.place is not None else None
        if left is None or site is None:
            continue
        needed = found.at(site.key)
        unwanted = [each for each in _digests(left) if each not in needed]
        if left.why is Hindrance.SHARED and len(unwanted) < len(_digests(left)):
            continue
        try:
            search = site.blobs.search(unwanted) if unwanted else None
        except StorageError as error:
            failed.append(site.named(f"nobody could look for copies that were left: {error}"))
            continue
        if search is not None and (search.copies or search.unsure):
            continue
        ended += _end(store, row, Ending.WANTED if search is None else Ending.GONE)
    return ended, tuple(failed)


def _end(store: Store, row: ResidualRow, ending: Ending) -> bool:
    def deciding(steps: Steps) -> bool:
        return bool(steps.step(DISPOSAL, row.residual_id, disposal.end_residual, ending))

    return bool(store.transact(Request("end residual", None, row.residual_id), deciding).answer)


def _open(store: Store) -> list[ResidualRow]:
    return store.views.select(ResidualRow, state=LEFT, order="found_at")


def _left(store: Store, row: ResidualRow) -> CopiesLeft | None:
    """Return what was recorded; ``None`` where the digests were forgotten on purpose, so that nobody can look."""
    for recorded in store.ledger.read(stream=StreamId(row.residual_id), limit=1):
        if isinstance(recorded.event, CopiesLeft) and not isinstance(recorded.event.digests, Erased):
            return recorded.event
    return None


def _digests(left: CopiesLeft) -> tuple[Digest, ...]:
    return () if isinstance(left.digests, Erased) else left.digests
