"""The ledger in memory and in SQLite: the suite of the port, threads, processes, crashes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from muniment.domain.ports import Ledger
from tests.conformance.ledger import LedgerConformance
from tests.conformance.ledger_acts import Dial
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
