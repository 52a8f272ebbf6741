"""Beginning runs, and ending those that were forgotten."""

from __future__ import annotations

import os
import secrets
import string
import sys
from collections.abc import Sequence
from typing import Any

from muniment.app import directory, runs
from muniment.app.config import Config
from muniment.app.runs import RunDraft
from muniment.app.sdk import ending, recording, session
from muniment.app.sdk.artifact import Artifact
from muniment.app.sdk.disabled import DisabledRun
from muniment.app.sdk.errors import CommError, NotThereError, UsageError, as_comm_error
from muniment.app.sdk.mapping import mapping_of
from muniment.app.sdk.plain import figure, plain
from muniment.app.sdk.recording import ACTIVE
from muniment.app.sdk.run import Run
from muniment.app.sdk.settings import Settings
from muniment.app.sdk.terminal import say
from muniment.app.store import Store
from muniment.domain.errors import MunimentError
from muniment.domain.rows import ProjectRow, RunRow
from muniment.domain.values import Json, plain_name

ID_CHARACTERS = string.ascii_lowercase + string.digits
ID_LENGTH = 8
DISABLED = frozenset({"disabled"})


class NoRunError(UsageError, AttributeError):
    """There is no run yet."""


def init(  # noqa: PLR0917 (W&B's order)
    entity: str | None = None,
    project: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | None = None,
    config: Any = None,  # noqa: ANN401 (a dictionary or parsed arguments)
    config_exclude_keys: Sequence[str] | None = None,
    config_include_keys: Sequence[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,
    sync_tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    settings: Settings | dict[str, Any] | None = None,
    anonymous: str | bool | None = None,
) -> Run:
    """Begin a run and return it.

    Without *reinit* a run that goes on is returned as it is; ``reinit=True`` or ``"finish_previous"`` ends it first,
    ``"create_new"`` begins one beside it. ``mode="offline"`` is the same as online, because the store is here;
    ``mode="disabled"`` gives a run that keeps nothing. *resume* is ``"allow"``, ``"must"``, ``"never"`` or ``"auto"``.
    What means nothing here is accepted: *force, save_code, tensorboard, sync_tensorboard, monitor_gym, anonymous*.
    """
    del force, save_code, tensorboard, sync_tensorboard, monitor_gym, anonymous
    if resume_from is not None or fork_from is not None:
        msg = "resume_from and fork_from are not offered — resume a run by its id, or begin a new one"
        raise UsageError(msg)
    chosen = Settings.of(settings)
    given = {
        "entity": entity,
        "project": project,
        "root_dir": None if dir is None else os.fspath(dir),
        "run_id": id,
        "run_name": name,
        "run_notes": notes,
        "run_tags": None if tags is None else tuple([tags] if isinstance(tags, str) else tags),
        "allow_val_change": allow_val_change,
        "run_group": group,
        "run_job_type": job_type,
        "mode": mode,
        "reinit": reinit,
        "resume": resume,
    }
    chosen = Settings(**{**chosen.dump(), **{key: value for key, value in given.items() if value is not None}})
    _fill(chosen, session.config())
    previous = _previous(chosen.reinit)
    if previous is not None:
        return previous
    values = _configuration(config, config_exclude_keys, config_include_keys)
    run = DisabledRun(chosen) if chosen.mode in DISABLED else _begin(chosen, values)
    if isinstance(run, DisabledRun):
        run.config.update(values, allow_val_change=True)
    ACTIVE.append(run)
    ending.watch()
    return run


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the newest run; what failed to be logged is raised here."""
    run = recording.active()
    if run is not None:
        run.finish(exit_code=exit_code, quiet=quiet)


def teardown(exit_code: int | None = None) -> None:
    """End all runs and let go of the store."""
    errors: list[MunimentError] = []
    while (run := recording.active()) is not None:
        try:
            run.finish(exit_code=exit_code)
        except MunimentError as error:
            errors.append(error)
            if run in ACTIVE:
                ACTIVE.remove(run)
    session.close()
    if errors:
        raise errors[0]


def setup(settings: Settings | dict[str, Any] | None = None) -> None:
    """Check settings; there is nothing else to be set up."""
    Settings.of(settings)


def log_alone(artifact: Artifact, project: str | None, settings: Settings | dict[str, Any] | None) -> None:
    """Log a draft by the newest run, or by a run of its own whose job type is ``auto``."""
    run = recording.active()
    if isinstance(run, Run):
        run.log_artifact(artifact)
        return
    with init(project=project, job_type="auto", settings=settings) as own:
        own.log_artifact(artifact)


def of_the_run(name: str) -> Any:  # noqa: ANN401 (a method, the configuration or the summary)
    """Return a method or mapping of the newest run, for those who do not name it."""
    run = recording.active()
    if run is not None:
        return getattr(run, name)
    msg = f"You must call wandb.init() before wandb.{name}"
    raise NoRunError(msg)


# --- beginning -------------------------------------------------------------------------------------------------------


def _fill(chosen: Settings, config: Config) -> None:
    """Let the environment and ``config.toml`` say what nobody else said."""
    chosen.entity = chosen.entity or config.text("entity")
    chosen.project = chosen.project or config.text("project")
    chosen.mode = {"dryrun": "offline", "run": "online"}.get(mode := chosen.mode or config.text("mode"), mode)
    if chosen.mode not in {"online", "offline", "disabled", "shared"}:
        msg = f"mode must be 'online', 'offline' (the same here) or 'disabled', not {chosen.mode!r}"
        raise UsageError(msg)
    chosen.run_id = chosen.run_id or config["run_id"]
    chosen.run_name = chosen.run_name or config["name"]
    chosen.run_notes = chosen.run_notes or config["notes"]
    chosen.run_group = chosen.run_group or config["run_group"]
    chosen.run_job_type = chosen.run_job_type or config["job_type"]
    if chosen.run_tags is None and config["tags"]:
        chosen.run_tags = tuple(tag.strip() for tag in config.text("tags").split(",") if tag.strip())
    chosen.resume = config["resume"] if chosen.resume is None else chosen.resume
    chosen.silent = config.flag("silent") if chosen.silent is None else chosen.silent
    chosen.quiet = config.flag("quiet") if chosen.quiet is None else chosen.quiet


def _previous(reinit: bool | str | None) -> Run | None:
    """Return the run to go on with, if there is one and it is not to be ended."""
    choices = {None, True, False, "default", "return_previous", "finish_previous", "create_new"}
    if reinit not in choices:
        msg = f"reinit must be True, False, 'return_previous', 'finish_previous' or 'create_new', not {reinit!r}"
        raise UsageError(msg)
    run = recording.active()
    if run is None or reinit == "create_new":
        return None
    notebook = "ipykernel" in sys.modules
    if reinit in {True, "finish_previous"} or (notebook and reinit in {None, "default"}):
        run.finish()
        return None
    return run if isinstance(run, Run) else None


def _configuration(given: object, exclude: Sequence[str] | None, include: Sequence[str] | None) -> dict[str, Any]:
    if exclude and include:
        msg = "give config_exclude_keys or config_include_keys, not both"
        raise UsageError(msg)
    values = mapping_of(given)
    if include:
        return {key: value for key, value in values.items() if key in include}
    return {key: value for key, value in values.items() if key not in (exclude or ())}


def _begin(chosen: Settings, values: dict[str, Any]) -> Run:
    store = session.store()
    kept: dict[str, Json] = {
        key: plain(value, key, special=figure) for key, value in values.items() if not _is_input(value)
    }
    with as_comm_error():
        project = directory.create_project(store, chosen.entity or "", chosen.project or "")
        key = chosen.run_id or "".join(secrets.choice(ID_CHARACTERS) for _ in range(ID_LENGTH))
        there = store.views.find(RunRow, project_id=project.project_id, key=plain_name(key, "Run id"))
        resumed = _resumes(chosen.resume, key, there)
        draft = RunDraft(
            key=key,
            name=chosen.run_name or key,
            job_type=chosen.run_job_type,
            group=chosen.run_group,
            tags=tuple(chosen.run_tags or ()),
            notes=chosen.run_notes,
            config=None if resumed else kept,
        )
        row = runs.start(store, project, draft)
    run = _run(store, project, row, chosen, kept, resumed=resumed)
    run.config.update(
        {key: value for key, value in values.items() if resumed or _is_input(value)}, allow_val_change=True
    )
    say(f"run {run.name} {'resumed' if resumed else 'started'} in {run.entity}/{run.project}", chosen)
    return run


def _run(
    store: Store, project: ProjectRow, row: RunRow, chosen: Settings, kept: dict[str, Json], *, resumed: bool
) -> Run:
    run = Run(store, project, row, chosen, resumed=resumed)
    if not resumed:
        run.config.restore(kept)
    return run


def _resumes(resume: bool | str | None, key: str, there: RunRow | None) -> bool:
    """Return whether the run goes on with an earlier one of this id."""
    choice = {True: "auto", False: None, "": None}.get(resume, resume)
    if choice not in {None, "allow", "must", "never", "auto"}:
        msg = f"resume must be 'allow', 'must', 'never' or 'auto', not {resume!r}"
        raise UsageError(msg)
    if choice == "must" and there is None:
        msg = f"there is no run {key!r} to resume — leave out resume='must' to begin it"
        raise NotThereError(msg)
    if choice == "never" and there is not None:
        msg = f"run {key!r} is there already — choose another id"
        raise CommError(msg)
    return there is not None and choice is not None


def _is_input(value: object) -> bool:
    return isinstance(value, Artifact) or (isinstance(value, str) and value.startswith(recording.URI_SCHEMES))
