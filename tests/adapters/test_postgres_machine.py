"""The state machine of the ledger on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

from muniment.app.projections import FOLDS
from muniment.app.store import Store
from tests.adapters.test_ledger_machine import Machine
from tests.servers.postgres import postgres_ledger, running
from tests.stores import Clock, store_on


class OnPostgres(Machine):
    def open(self, folder: Path, clock: Clock) -> Store:
        return store_on(postgres_ledger(running().url(), clock, (*FOLDS, self.remember)), folder, clock)


TestOnPostgres = OnPostgres.TestCase
TestOnPostgres.settings = settings(max_examples=8, stateful_step_count=25, deadline=None)
