"""Events and leaves of a ledger in a database, read in pages to be checked."""

# ruff: noqa: S608 - the SQL is made of our own names; every value is a parameter

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import starmap
from typing import Final, TypeAlias

from attrs import frozen

from muniment.adapters.ledger.lean import PAGE, Clean, Leaf, Row, look
from muniment.adapters.ledger.record import Record
from muniment.adapters.ledger.recorder import ORDER

FIRST: Final = -(2**63)
LAST: Final = 2**63 - 1
"""What a ``seq`` may be, as far as databases know."""

Ask: TypeAlias = Callable[[str, tuple[int, ...]], list[Row]]


@frozen
class Pages:
    """The pages of a ledger; ``ask`` reads, ``errors`` are what it raises, the rest says how the database writes it."""

    ask: Ask
    errors: type[Exception]
    columns: str
    seq: str
    sign: str

    def look(self, after: int, until: int) -> Clean | None:
        """Return what the events after one, up to another, add to the tree; ``None`` if not all is as it should be."""
        try:
            return look(after, self._events(after + 1, until), self._leaves(after + 1, until))
        except self.errors:
            return None  # who looks again, event by event, comes to the same error and names it

    def records(self, first: int, last: int) -> Iterator[Record]:
        """Read the events from one up to and with another, or the last there is."""
        while page := self._events(first, last):
            yield from starmap(Record, page)
            if page[-1][0] == last:
                return
            first = page[-1][0] + 1

    def leaves(self, first: int, last: int) -> Iterator[Leaf]:
        """Read the leaves from one up to and with another, or the last there is."""
        while page := self._leaves(first, last):
            yield from page
            if page[-1][0] == last:
                return
            first = page[-1][0] + 1

    def _events(self, first: int, last: int) -> list[Row]:
        return self._page(f"SELECT {self.columns} FROM events", self.seq, first, last)

    def _leaves(self, first: int, last: int) -> list[Leaf]:
        return self._page("SELECT seq, hash FROM leaves", "seq", first, last)

    def _page(self, what: str, seq: str, first: int, last: int) -> list[Row]:
        span = f"WHERE {seq} >= {self.sign} AND {seq} <= {self.sign} ORDER BY {seq} LIMIT {PAGE}"
        return self.ask(f"{what} {span}", (first, last))


def in_sqlite(cursor: sqlite3.Cursor) -> Pages:
    """Return the pages of a ledger in SQLite."""

    def ask(statement: str, parameters: tuple[int, ...]) -> list[Row]:
        return cursor.execute(statement, parameters).fetchall()

    return Pages(ask, sqlite3.Error, ORDER, "rowid", "?")
