"""Ledgers with the tables of older versions: opened, they have those of today, and nothing of them is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from muniment.adapters.ledger import schema, sqlite_file
from muniment.adapters.ledger.codec import UPCASTS, WIRE_NAMES, Codec, Upcast
from muniment.adapters.ledger.postgres import PostgresLedger
from muniment.adapters.ledger.schema import Step, newest
from muniment.adapters.ledger.sqlite import SqliteLedger
from muniment.adapters.postgres import Address
from muniment.adapters.views import postgres as postgres_rows
from muniment.adapters.views import sqlite as sqlite_rows
from muniment.app.projections import FOLDS
from muniment.domain.errors import StorageError
from muniment.domain.merkle import tree_root
from muniment.domain.ports import Fold, Recorded
from muniment.domain.project import ProjectRenamed
from muniment.domain.rows import Change, LastUseRow, VersionRow
from tests.conformance.ledger_acts import Dial, P, append, created
from tests.conformance.projections import batch
from tests.schemas.kept import OLD, Kept
from tests.servers.postgres import postgres_ledger, running
from tests.stores import sqlite_ledger

AnyLedger: TypeAlias = SqliteLedger | PostgresLedger
Open: TypeAlias = Callable[..., AnyLedger]


class Place:
    """Where a ledger is: in a file, or in PostgreSQL."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.url = "" if path else running().url()

    def keep(self, kept: Kept) -> None:
        if self.path:
            kept.in_file(self.path)
        else:
            kept.at_url(self.url)

    def open(self, folds: Sequence[Fold] = FOLDS) -> AnyLedger:
        if self.path:
            return sqlite_ledger(self.path, Dial(), folds)
        return postgres_ledger(self.url, Dial(), folds)

    def coded(self, codec: Codec) -> AnyLedger:
        """Open the ledger as a Muniment that writes and reads these forms of events does."""
        if self.path:
            return SqliteLedger.in_file(self.path, sqlite_rows, sqlite_rows.SqliteViews, FOLDS, Dial(), codec)
        views = postgres_rows.PostgresViews
        return PostgresLedger.at_url(self.url, postgres_rows, sqlite_rows, views, FOLDS, Dial(), codec)

    def ask(self, in_sqlite: str, in_postgres: str) -> list[tuple[Any, ...]]:
        if self.path:
            with closing(sqlite3.connect(self.path)) as connection:
                return connection.execute(in_sqlite).fetchall()
        with closing(Address.parse(self.url, "unused").connect()) as connection:
            return connection.execute(in_postgres.encode()).fetchall()

    def number(self) -> int:
        ((number,),) = self.ask("PRAGMA user_version", "SELECT version FROM ledger_head")
        return int(number)

    def tables(self) -> list[tuple[Any, ...]]:
        """Return what tables, columns and indexes there are."""
        return self.ask(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name",
            "SELECT table_name, column_name, data_type, is_nullable, collation_name FROM information_schema.columns "
            "WHERE table_schema = current_schema() "
            "UNION ALL SELECT tablename, indexname, replace(indexdef, current_schema(), ''), '', '' FROM pg_indexes "
            "WHERE schemaname = current_schema() ORDER BY 1, 2, 3",
        )


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path / "ledger.sqlite3" if request.param == "sqlite" else None)


@pytest.fixture
def fresh(place: Place, tmp_path: Path) -> Place:
    """Return a place of the same kind with a ledger that was just made."""
    other = Place(tmp_path / "fresh.sqlite3" if place.path else None)
    other.open().close()
    return other


@pytest.mark.parametrize("number", OLD)
def test_an_older_ledger_is_brought_up_to_date_and_keeps_what_it_held(place: Place, fresh: Place, number: int) -> None:
    kept = Kept.of(number)
    place.keep(kept)
    with closing(place.open()) as ledger:
        assert ledger.origin == kept.rows["head"][0][1]
        assert ledger.head().size == kept.rows["head"][0][2] == len(list(ledger.read()))
        assert list(ledger.verify()) == []
        append(ledger, P, created("p"))
    assert place.number() == newest()
    assert place.tables() == fresh.tables()


@pytest.mark.parametrize("number", OLD)
def test_a16_a_step_leaves_every_leaf_and_the_root_as_they_were(place: Place, number: int) -> None:
    kept = Kept.of(number)
    leaves = [(seq, hash_) for seq, hash_ in kept.rows["leaves"]]
    signed = tree_root(hash_ for _, hash_ in leaves)
    place.keep(kept)
    with closing(place.open()) as ledger:
        assert list(ledger.subtrees(0, 0, len(leaves))) == [hash_ for _, hash_ in leaves]
        assert ledger.rebuild() == len(leaves)
        append(ledger, P, created("p"))
        assert ledger.root(len(leaves)) == signed
    found = "SELECT seq, hash FROM leaves WHERE seq <= 30 ORDER BY seq"
    assert place.ask(found, found) == leaves


