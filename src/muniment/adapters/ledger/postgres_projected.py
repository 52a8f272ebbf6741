"""How batched projections reach a ledger in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from attrs import frozen

from muniment.adapters.ledger import schema
from muniment.adapters.ledger.postgres_desk import Ask, records
from muniment.adapters.ledger.record import Record
from muniment.adapters.postgres import Connection, Connections, Cursor, may_go_better

S = TypeVar("S")


@frozen
class PostgresProjected:
    """The database of the ledger; who changes rows of a projection holds its position, and nobody who writes waits."""

    connections: Connections
    moment: Callable[[], AbstractContextManager[Cursor]]
    asking: Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]

    def work(self, act: Callable[[Cursor], S]) -> S:
        """Let *act* change rows in one transaction; done twice, the position shows that it was done before."""

        def work(connection: Connection) -> S:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                schema.require_known(cursor.execute("SELECT version FROM ledger_head").fetchall()[0][0])
                return act(cursor)

        return self.connections.repeat(work, may_go_better)

    def run(self, cursor: Cursor, statement: str, *values: object) -> tuple[list[tuple[Any, ...]], int]:
        """Run a statement; return its rows, and how many it changed."""
        cursor.execute(statement.replace("?", "%s").encode(), values)
        return cursor.fetchall() if cursor.description else [], cursor.rowcount

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask what was committed."""
        return self.asking(statement.replace("?", "%s"), values)

    def records(self, cursor: Cursor | None, after: int, until: int) -> Iterator[Record]:
        """Read events."""
        return records(_through(cursor) if cursor else self.asking, after, until)


def _through(cursor: Cursor) -> Ask:
    return lambda statement, parameters: cursor.execute(statement.encode(), parameters).fetchall()
