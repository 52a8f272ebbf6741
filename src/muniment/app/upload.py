"""Bringing what was staged into the store, and logging it as a version."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Final

from attrs import define

from muniment.app import leases, manifests
from muniment.app.collect import CONDEMNED
from muniment.app.leases import Lease
from muniment.app.log_artifact import Draft, Logged, log
from muniment.app.manifests import Manifest, Removed, Written
from muniment.app.progress import SILENT, Progress
from muniment.app.staging import Staged
from muniment.app.store import Store
from muniment.domain.errors import CorruptError, LeaseExpiredError, MunimentError, StorageError
from muniment.domain.manifest import Entry
from muniment.domain.ports import BlobSource, Scratch, Transaction
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
    progress: Progress = SILENT,
) -> Written:
    """Bring manifest and contents into the store, where nothing names them until the version is logged.

    Entries equal to one of *base* keep what is known of it. With *incremental* the staged ones are changes to *base*;
    without, they are all there is. Whatever collection has condemned is rescued, whatever is missing is put.
    """
    changes = sorted(staged, key=_path_of)
    session = _Session(store, lease, leases.LASTING // 2 + store.clock(), progress)
    sources = {
        each.entry.digest: each.source for each in changes if isinstance(each, Staged) and each.source is not None
    }

    def entries() -> Iterator[Entry]:
        made = (each if isinstance(each, Removed) else each.entry for each in changes)
        if incremental and base is not None:
            return manifests.merge(base.entries(), made)
        kept = (each for each in made if isinstance(each, Entry))
        return kept if base is None else manifests.inherit(base.entries(), kept)

    progress.ahead("uploading", *_weight(changes))
    written = session.write(entries)
    session.put((entry for entry in entries() if entry.ref is None), sources)
    return written


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

    An upload that outlives its lease is done once more; most of its bytes are then there already.
    """
    changes = list(staged)

    def once() -> Logged:
        lease = leases.take(store)
        try:
            written = upload(store, lease, changes, base=base, incremental=incremental, progress=progress)
            return log(store, project, draft(written), run_id=run_id, lease=lease, command=command)
        except BaseException:
            leases.release(store, lease)
            raise

    try:
        return once()
    except LeaseExpiredError:
        return once()


def rescue(store: Store, digests: Collection[Digest]) -> frozenset[Digest]:
    """Take back the condemnation of blobs that are wanted again; return those that came too late, which are gone.

    For a blob that is being deleted at this moment, wait until that is over.
    """
    condemned = _condemned(store.ledger.scratch, digests)
    gone: set[Digest] = set()
    seconds = FIRST_PAUSE
    while condemned:
        condemned = store.ledger.work(_Reprieve(condemned))
        gone |= condemned
        if condemned:
            time.sleep(seconds)
            seconds = min(2 * seconds, LONGEST_PAUSE)
    return frozenset(gone)


@define
class _Reprieve:
    """Inside the write transaction: remove condemnations, and return what is being deleted already."""

    digests: Collection[Digest]

    def __call__(self, transaction: Transaction) -> set[Digest]:
        scratch, dying = transaction.scratch, set()
        for digest in self.digests:
            row = scratch.get(CONDEMNED, digest)
            if row is None:
                continue
            if row["state"] == CONDEMNED:
                scratch.delete(CONDEMNED, digest)
            else:
                dying.add(digest)
        return dying


@define
class _Session:
    """One upload under its lease."""

    store: Store
    lease: Lease
    renew_at: Micros
    progress: Progress

    def write(self, entries: Callable[[], Iterator[Entry]]) -> Written:
        """Store the manifest; again, if a part of it that was there is being deleted."""
        while True:
            written = manifests.write(self.store.blobs, self.store.codec, entries())
            self._renew()
            if not rescue(self.store, written.blobs):
                return written

    def put(self, entries: Iterator[Entry], sources: dict[str, BlobSource]) -> None:
        """See to it that the bytes of entries are in the store."""
        paths: dict[str, str] = {}
        for result in self.store.blobs.put_many(self._wanted(entries, sources, paths)):
            if result.error is not None:
                raise _about(paths[result.digest], result.error) from result.error
            self.progress.done(1, sources[result.digest].size)
            self._renew()

    def _wanted(
        self, entries: Iterator[Entry], sources: dict[str, BlobSource], paths: dict[str, str]
    ) -> Iterator[BlobSource]:
        """Yield what is missing, a batch after the other; *paths* learns for which entries."""
        while batch := list(islice(entries, BATCH)):
            missing = self._missing(batch, sources)
            for entry in batch:
                if entry.digest in missing and entry.digest not in paths:
                    paths[entry.digest] = entry.path
                    yield sources[entry.digest]
                elif entry.digest in missing:
                    self.progress.done(1, entry.size or 0)  # equal to another file, which is on its way

    def _missing(self, entries: list[Entry], sources: dict[str, BlobSource]) -> set[Digest]:
        """Return which bytes of a batch of entries are to be put, whatever was condemned of the others rescued."""
        digests = {Digest(entry.digest) for entry in entries}
        rescue(self.store, digests)
        missing = self.store.blobs.missing(digests)
        if lost := [entry for entry in entries if entry.digest in missing and entry.digest not in sources]:
            msg = f"the bytes of {lost[0].path!r} are not in the store (any more) — add the file again"
            raise CorruptError(msg)
        there = [entry for entry in entries if entry.digest in sources and entry.digest not in missing]
        self.progress.done(len(there), sum(entry.size or 0 for entry in there))
        return missing

    def _renew(self) -> None:
        if self.store.clock() >= self.renew_at:
            leases.renew(self.store, self.lease)
            self.renew_at = self.store.clock() + leases.LASTING // 2


def _condemned(scratch: Scratch, digests: Collection[Digest]) -> set[Digest]:
    """Return those of *digests* that are condemned; asks by the beginnings of digests, of which there are 256."""
    found: set[Digest] = set()
    for prefix in {digest[:PREFIX] for digest in digests}:
        found.update(Digest(digest) for digest, _ in scratch.items(CONDEMNED, prefix) if digest in digests)
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
