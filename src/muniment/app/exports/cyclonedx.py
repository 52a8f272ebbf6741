"""CycloneDX 1.7 as an ML-BOM: a version with its files and hashes, its model card, and what it was made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from muniment.app.exports.contents import File, files
from muniment.app.exports.facts import Facts, VersionFact, document, placeholder, time_of, uuid_of
from muniment.app.subjects import Subject
from muniment.app.telling import lineage
from muniment.app.telling.lineage import LOGGED, REFERS, USED, Graph
from muniment.domain.rows import TimelineRow
from muniment.domain.values import Json

MODEL: Final = "machine-learning-model"
LONGEST: Final = 10_000


def write(facts: Facts, subject: Subject, depth: int) -> Iterator[bytes]:
    """Yield the bill of materials of a version, with the versions it was made from, *depth* steps back.

    The serial number is the id of the version, and the number of the bill counts the events about it until then: the
    same store and moment give the same bytes.
    """
    version = facts.version(subject.id)
    graph = lineage.graph(facts.store.views, version.id, up=depth, down=0, at=facts.at, limit=LONGEST)
    others = [facts.version(node.id) for node in graph.nodes if node.kind == lineage.VERSION and node.id != version.id]
    told = {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid_of(version.id)}",
        "version": max(1, facts.store.views.count(TimelineRow, at=facts.at, subject_id=version.id, order="event_seq")),
        "metadata": {
            "timestamp": time_of(facts.store.moment(facts.at)),
            "tools": {"components": [{"type": "application", "name": "muniment"}]},
            "component": _subject(facts, version, others),
            "properties": _properties({"muniment:ledger": facts.origin, "muniment:event": facts.at}),
        },
        "components": [_component(other) for other in others],
        "dependencies": list(_dependencies(graph, version, others)),
    }
    yield from document(told)


def _subject(facts: Facts, version: VersionFact, others: list[VersionFact]) -> Json:
    told = _component(version)
    if (text := facts.text(version.row.description)) is not None:
        told["description"] = text
    told["components"] = [_file(file, number) for number, file in enumerate(files(facts, version))]
    if told["type"] == MODEL:
        data = [{"ref": _ref(other)} for other in others if _kind(other) == "data"]
        told["modelCard"] = {"modelParameters": {"datasets": data}} if data else {}
    return {name: value for name, value in told.items() if value != []}


def _component(version: VersionFact) -> dict[str, Json]:
    row, kind = version.row, _kind(version)
    told: dict[str, Json] = {
        "type": kind,
        "bom-ref": _ref(version),
        "name": version.path.rpartition(":")[0] if "#" not in version.path else version.path,
        "version": version.number,
        "properties": _properties(
            {
                "muniment:type": version.type,
                "muniment:digest": row.digest,
                "muniment:size": row.size,
                "muniment:entries": row.entries,
                "muniment:state": version.ended.how if version.ended else row.state,
                "muniment:endedAt": time_of(version.ended.at) if version.ended else None,
                "muniment:erased": ", ".join(map(placeholder, version.erased)) or None,
            }
        ),
    }
    if kind == "data":
        told["data"] = [{"type": "dataset", "name": told["name"]}]
    return told


def _file(file: File, number: int) -> Json:
    told: dict[str, Json] = {
        "type": "file",
        "bom-ref": f"file-{number}",
        "name": file.entry.path,
        "mime-type": file.media_type,
    }
    if file.sha256 is not None:
        told["hashes"] = [{"alg": "SHA-256", "content": file.sha256}]
    if file.entry.ref is not None:
        told["externalReferences"] = [{"type": "distribution", "url": file.entry.ref}]
    return told


def _dependencies(graph: Graph, version: VersionFact, others: list[VersionFact]) -> Iterator[Json]:
    """Yield what each version was made from: what it refers to, and what the runs that logged it had used."""
    made_by, used, on = defaultdict(list), defaultdict(list), defaultdict(set)
    for edge in graph.edges:
        if edge.kind == LOGGED:
            made_by[edge.target].append(edge.source)
        elif edge.kind == USED:
            used[edge.target].append(edge.source)
        elif edge.kind == REFERS:
            on[edge.target].add(edge.source)
    for each in (version, *others):
        inputs = on[each.id].union(*(used[run] for run in made_by[each.id])) - {each.id}
        yield {"ref": _ref(each), "dependsOn": sorted(f"version-{id_}" for id_ in inputs)}


def _kind(version: VersionFact) -> str:
    return MODEL if "model" in (version.type or "").lower() else "data"


def _ref(version: VersionFact) -> str:
    return f"version-{version.id}"


def _properties(said: dict[str, Json]) -> list[Json]:
    return [{"name": name, "value": str(value)} for name, value in said.items() if value is not None]
