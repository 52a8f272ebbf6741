"""Blobs that nothing needs: found, condemned, and said to be dying while they are deleted.

It never races a new reference. A logging session holds a lease; collecting raises the epoch and condemns dead blobs
in one transaction, waits until every lease of an older epoch has ended, marks reachability again, and only then
deletes, a batch at a time. A session of the new epoch that wants a condemned blob takes its condemnation back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from attrs import frozen

from muniment.app import leases
from muniment.app.places import mark
from muniment.app.reach import Reach, Site, reach
from muniment.app.store import Store
from muniment.domain.ports import Scratch, Transaction
from muniment.domain.values import Digest, Json, Micros

CONDEMNED: Final = "condemned"
DELETING: Final = "deleting"
DELETING_LASTS: Final[Micros] = 24 * 3600 * 1_000_000
"""After so long it is forgotten that something was being deleted, whatever became of whoever did it."""
PAUSE_SECONDS: Final = 0.05


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


@frozen
class Condemned:
    """Dead blobs by their marks, condemned in one *epoch*: no session of before is left that might want one."""

    epoch: int
    dead: dict[str, Dead]


def dead_blobs(found: Reach, among: Iterable[Site], wanted: Collection[Digest] | None = None) -> dict[str, Dead]:
    """Return the blobs in these places that nothing needs there, all or those of *wanted*, by their marks.

    Whoever names blobs is told of them wherever something of them is kept, listed or not.
    """
    dead: dict[str, Dead] = {}
    for site in among:
        needed = found.at(site.key)
        listed = site.blobs.list()
        each = (
            Dead(site, digest, size)
            for digest, size in listed
            if digest not in needed and (wanted is None or digest in wanted)
        )
        here = {one.mark: one for one in each}
        if wanted is not None:
            seen = {one.digest for one in here.values()}
            unlisted = {digest for digest in wanted if digest not in needed and digest not in seen}
            copies = site.blobs.search(unlisted).copies if unlisted else ()
            here |= {one.mark: one for one in (Dead(site, copy.digest, 0) for copy in copies)}
        dead |= here
    return dead


def condemned(store: Store, dead: dict[str, Dead], wait: float) -> Condemned | None:
    """Condemn blobs and wait so many seconds for the sessions that began before; ``None`` if some are still running.

    What turns out to be needed by then is spared.
    """
    take_over_all(store)
    epoch = condemn(store, dead)
    if not sessions_ended(store, epoch, wait):
        return None
    found = reach(store)
    needed = {one.site.key: found.at(one.site.key) for one in dead.values()}
    still = {each: one for each, one in dead.items() if one.digest not in needed[one.site.key]}
    spare(store, [each for each in dead if each not in still])
    return Condemned(epoch, still)


def condemn(store: Store, dead: Iterable[str]) -> int:
    """Raise the epoch and condemn blobs for it, in one transaction; return the new epoch.

    What another collection is deleting at this moment stays its own.
    """

    def acting(transaction: Transaction) -> int:
        epoch = leases.epoch(transaction.scratch) + 1
        transaction.scratch.put(leases.COLLECTION, leases.EPOCH, epoch)
        dying = {each for each, row in transaction.scratch.items(CONDEMNED) if row["state"] == DELETING}
        for each in dead:
            if each not in dying:
                transaction.scratch.put(CONDEMNED, each, {"state": CONDEMNED, "epoch": epoch})
        return epoch

    return store.ledger.work(acting)


def take_over(store: Store, dying: Collection[str]) -> None:
    """Forget that blobs are being deleted, if whoever did it has died: while they are, somebody has the turn."""
    rows = {each: store.ledger.scratch.get(CONDEMNED, each) for each in dying}
    if rows and not store.ledger.deleting():
        for each, row in rows.items():
            spare(store, [each], row)


def take_over_all(store: Store) -> None:
    """Forget all that the dead were deleting, also where nothing of it is left to be deleted."""
    take_over(store, [each for each, row in store.ledger.scratch.items(CONDEMNED) if row["state"] == DELETING])


def sessions_ended(store: Store, epoch: int, wait: float) -> bool:
    """Wait until no session that began before *epoch* is left."""
    deadline = time.monotonic() + wait
    while any(lease["epoch"] < epoch for _, lease in store.ledger.scratch.items(leases.LEASE)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def begin_deleting(
    store: Store,
    batch: Sequence[str],
    epoch: int,
    held: Callable[[Transaction, Sequence[str]], set[str]] = lambda _transaction, _marks: set(),
) -> list[str]:
    """Say that blobs are being deleted now.

    Those that a session rescued, or a later collection took, are left out, and those that are *held* at this moment.
    """

    def acting(transaction: Transaction) -> list[str]:
        ours = {"state": CONDEMNED, "epoch": epoch}
        ready = [each for each in batch if transaction.scratch.get(CONDEMNED, each) == ours]
        stay = held(transaction, ready) if ready else set()
        dying = [each for each in ready if each not in stay]
        for each in dying:
            state = {"state": DELETING, "epoch": epoch}
            transaction.scratch.put(CONDEMNED, each, state, transaction.now + DELETING_LASTS)
        for each in stay:
            transaction.scratch.delete(CONDEMNED, each)
        return dying

    return store.ledger.work(acting)


def spare(
    store: Store,
    marks: Sequence[str],
    state: Json = None,
    also: Callable[[Scratch], None] = lambda _scratch: None,
) -> None:
    """Take back the condemnation of blobs, only where it is in this *state* if one is given; do *also* in one go."""

    def acting(transaction: Transaction) -> None:
        for each in marks:
            if state is None or transaction.scratch.get(CONDEMNED, each) == state:
                transaction.scratch.delete(CONDEMNED, each)
        also(transaction.scratch)

    if marks:
        store.ledger.work(acting)
