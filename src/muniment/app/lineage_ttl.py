"""One TTL for a version and all that it was made from, or all that was made from it."""

from __future__ import annotations

from collections.abc import Iterator

from muniment.app import catalog, lifecycle, previews, trial
from muniment.app.catalog import Found
from muniment.app.lifecycle import Edits
from muniment.app.previews import Difference
from muniment.app.store import Store
from muniment.app.telling import lineage
from muniment.app.transact import Request, Steps
from muniment.domain.errors import InvalidValueError
from muniment.domain.rows import VersionRow
from muniment.domain.values import Ttl
from muniment.domain.version import State

UP, DOWN = "up", "down"


def members(store: Store, found: Found, direction: str, depth: int | None = None) -> list[Found]:
    """Return a version and the live versions *up* or *down* its lineage, nearest first, at most *depth* steps away.

    What reaches further than can be looked at is refused: a TTL that is set on half of a lineage looks whole.
    """
    steps = lineage.DEPTH if depth is None else depth
    up, down = (steps, 0) if direction == UP else (0, steps)
    graph = lineage.graph(store.views, found.version.version_id, up=up, down=down)
    if graph.cut and (depth is None or len(graph.nodes) >= lineage.LIMIT):
        msg = f"the lineage goes on beyond {steps} steps or {lineage.LIMIT:,} things — say how many steps to go"
        raise InvalidValueError(msg)
    ids = [node.id for node in graph.nodes if node.kind == lineage.VERSION]
    rows = (store.views.find(VersionRow, version_id=id_) for id_ in ids)
    return [
        catalog.origin(store.views, row.version_id)
        for row in rows
        if row is not None and row.state == State.COMMITTED.value and catalog.is_live(store.views, row)
    ]


def tried(store: Store, found: Found, ttl: Ttl, direction: str, depth: int | None = None) -> Iterator[Difference]:
    """Yield the versions that would go at another time; refused as setting it would be."""
    whole = set_ttl(trial.of(store), found, ttl, direction, depth)
    return previews.of_ttl(store, (each.version for each in whole), ttl)


def set_ttl(store: Store, found: Found, ttl: Ttl, direction: str, depth: int | None = None) -> list[Found]:
    """Set the TTL of a version and of all up or down its lineage, in one transaction: all, or none if one is refused.

    Return those that it was set on.
    """
    whole = members(store, found, direction, depth)
    edits = Edits(ttl=ttl)

    def decide(steps: Steps) -> None:
        for each in whole:
            lifecycle.edit_source(store, steps, each, edits, {"metadata": None, "description": None})

    request = Request("set ttl of lineage", [direction, ttl.rule.value, ttl.micros], found.version.version_id)
    store.transact(request, decide)
    return whole
