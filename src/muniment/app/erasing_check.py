"""Looking for what was erased by other ways than those that erased it: nothing is believed because a call succeeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

from muniment.app import data_subjects, erasing, erasing_plan, fence, requests, scan
from muniment.app.erasing_plan import LIVING, Plan
from muniment.app.fsck import personal_slots
from muniment.app.reach import sites
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.domain import request as wanted
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.request import REQUEST
from muniment.domain.rows import DataSubjectRow, VersionRow
from muniment.domain.values import Digest


@frozen
class Checked:
    """What was found that should be gone, a line each, without what it says; and how many bytes were searched."""

    findings: tuple[str, ...]
    scanned: int = 0
    limits: tuple[str, ...] = ()


def verify(store: Store, request_id: str, *, canaries: Sequence[str] = (), places: Sequence[str] = ()) -> Checked:
    """Look for what a request erased, and record how often it was found; if it was, it is erased again next time.

    *canaries* are words that were known to be in it; they are looked for in every byte of *places*.
    """
    plan = erasing_plan.saved(store, request_id)
    if plan is None:
        row = requests.request(store.views, request_id)
        msg = f"request {request_id} is {row.stage}: there is nothing to verify — see: muniment request show"
        raise InvalidValueError(msg)
    checked = look(store, plan, canaries=canaries, places=places)
    told = {"findings": len(checked.findings), "scanned": checked.scanned, "limits": list(checked.limits)}
    erasing_plan.save(store, erasing_plan.with_told(plan, verified=told, canaries=len(canaries)))

    def decide(steps: Steps) -> None:
        steps.step(REQUEST, request_id, wanted.verify_erasure, len(checked.findings), checked.scanned)

    store.transact(Request("verify erasure", len(checked.findings), request_id), decide)
    return checked


def look(store: Store, plan: Plan, *, canaries: Sequence[str] = (), places: Sequence[str] = ()) -> Checked:
    """Look for what an erasure was about, and record nothing."""
    found = [*_in_places(store, plan), *_in_reach(store, plan), *_in_vault(store, plan), *_in_ledger(store, plan)]
    found += _unfenced(store, plan)
    if not canaries:
        return Checked(tuple(found))
    scanned = scan.scan(canaries, places)
    found += [f"canary {hit.canary} in {hit.place}, as {hit.form}" for hit in scanned.hits]
    found += [f"not read: {text}" for text in scanned.unread]
    return Checked(tuple(found), scanned.size, tuple(scanned.limits))


def _in_places(store: Store, plan: Plan) -> Iterator[str]:
    """Yield contents that a place lists or gives out, or that the cache still has."""
    going = set(plan.going) - {Digest(each) for each in plan.told.get("left", ())}
    for site in sites(store):
        listed = {digest for digest, _ in site.blobs.list()} & going
        yield from (site.named("a content is still listed") for _ in listed)
        search = site.blobs.search(sorted(going))
        yield from (site.named(f"a copy of a content is still there, as {copy.kind.value}") for copy in search.copies)
        yield from (site.named("nobody can say what is in a file") for _ in search.unsure)
        yield from (
            site.named("a content can still be read") for each in going - listed if _reads(site.blobs.get, each)
        )
    yield from ("a content was still in the cache" for result in store.cache.delete_many(sorted(going)) if result.done)


def _reads(get: Callable[[Digest], bytes], digest: Digest) -> bool:
    try:
        get(digest)
    except NotFoundError:
        return False
    return True


def _in_reach(store: Store, plan: Plan) -> Iterator[str]:
    """Yield entries and versions that can still be read by their names."""
    for version_id, terms in plan.entries.items():
        listed = erasing_plan.listed(store, version_id, terms)
        yield from (f"version {version_id} still lists an entry" for _ in listed)
    for version_id in plan.whole:
        row = store.views.find(VersionRow, version_id=version_id)
        if row is not None and row.state in LIVING:
            yield f"version {version_id} is still {row.state}"


def _in_vault(store: Store, plan: Plan) -> Iterator[str]:
    """Yield personal values that can still be decrypted."""
    subject = store.views.find(DataSubjectRow, subject_id=plan.subject_id)
    slots = set(erasing.slots(store, plan)) | ({subject.identity} if subject is not None else set())
    for owner in (plan.subject_id, *plan.artifacts, *plan.runs):
        for recorded in erasing.about(store, owner):
            if recorded.stream.split(":")[0] == owner:
                slots.update(personal_slots(recorded.event))
    request = requests.request(store.views, plan.request_id)
    slots |= {slot for slot in (request.text,) if slot is not None}
    yield from ("a personal value can still be decrypted" for _ in store.vault.get_many(slots))


def _in_ledger(store: Store, plan: Plan) -> Iterator[str]:
    """Yield events that still hold the words that name it, and rows that were made from them."""
    for recorded in erasing.words(store, plan):
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
