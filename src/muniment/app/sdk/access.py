"""Taking a logged artifact out of the store, and letting it go."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections.abc import Collection
from typing import Any, Self, cast

from muniment.app import catalog, lifecycle, link_artifact, runs
from muniment.app.files import download
from muniment.app.files.fetching import Fetcher
from muniment.app.files.placing import Ground
from muniment.app.sdk import moves, session
from muniment.app.sdk.errors import as_comm_error
from muniment.app.sdk.files import ArtifactFiles, Listed
from muniment.app.sdk.filling import Filling
from muniment.app.sdk.kinds import path_text, texts
from muniment.app.sdk.later import later
from muniment.app.sdk.terminal import watched
from muniment.domain.errors import InvalidValueError
from muniment.domain.manifest import Entry
from muniment.domain.rows import EdgeRow, RunRow

_LOG = logging.getLogger(__name__)
_PAGE = 1000


class Access(Filling):
    """What can be done with a logged artifact."""

    # --- taking it out ------------------------------------------------------------------------------------------------

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: str | os.PathLike[str] | None = None,
        multipart: bool | None = None,
    ) -> str:
        """Write the files below *root* (``./artifacts/<name>``), every byte verified, and return that folder.

        With *path_prefix* only those whose path begins with it. Other files that are there stay.
        """
        del multipart
        found, folder = self._readable("download"), self._root(root)
        prefix = None if path_prefix is None else path_text(path_prefix, "path_prefix")
        with watched() as progress:
            done = download.download(
                self.store,
                found,
                folder,
                path_prefix=prefix,
                allow_missing_references=allow_missing_references,
                skip_cache=skip_cache,
                progress=progress,
            )
        self._took(done.entries, done.size)
        return folder

    def checkout(self, root: str | os.PathLike[str] | None = None) -> str:
        """Make *root* hold the files of the artifact and no others; return that folder."""
        found, folder = self._readable("checkout"), self._root(root)
        with watched() as progress:
            done = download.checkout(self.store, found, folder, progress=progress)
        self._took(done.entries, done.size)
        return folder

    def verify(self, root: str | os.PathLike[str] | None = None) -> None:
        """Compare the files below *root* with the artifact; ValueError names the first that differs."""
        with watched() as progress:
            download.verify_folder(self.store, self._version("verify"), self._root(root), progress=progress)

    def file(self, root: str | os.PathLike[str] | None = None) -> str:
        """Download an artifact of one file and return its path."""
        self._version("file")
        if len(self.held()) != 1:
            msg = (
                "This artifact contains more than one file, call `.download()` to get all files or call "
                '.get_entry("filename").download()'
            )
            raise InvalidValueError(msg)
        (entry,) = self.held().entries()
        return self.fetch_entry(entry, None if root is None else os.fspath(root))

    def files(
        self, names: Collection[str] | None = None, per_page: int = 50, start: str | None = None
    ) -> ArtifactFiles:
        """Return the files, with their sizes and addresses; *start* is the cursor of an earlier listing."""
        self._version("files")
        return ArtifactFiles(self.held(), cast("Listed", self), names, per_page, start)

    def fetch_entry(self, entry: Entry, root: str | None, *, skip_cache: bool = False) -> str:
        """Write one entry below *root*, verified, and return its path."""
        store = self.store if skip_cache else self.store.through_cache()
        store = store.of_team(self._readable("get_entry").team.team_id)
        folder = self._root(root)
        above = entry.path.rpartition("/")[0]
        with Ground(os.path.abspath(folder)) as ground, ground.folder(above) as (inside, _):  # noqa: PTH100
            ground.put(inside, entry.path, lambda file: Fetcher(store, store.blobs).write(entry, file))
        self._took(1, entry.size or 0)
        return os.path.join(folder, entry.path)  # noqa: PTH118 (text in, text out)

    # --- lineage ------------------------------------------------------------------------------------------------------

    def used_by(self) -> list[Any]:
        """Return the runs that used the artifact."""
        found = self._version("used_by")
        edges = self.store.views.select(
            EdgeRow, at=self._at, version_id=found.version.version_id, role="in", order="edge_seq"
        )
        rows = [self.store.views.find(RunRow, at=self._at, run_id=edge.run_id) for edge in edges]
        return [self._run_of(row) for row in rows if row is not None]

    def logged_by(self) -> Any:  # noqa: ANN401 (a public run, or None)
        """Return the run that logged the artifact first, or ``None``."""
        run_id = self._version("logged_by").version.run_id
        row = None if run_id is None else self.store.views.find(RunRow, at=self._at, run_id=run_id)
        return None if row is None else self._run_of(row)

    # --- links and the end --------------------------------------------------------------------------------------------

    def link(self, target_path: str, aliases: list[str] | None = None) -> Self:
        """Link the artifact into a registry's collection, ``[org/]wandb-registry-<registry>/<collection>``.

        A draft is logged first. Returns the artifact as it is reached through the collection.
        """
        if self._found is None:
            self.save()
            self.wait()
        found = self._changeable("link")
        target = session.target(target_path, entity=found.team.name)
        chosen = texts(aliases, "aliases")
        with as_comm_error():
            linked = link_artifact.link(self.store, found, target, chosen)
        if linked.collection is not None:
            moves.remember(self.store, linked.collection.collection_id, chosen, linked.version.version_id)
        return self.of(self.store, linked)

    def unlink(self) -> None:
        """Take the artifact out of the collection through which it was reached."""
        found = self._changeable("unlink")
        if found.link is None or found.collection is None:
            msg = "This is not a linked artifact: call unlink() on the artifact as reached through a registry"
            raise InvalidValueError(msg)
        self._unlink()

    def delete(self, delete_aliases: bool = False) -> None:
        """Mark the version deleted; it can be restored until its bytes are collected.

        One that has aliases is only deleted with *delete_aliases*, one that is linked not at all. Of an artifact
        reached through a registry only the link goes.
        """
        found = self._changeable("delete")
        if found.link is not None:
            _LOG.warning("%s is linked here: only the link is deleted, the source artifact stays", self)
            self._unlink()
            return
        with as_comm_error():
            held = catalog.aliases_of(self.store.views, found.artifact.artifact_id, found.version.version_id)
            lifecycle.delete(self.store, found, delete_aliases=delete_aliases)
        moves.remember(self.store, found.artifact.artifact_id, held, None)
        self._found = catalog.origin(self.store.views, found.version.version_id)

    def restore(self) -> None:
        """Take the deletion back, which works until the bytes are collected."""
        found = self._changeable("restore")
        with as_comm_error():
            lifecycle.restore(self.store, found)
        self._found = catalog.origin(self.store.views, found.version.version_id)

    # --- inside -------------------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def of(cls, store: Any, found: Any, at: int | None = None) -> Self:  # noqa: ANN401
        """Return the artifact for a version that was found."""

    @abstractmethod
    def save(self) -> None:
        """Keep what was changed."""

    def _unlink(self) -> None:
        found = self._version("unlink")
        owner = found.collection.collection_id if found.collection else ""
        with as_comm_error():
            held = catalog.aliases_of(self.store.views, owner, found.version.version_id)
            link_artifact.unlink(self.store, found)
        moves.remember(self.store, owner, held, None)

    def _root(self, root: str | os.PathLike[str] | None) -> str:
        if root is not None:
            return path_text(root, "root")
        found = self._version("download")
        base = session.config()["artifact_dir"] or "./artifacts"
        return os.path.join(base, f"{found.artifact.name}:v{found.version.index}")  # noqa: PTH118

    def _took(self, entries: int, size: int) -> None:
        found = self._version("download")
        runs.downloaded(self.store, found.version.version_id, entries=entries, size=size)

    def _run_of(self, row: RunRow) -> Any:  # noqa: ANN401 (a public run)
        return later("public_run", "Run").of(self.store, row, self._at)
