"""X6: a report of many events is streamed: three times as many take no more memory."""

from __future__ import annotations

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

FEW, MANY = 3000, 9000
MARGIN = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = sqlite_store(tmp_path)
    append(store.ledger, P, created("p"), *(ProjectRenamed(f"p{number % 2}") for number in range(MANY)))
    return store


def streamed(store: Store, form: str, at: int) -> tuple[int, int]:
    """Return how many rows a report of the first events has, and what memory making it took at most."""
    tracemalloc.start()
    try:
        parts = making.stream(store, reports.named("audit-trail"), Wanted(at=at), form)
        rows = sum(part.count(b"\n") for part in parts)
        return rows, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_x6_three_times_as_many_events_take_no_more_memory(store: Store) -> None:
    (few, small), (many, large) = (streamed(store, "jsonl", at) for at in (FEW, MANY))
    assert (few, many) == (FEW, MANY)
    assert large < small + MARGIN, (small, large)
