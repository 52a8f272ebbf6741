"""How batched projections reach a ledger in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from attrs import frozen

from muniment.adapters.ledger.core import guarded
from muniment.adapters.ledger.record import Record
from muniment.adapters.ledger.sqlite_desk import SqliteDesk, records
from muniment.adapters.ledger.sqlite_errors import storage_errors

S = TypeVar("S")


@frozen
class SqliteProjected:
    """The file of the ledger: who hands in work to it, who reads it now, and who looks at one moment of it."""

    submit: Callable[[Callable[[SqliteDesk], Any]], Any]
    reading: Callable[[], sqlite3.Cursor]
    apart: Callable[[], AbstractContextManager[sqlite3.Cursor]]

    def work(self, act: Callable[[sqlite3.Cursor], S]) -> S:
        """Let *act* change rows inside a savepoint of the write transaction."""
        done: S = self.submit(lambda desk: guarded(desk, lambda: act(desk.cursor)))
        return done

    @contextmanager
    def moment(self) -> Iterator[sqlite3.Cursor]:
        """Look at one moment."""
        with storage_errors(), self.apart() as cursor:
            cursor.execute("BEGIN")
            yield cursor

    def run(self, cursor: sqlite3.Cursor, statement: str, *values: object) -> tuple[list[tuple[Any, ...]], int]:
        """Run a statement; return its rows, and how many it changed."""
        rows = cursor.execute(statement, values).fetchall()
        return rows, cursor.rowcount

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask what was committed."""
        with storage_errors():
            return self.reading().execute(statement, values).fetchall()

    def records(self, cursor: sqlite3.Cursor | None, after: int, until: int) -> Iterator[Record]:
        """Read events."""
        with storage_errors():
            yield from records(cursor or self.reading(), after, until)
