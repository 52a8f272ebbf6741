"""A run of mode ``disabled``: its calls are accepted and keep nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from muniment.app.runs import RunDraft
from muniment.app.sdk import session
from muniment.app.sdk.artifact import Artifact
from muniment.app.sdk.mapping import Config, Summary
from muniment.app.sdk.plain import figure, plain
from muniment.app.sdk.recording import ACTIVE
from muniment.app.sdk.run import Local, Run, named
from muniment.app.sdk.settings import Settings


class DisabledRun(Run):
    """A run that keeps nothing; what it is asked to use is read from the store, without a trace."""

    disabled = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._draft = RunDraft(
            settings.run_id or "disabled",
            settings.run_name or "disabled",
            settings.run_job_type,
            settings.run_group,
            tuple(settings.run_tags or ()),
            settings.run_notes,
        )
        self._entity = settings.entity or ""
        self._resumed = self._over = False
        self._step = self._first = 0
        self._pid = os.getpid()
        self.config = Config(_kept, lambda: None, may_change=True)
        self.summary = Summary(_kept, lambda: None)

    @property
    def project(self) -> str:
        """The project."""
        return self._settings.project or ""

    @property
    def url(self) -> str | None:
        """Nothing: the run is nowhere."""
        return None

    @property
    def dir(self) -> str:
        """The folder for temporary files."""
        return tempfile.gettempdir()

    @property
    def start_time(self) -> float:
        """Nothing has begun."""
        return 0.0

    def log(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None
    ) -> None:
        """Keep the last values in the summary, until the process ends."""
        del step, commit, sync
        self.summary.update(data)

    def log_artifact(
        self,
        artifact_or_path: Artifact | Local,
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Artifact:
        """Return the artifact, logged nowhere."""
        del aliases, tags
        artifact = self._as_artifact(artifact_or_path, name, type)
        artifact.go_nowhere()
        return artifact

    def use_artifact(
        self,
        artifact_or_name: Artifact | str,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Return the artifact without recording that it is used."""
        del type, aliases, use_as
        if isinstance(artifact_or_name, Artifact):
            if artifact_or_name.is_draft():
                artifact_or_name.go_nowhere()
            return artifact_or_name
        return self._find(artifact_or_name)

    def _find(self, name: str) -> Artifact:
        return named(session.store(), name, self.entity, self.project)

    def link_artifact(
        self, artifact: Artifact, target_path: str, aliases: Sequence[str] | None = None, use_as: str | None = None
    ) -> Artifact:
        """Return the artifact, linked nowhere."""
        del target_path, aliases, use_as
        return artifact

    def log_code(
        self,
        root: str | None = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] | None = None,
        exclude_fn: Callable[..., bool] | None = None,
    ) -> Artifact | None:
        """Do nothing."""
        del root, name, include_fn, exclude_fn
        return None

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run, which leaves nothing behind."""
        del exit_code, quiet
        self._over = True
        if self in ACTIVE:
            ACTIVE.remove(self)

    def _bring(
        self,
        artifact_or_path: Artifact | Local,
        name: str | None,
        type: str | None,
        aliases: Sequence[str] | None,
        distributed_id: str | None,
        *,
        is_part: bool,
    ) -> Artifact:
        del aliases, distributed_id, is_part
        return self.log_artifact(artifact_or_path, name, type)

    def _edit(self, draft: RunDraft) -> None:
        self._draft = draft

    def forget(self) -> None:
        """Do nothing: it keeps nothing."""


def _kept(key: str, value: Any) -> Any:  # noqa: ANN401 (JSON, or an artifact)
    return value if isinstance(value, Artifact) else plain(value, key, special=figure)
