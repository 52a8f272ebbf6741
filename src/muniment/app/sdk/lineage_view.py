"""A lineage as the library gives it: printed it is a tree."""

from __future__ import annotations

from attrs import frozen

from muniment.app.telling import lineage_forms
from muniment.app.telling.lineage import Edge, Graph, Node
from muniment.domain.values import Json


@frozen(repr=False)
class Lineage:
    """What a version or run was made from, and what it led to."""

    graph: Graph

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The versions, runs and links, nearest first."""
        return self.graph.nodes

    @property
    def edges(self) -> tuple[Edge, ...]:
        """What was used, logged, referred to and linked."""
        return self.graph.edges

    @property
    def root(self) -> Node:
        """The version or run that was asked about."""
        return self.graph.node(self.graph.root)

    def __str__(self) -> str:
        return lineage_forms.tree(self.graph)

    def __repr__(self) -> str:
        return f"<Lineage of {self.root.name}: {len(self.nodes)} nodes>"

    def to_json(self) -> Json:
        """Return it as JSON values."""
        return lineage_forms.to_json(self.graph)

    def to_dot(self) -> str:
        """Return it for Graphviz."""
        return lineage_forms.to_dot(self.graph)

    def to_mermaid(self) -> str:
        """Return it for Mermaid."""
        return lineage_forms.to_mermaid(self.graph)
