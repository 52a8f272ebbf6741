"""Short words for the tests of the library: an artifact of one file, a run that logs it, what was recorded."""

from __future__ import annotations

from typing import Any

import muniment as wandb
from muniment.app import catalog, directory, runs
from muniment.app.sdk import session
from muniment.domain.rows import EdgeRow, RunRow
from muniment.domain.values import Json


def artifact(text: str = "hello", name: str = "ds", type_: str = "dataset", **arguments: Any) -> wandb.Artifact:
    made = wandb.Artifact(name, type_, **arguments)
    with made.new_file("a.txt") as file:
        file.write(text)
    return made


def logged(text: str = "hello", name: str = "ds", **arguments: Any) -> wandb.Artifact:
    made = artifact(text, name, **arguments)
    with wandb.init() as run:
        run.log_artifact(made)
    return made


def row_of(run: wandb.Run) -> RunRow:
    store = session.store()
    return runs.named(store, directory.project(store.views, run.entity, run.project), run.id)


def kept(slot: Any) -> Json:
    return session.store().vault.get_many({slot})[slot]


def events() -> list[str]:
    return [each.type for each in session.store().ledger.read()]


def edges(made: wandb.Artifact) -> list[EdgeRow]:
    select = session.store().views.select
    return [edge for role in ("in", "out") for edge in select(EdgeRow, version_id=made.id, role=role, order="edge_seq")]


def find(name: str) -> wandb.Artifact:
    """Return an artifact by its name, fresh from the store."""
    return wandb.Artifact.of(session.store(), catalog.find(session.store().views, session.address(name)))
