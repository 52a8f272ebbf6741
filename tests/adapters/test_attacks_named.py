"""The attacks A1 to A8, A15 and A17 on SQLite and on PostgreSQL: each has the verdict that docs/security.md says."""

# ruff: noqa: S608 - attackers put their SQL together as they like

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any

import psycopg
import pytest
from attrs import evolve, frozen

from muniment.adapters.ledger import postgres_schema, recorder
from muniment.adapters.ledger.postgres import PostgresLedger
from muniment.adapters.ledger.record import Record, leaf_of
from muniment.adapters.ledger.sqlite import SqliteLedger
from muniment.adapters.postgres import Address
from muniment.app.proving import checkpoints, rollback
from muniment.app.store import Store
from muniment.domain.errors import ConflictError, InvalidValueError
from muniment.domain.merkle import Frontier
from muniment.domain.project import ProjectRenamed
from muniment.domain.values import StreamId
from tests.acts import Acts
from tests.adapters.test_ledger_processes import together
from tests.conformance.ledger_acts import append, command, created, raising
from tests.servers.postgres import postgres_ledger, running
from tests.stores import Clock, sqlite_ledger, store_on

TWICE = (sqlite3.IntegrityError, psycopg.errors.UniqueViolation)


@frozen
class Site:
    """A ledger at rest with a small story, a note of it that was kept elsewhere, and how its tables are written."""

    store: Store
    note: str
    size: int
    path: Path | None
    url: str

    def open(self) -> SqliteLedger | PostgresLedger:
        return sqlite_ledger(self.path, Clock()) if self.path else postgres_ledger(self.url, Clock())

    def run(self, statement: str, *values: object) -> Sequence[tuple[Any, ...]]:
        """Run one statement in the words of this database; one that changes nothing is no attack."""
        names = {"seq": "rowid", "head": "head"} if self.path else {"seq": "seq", "head": "ledger_head"}
        sql = statement.format(**names)
        with closing(self._connect()) as connection:
            done = connection.execute(sql if self.path else sql.replace("?", "%s"), values)
            assert done.rowcount != 0
            return done.fetchall() if statement.startswith("SELECT") else ()

    def _connect(self) -> Any:
        return sqlite3.connect(self.path, isolation_level=None) if self.path else Address.parse(self.url, "x").connect()

    def records(self) -> list[Record]:
        order = recorder.ORDER if self.path else postgres_schema.ORDER
        return list(starmap(Record, self.run(f"SELECT {order} FROM events ORDER BY {{seq}}")))

    def alone(self) -> list[str]:
        with closing(self.open()) as ledger:
            return list(ledger.verify())

    def first(self, count: int = 1) -> list[str]:
        """Return the first verdicts; what cannot be read or folded any more because of it is told after them."""
        return self.alone()[:count]

    def with_checkpoint(self) -> list[str]:
        with closing(self.open()) as ledger:
            return list(checkpoints.check(evolve(self.store, ledger=ledger), self.note))

    def at_opening(self) -> str | None:
        """Return what is said when a witness has signed the note."""
        with closing(self.open()) as ledger:
            return rollback.found(ledger, [self.note])

    def one_of(self, topic: str) -> int:
        return next(each.seq for each in self.records() if each.type == topic)

    def rewrite(self) -> None:
        """Make leaves, head and rows what the events now say, as somebody who knows the format can."""
        self.run("DELETE FROM leaves")
        frontier, records = Frontier(), self.records()
        for record in records:
            leaf = leaf_of(record)
            frontier.append(leaf)
            self.run("INSERT INTO leaves (seq, hash) VALUES (?, ?)", record.seq, leaf)
        tip = (frontier.size, frontier.roots(), records[-1].recorded_at)
        self.run("UPDATE {head} SET size = ?, frontier = ?, recorded_at = ?", *tip)
        with closing(self.open()) as ledger:
            ledger.rebuild()


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    clock = Clock()
    path = tmp_path / "ledger.sqlite3" if request.param == "sqlite" else None
    url = "" if path else running().url()
    ledger = sqlite_ledger(path, clock) if path else postgres_ledger(url, clock)
    store = store_on(ledger, tmp_path, clock)
    for number in range(3):
        Acts(store).log("model", number, aliases=("best",))
    found = Site(store, checkpoints.make(store), ledger.head().size, path, url)
    ledger.close()
    return found


