"""Batched projections in memory: the reference for those in databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from attrs import define, field, frozen

from muniment.adapters.ledger.core import Core
from muniment.adapters.ledger.record import Record, recorded
from muniment.adapters.ledger.verify import check_rows
from muniment.domain.errors import ContradictionError
from muniment.domain.projection import Attempt, Batch, Parked, Projection, Refused
from muniment.domain.rows import Change, Row


class Rows(Protocol):
    """Rows in memory, which can go back to a mark."""

    def apply(self, changes: Sequence[Change], seq: int) -> None: ...
    def adopt(self, other: Any, kinds: Sequence[type[Row]]) -> None: ...  # noqa: ANN401 (of the same class)
    def dump(self, kinds: Sequence[type[Row]] = ...) -> Iterator[bytes]: ...
    def checkpoint(self) -> Any: ...  # noqa: ANN401 (opaque)
    def restore(self, mark: Any) -> None: ...  # noqa: ANN401
    def settle(self) -> None: ...


class Held(Protocol):
    """A ledger in memory."""

    core: Core
    records: list[Record]

    @property
    def rows(self) -> Rows: ...
    @property
    def make_rows(self) -> Callable[[], Rows]: ...
    @property
    def lock(self) -> threading.RLock: ...


@define
class Behind:
    """How far projections are, and what they parked."""

    positions: dict[str, int] = field(factory=dict)
    parked: dict[str, tuple[Parked, ...]] = field(factory=dict)


@frozen
class MemoryProjections:
    """Batched projections of a ledger in memory."""

    ledger: Held
    behind: Behind

    def position(self, name: str) -> int:
        """Return the ``seq`` of the last event that the rows know of (0: none)."""
        return self.behind.positions.get(name, 0)

    def parked(self, name: str) -> list[Parked]:
        """Return the events that the projection could not fold, in the order of ``seq``."""
        return sorted(self.behind.parked.get(name, ()), key=lambda each: each.seq)

    def advance(self, batch: Batch) -> bool:
        """Apply a batch and move the position, if it is where the batch begins."""
        rows, name = self.ledger.rows, batch.projection
        with self.ledger.lock:
            if self.position(name) != batch.after:
                return False
            mark = rows.checkpoint()
            try:
                for seq, changes in batch.changes:
                    rows.apply(changes, seq)
            except BaseException:
                rows.restore(mark)
                raise
            rows.settle()
            self.behind.parked[name] = (*self.behind.parked.get(name, ()), *batch.parked)
            self.behind.positions[name] = batch.to
            return True

    def remake(self, projection: Projection, attempt: Attempt, refused: Refused) -> int:
        """Make the rows again from the first event on, beside those in use, and put them in their place."""
        with self.ledger.lock:
            position = self.position(projection.name)
            rows, parked = self._made(attempt, refused, position)
            self.ledger.rows.adopt(rows, projection.kinds)
            self.behind.parked[projection.name] = parked
            return position

    def dump(self, projection: Projection) -> Iterator[bytes]:
        """Yield every row in a canonical form."""
        yield from self.ledger.rows.dump(projection.kinds)

    def verify(self, projection: Projection, attempt: Attempt, refused: Refused) -> Iterator[str]:
        """Compare the rows with a fresh fold up to their position."""
        with self.ledger.lock:
            rows, _ = self._made(attempt, refused, self.position(projection.name))
            faults = list(check_rows(self.dump(projection), rows.dump(projection.kinds)))
        yield from faults

    def _made(self, attempt: Attempt, refused: Refused, position: int) -> tuple[Rows, tuple[Parked, ...]]:
        rows = self.ledger.make_rows()
        parked: list[Parked] = []
        for record in self.ledger.records[:position]:
            changes = attempt(recorded(record, self.ledger.core.codec))
            if isinstance(changes, Parked):
                parked.append(changes)
                continue
            try:
                rows.apply(changes, record.seq)
            except ContradictionError as error:
                rows.restore(0)
                parked.append(refused(record.seq, error))
            rows.settle()
        return rows, tuple(parked)
