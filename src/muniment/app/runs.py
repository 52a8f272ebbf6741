"""Runs: beginning and ending them, what they used, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen

from muniment.app import catalog, directory, lifecycle, replay
from muniment.app.catalog import Found
from muniment.app.stopping import TERMINATED, Terminated
from muniment.app.store import Store
from muniment.app.telemetry import traced
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import principal as principals
from muniment.domain import run as runs
from muniment.domain.errors import ConflictError, NotFoundError, PermissionDeniedError
from muniment.domain.ports import Views
from muniment.domain.rows import EdgeRow, ProjectRow, RegistryRow, RunRow, TeamRow, VersionRow
from muniment.domain.values import Json, Personal, ProjectId, Role, RunId, VersionId, plain_name

INTERRUPTED: Final = 255
"""The exit code of a run that Ctrl-C ended, as W&B has it."""


@frozen
class RunDraft:
    """What a run says about itself when it begins."""

    key: str
    name: str
    job_type: str | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()
    notes: str | None = None
    config: Json | None = None


def start(store: Store, project: ProjectRow, draft: RunDraft) -> RunRow:
    """Begin a run, or go on with the one of this key."""
    plain_name(draft.key, "Run id")
    while True:
        try:
            return _start(store, project, draft)
        except _RunMeanwhileError:
            continue


class _RunMeanwhileError(ConflictError):
    """The run was begun or deleted after its personal values were put into the vault for another owner."""


def _start(store: Store, project: ProjectRow, draft: RunDraft) -> RunRow:
    there = store.views.find(RunRow, project_id=project.project_id, key=draft.key)
    run_id = there.run_id if there else RunId(new_id())
    kept = store.keep(run_id, notes=draft.notes, config=draft.config or None)
    started = runs.RunStarted(
        project_id=project.project_id,
        key=draft.key,
        name=draft.name,
        job_type=draft.job_type,
        group=draft.group,
        tags=draft.tags,
        notes=kept["notes"],
        config=kept["config"],
    )

    def decide(steps: Steps) -> str:
        _permit(store, steps, project.project_id, "start a run")
        taken = steps.views.find(RunRow, project_id=project.project_id, key=draft.key)
        if (taken.run_id if taken else None) != (there.run_id if there else None):
            raise _RunMeanwhileError(draft.key)
        steps.step(runs.RUN, run_id, runs.start_run, started, taken.run_id if taken else None)
        if taken is not None and draft.config:
            steps.step(runs.RUN, run_id, runs.change_config, kept["config"])
        return run_id

    receipt = store.transact(Request("start run", [project.project_id, draft.key], run_id), decide)
    return get(store, RunId(receipt.answer))


def get(store: Store, run_id: RunId, at: int | None = None) -> RunRow:
    """Return a run by its id."""
    return _there(store.views, run_id, at)


def _there(views: Views, run_id: RunId, at: int | None = None) -> RunRow:
    row = views.find(RunRow, at=at, run_id=run_id)
    if row is None:
        msg = f"there is no run {run_id}"
        raise NotFoundError(msg)
    return row


def named(store: Store, project: ProjectRow, key: str, at: int | None = None) -> RunRow:
    """Return a run of a project by the short id that its user sees."""
    row = store.views.find(RunRow, at=at, project_id=project.project_id, key=key)
    if row is None:
        msg = f"project {project.name} has no run {key!r}"
        raise NotFoundError(msg)
    return row


def edit(store: Store, row: RunRow, draft: RunDraft) -> None:
    """Change the name, job type, group, tags or notes of a run, and its configuration if the draft has one."""
    kept = store.keep(row.run_id, notes=draft.notes, config=draft.config)
    edited = runs.RunEdited(draft.name, draft.job_type, draft.group, draft.tags, kept["notes"])

    def decide(run: runs.Run) -> Sequence[runs.RunEvent]:
        events = runs.edit_run(run, edited)
        return [*events, *runs.change_config(run, kept["config"])] if draft.config is not None else events

    _step(store, row, Request("edit run", None, row.run_id), decide)


def change_config(store: Store, row: RunRow, config: Json) -> None:
    """Replace the configuration of a run."""
    kept = store.keep(row.run_id, config=config)["config"]
    _step(store, row, Request("change config", None, row.run_id), lambda run: runs.change_config(run, kept))


def finish(
    store: Store, row: RunRow, *, exit_code: int = 0, summary: Json | None = None, state: runs.RunState | None = None
) -> None:
    """End a run; an exit code other than 0 is a failure."""
    kept = store.keep(row.run_id, summary=summary or None)["summary"]
    ended = state or (runs.RunState.FAILED if exit_code else runs.RunState.FINISHED)
    took = max(0, store.clock() - row.started_at)
    finished = runs.RunFinished(ended, exit_code, took, kept)
    _step(store, row, Request("finish run", exit_code, row.run_id), lambda run: runs.finish_run(run, finished))


def verdict(error: BaseException) -> tuple[runs.RunState, int]:
    """Return how a run ends that an exception ends, and its exit code.

    As with W&B, Ctrl-C leaves a killed run and SIGTERM a crashed one.
    """
    if isinstance(error, Terminated):
        return runs.RunState.CRASHED, TERMINATED
    if isinstance(error, KeyboardInterrupt):
        return runs.RunState.KILLED, INTERRUPTED
    return runs.RunState.FAILED, 1


def delete(store: Store, row: RunRow, *, delete_artifacts: bool = False) -> None:
    """Let a run go; what it logged stays, unless it is to be marked deleted too, aliases and all."""

    def decide(steps: Steps) -> None:
        _permit(store, steps, row.project_id, "delete a run")
        logged = steps.views.select(VersionRow, run_id=row.run_id, order="created_seq") if delete_artifacts else ()
        for each in logged:
            if catalog.is_live(steps.views, each):
                lifecycle.mark_deleted(steps, each.version_id, each.artifact_id, delete_aliases=True)
        steps.step(runs.RUN, row.run_id, runs.delete_run)

    store.transact(Request("delete run", delete_artifacts, row.run_id), decide)


def log_rows(store: Store, row: RunRow, rows: list[dict[str, Json]], last_step: int) -> None:
    """Keep rows that a run logged, in one event."""
    values: Personal[Json] | None = store.keep(row.run_id, history=rows)["history"]
    assert values is not None  # noqa: S101 (rows are never None)
    logged = runs.RunLogged(len(rows), last_step, values)

    def decide(steps: Steps) -> None:
        _permit_run(store, steps, row.run_id)
        steps.step(runs.TRACE, runs.trace_stream(row.run_id), runs.log_rows, logged)

    store.transact(Request("log rows", [len(rows), last_step], row.run_id), decide)


def history(store: Store, row: RunRow, at: int | None = None) -> list[dict[str, Json]]:
    """Return all rows that a run logged, oldest first."""
    events = [each.event for each in store.ledger.read(stream=runs.trace_stream(row.run_id), until=at)]
    logged = [event for event in events if isinstance(event, runs.RunLogged)]
    values = store.vault.get_many({event.values.slot for event in logged})
    return [line for event in logged for line in values.get(event.values.slot, [])]


@traced("use")
def use(store: Store, version_id: VersionId, run_id: RunId | None, through: RegistryRow | None = None) -> None:
    """Record that a version is used, by a run or outside of one; *through* is the registry it was reached through."""

    def decide(steps: Steps) -> None:
        catalog.origin(steps.views, version_id)
        if through is not None:
            directory.require_reader(steps.views, through, store.context.actor)
        if run_id is not None:
            _permit_run(store, steps, run_id)
            edge = steps.views.find(EdgeRow, run_id=run_id, version_id=version_id, role="in")
            steps.step(runs.TRACE, runs.trace_stream(run_id), runs.use_input, version_id, used=edge is not None)
        steps.append(principals.access_stream(store.context.actor), principals.VersionUsed(version_id))

    store.transact(Request("use", [version_id, run_id], version_id), decide)


def permit_download(store: Store, found: Found) -> None:
    """Refuse, on record, to hand out a version that was reached through a registry by somebody who may only look.

    A replay hands out none, for it could not record it.
    """
    replay.require_none(store.config.home)
    registry = found.registry
    if registry is None:
        return
    try:
        directory.require_reader(store.views, registry, store.context.actor)
    except PermissionDeniedError:
        request = Request("download", None, found.version.version_id)
        store.transact(request, lambda steps: directory.require_reader(steps.views, registry, store.context.actor))


def downloaded(store: Store, version_id: VersionId, *, entries: int, size: int) -> None:
    """Record that entries of a version were downloaded."""
    event = principals.VersionDownloaded(version_id, entries, size)
    store.transact(
        Request("download", [version_id, entries, size], version_id),
        lambda steps: steps.append(principals.access_stream(store.context.actor), event),
    )


def _step(store: Store, row: RunRow, request: Request, decision: Callable[[runs.Run], Sequence[runs.RunEvent]]) -> None:
    def decide(steps: Steps) -> None:
        _permit(store, steps, row.project_id, "change a run")
        steps.step(runs.RUN, row.run_id, decision)

    store.transact(request, decide)


def _permit(store: Store, steps: Steps, project_id: ProjectId, act: str) -> None:
    project = steps.views.find(ProjectRow, project_id=project_id)
    team = steps.views.find(TeamRow, team_id=project.team_id) if project else None
    if team is None:
        msg = "the project of the run was deleted"
        raise NotFoundError(msg)
    directory.require_team_role(steps.views, team, store.context.actor, Role.MEMBER, act)


def _permit_run(store: Store, steps: Steps, run_id: RunId) -> None:
    run = _there(steps.views, run_id)
    _permit(store, steps, run.project_id, "change a run")
