"""The plan of an erasure: what goes and what stays, frozen when the fence is put up, and forgotten at the end.

It is no fact: it names contents, so it waits in scratch until the erasure is certified. Paths are not in it, but the
terms by which the vault recognises them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from attrs import asdict, evolve, field, frozen

from muniment.app import holds
from muniment.app.erasing import data_subjects, requests
from muniment.app.erasing.data_subjects import Attached, elsewhere, readable
from muniment.app.fence import PATH, place_of
from muniment.app.manifests import Manifest
from muniment.app.retention import Book
from muniment.app.store import Store
from muniment.domain.artifact import VersionCreated
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import HeldError
from muniment.domain.ports import Views
from muniment.domain.retention import Action
from muniment.domain.rows import RequestRow, VersionRow
from muniment.domain.values import Digest, Json, Micros, VersionId
from muniment.domain.version import ManifestReplaced, Restored, State

SCRATCH: Final = "erasing"
"""The kind of scratch row that keeps a plan."""
LIVING: Final = frozenset({State.COMMITTED.value, State.DELETED.value})


@frozen
class Plan:
    """What an erasure is about.

    *entries* are terms for paths by version, *whole* versions go altogether, *artifacts* and *runs* with all that is
    said of them, and *users* lose their names. *digests* are the contents that go, *shared* those of them that other
    versions need and that stay therefore; *manifests* are the blobs in which the entries were listed.
    """

    request_id: str
    subject_id: str
    entries: dict[VersionId, list[str]]
    whole: list[VersionId]
    artifacts: list[str]
    runs: list[str]
    digests: list[Digest]
    shared: list[Digest]
    manifests: list[Digest]
    found: int
    kept: int
    residual: int = 0
    users: list[str] = field(factory=list)
    told: dict[str, Json] = field(factory=dict)

    def to_json(self) -> Json:
        """Return the plan as scratch keeps it."""
        return asdict(self, recurse=False)

    @property
    def versions(self) -> list[VersionId]:
        """The versions that lose something."""
        return list(dict.fromkeys([*self.entries, *self.whole]))

    @property
    def going(self) -> list[Digest]:
        """The contents that are to be nowhere any more."""
        shared = set(self.shared)
        return [digest for digest in self.digests if digest not in shared]


def saved(store: Store, request_id: str) -> Plan | None:
    """Return the plan of a request that is on its way, ``None`` if there is none (any more)."""
    value = store.ledger.scratch.get(SCRATCH, request_id)
    return None if value is None else Plan(**value)


def save(store: Store, plan: Plan) -> Plan:
    """Keep a plan until the erasure is certified."""
    store.ledger.work(lambda transaction: transaction.scratch.put(SCRATCH, plan.request_id, plan.to_json()))
    return plan


def forget(store: Store, request_id: str) -> None:
    """Forget a plan."""
    store.ledger.work(lambda transaction: transaction.scratch.delete(SCRATCH, request_id))


def make(store: Store, row: RequestRow) -> tuple[Plan, list[tuple[VersionId, str]]]:
    """Return what a request that was approved erases, as everything is now, and the paths of the entries."""
    size = store.ledger.head().size
    found = data_subjects.attached(store.views, row.subject_id)
    going = _going(store.views, row)
    whole = data_subjects.whole_versions(store.views, going)
    whole = [each for each in whole if each not in _kept(row) and _is_there(store.views, each)]
    paths = {version_id: list(each) for version_id, each in going.paths().items() if version_id not in whole}
    digests = data_subjects.digests_of(store, going)
    shared = {each.digest for each in elsewhere(store, going, digests)}
    plan = Plan(
        request_id=row.request_id,
        subject_id=row.subject_id,
        entries={id_: [_term(store, id_, path) for path in each] for id_, each in paths.items()},
        whole=whole,
        artifacts=_targets(going, TargetKind.ARTIFACT),
        runs=_targets(going, TargetKind.RUN),
        users=_targets(going, TargetKind.USER),
        digests=sorted(digests),
        shared=sorted(shared),
        manifests=sorted({each for id_ in (*paths, *whole) for each in listing(readable(store, id_))}),
        found=found.count,
        kept=found.count - going.count,
        residual=_residual(store, going, shared),
        told={"size": size},
    )
    return plan, [(version_id, path) for version_id, each in paths.items() for path in each]


def listed(store: Store, version_id: VersionId, terms: Collection[str]) -> list[str]:
    """Return the entries that a version still lists of those that these terms stand for."""
    manifest, wanted = readable(store, version_id), set(terms)
    paths = () if manifest is None else (entry.path for entry in manifest.entries())
    return [path for path in paths if _term(store, version_id, path) in wanted]


def require_free(views: Views, store: Store, plan: Plan, now: Micros) -> None:
    """Refuse to erase what a hold or a statutory minimum keeps: HeldError says which."""
    holds.refuse(holds.on_subject(views, plan.subject_id), f"data subject {plan.subject_id}")
    book = Book(views, store.config.grace)
    for version_id in plan.versions:
        row = views.find(VersionRow, version_id=version_id)
        if row is None or row.state not in LIVING:
            continue
        decision = book.decide(row, now)
        if decision.action is not Action.ERASE:
            why = decision.because[0].text
            msg = f"version {version_id} cannot be erased: {why} — end that, or decide to keep it with an exemption"
            raise HeldError(msg)


def with_told(plan: Plan, **told: Json) -> Plan:
    """Return the plan with more that the certificate will say."""
    return evolve(plan, told={**plan.told, **told})


def settled(store: Store, plan: Plan) -> Plan:
    """Look once more, now that the fence stands, for versions of others that came to need the same bytes meanwhile."""
    if plan.told.get("settled"):
        return plan
    since = (recorded.event for recorded in store.ledger.read(after=plan.told["size"]))
    if any(isinstance(event, VersionCreated | ManifestReplaced | Restored) for event in since):
        going = _going(store.views, requests.request(store.views, plan.request_id))
        shared = {each.digest for each in elsewhere(store, going, set(plan.digests))}
        plan = evolve(plan, shared=sorted(shared), residual=_residual(store, going, shared))
    return save(store, with_told(plan, settled=True))


def whole_ever(views: Views, plan: Plan) -> list[VersionId]:
    """Return the versions that go as a whole, also those that are gone already."""
    row = requests.request(views, plan.request_id)
    return [each for each in data_subjects.whole_versions(views, _going(views, row)) if each not in _kept(row)]


def _kept(row: RequestRow) -> set[str]:
    """Return the ids of what an exemption keeps."""
    return set((row.kept or "").split("\n")) - {""}


def _going(views: Views, row: RequestRow) -> Attached:
    """Return what is attached and not kept."""
    found, kept = data_subjects.attached(views, row.subject_id), _kept(row)
    return Attached(
        tuple(each for each in found.targets if each.target not in kept),
        tuple(each for each in found.entries if each.entry_id not in kept and each.version_id not in kept),
    )


def _term(store: Store, version_id: VersionId, path: str) -> str:
    return store.vault.keyed(PATH, place_of(version_id, path))


def _is_there(views: Views, version_id: VersionId) -> bool:
    row = views.find(VersionRow, version_id=version_id)
    return row is not None and row.state in LIVING


def _targets(found: Attached, kind: TargetKind) -> list[str]:
    return [row.target for row in found.targets if row.kind == kind.value]


def listing(manifest: Manifest | None) -> Iterator[Digest]:
    """Yield the blobs in which entries are listed."""
    if manifest is not None:
        yield manifest.manifest
        for record in manifest.records:
            yield from (each for each in (record.rows, record.annex) if each is not None)


def _residual(store: Store, going: Attached, shared: set[Digest]) -> int:
    """Return how many of the things that go leave bytes behind, because other versions need these."""
    if not shared:
        return 0
    alone = (Attached((target,), ()) for target in going.targets)
    count = sum(not shared.isdisjoint(data_subjects.digests_of(store, only)) for only in alone)
    for version_id, paths in going.paths().items():
        manifest = readable(store, version_id)
        entries = [] if manifest is None else [manifest.get(path) for path in paths]
        count += sum(entry is not None and entry.ref is None and entry.digest in shared for entry in entries)
    return count
