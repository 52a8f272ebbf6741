"""Garbage collection: what expired is marked deleted, what was deleted long enough ago is purged, dead bytes go.

A version is let go by a decision under the lock; then its bytes are disposed of wherever they lie and looked for; only
then it is purged, with that as evidence. Interrupted anywhere, the next collection goes on.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence

from attrs import evolve, field, frozen

from muniment.app import catalog, directory, leases, retention
from muniment.app.collecting import disposal, purging, residuals
from muniment.app.collecting.condemning import Condemned, Dead, condemned, dead_blobs, take_over_all
from muniment.app.collecting.disposal import Disposing
from muniment.app.collecting.purging import AT_ONCE, Claim, Owners
from muniment.app.files.staging import reclaim
from muniment.app.lifecycle import mark_deleted
from muniment.app.logs import say
from muniment.app.personal import personal_slots
from muniment.app.progress import SILENT, Progress
from muniment.app.reach import Site, name_of, reach, sites
from muniment.app.retention import Book
from muniment.app.store import Store
from muniment.app.telemetry import traced
from muniment.app.transact import Request, Steps
from muniment.domain import disposal as disposals
from muniment.domain.errors import StorageError
from muniment.domain.evidence import Trigger
from muniment.domain.registry import require_role
from muniment.domain.retention import Action
from muniment.domain.rows import VersionRow
from muniment.domain.values import Micros, Role, SlotId, VersionId
from muniment.domain.version import Cause

_LOG = logging.getLogger(__name__)

VAULT_SLOTS_LAST: Micros = 24 * 3600 * 1_000_000
PARKED = ":g"
"""How the stream of an organisation's purges that wait ends."""


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
class Freed:
    """What went from one place, ``None`` being the store's own: blobs that are verified absent, and their bytes."""

    place: str | None
    blobs: int
    size: int


@frozen
class Report:
    """What collecting did; ``kept`` counts dead blobs that were left because of running sessions, or rescued.

    ``residual`` blobs are held by a lock of their store, ``ended`` counts earlier ones of those that are gone by now.
    ``parked`` is why ``waiting`` versions were not marked deleted or let go. ``late`` is by how much the latest of what
    was let go was overdue.
    """

    deleted: int = 0
    let_go: int = 0
    purged: int = 0
    blobs: int = 0
    size: int = 0
    kept: int = 0
    staging: int = 0
    failed: tuple[str, ...] = field(factory=tuple)
    places: tuple[Freed, ...] = ()
    residual: int = 0
    ended: int = 0
    late: Micros = 0
    waiting: int = 0
    parked: str | None = None


@frozen
class Parked:
    """What is not done, though so many versions are *waiting* for it, and why."""

    actions: frozenset[Action] = frozenset()
    waiting: int = 0
    why: str | None = None


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
    due = _waiting(store)
    parked = _park(store, due)
    deleted = 0 if Action.DELETE in parked.actions else _delete(store, due[Action.DELETE])
    let_go, late = (0, 0) if Action.PURGE in parked.actions else _let_go(store, _waiting(store)[Action.PURGE])
    swept, unswept = _sweep(store)
    staging = reclaim(store) + swept
    report = _remove(store, wait, progress)
    store.vault.sweep(lambda slots: _referenced(store, set(slots)), store.clock() - VAULT_SLOTS_LAST)
    done = evolve(
        report,
        deleted=deleted,
        let_go=let_go,
        staging=staging,
        failed=(*unswept, *report.failed),
        late=late,
        waiting=parked.waiting,
        parked=parked.why,
    )
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


def _waiting(store: Store) -> dict[Action, list[VersionId]]:
    """Return the versions to mark deleted, and those whose bytes may go."""
    found: dict[Action, list[VersionId]] = {Action.DELETE: [], Action.PURGE: []}
    for version, decision in retention.due(store, store.clock()):
        if decision.action in found:
            found[decision.action].append(version.version_id)
    return found


def _delete(store: Store, due: list[VersionId]) -> int:
    """Mark versions deleted, if that is still to be done when it is their turn; return how many were."""
    deleted = 0
    for start in range(0, len(due), AT_ONCE):
        some = due[start : start + AT_ONCE]

        def deciding(steps: Steps, some: Sequence[VersionId] = some) -> int:
            return sum(_expire(steps, store.config.grace, each) for each in some)

        deleted += int(store.transact(Request("expire", [*some], some[0]), deciding).answer)
    return deleted