def changed(*seqs: int) -> list[str]:
    return [f"event {seq} was changed: it does not match its leaf" for seq in sorted(seqs)]


def rewritten(size: int) -> list[str]:
    return [f"an event up to {size} was rewritten: the first {size} have another root than was signed"]


def test_nothing_is_said_of_what_nobody_attacked(site: Site) -> None:
    assert (site.alone(), site.with_checkpoint(), site.at_opening()) == ([], [], None)


@pytest.mark.parametrize("column", ["state", "words"])
def test_a1_a_byte_of_an_event(site: Site, column: str) -> None:
    seq = site.one_of("version.created.1")
    ((content,),) = site.run(f"SELECT {column} FROM events WHERE {{seq}} = ?", seq)
    flipped = bytes([*content[:-1], content[-1] ^ 1])
    site.run(f"UPDATE events SET {column} = ? WHERE {{seq}} = ?", flipped, seq)
    assert site.first() == changed(seq)


def test_a2_an_event_with_leaves_and_head(site: Site) -> None:
    seq = site.one_of("version.created.1")
    site.run("UPDATE events SET actor = 'eve' WHERE {seq} = ?", seq)
    assert site.first() == changed(seq)
    site.rewrite()
    assert (site.alone(), site.with_checkpoint()) == ([], rewritten(site.size))


def test_a3_and_a8_the_end_is_cut_off_with_more_and_more_of_what_tells(site: Site) -> None:
    left = site.size - 3
    site.run("DELETE FROM events WHERE {seq} > ?", left)
    missing = [f"event {seq} is missing: its leaf is there" for seq in range(left + 1, site.size + 1)]
    assert site.first(3) == missing
    site.run("DELETE FROM leaves WHERE seq > ?", left)
    assert any(each.startswith(f"the ledger's head says {site.size} events with root ") for each in site.alone())
    site.rewrite()
    assert site.alone() == []
    signed = f"the checkpoint was signed over {site.size} events, the ledger has {left}"
    assert site.with_checkpoint() == [f"events {left + 1} to {site.size} are missing: {signed}"]
    saw = f"the database was rolled back: a witness saw {site.size} events, there are {left}"
    assert (site.at_opening() or "").startswith(saw)


def test_a4_the_end_is_cut_off_and_others_are_appended(site: Site) -> None:
    left = site.size - 1
    site.run("DELETE FROM events WHERE {seq} > ?", left)
    site.rewrite()
    with closing(site.open()) as ledger:
        Acts(evolve(site.store, ledger=ledger)).log("model", "another", aliases=("best",))
        assert ledger.head().size >= site.size
    assert (site.alone(), site.with_checkpoint()) == ([], rewritten(site.size))
    assert (site.at_opening() or "").startswith("the database was exchanged")


@pytest.mark.parametrize("columns", [("state", "facts_blind"), ("words", "words_blind"), ("event_id",)])
def test_a5_the_contents_of_two_events_are_swapped(site: Site, columns: tuple[str, ...]) -> None:
    pair = [each.seq for each in site.records() if each.type == "version.created.1"][:2]
    listed = ", ".join(columns)
    cells = [site.run(f"SELECT {listed} FROM events WHERE {{seq}} = ?", seq)[0] for seq in pair]
    put = ", ".join(f"{column} = ?" for column in columns)
    for seq, content in zip(pair, reversed(cells), strict=True):
        site.run(f"UPDATE events SET {put} WHERE {{seq}} = ?", *content, seq)
    assert site.first(2) == changed(*pair)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("topic", "'version.deleted.1'"),
        ("actor", "'eve'"),
        ("on_behalf_of", "'eve'"),
        ("recorded_at", "recorded_at + 1"),
        ("org", "'other'"),
        ("outcome", "'refused'"),
    ],
)
def test_a6_one_thing_of_the_envelope_alone(site: Site, column: str, value: str) -> None:
    seq = site.one_of("version.created.1")
    site.run(f"UPDATE events SET {column} = {value} WHERE {{seq}} = ?", seq)
    assert site.first() == changed(seq)


