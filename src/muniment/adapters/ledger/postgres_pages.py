"""Pages of a ledger in PostgreSQL."""

from __future__ import annotations

import psycopg

from muniment.adapters.ledger.lean import Row
from muniment.adapters.ledger.pages import Pages
from muniment.adapters.ledger.postgres_schema import ORDER
from muniment.adapters.postgres import Cursor


def in_postgres(cursor: Cursor) -> Pages:
    """Return the pages of a ledger in PostgreSQL; an error leaves an open transaction as it was."""

    def ask(statement: str, parameters: tuple[int, ...]) -> list[Row]:
        with cursor.connection.transaction():
            return cursor.execute(statement.encode(), parameters).fetchall()

    return Pages(ask, psycopg.Error, ORDER, "seq", "%s")
