"""The ledger in PostgreSQL: the suite of the port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from muniment.adapters.ledger.core import COMMANDS_KEPT
from muniment.adapters.ledger.postgres import PostgresLedger
from muniment.domain.ports import Ledger, Outcome
from tests.conformance.ledger import LedgerConformance
from tests.conformance.ledger_acts import START, Dial, command
from tests.servers.postgres import postgres_ledger, running


class TestPostgresLedger(LedgerConformance):
    @pytest.fixture
    def ledger(self, dial: Dial) -> Iterator[Ledger]:
        ledger = postgres_ledger(running().url(), dial)
        yield ledger
        ledger.close()

    def test_what_is_over_is_not_in_the_tables_any_more(self, ledger: PostgresLedger, dial: Dial) -> None:
        ledger.transact(command(), lambda _: Outcome())
        ledger.work(lambda transaction: transaction.scratch.put("draft", "k", "typed", START + 10))
        ledger.work(lambda transaction: transaction.scratch.put("draft", "l", "typed"))
        dial.now += COMMANDS_KEPT + 1
        ledger.work(lambda _: None)
        with closing(ledger.address.connect()) as connection:
            assert connection.execute("SELECT count(*) FROM commands").fetchall() == [(0,)]
            assert connection.execute("SELECT key FROM scratch").fetchall() == [("l",)]
