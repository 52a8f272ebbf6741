"""The rows in PostgreSQL: the suite of their port, and that nothing is searched row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from attrs import define, field
from hypothesis import given, settings

from muniment.adapters.postgres import Address, Connection
from muniment.adapters.views import lineage, postgres
from muniment.adapters.views.memory import MemoryViews
from muniment.adapters.views.postgres import PostgresViews
from muniment.adapters.views.postgres_statements import plan
from muniment.domain.errors import StorageError
from muniment.domain.ports import Views
from muniment.domain.rows import ROWS, AliasRow, Change, EdgeRow, Insert, RunRow
from tests.conformance.stand import Stand
from tests.conformance.views import ViewsConformance, alias
from tests.conformance.views_machine import EVENTS, machine_for
from tests.servers.postgres import running

_SHARED: list[Connection] = []


def _database() -> Connection:
    """Return the one connection of these tests, whose tables exist until the next one asks."""
    if not _SHARED:
        _SHARED.append(Address.parse(running().base(), "rows").connect())
    connection = _SHARED[0]
    if connection.info.transaction_status:
        connection.execute("ROLLBACK")
    connection.execute("DROP SCHEMA IF EXISTS rows CASCADE")
    connection.execute("CREATE SCHEMA rows")
    postgres.create(connection.cursor())
    return connection


@pytest.fixture(scope="module", autouse=True)
def _closing() -> Iterator[None]:
    yield
    while _SHARED:
        _SHARED.pop().close()


@define
class PostgresStand:
    connection: Connection = field(factory=_database)

    @property
    def views(self) -> Views:
        return PostgresViews(lambda sql, values: self.connection.execute(sql.encode(), values).fetchall())

    def apply(self, changes: Sequence[Change], seq: int) -> None:
        postgres.apply(self.connection.cursor(), changes, seq)

    def clear(self) -> None:
        postgres.clear(self.connection.cursor())

    def dump(self) -> list[bytes]:
        return list(postgres.dump(self.connection.cursor()))

    def begin(self) -> None:
        if self.connection.info.transaction_status:
            self.connection.execute("COMMIT")
        self.connection.execute("BEGIN")

    def back(self) -> None:
        self.connection.execute("ROLLBACK")


class TestPostgres(ViewsConformance):
    @pytest.fixture
    def stand(self) -> Stand:
        return PostgresStand()


TestPostgresMachine = machine_for(PostgresStand).TestCase
TestPostgresMachine.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)


@given(EVENTS)
@settings(max_examples=15, deadline=None)
def test_it_dumps_the_same_bytes_as_the_reference(changes: Sequence[Change]) -> None:
    memory, stand = MemoryViews(), PostgresStand()
    for seq, change in enumerate([*changes, *changes, *changes]):
        if not isinstance(change, Insert):
            mark = memory.checkpoint()
            stand.begin()
            try:
                stand.apply([change], seq // 2)
                memory.apply([change], seq // 2)
            except StorageError:
                stand.back()
                memory.restore(mark)
    assert stand.dump() == list(memory.dump())


def _steps(connection: Connection, sql: str) -> str:
    generic = "SET LOCAL plan_cache_mode = force_generic_plan"
    count = sql.count("%s")
    for place in range(1, count + 1):
        sql = sql.replace("%s", f"${place}", 1)
    with connection.transaction(force_rollback=True):
        connection.execute(generic)
        connection.execute(f"PREPARE asked AS {sql}".encode())
        values = f"({', '.join(['NULL'] * count)})" if count else ""
        rows = connection.execute(f"EXPLAIN (COSTS OFF) EXECUTE asked{values}".encode()).fetchall()
        connection.execute("DEALLOCATE asked")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("past", [False, True])
def test_every_read_is_a_search_of_an_index(*, past: bool) -> None:
    connection = _database()
    for kind in ROWS:
        made = plan(kind)
        for names in (kind.table.key, *kind.table.unique):
            assert "Seq Scan" not in _steps(connection, made.find(names, past=past).sql)
        for lookup in kind.table.lookups:
            for after in (False, True):
                sql = made.select(lookup.equal, lookup.order, frozenset(), past=past, after=after, descending=after).sql
                steps = _steps(connection, sql)
                assert "Seq Scan" not in steps
                if not past and not after:
                    assert "Sort" not in steps, f"{kind.table.name} {lookup}\n{steps}"


@pytest.mark.parametrize("past", [False, True])
def test_reading_the_rows_of_many_values_searches_for_each(*, past: bool) -> None:
    connection = _database()
    for kind, column, names in (
        (EdgeRow, "version_id", ("role",)),
        (EdgeRow, "run_id", ("role",)),
        (RunRow, "run_id", ()),
    ):
        made = plan(kind)
        steps = _steps(connection, made.gather(column, names, frozenset(), past=past).sql)
        assert "Seq Scan" not in steps
        if (column,) == kind.table.key:
            assert steps.count(f"{kind.table.name}_pkey") == 1 + past, steps


@pytest.mark.parametrize("sql", [*lineage.POSTGRES_MADE.values(), *lineage.POSTGRES_REFERRING.values()])
def test_a_step_of_a_lineage_searches_for_each_thing(sql: str) -> None:
    steps = _steps(_database(), sql)
    assert "Seq Scan" not in steps
    assert not re.search("(Hash|Merge) .*Join", steps), "a table that was not analysed yet would be read as a whole"


def test_every_change_finds_its_row_through_the_primary_key() -> None:
    connection = _database()
    for kind in ROWS:
        for sql in (plan(kind).close, plan(kind).patch(())):
            steps = _steps(connection, sql)
            assert "Seq Scan" not in steps
            assert f"{kind.table.name}_pkey" in steps


def test_text_that_a_column_cannot_hold_is_found_nowhere_and_kept_nowhere() -> None:
    stand = PostgresStand()
    stand.begin()
    assert stand.views.find(AliasRow, owner_id="o", alias="a\0b") is None
    with pytest.raises(StorageError, match="rows of aliases contradict"):
        stand.apply([Insert(alias("s", name="a\0b"))], 1)
    stand.back()
