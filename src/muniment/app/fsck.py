"""Checks everything that is stored against everything else, and names each fault."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from attrs import frozen

from muniment.app import catalog, lost_values, manifests, projector, redaction, replay
from muniment.app.personal import personal_slots
from muniment.app.places import OWN_NAME, Kept, lost_from
from muniment.app.progress import SILENT, Progress
from muniment.app.proving import checkpoints
from muniment.app.reach import Reach, Teams, sites
from muniment.app.store import Store
from muniment.domain.errors import MunimentError, NotFoundError
from muniment.domain.manifest import Entry
from muniment.domain.ports import Views
from muniment.domain.redaction import lost_words
from muniment.domain.rows import AliasRow, ArtifactRow, CollectionRow, LinkRow, RegistryRow, VersionRow
from muniment.domain.values import Digest, SlotId, TeamId
from muniment.domain.version import GOING, State

BLOCK = 1 << 20
BATCH = 1000


@frozen
class Fault:
    """Something that is not as it should be: of which kind, and a line that names it."""

    kind: str
    text: str


def check(
    store: Store,
    *,
    checkpoint: str | None = None,
    verifier: str | None = None,
    fast: bool = False,
    progress: Progress = SILENT,
) -> Iterator[Fault]:
    """Yield every fault found; with *fast*, blobs are looked for but not read.

    The ledger is checked against its leaves, its head, the rows of the projections and, if given, a checkpoint; the
    versions against their manifests and blobs; the events against the vault.
    """
    progress.ahead("checking the ledger")
    if store.alarm is not None:
        yield Fault("witness", store.alarm)
    shown = replay.found_in(store.config.home)
    excused = {lost_words(seq) for seq in shown.redacted} if shown else set()
    for text in store.ledger.verify():
        if text not in excused:
            yield Fault("ledger", text)
    if checkpoint is not None:
        for text in checkpoints.check(store, checkpoint, verifier):
            yield Fault("checkpoint", text)
    progress.ahead("checking rows and vault")
    for text in projector.verify(store):
        yield Fault("projection", text)
    yield from _rows(store)
    yield from _vault(store)
    progress.ahead("checking blobs")
    for site in sites(store):
        for text in site.blobs.verify():
            yield Fault("blob", site.named(text))
    yield from _contents(store, progress, fast=fast)


def redacted(store: Store) -> int:
    """Return how many events lost their words on purpose, which is no fault; 0 where the events cannot be read."""
    try:
        return redaction.redacted(store)
    except MunimentError:
        return 0  # the check has named what is damaged


def _rows(store: Store) -> Iterator[Fault]:
    """Check what must hold between rows: aliases and links point at versions that are there."""
    views = store.views
    for version in _versions(store):
        for alias in views.select(AliasRow, version_id=version.version_id, order="alias"):
            if wrong := _alias(views, alias, version):
                yield Fault("alias", f"alias {alias.alias} points at {_name(store, version)}, which {wrong}")
        for link in views.select(LinkRow, version_id=version.version_id, order="link_id"):
            collection = _live_collection(views, link.collection_id)
            if collection is not None and not catalog.is_live(views, version):
                where = f"collection {collection.name}:v{link.index}"
                yield Fault("link", f"{where} links to {_name(store, version)}, which was deleted")


def _alias(views: Views, alias: AliasRow, version: VersionRow) -> str | None:
    """Return what is wrong with where an alias points; what belongs to something deleted means nothing any more."""
    if _live_collection(views, alias.owner_id) is not None:
        linked = views.find(LinkRow, collection_id=alias.owner_id, version_id=version.version_id)
        return None if linked else "is not linked there"
    if views.find(ArtifactRow, artifact_id=alias.owner_id) is None:
        return None
    if version.artifact_id != alias.owner_id:
        return "is a version of another artifact"
    return None if version.state == State.COMMITTED.value else f"was {version.state}"


def _live_collection(views: Views, collection_id: str) -> CollectionRow | None:
    row = views.find(CollectionRow, collection_id=collection_id)
    there = row and views.find(RegistryRow, registry_id=row.registry_id)
    return row if there else None


def _vault(store: Store) -> Iterator[Fault]:
    """Check that every personal value can be read, but for those that were erased."""
    batch: dict[SlotId, int] = {}
    gone: dict[SlotId, int] = {}
    try:
        for recorded in store.ledger.read():
            for slot in personal_slots(recorded.event):
                batch[slot] = recorded.seq
            if len(batch) >= BATCH:
                yield from _slots(store, batch, gone)
                batch.clear()
    except MunimentError as error:
        yield Fault("ledger", f"the events cannot be read to the end: {error}")
        yield from _slots(store, batch, {})
        return
    yield from _slots(store, batch, gone)
    for text in lost_values.told(store, gone):
        yield Fault("vault", text)


def _slots(store: Store, batch: dict[SlotId, int], gone: dict[SlotId, int]) -> Iterator[Fault]:
    """Check some values; *gone* learns of those that are not there."""
    try:
        found = store.vault.get_many(set(batch))
        gone |= {slot: seq for slot, seq in batch.items() if slot not in found}
    except MunimentError:
        for slot, seq in batch.items():
            try:
                store.vault.get_many({slot})
            except MunimentError as error:
                yield Fault("vault", f"a personal value of event {seq} cannot be read: {error}")


def _versions(store: Store) -> Iterator[VersionRow]:
    for state in State:
        after = None
        while True:
            page = store.views.select(VersionRow, state=state.value, order="created_at", after=after, limit=BATCH)
            yield from page
            if len(page) < BATCH:
                break
            after = page[-1].created_at


def _contents(store: Store, progress: Progress, *, fast: bool) -> Iterator[Fault]:
    """Check the manifest and the blobs of every version whose bytes must be there."""
    checked: dict[tuple[frozenset[str], Digest], str | None] = {}
    teams, found = Teams(store.views), Reach(store)
    for version in _versions(store):
        if State(version.state) in GOING or version.manifest is None:
            continue
        name, team_id = _name(store, version), teams.of(version)
        seen = found.seen_by(team_id)
        try:
            manifest = manifests.read(seen.blobs, store.codec, Digest(version.manifest))
            if manifest.digest != version.digest:
                yield Fault("manifest", f"the manifest of {name} does not have the digest of the version")
            progress.ahead(f"checking {name}", len(manifest), manifest.size)
            for entry in manifest.entries():
                if entry.ref is None:
                    key = (found.group(team_id), Digest(entry.digest))
                    if key not in checked:
                        checked[key] = _blob(seen, entry, fast=fast)
                    if wrong := checked[key]:
                        where = _where(store, team_id, key[1])
                        yield Fault("blob", f"{name}: file {entry.path} {wrong}{where}")
                progress.done(1, entry.size or 0)
        except MunimentError as error:
            yield Fault("manifest", f"the manifest of {name} cannot be read: {error}")


def _blob(store: Store, entry: Entry, *, fast: bool) -> str | None:
    """Return what is wrong with the bytes of an entry, or ``None``."""
    digest = Digest(entry.digest)
    try:
        if fast:
            return "is missing" if lost_from(store.blobs, [digest]) else None
        hasher, size = sha256(), 0
        with store.blobs.open(digest) as stream:
            while block := stream.read(BLOCK):
                hasher.update(block)
                size += len(block)
    except NotFoundError:
        return "is missing"
    except MunimentError as error:
        return f"cannot be read: {error}"
    if hasher.hexdigest() != digest:
        return f"was changed: its bytes do not have the digest {digest[:16]}…"
    return None if entry.size in {None, size} else f"has {size} bytes, not {entry.size}"


def _where(store: Store, team_id: TeamId | None, digest: Digest) -> str:
    """Say in which place of a team a blob is, or in which it is not; of a team without any of its own, nothing."""
    kept = Kept() if team_id is None else store.kept(team_id)
    if kept.needed == (None,):
        return ""
    there = [url for url in kept.needed if not store.blobs_at(url).missing([digest])][:1] or kept.needed
    return f" (in {', '.join(url or OWN_NAME for url in there)})"


def _name(store: Store, version: VersionRow) -> str:
    try:
        found = catalog.origin(store.views, version.version_id)
    except NotFoundError:
        return f"version {version.version_id}"
    return f"{found.team.name}/{found.project.name}/{found.artifact.name}:v{version.index}"
