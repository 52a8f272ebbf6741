"""Batched projections in every ledger: the suite of their port, and rows made again while others read and write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.ledger_acts import Dial
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
