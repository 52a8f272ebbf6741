"""The part of the ledger that lets one at a time delete blobs, on whichever machine."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol


class Turn(Protocol):
    """The turn to delete, for as long as a ``with`` statement lasts.

    What that is given is called before anything is concluded from what was deleted: StorageError if somebody else may
    have had a turn meanwhile.
    """

    def __enter__(self) -> Callable[[], None]:
        """Wait for it."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None:
        """Leave it to the next."""
        ...


class Turns(Protocol):
    """Who may delete blobs, of all who share a ledger."""

    def alone(self) -> Turn:
        """Be the only one who deletes blobs, of all who share this ledger, on whichever machine; others wait.

        Whoever ends, however that is, leaves it to the next. Nothing is transacted any less meanwhile.
        """
        ...

    def deleting(self) -> bool:
        """Whether somebody has the turn to delete at this moment."""
        ...
