"""A ledger is checked in pages, quickly and in several processes, and it comes to the same lines as event by event."""

# ruff: noqa: S608, SLF001 - attackers put their SQL together as they like; what is looked at is below the port

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muniment.adapters.ledger import beside, lean
from muniment.adapters.ledger.lean import PAGE, Row, leaf_of_row, look
from muniment.adapters.ledger.pages import Pages, in_sqlite
from muniment.adapters.ledger.record import Record, is_whole, leaf_of
from muniment.adapters.ledger.recorder import ORDER
from muniment.adapters.ledger.sqlite_desk import read_tip
from muniment.adapters.ledger.tiles import ALL
from muniment.adapters.ledger.verify import check_events
from muniment.domain.ports import Append
from muniment.domain.values import StreamId
from tests.adapters.test_leaf import FULL, SHORT
from tests.conformance.ledger_acts import Dial, command, decided, version
from tests.servers.postgres import postgres_ledger, running
from tests.stores import sqlite_ledger

EVENTS: Final = 2 * PAGE + 300
"""Two pages and a part, of which one tile is whole."""


def fill(ledger: Any, events: int = EVENTS) -> None:
    """Append so many events, none of them the first of a stream twice."""
    for first in range(0, events, 500):
        made = tuple(version(f"{number:x}") for number in range(first, min(first + 500, events)))
        ledger.transact(command(), decided(Append(StreamId("a" * 32 + ":n"), first, made)))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "ledger.sqlite3"
    with closing(sqlite_ledger(path, Dial(), ())) as ledger:
        fill(ledger)
    return path


@pytest.fixture
def copy(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(kept, tmp_path / "ledger.sqlite3"))


def one_by_one(path: Path) -> list[str]:
    """Return what the check says that compares event by event and knows nothing of pages."""
    with closing(sqlite3.connect(path)) as connection:
        columns = f"SELECT {ORDER} FROM events ORDER BY rowid"
        found = (Record(*row) for row in connection.execute(columns))
        leaves = connection.execute("SELECT seq, hash FROM leaves ORDER BY seq")
        tip = read_tip(connection.cursor())
        return list(check_events(found, leaves, tip, lambda: connection.execute(ALL)))


def in_pages(path: Path, number: int) -> list[str]:
    """Return what the check by pages says, in so many processes."""
    with closing(sqlite_ledger(path, Dial(), ())) as ledger, ledger._file.apart() as cursor:
        ledger.spread_from = EVENTS + 1 if number == 1 else 0
        return list(ledger._check_events(cursor))


CELLS: Final = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=3), st.binary(max_size=3)
)


@given(st.sampled_from([FULL, SHORT]), st.dictionaries(st.sampled_from(list(FULL)), CELLS, max_size=3))
def test_a_row_has_the_leaf_of_its_record_if_it_is_whole_and_else_none(
    full: dict[str, Any], other: dict[str, Any]
) -> None:
    record = Record(**(full | other))
    wanted = leaf_of(record) if is_whole(record) else None
    assert leaf_of_row(attrs.astuple(record)) == wanted


TEXTS: Final = ("stream", "type", "event_id", "org", "actor", "command", "source", "on_behalf_of", "run", "request")


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(TEXTS, st.text())),
    st.sampled_from([(None, None, None), (b"{}", b"x" * 32, None), (None, None, b"y" * 32)]),
    st.sampled_from(["audit", "outcome", ""]),
)
def test_any_text_is_written_into_the_leaf_in_the_same_way(texts: dict[str, Any], words: Any, odd: str) -> None:
    trio = dict(zip(("words", "words_blind", "words_commit"), words, strict=True))
    record = Record(**(FULL | texts | trio | ({odd: "other"} if odd else {})))
    wanted = leaf_of(record) if is_whole(record) else None
    assert leaf_of_row(attrs.astuple(record)) == wanted
    assert (wanted is None) == bool(odd)


def test_a_whole_ledger_is_clean_in_one_process_and_in_several(kept: Path) -> None:
    assert one_by_one(kept) == in_pages(kept, 1) == in_pages(kept, 2) == []


