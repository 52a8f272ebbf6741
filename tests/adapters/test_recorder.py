"""Our recorders keep the promises of the library's: its own conformance tests run against them.

Its tests of speed only print figures; they run as they are. Nothing is skipped. The module they are in imports a
cipher that only its other tests use: the library has the same one on ``cryptography``, which we have anyway.
The ledger in PostgreSQL is no recorder of the library's; ``tests/recorders.py`` makes one of its parts.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import eventsourcing.cryptography
import pytest
from eventsourcing.persistence import AggregateRecorder, IntegrityError, NotSupportedError, StoredEvent
from eventsourcing.sqlite import SQLiteDatastore

sys.modules.setdefault("eventsourcing.cipher", eventsourcing.cryptography)

from eventsourcing.tests.persistence import (  # noqa: E402 (see above)
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

from muniment.adapters.ledger.memory import MemoryRecorder  # noqa: E402
from muniment.adapters.ledger.postgres import PostgresLedger  # noqa: E402
from muniment.adapters.ledger.recorder import TABLE, LedgerRecorder  # noqa: E402
from tests.recorders import PostgresRecorder  # noqa: E402
from tests.servers.postgres import postgres_ledger, running  # noqa: E402
from tests.stores import Clock  # noqa: E402


class InFile:
    """Makes recorders in files, which go when the test is over."""

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.stores: list[SQLiteDatastore] = []
        self.running = set(threading.enumerate())

    def tearDown(self) -> None:
        # the library's tests do not wait for their readers, and a connection in use must not be closed
        for reader in set(threading.enumerate()) - self.running:
            reader.join()
        for store in self.stores:
            store.close()
        self.folder.cleanup()

    def create_recorder(self) -> LedgerRecorder:
        path = Path(self.folder.name, "ledger.sqlite3")
        self.stores.append(SQLiteDatastore(str(path), originator_id_type="text", lock_timeout=60))
        recorder = LedgerRecorder(self.stores[-1], TABLE)
        recorder.create_table()
        return recorder

    def new_originator_id(self) -> str:
        return uuid4().hex


class InMemory:
    """Makes recorders in memory."""

    def create_recorder(self) -> MemoryRecorder:
        return MemoryRecorder()

    def new_originator_id(self) -> str:
        return uuid4().hex


class InPostgres:
    """Makes recorders in a schema of their own."""

    def setUp(self) -> None:
        self.ledgers: list[PostgresLedger] = []
        self.running = set(threading.enumerate())

    def tearDown(self) -> None:
        for reader in set(threading.enumerate()) - self.running:
            reader.join()
        for ledger in self.ledgers:
            ledger.close()
            running().sql(f'DROP SCHEMA "{ledger.address.schema}" CASCADE')

    def create_recorder(self) -> PostgresRecorder:
        self.ledgers.append(postgres_ledger(running().url(), Clock()))
        return PostgresRecorder(self.ledgers[-1])

    def new_originator_id(self) -> str:
        return uuid4().hex


class Unnumbered:
    """Tells no ids of what it wrote: that is all in which the library's recorders of aggregates differ from ours."""

    def __init__(self, recorder: AggregateRecorder) -> None:
        self.recorder = recorder

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> None:
        self.recorder.insert_events(stored_events)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.recorder, name)


class TestAggregatesInFile(InFile, AggregateRecorderTestCase):
    def create_recorder(self) -> Any:
        return Unnumbered(super().create_recorder())


class TestApplicationInFile(InFile, ApplicationRecorderTestCase[LedgerRecorder]):
    pass


class TestOrderInFile(InFile, NonInterleavingNotificationIDsBaseCase):
    pass


class TestAggregatesInMemory(InMemory, AggregateRecorderTestCase):
    def create_recorder(self) -> Any:
        return Unnumbered(super().create_recorder())


class TestApplicationInMemory(InMemory, ApplicationRecorderTestCase[MemoryRecorder]):
    pass


class TestOrderInMemory(InMemory, NonInterleavingNotificationIDsBaseCase):
    pass


class TestAggregatesInPostgres(InPostgres, AggregateRecorderTestCase):
    def create_recorder(self) -> Any:
        return Unnumbered(super().create_recorder())


class TestApplicationInPostgres(InPostgres, ApplicationRecorderTestCase[PostgresRecorder]):
    def test_nobody_is_told_of_new_events(self) -> None:
        with pytest.raises(NotSupportedError, match="read it from a number on"):
            self.create_recorder().subscribe()


class TestOrderInPostgres(InPostgres, NonInterleavingNotificationIDsBaseCase):
    pass


del AggregateRecorderTestCase, ApplicationRecorderTestCase, NonInterleavingNotificationIDsBaseCase


def stored(position: int, stream: str = "s") -> StoredEvent:
    return StoredEvent(stream, position, "topic", b"%d" % position)


def test_what_was_written_last_can_be_taken_back() -> None:
    recorder = MemoryRecorder()
    recorder.insert_events([stored(1), stored(2)])
    recorder.insert_events([stored(3), stored(1, "t")])
    recorder.truncate(2)
    assert recorder.select_events("s") == [stored(1), stored(2)]
    assert recorder.select_events("t") == []
    recorder.insert_events([stored(3)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([stored(3)])
