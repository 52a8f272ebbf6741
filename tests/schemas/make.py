"""Writes down a ledger with the tables of today: ``python -m tests.schemas.make`` makes ``<number>.json`` beside it.

To be run once for each number of the schema, before the step to the next one is written; the file then stays as it is.
Each file holds the statements that make the tables in either database, and the rows of a small store, in the order of
the columns; bytes are written as ``{"hex": "…"}``.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from muniment.adapters.ledger import postgres_schema
from muniment.adapters.views import postgres_statements
from muniment.app import registries, runs
from muniment.domain.rows import EVERY
from tests.app.scene import Scene
from tests.stores import Clock, sqlite_store

FOLDER = Path(__file__).parent
OWN = ("events", "leaves", "head", "commands", "scratch")
"""The tables of the ledger itself, whose columns differ in name but not in order; only the head differs in both."""


def happen(scene: Scene) -> None:
    """Let a little of everything happen, uses and downloads too."""
    first = scene.log("mnist", {"a.txt": "one", "b.txt": "two"}, "best", tags=("raw",), metadata={"rows": 2}).version_id
    scene.log("mnist", "other", "best")
    run = scene.run("train", config={"rate": 1})
    store = scene.store.acting(run=run.run_id)
    runs.use(store, first, run.run_id)
    runs.downloaded(store, first, entries=2, size=6)
    runs.use(scene.store, first, None)
    scene.log("model", "weights", "best", run=run, type_="model")
    registries.create(scene.store, "local", "gold")
    scene.link("model:best", "gold/net", "production")
    scene.delete("mnist:v1", delete_aliases=True)


def taken(path: Path) -> dict[str, Any]:
    """Return the statements and the rows."""
    with closing(sqlite3.connect(path)) as connection:
        made = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
        tables = [*OWN, *(kind.table.name for kind in EVERY)]
        rows = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}  # noqa: S608
        (number,) = connection.execute("PRAGMA user_version").fetchone()
    statements = (statement for kind in EVERY for statement in postgres_statements.schema(kind))
    return {
        "number": number,
        "sqlite": [sql for (sql,) in made],
        "postgres": [*postgres_schema.TABLES, *statements],
        "rows": {name: [list(map(written, row)) for row in found] for name, found in rows.items()},
    }


def written(cell: object) -> object:
    """Return a cell as JSON holds it."""
    return {"hex": cell.hex()} if isinstance(cell, bytes) else cell


def lined(found: dict[str, Any]) -> str:
    """Return it as JSON with a line for each statement and row, so that a change shows in a diff."""
    rows = ",\n".join(f'"{name}": {_listed(each)}' for name, each in found["rows"].items())
    statements = ",\n".join(f'"{name}": {_listed(found[name])}' for name in ("sqlite", "postgres"))
    return f'{{"number": {found["number"]},\n{statements},\n"rows": {{\n{rows}\n}}}}\n'


def _listed(each: list[Any]) -> str:
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in each)
    return f"[\n{lines}\n]"


def main() -> None:
    """Write the file of today's number."""
    with tempfile.TemporaryDirectory() as folder:
        store = sqlite_store(Path(folder))
        happen(Scene(store, Clock()))
        store.ledger.close()
        found = taken(Path(folder, "ledger.sqlite3"))
    lines = lined(found)
    FOLDER.joinpath(f"{found['number']}.json").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
