"""Looking for what was erased by other ways than those that erased it: nothing is believed because a call succeeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from attrs import frozen

from muniment.app import fence, scan
from muniment.app.erasing import data_subjects, deleting, executing, parts, planning, requests, wordings
from muniment.app.erasing.executing import Step
from muniment.app.erasing.planning import LIVING, Plan
from muniment.app.personal import personal_slots
from muniment.app.reach import Site, reach, sites
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.domain import request as wanted
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.request import REQUEST, Stage
from muniment.domain.rows import PrincipalRow, VersionRow
from muniment.domain.values import Digest


@frozen
class Checked:
    """What was found that should be gone, a line each, without what it says; and how many bytes were searched.

    *missed* are the steps of the erasure that should have taken it away, in their order.
    """

    findings: tuple[str, ...]
    scanned: int = 0
    limits: tuple[str, ...] = ()
    missed: tuple[Step, ...] = ()


def verify(store: Store, request_id: str, *, canaries: Sequence[str] = (), places: Sequence[str] = ()) -> Checked:
    """Look for what a request erased, and record how often it was found; if it was, it is erased again next time.

    *canaries* are words that were known to be in it; they are looked for in every byte of *places*.
    """
    plan, row = planning.saved(store, request_id), requests.request(store.views, request_id)
    if plan is None or row.stage not in {Stage.FENCED.value, Stage.EXECUTED.value, Stage.VERIFIED.value}:
        msg = f"request {request_id} is {row.stage}: there is nothing to verify — see: muniment request show"
        raise InvalidValueError(msg)
    checked = look(store, plan, canaries=canaries, places=places)
    told = {"findings": len(checked.findings), "scanned": checked.scanned, "limits": list(checked.limits)}
    planning.save(store, planning.with_told(plan, verified=told, canaries=len(canaries)))

    def decide(steps: Steps) -> None:
        steps.step(REQUEST, request_id, wanted.verify_erasure, len(checked.findings), checked.scanned)

    store.transact(Request("verify erasure", len(checked.findings), request_id), decide)
    return checked


def look(store: Store, plan: Plan, *, canaries: Sequence[str] = (), places: Sequence[str] = ()) -> Checked:
    """Look for what an erasure was about, and record nothing."""
    left = {step: tuple(search(store, plan)) for step, search in SEARCHES.items()}
    found = [*(line for lines in left.values() for line in lines), *_unfenced(store, plan)]
    missed = tuple(step for step, lines in left.items() if lines)
    if not canaries:
        return Checked(tuple(found), missed=missed)
    scanned = scan_for(canaries, places)
    found += [f"canary {hit.canary} in {hit.place}, as {hit.form}" for hit in scanned.hits]
    found += [f"not read: {text}" for text in scanned.unread]
    return Checked(tuple(found), scanned.size, tuple(scanned.limits), missed)


def scan_for(canaries: Sequence[str], places: Sequence[str]) -> scan.Found:
    """Look for words in every byte of *places*; a word that chance could make is InvalidValueError."""
    try:
        return scan.scan(canaries, places)
    except ValueError as error:
        raise InvalidValueError(str(error)) from error


def _in_places(store: Store, plan: Plan) -> Iterator[str]:
    """Yield contents that a place lists or gives out."""
    left = deleting.left_of(plan)
    going = set(plan.going) - left
    for site in sites(store):
        yield from (site.named("a list of entries is still there") for _ in _lists(store, plan, site, left))
        listed = {digest for digest, _ in site.blobs.list()} & going
        yield from (site.named("a content is still listed") for _ in listed)
        search = site.blobs.search(sorted(going))
        yield from (site.named(f"a copy of a content is still there, as {copy.kind.value}") for copy in search.copies)
        yield from (site.named("nobody can say what is in a file") for _ in search.unsure)
        yield from (
            site.named("a content can still be read") for each in going - listed if _reads(site.blobs.get, each)
        )


def _lists(store: Store, plan: Plan, site: Site, left: set[Digest]) -> set[Digest]:
    """Return the blobs in which entries were listed that a place still has, and that no version needs."""
    there = {copy.digest for copy in site.blobs.search(sorted({*plan.manifests} - left)).copies}
    return there - reach(store).at(site.key) if there else there


def _in_cache(store: Store, plan: Plan) -> Iterator[str]:
    yield from ("a content is still in the cache" for each in sorted(plan.going) if store.cache.holds(each))


def _in_parts(store: Store, plan: Plan) -> Iterator[str]:
    yield from ("a part of an unfinished version still holds a content" for _ in parts.holding(store, plan))


def _reads(get: Callable[[Digest], bytes], digest: Digest) -> bool:
    try:
        get(digest)
    except NotFoundError:
        return False
    return True


def _in_manifests(store: Store, plan: Plan) -> Iterator[str]:
    """Yield entries that can still be read by their names."""
    for version_id, terms in plan.entries.items():
        listed = planning.listed(store, version_id, terms)
        yield from (f"version {version_id} still lists an entry" for _ in listed)


def _in_versions(store: Store, plan: Plan) -> Iterator[str]:
    """Yield versions that can still be read by their names."""
    for version_id in plan.whole:
        row = store.views.find(VersionRow, version_id=version_id)
        if row is not None and row.state in LIVING:
            yield f"version {version_id} is still {row.state}"


def _in_vault(store: Store, plan: Plan) -> Iterator[str]:
    """Yield personal values that can still be decrypted."""
    slots = {*executing.slots(store, plan), *wordings.slots(store, plan.subject_id)}
    rows = (store.views.find(PrincipalRow, principal_id=user_id) for user_id in plan.users)
    slots.update(row.login for row in rows if row is not None)
    for owner in (*plan.artifacts, *plan.runs):
        for recorded in executing.about(store, owner):
            if recorded.stream.split(":")[0] == owner:
                slots.update(personal_slots(recorded.event))
    yield from ("a personal value can still be decrypted" for _ in store.vault.get_many(slots))


def _in_ledger(store: Store, plan: Plan) -> Iterator[str]:
    """Yield events that still hold the words that name it, and rows that were made from them."""
    for recorded in executing.words(store, plan):
        if store.ledger.leaf(recorded.seq).words is not None:
            yield f"event {recorded.seq} still holds its words"
    rows = data_subjects.attached(store.views, plan.subject_id).entries
    kept = plan.kept
    shown = sum(row.path is not None for row in rows)
    if shown > kept:
        yield f"{shown - kept} rows still name paths"


def _unfenced(store: Store, plan: Plan) -> Iterator[str]:
    missing = len(plan.going) - len(store.vault.find_many(fence.BLOB, plan.going))
    if missing:
        yield f"{missing} contents could come in again: the fence does not know them"


SEARCHES: Final[dict[Step, Callable[[Store, Plan], Iterator[str]]]] = {
    Step.MANIFESTS: _in_manifests,
    Step.VERSIONS: _in_versions,
    Step.PARTS: _in_parts,
    Step.BLOBS: _in_places,
    Step.CACHES: _in_cache,
    Step.WORDS: _in_ledger,
    Step.VAULT: _in_vault,
}
"""What is looked for after which step; what was noted is looked for where a backup is put back, files by a scan."""
