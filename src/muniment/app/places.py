"""Where blobs are: the store's own place, and those of teams that brought their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from typing import BinaryIO, Final, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

from attrs import define, field, frozen

from muniment.domain.errors import CorruptError, MunimentError, NotFoundError, StorageError
from muniment.domain.evidence import Search
from muniment.domain.ports import BlobResult, BlobSource, BlobStore, Ledger
from muniment.domain.team import TEAM, Place, Team, storage_place
from muniment.domain.values import Digest, Erased, Micros, StreamId, TeamId

T = TypeVar("T")

_Open: TypeAlias = Callable[[], BlobStore]

OWN: Final = ""
"""The key of the store's own place."""
OWN_NAME: Final = "the store's own place"


@frozen
class Kept:
    """Where blobs of a team are: in *current*, in *earlier* places; in *left* ones only what nothing needs may lie.

    ``None`` is the store's own place; a place whose URL was forgotten on purpose is not among them.
    """

    current: str | None = None
    earlier: tuple[str | None, ...] = ()
    left: tuple[str | None, ...] = ()

    @property
    def needed(self) -> tuple[str | None, ...]:
        """The places in which the team's versions lie, in the order in which they are looked into."""
        return (self.current, *self.earlier)


@frozen
class _Known:
    """A team as it was after the event *seq*."""

    state: Team
    seq: int


@define(eq=False)
class Places:
    """The places of a store besides its own, which is at *own*; each is opened once, when it is first needed."""

    own: str
    opening: Callable[[str], BlobStore]
    _opened: dict[str, BlobStore] = field(init=False, factory=dict)
    _teams: dict[TeamId, _Known] = field(init=False, factory=dict)

    def key(self, url: str | None) -> str:
        """Return what tells places apart: the same for every URL of one place, ``OWN`` for the store's own."""
        if url is None:
            return OWN
        there = identity(url)
        return OWN if there == identity(self.own) else sha256(there.encode()).hexdigest()[:16]

    def is_elsewhere(self, url: str | None) -> bool:
        """Whether a place, ``None`` for the store's own, is no folder that this machine sees."""
        return folder_of(self.own if url is None else url) is None

    def open(self, url: str) -> BlobStore:
        """Return the blobs of a place."""
        key = self.key(url)
        if key not in self._opened:
            self._opened.setdefault(key, self.opening(url))
        return self._opened[key]

    def of_team(self, ledger: Ledger, team_id: TeamId) -> Kept:
        """Return where the blobs of a team are."""
        known = self._teams.get(team_id, _Known(TEAM.initial, 0))
        for recorded in ledger.read(stream=StreamId(team_id), after=known.seq):
            known = _Known(TEAM.evolve(known.state, recorded.event), recorded.seq)
        self._teams[team_id] = known
        return kept(known.state)


def mark(key: str, digest: str) -> str:
    """Return what scratch rows call a blob, or what its digest begins with, in the place with this key."""
    return digest if key == OWN else f"@{key}:{digest}"


def kept(team: Team) -> Kept:
    """Return where the blobs of a team are, as far as that is known."""
    current = None if isinstance(team.store, Erased) else team.store
    return Kept(current, tuple(_known(team.earlier)), tuple(_known(team.left)))


def _known(places: Iterable[Place]) -> Iterator[str | None]:
    return (place for place in places if not isinstance(place, Erased))


def absolute(text: str) -> str:
    """Return a place as it is kept in the ledger: a folder by its whole path."""
    place = storage_place(text)
    return place if "://" in place else str(Path(place).expanduser().absolute())


def folder_of(url: str) -> Path | None:
    """Return the folder of a place on this machine, ``None`` if it is elsewhere."""
    if "://" not in url:
        return Path(url).expanduser()
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def identity(url: str) -> str:
    """Return what is equal for every way to write a place, links of the file system followed."""
    folder = folder_of(url)
    return os.path.realpath(folder) if folder is not None else storage_place(url)


def lost_from(blobs: BlobStore, digests: Collection[Digest]) -> set[Digest]:
    """Return those of *digests* that cannot be read, from whichever place."""
    return blobs.lost(digests) if isinstance(blobs, TeamBlobs) else blobs.missing(digests)


def probe(blobs: BlobStore, look: Callable[[Digest], None] | None = None) -> None:
    """Put a blob that nobody else has, read it back, and delete it; a place that fails in this is StorageError.

    *look* is called while it is there.
    """
    content = token_bytes(64)
    digest = Digest(sha256(content).hexdigest())
    try:
        _check(blobs.put_many([BlobSource(digest, len(content), content)]))
        blobs.get(digest)
        if look is not None:
            look(digest)
    finally:
        _check(blobs.delete_many([digest]))
    if not blobs.missing([digest]):
        msg = "a blob that was deleted is still there — check what the store keeps of deleted objects"
        raise CorruptError(msg)


def _check(results: Iterable[BlobResult]) -> None:
    for result in results:
        if isinstance(result.error, MunimentError):
            raise result.error
        if result.error is not None:
            msg = f"blob {result.digest} failed: {type(result.error).__name__}"
            raise StorageError(msg) from result.error


@define(eq=False)
class TeamBlobs:
    """The blobs of a team: put into its current place, read from there or from *others*, in this order.

    Versions lie in one place whole, so where the last blob was found is looked first for the next one.
    """

    current: BlobStore
    others: tuple[_Open, ...]
    _first: _Open = field(init=False)
    _last: _Open | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._first = lambda: self.current

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        """Store blobs in the current place."""
        return self.current.put_many(blobs)

    def get(self, digest: Digest) -> bytes:
        """Return a small blob from whichever place has it."""
        return self._read(lambda blobs: blobs.get(digest))

    def open(self, digest: Digest, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open a blob in whichever place has it."""
        return self._read(lambda blobs: blobs.open(digest, start, length))

    def missing(self, digests: Collection[Digest]) -> set[Digest]:
        """Return those that are not in the current place."""
        return self.current.missing(digests)

    def lost(self, digests: Collection[Digest]) -> set[Digest]:
        """Return those that are in none of the places."""
        left = set(digests)
        for place in self._order():
            left = place().missing(left) if left else left
        return left

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        """Delete blobs from the current place."""
        return self.current.delete_many(digests)

    def sweep(self, older_than: Micros) -> int:
        """Remove what interrupted puts left in the current place."""
        return self.current.sweep(older_than)

    def verify(self) -> Iterator[str]:
        """Yield what is wrong about how blobs are kept in the current place."""
        return self.current.verify()

    def search(self, digests: Collection[Digest]) -> Search:
        """Look for copies in the current place."""
        return self.current.search(digests)

    def _order(self) -> tuple[_Open, ...]:
        places: tuple[_Open, ...] = (self._first, *self.others)
        last = self._last
        return places if last is None else (last, *(place for place in places if place is not last))

    def _read(self, read: Callable[[BlobStore], T]) -> T:
        absent: NotFoundError | None = None
        for place in self._order():
            try:
                found = read(place())
            except NotFoundError as error:
                absent = absent or error
                continue
            self._last = place
            return found
        raise absent or NotFoundError

    def list(self) -> Iterator[tuple[Digest, int]]:
        """Yield the blobs of the current place."""
        return self.current.list()
