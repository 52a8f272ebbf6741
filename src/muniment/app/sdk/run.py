"""Runs: what uses, logs and links artifacts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from attrs import evolve

from muniment.app import catalog
from muniment.app.files.walking import walk
from muniment.app.sdk import session
from muniment.app.sdk.artifact import Artifact
from muniment.app.sdk.committing import Way
from muniment.app.sdk.errors import UsageError, as_comm_error
from muniment.app.sdk.kinds import path_text, text, texts, wrong
from muniment.app.sdk.recording import BaseRun
from muniment.app.sdk.table import Table
from muniment.app.store import Store
from muniment.domain.errors import InvalidNameError, TypeRefusedError
from muniment.domain.values import LATEST, NAME_LIMIT

Local = str | os.PathLike[str]
_ODD = re.compile(r"[^a-zA-Z0-9_\-.]+")
UNSPECIFIED = "unspecified"


class DistributedIdError(UsageError, TypeError):
    """Several writers can only make one version if something says which writers belong together."""


class PlainNameError(InvalidNameError, AssertionError):
    """A name was given with a path before it."""


class NotAModelError(TypeRefusedError, AssertionError):
    """The artifact is no model."""


class Run(BaseRun):
    """One execution of a program: what it used and logged, with which configuration and figures.

    Use it as a context manager, or end it with ``finish()``; both wait until everything is logged.
    """

    # --- artifacts ----------------------------------------------------------------------------------------------------

    def log_artifact(
        self,
        artifact_or_path: Artifact | Local,
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Artifact:
        """Log an artifact, or what is at a path or URI, as an output of the run.

        It is uploaded in the background and gets the alias ``latest``; ``wait()`` on it to have its version.
        """
        self._must_run("artifact")
        artifact = self._as_artifact(artifact_or_path, name, type)
        way = self._way(texts(aliases, "aliases"), tags=texts(tags, "tags"))
        self._hand_over(artifact, way)
        return artifact

    def use_artifact(
        self,
        artifact_or_name: Artifact | str,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Take an artifact as input of the run; a draft is logged first, unless its content is there already."""
        del use_as
        self._must_run("input")
        if isinstance(artifact_or_name, Artifact):
            artifact = artifact_or_name
            if artifact.is_draft():
                if artifact.is_waiting():
                    artifact.wait()
                else:
                    self._hand_over(artifact, self._way(texts(aliases, "aliases"), produced=False))
                    artifact.wait()
        else:
            artifact = self._find(artifact_or_name)
        if type is not None and artifact.type != type:
            msg = f"Supplied type {type!r} does not match type {artifact.type!r} of artifact {artifact.name!r}"
            raise TypeRefusedError(msg)
        if artifact.id is not None:
            artifact.taken_by(self._store, self._row.run_id)
        return artifact

    def link_artifact(
        self, artifact: Artifact, target_path: str, aliases: Sequence[str] | None = None, use_as: str | None = None
    ) -> Artifact:
        """Link an artifact into a registry's collection, which is made if it is not there; a draft is logged first.

        Returns the artifact as it is reached through the collection.
        """
        del use_as
        self._must_run("link")
        if not isinstance(artifact, Artifact):
            raise wrong(artifact, "artifact", "an Artifact")
        target = session.target(target_path, entity=self.entity, project=self.project)
        if artifact.is_draft() and not artifact.is_waiting():
            self.log_artifact(artifact)
        artifact.wait()
        return artifact.link(f"{target.owner}/{target.project}/{target.name}", texts(aliases, "aliases"))

    def upsert_artifact(
        self,
        artifact_or_path: Artifact | Local,
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Bring a part of a version that several writers make; ``finish_artifact`` makes the version of all parts."""
        return self._bring(artifact_or_path, name, type, aliases, distributed_id, is_part=True)

    def finish_artifact(
        self,
        artifact_or_path: Artifact | Local,
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Bring the last part and make the version of all; where two hold the same path, the later part counts."""
        return self._bring(artifact_or_path, name, type, aliases, distributed_id, is_part=False)

    # --- models and code ----------------------------------------------------------------------------------------------

    def log_model(self, path: Local, name: str | None = None, aliases: Sequence[str] | None = None) -> None:
        """Log a file or folder as an artifact of type ``model``."""
        self.log_artifact(path, name=name, type="model", aliases=aliases)

    def use_model(self, name: str) -> str:
        """Take a model as input, download it, and return the path of its file, or of its folder if it has several."""
        self._must_run("input")
        found = self._find(name)
        if "model" not in found.type:
            msg = "You can only use this method for 'model' artifacts. For other types use run.use_artifact()."
            raise NotAModelError(msg)
        artifact = self.use_artifact(found)
        return artifact.file() if artifact.file_count == 1 else artifact.download()

    def link_model(
        self,
        path: Local,
        registered_model_name: str,
        name: str | None = None,
        aliases: Sequence[str] | None = None,
    ) -> Artifact:
        """Log a file or folder as a model and link it into the registry ``model`` under *registered_model_name*."""
        for given, what in ((registered_model_name, "registered_model_name"), (name or "-", "name")):
            if not isinstance(given, str) or "/" in given or ":" in given:
                msg = f"{what} must be a name without '/' and ':', not {given!r}"
                raise PlainNameError(msg)
        artifact = self.log_artifact(path, name=name, type="model", aliases=aliases)
        return self.link_artifact(artifact, f"wandb-registry-model/{registered_model_name}", aliases)

    def log_code(
        self,
        root: str | None = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] | None = None,
        exclude_fn: Callable[..., bool] | None = None,
    ) -> Artifact | None:
        """Log the source files below *root*, by default ``*.py``, as an artifact of type ``code``."""
        self._must_run("code")
        top = os.path.abspath(path_text(root or ".", "root"))  # noqa: PTH100 (text in, text out)
        wanted = include_fn or (lambda path: path.endswith(".py"))
        unwanted = exclude_fn or (lambda path: bool({".venv", "__pycache__", ".git"} & set(Path(path).parts)))
        files = [
            (local, path) for local, path in walk(top) if _call(wanted, local, top) and not _call(unwanted, local, top)
        ]
        if not files:
            return None
        artifact = Artifact.internal(_name(name or f"source-{self.project}-{Path(top).name}"), "code")
        for local, path in files:
            artifact.add_file(local, name=path)
        return self.log_artifact(artifact)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _way(
        self,
        aliases: list[str],
        *,
        tags: list[str] | None = None,
        produced: bool = True,
    ) -> Way:
        self._flush()
        return Way(
            store=self._store,
            project=self._project,
            entity=self.entity,
            producer=self._row.run_id if produced else None,
            aliases=tuple(dict.fromkeys([*aliases, LATEST])),
            tags=tuple(tags or ()),
        )

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
        self._must_run("artifact")
        artifact = self._as_artifact(artifact_or_path, name, type)
        together = text(distributed_id or "", "distributed_id") or artifact.distributed_id or self.group
        if not together:
            act = "upsert" if is_part else "finish"
            msg = f"Cannot {act} artifact unless run is in a group or distributed_id is provided"
            raise DistributedIdError(msg)
        artifact.distributed_id = together
        way = evolve(self._way(texts(aliases, "aliases")), distributed_id=together, is_part=is_part)
        self._hand_over(artifact, way)
        return artifact

    def _as_artifact(self, given: Artifact | Local, name: str | None, type: str | None) -> Artifact:
        if isinstance(given, Artifact):
            return given
        path = path_text(given, "artifact_or_path")
        artifact = Artifact(name or _name(f"run-{self.id}-{Path(path).name}"), type or UNSPECIFIED)
        if "://" in path:
            artifact.add_reference(path)
        elif Path(path).is_dir():
            artifact.add_dir(path)
        else:
            artifact.add_file(path)
        return artifact

    def _find(self, name: str) -> Artifact:
        return named(self._store, name, self.entity, self.project, self._waiting)

    def _log_table(self, key: str, table: Table) -> str:
        artifact = Artifact.internal(_name(f"run-{self.id}-{key}"), "run_table")
        artifact.add(table, _name(key))
        self.log_artifact(artifact)
        return artifact.name


def named(store: Store, name: str, entity: str, project: str, waiting: Iterable[Artifact] = ()) -> Artifact:
    """Return an artifact by its name or URI, once those of this name that are on their way have arrived."""
    for scheme in ("wandb-artifact://", "muniment-artifact://"):
        name = name.removeprefix(scheme) if isinstance(name, str) else name
    with as_comm_error():
        address = session.address(name, entity=entity, project=project)
        for artifact in waiting:
            if artifact.collection_name == address.name:
                artifact.stand_still()
        return Artifact.of(store, catalog.find(store.views, address))


def _name(text: str) -> str:
    """Return a name that an artifact may have."""
    return _ODD.sub("-", text)[:NAME_LIMIT]


def _call(function: Callable[..., bool], path: str, root: str) -> bool:
    """Ask a function about a path; W&B's take the path, or path and root."""
    code = getattr(function, "__code__", None)
    return function(path, root) if code is not None and code.co_argcount > 1 else function(path)
