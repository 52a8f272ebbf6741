"""A command and a look-up cost the same among a thousand as among ten: as many statements, and no row stepped over."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import define, field

from muniment.app import catalog, link_artifact, runs
from muniment.app.store import Store
from muniment.domain.rows import AliasRow, ArtifactRow, LinkRow, TimelineRow, VersionRow
from muniment.domain.values import Ttl, numbering_stream
from tests.acts import HOUR, Acts
from tests.stores import sqlite_store

FEW, MANY, PAGE = 10, 1000, 5


@define
class Cost:
    """What was asked of the database, and how many steps its machine took for it (in tens)."""

    statements: list[str] = field(factory=list)
    steps: int = 0

    def step(self) -> int:
        self.steps += 1
        return 0


@contextmanager
def measured(store: Store) -> Iterator[Cost]:
    """Watch the connections for writing and for reading."""
    file = store.ledger._file  # type: ignore[attr-defined]  # noqa: SLF001 (to watch it)
    connections = (file.writer(), file.reader().connection)
    cost = Cost()
    for connection in connections:
        connection.set_trace_callback(cost.statements.append)
        connection.set_progress_handler(cost.step, 10)
    yield cost
    for connection in connections:
        connection.set_trace_callback(None)
        connection.set_progress_handler(None, 0)


def grow(store: Store, begin: int, end: int) -> None:
    """Have so many versions with an alias and a tag each, as many artifacts, links, and inputs of a run."""
    acts = Acts(store)
    run = runs.start(store, acts.project, runs.RunDraft("run", "run"))
    for number in range(begin, end):
        acts.log("big", f"content {number}", aliases=(f"alias-{number}",), tags=("gold",), run=run.run_id)
        acts.log(f"name-{number:04}", "same")
        acts.link(f"big:v{number}", "wandb-registry-model/links", f"link-{number}")


ACTS: dict[str, Callable[[Acts], object]] = {
    "log": lambda acts: acts.log("big", f"new {acts.store.ledger.head().size}"),
    "log with an alias and a tag": lambda acts: acts.log(
        "big", f"named {acts.store.ledger.head().size}", aliases=("best",), tags=("gold",)
    ),
    "log what is there": lambda acts: acts.log("big", "content 3"),
    "log under a new name": lambda acts: acts.log(f"fresh-{acts.store.ledger.head().size}", "x"),
    "move an alias": lambda acts: acts.edit(f"big:v{acts.store.ledger.head().size % FEW}", add_aliases=("moving",)),
    "set a TTL": lambda acts: acts.edit("big:v4", ttl=Ttl.after(HOUR + acts.store.ledger.head().size)),
    "link": lambda acts: acts.link("name-0003:v0", f"wandb-registry-model/other-{acts.store.ledger.head().size}"),
    "link into the large collection, and out": lambda acts: link_artifact.unlink(
        acts.store, acts.link("name-0004:v0", "wandb-registry-model/links")
    ),
    "use": lambda acts: runs.use(acts.store, acts.find("big:v1").version.version_id, None),
    "find by alias": lambda acts: acts.find("big:alias-7"),
    "find by number": lambda acts: acts.find("big:v7"),
    "find the latest": lambda acts: acts.find("big:latest"),
    "find by name": lambda acts: acts.find("name-0005:latest"),
    "find in a registry": lambda acts: acts.find("wandb-registry-model/links:link-5"),
    "find the latest in a registry": lambda acts: acts.find("wandb-registry-model/links:latest"),
    "find as of a moment": lambda acts: acts.find("big:alias-2", at=acts.find("big:v6").version.created_seq),
    "aliases of a version": lambda acts: catalog.all_aliases(acts.store.views, acts.find("big:v5")),
    "links of a version": lambda acts: catalog.links_of(acts.store.views, acts.find("big:v5").version.version_id),
    "a page of versions": lambda acts: page(acts, VersionRow, "index", artifact_id=acts.artifact("big").artifact_id),
    "a page of names": lambda acts: page(acts, ArtifactRow, "name", project_id=acts.project.project_id),
    "a page of aliases": lambda acts: page(acts, AliasRow, "alias", owner_id=acts.artifact("big").artifact_id),
    "a page of history": lambda acts: page(acts, TimelineRow, "event_seq", subject_id=acts.project.project_id),
    "a page of links": lambda acts: page(
        acts, LinkRow, "link_id", artifact_id=acts.find("big:v0").artifact.artifact_id
    ),
    "the beginning of a stream": lambda acts: list(
        acts.store.ledger.read(stream=numbering_stream(acts.artifact("big").artifact_id), limit=PAGE)
    ),
    "the head": lambda acts: acts.store.ledger.head(),
}


def page(acts: Acts, kind: Any, order: str, **equal: Any) -> None:
    rows = acts.store.views.select(kind, order=order, limit=PAGE, descending=True, **equal)
    assert len(rows) == PAGE
    assert acts.store.views.select(kind, order=order, limit=2, after=getattr(rows[0], order), **equal) == []


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[dict[str, Cost]]]]:
    store = sqlite_store(tmp_path_factory.mktemp("store"))
    store.ledger._file.writer().execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]  # noqa: SLF001
    found: list[dict[str, Cost]] = []
    for begin, end in ((0, FEW), (FEW, MANY)):
        grow(store, begin, end)
        found.append({})
        for name, act in ACTS.items():
            act(Acts(store))
            with measured(store) as cost:
                act(Acts(store))
            found[-1][name] = cost
    yield store, found
    store.ledger.close()


@pytest.mark.parametrize("name", ACTS)
def test_a_thousand_cost_what_ten_cost(costs: tuple[Store, list[dict[str, Cost]]], name: str) -> None:
    few, many = (each[name] for each in costs[1])
    assert few.statements
    assert len(many.statements) == len(few.statements)
    assert many.steps <= few.steps * 1.25 + 10, "rows are stepped over"


@pytest.mark.parametrize("name", ACTS)
def test_no_statement_scans_a_table_or_sorts_what_it_finds(
    costs: tuple[Store, list[dict[str, Cost]]], name: str
) -> None:
    store, (_, many) = costs
    reader = store.ledger._file.reader()  # type: ignore[attr-defined]  # noqa: SLF001
    for statement in many[name].statements:
        for line in plan(reader, statement):
            assert not line.startswith("SCAN") or line.startswith("SCAN (subquery"), statement  # of one row
            assert "TEMP B-TREE FOR ORDER BY" not in line, statement  # for its right part: only rows that tie


def plan(reader: sqlite3.Cursor, statement: str) -> list[str]:
    words = ("SELECT", "INSERT", "UPDATE", "DELETE")
    if not statement.lstrip().startswith(words):
        return []
    return [row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()]
