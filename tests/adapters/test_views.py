"""The views adapters: the suite of their port, and what SQLite is asked to do."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence

import pytest
from attrs import define, field
from hypothesis import given, settings

from muniment.adapters.views import lineage, sqlite
from muniment.adapters.views.memory import MemoryViews
from muniment.adapters.views.sqlite import SqliteViews
from muniment.adapters.views.statements import plan
from muniment.domain.errors import StorageError
from muniment.domain.ports import Views
from muniment.domain.rows import (
    ROWS,
    AliasRow,
    Change,
    Close,
    EdgeRow,
    Insert,
    LatestRow,
    Patch,
    Put,
    RunRow,
    VersionRow,
)
from tests.conformance.lineage import edge
from tests.conformance.stand import Stand
from tests.conformance.views import ViewsConformance, alias, version
from tests.conformance.views_machine import EVENTS, machine_for


@define
class MemoryStand:
    views: MemoryViews = field(factory=MemoryViews)
    mark: int = 0

    def apply(self, changes: Sequence[Change], seq: int) -> None:
        self.views.apply(changes, seq)

    def clear(self) -> None:
        self.views.clear()

    def dump(self) -> list[bytes]:
        return list(self.views.dump())

    def begin(self) -> None:
        self.views.settle()
        self.mark = self.views.checkpoint()

    def back(self) -> None:
        self.views.restore(self.mark)


def _database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    sqlite.create(connection.cursor())
    return connection


@define
class SqliteStand:
    connection: sqlite3.Connection = field(factory=_database)

    @property
    def views(self) -> Views:
        return SqliteViews(lambda: self.connection)

    def apply(self, changes: Sequence[Change], seq: int) -> None:
        sqlite.apply(self.connection.cursor(), changes, seq)

    def clear(self) -> None:
        sqlite.clear(self.connection.cursor())

    def dump(self) -> list[bytes]:
        return list(sqlite.dump(self.connection.cursor()))

    def begin(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("COMMIT")
        self.connection.execute("BEGIN")

    def back(self) -> None:
        self.connection.execute("ROLLBACK")


class TestMemory(ViewsConformance):
    @pytest.fixture
    def stand(self) -> Stand:
        return MemoryStand()

    def test_an_insert_over_a_live_key_is_refused(self, stand: Stand) -> None:
        stand.apply([Insert(LatestRow("o", None, 1))], 1)
        with pytest.raises(StorageError, match="rows of latest contradict each other"):
            stand.apply([Insert(LatestRow("o", None, 2))], 2)


class TestSqlite(ViewsConformance):
    @pytest.fixture
    def stand(self) -> Iterator[Stand]:
        stand = SqliteStand()
        yield stand
        stand.connection.close()


TestMemoryMachine = machine_for(MemoryStand).TestCase
TestSqliteMachine = machine_for(SqliteStand).TestCase
for case in (TestMemoryMachine, TestSqliteMachine):
    case.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@given(EVENTS)
@settings(max_examples=50, deadline=None)
def test_both_adapters_dump_the_same_bytes(changes: Sequence[Change]) -> None:
    stands: tuple[Stand, Stand] = (MemoryStand(), SqliteStand())
    for stand in stands:
        for seq, change in enumerate([*changes, *changes, *changes]):
            if not isinstance(change, Insert):
                stand.begin()
                try:
                    stand.apply([change], seq // 2)
                except StorageError:
                    stand.back()
    assert stands[0].dump() == stands[1].dump()


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = _database()
    yield connection
    connection.close()


def _traced(connection: sqlite3.Connection, *changes: Change, seq: int) -> list[str]:
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    sqlite.apply(connection.cursor(), changes, seq)
    connection.set_trace_callback(None)
    return [statement.split()[0] for statement in statements]


def test_changes_take_the_fewest_statements(connection: sqlite3.Connection) -> None:
    assert _traced(connection, Insert(version("v")), seq=1) == ["INSERT"]
    assert _traced(connection, Put(version("v", 2)), seq=2) == ["UPDATE", "INSERT"]
    assert _traced(connection, Patch(VersionRow, ("v",), {"size": 3}), seq=3) == ["UPDATE", "INSERT"]
    assert _traced(connection, Close(VersionRow, ("v",)), seq=4) == ["UPDATE"]
    assert _traced(connection, Patch(VersionRow, ("v",), {"size": 3}), seq=5) == ["UPDATE"]


def _steps(connection: sqlite3.Connection, sql: str) -> str:
    blanks = {"ids": None, "at": None} if ":ids" in sql else (None,) * sql.count("?")
    return "\n".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", blanks))


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("past", [False, True])
def test_every_read_is_a_search_of_an_index(
    connection: sqlite3.Connection, kind: type[AliasRow], *, past: bool
) -> None:
    made = plan(kind)
    for names in (kind.table.key, *kind.table.unique):
        steps = _steps(connection, made.find(names, past=past).sql)
        assert "TEMP B-TREE" not in steps
        assert all("SEARCH" in step for step in steps.splitlines() if kind.table.name in step)
    for lookup in kind.table.lookups:
        for after in (False, True):
            sql = made.select(lookup.equal, lookup.order, past=past, after=after, descending=False).sql
            steps = _steps(connection, sql)
            searched = [step for step in steps.splitlines() if kind.table.name in step]
            assert all("SEARCH" in step or (not lookup.equal and "USING" in step) for step in searched)
            if not past:
                assert "TEMP B-TREE FOR ORDER BY" not in steps


@pytest.mark.parametrize("past", [False, True])
def test_reading_the_rows_of_many_values_searches_for_each(connection: sqlite3.Connection, *, past: bool) -> None:
    for kind, column, names in (
        (EdgeRow, "version_id", ("role",)),
        (EdgeRow, "run_id", ("role",)),
        (RunRow, "run_id", ()),
    ):
        made = plan(kind)
        steps = [
            step
            for step in _steps(connection, made.gather(column, names, past=past).sql).splitlines()
            if "SEARCH" in step
        ]
        assert len(steps) == 1 + past
        assert all(f"({column}=?" in step for step in steps)


@pytest.mark.parametrize(
    ("sql", "searched"),
    [
        (lineage.MADE_QUICKLY, ["used", "made", "runs"]),
        (lineage.MADE[False], ["edges", "made", "runs"]),
        (lineage.MADE[True], ["edges", "edges", "made", "runs"]),
        (lineage.REFERRING[False], ["sources"]),
        (lineage.REFERRING[True], ["sources", "sources"]),
    ],
)
def test_a_step_of_a_lineage_searches_an_index_for_each_thing(
    connection: sqlite3.Connection, sql: str, searched: list[str]
) -> None:
    steps = _steps(connection, sql)
    assert re.findall(r"SEARCH (\w+) USING .*(?:INDEX|PRIMARY KEY).* \((?:\w+_id)=\?", steps) == searched
    assert set(re.findall(r"SCAN (\w+)", steps)) <= {"each", "used", "found"}


def test_live_edges_are_read_from_their_indexes_alone(connection: sqlite3.Connection) -> None:
    assert _steps(connection, lineage.MADE_QUICKLY).count("USING COVERING INDEX edges_live_") == 2


def test_a_run_that_used_and_logged_many_is_counted_once() -> None:
    stand = SqliteStand()
    used = [edge("r0", f"u{number:03}", "in") for number in range(400)]
    logged = [edge("r0", f"l{number:03}", "out") for number in range(300)]
    stand.apply([Insert(row) for row in (*used, *logged)], 1)
    found = stand.views.made_from([row.version_id for row in used])
    assert set(found.places) == {0}
    assert len(found.places) == 300 < lineage.MANY < 400 * 300


def test_every_change_finds_its_row_through_the_primary_key(connection: sqlite3.Connection) -> None:
    for kind in ROWS:
        for sql in (plan(kind).close, plan(kind).patch(())):
            steps = _steps(connection, sql)
            assert "SCAN" not in steps
            assert f"sqlite_autoindex_{kind.table.name}_1" in steps or "USING PRIMARY KEY" in steps


def _work(connection: sqlite3.Connection, changes: Sequence[Change], seq: int) -> int:
    """Count how often SQLite's machine calls back (every 10 of its instructions) while changes are applied."""
    ticks = 0

    def tick() -> int:
        nonlocal ticks
        ticks += 1
        return 0

    connection.set_progress_handler(tick, 10)
    sqlite.apply(connection.cursor(), changes, seq)
    SqliteViews(lambda: connection).find(AliasRow, slot="s")
    SqliteViews(lambda: connection).find(AliasRow, owner_id="o", alias="best")
    SqliteViews(lambda: connection).find(AliasRow, owner_id="o", alias="best", at=1)
    connection.set_progress_handler(None, 10)
    return ticks


