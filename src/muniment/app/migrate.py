"""Carrying a ledger, or a vault, from one kind of database to another: the same bytes, proved to be the same."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from attrs import frozen

from muniment.domain.errors import CorruptError, NotFoundError, StorageError
from muniment.domain.ports import Head, Ledger


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


@frozen
class Moved:
    """What was carried over; ``done`` is false if all of it had been there already."""

    events: int
    root: bytes
    done: bool = True


def ledger(source: Movable, target: Movable) -> Moved:
    """Carry every event into an empty ledger; doing it again is harmless, a ledger of something else is refused.

    What is recorded in the source meanwhile stays there: let nobody write until they use the new one.
    """
    if source.is_unused():
        msg = "there is nothing to carry over: the ledger named first is empty — check its place"
        raise NotFoundError(msg)
    with source.cargo() as cargo:
        if target.is_unused():
            target.adopt(cargo)
            return Moved(*_proved(source, target, cargo.origin))
    if target.origin == source.origin and _same(source.head(), target.head()):
        return Moved(*_proved(source, target, source.origin), done=False)
    msg = "the target holds something else — name an empty one, such as another schema (?schema=…) or another file"
    raise StorageError(msg)


def _proved(source: Movable, target: Movable, origin: str) -> tuple[int, bytes]:
    """Check what was carried over against where it came from."""
    head = target.head()
    if target.origin != origin or source.root(head.size) != head.root:
        msg = "the ledger that was carried over is not the one it came from — run `muniment fsck` on both"
        raise CorruptError(msg)
    return head.size, head.root


def _same(one: Head, other: Head) -> bool:
    return (one.size, one.root) == (other.size, other.root)
