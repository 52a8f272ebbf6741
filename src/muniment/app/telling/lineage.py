"""Lineage: where a version or run comes from and what came of it, as a graph of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import define, field, frozen

from muniment.app import catalog
from muniment.app.labels import Labels
from muniment.domain.errors import NotFoundError
from muniment.domain.ports import Views
from muniment.domain.rows import AliasRow, EdgeRow, LinkRow, RunRow, SourceRow, VersionRow

DEPTH = 100
LIMIT = 5000

VERSION, RUN, LINK = "version", "run", "link"
USED, LOGGED, REFERS, LINKED = "used", "logged", "refers to", "linked as"
ENDS: Final = {USED: (VERSION, RUN), LOGGED: (RUN, VERSION), REFERS: (VERSION, VERSION), LINKED: (VERSION, LINK)}
"""What an edge of each kind leads from and to."""


@frozen
class Node:
    """A version, a run, or a link in a registry; ``gone`` tells that it was deleted or unlinked."""

    id: str
    kind: str
    name: str
    path: str
    type: str | None = None
    state: str | None = None
    aliases: tuple[str, ...] = ()
    gone: bool = False


@frozen
class Edge:
    """Something flowed from one node to another: *used* by a run, *logged* by it, referred to, or linked."""

    source: str
    target: str
    kind: str


@frozen
class Graph:
    """The nodes around the first one, nearest first; ``cut`` tells that there is more beyond depth or limit."""

    root: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    cut: bool = False

    def node(self, id_: str) -> Node:
        """Return a node by its id."""
        return next(node for node in self.nodes if node.id == id_)


def graph(
    views: Views,
    root: str,
    *,
    up: int = DEPTH,
    down: int = DEPTH,
    at: int | None = None,
    limit: int = LIMIT,
) -> Graph:
    """Return what a version or run (by its id) was made from, *up* steps back, and what it led to, *down* steps on."""
    labels = Labels(views, at)
    start = _version(labels, root) or _run(labels, root)
    if start is None:
        msg = f"there is no version or run {root}"
        raise NotFoundError(msg)
    walk = _Walk(labels, limit)
    walk.nodes[root] = start
    walk.follow(root, up, upstream=True)
    walk.follow(root, down, upstream=False)
    return Graph(root, tuple(walk.nodes.values()), tuple(walk.edges), walk.cut)


@define
class _Walk:
    """A walk through the lineage, level by level; every node is looked up once."""

    labels: Labels
    limit: int
    nodes: dict[str, Node] = field(factory=dict)
    edges: dict[Edge, None] = field(factory=dict)
    cut: bool = False

    def follow(self, root: str, depth: int, *, upstream: bool) -> None:
        """Add what lies within *depth* steps in one direction."""
        seen, level = {root}, [root]
        for _ in range(depth):
            reached = [edge for id_ in level for edge in self._edges(id_, upstream=upstream)]
            level = [id_ for id_ in self._add(reached, upstream=upstream) if id_ not in seen]
            seen.update(level)
            if not level:
                return
        if depth > 0:
            beyond = (edge for id_ in level for edge in self._edges(id_, upstream=upstream))
            self.cut = self.cut or any(edge not in self.edges for edge in beyond)

    def _add(self, reached: Iterable[Edge], *, upstream: bool) -> Iterator[str]:
        fresh: dict[str, None] = {}
        for edge in reached:
            other = edge.source if upstream else edge.target
            if other not in self.nodes:
                kind = ENDS[edge.kind][0 if upstream else 1]
                node = NODES[kind](self.labels, other) if len(self.nodes) < self.limit else None
                if node is None:
                    self.cut = True
                    continue
                self.nodes[other] = node
            self.edges[edge] = None
            fresh[other] = None
        return iter(fresh)

    def _edges(self, id_: str, *, upstream: bool) -> Iterator[Edge]:
        """Yield the edges of a node; one more than the limit is enough to know that there is more."""
        views, at, most = self.labels.views, self.labels.at, self.limit + 1
        kind = self.nodes[id_].kind
        if kind == RUN:
            role = "in" if upstream else "out"
            for row in views.select(EdgeRow, at=at, run_id=id_, role=role, order="edge_seq", limit=most):
                yield Edge(row.version_id, id_, USED) if upstream else Edge(id_, row.version_id, LOGGED)
        elif kind == VERSION and upstream:
            for row in views.select(EdgeRow, at=at, version_id=id_, role="out", order="edge_seq", limit=most):
                yield Edge(row.run_id, id_, LOGGED)
            for each in views.select(SourceRow, at=at, version_id=id_, order="source_id", limit=most):
                yield Edge(each.source_id, id_, REFERS)
        elif kind == VERSION:
            for row in views.select(EdgeRow, at=at, version_id=id_, role="in", order="edge_seq", limit=most):
                yield Edge(id_, row.run_id, USED)
            for each in views.select(SourceRow, at=at, source_id=id_, order="version_id", limit=most):
                yield Edge(id_, each.version_id, REFERS)
            for link in views.select(LinkRow, at=at, version_id=id_, order="link_id", limit=most):
                yield Edge(id_, link.link_id, LINKED)


def _version(labels: Labels, id_: str) -> Node | None:
    row, _ = labels.row(VersionRow, version_id=id_)
    if row is None:
        return None
    label = labels.of_version(row)
    artifact = labels.artifact_row(row.artifact_id)
    rows = labels.views.select(AliasRow, at=labels.at, version_id=id_, order="alias")
    aliases = tuple(each.alias for each in rows if each.alias is not None and each.owner_id == row.artifact_id)
    return Node(
        id_, VERSION, label.name, label.path, artifact.type if artifact else None, row.state, aliases, label.gone
    )


def _run(labels: Labels, id_: str) -> Node | None:
    row, _ = labels.row(RunRow, run_id=id_)
    label = labels.run(id_)
    if row is None or label is None:
        return None
    return Node(id_, RUN, label.name, label.path, row.job_type, row.state, gone=label.gone)


def _link(labels: Labels, id_: str) -> Node | None:
    row, _ = labels.row(LinkRow, link_id=id_)
    label = labels.link(id_)
    if row is None or label is None:
        return None
    aliases = catalog.aliases_of(labels.views, row.collection_id, row.version_id, labels.at)
    short = "/".join(label.path.split("/")[-2:])
    return Node(id_, LINK, short, label.path, aliases=tuple(aliases), gone=label.gone)


NODES: Final = {VERSION: _version, RUN: _run, LINK: _link}
"""How a node of each kind is found."""
