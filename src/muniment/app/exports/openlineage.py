"""OpenLineage 2-0-2: an event for each beginning and end of a run, and for each version that came or went without one.

Versions are datasets of their own, named ``team/project/artifact:v3``, so that the end of one is not that of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from muniment.app.exports.facts import PRODUCER, Facts, RunFact, VersionFact, line, time_of, uuid_of
from muniment.app.subjects import Subject
from muniment.app.telling import lineage
from muniment.domain.artifact import ArtifactCreated
from muniment.domain.run import RunStarted, RunState
from muniment.domain.values import Json, Micros

SPEC: Final = "https://openlineage.io/spec"
CORE: Final = f"{SPEC}/2-0-2/OpenLineage.json#/$defs"
OWN: Final = "urn:muniment:openlineage:1"
ENDS: Final = {RunState.FINISHED: "COMPLETE", RunState.FAILED: "FAIL", RunState.CRASHED: "ABORT"}


def write(facts: Facts, subject: Subject, depth: int) -> Iterator[bytes]:
    """Yield one JSON event a line: of all runs and versions of a project, or of those in the lineage of a thing."""
    if subject.kind == "project":
        for run_id in facts.about(subject.id, RunStarted):
            yield from _run(facts, run_id)
        for artifact_id in facts.about(subject.id, ArtifactCreated):
            for version_id in facts.versions_of(artifact_id):
                yield from _came_and_went(facts, version_id)
        return
    graph = lineage.graph(facts.store.views, subject.id, up=depth, down=depth, at=facts.at)
    nodes = [node for node in graph.nodes if node.kind != lineage.LINK]
    runs_found = sorted((facts.run(node.id) for node in nodes if node.kind == lineage.RUN), key=_began)
    for run in runs_found:
        yield from _run(facts, run.id)
    for node in nodes:
        if node.kind == lineage.VERSION:
            yield from _came_and_went(facts, node.id)


def _began(run: RunFact) -> int:
    return run.row.started_seq


def _run(facts: Facts, run_id: str) -> Iterator[bytes]:
    run = facts.run(run_id)
    used = [facts.version(edge.version_id) for edge in facts.edges(run_id, "in")]
    logged = [facts.version(edge.version_id) for edge in facts.edges(run_id, "out")]
    yield line(_run_event(facts, run, "START", run.row.started_at, [], []))
    state = RunState(run.row.state)
    ended = run.row.finished_at if state in ENDS else None
    if ended is not None:
        yield line(_run_event(facts, run, ENDS[state], ended, used, logged))
    elif used or logged:
        last = max(edge.at for role in ("in", "out") for edge in facts.edges(run_id, role))
        yield line(_run_event(facts, run, "RUNNING", last, used, logged))


def _run_event(
    facts: Facts, run: RunFact, kind: str, at: Micros, used: list[VersionFact], logged: list[VersionFact]
) -> Json:
    where = run.path.rpartition("/")[0]
    said = {"path": run.path, "state": run.row.state, "deleted": run.gone}
    job_type = {"processingType": "BATCH", "integration": "MUNIMENT", "jobType": "RUN"}
    return {
        **_event(at, "RunEvent"),
        "eventType": kind,
        "run": {"runId": uuid_of(run.id), "facets": {"muniment_run": _own("RunRunFacet", said)}},
        "job": {
            "namespace": _namespace(facts),
            "name": f"{where}/{run.row.job_type or 'run'}",
            "facets": {"jobType": _facet("2-0-4", "JobTypeJobFacet", job_type)},
        },
        "inputs": [_dataset(facts, version) for version in used],
        "outputs": [_dataset(facts, version) for version in logged],
    }


def _came_and_went(facts: Facts, version_id: str) -> Iterator[bytes]:
    version = facts.version(version_id)
    if version.row.run_id is None:
        yield line(_static(facts, version, version.row.created_at, "CREATE"))
    if version.ended is not None:
        yield line(_static(facts, version, version.ended.at, "DROP"))


def _static(facts: Facts, version: VersionFact, at: Micros, change: str) -> Json:
    dataset = _dataset(facts, version)
    facet = _facet("1-0-1", "LifecycleStateChangeDatasetFacet", {"lifecycleStateChange": change})
    dataset["facets"]["lifecycleStateChange"] = facet
    return {**_event(at, "DatasetEvent"), "dataset": dataset}


def _dataset(facts: Facts, version: VersionFact) -> Json:
    row = version.row
    said = {
        "versionId": row.version_id,
        "type": version.type,
        "digest": row.digest,
        "size": row.size,
        "entries": row.entries,
        "state": version.ended.how if version.ended else row.state,
        "erasedEntries": len(version.erased),
        "purgedAt": time_of(version.ended.purged_at) if version.ended and version.ended.purged_at else None,
    }
    known = {name: value for name, value in said.items() if value is not None}
    return {
        "namespace": _namespace(facts),
        "name": version.path,
        "facets": {
            "version": _facet("1-0-1", "DatasetVersionDatasetFacet", {"datasetVersion": version.number}),
            "muniment_version": _own("VersionDatasetFacet", known),
        },
    }


def _namespace(facts: Facts) -> str:
    return f"muniment://{facts.origin}"


def _event(at: Micros, kind: str) -> dict[str, Json]:
    return {"eventTime": time_of(at), "producer": PRODUCER, "schemaURL": f"{CORE}/{kind}"}


def _facet(version: str, name: str, said: dict[str, Json]) -> dict[str, Json]:
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}/facets/{version}/{name}.json#/$defs/{name}", **said}


def _own(name: str, said: dict[str, Json]) -> dict[str, Json]:
    return {"_producer": PRODUCER, "_schemaURL": f"{OWN}:{name}#/$defs/{name}", **said}
