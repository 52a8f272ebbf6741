"""Rows made again beside those in use, which go on being read and written; then the ones that differ are replaced.

The new rows are folded in a passing database, up to a moment, and compared with the rows of that moment. What has
happened since is folded too, noting the rows it touches. Under the write lock the last few events follow, and the
rows that differed or were touched are replaced: as a rule none or few, so that this takes no time. Whoever is killed
before leaves nothing behind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, Protocol, Self, TypeAlias

from attrs import define, field

from muniment.adapters.ledger.cargo import left
from muniment.adapters.ledger.record import Record
from muniment.domain.errors import ContradictionError
from muniment.domain.rows import Cell, Change, Row, key_of, kind_of

Kinds: TypeAlias = Sequence[type[Row]]
Keys: TypeAlias = Mapping[type[Row], Collection[tuple[Cell, ...]]]

SINGLY: Final = 20_000
"""How many rows of a table are replaced one by one; where more differ, all of the table are."""
NEAR: Final = 1_000
"""How many events may be left for the time under the write lock."""


class MadeRows(Protocol):
    """How rows are made in a passing SQLite database, where folding many events takes no round trips."""

    def create(self, cursor: Any, kinds: Kinds = ...) -> None: ...  # noqa: ANN401 (opaque)
    def apply(self, cursor: Any, changes: Sequence[Change], seq: int) -> None: ...  # noqa: ANN401
    def dump(self, cursor: Any, kinds: Kinds = ...) -> Iterator[bytes]: ...  # noqa: ANN401


class ReplacedRows(Protocol):
    """How rows in use are compared with those of a passing database, and replaced."""

    def differing(self, cursor: Any, made: Any, kind: type[Row]) -> Iterator[tuple[Cell, ...]]: ...  # noqa: ANN401
    def replace(self, cursor: Any, made: Any, keys: Keys) -> None: ...  # noqa: ANN401
    def refill(self, cursor: Any, made: Any, kinds: Kinds) -> None: ...  # noqa: ANN401


@define
class Fresh:
    """Rows of some kinds, made again up to a position, and the keys under which rows in use may differ from them.

    Where changes contradict the rows, *refused* is told and they are left out; without it that is an error.
    """

    made: sqlite3.Cursor
    rows: MadeRows
    kinds: Kinds
    changes_of: Callable[[Record], Sequence[Change]]
    refused: Callable[[Record, ContradictionError], None] | None = None
    position: int = 0
    _keys: dict[type[Row], set[tuple[Cell, ...]]] = field(factory=dict)

    @classmethod
    @contextmanager
    def begun(
        cls,
        rows: MadeRows,
        kinds: Kinds,
        changes_of: Callable[[Record], Sequence[Change]],
        refused: Callable[[Record, ContradictionError], None] | None = None,
    ) -> Iterator[Self]:
        """Begin with nothing, in a passing database; whoever leads a batch of commits may use it."""
        with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as passing:
            made = passing.cursor()
            rows.create(made, kinds)
            made.execute("BEGIN")
            yield cls(made, rows, kinds, changes_of, refused)

    def fold(self, records: Iterable[Record], *, noting: bool = False) -> None:
        """Follow events; from when the rows in use were compared on, noting what they touch."""
        for record in records:
            changes = self.changes_of(record)
            if changes:
                self._apply(record, changes)
            self.position = record.seq
            if noting:
                for change in changes:
                    self._note(kind_of(change), key_of(change))

    def compare(self, rows: ReplacedRows, cursor: object) -> None:
        """Note where the rows in use, as of the same position, differ."""
        for kind in self.kinds:
            with left(rows.differing(cursor, self.made, kind)) as keys:
                for key in keys:
                    self._note(kind, key)

    def replace(self, rows: ReplacedRows, cursor: object) -> None:
        """Make the rows in use these ones, wherever they may differ."""
        whole = [kind for kind, keys in self._keys.items() if len(keys) > SINGLY]
        rows.refill(cursor, self.made, whole)
        rows.replace(cursor, self.made, {kind: keys for kind, keys in self._keys.items() if kind not in whole})

    def _apply(self, record: Record, changes: Sequence[Change]) -> None:
        if self.refused is None:
            self.rows.apply(self.made, changes, record.seq)
            return
        self.made.execute("SAVEPOINT event")
        try:
            self.rows.apply(self.made, changes, record.seq)
        except ContradictionError as error:
            self.made.execute("ROLLBACK TO event")
            self.refused(record, error)
        self.made.execute("RELEASE event")

    def _note(self, kind: type[Row], key: tuple[Cell, ...]) -> None:
        keys = self._keys.setdefault(kind, set())
        if len(keys) <= SINGLY:
            keys.add(key)
