"""The forms in which a lineage is shown: a tree on the terminal, JSON, Graphviz, Mermaid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from attrs import asdict

from muniment.app.telling.lineage import LINK, LINKED, LOGGED, REFERS, RUN, USED, VERSION, Edge, Graph, Node
from muniment.domain.values import Json

UPWARDS = {LOGGED: "logged by", USED: "used", REFERS: "refers to"}
DOWNWARDS = {LOGGED: "logged", USED: "used by", REFERS: "referred to by", LINKED: "linked as"}
SHAPES = {VERSION: "box", RUN: "ellipse", LINK: "folder"}
BRACKETS = {VERSION: ('["', '"]'), RUN: ('(["', '"])'), LINK: ('[["', '"]]')}


def tree(graph: Graph) -> str:
    """Draw the lineage for a terminal: what the first node was made from, then what came of it."""
    nodes = {node.id: node for node in graph.nodes}
    lines = [describe(nodes[graph.root])]
    into, out_of = _by(graph, lambda edge: edge.target), _by(graph, lambda edge: edge.source)
    above, below = bool(into[graph.root]), bool(out_of[graph.root])
    if above:
        lines.append(f"{'├' if below else '└'}─ made from")
        lines += _branches(graph.root, nodes, into, "│  " if below else "   ", upstream=True)
    if below:
        lines.append("└─ led to")
        lines += _branches(graph.root, nodes, out_of, "   ", upstream=False)
    if graph.cut:
        lines.append("… and more: look further with a greater depth")
    return "\n".join(lines)


def describe(node: Node) -> str:
    """Say in a line what a node is."""
    said = [node.type] if node.type else []
    if node.kind == RUN or node.state not in {None, "committed"}:
        said.append(node.state or "")
    elif node.gone:
        said.append("deleted" if node.kind == VERSION else "gone")
    said += node.aliases
    kind = "run " if node.kind == RUN else ""
    return f"{kind}{_printable(node.name)}" + (f" ({_printable(', '.join(said))})" if said else "")


def to_json(graph: Graph) -> Json:
    """Return the lineage as JSON values."""
    nodes = [{**asdict(node), "aliases": list(node.aliases)} for node in graph.nodes]
    return {"root": graph.root, "nodes": nodes, "edges": [asdict(edge) for edge in graph.edges], "cut": graph.cut}


def to_dot(graph: Graph) -> str:
    """Return the lineage for Graphviz."""
    numbers = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    nodes = (f'{numbers[node.id]} [shape={SHAPES[node.kind]}, label="{_dot(describe(node))}"]' for node in graph.nodes)
    edges = (f'{numbers[edge.source]} -> {numbers[edge.target]} [label="{edge.kind}"]' for edge in graph.edges)
    return "\n".join(["digraph lineage {", *(f"  {line};" for line in ("rankdir=LR", *nodes, *edges)), "}"])


def to_mermaid(graph: Graph) -> str:
    """Return the lineage for Mermaid, as Markdown pages draw it."""
    numbers = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    drawn = [(node, BRACKETS[node.kind]) for node in graph.nodes]
    nodes = (_mermaid(describe(node)).join((numbers[node.id] + left, right)) for node, (left, right) in drawn)
    edges = (f"{numbers[edge.source]} -->|{edge.kind}| {numbers[edge.target]}" for edge in graph.edges)
    return "\n  ".join(["flowchart LR", *nodes, *edges])


def _by(graph: Graph, end: Callable[[Edge], str]) -> dict[str, list[Edge]]:
    found: dict[str, list[Edge]] = defaultdict(list)
    for edge in graph.edges:
        found[end(edge)].append(edge)
    return found


def _branches(
    root: str, nodes: dict[str, Node], edges: dict[str, list[Edge]], indent: str, *, upstream: bool
) -> Iterator[str]:
    """Yield the lines below a node; what was drawn already is only named. No recursion: chains may be long."""
    words = UPWARDS if upstream else DOWNWARDS
    drawn = {root}
    waiting = [(edge, indent, last) for edge, last in _turned(edges[root])]
    while waiting:
        edge, prefix, last = waiting.pop()
        id_ = edge.source if upstream else edge.target
        again = id_ in drawn
        known = " — see above" if again and edges[id_] else ""
        yield f"{prefix}{'└' if last else '├'}─ {words[edge.kind]} {describe(nodes[id_])}{known}"
        if not again:
            drawn.add(id_)
            below = prefix + ("   " if last else "│  ")
            waiting += [(each, below, final) for each, final in _turned(edges[id_])]


def _turned(edges: list[Edge]) -> Iterator[tuple[Edge, bool]]:
    """Yield edges last one first, each with whether it is the last one."""
    for number, edge in enumerate(reversed(edges)):
        yield edge, number == 0


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _dot(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _mermaid(text: str) -> str:
    """Write everything but letters, digits and a few marks as a character code, which no reader mistakes for syntax."""
    plain = " .,:-_/()="
    return "".join(char if char.isalnum() or char in plain else f"#{ord(char)};" for char in text)
