"""Batched projections in a database: their rows, positions and parked events, the same in SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from attrs import astuple, define, field, frozen

from muniment.adapters.ledger.codec import Codec
from muniment.adapters.ledger.record import Record, recorded, whole
from muniment.adapters.ledger.refolding import NEAR, Fresh, Kinds, MadeRows, ReplacedRows
from muniment.adapters.ledger.verify import check_rows
from muniment.domain.errors import ContradictionError
from muniment.domain.projection import Attempt, Batch, Parked, Projection, Refused
from muniment.domain.rows import Change

T = TypeVar("T")
PARKED = "projection, seq, error, place, parked_at"


class BatchedRows(ReplacedRows, Protocol):
    """How rows are kept."""

    def apply(self, cursor: Any, changes: Sequence[Change], seq: int) -> None: ...  # noqa: ANN401 (opaque)
    def dump(self, cursor: Any, kinds: Kinds = ...) -> Iterator[bytes]: ...  # noqa: ANN401


class Database(Protocol):
    """What differs between databases."""

    def work(self, act: Callable[[Any], T]) -> T:
        """Let *act* change rows through a cursor, in one transaction."""
        ...

    def moment(self) -> AbstractContextManager[Any]:
        """Look at one moment through a cursor, for as long as it takes."""
        ...

    def run(self, cursor: Any, statement: str, *values: object) -> tuple[list[tuple[Any, ...]], int]:  # noqa: ANN401
        """Run a statement with ``?`` for its values; return its rows, and how many it changed."""
        ...

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask what was committed."""
        ...

    def records(self, cursor: Any, after: int, until: int) -> Iterator[Record]:  # noqa: ANN401
        """Read events; without a cursor, those that were committed."""
        ...


@frozen
class SqlProjections:
    """Batched projections in the database of a ledger."""

    database: Database
    codec: Codec
    rows: BatchedRows
    made_rows: MadeRows

    def position(self, name: str) -> int:
        """Return the ``seq`` of the last event that the rows know of (0: none)."""
        return _only(self.database.ask("SELECT position FROM projections WHERE name = ?", name))

    def parked(self, name: str) -> list[Parked]:
        """Return the events that the projection could not fold, in the order of ``seq``."""
        found = self.database.ask(f"SELECT {PARKED} FROM parked WHERE projection = ? ORDER BY seq", name)  # noqa: S608
        return [Parked(*row) for row in found]

    def advance(self, batch: Batch) -> bool:
        """Apply a batch and move the position, if it is where the batch begins."""

        def advance(cursor: object) -> bool:
            self._begin(cursor, batch.projection)
            moved = "UPDATE projections SET position = ? WHERE name = ? AND position = ?"
            _, count = self.database.run(cursor, moved, batch.to, batch.projection, batch.after)
            if not count:
                return False
            for seq, changes in batch.changes:
                self.rows.apply(cursor, changes, seq)
            self._park(cursor, batch.parked)
            return True

        return self.database.work(advance)

    def remake(self, projection: Projection, attempt: Attempt, refused: Refused) -> int:
        """Make the rows again from the first event on, beside those in use, and put them in their place."""
        folding = _Folding(self.codec, attempt, refused)
        with Fresh.begun(self.made_rows, projection.kinds, folding, folding.refuse) as fresh:
            with self.database.moment() as cursor:
                fresh.fold(self.database.records(cursor, 0, self._position(cursor, projection.name)))
                fresh.compare(self.rows, cursor)
            while (position := self.position(projection.name)) - fresh.position > NEAR:
                fresh.fold(self.database.records(None, fresh.position, position), noting=True)

            def take_place(cursor: object) -> None:
                self._begin(cursor, projection.name)
                held = "UPDATE projections SET position = position WHERE name = ?"
                self.database.run(cursor, held, projection.name)
                position = self._position(cursor, projection.name)
                fresh.fold(self.database.records(cursor, fresh.position, position), noting=True)
                fresh.replace(self.rows, cursor)
                self.database.run(cursor, "DELETE FROM parked WHERE projection = ?", projection.name)
                self._park(cursor, folding.parked)

            self.database.work(take_place)
            return fresh.position

    def dump(self, projection: Projection) -> Iterator[bytes]:
        """Yield every row in a canonical form."""
        with self.database.moment() as cursor:
            yield from self.rows.dump(cursor, projection.kinds)

    def verify(self, projection: Projection, attempt: Attempt, refused: Refused) -> Iterator[str]:
        """Compare the rows with a fresh fold up to their position."""
        folding = _Folding(self.codec, attempt, refused)
        with (
            Fresh.begun(self.made_rows, projection.kinds, folding, folding.refuse) as fresh,
            self.database.moment() as cursor,
        ):
            fresh.fold(self.database.records(cursor, 0, self._position(cursor, projection.name)))
            live = self.rows.dump(cursor, projection.kinds)
            yield from check_rows(live, self.made_rows.dump(fresh.made, projection.kinds))

    def _begin(self, cursor: object, name: str) -> None:
        self.database.run(cursor, "INSERT INTO projections VALUES (?, 0) ON CONFLICT DO NOTHING", name)

    def _position(self, cursor: object, name: str) -> int:
        return _only(self.database.run(cursor, "SELECT position FROM projections WHERE name = ?", name)[0])

    def _park(self, cursor: object, parked: Sequence[Parked]) -> None:
        for each in parked:
            statement = f"INSERT INTO parked ({PARKED}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
            self.database.run(cursor, statement, *astuple(each))


@define
class _Folding:
    """Folds stored events, and keeps what cannot be folded."""

    codec: Codec
    attempt: Attempt
    refused: Refused
    parked: list[Parked] = field(factory=list)

    def __call__(self, record: Record) -> Sequence[Change]:
        changes = self.attempt(recorded(whole(record), self.codec))
        if isinstance(changes, Parked):
            self.parked.append(changes)
            return ()
        return changes

    def refuse(self, record: Record, error: ContradictionError) -> None:
        """Park an event whose changes contradict the rows."""
        self.parked.append(self.refused(record.seq, error))


def _only(rows: list[tuple[Any, ...]]) -> int:
    return int(rows[0][0]) if rows else 0