def _expire(steps: Steps, grace: Micros, version_id: VersionId) -> bool:
    version = steps.views.find(VersionRow, version_id=version_id)
    if version is None:
        return False
    decision = Book(steps.views, grace).decide(version, steps.now)
    if decision.action is not Action.DELETE:
        return False
    cause = Cause.EXPIRED if catalog.is_live(steps.views, version) else Cause.PARENT
    mark_deleted(steps, version.version_id, version.artifact_id, True, cause=cause)  # noqa: FBT003
    return True


def _let_go(store: Store, due: list[VersionId]) -> tuple[int, Micros]:
    """Let go of what is due; return how much, and the latest by how much."""
    since = purging.let_go_all(store, due)
    return len(since), max((store.clock() - due_at for due_at in since), default=0)


def _park(store: Store, due: dict[Action, list[VersionId]]) -> Parked:
    """Return what must wait, because the clock may have jumped, and record that it waits."""
    why = retention.clock_guard(store, expiring=bool(due[Action.DELETE])) if any(due.values()) else None
    if why is None:
        return Parked()
    purges = retention.clock_doubt(store) is not None
    actions = frozenset({Action.DELETE, Action.PURGE} if purges else {Action.DELETE})
    waiting, organisation = sum(len(due[each]) for each in actions), store.context.organisation

    def deciding(steps: Steps) -> None:
        steps.step(disposals.DISPOSAL, organisation + PARKED, disposals.park_purge, waiting)

    store.transact(Request("park purge", waiting, organisation), deciding)
    return Parked(actions, waiting, why)


# --- bytes -----------------------------------------------------------------------------------------------------------


def _remove(store: Store, wait: float, progress: Progress) -> Report:
    """Dispose of what nothing needs: first the bytes of versions that were let go, then whatever else was left."""
    progress.ahead("looking for dead blobs")
    found, among = reach(store), sites(store)
    dead = dead_blobs(found, among)
    owners = Owners.of(purging.claims(store, found, among, dead))
    for claim in owners.claims:
        dead |= claim.hidden
    if not dead:
        take_over_all(store)
    ready = condemned(store, dead, wait) if dead else Condemned(0, {})
    if ready is None:
        return Report(kept=len(dead))
    progress.ahead("removing blobs", len(ready.dead), sum(each.size for each in ready.dead.values()))
    disposing = Disposing(store, ready, progress, owners.held, owners.tell)
    purged = _dispose(store, owners, disposing)
    ended, unseen = residuals.look_again(store, among, reach(store)) if residuals.any_left(store) else (0, ())
    return Report(
        purged=purged,
        blobs=len(disposing.gone),
        size=sum(each.dead.size for each in disposing.gone.values()),
        kept=len(dead) - len(disposing.gone),
        failed=(*disposing.lines(), *unseen),
        places=_freed(among, [each.dead for each in disposing.gone.values()]),
        residual=len(disposing.stuck),
        ended=ended,
    )


def _dispose(store: Store, owners: Owners, disposing: Disposing) -> int:
    """Dispose of what is condemned; return how many versions were purged."""
    known = residuals.known(store)
    purged: list[Claim] = []

    def record(claims: Sequence[Claim]) -> None:
        purged.extend(purging.purge(store, claims, owners, disposing, known))

    purging.dispose(owners, disposing, record)
    loose = sorted(disposing.condemned.dead.keys() - owners.first.keys())
    disposing.run(loose)
    disposal.record(store, disposing, Trigger.LEFTOVER, marks=loose)
    disposing.spare_others()
    unreadable = (claim for claim in owners.claims if not claim.readable)
    record([claim for claim in unreadable if disposing.done([*claim.marks, *loose])])
    return len(purged)


def _freed(among: Sequence[Site], gone: Sequence[Dead]) -> tuple[Freed, ...]:
    sizes: dict[str, list[int]] = defaultdict(list)
    for each in gone:
        sizes[each.site.key].append(each.size)
    return tuple(Freed(site.url, len(sizes[site.key]), sum(sizes[site.key])) for site in among if site.key in sizes)


# --- the vault -------------------------------------------------------------------------------------------------------


def _referenced(store: Store, slots: set[SlotId]) -> set[SlotId]:
    """Return those of *slots* that an event refers to."""
    found: set[SlotId] = set()
    for recorded in store.ledger.read():
        found.update(slots.intersection(personal_slots(recorded.event)))
        if len(found) == len(slots):
            break
    return found
