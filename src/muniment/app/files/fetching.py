"""Reading what entries hold, wherever it is, and never believing it unseen."""

from __future__ import annotations

from hashlib import sha256
from io import BufferedReader, BytesIO, RawIOBase
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, Final

from muniment.app.disk import write_all
from muniment.app.files.placing import digest_of
from muniment.app.files.reading import SMALL
from muniment.app.files.reference import HASHED, Targets, target_of
from muniment.app.progress import SILENT, Progress
from muniment.app.store import Store
from muniment.domain.errors import CorruptError, NotFoundError
from muniment.domain.manifest import Entry, are_digests
from muniment.domain.ports import BlobStore, ReferencedObject
from muniment.domain.values import Digest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES: Final = 1 << 20


def sha256_of(entry: Entry) -> str | None:
    """Return the SHA-256 of what an entry holds, or ``None`` if only its store knows what identifies it."""
    digest = entry.digest.removeprefix(HASHED)
    ours = entry.ref is None or entry.digest.startswith(HASHED) or target_of(entry.ref) is not None
    return digest if ours and are_digests([digest]) else None


class Fetcher:
    """Fetches what entries hold, stored ones from *blobs*; for several threads."""

    def __init__(self, store: Store, blobs: BlobStore, progress: Progress = SILENT) -> None:
        self._store = store
        self._blobs = blobs
        self._progress = progress
        self._targets = Targets(store)
        self._one = Lock()

    def write(self, entry: Entry, file: int) -> None:
        """Write what an entry holds; if it is not what it should be, CorruptError, and what was written is worthless.

        What a reference leads to and is not there is NotFoundError or VersionDeletedError.
        """
        end, blobs = self._end(entry)
        if end.ref is None and (end.size or 0) <= SMALL:
            content = _get(blobs, entry, end)
            write_all(file, content)
            self._progress.done(0, len(content))
            return
        with self._open(blobs, entry, end) as source:
            found, size = digest_of(source, into=file, progress=self._progress)
        expected = sha256_of(end)
        if found != (expected or found) or size != (size if end.size is None else end.size):
            raise _damaged(entry, end)

    def check(self, entry: Entry) -> None:
        """Read a stored entry to its end; CorruptError if it is not what it should be."""
        with self.open(entry) as source:
            while content := source.read(BUFFER_BYTES):
                self._progress.done(0, len(content))

    def open(self, entry: Entry) -> BinaryIO:
        """Open what an entry holds for one sequential read, which fails rather than end with wrong bytes."""
        end, blobs = self._end(entry)
        if end.ref is None and (end.size or 0) <= SMALL:
            return BytesIO(_get(blobs, entry, end))
        return BufferedReader(_Checked(self._open(blobs, entry, end), entry, end), BUFFER_BYTES)

    def _end(self, entry: Entry) -> tuple[Entry, BlobStore]:
        """Return the entry at the end of references from version to version, and the blobs of its version."""
        if entry.ref is None or target_of(entry.ref) is None:
            return entry, self._blobs
        with self._one:
            end, blobs = self._targets.end(entry)
        if end.digest != entry.digest:
            msg = f"{entry.path!r} refers to {entry.ref!r}, which holds something else — add the reference again"
            raise CorruptError(msg)
        return end, blobs or self._blobs

    def _open(self, blobs: BlobStore, entry: Entry, end: Entry) -> BinaryIO:
        if end.ref is None:
            try:
                return blobs.open(Digest(end.digest))
            except NotFoundError as error:
                raise _damaged(entry, end) from error
        adapter = self._store.references.get(end.ref.partition("://")[0].lower())
        if adapter is None:
            msg = f"reference {end.ref!r} cannot be fetched: it is tracked by its URI alone"
            raise NotFoundError(msg)
        return adapter.fetch(ReferencedObject("", end.ref, end.digest, end.size, end.annex))


class _Checked(RawIOBase):
    """A stream that refuses its last bytes if all of them together are not what they should be."""

    def __init__(self, source: BinaryIO, entry: Entry, end: Entry) -> None:
        self._source = source
        self._entry = entry
        self._end = end
        self._hashing = sha256()
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with memoryview(buffer).cast("B") as view:
            block = self._source.read(len(view))
            view[: len(block)] = block
        self._hashing.update(block)
        self._size += len(block)
        if not block or self._size >= (self._size + 1 if self._end.size is None else self._end.size):
            self._check()
        return len(block)

    def close(self) -> None:
        self._source.close()
        super().close()

    def _check(self) -> None:
        expected = sha256_of(self._end)
        known = self._end.size is None or self._end.size == self._size
        if not known or (expected is not None and expected != self._hashing.hexdigest()):
            raise _damaged(self._entry, self._end)


def _get(blobs: BlobStore, entry: Entry, end: Entry) -> bytes:
    try:
        return blobs.get(Digest(end.digest))
    except (CorruptError, NotFoundError) as error:
        raise _damaged(entry, end) from error


def _damaged(entry: Entry, end: Entry) -> CorruptError:
    if end.ref is not None:
        return CorruptError(f"{entry.path!r}: what {end.ref!r} holds changed since it was added — add it again")
    return CorruptError(f"{entry.path!r} is damaged or missing in the store — run fsck, restore it from a copy")
