"""Lineage: which run used and logged which version, and which version refers to which."""

from __future__ import annotations

from collections.abc import Sequence

from muniment.app.projections.catalog import known, slot
from muniment.domain import artifact, run
from muniment.domain.ports import Recorded
from muniment.domain.rows import Cell, Change, Close, EdgeRow, Insert, Patch, RunRow, SourceRow
from muniment.domain.run import RunState
from muniment.domain.values import Erased, RunId, VersionId, owner_of


def fold(recorded: Recorded) -> Sequence[Change]:
    """Return what an event changes in the lineage."""
    match recorded.event:
        case run.InputUsed(version_id=version_id):
            return [_edge(recorded, version_id, "in")]
        case run.OutputLogged(version_id=version_id):
            return [_edge(recorded, version_id, "out")]
        case artifact.VersionCreated(version_id=version_id, sources=sources):
            return [Insert(SourceRow(version_id, source)) for source in sources]
        case event:
            return _run(recorded, event)


def _edge(recorded: Recorded, version_id: VersionId, role: str) -> Change:
    run_id = RunId(owner_of(recorded.stream))
    return Insert(EdgeRow(run_id, version_id, role, recorded.recorded_at, recorded.seq))


def _run(recorded: Recorded, event: object) -> Sequence[Change]:
    key = (RunId(recorded.stream),)
    match event:
        case run.RunStarted() as started:
            return [Insert(_started(recorded, started))]
        case run.RunResumed():
            return [Patch(RunRow, key, {"state": RunState.RUNNING.value, "finished_at": None})]
        case run.RunEdited() as edited:
            return [Patch(RunRow, key, _edited(edited))]
        case run.ConfigChanged(config=config):
            return [Patch(RunRow, key, {"config": slot(config)})]
        case run.RunFinished(state=state, summary=summary):
            at = recorded.recorded_at
            return [Patch(RunRow, key, {"state": state.value, "finished_at": at, "summary": slot(summary)})]
        case run.RunDeleted():
            return [Close(RunRow, key)]
        case _:
            return ()


def _started(recorded: Recorded, started: run.RunStarted) -> RunRow:
    return RunRow(
        run_id=RunId(recorded.stream),
        project_id=started.project_id,
        key=known(started.key),
        name=known(started.name),
        job_type=known(started.job_type),
        group=known(started.group),
        tags=_lines(started.tags),
        state=RunState.RUNNING.value,
        notes=slot(started.notes),
        config=slot(started.config),
        summary=None,
        actor=recorded.actor,
        started_at=recorded.recorded_at,
        started_seq=recorded.seq,
        finished_at=None,
    )


def _edited(edited: run.RunEdited) -> dict[str, Cell]:
    return {
        "name": known(edited.name),
        "job_type": known(edited.job_type),
        "group": known(edited.group),
        "tags": _lines(edited.tags),
        "notes": slot(edited.notes),
    }


def _lines(tags: tuple[str, ...] | Erased) -> str | None:
    return None if isinstance(tags, Erased) else "\n".join(tags)