def test_a7_an_event_without_a_leaf_a_leaf_without_an_event_and_a_number_twice(site: Site) -> None:
    more = site.size + 1
    order = recorder.ORDER if site.path else postgres_schema.ORDER
    copied = order.replace("originator_version", "originator_version + 1000").split(", ", 1)[1]
    twice = f"INSERT INTO events ({order}) SELECT {{number}}, {copied} FROM events WHERE {{{{seq}}}} = 2"
    with pytest.raises(TWICE):
        site.run(twice.format(number=3))
    with pytest.raises(TWICE):
        site.run("INSERT INTO leaves (seq, hash) VALUES (?, ?)", 3, bytes(32))
    assert site.alone() == []
    site.run(twice.format(number=more))
    assert site.first() == [f"event {more} has no leaf: it was not written by Muniment"]
    site.run("DELETE FROM events WHERE {seq} = ?", more)
    site.run("INSERT INTO leaves (seq, hash) VALUES (?, ?)", more, bytes(32))
    assert site.first() == [f"event {more} is missing: its leaf is there"]


def test_a17_only_rows_of_a_projection(site: Site) -> None:
    site.run("UPDATE versions SET state = 'purged'")
    (fault,) = site.alone()
    assert fault.startswith("table versions, the row since event ")
    assert "it is not what the events say" in fault
    assert site.with_checkpoint() == []


QUIET = "CREATE FUNCTION {0}.quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"


@pytest.mark.parametrize(
    ("added", "told"),
    [
        (
            f"{QUIET}; CREATE TRIGGER q BEFORE INSERT ON {{0}}.leaves EXECUTE FUNCTION {{0}}.quiet()",
            "trigger q to leaves",
        ),
        ("CREATE RULE r AS ON DELETE TO {0}.events DO INSTEAD NOTHING", "rule r to events"),
        ("CREATE POLICY p ON {0}.events USING (seq <> 3)", "policy p to events"),
    ],
    ids=["trigger", "rule", "policy"],
)
def test_what_was_added_to_the_tables_in_postgresql_is_named(added: str, told: str) -> None:
    url = running().url()
    with closing(postgres_ledger(url, Clock())) as ledger:
        append(ledger, StreamId("aa" * 16), created("p"))
        assert list(ledger.verify()) == []
        running().sql(added.format(Address.parse(url, "x").schema))
        assert list(ledger.verify()) == [f"the ledger's tables were changed: somebody added the {told}"]


def test_what_else_was_made_otherwise_in_postgresql_is_not_noticed_as_the_page_says() -> None:
    url = running().url()
    place = Address.parse(url, "x").schema
    with closing(postgres_ledger(url, Clock())) as ledger:
        append(ledger, StreamId("aa" * 16), created("p"))
        running().sql(f"DROP INDEX {place}.commands_kept_at; CREATE VIEW {place}.other AS SELECT 1")
        running().sql(f"ALTER TABLE {place}.leaves ADD COLUMN more integer")
        assert list(ledger.verify()) == []


def test_a15_eight_writers_of_whom_some_are_refused_leave_no_gap(site: Site) -> None:
    def write(number: int) -> None:
        stream = StreamId(f"{number:02x}" * 16)
        with closing(site.open()) as ledger:
            append(ledger, stream, created(f"p{number}"))
            for turn in range(4):
                with pytest.raises(ZeroDivisionError):
                    ledger.transact(command(), raising(ZeroDivisionError()))
                with pytest.raises(ConflictError):
                    append(ledger, stream, ProjectRenamed("lost"), expected=turn)
                append(ledger, stream, ProjectRenamed(f"p{number}.{turn}"), expected=turn + 1)

    together(*(partial(write, number) for number in range(8)))
    assert [each.seq for each in site.records()] == list(range(1, site.size + 8 * 5 + 1))
    assert (site.alone(), site.with_checkpoint()) == ([], [])


def test_a15_functions_in_the_database_that_would_write_no_leaves_are_never_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library's own switch for them changes nothing; as a setting of the URL it is refused."""
    for name in ("POSTGRES_ENABLE_DB_FUNCTIONS", "ENABLE_DB_FUNCTIONS"):
        monkeypatch.setenv(name, "on")
    url = running().url()
    with closing(postgres_ledger(url, Clock())) as ledger:
        append(ledger, StreamId("aa" * 16), created("p"), ProjectRenamed("q"))
        assert len(ledger.subtrees(0, 0, 2)) == 2
        assert list(ledger.verify()) == []
    place = Address.parse(url, "x").schema
    found = running().sql(
        f"SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = '{place}'"
    )
    assert found == []
    with pytest.raises(InvalidValueError, match="an unknown setting 'enable_db_functions'"):
        postgres_ledger(f"{url}&enable_db_functions=on", Clock())
