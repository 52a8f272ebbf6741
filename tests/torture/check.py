"""What must hold of a store whose process was killed, whatever it was doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from muniment.app import bootstrap, config, fsck, leases, manifests
from muniment.app.collecting import collect
from muniment.app.collecting.condemning import CONDEMNED
from muniment.app.places import OWN
from muniment.app.reach import reach
from muniment.app.store import Store
from muniment.domain.request import Stage
from muniment.domain.rows import CollectionRow, LinkRow, ProjectRow, RequestRow, RunRow, TeamRow, VersionRow
from muniment.domain.values import Digest
from muniment.domain.version import GOING, State
from tests.torture.story import PROJECT, Life, Said, carry, contents, finish, links, read, settle, versions


def check(life: Life) -> list[str]:
    """Return what is wrong with the store of a life that has ended, found by looking at it, then by collecting."""
    settle(life)
    said = read(life.diary)
    store = bootstrap.open_store(config.load())
    try:
        return [
            *_erased_again(store),
            *_whole(store, said),
            *_migrated_again(store, said),
            *_erased(store, said),
            *_collected(store),
        ]
    finally:
        store.ledger.close()


def _whole(store: Store, said: list[Said]) -> Iterator[str]:
    yield from (f"fsck: {fault.kind}: {fault.text}" for fault in fsck.check(store))
    rows = versions(store, None)
    yield from _numbered(rows)
    numbers = store.vault.get_many({row.metadata for row in rows if row.metadata is not None})
    erased = dict(each.split() for each in _about(said, "erase", done=False))
    left = [row for row in rows if row.metadata in numbers or row.version_id not in erased]
    logged = {numbers[row.metadata]["number"]: row for row in left if row.metadata is not None}
    if len(logged) != len(left):
        yield "doubled: a version was logged twice"
    gone = {int(number) for number in erased.values()}
    acknowledged = {int(each) for each in _about(said, "log", done=True)}
    begun = {int(each) for each in _about(said, "log", done=False)}
    yield from (f"lost: version {number}" for number in sorted(acknowledged - logged.keys() - gone))
    yield from (f"never asked for: version {number}" for number in sorted(logged.keys() - begun))
    yield from _contents(store, logged)
    yield from _ended(said, rows)
    yield from _linked(store, said, rows)
    yield from _runs(store, acknowledged)


def _about(said: list[Said], act: str, *, done: bool) -> set[str]:
    return {each.about for each in said if each.act == act and each.done is done}


def _numbered(rows: list[VersionRow]) -> Iterator[str]:
    for artifact_id in {row.artifact_id for row in rows}:
        indexes = sorted(row.index for row in rows if row.artifact_id == artifact_id)
        if indexes != list(range(len(indexes))):
            yield f"doubled or lost: an artifact has the versions {indexes}"


def _contents(store: Store, logged: dict[int, VersionRow]) -> Iterator[str]:
    for number, row in logged.items():
        if State(row.state) not in GOING and row.manifest is not None:
            expected = {path: sha256(content).hexdigest() for path, content in contents(number).items()}
            entries = manifests.read(store.blobs, store.codec, Digest(row.manifest)).entries()
            if {entry.path: entry.digest for entry in entries} != expected:
                yield f"changed: version {number} does not hold what was logged"


def _ended(said: list[Said], rows: list[VersionRow]) -> Iterator[str]:
    deleted, doomed = (
        _about(said, "delete", done=done) | {each.split()[0] for each in _about(said, "erase", done=done)}
        for done in (True, False)
    )
    for row in rows:
        is_live = row.state == State.COMMITTED.value
        if is_live and row.version_id in deleted:
            yield f"lost: the deletion of {row.version_id}"
        if not is_live and row.version_id not in doomed:
            yield f"never asked for: the deletion of {row.version_id}"


def _linked(store: Store, said: list[Said], rows: list[VersionRow]) -> Iterator[str]:
    acknowledged, begun = _about(said, "link", done=True), _about(said, "link", done=False)
    for row in rows:
        count = len(links(store, row))
        if count > 1 or (count and row.version_id not in begun) or (not count and row.version_id in acknowledged):
            yield f"lost or doubled: {row.version_id} has {count} links"
    collections = {link.collection_id for row in rows for link in links(store, row)}
    for collection_id in collections:
        found = store.views.select(LinkRow, collection_id=collection_id, order="index")
        if [link.index for link in found] != list(range(len(found))):
            yield f"doubled or lost: links {[link.index for link in found]}"
        if store.views.find(CollectionRow, collection_id=collection_id) is None:
            yield "half-done: a link leads into no collection"


def _runs(store: Store, acknowledged: set[int]) -> Iterator[str]:
    team = store.views.find(TeamRow, name="local")
    project = store.views.find(ProjectRow, team_id=team.team_id, name=PROJECT) if team else None
    if project is None:
        return
    runs = store.views.select(RunRow, project_id=project.project_id, order="started_seq")
    yield from (f"doubled: run {key}" for key, times in Counter(row.key for row in runs).items() if times > 1)
    ended = {row.key for row in runs if row.state == "finished"}
    yield from (f"lost: the end of run {number}" for number in acknowledged if f"run-{number}" not in ended)


def _migrated_again(store: Store, said: list[Said]) -> Iterator[str]:
    """Do a migration again that was interrupted; it carries all over, or finds all there."""
    if not said or said[-1].act != "migrate" or said[-1].done:
        return
    head = store.ledger.head()
    if carry(store.config, said[-1].about).root != head.root:
        yield "migrate: the root is another one"
    place = bootstrap.at_place(store.config, "ledger", said[-1].about, there=True)
    target = bootstrap.open_ledger(place)
    yield from (f"migrate: {text}" for text in target.verify())
    target.close()


def _erased_again(store: Store) -> Iterator[str]:
    """Lead the erasures to their end that were decided when the process died."""
    done = {Stage.CERTIFIED.value, Stage.CLOSED.value}
    for row in store.views.select(RequestRow, order="received_at"):
        if row.verdict is not None and row.stage not in done:
            finish(store, row.request_id)
    for row in store.views.select(RequestRow, order="received_at"):
        if row.verdict is not None and row.stage not in done:
            yield f"half-done: the erasure {row.request_id} is {row.stage}"


def _erased(store: Store, said: list[Said]) -> Iterator[str]:
    """Look for what versions held that were erased, but for what is the same in others."""
    there = {digest for digest, _ in store.blobs.list()}
    for each in _about(said, "erase", done=True):
        version_id, number = each.split()
        own = {path: content for path, content in contents(int(number)).items() if path not in {"shared.txt", "empty"}}
        yield from (
            f"not erased: {path} of version {number}"
            for path, content in own.items()
            if sha256(content).hexdigest() in there
        )
        row = store.views.find(VersionRow, version_id=version_id)
        if row is not None and row.metadata is not None and store.vault.get_many([row.metadata]):
            yield f"not erased: the metadata of version {number}"


def _collected(store: Store) -> Iterator[str]:
    """Collect, after all that the dead process held has run out; nothing may be left that nothing needs."""
    report = collect.act(store)
    yield from (f"gc: {text}" for text in report.failed)
    if report.kept:
        yield f"gc: {report.kept} dead blobs were kept"
    orphans = {digest for digest, _ in store.blobs.list()} - reach(store).at(OWN)
    yield from (f"orphan: blob {digest}" for digest in sorted(orphans))
    yield from (f"left in staging: {path.name}" for path in _inside(store.staging) if path.name != "lock")
    folder = store.config.path("blobs", "blobs")
    yield from (f"left behind: {path.name}" for path in _inside(folder / "tmp"))
    if store.ledger.scratch.items(leases.LEASE) or store.ledger.scratch.items(CONDEMNED):
        yield "left behind: a lease or a condemnation"
    yield from (f"fsck after gc: {fault.kind}: {fault.text}" for fault in fsck.check(store))


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
