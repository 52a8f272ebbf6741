"""The suites on a database of one's own: ``POSTGRES_TEST_URL=postgresql://user@host/database``.

Each test makes a schema with a name by chance, works in it alone, and drops it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex

import pytest

from muniment.adapters.postgres import Address
from muniment.adapters.vault.postgres import PostgresVault
from muniment.adapters.views import postgres as rows
from muniment.domain.ports import Ledger, Vault
from tests.adapters.test_postgres_views import PostgresStand
from tests.conformance.ledger import LedgerConformance
from tests.conformance.ledger_acts import Dial
from tests.conformance.stand import Stand
from tests.conformance.vault import Clock, VaultConformance
from tests.conformance.views import ViewsConformance
from tests.servers.postgres import postgres_ledger

URL = os.environ.get("POSTGRES_TEST_URL", "")


@pytest.fixture
def url() -> Iterator[str]:
    """Give the URL of a schema that is not there yet; drop the schema in the end."""
    own = f"{URL}{'&' if '?' in URL else '?'}schema=muniment_test_{token_hex(8)}"
    yield own
    address = Address.parse(own, "")
    with closing(address.connect()) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{address.schema}" CASCADE'.encode())


if URL:

    class TestOwnLedger(LedgerConformance):
        @pytest.fixture
        def ledger(self, url: str, dial: Dial) -> Iterator[Ledger]:
            with closing(postgres_ledger(url, dial)) as ledger:
                yield ledger

    class TestOwnVault(VaultConformance):
        @pytest.fixture
        def vault(self, url: str, tmp_path: Path, clock: Clock) -> Iterator[Vault]:
            with closing(PostgresVault.at(url, tmp_path / "master.key", "5eed" * 8, clock=clock)) as vault:
                yield vault

    class TestOwnViews(ViewsConformance):
        @pytest.fixture
        def stand(self, url: str) -> Iterator[Stand]:
            address = Address.parse(url, "")
            with closing(address.connect()) as connection:
                connection.execute(f'CREATE SCHEMA "{address.schema}"'.encode())
                rows.create(connection.cursor())
                yield PostgresStand(connection)


def test_the_suites_run_here_if_a_database_is_named() -> None:
    assert ("TestOwnLedger" in globals()) == bool(URL)
