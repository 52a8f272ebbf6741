"""What a run records about itself: its configuration, its summary, the figures it logs, and how it ends."""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attrs import evolve

from muniment.app import runs
from muniment.app.runs import RunDraft
from muniment.app.sdk.artifact import Artifact
from muniment.app.sdk.committing import Way
from muniment.app.sdk.errors import RunFinishedError
from muniment.app.sdk.mapping import Config, Summary
from muniment.app.sdk.plain import figure, plain
from muniment.app.sdk.settings import Settings
from muniment.app.sdk.table import Table
from muniment.app.sdk.terminal import say
from muniment.app.sdk.uploads import Uploads
from muniment.app.stopping import is_asked_to_end
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError, MunimentError
from muniment.domain.rows import ProjectRow, RunRow
from muniment.domain.run import RunState
from muniment.domain.values import Json

ROWS_AT_ONCE = 200
URI_SCHEMES = ("wandb-artifact://", "muniment-artifact://")


class BaseRun:
    """What a run is and what it says about itself."""

    def __init__(self, store: Store, project: ProjectRow, row: RunRow, settings: Settings, *, resumed: bool) -> None:
        self._store = store.acting(run=row.run_id)
        self._project = project
        self._row = row
        self._settings = settings
        self._resumed = resumed
        self._uploads = Uploads(shown=not (settings.silent or settings.quiet))
        self._entity = settings.entity or ""
        self._draft = _draft_of(self._store, row)
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._rows: list[dict[str, Json]] = []
        self._current: dict[str, Json] = {}
        self._step = 0
        self._changed = False
        self._over = False
        self._logged = 0
        self._waiting: list[Artifact] = []
        self.config = Config(self._config_value, self._config_changed, may_change=bool(settings.allow_val_change))
        self.summary = Summary(self._summary_value, lambda: None)
        if resumed:
            self._restore()
        self._first = self._step

    disabled = False
    offline = False

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The short id, unique in the project."""
        return self._draft.key

    @property
    def name(self) -> str:
        """The name to be shown."""
        return self._draft.name

    @name.setter
    def name(self, name: str) -> None:
        self._edit(evolve(self._draft, name=str(name)))

    @property
    def notes(self) -> str | None:
        """What the run is about."""
        return self._draft.notes

    @notes.setter
    def notes(self, notes: str | None) -> None:
        self._edit(evolve(self._draft, notes=notes))

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags."""
        return self._draft.tags

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._edit(evolve(self._draft, tags=tuple(tags)))

    @property
    def entity(self) -> str:
        """The team."""
        return self._entity

    @property
    def project(self) -> str:
        """The project."""
        return self._project.name or ""

    def project_name(self) -> str:
        """Return the project."""
        return self.project

    @property
    def group(self) -> str:
        """The group, empty if there is none."""
        return self._draft.group or ""

    @property
    def job_type(self) -> str:
        """The job type, empty if there is none."""
        return self._draft.job_type or ""

    @property
    def path(self) -> str:
        """Team, project and id."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def url(self) -> str | None:
        """The address of the run; there is no web page behind it."""
        return f"muniment://{self.path}"

    def get_url(self) -> str | None:
        """Return the address of the run."""
        return self.url

    @property
    def dir(self) -> str:
        """A folder for the run's own files, made when it is first asked for."""
        root = self._settings.root_dir or self._store.config["dir"]
        folder = Path(root or self._store.config.home / "runs", f"run-{self.id}", "files")
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    @property
    def resumed(self) -> bool:
        """Whether this goes on with an earlier run."""
        return self._resumed

    @property
    def starting_step(self) -> int:
        """The first step that this process logs."""
        return self._first

    @property
    def step(self) -> int:
        """The number of the row that is being logged."""
        return self._step

    @property
    def start_time(self) -> float:
        """When the run began, in seconds since 1970."""
        return self._row.started_at / 1_000_000

    @property
    def settings(self) -> Settings:
        """The settings of the run."""
        return self._settings

    def __repr__(self) -> str:
        return f"<Run {self.path}>"

    # --- figures ------------------------------------------------------------------------------------------------------

    def log(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None
    ) -> None:
        """Keep a row of figures; with ``commit=False`` or a *step* more can be added to it."""
        del sync
        self._must_run("log")
        if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
            msg = "log takes a dictionary whose keys are text"
            raise InvalidValueError(msg)
        with self._lock:
            if step is not None and step < self._step:
                say(f"step {step} is before {self._step} and was not logged — steps only go up", self._settings)
                return
            if step is not None and step > self._step:
                self._end_row()
                self._step = step
            self._current.update({key: self._logged_value(key, value) for key, value in data.items()})
            if step is None if commit is None else commit:
                self._end_row()
                self._step += 1

    def _end_row(self) -> None:
        if not self._current:
            return
        row, self._current = self._current, {}
        self.summary.update(row)
        self._rows.append({**row, "_step": self._step, "_timestamp": self._store.clock() / 1_000_000})
        if len(self._rows) >= ROWS_AT_ONCE or not self.is_of(os.getpid()):
            self._flush()

    def _flush(self) -> None:
        """Keep the rows and the configuration that were not kept yet."""
        with self._lock:
            rows, self._rows = self._rows, []
            changed, self._changed = self._changed, False
            if changed:
                runs.change_config(self._store, self._row, self.config.as_dict())
            if rows:
                runs.log_rows(self._store, self._row, rows, rows[-1]["_step"])

    def _logged_value(self, key: str, value: object) -> Json:
        if isinstance(value, Table):
            name = self._log_table(key, value)
            return {"_type": "table-file", "artifact_path": f"{name}/{key}.table.json", "nrows": len(value)}
        return plain(value, key, special=figure)

    @abstractmethod
    def _log_table(self, key: str, table: Table) -> str:
        """Return what the class that is used knows."""

    # --- configuration and summary ------------------------------------------------------------------------------------

    def _config_value(self, key: str, value: Any) -> Any:  # noqa: ANN401 (JSON, or an artifact)
        if isinstance(value, str) and value.startswith(URI_SCHEMES):
            return self.use_artifact(value.partition("://")[2])
        if isinstance(value, Artifact):
            return self.use_artifact(value)
        return plain(value, key, special=figure)

    def _config_changed(self) -> None:
        self._must_run("config")
        self._changed = True
        if not self.is_of(os.getpid()):
            self._flush()

    def _summary_value(self, key: str, value: Any) -> Json:  # noqa: ANN401 (anything with a form in JSON)
        return self._logged_value(key, value)

    @abstractmethod
    def use_artifact(self, artifact_or_name: str | Artifact) -> Artifact:
        """Take an artifact as input."""

    def _restore(self) -> None:
        slots = {slot for slot in (self._row.config, self._row.summary) if slot is not None}
        values = self._store.vault.get_many(slots) if slots else {}
        if self._row.config is not None:
            self.config.restore(values.get(self._row.config, {}))
        if self._row.summary is not None:
            self.summary.restore(values.get(self._row.summary, {}))
        rows = runs.history(self._store, self._row)
        self._step = rows[-1]["_step"] + 1 if rows else 0

    def _edit(self, draft: RunDraft) -> None:
        self._must_run("name, notes or tags")
        runs.edit(self._store, self._row, draft)
        self._draft = draft

    # --- the end ------------------------------------------------------------------------------------------------------

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """Wait until everything is logged, then end the run; what failed to be logged is raised here."""
        try:
            self._end(exit_code, None, quiet=bool(quiet))
        except BaseException as error:
            if is_asked_to_end(error):
                self._give_up_besides(error)
            raise

    def give_up(self, error: BaseException) -> None:
        """End the run because of an exception; one that asks to end stops what is still being logged."""
        if is_asked_to_end(error):
            self._uploads.stop()
        state, code = runs.verdict(error)
        self._end(code, state, quiet=False)

    def _end(self, exit_code: int | None, state: RunState | None, *, quiet: bool) -> None:
        if self._over or self._pid != os.getpid():
            return
        errors = self._uploads.wait()
        with self._lock:
            self._end_row()
        self._flush()
        code = exit_code or (1 if errors else 0)
        state = state or (RunState.FAILED if code else RunState.FINISHED)
        runs.finish(self._store, self._row, exit_code=code, summary=self.summary.as_dict(), state=state)
        self._uploads.close()
        self._over = True
        if self in ACTIVE:
            ACTIVE.remove(self)
        if not quiet:
            logged = self._logged - len(errors)
            say(f"run {self.name} {state.value}; {logged} artifact{'' if logged == 1 else 's'} logged", self._settings)
        if errors:
            raise errors[0]

    def is_of(self, pid: int) -> bool:
        """Whether the run was begun by this process and not by the one it was forked from."""
        return self._pid == pid

    def forget(self) -> None:
        """Leave to the parent, in a process that was forked from the run's own, what it has not kept yet.

        What the child logs is kept at once, because nobody ends the run here.
        """
        self._lock = threading.RLock()
        self._rows, self._current, self._changed = [], {}, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.finish()
            return
        self._give_up_besides(error)

    def _give_up_besides(self, error: BaseException) -> None:
        try:
            self.give_up(error)
        except MunimentError as failure:
            error.add_note(f"besides, an artifact could not be logged: {failure}")

    def _hand_over(self, artifact: Artifact, way: Way) -> None:
        """Let an artifact be logged in the background."""
        artifact.hand_over(self._uploads, way)
        self._logged += 1
        self._waiting = [*(each for each in self._waiting if each.is_waiting()), artifact]

    def _must_run(self, what: str) -> None:
        if self._over:
            msg = f"run {self.name} is finished and takes no {what} any more — start another with init()"
            raise RunFinishedError(msg)


ACTIVE: list[BaseRun] = []
"""The runs of this process that go on, the newest last."""


def _after_fork() -> None:
    for run in ACTIVE:
        run.forget()


os.register_at_fork(after_in_child=_after_fork)


def active() -> BaseRun | None:
    """Return the newest run of this process that goes on."""
    mine = [run for run in ACTIVE if run.is_of(os.getpid())]
    return mine[-1] if mine else None


def _draft_of(store: Store, row: RunRow) -> RunDraft:
    notes = store.vault.get_many({row.notes}).get(row.notes) if row.notes else None
    tags = tuple(row.tags.split("\n")) if row.tags else ()
    return RunDraft(row.key or "", row.name or "", row.job_type, row.group, tags, notes)
