"""Batched projections in every ledger: the suite of their port, and rows made again while others read and write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from muniment.adapters.ledger import postgres as postgres_module
from muniment.adapters.ledger import refolding
from muniment.adapters.ledger import sqlite as sqlite_module
from muniment.adapters.ledger.postgres import PostgresLedger
from muniment.adapters.ledger.sqlite import SqliteLedger
from muniment.app.projections import FOLDS
from muniment.domain.ports import Recorded
from muniment.domain.rows import Change, ProjectRow
from muniment.domain.values import StreamId
from tests.conformance.ledger_acts import TEAM, Dial, append, created
from tests.conformance.projections import ProjectionsConformance
from tests.servers.postgres import postgres_ledger, running
from tests.stores import ProjectedLedger, memory_ledger, sqlite_ledger


@pytest.fixture
def dial() -> Dial:
    return Dial()


class TestMemory(ProjectionsConformance):
    @pytest.fixture
    def ledger(self, dial: Dial) -> ProjectedLedger:
        return memory_ledger(dial)


class TestSqlite(ProjectionsConformance):
    @pytest.fixture
    def ledger(self, tmp_path: Path, dial: Dial) -> Iterator[ProjectedLedger]:
        with closing(sqlite_ledger(tmp_path / "ledger.sqlite3", dial)) as ledger:
            yield ledger


class TestPostgres(ProjectionsConformance):
    @pytest.fixture
    def ledger(self, dial: Dial) -> Iterator[ProjectedLedger]:
        with closing(postgres_ledger(running().url(), dial)) as ledger:
            yield ledger


# --- rows made again while others read and write ---------------------------------------------------------------------

AnyLedger: TypeAlias = SqliteLedger | PostgresLedger
Open: TypeAlias = Callable[..., AnyLedger]
SOME = 100


@pytest.fixture(params=["sqlite", "postgresql"])
def opening(request: pytest.FixtureRequest, tmp_path: Path, dial: Dial) -> Open:
    """Return what opens one ledger, once more each time."""
    if request.param == "sqlite":
        return lambda folds=FOLDS: sqlite_ledger(tmp_path / "ledger.sqlite3", dial, folds)
    url = running().url()
    return lambda folds=FOLDS: postgres_ledger(url, dial, folds)


@pytest.fixture
def ledger(opening: Open) -> Iterator[AnyLedger]:
    with closing(opening()) as ledger:
        for number in range(SOME):
            append(ledger, StreamId(f"{number:032x}"), created(f"p{number}"))
        yield ledger


def names(ledger: AnyLedger) -> list[str | None]:
    return [row.name for row in ledger.views.select(ProjectRow, team_id=TEAM, order="name")]


def damage(ledger: AnyLedger) -> None:
    """Change, add and remove rows behind the ledger's back."""

    def act(cursor: Any) -> None:
        sql = ledger.projections.database.run
        sql(cursor, "UPDATE projects SET name = 'wrong' WHERE name = 'p7'")
        sql(cursor, "DELETE FROM projects WHERE name = 'p8'")
        sql(cursor, "INSERT INTO projects VALUES ('ff', 'ff', 'extra', 1, 1, NULL)")
        sql(cursor, "DELETE FROM timeline WHERE event_seq > 90")

    ledger.projections.database.work(act)


@pytest.mark.parametrize("singly", [0, refolding.SINGLY])
def test_wrong_rows_are_replaced_whatever_their_number(
    ledger: AnyLedger, monkeypatch: pytest.MonkeyPatch, singly: int
) -> None:
    monkeypatch.setattr(refolding, "SINGLY", singly)
    rows = list(ledger.dump())
    damage(ledger)
    assert list(ledger.verify()) != []
    assert ledger.rebuild() == SOME
    assert list(ledger.dump()) == rows
    assert list(ledger.verify()) == []


