"""X6: a report of many events is streamed: what it takes has a bound that the rows together are far beyond."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from muniment.app import reports
from muniment.app.reports import making
from muniment.app.reports.making import Wanted
from muniment.app.store import Store
from muniment.domain.project import ProjectRenamed
from tests.conformance.ledger_acts import P, append, created
from tests.stores import sqlite_store

EVENTS = 9000
BOUND = 14_000_000
"""Bytes: 10,000,000 are held at most; with all rows at once it would be 18,000,000."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = sqlite_store(tmp_path)
    append(store.ledger, P, created("p"), *(ProjectRenamed(f"p{number % 2}") for number in range(EVENTS)))
    return store


def streamed(store: Store, form: str, at: int) -> tuple[int, int]:
    """Return how many rows a report of the first events has, and what memory making it took at most."""
    gc.collect()
    tracemalloc.start()
    try:
        parts = making.stream(store, reports.named("audit-trail"), Wanted(at=at), form)
        rows = sum(part.count(b"\n") for part in parts)
        return rows, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_x6_a_report_of_many_events_is_never_held_as_a_whole(store: Store) -> None:
    rows, most = streamed(store, "jsonl", EVENTS)
    assert rows == EVENTS
    assert most < BOUND
