"""A14: a writer that dies before any statement, or whose disk is full at any page, leaves all of an act or nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from muniment.adapters.ledger.postgres import PostgresLedger
from muniment.adapters.ledger.sqlite import SqliteLedger
from muniment.domain.errors import StorageFullError
from tests.conformance.ledger_acts import Dial, P, Q, append, created, version
from tests.servers.postgres import postgres_ledger, running
from tests.stores import sqlite_ledger

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
BEFORE, MORE = 254, 3
"""So many events that the act between makes a tile of the tree too."""
STEPS = ("BEGIN", "INTO events", "INTO leaves", "INTO tiles", "INTO commands", "head SET", "COMMIT")
Open = Callable[[], SqliteLedger | PostgresLedger]


@pytest.fixture(params=["sqlite", "postgresql"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Return what opens a ledger that is at rest, in another process too."""
    url = running().url() if request.param == "postgresql" else ""

    def opened() -> SqliteLedger | PostgresLedger:
        return postgres_ledger(url, Dial()) if url else sqlite_ledger(tmp_path / "ledger.sqlite3", Dial())

    with closing(opened()) as ledger:
        append(ledger, P, *(version() for _ in range(BEFORE)))
    return opened


def watch(ledger: SqliteLedger | PostgresLedger, heard: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each statement of a writer be heard before it is run."""
    if isinstance(ledger, SqliteLedger):
        ledger._file.writer().set_trace_callback(heard)  # noqa: SLF001 (what is written by whom)
        return
    run = psycopg.Cursor.execute

    def listened(cursor: Any, query: Any, *rest: Any, **more: Any) -> Any:
        heard(query.decode() if isinstance(query, bytes) else str(query))
        return run(cursor, query, *rest, **more)

    monkeypatch.setattr(psycopg.Cursor, "execute", listened)


def die(reopen: Open, fatal: int, trace: Path) -> bool:
    """Let a child act and be killed before the statement of this number; return whether it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            heard = count(fatal)

            def killed(statement: str) -> None:
                if next(heard) == 0:
                    trace.write_text(statement, encoding="utf-8")
                    os.kill(os.getpid(), signal.SIGKILL)

            ledger = reopen()
            watch(ledger, killed, pytest.MonkeyPatch())
            append(ledger, Q, created("q"), *(version() for _ in range(MORE - 1)))
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, -signal.SIGKILL}
    return code == 0


def test_a14_killed_before_any_statement_all_is_there_or_nothing(reopen: Open, tmp_path: Path) -> None:
    """Before the first statement, between event and leaf, leaf and tile, tile and head, and before the commit."""
    trace, died_before, done = tmp_path / "trace", [], False
    for fatal in range(0, -100, -1):
        done = die(reopen, fatal, trace)
        with closing(reopen()) as ledger:
            assert list(ledger.verify()) == [], fatal
            assert ledger.head().size == BEFORE + (MORE if done else 0), fatal
        if done:
            break
        died_before.append(trace.read_text(encoding="utf-8"))
    assert done
    for step in STEPS:
        assert any(step in each for each in died_before), step


def test_a14_a_disk_that_is_full_at_any_page_leaves_all_or_nothing(tmp_path: Path) -> None:
    with closing(sqlite_ledger(tmp_path / "ledger.sqlite3", Dial())) as ledger:
        append(ledger, P, *(version() for _ in range(BEFORE)))
        writer = ledger._file.writer()  # noqa: SLF001 (to fill the disk)
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        size, room, full = BEFORE, pages, 0
        while size == BEFORE:
            writer.execute(f"PRAGMA max_page_count = {room}")
            try:
                append(ledger, Q, *(version() for _ in range(40)))
            except StorageFullError:
                full += 1
            size = ledger.head().size
            assert list(ledger.verify()) == [], room
            room += 1
    assert (size, full > 4) == (BEFORE + 40, True)
