"""Tiles come along: to older ledgers that had none, through a copy of the file, and to another database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from muniment.adapters.ledger import schema
from muniment.adapters.ledger.postgres import PostgresLedger
from muniment.adapters.ledger.sqlite import SqliteLedger
from muniment.adapters.postgres import Address
from muniment.app import migrate
from muniment.domain.proof import Tree
from tests.conformance.ledger_acts import Dial, P, append, version
from tests.servers.postgres import postgres_ledger, running
from tests.stores import sqlite_ledger

EVENTS = 600
BEFORE = next(number for number, step in enumerate(schema.STEPS, 1) if step.tiles)
"""The number of the tables before there were tiles."""


def filled(ledger: SqliteLedger | PostgresLedger) -> bytes:
    append(ledger, P, *(version() for _ in range(EVENTS)))
    return ledger.head().root


def sound(ledger: SqliteLedger | PostgresLedger, root: bytes) -> None:
    assert list(ledger.verify()) == []
    assert len(ledger.subtrees(1, 0, 9)) == EVENTS // 256
    assert Tree(EVENTS, ledger.subtrees).root() == ledger.head().root == root
    append(ledger, P, *(version() for _ in range(200)), expected=EVENTS)
    assert len(ledger.subtrees(1, 0, 9)) == 3
    assert list(ledger.verify()) == []


def test_an_older_ledger_in_sqlite_gets_its_tiles(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite_ledger(path, Dial())) as ledger:
        root = filled(ledger)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        undo = [f"DROP TABLE {name}" for name in later(schema.STEPS[BEFORE - 1 :])]
        for statement in (*undo, f"PRAGMA user_version = {BEFORE}"):
            connection.execute(statement)
    with closing(sqlite_ledger(path, Dial())) as ledger:
        sound(ledger, root)


def test_an_older_ledger_in_postgresql_gets_its_tiles() -> None:
    url = running().url()
    with closing(postgres_ledger(url, Dial())) as ledger:
        root = filled(ledger)
    with closing(Address.parse(url, "unused").connect()) as connection:
        for name in later(schema.STEPS[BEFORE - 1 :]):
            connection.execute(f"DROP TABLE {name}".encode())
        connection.execute("UPDATE ledger_head SET version = %s", (BEFORE,))
    with closing(postgres_ledger(url, Dial())) as ledger:
        sound(ledger, root)


def later(steps: tuple[schema.Step, ...]) -> list[str]:
    """Return the tables that steps make."""
    made = [statement.split("(")[0].split() for step in steps for statement in step.sqlite]
    return [words[2] for words in made if words[:2] == ["CREATE", "TABLE"]]


def test_a19_a_ledger_that_was_vacuumed_or_dumped_and_loaded_is_the_same(tmp_path: Path) -> None:
    path, loaded = tmp_path / "ledger.sqlite3", tmp_path / "loaded.sqlite3"
    with closing(sqlite_ledger(path, Dial())) as ledger:
        root = filled(ledger)
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(loaded)) as copy:
        copy.executescript("\n".join(connection.iterdump()))
        copy.execute("PRAGMA journal_mode = WAL")
        copy.execute(f"PRAGMA user_version = {schema.newest()}")
        connection.execute("VACUUM")
    for each in (path, loaded):
        with closing(sqlite_ledger(each, Dial())) as ledger:
            sound(ledger, root)


@pytest.mark.parametrize("back", [False, True], ids=["to-postgresql", "and-back"])
def test_a19_a_ledger_that_was_carried_to_another_database_is_the_same(tmp_path: Path, back: bool) -> None:  # noqa: FBT001
    with (
        closing(sqlite_ledger(tmp_path / "a.sqlite3", Dial())) as first,
        closing(postgres_ledger(running().url(), Dial())) as second,
        closing(sqlite_ledger(tmp_path / "b.sqlite3", Dial())) as third,
    ):
        root = filled(first)
        migrate.ledger(first, second)
        if back:
            migrate.ledger(second, third)
        sound(third if back else second, root)
