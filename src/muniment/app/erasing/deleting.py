"""The bytes of an erasure: they go from every place, with evidence for each, and what stays is told with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from attrs import evolve

from muniment.app import leases
from muniment.app.collecting import disposal, residuals
from muniment.app.collecting.condemning import CONDEMNED
from muniment.app.erasing import planning
from muniment.app.erasing.planning import Plan
from muniment.app.leases import Lease
from muniment.app.reach import Site, reach, sites
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import disposal as disposals
from muniment.domain import version as versions
from muniment.domain.disposal import DISPOSAL, Disposed
from muniment.domain.errors import ConflictError, StorageError
from muniment.domain.evidence import Check, Evidence, Method, Trigger
from muniment.domain.ports import Recorded, Views
from muniment.domain.rows import DisposalRow, ResidualRow, VersionRow
from muniment.domain.values import Digest, StreamId, VersionId
from muniment.domain.version import State

SHOWN: Final = 20
"""How many contents that could not go an error names."""


def dispose(store: Store, plan: Plan, wait: float) -> None:
    """Delete what a request erases from all places; ConflictError if uploads that began before are still running.

    What a lock of a store holds is left with its residual, and so is what versions need that nobody attached.
    """
    going = set(plan.going)
    leases.release(store, Lease(plan.request_id, 0))  # of a process that died while it replaced a manifest
    done = disposal.dispose(store, going | set(plan.manifests), Trigger.ERASURE, request_id=plan.request_id, wait=wait)
    busy = None if done.undone else _busy(store)
    if busy and still_there(store, going - done.locked):
        raise ConflictError(busy)
    if residuals.any_left(store):
        residuals.look_again(store, sites(store), reach(store))
    if not done.undone:
        _account(store, plan)
        _purge(store, plan)
    planning.save(store, planning.with_told(plan, left=sorted(done.locked), undone=list(done.undone)))


def require_done(plan: Plan) -> None:
    """Refuse to call an erasure executed of which something could not be deleted: StorageError names it."""
    undone = plan.told.get("undone") or []
    if undone:
        more = f"; and {len(undone) - SHOWN} more" if len(undone) > SHOWN else ""
        msg = f"not all could be deleted, the rest is erased: {'; '.join(undone[:SHOWN])}{more}"
        msg = f"{msg} — mend that, then run `muniment request erase {plan.request_id}` again"
        raise StorageError(msg)


def still_there(store: Store, digests: set[Digest]) -> set[Digest]:
    """Return those contents that any place still has."""
    found: set[Digest] = set()
    for site in sites(store):
        found |= digests - site.blobs.missing(digests)
    return found


def _busy(store: Store) -> str | None:
    """Return why blobs may have had to stay for a moment: for sessions that may want them, or another process."""
    if store.ledger.scratch.items(leases.LEASE):
        return "uploads that began before are still running — erase again when they ended, or wait with --wait"
    if store.ledger.scratch.items(CONDEMNED):
        return "another process is deleting some of them — erase again when it is done"
    return None


def left_of(plan: Plan) -> set[Digest]:
    """Return what a lock of its store held when it was tried last."""
    return {Digest(each) for each in plan.told.get("left", ())}


def freed(store: Store, plan: Plan) -> Plan | None:
    """Delete what had to stay and need not any more, and return the plan with what may go now; ``None`` if nothing."""
    found, left = reach(store), left_of(plan)
    needed = set[Digest]().union(*(found.at(site.key) for site in sites(store)))
    shared = [each for each in plan.shared if each in needed]
    done = disposal.dispose(store, left, Trigger.ERASURE, request_id=plan.request_id) if left else disposal.Outcome()
    if shared == plan.shared and left <= {*done.locked, *still_there(store, left)}:
        return None
    residual = plan.residual if shared else 0
    return evolve(plan, shared=shared, residual=residual)


# --- evidence --------------------------------------------------------------------------------------------------------


def evidence(views: Views, request_id: str) -> list[DisposalRow]:
    """Return what the ledger holds of bytes that went for a request, or that had to stay."""
    return views.select(DisposalRow, request_id=request_id, order="at")


def residual_rows(views: Views, request_id: str) -> Iterator[ResidualRow]:
    """Yield the copies that were left of what a request erases, those that are gone since too."""
    for row in evidence(views, request_id):
        yield from views.select(ResidualRow, disposal_id=row.disposal_id, order="found_at")


def ended(store: Store, request_id: str) -> Iterator[Recorded]:
    """Yield the events that name copies which were left and are gone by now."""
    for row in residual_rows(store.views, request_id):
        if row.state != residuals.LEFT:
            yield from store.ledger.read(stream=StreamId(row.residual_id), limit=1)


def _account(store: Store, plan: Plan) -> None:
    """Record, for each place, what is absent there and is in nobody's evidence, and what others need there.

    So nothing is lost of an erasure that was interrupted between deleting and recording, or overtaken by a collection.
    """
    wanted = {*plan.going, *plan.manifests}
    if not wanted and not plan.shared:
        return
    found = reach(store)
    for site in sites(store):
        mine = wanted - found.at(site.key)
        seen = site.blobs.search(mine)
        there = {copy.digest for copy in seen.copies}
        shared = sorted(set(plan.shared) - site.blobs.missing(plan.shared)) if plan.shared else []
        _record(store, plan, site, len(mine - there), seen.by, shared)


def _record(store: Store, plan: Plan, site: Site, absent: int, by: tuple[Check, ...], shared: list[Digest]) -> None:
    def deciding(steps: Steps) -> None:
        rows = [row for row in evidence(steps.views, plan.request_id) if (row.place or "") == (site.url or "")]
        missing = absent - sum(row.blobs for row in rows)
        fresh = [] if any(residuals.is_shared(steps.views, row) for row in rows) else shared
        if missing <= 0 and not fresh:
            return
        said = Evidence(new_id(), Method.ABSENT, by, max(0, missing), 0, 0, len(fresh))
        event = Disposed(Trigger.ERASURE, said, site.url or "", None, plan.request_id)
        steps.step(DISPOSAL, said.disposal_id, disposals.record_disposal, event)
        residuals.share(steps, said.disposal_id, site.url, fresh)

    store.transact(Request("account for erasure", absent, plan.request_id), deciding)


def _purge(store: Store, plan: Plan) -> None:
    """Record of each version that went as a whole that its bytes are verified absent, and by what."""
    if not plan.whole:
        return
    found = [(site.url or "", site.blobs.search(sorted(plan.going)).by) for site in sites(store)]
    for version_id in plan.whole:
        store.transact(Request("purge", None, version_id), partial(_purged, version_id, found))


def _purged(version_id: VersionId, found: list[tuple[str, tuple[Check, ...]]], steps: Steps) -> None:
    row = steps.views.find(VersionRow, version_id=version_id)
    if row is not None and row.state == State.LET_GO.value:
        told = [(place, Evidence(new_id(), Method.ABSENT, by, 0, 0, 0)) for place, by in found]
        steps.step(versions.VERSION, version_id, versions.purge, told)
