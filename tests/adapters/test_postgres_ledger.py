"""The ledger in PostgreSQL: the suite of the port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from muniment.domain.ports import Ledger
from tests.conformance.ledger import LedgerConformance
from tests.conformance.ledger_acts import Dial
from tests.servers.postgres import postgres_ledger, running


class TestPostgresLedger(LedgerConformance):
    @pytest.fixture
    def ledger(self, dial: Dial) -> Iterator[Ledger]:
        ledger = postgres_ledger(running().url(), dial)
        yield ledger
        ledger.close()
