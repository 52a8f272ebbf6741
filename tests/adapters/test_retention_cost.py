"""Deciding about many versions asks the database as often as deciding about few: once for each artifact."""

from __future__ import annotations

from pathlib import Path

import pytest

from muniment.app import holds, policies, retention, runs
from muniment.app.retention import REMOVING
from muniment.app.store import Store
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.policy import DAY, Start, Terms
from tests.acts import Acts
from tests.adapters.test_cost import Cost, measured
from tests.stores import Clock, sqlite_store

FEW, MANY, NAMES = 10, 200, 3


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with a policy that counts newer versions and last uses, and a hold that concerns nothing."""
    store = sqlite_store(tmp_path)
    store.ledger._file.writer().execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]  # noqa: SLF001
    scope = ScopeKind.PROJECT, Acts(store).project.project_id
    policies.set_policy(store, *scope, Terms(maximum=7 * DAY))
    policies.set_policy(store, *scope, Terms(Start.SUPERSEDED, minimum=DAY, keep_last=2))
    holds.place(store, HoldKind.LITIGATION, ScopeKind.TAG, "", "a matter", tag="evidence")
    return store


def grow(store: Store, begin: int, end: int) -> None:
    acts = Acts(store)
    for number in range(begin, end):
        for name in range(NAMES):
            acts.log(f"name-{name}", f"{name} {number}")
    acts.link(f"name-0:v{begin}", "wandb-registry-model/links")
    runs.use(store, acts.find(f"name-1:v{begin}").version.version_id, None)


def cost_of_due(store: Store, after: int) -> tuple[Cost, int]:
    assert isinstance(store.clock, Clock)
    with measured(store) as cost:
        found = sum(1 for _ in retention.due(store, store.clock.now + after))
    return cost, found


def test_where_nothing_is_due_many_versions_cost_as_many_statements_as_few(store: Store) -> None:
    grow(store, 0, FEW)
    few, found = cost_of_due(store, 0)
    assert found == 0
    grow(store, FEW, MANY)
    many, found = cost_of_due(store, 0)
    assert found == 0
    assert len(many.statements) <= len(few.statements) + 5, "a page more, a link more"


def test_what_is_due_costs_a_few_statements_each_where_holds_are_in_force(store: Store) -> None:
    grow(store, 0, MANY)
    idle, _ = cost_of_due(store, 0)
    cost, found = cost_of_due(store, 8 * DAY)
    assert found >= NAMES * MANY - NAMES * 2 - 1
    assert (len(cost.statements) - len(idle.statements)) / found <= 3


def test_the_quick_answer_is_the_whole_one(store: Store) -> None:
    grow(store, 0, FEW)
    assert isinstance(store.clock, Clock)
    now = store.clock.now + 8 * DAY
    book = retention.book(store)
    whole = {row.version_id: book.decide(row, now) for row in retention.kept(store.views)}
    quick = {row.version_id: decision for row, decision in retention.due(store, now)}
    assert quick == {id_: decision for id_, decision in whole.items() if decision.action in REMOVING}
    assert quick
