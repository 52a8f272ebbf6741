"""The one way by which bytes go: deleted wherever they lie, looked for afterwards, and told of with evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from attrs import define, evolve, field, frozen

from muniment.app.collecting import residuals
from muniment.app.collecting.condemning import (
    CONDEMNED,
    DELETING,
    Condemned,
    Dead,
    begin_deleting,
    condemned,
    dead_blobs,
    spare,
    take_over_all,
)
from muniment.app.collecting.residuals import Stuck
from muniment.app.progress import SILENT, Progress
from muniment.app.reach import Site, reach, sites
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import disposal as disposals
from muniment.domain.disposal import Disposed
from muniment.domain.errors import StillThereError, StorageError
from muniment.domain.evidence import Check, Evidence, Method, Search, Trigger
from muniment.domain.ports import BlobResult, Scratch, Transaction
from muniment.domain.values import Digest, Json

BATCH: Final = 4_000
"""How many blobs go at once: a pack is written anew once for all of a batch that lie in it."""

Held = Callable[[Transaction, Sequence[str]], set[str]]


@frozen
class Tally:
    """What was removed in one place so far: blobs that are verified absent, their bytes, and the copies of them."""

    blobs: int = 0
    size: int = 0
    copies: int = 0
    rewritten: int = 0
    verified_by: tuple[str, ...] = ()

    def plus(self, size: int, result: BlobResult, by: tuple[Check, ...]) -> Tally:
        """Return this with one blob more."""
        return Tally(
            self.blobs + 1,
            self.size + size,
            self.copies + result.copies,
            self.rewritten + int(result.rewritten),
            tuple(dict.fromkeys([*self.verified_by, *(check.value for check in by)])),
        )

    def evidence(self, residual: int = 0, by: tuple[Check, ...] = ()) -> Evidence:
        """Return what the ledger keeps of this; *by* is what was asked where nothing was there to remove."""
        method = Method.REWRITTEN if self.rewritten else Method.DELETED if self.copies else Method.ABSENT
        checks = tuple(Check(each) for each in self.verified_by) or by
        return Evidence(new_id(), method, checks, self.blobs, self.size, self.copies, residual)


def tally_of(row: Json) -> dict[str, Tally]:
    """Return what a scratch row holds of tallies, by the keys of places."""
    return {
        key: Tally(each["blobs"], each["size"], each["copies"], each["rewritten"], tuple(each["by"]))
        for key, each in (row or {}).items()
    }


def row_of(tallies: dict[str, Tally]) -> Json:
    """Return tallies as a scratch row holds them."""
    return {
        key: {
            "blobs": each.blobs,
            "size": each.size,
            "copies": each.copies,
            "rewritten": each.rewritten,
            "by": list(each.verified_by),
        }
        for key, each in tallies.items()
    }


@frozen
class Gone:
    """A blob that is verified absent, what its store said of deleting it, and by what it was looked for."""

    dead: Dead
    result: BlobResult
    by: tuple[Check, ...]


@define
class Disposing:
    """Condemned blobs on their way out, and what became of each: *gone*, *stuck*, *failed*, *spared* or *held*."""

    store: Store
    condemned: Condemned
    progress: Progress = SILENT
    may_not: Held = lambda _transaction, _marks: set()
    told: Callable[[Scratch, list[Gone]], None] = lambda _scratch, _gone: None
    gone: dict[str, Gone] = field(factory=dict)
    stuck: dict[str, Stuck] = field(factory=dict)
    failed: dict[str, str] = field(factory=dict)
    spared: set[str] = field(factory=set)
    held: set[str] = field(factory=set)

    def run(self, marks: Iterable[str]) -> None:
        """Delete blobs, place by place and batch by batch, and look for each afterwards."""
        by_site: dict[str, list[str]] = defaultdict(list)
        for each in marks:
            by_site[self.condemned.dead[each].site.key].append(each)
        for waiting in map(iter, by_site.values()):
            while batch := list(islice(waiting, BATCH)):
                self._batch(batch)

    @property
    def tried(self) -> set[str]:
        """The marks of all blobs of which it was tried."""
        return {*self.gone, *self.stuck, *self.failed, *self.spared, *self.held}

    def spare_others(self) -> None:
        """Take back the condemnation of what was not tried, because something that goes before it could not go."""
        spare(self.store, sorted(self.condemned.dead.keys() - self.tried), self._ours)

    @property
    def _ours(self) -> Json:
        """The row of a blob that neither a session nor a later collection has taken from us."""
        return {"state": CONDEMNED, "epoch": self.condemned.epoch}

    def done(self, marks: Iterable[str]) -> bool:
        """Whether none of these is left but what a lock of its store holds, or somebody wants again."""
        return not any(each in self.failed or each in self.held for each in marks)

    def lines(self) -> tuple[str, ...]:
        """Return a line for each blob that did not go; those that are told of by one line, once."""
        stuck = (each.line for each in self.stuck.values())
        return tuple(dict.fromkeys([*self.failed.values(), *stuck]))

    def _batch(self, batch: list[str]) -> None:
        dead = {each: self.condemned.dead[each] for each in batch}
        site = dead[batch[0]].site
        gone: list[Gone] = []
        if not any(each == self._ours for each in (self.store.ledger.scratch.get(CONDEMNED, it) for it in batch)):
            self.spared.update(batch)
            return
        with self.store.ledger.alone() as require_turn:  # another machine may carry on what is deleted here
            try:
                dying = begin_deleting(self.store, batch, self.condemned.epoch, self._held)
                self.spared.update(each for each in batch if each not in dying and each not in self.held)
                deleted = site.blobs.delete_many(dead[each].digest for each in dying)
                seen = self._seen(site, [dead[each] for each in dying], {result.digest: result for result in deleted})
                require_turn()
                gone = seen
            finally:  # whoever waits for one of them goes on, also when this is interrupted
                mine = {"state": DELETING, "epoch": self.condemned.epoch}
                spare(self.store, batch, mine, lambda scratch: self.told(scratch, gone))
        self.gone |= {each.dead.mark: each for each in gone}
        self.progress.done(len(gone), sum(each.dead.size for each in gone))

    def _held(self, transaction: Transaction, marks: Sequence[str]) -> set[str]:
        held = self.may_not(transaction, marks)
        self.held |= held
        return held

    def _seen(self, site: Site, dying: list[Dead], results: dict[Digest, BlobResult]) -> list[Gone]:
        """Look for blobs in what their bytes lie in; return those that are not there."""
        try:
            search = site.blobs.search([one.digest for one in dying]) if dying else Search((), ())
        except StorageError as error:
            line = site.named(f"{len(dying)} blobs were deleted, but nobody could look whether they are gone: {error}")
            self.failed |= dict.fromkeys((one.mark for one in dying), line)
            return []
        there = {copy.digest for copy in search.copies}
        if search.unsure:
            names = ", ".join(search.unsure[:3])
            line = site.named(f"{names}: nobody can say what is in it — see `muniment fsck`, restore or remove it")
            self.failed |= dict.fromkeys((one.mark for one in dying), line)
            return []
        cached = self._cached(site, dying)
        gone = []
        for one in dying:
            if one.digest in cached:
                self.failed[one.mark] = site.named(f"blob {one.digest}: {cached[one.digest]}")
                continue
            result = results.get(one.digest, BlobResult(one.digest, done=False))
            if one.digest not in there and not isinstance(result.error, StillThereError):
                gone.append(Gone(one, result, search.by))
            else:
                self._stays(site, one, result)
        return gone

    def _cached(self, site: Site, dying: list[Dead]) -> dict[Digest, Exception]:
        """Drop blobs from the cache of this machine; return why those that stay do. What lies here is not cached."""
        if not self.store.places.is_elsewhere(site.url):
            return {}
        results = self.store.cache.delete_many([one.digest for one in dying])
        return {result.digest: result.error for result in results if result.error is not None}

    def _stays(self, site: Site, one: Dead, result: BlobResult) -> None:
        if isinstance(result.error, StillThereError):
            line = site.named(f"blob {one.digest}: {result.error}")
            self.stuck[one.mark] = Stuck(one.digest, result.error.until, max(1, result.copies), line)
        elif result.error is not None:
            self.failed[one.mark] = site.named(f"blob {one.digest}: {result.error}")
        else:
            self.failed[one.mark] = site.named(f"blob {one.digest} is still there after it was deleted")


# --- blobs of no version ---------------------------------------------------------------------------------------------


@frozen
class Outcome:
    """What disposing of blobs came to; *kept* ones are needed, wanted again, held, or running sessions may want them.

    *failed* has a line for each that is still there, or that nobody could look for; of these a lock holds those in
    *locked*, and of the others *undone* has the lines.
    """

    evidence: tuple[Evidence, ...] = ()
    blobs: int = 0
    size: int = 0
    kept: int = 0
    residual: int = 0
    failed: tuple[str, ...] = ()
    locked: frozenset[Digest] = frozenset()
    undone: tuple[str, ...] = ()


def dispose(
    store: Store,
    digests: Collection[Digest] | None,
    trigger: Trigger,
    *,
    owner_id: str | None = None,
    request_id: str | None = None,
    among: Sequence[Site] | None = None,
    wait: float = 0.0,
    progress: Progress = SILENT,
) -> Outcome:
    """Delete from all places, or *among* some, those of these blobs that nothing needs there; ``None`` are all.

    They are deleted with every version, marker and unfinished upload, and then looked for where the bytes lie, not
    where it is written down. What is verified absent is recorded with its evidence; what a lock of the store keeps is
    recorded with the date on which that ends. *wait* is how many seconds to wait for sessions that began before.
    """
    among = sites(store) if among is None else among
    wanted = None if digests is None else set(digests)
    found = dead_blobs(reach(store), among, wanted)
    if not found:
        take_over_all(store)
        return Outcome()
    ready = condemned(store, found, wait)
    if ready is None:
        return Outcome(kept=len(found))
    progress.ahead("removing blobs", len(ready.dead), sum(each.size for each in ready.dead.values()))
    disposing = Disposing(store, ready, progress)
    disposing.run(ready.dead)
    kept = len(found) - len(disposing.gone)
    done = record(store, disposing, trigger, owner_id=owner_id, request_id=request_id)
    return evolve(done, kept=kept)


def record(
    store: Store,
    disposing: Disposing,
    trigger: Trigger,
    *,
    marks: Collection[str] | None = None,
    owner_id: str | None = None,
    request_id: str | None = None,
) -> Outcome:
    """Record what became of blobs that belong to no version that was let go: of these *marks*, or of all."""
    wanted = disposing.condemned.dead.keys() if marks is None else marks
    gone = [each for marked, each in disposing.gone.items() if marked in wanted]
    stuck = {marked: each for marked, each in disposing.stuck.items() if marked in wanted}
    told: list[Evidence] = []
    known = residuals.known(store)
    for site, removed, left in _by_site(disposing, gone, stuck):
        new = [each for marked, each in left.items() if marked not in known]
        if not removed and not new:
            continue
        tally = Tally()
        for each in removed:
            tally = tally.plus(each.dead.size, each.result, each.by)
        evidence = tally.evidence(len(left))
        event = Disposed(trigger, evidence, site.url or "", owner_id, request_id)

        def deciding(
            steps: Steps, site: Site = site, event: Disposed = event, new: Sequence[Stuck] = tuple(new)
        ) -> None:
            steps.step(disposals.DISPOSAL, event.evidence.disposal_id, disposals.record_disposal, event)
            residuals.leave(steps, event.evidence.disposal_id, site.url, new)

        store.transact(Request("dispose", None, owner_id or evidence.disposal_id), deciding)
        told.append(evidence)
    size = sum(each.dead.size for each in gone)
    locked = frozenset(each.digest for each in stuck.values())
    undone = tuple(dict.fromkeys(disposing.failed.values()))
    return Outcome(tuple(told), len(gone), size, 0, len(stuck), disposing.lines(), locked, undone)


def _by_site(
    disposing: Disposing, gone: list[Gone], stuck: dict[str, Stuck]
) -> Iterator[tuple[Site, list[Gone], dict[str, Stuck]]]:
    found = {one.site.key: one.site for one in disposing.condemned.dead.values()}
    for key, site in found.items():
        left = {marked: each for marked, each in stuck.items() if disposing.condemned.dead[marked].site.key == key}
        yield site, [each for each in gone if each.dead.site.key == key], left
