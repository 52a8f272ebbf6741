"""Garbage collection: what expired is marked deleted, what was deleted long enough ago is purged, dead bytes go.

It never races a new reference. A logging session holds a lease; collecting raises the epoch and condemns dead blobs
in one transaction, waits until every lease of an older epoch has ended, marks reachability again, and only then
deletes, a batch at a time. A session of the new epoch that wants a condemned blob takes its condemnation back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from attrs import evolve, field, frozen

from muniment.app import catalog, directory, leases, manifests
from muniment.app.fsck import personal_slots
from muniment.app.lifecycle import mark_deleted
from muniment.app.logs import say
from muniment.app.staging import reclaim
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.domain import retention
from muniment.domain import version as versions
from muniment.domain.errors import CorruptError, NotFoundError, StorageError
from muniment.domain.ports import Scratch, Transaction, Views
from muniment.domain.registry import require_role
from muniment.domain.retention import Action, Decision, Facts, Level, ttl_rule
from muniment.domain.rows import ArtifactRow, ProjectRow, TeamRow, VersionRow
from muniment.domain.values import Digest, Micros, Role, SlotId, Ttl, TtlRule, VersionId
from muniment.domain.version import Cause, State

_LOG = logging.getLogger(__name__)

CONDEMNED = "condemned"
DELETING = "deleting"
DRAFT = "draft"
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
    dead = _dead(store, _reachable(store, purged))
    return Plan(due, len(dead), sum(dead.values()), len(store.ledger.scratch.items(leases.LEASE)))


def act(store: Store, *, wait: float = 0.0) -> Report:
    """Collect; *wait* is how many seconds to wait for running sessions before leaving their blobs for another time.

    What is purged is gone for good, so only an admin of the organisation may.
    """
    require_permission(store)
    deleted = [each for each in _due(store) if each.action is Action.DELETE and _delete(store, each)]
    purged = _purge(store, [each for each in _due(store) if each.action is Action.PURGE])
    swept, unswept = _sweep(store)
    staging = reclaim(store) + swept
    report = _delete_dead(store, wait)
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
    try:
        return store.blobs.sweep(store.clock() - leases.LASTING), ()
    except StorageError as error:
        return 0, (f"left behind: {error}",)


def _permit(store: Store, steps: Steps) -> None:
    role = directory.role_of(steps.views, store.context.organisation, store.context.actor)
    require_role(role, Role.ADMIN, "collect what expired or was deleted")


# --- versions --------------------------------------------------------------------------------------------------------


def decide(views: Views, version: VersionRow, now: Micros, grace: Micros) -> Decision:
    """Return what may be done with a version at *now*."""
    artifact = views.find(ArtifactRow, artifact_id=version.artifact_id)
    project = views.find(ProjectRow, project_id=artifact.project_id) if artifact else None
    team = views.find(TeamRow, team_id=project.team_id) if project else None
    team_ttl = Ttl() if team is None or team.ttl_micros is None else Ttl.after(team.ttl_micros)
    artifact_ttl = Ttl(TtlRule(artifact.ttl_rule), artifact.ttl_micros) if artifact else Ttl()
    rules = (
        ttl_rule(Level.VERSION, Ttl(TtlRule(version.ttl_rule), version.ttl_micros), "its own TTL"),
        ttl_rule(Level.ARTIFACT, artifact_ttl, "the TTL of its artifact"),
        ttl_rule(Level.TEAM, team_ttl, "the default TTL of its team"),
    )
    facts = Facts(
        created_at=version.created_at,
        state=State(version.state),
        protected_by=catalog.link_names(catalog.links_of(views, version.version_id)),
        orphaned=project is None,
        deleted_at=version.deleted_at,
        grace=grace,
    )
    return retention.decide(facts, [rule for rule in rules if rule is not None], (), (), now)


def _due(store: Store) -> Iterator[Due]:
    now, grace = store.clock(), store.config.grace
    for state in (State.COMMITTED, State.DELETED):
        for version in _in_state(store, state):
            decision = decide(store.views, version, now, grace)
            if decision.action is not Action.KEEP:
                yield Due(version.version_id, _name(store, version), decision.action, decision.why)


def _in_state(store: Store, state: State) -> Iterator[VersionRow]:
    after = None
    while page := store.views.select(VersionRow, state=state.value, order="created_at", after=after, limit=BATCH):
        yield from page
        after = page[-1].created_at


def _name(store: Store, version: VersionRow) -> str:
    try:
        found = catalog.origin(store.views, version.version_id)
    except NotFoundError:
        return version.version_id
    return f"{found.team.name}/{found.project.name}/{found.artifact.name}:v{version.index}"


def _delete(store: Store, due: Due) -> bool:
    """Mark a version deleted, if that is still to be done when it is its turn."""

    def deciding(steps: Steps) -> bool:
        version = steps.views.find(VersionRow, version_id=due.version_id)
        if version is None:
            return False
        decision = decide(steps.views, version, steps.now, store.config.grace)
        if decision.action is not Action.DELETE:
            return False
        cause = Cause.EXPIRED if catalog.is_live(steps.views, version) else Cause.PARENT
        mark_deleted(steps, version.version_id, version.artifact_id, True, cause=cause)  # noqa: FBT003
        return True

    return bool(store.transact(Request("expire", None, due.version_id), deciding).answer)


def _purge(store: Store, dues: list[Due]) -> int:
    """Let go of versions whose grace period is over; their bytes go afterwards."""
    purged = 0
    kept = _reachable(store, [due.version_id for due in dues]) if dues else set()
    for due in dues:
        counted = _own(store, due.version_id, kept)

        def deciding(steps: Steps, due: Due = due, counted: tuple[int, int] = counted) -> bool:
            version = steps.views.find(VersionRow, version_id=due.version_id)
            if version is None:
                return False
            decision = decide(steps.views, version, steps.now, store.config.grace)
            if decision.action is not Action.PURGE:
                return False
            blobs, size = counted
            steps.step(versions.VERSION, due.version_id, versions.purge, blobs=blobs, size=size)
            return True

        purged += bool(store.transact(Request("purge", None, due.version_id), deciding).answer)
    return purged


def _own(store: Store, version_id: VersionId, kept: set[Digest]) -> tuple[int, int]:
    """Return how many blobs of content only this version has, and their bytes together; they are *kept* no longer."""
    version = store.views.find(VersionRow, version_id=version_id)
    if version is None or version.manifest is None:
        return 0, 0
    manifest = manifests.read(store.blobs, store.codec, Digest(version.manifest))
    sizes = {digest: size for digest, size in manifest.contents() if digest not in kept}
    kept.update(sizes)
    return len(sizes), sum(sizes.values())


# --- blobs -----------------------------------------------------------------------------------------------------------


def _reachable(store: Store, purged: Iterable[VersionId] = ()) -> set[Digest]:
    """Return the digests of all blobs that a version or draft needs, those of *purged* versions left out."""
    without = set(purged)
    reached: set[Digest] = set()
    roots = {
        Digest(version.manifest): version
        for state in (State.COMMITTED, State.DELETED)
        for version in _in_state(store, state)
        if version.manifest is not None and version.version_id not in without
    }
    parts = [Digest(part["manifest"]) for _, part in store.ledger.scratch.items(DRAFT) if "manifest" in part]
    for root in dict.fromkeys([*roots, *parts]):
        try:
            reached.update(manifests.read(store.blobs, store.codec, root).blobs(reached))
        except (CorruptError, NotFoundError) as error:
            whose = _name(store, roots[root]) if root in roots else "a part of a version that is being made"
            msg = f"the manifest of {whose} cannot be read, so no bytes are let go — run `muniment fsck`: {error}"
            raise CorruptError(msg) from error
    return reached


def _dead(store: Store, reached: set[Digest]) -> dict[Digest, int]:
    return {digest: size for digest, size in store.blobs.list() if digest not in reached}


def _delete_dead(store: Store, wait: float) -> Report:
    dead = _dead(store, _reachable(store))
    if not dead:
        return Report()
    epoch = _condemn(store, dead)
    if not _sessions_ended(store, epoch, wait):
        return Report(kept=len(dead))
    reached = _reachable(store)
    _spare(store, [digest for digest in dead if digest in reached])
    blobs, size, failed = 0, 0, []
    waiting = iter([digest for digest in dead if digest not in reached])
    while batch := list(islice(waiting, BATCH)):
        dying = _begin_deleting(store, batch, epoch)
        gone = []
        for result in store.blobs.delete_many(dying):
            if result.error is None:
                gone.append(result.digest)
            else:
                failed.append(f"blob {result.digest}: {result.error}")
        still = store.blobs.missing(gone) ^ set(gone)
        failed += [f"blob {digest} is still there after it was deleted" for digest in sorted(still)]
        blobs, size = blobs + len(gone) - len(still), size + sum(dead[digest] for digest in gone if digest not in still)
        _spare(store, dying)
    return Report(blobs=blobs, size=size, kept=len(dead) - blobs, failed=tuple(failed))


def _condemn(store: Store, dead: Iterable[Digest]) -> int:
    """Raise the epoch and condemn blobs for it, in one transaction; return the new epoch.

    What another collection is deleting at this moment stays its own.
    """

    def acting(transaction: Transaction) -> int:
        epoch = leases.epoch(transaction.scratch) + 1
        transaction.scratch.put(leases.COLLECTION, leases.EPOCH, epoch)
        for digest in dead:
            if _state(transaction.scratch, digest) != DELETING:
                transaction.scratch.put(CONDEMNED, digest, {"state": CONDEMNED, "epoch": epoch})
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


def _begin_deleting(store: Store, batch: list[Digest], epoch: int) -> list[Digest]:
    """Say that blobs are being deleted now; those that a session rescued, or a later collection took, are left out."""

    def acting(transaction: Transaction) -> list[Digest]:
        ours = {"state": CONDEMNED, "epoch": epoch}
        dying = [digest for digest in batch if transaction.scratch.get(CONDEMNED, digest) == ours]
        for digest in dying:
            transaction.scratch.put(CONDEMNED, digest, {"state": DELETING}, transaction.now + DELETING_LASTS)
        return dying

    return store.ledger.work(acting)


def _spare(store: Store, digests: list[Digest]) -> None:
    def acting(transaction: Transaction) -> None:
        for digest in digests:
            transaction.scratch.delete(CONDEMNED, digest)

    if digests:
        store.ledger.work(acting)


def _state(scratch: Scratch, digest: Digest) -> str | None:
    row = scratch.get(CONDEMNED, digest)
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
