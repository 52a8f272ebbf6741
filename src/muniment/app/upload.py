"""Bringing what was staged into the store, and logging it as a version."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final

from attrs import define

from muniment.app import fence, leases, manifests
from muniment.app.carrying import Carrier
from muniment.app.collecting.condemning import CONDEMNED, take_over
from muniment.app.files.staging import Staged
from muniment.app.leases import Lease
from muniment.app.log_artifact import Draft, Logged, PlaceMovedError, log
from muniment.app.manifests import Manifest, Removed, Written
from muniment.app.places import OWN, mark
from muniment.app.progress import SILENT, Progress
from muniment.app.store import Store
from muniment.app.telemetry import traced
from muniment.domain.errors import CorruptError, LeaseExpiredError, MunimentError, NotFoundError, StorageError
from muniment.domain.manifest import Entry
from muniment.domain.ports import BlobSource, BlobStore, Scratch, Transaction
from muniment.domain.rows import ProjectRow
from muniment.domain.values import CommandId, Digest, Micros, RunId

BATCH: Final = 4096
PREFIX: Final = 2
FIRST_PAUSE: Final = 0.01
LONGEST_PAUSE: Final = 1.0


def upload(
    store: Store,
    lease: Lease,
    staged: Iterable[Staged | Removed],
    *,
    base: Manifest | None = None,
    incremental: bool = False,
    fenced: bool = True,
    progress: Progress = SILENT,
) -> Written:
    """Bring manifest and contents into the store, where nothing names them until the version is logged.

    Entries equal to one of *base* keep what is known of it. With *incremental* the staged ones are changes to *base*;
    without, they are all there is. Whatever collection has condemned is rescued, whatever is missing is put. What a
    data subject had erased is SubjectErasedError, unless the upload is not *fenced* because it only takes away.
    """
    changes = sorted(staged, key=_path_of)
    others = (store.blobs, *(() if base is None else (base.stored_in,)))
    session = _Session(store, lease, leases.LASTING // 2 + store.clock(), progress, others)
    sources = {
        each.entry.digest: each.source for each in changes if isinstance(each, Staged) and each.source is not None
    }

    def entries() -> Iterator[Entry]:
        made = (each if isinstance(each, Removed) else each.entry for each in changes)
        if incremental and base is not None:
            return manifests.merge(base.entries(), made)
        kept = (each for each in made if isinstance(each, Entry))
        return kept if base is None else manifests.inherit(base.entries(), kept)

    if fenced:
        fence.refuse(store, entries())
    progress.ahead("uploading", *_weight(changes))
    written = session.write(entries)
    with Carrier(store) as carrier:
        session.put((entry for entry in entries() if entry.ref is None), sources, carrier)
    return written


@traced("log", lambda logged: {"version_id": logged.version_id, "index": logged.index, "created": int(logged.created)})
def log_contents(  # noqa: PLR0913 (what logging a version takes)
    store: Store,
    project: ProjectRow,
    staged: Iterable[Staged | Removed],
    draft: Callable[[Written], Draft],
    *,
    run_id: RunId | None = None,
    base: Manifest | None = None,
    incremental: bool = False,
    progress: Progress = SILENT,
    command: CommandId | None = None,
) -> Logged:
    """Upload what was staged and log the version that *draft* makes of it, both under one lease.

    An upload that outlives its lease is done once more; most of its bytes are then there already. So is one beside
    which the team's blobs went to another place.
    """
    changes = list(staged)

    def once() -> Logged:
        placed = store.of_team(project.team_id)
        lease = leases.take(placed)
        try:
            written = upload(placed, lease, changes, base=base, incremental=incremental, progress=progress)
            return log(placed, project, draft(written), run_id=run_id, lease=lease, command=command)
        except BaseException:
            leases.release(placed, lease)
            raise

    try:
        return once()
    except (LeaseExpiredError, PlaceMovedError):
        return once()


def rescue(store: Store, digests: Collection[Digest]) -> frozenset[Digest]:
    """Take back the condemnation of blobs that are wanted again; return those that came too late, which are gone.

    They are meant in the place where *store* puts them. For a blob that is being deleted at this moment, wait until
    that is over; if whoever did it has died, that is at once.
    """
    return rescue_at(store, store.places.key(store.scope.place) if store.scope else OWN, digests)


def rescue_at(store: Store, key: str, digests: Collection[Digest]) -> frozenset[Digest]:
    """Rescue blobs in the place with this key."""
    marks = {mark(key, digest): digest for digest in digests}
    condemned = _condemned(store.ledger.scratch, key, marks)
    gone: set[str] = set()
    seconds = FIRST_PAUSE
    while condemned:
        condemned = store.ledger.work(_Reprieve(condemned))
        gone |= condemned
        if condemned:
            take_over(store, condemned)
            time.sleep(seconds)
            seconds = min(2 * seconds, LONGEST_PAUSE)
    return frozenset(marks[each] for each in gone)


@define
class _Reprieve:
    """Inside the write transaction: remove condemnations, and return what is being deleted already."""

    marks: Collection[str]

    def __call__(self, transaction: Transaction) -> set[str]:
        scratch, dying = transaction.scratch, set()
        for each in self.marks:
            row = scratch.get(CONDEMNED, each)
            if row is None:
                continue
            if row["state"] == CONDEMNED:
                scratch.delete(CONDEMNED, each)
            else:
                dying.add(each)
        return dying


@define
class _Session:
    """One upload under its lease; what it does not bring along may lie in *others*."""

    store: Store
    lease: Lease
    renew_at: Micros
    progress: Progress
    others: tuple[BlobStore, ...]

    def write(self, entries: Callable[[], Iterator[Entry]]) -> Written:
        """Store the manifest. A part of it that is there already is rescued before anybody counts on it."""
        return manifests.write(self.store.blobs, self.store.codec, entries(), self._wants)

    def _wants(self, digests: Collection[Digest]) -> None:
        rescue(self.store, digests)
        self._renew()

    def put(self, entries: Iterator[Entry], sources: dict[str, BlobSource], carrier: Carrier) -> None:
        """See to it that the bytes of entries are in the store."""
        paths: dict[str, str] = {}
        for result in self.store.blobs.put_many(self._wanted(entries, sources, paths, carrier)):
            if result.error is not None:
                raise _about(paths[result.digest], result.error) from result.error
            if result.digest in sources:
                self.progress.done(1, sources[result.digest].size)
            carrier.forget(result.digest)
            self._renew()

    def _wanted(
        self, entries: Iterator[Entry], sources: dict[str, BlobSource], paths: dict[str, str], carrier: Carrier
    ) -> Iterator[BlobSource]:
        """Yield what is missing, a batch after the other; *paths* learns for which entries."""
        while batch := list(islice(entries, BATCH)):
            missing = self._missing(batch, sources)
            for entry in batch:
                if entry.digest in missing and entry.digest not in paths:
                    paths[entry.digest] = entry.path
                    found = sources.get(entry.digest)
                    yield found or self._carried(entry, carrier)
                elif entry.digest in missing:
                    self.progress.done(1, entry.size or 0)  # equal to another file, which is on its way

    def _missing(self, entries: list[Entry], sources: dict[str, BlobSource]) -> set[Digest]:
        """Return which bytes of a batch of entries are to be put, whatever was condemned of the others rescued."""
        digests = {Digest(entry.digest) for entry in entries}
        rescue(self.store, digests)
        missing = self.store.blobs.missing(digests)
        there = [entry for entry in entries if entry.digest in sources and entry.digest not in missing]
        self.progress.done(len(there), sum(entry.size or 0 for entry in there))
        return missing

    def _carried(self, entry: Entry, carrier: Carrier) -> BlobSource:
        """Return the bytes of an entry that was not brought along from where they were: another place of the team."""
        for blobs in self.others:
            with suppress(NotFoundError):
                return carrier.fetch(blobs, Digest(entry.digest))
        msg = f"the bytes of {entry.path!r} are not in the store (any more) — add the file again"
        raise CorruptError(msg)

    def _renew(self) -> None:
        if self.store.clock() >= self.renew_at:
            leases.renew(self.store, self.lease)
            self.renew_at = self.store.clock() + leases.LASTING // 2


def _condemned(scratch: Scratch, key: str, marks: Mapping[str, Digest]) -> set[str]:
    """Return those of *marks* that are condemned; asks by the beginnings of digests, of which there are 256."""
    found: set[str] = set()
    for prefix in {digest[:PREFIX] for digest in marks.values()}:
        found.update(each for each, _ in scratch.items(CONDEMNED, mark(key, prefix)) if each in marks)
    return found


def _weight(changes: Iterable[Staged | Removed]) -> tuple[int, int]:
    """Return how many files wait to be brought in, and their bytes."""
    sizes = [each.source.size for each in changes if isinstance(each, Staged) and each.source is not None]
    return len(sizes), sum(sizes)


def _path_of(staged: Staged | Removed) -> str:
    return staged.entry.path if isinstance(staged, Staged) else staged.path


def _about(path: str, error: Exception) -> Exception:
    """Return the error of a blob with the path that its user knows."""
    kind = type(error) if isinstance(error, MunimentError) else StorageError
    return kind(f"{path!r} could not be stored: {error}")
