"""The way of a version from deleted to purged: let go under the lock, its bytes disposed of, then the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from attrs import field, frozen

from muniment.app import holds
from muniment.app.collecting import residuals
from muniment.app.collecting.condemning import Dead
from muniment.app.collecting.disposal import Disposing, Gone, Tally, row_of, tally_of
from muniment.app.places import mark
from muniment.app.reach import Reach, Root, Site, in_state, team_of
from muniment.app.retention import Book
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.domain import version as versions
from muniment.domain.errors import CorruptError, NotFoundError
from muniment.domain.evidence import Check
from muniment.domain.ports import Scratch, Transaction
from muniment.domain.retention import Action
from muniment.domain.rows import HoldRow, VersionRow
from muniment.domain.values import Digest, Json, Micros, VersionId
from muniment.domain.version import State

TALLY: Final = "purging"
"""The kind of scratch row that remembers what was removed of a version before its purge is recorded."""
CHUNK: Final = 500
"""How many versions are disposed of before their purges are recorded."""
AT_ONCE: Final = 100
"""How many versions one command lets go or purges."""
STAGES: Final = 3
"""Contents, leaves of the manifest, its index."""


def let_go(store: Store, version_id: VersionId) -> Micros | None:
    """Decide again under the lock whether a version goes, and let it go; return since when that was due, if so."""
    return next(iter(let_go_all(store, [version_id])), None)


def let_go_all(store: Store, version_ids: Sequence[VersionId]) -> list[Micros]:
    """Let go of those of these versions that are still due, so many at once; return since when each of them was."""
    since: list[Micros] = []
    for start in range(0, len(version_ids), AT_ONCE):
        some = version_ids[start : start + AT_ONCE]

        def deciding(steps: Steps, some: Sequence[VersionId] = some) -> Json:
            found = (_let_go(steps, store.config.grace, each) for each in some)
            return [due_at for due_at in found if due_at is not None]

        since += store.transact(Request("let go", [*some], some[0]), deciding).answer
    return since


def _let_go(steps: Steps, grace: Micros, version_id: VersionId) -> Micros | None:
    version = steps.views.find(VersionRow, version_id=version_id)
    if version is None:
        return None
    decision = Book(steps.views, grace).decide(version, steps.now)
    if decision.action is not Action.PURGE:
        return None
    due_at = steps.now if decision.due_at is None else decision.due_at
    steps.step(versions.VERSION, version_id, versions.let_go_in_time, version.deleted_at, due_at)
    return due_at


@frozen
class Claim:
    """What a version that was let go still has in each place, by their marks, in the order in which it goes.

    First its contents, then the leaves of its manifest, then the index: whoever goes on after an interruption finds
    what is left by what goes later. *hidden* are those that no listing shows. One that is not *readable* to its end
    cannot say what all its contents were.
    """

    version: VersionRow
    sites: tuple[Site, ...]
    stages: tuple[frozenset[str], ...]
    readable: bool
    hidden: dict[str, Dead] = field(factory=dict)
    by: dict[str, tuple[Check, ...]] = field(factory=dict)

    @property
    def marks(self) -> frozenset[str]:
        """Everything of it."""
        return frozenset[str]().union(*self.stages)


def claims(store: Store, found: Reach, among: Sequence[Site], dead: Iterable[str]) -> Iterator[Claim]:
    """Yield what the versions that were let go still have, those that a hold keeps left out."""
    listed = set(dead)
    for version in in_state(store.views, State.LET_GO):
        if version.manifest is not None and not holds.on_version(store.views, version):
            yield _claim(found, version, Digest(version.manifest), among, listed)


def _claim(found: Reach, version: VersionRow, manifest: Digest, among: Sequence[Site], listed: set[str]) -> Claim:
    root = Root(manifest, team_of(found.store.views, version), version)
    group = found.group(root.team_id)
    sites = tuple(site for site in among if site.key in group or not site.needed)
    digests, readable = _digests(found, root)
    stages: list[set[str]] = [set() for _ in digests]
    hidden: dict[str, Dead] = {}
    by: dict[str, tuple[Check, ...]] = {}
    for site in sites:
        needed = found.at(site.key)
        wanted = set[Digest]().union(*digests) - needed
        unlisted = {each for each in wanted if mark(site.key, each) not in listed}
        if unlisted:
            search = site.blobs.search(unlisted)
            hidden |= {one.mark: one for one in (Dead(site, copy.digest, 0) for copy in search.copies)}
            by[site.key] = search.by
        for stage, there in zip(stages, digests, strict=True):
            marks = {mark(site.key, each) for each in there if each in wanted}
            stage.update(each for each in marks if each in listed or each in hidden)
    return Claim(version, sites, tuple(map(frozenset, stages)), readable, hidden, by)


def _digests(found: Reach, root: Root) -> tuple[tuple[set[Digest], set[Digest], set[Digest]], bool]:
    """Return the blobs of a version by the stages in which they go, and whether its contents could be told."""
    contents: set[Digest] = set()
    leaves: set[Digest] = set()
    try:
        manifest = found.manifest(root)
        leaves = {each for record in manifest.records for each in (record.rows, record.annex) if each is not None}
        contents = {digest for digest, _ in manifest.contents()}
    except (CorruptError, NotFoundError):
        return (set(), leaves, {root.manifest}), False
    return (contents, leaves - contents, {root.manifest} - contents - leaves), True


# --- while the bytes go ----------------------------------------------------------------------------------------------


@frozen
class Owners:
    """Whose blobs are whose: of several versions the first one is told of what they shared."""

    claims: tuple[Claim, ...]
    first: dict[str, VersionId]
    every: dict[str, list[VersionId]]

    @classmethod
    def of(cls, claimed: Iterable[Claim]) -> Owners:
        """Return the owners of what is claimed."""
        them = tuple(claimed)
        first: dict[str, VersionId] = {}
        every: dict[str, list[VersionId]] = {}
        for claim in them:
            for marked in claim.marks:
                first.setdefault(marked, claim.version.version_id)
                every.setdefault(marked, []).append(claim.version.version_id)
        return cls(them, first, every)

    def held(self, transaction: Transaction, marks: Sequence[str]) -> set[str]:
        """Return those of *marks* that a version needs for which a hold is in force at this moment."""
        views = transaction.views
        if not views.select(HoldRow, state=holds.PLACED, order="placed_at", limit=1):
            return set()
        owners = {owner for marked in marks for owner in self.every.get(marked, ())}
        rows = [row for owner in owners if (row := views.find(VersionRow, version_id=owner)) is not None]
        held = {row.version_id for row in rows if holds.on_version(views, row)}
        return {marked for marked in marks if held.intersection(self.every.get(marked, ()))}

    def tell(self, scratch: Scratch, gone: list[Gone]) -> None:
        """Remember what was removed of which version, until its purge is recorded."""
        told: dict[VersionId, dict[str, Tally]] = {}
        for each in gone:
            owner = self.first.get(each.dead.mark)
            if owner is not None:
                tallies = told.setdefault(owner, tally_of(scratch.get(TALLY, owner)))
                before = tallies.get(each.dead.site.key, Tally())
                tallies[each.dead.site.key] = before.plus(each.dead.size, each.result, each.by)
        for owner, tallies in told.items():
            scratch.put(TALLY, owner, row_of(tallies))


def dispose(owners: Owners, disposing: Disposing, purged: Callable[[Sequence[Claim]], None]) -> None:
    """Dispose of the bytes of versions, some versions after the others, and call *purged* with those that may be."""
    there = disposing.condemned.dead
    for start in range(0, len(owners.claims), CHUNK):
        ready = list(owners.claims[start : start + CHUNK])
        for stage in range(STAGES):
            waiting = {each for claim in ready for each in claim.stages[stage] if each in there}
            disposing.run(sorted(waiting - disposing.tried))
            ready = [claim for claim in ready if disposing.done(claim.stages[stage])]
        purged([claim for claim in ready if claim.readable])


def purge(
    store: Store, claims: Sequence[Claim], owners: Owners, disposing: Disposing, known: frozenset[str]
) -> list[Claim]:
    """Record the purges of versions whose bytes are verified absent, with evidence, and what a lock still keeps.

    Return those that were not purged before.
    """
    purged: list[Claim] = []
    for start in range(0, len(claims), AT_ONCE):
        some = claims[start : start + AT_ONCE]

        def deciding(steps: Steps, some: Sequence[Claim] = some) -> Json:
            return [_purge(steps, claim, owners, disposing, known) for claim in some]

        request = Request("purge", [claim.version.version_id for claim in some], some[0].version.version_id)
        done = store.transact(request, deciding).answer
        purged += [claim for claim, new in zip(some, done, strict=True) if new]
    return purged


def _purge(steps: Steps, claim: Claim, owners: Owners, disposing: Disposing, known: frozenset[str]) -> bool:
    id_ = claim.version.version_id
    stuck = {
        each: disposing.stuck[each] for each in claim.marks if owners.first[each] == id_ and each in disposing.stuck
    }
    tallies = tally_of(steps.scratch.get(TALLY, id_))
    evidence = []
    for site in claim.sites:
        left = {marked: each for marked, each in stuck.items() if marked == mark(site.key, each.digest)}
        if not (site.needed or left or site.key in tallies):
            continue
        found = tallies.get(site.key, Tally()).evidence(len(left), claim.by.get(site.key, ()))
        evidence.append((site.url or "", found))
        new = [each for marked, each in left.items() if marked not in known]
        residuals.leave(steps, found.disposal_id, site.url, new)
    steps.scratch.delete(TALLY, id_)
    return bool(steps.step(versions.VERSION, id_, versions.purge, evidence))
