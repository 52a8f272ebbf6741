"""How a draft becomes a version: checked at once, uploaded and logged in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from muniment.app import catalog, drafts, runs
from muniment.app.files import reference
from muniment.app.log_artifact import Draft, log
from muniment.app.progress import StoppedError
from muniment.app.sdk import moves
from muniment.app.sdk.contents import Contents
from muniment.app.sdk.errors import as_comm_error
from muniment.app.sdk.naming import Naming
from muniment.app.sdk.plain import metadata as plain_metadata
from muniment.app.sdk.state import Said
from muniment.app.sdk.uploads import Uploads
from muniment.app.upload import log_contents
from muniment.domain.errors import InvalidValueError, TypeRefusedError, VersionDeletedError
from muniment.domain.rows import ArtifactRow, ProjectRow
from muniment.domain.values import Digest, RunId, alias_name, tag_name

if TYPE_CHECKING:
    from muniment.app.catalog import Found
    from muniment.app.log_artifact import Logged
    from muniment.app.manifests import Written
    from muniment.app.store import Store


@frozen
class Way:
    """Where an artifact goes and under which names; *producer* is the run that is recorded as having made it."""

    store: Store
    project: ProjectRow
    entity: str
    producer: RunId | None
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    distributed_id: str | None = None
    is_part: bool = False


class Committing(Naming):
    """What becomes of a draft when it is logged."""

    _base: Found | None = None

    def hand_over(self, uploads: Uploads, way: Way) -> None:
        """Let the artifact be logged in the background; what is wrong with it is said now as far as it can be."""
        self._check_way(way)
        said = self.said.copy()
        said.metadata = plain_metadata(said.metadata)
        sizes: list[int] = []
        if self._contents is not None:
            self._check_targets(self._contents)
            self._contents.check()
            sizes = [each.source.size for each in self._contents.staged() if each.source is not None]
        self._store, self._handed = way.store, self.said.copy()
        self.finalize()
        self._pending = uploads.submit(lambda: self._commit(uploads, way, said), len(sizes), sum(sizes))

    def go_nowhere(self) -> None:
        """Be kept by nobody, because the run is disabled."""
        self.finalize()
        self._nowhere = True

    def taken_by(self, store: Store, run_id: RunId) -> None:
        """Record that a run uses the artifact."""
        found = self._version("use")
        with as_comm_error():
            runs.use(store, found.version.version_id, run_id, found.registry)
        if self._at is None:
            self._store = store

    # --- at once ------------------------------------------------------------------------------------------------------

    def _check_way(self, way: Way) -> None:
        for alias in way.aliases:
            alias_name(alias)
        for tag in way.tags:
            tag_name(tag)
        if self._found is not None:
            self._check_home(self._found, way)
        row = way.store.views.find(ArtifactRow, project_id=way.project.project_id, name=self._name)
        if row is not None and row.type != self._type:
            msg = (
                f"Artifact {self._name} already exists with type {row.type!r}; "
                f"cannot create another with type {self._type!r}"
            )
            raise TypeRefusedError(msg)

    def _check_home(self, found: Found, way: Way) -> None:
        if found.team.name != way.entity:
            msg = f"Artifact {self.name} is owned by entity {found.team.name!r}; it can't be moved to {way.entity!r}"
            raise InvalidValueError(msg)
        if found.project.project_id != way.project.project_id:
            project = way.project.name
            msg = f"Artifact {self.name} exists in project {found.project.name!r}; it can't be moved to {project!r}"
            raise InvalidValueError(msg)

    def _check_targets(self, contents: Contents) -> None:
        for path, parent in contents.parents.items():
            if isinstance(parent, Committing) and parent.is_draft() and not parent.is_waiting():
                msg = f"{path!r} refers to an entry of {parent.name}, which is not logged — log that first"
                raise InvalidValueError(msg)

    # --- in the background --------------------------------------------------------------------------------------------

    def _commit(self, uploads: Uploads, way: Way, said: Said) -> None:
        try:
            self._bring_in(uploads, way, said)
        except Exception as error:
            if isinstance(error, StoppedError) and self._contents is not None:
                self._contents.close()
            error.add_note(f"artifact {self.collection_name} was not logged")
            raise

    def _bring_in(self, uploads: Uploads, way: Way, said: Said) -> None:
        contents = self._contents
        if contents is None:
            logged = self._log_again(way)
        else:
            contents.settle()
            if way.is_part and way.distributed_id is not None:
                changes = contents.changes.values()
                drafts.keep_part(way.store, way.project, self._name, way.distributed_id, changes, progress=uploads)
                contents.close()
                return
            logged = self._upload(contents, uploads, way, said)
        moves.remember(way.store, logged.artifact_id, way.aliases, logged.version_id)
        self.settle(way.store, catalog.origin(way.store.views, logged.version_id))

    def _upload(self, contents: Contents, uploads: Uploads, way: Way, said: Said) -> Logged:
        store, project, changes, name = way.store, way.project, contents.changes.values(), self._name
        sources = reference.sources(contents.entries())
        base = None if self._base is None else self._base.version.version_id

        def draft(written: Written) -> Draft:
            return Draft(
                name=name,
                type=self._type,
                digest=written.digest,
                manifest=written.manifest,
                size=written.size,
                entries=written.entries,
                aliases=way.aliases,
                tags=way.tags,
                description=said.description or None,
                metadata=said.metadata or None,
                ttl=said.ttl,
                base=base,
                sources=sources,
            )

        run_id = way.producer
        if way.distributed_id is not None:
            return drafts.log_finished(
                store,
                project,
                name,
                way.distributed_id,
                changes,
                draft,
                onto_latest=self._incremental,
                run_id=run_id,
                progress=uploads,
            )
        if self._incremental:
            return drafts.log_onto_latest(store, project, name, changes, draft, run_id=run_id, progress=uploads)
        from_base = contents.base is not None
        return log_contents(
            store, project, changes, draft, run_id=run_id, base=contents.base, incremental=from_base, progress=uploads
        )

    def _log_again(self, way: Way) -> Logged:
        """Log a version that is there: its aliases move, and the run is recorded as its producer too."""
        found = self._version("log")
        version = catalog.origin(way.store.views, found.version.version_id).version
        if version.digest is None or version.manifest is None:
            msg = f"version {self.source_name} has no content any more"
            raise VersionDeletedError(msg)
        draft = Draft(
            name=found.artifact.name or "",
            type=self._type,
            digest=Digest(version.digest),
            manifest=Digest(version.manifest),
            size=version.size,
            entries=version.entries,
            aliases=way.aliases,
            tags=way.tags,
        )
        return log(way.store, way.project, draft, run_id=way.producer)
