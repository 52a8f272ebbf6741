"""The turn to delete, between processes and machines: whoever dies leaves it, whoever lost it is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from muniment.adapters.ledger.postgres import PostgresLedger
from muniment.domain.errors import StorageError
from muniment.domain.ports import Ledger
from tests.servers.postgres import postgres_ledger, running
from tests.stores import Clock, sqlite_ledger

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
HELD = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
AND (classid::bigint << 32 | objid::bigint) = hashtextextended('muniment.deleting.{schema}', 0)
"""


@pytest.fixture
def url() -> str:
    return running().url()


@pytest.fixture(params=["sqlite", "postgres"])
def machines(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> Iterator[tuple[Ledger, Ledger]]:
    """Return one ledger as two processes open it."""

    def opened() -> Ledger:
        if request.param == "postgres":
            return postgres_ledger(url, Clock())
        return sqlite_ledger(tmp_path / "ledger.sqlite3", Clock())

    one, other = opened(), opened()
    yield one, other
    one.close()
    other.close()


def test_whoever_is_killed_leaves_the_turn_to_others(machines: tuple[Ledger, Ledger]) -> None:
    one, other = machines
    here, there = os.pipe()
    child = os.fork()
    if not child:
        with one.alone():
            os.write(there, b"!")
            signal.pause()
    try:
        assert os.read(here, 1) == b"!"
        assert other.deleting()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with other.alone() as require:
        require()
        assert one.deleting()
    os.close(here)
    os.close(there)


def test_two_who_opened_the_ledger_exclude_each_other(machines: tuple[Ledger, Ledger]) -> None:
    one, other = machines
    with one.alone():
        assert other.deleting()
    with other.alone():
        assert one.deleting()


def test_another_ledger_in_the_same_database_is_not_waited_for(url: str) -> None:
    one, other = postgres_ledger(url, Clock()), postgres_ledger(running().url(), Clock())
    with one.alone(), other.alone() as require:
        require()
    one.close()
    other.close()


@pytest.fixture
def ledger(url: str) -> Iterator[PostgresLedger]:
    ledger = postgres_ledger(url, Clock())
    yield ledger
    ledger.close()


def test_a_turn_whose_session_was_lost_is_worth_nothing(ledger: PostgresLedger, url: str) -> None:
    schema = urlsplit(url).query.rpartition("schema=")[2]
    held = HELD.format(schema=schema)
    with ledger.alone() as require:
        require()
        running().sql(held.replace("count(*)", "pg_terminate_backend(pid, 60000)"))
        assert not ledger.deleting()
        with ledger.alone() as require_ours:
            require_ours()
        with pytest.raises(StorageError, match=r"was lost.*collect again"):
            require()
    assert running().sql(held) == [(0,)]


def test_a_turn_that_cannot_be_taken_is_a_storage_error(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    ledger = sqlite_ledger(folder / "ledger.sqlite3", Clock())
    ledger.close()
    (folder / "ledger.deleting.lock").mkdir()
    with pytest.raises(StorageError, match=r"ledger\.deleting\.lock cannot be opened"), ledger.alone():
        pass
