"""Carrying a ledger, or a vault, from one kind of database to another: the same bytes, proved to be the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from itertools import islice
from typing import Any, Final, Protocol

from attrs import frozen

from muniment.app.progress import SILENT, Progress
from muniment.domain.errors import CorruptError, NotFoundError, StorageError
from muniment.domain.ports import Head, Ledger, Vault
from muniment.domain.values import SlotId

PAGE: Final = 500


class Movable(Ledger, Protocol):
    """A ledger that can be carried elsewhere as it is stored."""

    def cargo(self) -> AbstractContextManager[Any]:
        """Look at all that the ledger holds, as of one moment."""
        ...

    def adopt(self, cargo: Any) -> None:  # noqa: ANN401 (only adapters look inside)
        """Become, being empty, the ledger that the cargo is of; all of it or nothing."""
        ...

    def is_unused(self) -> bool:
        """Whether nothing was ever recorded here."""
        ...


class MovableVault(Vault, Protocol):
    """A vault that can be carried elsewhere as it is stored."""

    def is_unused(self) -> bool:
        """Whether there is nothing in it yet."""
        ...

    def slots(self) -> Iterator[tuple[Any, ...]]:
        """Yield the slots as they are stored, the id of each first, in the order in which they were written."""
        ...

    def terms(self) -> Iterator[tuple[Any, ...]]:
        """Yield the directory as it is stored."""
        ...

    def data_keys(self) -> Sequence[tuple[str, bytes]]:
        """Return the wrapped keys of all owners."""
        ...

    def adopt(
        self,
        slots: Callable[[], Iterator[tuple[Any, ...]]],
        terms: Callable[[], Iterator[tuple[Any, ...]]],
        data_keys: Sequence[tuple[str, bytes]],
    ) -> None:
        """Take over, being empty, what another vault holds; all of it or nothing."""
        ...


@frozen
class Moved:
    """What was carried over; ``done`` is false if all of it had been there already."""

    events: int
    root: bytes
    done: bool = True


def ledger(source: Movable, target: Movable, *, progress: Progress = SILENT) -> Moved:
    """Carry every event into an empty ledger; doing it again is harmless, a ledger of something else is refused.

    What is recorded in the source meanwhile stays there: let nobody write until they use the new one.
    """
    require_used(source)
    with source.cargo() as cargo:
        if target.is_unused():
            progress.ahead("carrying events", source.head().size)
            target.adopt(cargo.counted(progress.done))
            return Moved(*_proved(source, target, cargo.origin))
    if target.origin == source.origin and _same(source.head(), target.head()):
        return Moved(*_proved(source, target, source.origin), done=False)
    msg = "the target holds something else — name an empty one, such as another schema (?schema=…) or another file"
    raise StorageError(msg)


def require_used(source: Movable) -> None:
    """Refuse to carry an empty ledger, before there is a target."""
    if source.is_unused():
        msg = "there is nothing to carry over: the ledger named first is empty — check its place"
        raise NotFoundError(msg)


def _proved(source: Movable, target: Movable, origin: str) -> tuple[int, bytes]:
    """Check what was carried over against where it came from."""
    head = target.head()
    if target.origin != origin or source.root(head.size) != head.root:
        msg = "the ledger that was carried over is not the one it came from — run `muniment fsck` on both"
        raise CorruptError(msg)
    return head.size, head.root


def _same(one: Head, other: Head) -> bool:
    return (one.size, one.root) == (other.size, other.root)


@frozen
class MovedVault:
    """How many slots were carried over; ``done`` is false if all of them had been there already."""

    slots: int
    done: bool = True


def vault(source: MovableVault, target: MovableVault, *, progress: Progress = SILENT) -> MovedVault:
    """Carry every slot into an empty vault; doing it again is harmless, a vault of something else is refused."""
    done = target.is_unused()
    if done:
        progress.ahead("carrying slots")
        target.adopt(lambda: _counted(source.slots(), progress), source.terms, source.data_keys())
    if not _alike(source, target):
        if done:
            msg = "the vault that was carried over is not the one it came from — let nobody write meanwhile"
            raise CorruptError(msg)
        msg = (
            "the target holds something else — name an empty one, such as another schema (?schema=…) or another folder"
        )
        raise StorageError(msg)
    progress.ahead("comparing slots")
    return MovedVault(_require_readable(source, target, progress), done)


def _counted(slots: Iterator[tuple[Any, ...]], progress: Progress) -> Iterator[tuple[Any, ...]]:
    for slot in slots:
        progress.done(1)
        yield slot


def _alike(one: MovableVault, other: MovableVault) -> bool:
    return (_print(one.slots()), _print(one.terms())) == (_print(other.slots()), _print(other.terms()))


def _print(rows: Iterator[tuple[Any, ...]]) -> bytes:
    hashed = sha256()
    for row in rows:
        hashed.update(repr(tuple(row)).encode())
    return hashed.digest()


def _require_readable(source: MovableVault, target: MovableVault, progress: Progress) -> int:
    """Check that the target gives out the same values as the source; return how many slots there are."""
    count, ids = 0, (SlotId(row[0]) for row in source.slots())
    while page := list(islice(ids, PAGE)):
        if source.get_many(page) != target.get_many(page):
            msg = "the vault that was carried over gives out other values than the one it came from"
            raise CorruptError(msg)
        count += len(page)
        progress.done(len(page))
    return count
