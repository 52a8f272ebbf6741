"""Carrying a ledger between SQLite and PostgreSQL: the same events, leaves, answers and rows, or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from muniment.adapters.vault.postgres import PostgresVault
from muniment.adapters.vault.sqlite import SqliteVault
from muniment.app import migrate
from muniment.app.migrate import Movable
from muniment.domain.errors import CorruptError, NotFoundError, StorageError
from muniment.domain.ports import Ledger, Outcome, SlotDraft
from muniment.domain.project import ProjectRenamed
from muniment.domain.values import SlotId
from tests.acts import story
from tests.conformance.ledger_acts import Counted, Dial, P, append, command, created
from tests.servers.postgres import postgres_ledger, running
from tests.stores import Clock, sqlite_ledger, store_on

Open = Callable[[], Movable]
KINDS = ["sqlite", "postgres"]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Return how to make an empty ledger of a kind."""
    opened: list[Ledger] = []

    def make(kind: str) -> Any:
        clock = Clock()
        number = len(opened)
        ledger: Any = (
            postgres_ledger(running().url(), clock)
            if kind == "postgres"
            else sqlite_ledger(tmp_path / f"ledger-{number}.sqlite3", clock)
        )
        opened.append(ledger)
        return ledger

    yield make
    for ledger in opened:
        ledger.close()


def stored(ledger: Movable) -> list[Any]:
    """Return every stored byte: events with blinds and envelopes, leaves, answers, scratch rows."""
    with ledger.cargo() as cargo:
        return [
            cargo.origin,
            cargo.tip.recorded_at,
            list(cargo.events()),
            sorted(cargo.commands()),
            sorted(cargo.scratch()),
        ]


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_everything_arrives_as_it_was(make: Callable[[str], Any], tmp_path: Path, source: str, target: str) -> None:
    one, other = make(source), make(target)
    story(store_on(one, tmp_path, one.core.clock))
    one.work(lambda transaction: transaction.scratch.put("note", "k", [1], expires_at=2**60))
    wanted, decide = command(), Counted(Outcome((), "kept answer"))
    one.transact(wanted, decide)
    moved = migrate.ledger(one, other)
    assert (moved.events, moved.root, moved.done) == (one.head().size, one.head().root, True)
    assert other.head() == one.head()
    assert stored(other) == stored(one)
    assert list(other.read()) == list(one.read())
    assert list(other.dump()) == list(one.dump())
    assert list(other.verify()) == []
    assert other.transact(wanted, decide).replayed
    assert decide.calls == 1


def test_there_and_back_again_is_the_same_and_goes_on(make: Callable[[str], Any], tmp_path: Path) -> None:
    first, middle, last = make("sqlite"), make("postgres"), make("sqlite")
    story(store_on(first, tmp_path, first.core.clock))
    migrate.ledger(first, middle)
    append(middle, P, created("meanwhile"))
    migrate.ledger(middle, last)
    assert stored(last) == stored(middle)
    append(last, P, ProjectRenamed("later"), expected=1)
    assert last.head().size == first.head().size + 2
    assert list(last.verify()) == []
    assert last.rebuild() == last.head().size


@pytest.mark.parametrize("kind", KINDS)
def test_doing_it_again_is_harmless_and_something_else_is_refused(make: Callable[[str], Any], kind: str) -> None:
    one, other = make("sqlite"), make(kind)
    append(one, P, created("p"))
    assert migrate.ledger(one, other).done
    assert not migrate.ledger(one, other).done
    append(other, P, ProjectRenamed("q"), expected=1)
    before = stored(other)
    with pytest.raises(StorageError, match="holds something else"):
        migrate.ledger(one, other)
    strange = make("sqlite")
    append(strange, P, created("p"))
    with pytest.raises(StorageError, match="holds something else"):
        migrate.ledger(strange, other)
    assert stored(other) == before


