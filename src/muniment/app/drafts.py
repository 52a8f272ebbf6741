"""Versions that are made from another one or by several writers: parts wait as scratch rows until one finishes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

from attrs import evolve, frozen

from muniment.app import catalog, leases, manifests
from muniment.app.files.staging import Staged
from muniment.app.log_artifact import PARTS, Draft, Logged, require_place
from muniment.app.manifests import Manifest, Removed, Written
from muniment.app.progress import SILENT, Progress
from muniment.app.store import Store
from muniment.app.transact import Steps, new_id
from muniment.app.upload import log_contents, upload
from muniment.domain.errors import ConflictError
from muniment.domain.manifest import Entry
from muniment.domain.ports import Transaction
from muniment.domain.rows import ArtifactRow, ProjectRow, SourceRow, VersionRow
from muniment.domain.values import Digest, Micros, RunId, VersionId

PART_LASTS: Micros = 7 * 24 * 3600 * 1_000_000
"""How long a part waits for its artifact to be finished, in microseconds."""

MakeDraft = Callable[[Written], Draft]


@frozen
class Part:
    """What one writer has brought to a version that is made by several."""

    key: str
    manifest: Digest


def keep_part(
    store: Store,
    project: ProjectRow,
    name: str,
    distributed_id: str,
    staged: Iterable[Staged | Removed],
    *,
    progress: Progress = SILENT,
) -> Part:
    """Upload one writer's part and keep it until somebody finishes the artifact."""
    store = store.of_team(project.team_id)
    lease = leases.take(store)
    try:
        written = upload(store, lease, staged, progress=progress)

        def keep(transaction: Transaction) -> Part:
            leases.spend(Steps(transaction), lease)
            require_place(store, transaction.views, project)
            key = f"{_prefix(project, name, distributed_id)}{transaction.now:020d}:{new_id()}"
            row = {"manifest": written.manifest, "team": project.team_id}
            transaction.scratch.put(PARTS, key, row, transaction.now + PART_LASTS)
            return Part(key, written.manifest)

        return store.ledger.work(keep)
    except BaseException:
        leases.release(store, lease)
        raise


def parts(store: Store, project: ProjectRow, name: str, distributed_id: str) -> list[Part]:
    """Return the parts that wait, in the order in which they came."""
    found = store.ledger.scratch.items(PARTS, _prefix(project, name, distributed_id))
    return [Part(key, Digest(value["manifest"])) for key, value in found]


def log_finished(  # noqa: PLR0913 (what finishing a version takes)
    store: Store,
    project: ProjectRow,
    name: str,
    distributed_id: str,
    staged: Iterable[Staged | Removed],
    draft: MakeDraft,
    *,
    onto_latest: bool = False,
    run_id: RunId | None = None,
    progress: Progress = SILENT,
) -> Logged:
    """Log the version that all parts and what was staged last make together; of equal paths the later part counts."""
    waiting = parts(store, project, name, distributed_id)
    blobs = store.of_team(project.team_id).blobs
    entries: Iterator[Entry] = iter(())
    for part in waiting:
        entries = manifests.merge(entries, manifests.read(blobs, store.codec, part.manifest).entries())
    changes: dict[str, Staged | Removed] = {entry.path: Staged(entry) for entry in entries}
    changes |= {each.entry.path if isinstance(each, Staged) else each.path: each for each in staged}

    def made(written: Written) -> Draft:
        return evolve(draft(written), parts=tuple(part.key for part in waiting))

    if onto_latest:
        return log_onto_latest(store, project, name, changes.values(), made, run_id=run_id, progress=progress)
    return log_contents(store, project, changes.values(), made, run_id=run_id, progress=progress)


def log_onto_latest(
    store: Store,
    project: ProjectRow,
    name: str,
    changes: Iterable[Staged | Removed],
    draft: MakeDraft,
    *,
    run_id: RunId | None = None,
    progress: Progress = SILENT,
) -> Logged:
    """Log *changes* to the latest version; if another one is logged meanwhile, merge them into that."""
    kept = list(changes)
    while True:
        latest = _latest(store, project, name)
        base = _manifest(store.of_team(project.team_id), latest)
        base_id = latest.version_id if latest else None
        inherited = _sources(store, latest)

        def make(
            written: Written,
            base_id: VersionId | None = base_id,
            inherited: tuple[VersionId, ...] = inherited,
        ) -> Draft:
            made = draft(written)
            return evolve(
                made, base=base_id, onto_latest=True, sources=tuple(dict.fromkeys((*inherited, *made.sources)))
            )

        try:
            return log_contents(
                store, project, kept, make, run_id=run_id, base=base, incremental=True, progress=progress
            )
        except ConflictError:
            now = _latest(store, project, name)
            if (now.version_id if now else None) == base_id:
                raise


def _latest(store: Store, project: ProjectRow, name: str) -> VersionRow | None:
    row = store.views.find(ArtifactRow, project_id=project.project_id, name=name)
    return catalog.latest_version(store.views, row) if row else None


def _manifest(store: Store, version: VersionRow | None) -> Manifest | None:
    if version is None or version.manifest is None:
        return None
    return manifests.read(store.blobs, store.codec, Digest(version.manifest))


def _sources(store: Store, version: VersionRow | None) -> tuple[VersionId, ...]:
    if version is None:
        return ()
    rows = store.views.select(SourceRow, version_id=version.version_id, order="source_id")
    return tuple(row.source_id for row in rows)


def _prefix(project: ProjectRow, name: str, distributed_id: str) -> str:
    """Return how the keys of all parts begin; a digest, because the names may hold any character."""
    return sha256(f"{project.project_id}\0{name}\0{distributed_id}".encode()).hexdigest() + ":"
