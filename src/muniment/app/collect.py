"""Garbage collection: what expired is marked deleted, what was deleted long enough ago is purged, dead bytes go.

It never races a new reference. A logging session holds a lease; collecting raises the epoch and condemns dead blobs
in one transaction, waits until every lease of an older epoch has ended, marks reachability again, and only then
deletes, a batch at a time. A session of the new epoch that wants a condemned blob takes its condemnation back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from attrs import evolve, field, frozen

from muniment.app import catalog, directory, leases, retention
from muniment.app.fsck import personal_slots
from muniment.app.lifecycle import mark_deleted
from muniment.app.logs import say
from muniment.app.places import mark
from muniment.app.progress import SILENT, Progress
from muniment.app.reach import Reach, Root, Site, name_of, reach, sites, team_of
from muniment.app.retention import Book
from muniment.app.staging import reclaim
from muniment.app.store import Store
from muniment.app.telemetry import traced
from muniment.app.transact import Request, Steps
from muniment.domain import version as versions
from muniment.domain.errors import StorageError
from muniment.domain.ports import Scratch, Transaction
from muniment.domain.registry import require_role
from muniment.domain.retention import Action
from muniment.domain.rows import VersionRow
from muniment.domain.values import Digest, Json, Micros, Role, SlotId, VersionId
from muniment.domain.version import Cause

_LOG = logging.getLogger(__name__)

CONDEMNED = "condemned"
DELETING = "deleting"
BATCH = 500
DELETING_LASTS: Micros = 10 * 60 * 1_000_000
VAULT_SLOTS_LAST: Micros = 24 * 3600 * 1_000_000
PAUSE_SECONDS = 0.05


@frozen
class Due:
    """A version that something is to be done with, and why."""

    version_id: VersionId
    name: str
    action: Action
    because: str


@frozen
class Plan:
    """What collecting would do now: versions to delete and to purge, and the bytes that nothing needs any more."""

    due: tuple[Due, ...]
    blobs: int
    size: int
    sessions: int

    @property
    def expired(self) -> tuple[Due, ...]:
        """The versions to mark deleted."""
        return tuple(due for due in self.due if due.action is Action.DELETE)

    @property
    def purgeable(self) -> tuple[Due, ...]:
        """The versions whose bytes may go."""
        return tuple(due for due in self.due if due.action is Action.PURGE)


@frozen
class Report:
    """What collecting did; ``kept`` counts dead blobs that were left because of running sessions, or rescued."""

    deleted: int = 0
    purged: int = 0
    blobs: int = 0
    size: int = 0
    kept: int = 0
    staging: int = 0
    failed: tuple[str, ...] = field(factory=tuple)


def plan(store: Store) -> Plan:
    """Return what collecting would do now, without doing anything."""
    due = tuple(_due(store))
    purged = {each.version_id for each in due if each.action is Action.PURGE}
    dead = dead_blobs(reach(store, purged), sites(store))
    return Plan(due, len(dead), sum(each.size for each in dead.values()), len(store.ledger.scratch.items(leases.LEASE)))


@traced(
    "collect",
    lambda done: {
        "deleted": done.deleted,
        "purged": done.purged,
        "blobs": done.blobs,
        "bytes": done.size,
        "failed": len(done.failed),
    },
)
def act(store: Store, *, wait: float = 0.0, progress: Progress = SILENT) -> Report:
    """Collect; *wait* is how many seconds to wait for running sessions before leaving their blobs for another time.

    What is purged is gone for good, so only an admin of the organisation may.
    """
    require_permission(store)
    progress.ahead("looking for what expired")
    deleted = [each for each in _due(store) if each.action is Action.DELETE and _delete(store, each)]
    purged = _purge(store, [each for each in _due(store) if each.action is Action.PURGE])
    swept, unswept = _sweep(store)
    staging = reclaim(store) + swept
    report = delete_dead(store, wait, progress=progress)
    store.vault.sweep(lambda slots: _referenced(store, set(slots)), store.clock() - VAULT_SLOTS_LAST)
    failed = (*unswept, *report.failed)
    done = evolve(report, deleted=len(deleted), purged=purged, staging=staging, failed=failed)
    counts = {"deleted": done.deleted, "purged": done.purged, "blobs": done.blobs, "bytes": done.size}
    say(_LOG, logging.WARNING if done.failed else logging.INFO, "collected", **counts, failed=len(done.failed))
    return done


def require_permission(store: Store) -> None:
    """Refuse who may not collect."""
    store.transact(Request("collect"), lambda steps: _permit(store, steps))


def _sweep(store: Store) -> tuple[int, tuple[str, ...]]:
    """Remove what interrupted puts and deletes left behind; what stays, such as what a lock holds, stops nothing."""
    freed, failed = 0, []
    for site in sites(store):
        try:
            freed += site.blobs.sweep(store.clock() - leases.LASTING)
        except StorageError as error:
            failed.append(site.named(f"left behind: {error}"))
    return freed, tuple(failed)


def _permit(store: Store, steps: Steps) -> None:
    role = directory.role_of(steps.views, store.context.organisation, store.context.actor)
    require_role(role, Role.ADMIN, "collect what expired or was deleted")


# --- versions --------------------------------------------------------------------------------------------------------


def _due(store: Store) -> Iterator[Due]:
    for version, decision in retention.due(store, store.clock()):
        if decision.action in {Action.DELETE, Action.PURGE}:
            yield Due(version.version_id, name_of(store, version), decision.action, decision.why)


def _delete(store: Store, due: Due) -> bool:
    """Mark a version deleted, if that is still to be done when it is its turn."""

    def deciding(steps: Steps) -> bool:
        version = steps.views.find(VersionRow, version_id=due.version_id)
        if version is None:
            return False
        decision = Book(steps.views, store.config.grace).decide(version, steps.now)
        if decision.action is not Action.DELETE:
            return False
        cause = Cause.EXPIRED if catalog.is_live(steps.views, version) else Cause.PARENT
        mark_deleted(steps, version.version_id, version.artifact_id, True, cause=cause)  # noqa: FBT003
        return True

    return bool(store.transact(Request("expire", None, due.version_id), deciding).answer)


def _purge(store: Store, dues: list[Due]) -> int:
    """Let go of versions whose grace period is over; their bytes go afterwards."""
    purged = 0
    found = reach(store, [due.version_id for due in dues]) if dues else Reach(store)
    for due in dues:
        counted = _own(found, store.views.find(VersionRow, version_id=due.version_id))

        def deciding(steps: Steps, due: Due = due, counted: tuple[int, int] = counted) -> bool:
            version = steps.views.find(VersionRow, version_id=due.version_id)
            if version is None:
                return False
            decision = Book(steps.views, store.config.grace).decide(version, steps.now)
            if decision.action is not Action.PURGE:
                return False
            blobs, size = counted
            steps.step(versions.VERSION, due.version_id, versions.purge, blobs=blobs, size=size)
            return True

        purged += bool(store.transact(Request("purge", None, due.version_id), deciding).answer)
    return purged


def _own(found: Reach, version: VersionRow | None) -> tuple[int, int]:
    """Return how many blobs of content only this version has, and their bytes together; they count as needed then."""
    if version is None or version.manifest is None:
        return 0, 0
    root = Root(Digest(version.manifest), team_of(found.store.views, version), version)
    needed = found.around(root.team_id)
    sizes = {digest: size for digest, size in found.manifest(root).contents() if digest not in needed}
    found.add(root)
    return len(sizes), sum(sizes.values())


# --- blobs -----------------------------------------------------------------------------------------------------------


@frozen
class Dead:
    """A blob that nothing needs in its place."""

    site: Site
    digest: Digest
    size: int

    @property
    def mark(self) -> str:
        """What scratch rows call it."""
        return mark(self.site.key, self.digest)


def dead_blobs(found: Reach, among: Iterable[Site]) -> dict[str, Dead]:
    """Return the blobs in these places that nothing needs there, by their marks."""
    dead: dict[str, Dead] = {}
    for site in among:
        needed = found.at(site.key)
        each = (Dead(site, digest, size) for digest, size in site.blobs.list() if digest not in needed)
        dead |= {one.mark: one for one in each}
    return dead


def delete_dead(
    store: Store, wait: float = 0.0, among: Sequence[Site] | None = None, *, progress: Progress = SILENT
) -> Report:
    """Delete what nothing needs in these places, or in all; wait so many seconds for sessions that began before."""
    among = sites(store) if among is None else among
    progress.ahead("looking for dead blobs")
    dead = dead_blobs(reach(store), among)
    if not dead:
        return Report()
    epoch = _condemn(store, dead)
    if not _sessions_ended(store, epoch, wait):
        return Report(kept=len(dead))
    found = reach(store)
    needed = {site.key: found.at(site.key) for site in among}
    still_dead = {each for each, one in dead.items() if one.digest not in needed[one.site.key]}
    _spare(store, [each for each in dead if each not in still_dead])
    progress.ahead("removing blobs", len(still_dead), sum(dead[each].size for each in still_dead))
    blobs, size, failed = 0, 0, []
    for site in among:
        waiting = iter([each for each in dead if each in still_dead and dead[each].site.key == site.key])
        while batch := list(islice(waiting, BATCH)):
            try:
                dying = _begin_deleting(store, batch, epoch)
                gone, refused = _deleted(site, [dead[each].digest for each in dying])
            finally:  # whoever waits for one of them goes on, also when this is interrupted
                _spare(store, batch, {"state": DELETING, "epoch": epoch})
            failed += refused
            freed = sum(dead[mark(site.key, digest)].size for digest in gone)
            blobs, size = blobs + len(gone), size + freed
            progress.done(len(gone), freed)
    return Report(blobs=blobs, size=size, kept=len(dead) - blobs, failed=tuple(failed))


def _deleted(site: Site, dying: list[Digest]) -> tuple[set[Digest], list[str]]:
    """Delete blobs from a place; return those that are verified absent, and a line for each other one."""
    gone, failed = set(), []
    for result in site.blobs.delete_many(dying):
        if result.error is None:
            gone.add(result.digest)
        else:
            failed.append(site.named(f"blob {result.digest}: {result.error}"))
    still = gone - site.blobs.missing(gone)
    failed += [site.named(f"blob {digest} is still there after it was deleted") for digest in sorted(still)]
    return gone - still, failed


def _condemn(store: Store, dead: Iterable[str]) -> int:
    """Raise the epoch and condemn blobs for it, in one transaction; return the new epoch.

    What another collection is deleting at this moment stays its own.
    """

    def acting(transaction: Transaction) -> int:
        epoch = leases.epoch(transaction.scratch) + 1
        transaction.scratch.put(leases.COLLECTION, leases.EPOCH, epoch)
        for each in dead:
            if _state(transaction.scratch, each) != DELETING:
                transaction.scratch.put(CONDEMNED, each, {"state": CONDEMNED, "epoch": epoch})
        return epoch

    return store.ledger.work(acting)


def _sessions_ended(store: Store, epoch: int, wait: float) -> bool:
    """Wait until no session that began before *epoch* is left."""
    deadline = time.monotonic() + wait
    while any(lease["epoch"] < epoch for _, lease in store.ledger.scratch.items(leases.LEASE)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def _begin_deleting(store: Store, batch: list[str], epoch: int) -> list[str]:
    """Say that blobs are being deleted now; those that a session rescued, or a later collection took, are left out."""

    def acting(transaction: Transaction) -> list[str]:
        ours = {"state": CONDEMNED, "epoch": epoch}
        dying = [each for each in batch if transaction.scratch.get(CONDEMNED, each) == ours]
        for each in dying:
            state = {"state": DELETING, "epoch": epoch}
            transaction.scratch.put(CONDEMNED, each, state, transaction.now + DELETING_LASTS)
        return dying

    return store.ledger.work(acting)


def _spare(store: Store, marks: list[str], state: Json = None) -> None:
    """Take back the condemnation of blobs; only where it is in this *state*, if one is given."""

    def acting(transaction: Transaction) -> None:
        for each in marks:
            if state is None or transaction.scratch.get(CONDEMNED, each) == state:
                transaction.scratch.delete(CONDEMNED, each)

    if marks:
        store.ledger.work(acting)


def _state(scratch: Scratch, marked: str) -> str | None:
    row = scratch.get(CONDEMNED, marked)
    return row["state"] if row else None


# --- the vault -------------------------------------------------------------------------------------------------------


def _referenced(store: Store, slots: set[SlotId]) -> set[SlotId]:
    """Return those of *slots* that an event refers to."""
    found: set[SlotId] = set()
    for recorded in store.ledger.read():
        found.update(slots.intersection(personal_slots(recorded.event)))
        if len(found) == len(slots):
            break
    return found