def test_a16_an_event_that_is_read_in_a_newer_form_keeps_its_bytes_and_its_leaf(place: Place) -> None:
    former, name = "project.renamed.0", "project.renamed.1"
    before = Codec({**{key: kind for key, kind in WIRE_NAMES.items() if key != name}, former: ProjectRenamed})
    after = Codec(upcasts={**UPCASTS, former: Upcast(name, lambda fields: {**fields, "name": "newer"})})
    with closing(place.coded(before)) as ledger:
        append(ledger, P, created("p"), ProjectRenamed("older"))
        leaves, root = list(ledger.subtrees(0, 0, 2)), ledger.head().root
    with closing(place.coded(after)) as ledger:
        ledger.rebuild()
        assert [each.event for each in ledger.read(after=1)] == [ProjectRenamed("newer")]
        append(ledger, P, ProjectRenamed("other"), expected=2)
        assert (list(ledger.subtrees(0, 0, 2)), ledger.root(2)) == (leaves, root)
        assert list(ledger.verify()) == []
    kept = "SELECT topic FROM events ORDER BY originator_version"
    assert place.ask(kept, kept) == [("project.created.1",), (former,), (name,)]


def test_a_batched_projection_that_is_new_begins_with_the_first_event(place: Place) -> None:
    place.keep(Kept.of(1))
    with closing(place.open()) as ledger:
        assert ledger.projections.position("usage") == 0
        assert ledger.projections.advance(batch(ledger, 0, ledger.head().size))
        (row,) = ledger.views.select(LastUseRow, order="last_used_at")
        assert row.count == 3


def step(*statements: str, rows: tuple[str, ...] = ()) -> tuple[Step, ...]:
    return (*schema.STEPS, Step("a test", statements, statements, rows))


def test_a_newer_ledger_is_refused_even_by_who_had_it_open(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = place.open()
    append(before, P, created("p"))
    monkeypatch.setattr(schema, "STEPS", step("CREATE TABLE added (n bigint)", "INSERT INTO added VALUES (7)"))
    after = place.open()
    assert (after.origin, after.head()) == (before.origin, before.head())
    after.close()
    assert place.ask("SELECT n FROM added", "SELECT n FROM added") == [(7,)]
    monkeypatch.undo()
    refused = f"has schema {newest() + 1}, this Muniment knows {newest()} — upgrade Muniment"
    with pytest.raises(StorageError, match=refused):
        place.open()
    assert before.views.count(VersionRow, state="committed", order="created_at") == 0
    with pytest.raises(StorageError, match=refused):
        append(before, P, created("q"), expected=1)
    assert before.head().size == 1
    before.close()


@pytest.fixture
def aged(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[AnyLedger]:
    """Return an open ledger that the next one to open it finds too old, its versions to be made again."""
    place.keep(Kept.of(1))
    ledger = place.open()
    monkeypatch.setattr(schema, "STEPS", step("CREATE TABLE added (n bigint)", rows=("versions", "no_more")))
    yield ledger
    ledger.close()


def test_readers_go_on_while_tables_are_made_again(place: Place, aged: AnyLedger) -> None:
    rows, seen = list(aged.dump()), []

    def looking(recorded: Recorded) -> Sequence[Change]:
        if recorded.seq % 10 == 0:
            seen.append(list(aged.dump()))
        return ()

    with closing(place.open((*FOLDS, looking))) as after:
        assert seen == [rows] * 3
        assert list(after.dump()) == rows
        assert list(after.verify()) == []


def test_what_fails_in_the_middle_changes_nothing(place: Place, aged: AnyLedger) -> None:
    rows, tables = list(aged.dump()), place.tables()

    def failing(recorded: Recorded) -> Sequence[Change]:
        if recorded.seq == 20:
            raise ZeroDivisionError
        return ()

    with pytest.raises(ZeroDivisionError):
        place.open((*FOLDS, failing))
    assert (list(aged.dump()), place.tables(), place.number()) == (rows, tables, newest() - 1)
    with closing(place.open()) as after:
        assert list(after.dump()) == rows
    assert place.number() == newest()


def test_where_nothing_can_be_written_it_says_so(
    place: Place, aged: AnyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = aged.head()
    monkeypatch.setattr(sqlite_file, "SETTINGS", (*sqlite_file.SETTINGS, "query_only = ON"))
    place.url += "&options=-c%20default_transaction_read_only%3Don"
    with pytest.raises(StorageError, match=rf"has schema {newest() - 1} .* to {newest()}, but it cannot be written"):
        place.open()
    assert aged.head() == before
