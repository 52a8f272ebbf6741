"""Taking a version out of the store: every byte verified, every file whole or not there."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from attrs import frozen

from muniment.app import gone, manifests
from muniment.app.catalog import Found
from muniment.app.files.fetching import Fetcher, sha256_of
from muniment.app.files.placing import Ground, digest_of, is_file, look, open_old, refusing
from muniment.app.files.reading import Reading, read_all
from muniment.app.files.walking import unreadable, walk
from muniment.app.manifests import Manifest
from muniment.app.progress import SILENT, Progress, Stoppable
from muniment.app.store import Store
from muniment.app.telemetry import carried, traced
from muniment.domain.errors import InvalidValueError, NotFoundError, VersionDeletedError
from muniment.domain.manifest import Entry, check_paths
from muniment.domain.ports import FileDigests, FileStat
from muniment.domain.values import Digest

T = TypeVar("T")

THREADS: Final = 2
WAITING: Final = 4
BATCH_FILES: Final = 256
BATCH_BYTES: Final = 16 << 20

_LOG = logging.getLogger(__name__)


@frozen
class Downloaded:
    """What a download came to: where it went, how many entries and bytes are there, which references were missing."""

    root: str
    entries: int
    size: int
    missing: tuple[str, ...] = ()


def manifest_of(store: Store, found: Found) -> Manifest:
    """Open the manifest of a version."""
    if found.version.manifest is None:
        msg = f"version {found.artifact.name}:v{found.version.index} has no manifest any more"
        raise VersionDeletedError(msg)
    blobs = store.of_team(found.team.team_id).blobs
    with gone.told(store.views, found.version, _name(found)):
        return manifests.read(blobs, store.codec, Digest(found.version.manifest))


def _name(found: Found) -> str:
    return f"{found.artifact.name}:v{found.version.index}"


@traced(
    "download",
    lambda done: {"entries": done.entries, "bytes": done.size, "missing": len(done.missing)},
)
def download(
    store: Store,
    version: Found | Manifest,
    root: str | os.PathLike[str],
    *,
    path_prefix: str | None = None,
    allow_missing_references: bool = False,
    skip_cache: bool | None = None,
    progress: Progress = SILENT,
) -> Downloaded:
    """Put the entries of a version below *root*; those whose paths begin with *path_prefix* only, if it is given.

    A right file that is there already stays, a wrong one is replaced, others are left alone. A reference that leads
    nowhere is NotFoundError, unless *allow_missing_references*. What lies elsewhere is read through the cache; with
    *skip_cache* it is not, and files that are there are hashed even if they are remembered as unchanged. *progress*
    hears how far it is.
    """
    store = store if skip_cache else store.through_cache()
    manifest = version if isinstance(version, Manifest) else manifest_of(store, version)
    top = os.path.abspath(os.fspath(root))  # noqa: PTH100 (text in, text out)
    progress = stopping = Stoppable(progress)
    with Ground(top, os.fspath(root)) as ground:
        progress.ahead("downloading", *_weight(manifest, path_prefix or ""))
        fetcher = Fetcher(store, manifest.stored_in, progress)
        work = _Download(store, ground, fetcher, allow_missing_references, bool(skip_cache), progress)
        reading = (
            gone.told(store.views, version.version, _name(version)) if isinstance(version, Found) else nullcontext()
        )
        with reading, closing(_spread(work.place, manifest.entries(path_prefix or ""), stopping)) as placed:
            done = list(placed)
    return Downloaded(
        os.fspath(root),
        sum(each.entries for each in done),
        sum(each.size for each in done),
        tuple(path for each in done for path in each.missing),
    )


def checkout(
    store: Store, version: Found | Manifest, root: str | os.PathLike[str], *, progress: Progress = SILENT
) -> Downloaded:
    """Download a version and delete all files below *root* that it does not hold; links are deleted, not followed."""
    manifest = version if isinstance(version, Manifest) else manifest_of(store.through_cache(), version)
    done = download(store, manifest, root, progress=progress)
    top = os.fspath(root)
    for folder, inner, names in os.walk(top, topdown=False):
        links = [name for name in inner if Path(folder, name).is_symlink()]
        with refusing(os.path.relpath(folder, top)):
            for path in (Path(folder, name) for name in [*names, *links]):
                if manifest.get(path.relative_to(top).as_posix()) is None:
                    path.unlink()
        if folder != top:
            with suppress(OSError):  # it is not empty
                Path(folder).rmdir()
    return done


def verify_folder(
    store: Store, version: Found | Manifest, root: str | os.PathLike[str], *, progress: Progress = SILENT
) -> None:
    """Compare a local folder with a version: InvalidValueError names a file too many or with other content.

    A file that is not there is NotFoundError. References whose content only their stores can tell are passed over.
    """
    manifest = version if isinstance(version, Manifest) else manifest_of(store, version)
    name = f"{version.artifact.name}:v{version.version.index}" if isinstance(version, Found) else manifest.digest
    for local, path in walk(root):
        if manifest.get(path) is None:
            msg = f"Found file {local} which is not a member of artifact {name}"
            raise InvalidValueError(msg)
    waiting = manifest.entries()
    progress.ahead("hashing", len(manifest), manifest.size)
    while batch := list(islice(waiting, BATCH_FILES)):
        _compare(os.fspath(root), batch, progress)


def verify_stored(store: Store, version: Found | Manifest, *, progress: Progress = SILENT) -> int:
    """Read every stored byte of a version; CorruptError names the first file that is not what it was.

    Returns how many files were read; references, whose bytes are elsewhere, are passed over.
    """
    manifest = version if isinstance(version, Manifest) else manifest_of(store, version)
    progress = stopping = Stoppable(progress)
    progress.ahead("reading", len(manifest), manifest.size)
    fetcher = Fetcher(store, manifest.stored_in, progress)

    def check(batch: list[Entry]) -> int:
        stored = [entry for entry in batch if entry.ref is None]
        for entry in stored:
            fetcher.check(entry)
        progress.done(len(batch))
        return len(stored)

    with closing(_spread(check, manifest.entries(), stopping)) as checked:
        return sum(checked)


def open_entry(store: Store, entry: Entry) -> BinaryIO:
    """Open what an entry holds for one sequential read, which fails rather than end with wrong bytes.

    *store* is seen by the team of the entry's version. What lies elsewhere is read through the cache.
    """
    reading = store.through_cache()
    return Fetcher(reading, reading.blobs).open(entry)


def _compare(root: str, entries: Sequence[Entry], progress: Progress) -> None:
    expected = {entry.path: sha256_of(entry) for entry in entries}
    for path in (path for path, digest in expected.items() if digest is None):
        _LOG.warning("%s is a reference whose content only its store can tell: it was not verified", path)
    known = [path for path, digest in expected.items() if digest is not None]
    readings = [Reading(local := f"{root}/{path}", _stat(local)) for path in known]
    for path, content in zip(known, read_all(readings, with_md5=False, progress=progress), strict=True):
        if content.digest != expected[path]:
            msg = f"Digest mismatch for file: {path}"
            raise InvalidValueError(msg)


def _stat(local: str) -> os.stat_result:
    try:
        return os.stat(local)  # noqa: PTH116 (text in, text out)
    except OSError as error:
        raise unreadable(local, error) from error


def _weight(manifest: Manifest, prefix: str) -> tuple[int, int]:
    """Return how many files a download is about, and their bytes; (0, 0) where only the leaves could say."""
    return (0, 0) if prefix else (len(manifest), manifest.size)


def _spread(
    work: Callable[[list[Entry]], T], entries: Iterable[Entry], stopping: Stoppable
) -> Generator[T, None, None]:
    """Do it in a few threads, a batch each, with few batches waiting; the first failure stops all and is raised."""
    work = carried(work)
    pool, waiting = ThreadPoolExecutor(THREADS), deque[Future[T]]()
    try:
        for batch in _batches(entries):
            waiting.append(pool.submit(work, batch))
            if len(waiting) >= WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        pool.shutdown()
    except BaseException:
        stopping.stop()
        pool.shutdown(cancel_futures=True)
        raise


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += entry.size or 0
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _folder_of(entry: Entry) -> str:
    return entry.path.rpartition("/")[0]


@frozen
class _Download:
    """One download: where it goes and what it does about what is missing."""

    store: Store
    ground: Ground
    fetcher: Fetcher
    allow_missing: bool
    look_again: bool
    progress: Progress

    def place(self, batch: list[Entry]) -> Downloaded:
        """Put a batch of entries in their places."""
        check_paths([entry.path for entry in batch])
        missing: list[str] = []
        for path, group in groupby(batch, _folder_of):
            with self.ground.folder(path) as (folder, made):
                entries = list(group)
                right = set() if made else self._right(folder, entries)
                left = [entry for entry in entries if entry.path not in right]
                if right:
                    self.progress.done(0, sum(entry.size or 0 for entry in entries if entry.path in right))
                missing += [entry.path for entry in left if not self._put(folder, entry)]
        self.progress.done(len(batch), 0)
        size = sum(entry.size or 0 for entry in batch if entry.path not in missing)
        return Downloaded(self.ground.root, len(batch) - len(missing), size, tuple(missing))

    def _put(self, folder: int, entry: Entry) -> bool:
        """Put one entry in its place; whether there was anything to put."""
        try:
            self.ground.put(folder, entry.path, lambda file: self.fetcher.write(entry, file))
        except (NotFoundError, VersionDeletedError) as error:
            if not self.allow_missing or entry.ref is None:
                raise
            _LOG.warning("%s was left out: %s", entry.path, error)
            return False
        return True

    def _right(self, folder: int, entries: list[Entry]) -> set[str]:
        """Return the paths under which the right bytes stand already."""
        seen_at = self.store.clock()
        there = {
            f"{self.ground.root}/{entry.path}": (entry, found) for entry in entries if (found := _there(folder, entry))
        }
        known = (
            {} if self.look_again else self.store.files.get_many({path: found for path, (_, found) in there.items()})
        )
        read: dict[str, tuple[FileStat, FileDigests]] = {}
        right: set[str] = set()
        for path, (entry, found) in there.items():
            digest = known[path][0] if path in known else self._hashed(folder, entry, found)
            if digest is not None and path not in known:
                read[path] = (found, (digest, None))
            if digest == sha256_of(entry):
                right.add(entry.path)
        if read:
            self.store.files.put_many(read, seen_at)
        return right

    def _hashed(self, folder: int, entry: Entry, before: os.stat_result) -> Digest | None:
        """Return the digest of a file that is there, or ``None`` if it changes meanwhile."""
        with refusing(entry.path), open_old(folder, entry.path.rpartition("/")[2]) as file:
            digest, _ = digest_of(file)
            after = os.fstat(file.fileno())
        return Digest(digest) if (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns) else None


def _there(folder: int, entry: Entry) -> os.stat_result | None:
    """Return the look of a file that may hold what an entry holds, as far as its size tells."""
    if sha256_of(entry) is None:
        return None
    with refusing(entry.path):
        found = look(folder, entry.path.rpartition("/")[2])
    fits = found is not None and is_file(found) and entry.size in {None, found.st_size}
    return found if fits else None
