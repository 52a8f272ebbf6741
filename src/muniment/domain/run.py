"""A run: what somebody executed, what it used and what it logged."""

from __future__ import annotations

import enum
from typing import ClassVar, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import NotFoundError
from muniment.domain.values import Audit, Json, Micros, Personal, ProjectId, RunId, StreamId, VersionId, Words


class RunState(enum.Enum):
    """How a run stands or ended."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CRASHED = "crashed"
    KILLED = "killed"


@frozen
class RunStarted(Event):
    """A run began; *key* is the short id its user sees, unique in the project."""

    project_id: ProjectId
    key: Words[str]
    name: Words[str]
    job_type: Words[str] | None = None
    group: Words[str] | None = None
    tags: Words[tuple[str, ...]] = ()
    notes: Personal[str] | None = None
    config: Personal[Json] | None = None


@frozen
class RunResumed(Event):
    """A run that had ended goes on."""


@frozen
class RunEdited(Event):
    """The name, job type, group, tags or notes of a run changed to these."""

    name: Words[str]
    job_type: Words[str] | None = None
    group: Words[str] | None = None
    tags: Words[tuple[str, ...]] = ()
    notes: Personal[str] | None = None


@frozen
class ConfigChanged(Event):
    """The configuration was replaced, or taken away."""

    config: Personal[Json] | None


@frozen
class RunFinished(Event):
    """The run ended; *took* is in microseconds."""

    state: RunState
    exit_code: int
    took: Micros
    summary: Personal[Json] | None = None


@frozen
class RunDeleted(Event):
    """The run was let go; what it logged stays."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


RunEvent: TypeAlias = RunStarted | RunResumed | RunEdited | ConfigChanged | RunFinished | RunDeleted


@frozen
class InputUsed(Event):
    """The run uses a version."""

    version_id: VersionId


@frozen
class OutputLogged(Event):
    """The run logged a version; *created* is false if its content was there before."""

    version_id: VersionId
    created: bool


@frozen
class RunLogged(Event):
    """Rows that the run logged: *rows* of them, up to *last_step*."""

    rows: int
    last_step: int
    values: Personal[Json]


TraceEvent: TypeAlias = InputUsed | OutputLogged | RunLogged


@frozen
class Run:
    """What decisions about a run need to know."""

    project_id: ProjectId | None = None
    state: RunState = RunState.RUNNING
    said: RunEdited | None = None
    config: Personal[Json] | None = None
    deleted: bool = False


@frozen
class Trace:
    """What a run did is found by look-up, so the stream of it needs no state."""


def start_run(run: Run, started: RunStarted, taken: RunId | None = None) -> list[RunEvent]:
    """Begin a run, or go on with the one that has this key (*taken*)."""
    if taken is None and run.project_id is None:
        return [started]
    require_alive(run)
    return [] if run.state is RunState.RUNNING else [RunResumed()]


def edit_run(run: Run, edited: RunEdited) -> list[RunEvent]:
    """Change the name, job type, group, tags or notes."""
    require_alive(run)
    return [] if edited == run.said else [edited]


def change_config(run: Run, config: Personal[Json] | None) -> list[RunEvent]:
    """Replace the configuration."""
    require_alive(run)
    return [] if config == run.config else [ConfigChanged(config)]


def log_rows(trace: Trace, logged: RunLogged) -> list[TraceEvent]:
    """Keep rows that the run logged."""
    del trace
    return [logged]


def finish_run(run: Run, finished: RunFinished) -> list[RunEvent]:
    """End the run."""
    require_alive(run)
    return [finished] if run.state is RunState.RUNNING else []


def delete_run(run: Run) -> list[RunEvent]:
    """Let the run go; what it logged stays."""
    return [RunDeleted()] if run.project_id is not None and not run.deleted else []


def use_input(trace: Trace, version_id: VersionId, *, used: bool = False) -> list[TraceEvent]:
    """Record that the run uses a version, once."""
    del trace
    return [] if used else [InputUsed(version_id)]


def log_output(trace: Trace, version_id: VersionId, *, created: bool, logged: bool = False) -> list[TraceEvent]:
    """Record that the run logged a version, once."""
    del trace
    return [] if logged else [OutputLogged(version_id, created)]


def require_alive(run: Run) -> None:
    """Refuse what is asked of a run that was never started or was deleted."""
    if run.project_id is None or run.deleted:
        msg = "the run was deleted" if run.deleted else "there is no such run"
        raise NotFoundError(msg)


def evolve(run: Run, event: RunEvent) -> Run:
    """Return the run after *event*."""
    match event:
        case RunStarted(project_id=project_id, config=config):
            said = RunEdited(event.name, event.job_type, event.group, event.tags, event.notes)
            return Run(project_id, said=said, config=config)
        case RunResumed():
            return replace(run, state=RunState.RUNNING)
        case RunEdited():
            return replace(run, said=event)
        case ConfigChanged(config=config):
            return replace(run, config=config)
        case RunFinished(state=state):
            return replace(run, state=state)
        case RunDeleted():
            return replace(run, deleted=True)
        case _:
            assert_never(event)


def evolve_trace(trace: Trace, event: TraceEvent) -> Trace:
    """Return the state of the edges, which is none."""
    del event
    return trace


RUN: Decider[Run, RunEvent] = Decider("run", Run(), evolve)
TRACE: Decider[Trace, TraceEvent] = Decider("trace", Trace(), evolve_trace, tail=1)


def trace_stream(run_id: RunId) -> StreamId:
    """Return the stream of what a run used and logged."""
    return StreamId(f"{run_id}:t")
