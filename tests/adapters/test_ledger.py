"""The ledger in memory and in SQLite: the suite of the port, and what is said when the disk is full."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from muniment.adapters.ledger.core import COMMANDS_KEPT
from muniment.adapters.ledger.sqlite import SqliteLedger
from muniment.domain.errors import PermissionDeniedError, StorageError, StorageFullError
from muniment.domain.ports import Ledger, Outcome
from muniment.domain.project import ProjectRenamed
from tests.conformance.ledger import LedgerConformance
from tests.conformance.ledger_acts import START, Dial, P, Print, Q, append, command, created, raising
from tests.stores import memory_ledger, sqlite_ledger


class TestMemoryLedger(LedgerConformance):
    @pytest.fixture
    def ledger(self, dial: Dial) -> Ledger:
        return memory_ledger(dial)


class TestSqliteLedger(LedgerConformance):
    @pytest.fixture
    def ledger(self, dial: Dial, tmp_path: Path) -> Iterator[Ledger]:
        ledger = sqlite_ledger(tmp_path / "ledger.sqlite3", dial)
        yield ledger
        ledger.close()

    def test_what_is_over_is_not_in_the_file_any_more(self, ledger: Ledger, dial: Dial, tmp_path: Path) -> None:
        ledger.transact(command(), lambda _: Outcome())
        ledger.work(lambda transaction: transaction.scratch.put("draft", "k", "typed", START + 10))
        ledger.work(lambda transaction: transaction.scratch.put("draft", "l", "typed"))
        dial.now += COMMANDS_KEPT + 1
        ledger.work(lambda _: None)
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection:
            assert connection.execute("SELECT count(*) FROM commands").fetchone() == (0,)
            assert connection.execute("SELECT key FROM scratch").fetchall() == [("l",)]

    def test_only_the_owner_may_read_its_files(self, ledger: Ledger, tmp_path: Path) -> None:
        append(ledger, P, created("p"))
        assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("ledger*")} == {0o600}

    def test_a_full_disk_is_said_and_leaves_the_ledger_as_it_was(self, ledger: SqliteLedger) -> None:
        append(ledger, P, created("p"))
        before = Print.of(ledger)
        writer = ledger._file.writer()  # noqa: SLF001 (to fill the disk)
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageFullError, match="no space left"):
            append(ledger, Q, *(ProjectRenamed(f"{number}" * 50) for number in range(500)))
        assert Print.of(ledger) == before
        writer.execute(f"PRAGMA max_page_count = {pages + 1000}")
        append(ledger, Q, created("q"))
        assert list(ledger.verify()) == []

    def test_a_refusal_that_cannot_be_recorded_leaves_nothing(self, ledger: SqliteLedger) -> None:
        append(ledger, P, created("p"))
        before = Print.of(ledger)
        ledger._file.writer().set_authorizer(no_answers)  # noqa: SLF001 (to make it fail at the very end)
        with pytest.raises(StorageError):
            ledger.transact(command(), raising(PermissionDeniedError("not you")))
        ledger._file.writer().set_authorizer(None)  # noqa: SLF001
        assert Print.of(ledger) == before
        append(ledger, Q, created("q"))
        assert list(ledger.verify()) == []


def no_answers(action: int, table: str | None, *_: str | None) -> int:
    """Forbid a connection to keep the answers to commands."""
    return sqlite3.SQLITE_DENY if (action, table) == (sqlite3.SQLITE_INSERT, "commands") else sqlite3.SQLITE_OK