def test_an_empty_ledger_is_not_carried_anywhere(make: Callable[[str], Any]) -> None:
    with pytest.raises(NotFoundError, match="named first is empty"):
        migrate.ledger(make("sqlite"), make("postgres"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("UPDATE events SET actor = 'eve' WHERE rowid = 2", "event 2 does not match its leaf"),
        ("DELETE FROM events WHERE rowid = 2", "event 2 does not match its leaf"),
        ("DELETE FROM events WHERE rowid = 3", "event 3 does not match its leaf"),
        ("DELETE FROM leaves WHERE seq = 3", "event 3 does not match its leaf"),
        ("UPDATE head SET size = 1, frontier = (SELECT hash FROM leaves WHERE seq = 1)", "its head is not that"),
        ("UPDATE projects SET name = 'x' WHERE to_seq IS NULL", "table projects"),
    ],
)
def test_a_damaged_ledger_leaves_nothing_in_the_target(
    make: Callable[[str], Any], kind: str, damage: str, fault: str
) -> None:
    one, other = make("sqlite"), make(kind)
    append(one, P, created("p"))
    append(one, P, ProjectRenamed("q"), ProjectRenamed("r"), expected=1)
    with closing(sqlite3.connect(one.path)) as connection, connection:
        connection.execute(damage)
    with pytest.raises(CorruptError, match=fault):
        migrate.ledger(one, other)
    assert other.is_unused()
    assert other.origin != one.origin
    append(other, P, created("its own"))
    assert list(other.verify()) == []


def test_a_lost_connection_begins_again(make: Callable[[str], Any]) -> None:
    one, other = make("sqlite"), make("postgres")
    dial = Dial()
    for position in range(3):
        dial.now += 1
        append(one, P, ProjectRenamed(f"p{position}") if position else created("p"), expected=position)
    fill, calls = other.rows.fill, []

    class Losing:
        """The rows, but the first time they are written the server ends the session."""

        def __getattr__(self, name: str) -> Any:
            return getattr(rows, name)

        def fill(self, cursor: Any, made: Any) -> None:
            calls.append(1)
            if len(calls) == 1:
                running().sql(f"SELECT pg_terminate_backend({cursor.connection.info.backend_pid}, 10000)")
            fill(cursor, made)

    rows, other.rows = other.rows, Losing()
    assert migrate.ledger(one, other).events == 3
    assert len(calls) == 2
    assert stored(other) == stored(one)


# --- the vault -------------------------------------------------------------------------------------------------------

ORIGIN = "5eed" * 8


@pytest.fixture
def make_vault(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Return how to make an empty vault of a kind; all of them have one master key."""
    opened: list[Any] = []

    def make(kind: str) -> Any:
        key = tmp_path / "master.key"
        vault: Any = (
            PostgresVault.at(running().url(), key, ORIGIN)
            if kind == "postgres"
            else SqliteVault.at(tmp_path / f"vault-{len(opened)}", key, ORIGIN)
        )
        opened.append(vault)
        return vault

    yield make
    for vault in opened:
        vault.close()


def filled(vault: Any) -> dict[SlotId, Any]:
    """Put more than a page into a vault, and destroy some of it."""
    kept = vault.put_many([SlotDraft(f"{number % 3:032x}", "a\0field", [number, "é"]) for number in range(700)])
    vault.remember("login", "ada", "0a" * 16)
    vault.remember("login", "bob", f"{1:032x}")
    vault.destroy(f"{1:032x}")
    found: dict[SlotId, Any] = vault.get_many([personal.slot for personal in kept])
    assert len(found) == 467
    return found


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_a_vault_arrives_sealed_as_it_was(make_vault: Callable[[str], Any], source: str, target: str) -> None:
    one, other = make_vault(source), make_vault(target)
    values = filled(one)
    assert migrate.vault(one, other) == migrate.MovedVault(467)
    assert list(other.slots()) == list(one.slots())
    assert other.get_many(values) == values
    assert (other.find("login", "ada"), other.find("login", "bob")) == ("0a" * 16, None)
    assert migrate.vault(one, other) == migrate.MovedVault(467, done=False)
    other.put_many([SlotDraft("0d" * 16, "note", "later")])
    with pytest.raises(StorageError, match="holds something else"):
        migrate.vault(one, other)


def test_a_vault_of_another_master_key_is_not_taken_over(make_vault: Callable[[str], Any], tmp_path: Path) -> None:
    one = SqliteVault.at(tmp_path / "strange", tmp_path / "strange" / "master.key", ORIGIN)
    filled(one)
    other = make_vault("postgres")
    with pytest.raises(CorruptError, match="data key"):
        migrate.vault(one, other)
    assert other.is_unused()
    one.close()