def test_a_row_that_changed_often_is_found_and_changed_as_quickly_as_a_new_one(connection: sqlite3.Connection) -> None:
    sqlite.apply(connection.cursor(), [Insert(alias("s"))], 1)
    change = [Patch(AliasRow, ("s",), {"version_id": "v1"})]
    first = _work(connection, change, 2)
    connection.execute("BEGIN")
    for seq in range(3, 3_000):
        sqlite.apply(connection.cursor(), change, seq)
    assert _work(connection, change, 3_000) <= first * 1.2


def test_a_database_that_cannot_be_read_is_a_storage_error(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TABLE aliases")
    with pytest.raises(StorageError) as caught:
        SqliteViews(lambda: connection).find(AliasRow, slot="s")
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    connection.execute("DROP TABLE versions")
    with pytest.raises(sqlite3.OperationalError):
        sqlite.apply(connection.cursor(), [Insert(version("v"))], 1)


def test_rows_are_read_through_a_cursor_with_a_row_factory_too(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    sqlite.apply(connection.cursor(), [Insert(alias("s"))], 1)
    assert SqliteViews(connection.cursor).find(AliasRow, slot="s") == alias("s")
    assert SqliteViews(connection.cursor).select(AliasRow, owner_id="o", order="alias", at=1) == [alias("s")]


def test_memory_keeps_no_way_back_behind_a_settled_change() -> None:
    views = MemoryViews()
    views.apply([Insert(alias("s"))], 1)
    views.settle()
    assert views.checkpoint() == 0
    views.restore(0)
    assert views.find(AliasRow, slot="s") == alias("s")
