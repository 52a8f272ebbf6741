"""Runs as they are looked at from outside: what they are, what they used and what they logged."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from muniment.app import catalog, clock, listing, log_artifact, runs
from muniment.app.log_artifact import Draft
from muniment.app.runs import RunDraft
from muniment.app.sdk import filters
from muniment.app.sdk.artifact import Artifact
from muniment.app.sdk.errors import CommError, as_comm_error
from muniment.app.sdk.pages import Fetch, Paginator
from muniment.app.sdk.people import User, current, users
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.rows import EdgeRow, ProjectRow, RunRow, TeamRow
from muniment.domain.values import ERASED_TEXT, Digest, Json

if TYPE_CHECKING:
    from muniment.app.catalog import Found
    from muniment.app.listing import Page


class Run:
    """A run as kept in the store; what is set here is kept by ``update()``."""

    def __init__(self, store: Store, row: RunRow, at: int | None = None) -> None:
        self._store, self._row, self._at = store, row, at
        self._read()

    @classmethod
    def of(cls, store: Store, row: RunRow, at: int | None = None) -> Run:
        """Return the run of a row."""
        return cls(store, row, at)

    def __repr__(self) -> str:
        return f"<Run {'/'.join(self.path)} ({self.state})>"

    name: str
    """What the run is called."""
    tags: list[str]
    group: str | None
    job_type: str | None
    notes: str | None
    config: dict[str, Json]
    summary: dict[str, Json]

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The short id, unique in the project."""
        return self._row.key or ERASED_TEXT

    @property
    def storage_id(self) -> str:
        """The id of the run in the whole store."""
        return self._row.run_id

    @property
    def display_name(self) -> str:
        """What the run is called."""
        return self.name

    @property
    def project(self) -> str:
        """The name of the project."""
        row = self._project
        return row.name or ERASED_TEXT if row else ERASED_TEXT

    @property
    def entity(self) -> str:
        """The name of the team."""
        project = self._project
        team = self._store.views.find(TeamRow, at=self._at, team_id=project.team_id) if project else None
        return team.name or ERASED_TEXT if team else ERASED_TEXT

    @property
    def path(self) -> list[str]:
        """Team, project and id."""
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str:
        """The address of the run; there is no web page behind it."""
        return f"muniment://{self.entity}/{self.project}/runs/{self.id}"

    @property
    def state(self) -> str:
        """How the run stands: ``running``, ``finished``, ``failed``, ``crashed`` or ``killed``."""
        return self._row.state

    @property
    def created_at(self) -> str:
        """When the run began."""
        return clock.to_text(self._row.started_at)

    @property
    def finished_at(self) -> str | None:
        """When the run ended, if it has."""
        return clock.told(self._row.finished_at)

    @property
    def user(self) -> User:
        """Who began the run."""
        return users(self._store, {self._row.actor})[self._row.actor]

    @property
    def username(self) -> str:
        """The login name of who began the run."""
        return self.user.username

    @property
    def last_history_step(self) -> int:
        """The number of the last step that was logged; -1 if none was."""
        steps = [row.get("_step", -1) for row in self._rows()]
        return max((step for step in steps if isinstance(step, int)), default=-1)

    lastHistoryStep = last_history_step  # noqa: N815 (W&B's name)

    def load(self, force: bool = False) -> Run:
        """Read the run again; changes that were not kept are lost."""
        del force
        self._row = runs.get(self._store, self._row.run_id, self._at)
        self._read()
        return self

    def update(self) -> None:
        """Keep what was changed: name, tags, group, job type, notes and configuration."""
        current(self._at, "Run.update")
        config = self.config if self.config != self._seen_config else None
        draft = RunDraft(self.id, self.name, self.job_type, self.group, tuple(self.tags), self.notes, config)
        with as_comm_error():
            runs.edit(self._store, self._row, draft)
        self.load()

    save = update

    # --- what it logged -----------------------------------------------------------------------------------------------

    def history(
        self,
        samples: int = 500,
        keys: list[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:  # noqa: ANN401 (a list, or a data frame)
        """Return what the run logged, at most *samples* rows spread evenly; with pandas installed as a data frame."""
        del stream
        rows = list(self.scan_history(None if keys is None else [x_axis, *keys]))
        if len(rows) > samples > 0:
            last = len(rows) - 1
            rows = [rows[round(at * last / max(1, samples - 1))] for at in range(samples)]
        if pandas and find_spec("pandas") is not None:
            return import_module("pandas").DataFrame.from_records(rows)
        return rows

    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[dict[str, Json]]:
        """Yield every row that the run logged; with *keys* those that have them all, and only these keys."""
        del page_size
        for row in self._rows():
            step = row.get("_step", 0)
            if (min_step is not None and step < min_step) or (max_step is not None and step >= max_step):
                continue
            if keys is None:
                yield row
            elif all(key in row for key in keys):
                yield {key: row[key] for key in keys}

    def logged_artifacts(self, per_page: int = 100, start: str | None = None) -> Paginator[Artifact]:
        """Return the artifacts that the run logged, in order."""
        return self._artifacts("out", per_page, start)

    def used_artifacts(self, per_page: int = 100, start: str | None = None) -> Paginator[Artifact]:
        """Return the artifacts that the run used, in order."""
        return self._artifacts("in", per_page, start)

    def use_artifact(self, artifact: Artifact, use_as: str | None = None) -> Artifact:
        """Record that the run uses a logged artifact."""
        del use_as
        current(self._at, "Run.use_artifact")
        found = self._logged(artifact, "use")
        with as_comm_error():
            runs.use(self._store, found.version.version_id, self._row.run_id, found.registry)
        return artifact

    def log_artifact(
        self,
        artifact: Artifact,
        aliases: list[str] | None = None,
        tags: list[str] | None = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Record a logged artifact of the same project as an output of the run, and give it aliases and tags."""
        del use_as
        current(self._at, "Run.log_artifact")
        found = self._logged(artifact, "log")
        if found.project.project_id != self._row.project_id:
            msg = f"{artifact.name} belongs to another project, so this run cannot log it"
            raise CommError(msg)
        with as_comm_error():
            logged = log_artifact.log(self._store, found.project, _again(found, aliases, tags), run_id=self._row.run_id)
        return Artifact.of(self._store, catalog.origin(self._store.views, logged.version_id))

    def delete(self, delete_artifacts: bool = False) -> None:
        """Let the run go; with *delete_artifacts* mark what it logged deleted too."""
        current(self._at, "Run.delete")
        with as_comm_error():
            runs.delete(self._store, self._row, delete_artifacts=delete_artifacts)

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _project(self) -> ProjectRow | None:
        return self._store.views.find(ProjectRow, at=self._at, project_id=self._row.project_id)

    def _read(self) -> None:
        row = self._row
        texts = filters.personal(self._store, [row.config, row.summary, row.notes])
        self.name, self.group, self.job_type = row.name or ERASED_TEXT, row.group, row.job_type
        self.tags = row.tags.split("\n") if row.tags else []
        self.notes = None if row.notes is None else texts.get(row.notes, ERASED_TEXT)
        self.config = dict(texts.get(row.config) or {})
        self.summary = dict(texts.get(row.summary) or {})
        self._seen_config = dict(self.config)

    def _rows(self) -> list[dict[str, Json]]:
        return runs.history(self._store, self._row, self._at)

    def _artifacts(self, role: str, per_page: int, start: str | None) -> Paginator[Artifact]:
        views, at, run_id = self._store.views, self._at, self._row.run_id
        list_ = listing.logged if role == "out" else listing.used

        def fetch(cursor: str | None, size: int) -> Page[Artifact]:
            page = list_(views, run_id, listing.Paging(cursor, size, at=at))
            found = tuple(each for row in page.items if (each := self._artifact(row)) is not None)
            return listing.Page(found, page.next)

        get: Fetch[Artifact] = fetch
        return Paginator(get, per_page, start)

    def _artifact(self, row: EdgeRow) -> Artifact | None:
        """Return the artifact of an edge; ``None`` if it was deleted with its artifact or project."""
        try:
            found = catalog.origin(self._store.views, row.version_id, self._at)
        except NotFoundError:
            return None
        return Artifact.of(self._store, found, self._at)

    def _logged(self, artifact: object, act: str) -> Found:
        if not isinstance(artifact, Artifact) or artifact.is_draft() or artifact.id is None:
            msg = f"You must {act} an artifact that was logged already, for example one that Api.artifact() returned"
            raise InvalidValueError(msg)
        return catalog.origin(self._store.views, artifact.id)  # type: ignore[arg-type]


def _again(found: Found, aliases: list[str] | None, tags: list[str] | None) -> Draft:
    """Return a version as a draft of the same content."""
    version = found.version
    return Draft(
        name=found.artifact.name or "",
        type=found.artifact.type or "",
        digest=Digest(version.digest or ""),
        manifest=Digest(version.manifest or ""),
        size=version.size,
        entries=version.entries,
        aliases=tuple(aliases or ()),
        tags=tuple(tags or ()),
    )
