"""Batched projections: rows that follow the ledger at a distance, as far as their position says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias, TypeVar

from attrs import evolve, frozen

from muniment.domain.ports import Fold, Recorded
from muniment.domain.rows import BATCHED, Change, Row
from muniment.domain.values import Micros

R = TypeVar("R", bound=Row)


@frozen
class Projection:
    """A fold whose rows are kept in batches; which tables are its own, the tables say."""

    name: str
    fold: Fold

    @property
    def kinds(self) -> tuple[type[Row], ...]:
        """The kinds of rows that it keeps."""
        return tuple(kind for kind in BATCHED if kind.table.projection == self.name)


@frozen
class Parked:
    """An event that a projection could not fold: the class of the error and where it was raised, never its text."""

    projection: str
    seq: int
    error: str
    place: str
    parked_at: Micros


@frozen
class Batch:
    """What the events after *after*, up to *to*, come to: changes by the ``seq`` of their event, and what is parked."""

    projection: str
    after: int
    to: int
    changes: tuple[tuple[int, tuple[Change, ...]], ...] = ()
    parked: tuple[Parked, ...] = ()


Attempt: TypeAlias = Callable[[Recorded], Sequence[Change] | Parked]
"""A fold that never fails: it parks what it cannot fold."""
Refused: TypeAlias = Callable[[int, Exception], Parked]
"""Parks the event of this ``seq``, whose changes the rows refused."""


def total(row: R, more: R) -> R:
    """Return the totals of a row and of one that came later."""
    sums = {name: getattr(row, name) + getattr(more, name) for name in row.table.sums}
    return evolve(more, **sums, **{name: getattr(row, name) for name in row.table.keeps})


class Projections(Protocol):
    """The rows of batched projections, each with its position and with the events it could not fold.

    Several processes may use it at once. Rows are read through the views of the ledger.
    """

    def position(self, name: str) -> int:
        """Return the ``seq`` of the last event that the rows know of (0: none)."""
        ...

    def parked(self, name: str) -> list[Parked]:
        """Return the events that the projection could not fold, in the order of ``seq``."""
        ...

    def advance(self, batch: Batch) -> bool:
        """Apply a batch and move the position, all in one transaction, so that nothing is applied twice.

        False, and nothing was done, if the position is not *after*: somebody else was faster. Changes that the rows
        refuse are ContradictionError, and nothing was done.
        """
        ...

    def remake(self, projection: Projection, attempt: Attempt, refused: Refused) -> int:
        """Make the rows again from the first event on, and park anew; return how many events were folded.

        Everybody goes on with the old rows until the new ones take their place in one short transaction.
        """
        ...

    def dump(self, projection: Projection) -> Iterator[bytes]:
        """Yield every row in a canonical form."""
        ...

    def verify(self, projection: Projection, attempt: Attempt, refused: Refused) -> Iterator[str]:
        """Yield a line for each difference between the rows and a fresh fold up to their position."""
        ...