PLACES: Final = st.sampled_from([1, 2, 255, 256, 257, PAGE - 1, PAGE, PAGE + 1, PAGE + 5, 2 * PAGE, EVENTS - 1, EVENTS])
STATEMENTS: Final = st.sampled_from(
    [
        "UPDATE events SET actor = 'x' WHERE rowid = {0}",
        "UPDATE events SET state = 7 WHERE rowid = {0}",
        "UPDATE events SET words = NULL, words_blind = NULL, words_commit = x'00' WHERE rowid = {0}",
        "UPDATE events SET recorded_at = recorded_at - 10000000 WHERE rowid = {0}",
        "UPDATE events SET recorded_at = 'soon' WHERE rowid = {0}",
        "UPDATE events SET topic = 'redaction.redacted.1' WHERE rowid = {0}",
        "UPDATE events SET actor = CAST(x'ff' AS TEXT) WHERE rowid = {0}",
        "DELETE FROM events WHERE rowid = {0}",
        "DELETE FROM leaves WHERE seq = {0}",
        "DELETE FROM leaves WHERE seq >= {0}",
        "DELETE FROM events WHERE rowid BETWEEN {0} AND {0} + 2100",
        "DELETE FROM events WHERE rowid = {0} OR rowid > 4000",
        "UPDATE leaves SET hash = zeroblob(32) WHERE seq = {0}",
        "UPDATE leaves SET hash = 'text' WHERE seq = {0}",
        "UPDATE leaves SET seq = seq + 9000000000000000000 WHERE seq = {0}",
        "UPDATE events SET rowid = -rowid WHERE rowid = {0}",
        "UPDATE leaves SET seq = -seq WHERE seq = {0}",
        "UPDATE tiles SET hash = zeroblob(32) WHERE number = {0} % 7",
        "UPDATE head SET size = size + 1",
        "UPDATE head SET recorded_at = recorded_at + {0}",
    ]
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(STATEMENTS, PLACES), min_size=1, max_size=3))
def test_the_lines_are_those_of_looking_event_by_event(
    kept: Path, tmp_path: Path, attacks: list[tuple[str, int]]
) -> None:
    path = Path(shutil.copy(kept, tmp_path / "ledger.sqlite3"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement, place in attacks:
            connection.execute(statement.format(place))
    assert told(lambda: in_pages(path, 1)) == told(lambda: one_by_one(path))


def told(check: Callable[[], list[str]]) -> list[str]:
    """Return the lines of a check, or that it could not read on."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 (each raises its own)
        return [type(error.__cause__ or error).__name__]


@pytest.mark.parametrize("place", [1, PAGE, PAGE + 1, EVENTS])
def test_another_process_finds_the_same(copy: Path, place: int) -> None:
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("UPDATE events SET actor = 'x' WHERE rowid = ?", (place,))
    assert in_pages(copy, 2) == [f"event {place} was changed: it does not match its leaf"] == one_by_one(copy)


def test_an_event_before_the_first_is_noticed(copy: Path) -> None:
    least = -(2**63)
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        columns = ORDER.replace("rowid", str(least), 1).replace("originator_version", "originator_version + 1", 1)
        connection.execute(f"INSERT INTO events ({ORDER}) SELECT {columns} FROM events WHERE rowid = {EVENTS}")
    assert f"event {least} has no leaf: it was not written by Muniment" in in_pages(copy, 1)


def counting(path: Path) -> Iterator[tuple[Pages, list[int]]]:
    """Yield pages, and after which event each page begins that is looked at in this process."""
    with closing(sqlite3.connect(path)) as connection:
        inner = in_sqlite(connection.cursor())
        asked: list[int] = []

        def ask(statement: str, parameters: tuple[int, ...]) -> list[Row]:
            if " events " in statement:
                asked.append(parameters[0] - 1)
            return inner.ask(statement, parameters)

        yield attrs.evolve(inner, ask=ask), asked


@pytest.mark.parametrize("number", [2, 3])
def test_pages_are_looked_at_by_turns(kept: Path, number: int) -> None:
    for pages, asked in counting(kept):
        with beside.looks(pages, beside.Job(EVENTS, file=str(kept)), number) as looks:
            found = list(looks)
        assert None not in found
        assert asked == [after for page, after in enumerate(range(0, EVENTS, PAGE)) if page % number == 0]


def test_what_nobody_answers_is_looked_at_here(kept: Path) -> None:
    for pages, asked in counting(kept):
        with beside.looks(pages, beside.Job(EVENTS, file=f"{kept}.gone"), 2) as looks:
            assert None not in list(looks)
        assert asked == list(range(0, EVENTS, PAGE))


def test_an_answer_that_breaks_off_is_none(kept: Path) -> None:
    for pages, _ in counting(kept):
        answers = io.BytesIO()
        beside.serve(beside.Job(EVENTS, file=str(kept)), answers)
        whole = io.BytesIO(answers.getvalue())
        assert [beside._answer(whole) for _ in range(3)] == [pages.look(*each) for each in beside.Job(EVENTS).spans()]
        assert beside._answer(io.BytesIO(answers.getvalue()[:-1])) is not None
        assert beside._answer(io.BytesIO(answers.getvalue()[:20])) is None
        assert beside._answer(io.BytesIO()) is None


def test_a_page_is_as_large_as_some_tiles_and_small_ledgers_stay_in_one_process() -> None:
    assert PAGE % 256 == 0
    assert beside.processes(beside.ENOUGH - 1) == 1
    assert 1 <= beside.processes(beside.ENOUGH) <= beside.MOST


def test_a_page_that_does_not_begin_where_it_should_is_not_clean(kept: Path) -> None:
    for pages, _ in counting(kept):
        rows = pages.ask(f"SELECT {ORDER} FROM events WHERE rowid >= ? AND rowid <= ? ORDER BY rowid", (2, 4))
        leaves = list(pages.leaves(2, 4))
        assert look(1, rows, leaves) is not None
        assert look(0, rows, leaves) is None
        assert look(1, rows, leaves[:2]) is None
        assert look(1, [], []) is None


def record(seq: int, **other: Any) -> Row:
    return attrs.astuple(Record(**(FULL | {"seq": seq, "recorded_at": seq} | other)))


def leaves_of(*rows: Row) -> list[tuple[int, bytes | None]]:
    return [(seq, leaf_of_row(row)) for seq, row in enumerate(rows, 1)]


def test_a_page_is_clean_only_if_number_and_time_grow_with_it() -> None:
    good, late, far = record(1), record(2, recorded_at=1), record(3)
    for rows, clean in (((good, record(2)), True), ((good, late), False), ((good, far), False)):
        assert (look(0, rows, leaves_of(*rows)) is not None) == clean


def test_a_page_says_that_it_is_about_a_redaction() -> None:
    lost = {"words": None, "words_blind": None, "words_commit": b"c" * 32}
    for other, redacted in (({}, False), (lost, True), ({"type": lean.REDACTED}, True)):
        rows = (record(1), record(2, **other))
        found = look(0, rows, leaves_of(*rows))
        assert found is not None
        assert found.redacted == redacted


@pytest.fixture
def served() -> Iterator[Any]:
    ledger = postgres_ledger(running().url(), Dial())
    yield ledger
    ledger.close()


def test_a_ledger_in_postgresql_is_looked_at_in_several_processes(served: Any) -> None:
    fill(served)
    served.spread_from = 0
    assert list(served.verify()) == []
    with served.moment() as cursor, closing(served._connections.apart()) as writing:
        cursor.execute("SELECT 1")
        writing.execute("UPDATE events SET actor = 'x' WHERE seq = %s", (PAGE + 3,))
        assert list(served._check_events(cursor)) == []  # as of the moment at which it began
    with served.moment() as cursor:
        changed = f"event {PAGE + 3} was changed: it does not match its leaf"
        assert list(served._check_events(cursor)) == [changed]
