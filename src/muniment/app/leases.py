"""Leases: how a logging session keeps its blobs from being collected before its version names them."""

from __future__ import annotations

from attrs import frozen

from muniment.app.store import Store
from muniment.app.transact import Steps, new_id
from muniment.domain.errors import LeaseExpiredError
from muniment.domain.ports import Scratch, Transaction
from muniment.domain.values import Micros

LEASE = "lease"
COLLECTION = "collection"
EPOCH = "epoch"
LASTING: Micros = 3600 * 1_000_000
"""How long a lease lasts unless it is renewed, in microseconds."""


@frozen
class Lease:
    """One logging session's lease, and the epoch of collection in which it began."""

    id: str
    epoch: int


def epoch(scratch: Scratch) -> int:
    """Return how many collections have begun."""
    return int(scratch.get(COLLECTION, EPOCH) or 0)


def take(store: Store, id_: str | None = None) -> Lease:
    """Begin a logging session; one with an *id_* of its own takes the place of what was left of it."""
    id_ = id_ or new_id()

    def act(transaction: Transaction) -> Lease:
        lease = Lease(id_, epoch(transaction.scratch))
        transaction.scratch.put(LEASE, id_, {"epoch": lease.epoch}, transaction.now + LASTING)
        return lease

    return store.ledger.work(act)


def renew(store: Store, lease: Lease) -> None:
    """Let the lease last longer; an expired one is LeaseExpiredError."""

    def act(transaction: Transaction) -> None:
        _require(transaction.scratch, lease)
        transaction.scratch.put(LEASE, lease.id, {"epoch": lease.epoch}, transaction.now + LASTING)

    store.ledger.work(act)


def spend(steps: Steps, lease: Lease) -> None:
    """End the lease in the transaction that makes the version; an expired one is LeaseExpiredError."""
    _require(steps.scratch, lease)
    steps.scratch.delete(LEASE, lease.id)


def end_all(steps: Steps) -> None:
    """End every session: what is being logged meanwhile is uploaded once more, and looked at anew."""
    for id_, _ in steps.scratch.items(LEASE):
        steps.scratch.delete(LEASE, id_)


def release(store: Store, lease: Lease) -> None:
    """End a session that came to nothing."""
    store.ledger.work(lambda transaction: transaction.scratch.delete(LEASE, lease.id))


def _require(scratch: Scratch, lease: Lease) -> None:
    if scratch.get(LEASE, lease.id) is None:
        msg = "the upload took longer than its lease, so its blobs may have been collected — log the artifact again"
        raise LeaseExpiredError(msg)