def test_what_is_right_is_left_alone(ledger: AnyLedger) -> None:
    run = ledger.projections.database.run

    def versions(cursor: Any) -> list[Any]:
        return run(cursor, f"SELECT {hidden}, project_id FROM projects ORDER BY project_id")[0]  # noqa: S608

    hidden = "rowid" if isinstance(ledger, SqliteLedger) else "ctid::text"
    with ledger.projections.database.moment() as cursor:
        before = versions(cursor)
    ledger.rebuild()
    with ledger.projections.database.moment() as cursor:
        assert versions(cursor) == before


def test_readers_and_writers_go_on_while_rows_are_made_again(ledger: AnyLedger, opening: Open) -> None:
    """Every tenth event that is folded, somebody else writes, and reads all that there is."""
    before = names(ledger)
    seen: list[int] = []

    def beside(recorded: Recorded) -> Sequence[Change]:
        if recorded.seq % 10 == 0 and recorded.seq <= SOME:
            number = SOME + len(seen)
            append(ledger, StreamId(f"{number:032x}"), created(f"p{number}"))
            seen.append(number)
            assert set(names(ledger)) == {*before, *(f"p{each}" for each in range(SOME, number + 1))}
        return ()

    with closing(opening((*FOLDS, beside))) as other:
        assert other.rebuild() == SOME + 10
    assert len(seen) == 10
    assert list(ledger.verify()) == []
    assert set(names(ledger)) == {f"p{each}" for each in range(SOME + 10)}


def test_what_a_process_with_other_folds_writes_meanwhile_is_made_right_too(ledger: AnyLedger, opening: Open) -> None:
    with closing(opening(())) as wrong:

        def beside(recorded: Recorded) -> Sequence[Change]:
            if recorded.seq == SOME // 2:
                append(wrong, StreamId("ff" * 16), created("unfolded"))
            return ()

        with closing(opening((*FOLDS, beside))) as other:
            assert other.rebuild() == SOME + 1
    assert list(ledger.verify()) == []
    assert "unfolded" in names(ledger)


def test_writers_in_other_threads_meet_no_error_and_readers_no_gap(ledger: AnyLedger) -> None:
    done, errors, counts = threading.Event(), [], []

    def write(own: int) -> None:
        for number in range(100):
            append(ledger, StreamId(f"{own}{number:031x}"), created(f"q{own}-{number}"))

    def read() -> None:
        while not done.is_set():
            counts.append(ledger.views.count(ProjectRow, team_id=TEAM, order="name"))

    def guard(act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 (told below)
            errors.append(error)

    threads = [threading.Thread(target=guard, args=(act,)) for act in (lambda: write(1), lambda: write(2), read)]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads[:2]):
            ledger.rebuild()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert counts == sorted(counts)
    assert counts[0] >= SOME
    assert list(ledger.verify()) == []


def test_killed_in_the_middle_it_leaves_the_rows_as_they_were(ledger: AnyLedger, opening: Open) -> None:
    damage(ledger)
    rows = list(ledger.dump())

    def killed(recorded: Recorded) -> Sequence[Change]:
        if recorded.seq == SOME - 1:
            raise KeyboardInterrupt
        return ()

    with closing(opening((*FOLDS, killed))) as other, pytest.raises(KeyboardInterrupt):
        other.rebuild()
    assert list(ledger.dump()) == rows
    ledger.rebuild()
    assert list(ledger.verify()) == []


def test_an_event_too_many_for_the_lock_is_folded_before_it(
    ledger: AnyLedger, opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "NEAR", 5)
    monkeypatch.setattr(postgres_module, "NEAR", 5)
    written: list[int] = []

    def beside(recorded: Recorded) -> Sequence[Change]:
        if recorded.seq in {10, SOME} and len(written) < 40:
            for number in range(len(written), len(written) + 20):
                append(ledger, StreamId(f"{SOME + number:032x}"), created(f"p{SOME + number}"))
                written.append(number)
        return ()

    with closing(opening((*FOLDS, beside))) as other:
        assert other.rebuild() == SOME + 40
    assert list(ledger.verify()) == []
