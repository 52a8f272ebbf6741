"""W3C PROV as PROV-JSON: versions are entities, runs activities, those who acted agents known by their id alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from attrs import define, field

from muniment.app.exports.facts import Facts, RunFact, VersionFact, document, time_of
from muniment.app.subjects import Subject
from muniment.app.telling import lineage
from muniment.app.telling.lineage import LINK, LINKED, LOGGED, REFERS, USED, Edge, Graph, Node
from muniment.domain.errors import InvalidValueError
from muniment.domain.rows import EdgeRow, LinkRow
from muniment.domain.run import RunState
from muniment.domain.values import Json, Micros, RunId, VersionId

MOST: Final = 100_000
"""How many things one document may hold: it is read and written as a whole."""


def write(facts: Facts, subject: Subject, depth: int) -> Iterator[bytes]:
    """Yield the lineage of a version or run, *depth* steps each way; InvalidValueError if it is beyond all bounds."""
    graph = lineage.graph(facts.store.views, subject.id, up=depth, down=depth, at=facts.at, limit=MOST)
    if len(graph.nodes) >= MOST:
        msg = f"there are {MOST:,} or more things around it — take fewer steps with a smaller depth"
        raise InvalidValueError(msg)
    yield from document(_Told(facts, graph).told())


@define
class _Told:
    """One lineage, told as PROV."""

    facts: Facts
    graph: Graph
    said: dict[str, dict[str, Json]] = field(factory=lambda: defaultdict(dict))
    runs: set[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.runs = {node.id for node in self.graph.nodes if node.kind == lineage.RUN}

    def told(self) -> Json:
        """Return the document."""
        for node in self.graph.nodes:
            if node.kind == lineage.VERSION:
                self._version(self.facts.version(node.id))
            elif node.kind == LINK:
                self._link(node)
            else:
                self._run(self.facts.run(node.id))
        for edge in self.graph.edges:
            self._edge(edge)
        return {"prefix": {"mu": f"urn:muniment:{self.facts.origin}:"}, **self.said}

    def _version(self, version: VersionFact) -> None:
        row = version.row
        said = {
            "prov:label": version.path,
            "prov:type": version.type,
            "mu:version": version.number,
            "mu:digest": row.digest and f"sha256:{row.digest}",
            "mu:size": row.size,
            "mu:entries": row.entries,
            "mu:erasedEntries": len(version.erased) or None,
            "mu:state": version.ended.how if version.ended else row.state,
        }
        name = _entity(version.id)
        self.said["entity"][name] = _known(said)
        self._agent(row.actor)
        self._say("wasAttributedTo", f"a-{version.id}", entity=name, agent=_agent(row.actor))
        by = _activity(row.run_id) if row.run_id is not None and row.run_id in self.runs else None
        self._say("wasGeneratedBy", f"g-{version.id}", entity=name, activity=by, time=row.created_at)
        if version.ended is not None:
            self._say("wasInvalidatedBy", f"i-{version.id}", entity=name, time=version.ended.at)

    def _run(self, run: RunFact) -> None:
        row = run.row
        said: dict[str, Json] = {"prov:label": run.path, "prov:type": row.job_type, "mu:state": row.state}
        ended = row.finished_at if row.state != RunState.RUNNING.value else None
        times = {"prov:startTime": time_of(row.started_at), "prov:endTime": ended and time_of(ended)}
        self.said["activity"][_activity(run.id)] = _known({**said, **times, "mu:deleted": run.gone or None})
        self._agent(row.actor)
        self._say("wasAssociatedWith", f"r-{run.id}", activity=_activity(run.id), agent=_agent(row.actor))

    def _link(self, node: Node) -> None:
        row = self.facts.labels.row(LinkRow, link_id=node.id)[0]
        linked = None if row is None else time_of(row.linked_at)
        said = {"prov:label": node.path, "prov:type": "link", "mu:linkedAt": linked, "mu:unlinked": node.gone or None}
        self.said["entity"][_entity(node.id)] = _known(said)

    def _edge(self, edge: Edge) -> None:
        key = f"{edge.source}-{edge.target}"
        if edge.kind == USED:
            used = self._row(edge.target, edge.source, "in")
            self._say("used", f"u-{key}", activity=_activity(edge.target), entity=_entity(edge.source), time=used)
        elif edge.kind == LOGGED:
            self._logged(edge)
        elif edge.kind == REFERS:
            self._say(
                "wasDerivedFrom", f"d-{key}", generatedEntity=_entity(edge.target), usedEntity=_entity(edge.source)
            )
        elif edge.kind == LINKED:
            specific, general = _entity(edge.target), _entity(edge.source)
            self._say("specializationOf", f"s-{key}", specificEntity=specific, generalEntity=general)

    def _logged(self, edge: Edge) -> None:
        """Say that a run made a version; one that logged the same content later made another copy of it."""
        version = self.facts.version(edge.target)
        if version.row.run_id == edge.source:
            return  # said with the version
        again = f"mu:again-{edge.source}-{edge.target}"
        self.said["entity"][again] = {"prov:label": version.path}
        logged = self._row(edge.source, edge.target, "out")
        self._say(
            "wasGeneratedBy",
            f"g-{edge.source}-{edge.target}",
            entity=again,
            activity=_activity(edge.source),
            time=logged,
        )
        self._say("alternateOf", f"o-{edge.source}-{edge.target}", alternate1=again, alternate2=_entity(edge.target))

    def _row(self, run_id: str, version_id: str, role: str) -> Micros | None:
        found = self.facts.store.views.find(
            EdgeRow, at=self.facts.at, run_id=RunId(run_id), version_id=VersionId(version_id), role=role
        )
        return found.at if found else None

    def _agent(self, actor: str) -> None:
        self.said["agent"][_agent(actor)] = {}

    def _say(self, relation: str, key: str, *, time: Micros | None = None, **ends: str | None) -> None:
        told = {f"prov:{name}": end for name, end in ends.items() if end is not None}
        self.said[relation][f"mu:{key}"] = told if time is None else {**told, "prov:time": time_of(time)}


def _entity(id_: str) -> str:
    return f"mu:entity-{id_}"


def _activity(id_: str) -> str:
    return f"mu:run-{id_}"


def _agent(id_: str) -> str:
    return f"mu:agent-{id_}"


def _known(said: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in said.items() if value is not None}
