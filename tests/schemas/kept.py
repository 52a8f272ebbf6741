"""Ledgers as older versions of Muniment left them, from the files beside this one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from psycopg import sql

from muniment.adapters.ledger import schema
from muniment.adapters.postgres import Address
from tests.schemas.make import FOLDER


@frozen
class Kept:
    """A ledger with the tables of this number: the statements that made them, and their rows."""

    number: int
    sqlite: list[str]
    postgres: list[str]
    rows: dict[str, list[list[Any]]]

    @classmethod
    def of(cls, number: int) -> Kept:
        found = json.loads(FOLDER.joinpath(f"{number}.json").read_text(encoding="utf-8"))
        rows = {table: [list(map(_read, row)) for row in rows] for table, rows in found.pop("rows").items()}
        return cls(**found, rows=rows)

    def in_file(self, path: Path) -> None:
        """Make the ledger in a SQLite file."""
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            for statement in self.sqlite:
                connection.execute(statement)
            for table, rows in self.rows.items():
                for row in rows:
                    connection.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', row)  # noqa: S608
            connection.execute(f"PRAGMA user_version = {self.number}")

    def at_url(self, url: str) -> None:
        """Make the ledger in a PostgreSQL schema."""
        address = Address.parse(url, "unused")
        with closing(address.connect()) as connection:
            connection.execute(f'CREATE SCHEMA "{address.schema}"'.encode())
            for statement in self.postgres:
                connection.execute(statement.encode())
            for table, rows in self.rows.items():
                for row in rows:
                    name, cells = (table, row) if table != "head" else ("ledger_head", [row[0], self.number, *row[1:]])
                    values = sql.SQL(", ").join(sql.Placeholder() * len(cells))
                    connection.execute(
                        sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(name), values), cells
                    )


def _read(cell: Any) -> Any:
    return bytes.fromhex(cell["hex"]) if isinstance(cell, dict) else cell


OLD: Final = range(1, schema.newest())
"""The numbers of which there must be a file."""
