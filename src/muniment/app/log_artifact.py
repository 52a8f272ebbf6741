"""Logging a version: what was uploaded becomes the next version of its artifact, or is found to be there already."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from muniment.app import catalog, directory, leases
from muniment.app.leases import Lease
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import alias as aliases
from muniment.domain import artifact as artifacts
from muniment.domain import run as runs
from muniment.domain import version as versions
from muniment.domain.errors import ConflictError, NotFoundError, TypeRefusedError
from muniment.domain.ports import Views
from muniment.domain.rows import AliasRow, ArtifactRow, EdgeRow, ProjectRow, RunRow, TagRow, TeamRow, VersionRow
from muniment.domain.team import TtlSetters, require_ttl_setter
from muniment.domain.values import (
    INHERIT,
    LATEST,
    ArtifactId,
    CommandId,
    Digest,
    Json,
    Personal,
    Role,
    RunId,
    Ttl,
    VersionId,
    alias_name,
    alias_stream,
    artifact_name,
    latest_stream,
    numbering_stream,
    tag_name,
    type_name,
)

PARTS = "draft"
"""The kind of scratch row that keeps a part of a version which several writers make together."""


@frozen
class Draft:
    """A version on its way: its name and content, and everything that is said about it.

    With *onto_latest* it is only logged while ``latest`` points at *base* (``None``: nowhere), else ConflictError.
    *parts* are the scratch rows that it was merged from, which go with the commit; one that is gone is ConflictError.
    """

    name: str
    type: str
    digest: Digest
    manifest: Digest
    size: int
    entries: int
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    description: str | None = None
    metadata: Json | None = None
    ttl: Ttl = INHERIT
    base: VersionId | None = None
    sources: tuple[VersionId, ...] = ()
    onto_latest: bool = False
    parts: tuple[str, ...] = ()
    version_id: VersionId = field(factory=lambda: VersionId(new_id()))

    def check(self) -> None:
        """Refuse names that are not allowed."""
        artifact_name(self.name)
        type_name(self.type)
        for alias in self.aliases:
            alias_name(alias)
        for tag in self.tags:
            tag_name(tag)


@frozen
class Logged:
    """What logging came to; ``created`` is false if a live version had the same content."""

    version_id: VersionId
    artifact_id: ArtifactId
    index: int
    created: bool


def log(
    store: Store,
    project: ProjectRow,
    draft: Draft,
    *,
    run_id: RunId | None = None,
    lease: Lease | None = None,
    command: CommandId | None = None,
) -> Logged:
    """Make the next version of the artifact, in one transaction with its aliases, tags and lineage.

    Content equal to that of a live earlier version makes no new one: aliases, tags and ``latest`` go there, and the
    run is recorded as its producer all the same. The artifact is made if it is not there.
    """
    draft.check()
    command = command or CommandId(new_id())
    while True:
        try:
            return _log(store, project, draft, run_id=run_id, lease=lease, command=command)
        except _ArtifactMeanwhileError:
            continue


class PlaceMovedError(ConflictError):
    """The team's blobs go to another place since the upload began; upload again."""


class _ArtifactMeanwhileError(ConflictError):
    """The artifact was made or deleted after its personal values were put into the vault for another owner."""


def _log(
    store: Store, project: ProjectRow, draft: Draft, *, run_id: RunId | None, lease: Lease | None, command: CommandId
) -> Logged:
    there = store.views.find(ArtifactRow, project_id=project.project_id, name=draft.name)
    artifact_id = there.artifact_id if there else ArtifactId(new_id())
    kept = store.keep(artifact_id, description=draft.description, metadata=draft.metadata)

    def decide(steps: Steps) -> Json:
        if lease is not None:
            leases.spend(steps, lease)
        logging = _Logging(store, steps, project, draft, run_id)
        return logging.decide(artifact_id, kept["description"], kept["metadata"], there=there is not None)

    receipt = store.transact(Request("log", _arguments(project, draft, run_id), artifact_id, command), decide)
    return Logged(**receipt.answer)


def _arguments(project: ProjectRow, draft: Draft, run_id: RunId | None) -> Json:
    """Return all that a retry must repeat, except for personal values."""
    named = [project.project_id, draft.name, draft.type, run_id, draft.version_id, draft.base]
    ttl = [draft.ttl.rule.value, draft.ttl.micros]
    return [*named, draft.digest, draft.manifest, *ttl, *map(list, (draft.aliases, draft.tags, draft.sources))]


@frozen
class _Logging:
    """The decision to log one draft."""

    store: Store
    steps: Steps
    project: ProjectRow
    draft: Draft
    run_id: RunId | None

    def decide(
        self, expected: ArtifactId, description: Personal[str] | None, metadata: Personal[Json] | None, *, there: bool
    ) -> Json:
        steps, draft = self.steps, self.draft
        self._permit()
        artifact_id = self._artifact(expected, there=there)
        self._take_parts(artifact_id)
        same = self._same(artifact_id)
        created = artifacts.VersionCreated(
            version_id=draft.version_id,
            digest=draft.digest,
            manifest=draft.manifest,
            size=draft.size,
            entries=draft.entries,
            run_id=self.run_id,
            ttl=draft.ttl,
            description=description,
            metadata=metadata,
            base=draft.base,
            sources=tuple(dict.fromkeys(draft.sources)),
        )
        same_id = same.version_id if same else None
        stream = numbering_stream(artifact_id)
        made = steps.step(artifacts.NUMBERING, stream, artifacts.create_version, created, same_id)
        version_id = same_id or draft.version_id
        self._name(artifact_id, version_id, same)
        if self.run_id is not None:
            edge = steps.views.find(EdgeRow, run_id=self.run_id, version_id=version_id, role="out")
            trace = runs.trace_stream(self.run_id)
            steps.step(runs.TRACE, trace, runs.log_output, version_id, created=bool(made), logged=edge is not None)
        index = same.index if same else steps.position(stream) - 1
        return {"version_id": version_id, "artifact_id": artifact_id, "index": index, "created": bool(made)}

    def _permit(self) -> None:
        views, actor = self.steps.views, self.store.context.actor
        team = views.find(TeamRow, team_id=self.project.team_id)
        if team is None or views.find(ProjectRow, project_id=self.project.project_id) is None:
            msg = f"project {self.project.name} was deleted"
            raise NotFoundError(msg)
        directory.require_team_role(views, team, actor, Role.MEMBER, "log artifacts")
        require_place(self.store, views, self.project)
        if self.draft.ttl != INHERIT:
            require_ttl_setter(TtlSetters(team.ttl_setters), directory.team_role(views, team, actor))
        if self.run_id is not None:
            run = views.find(RunRow, run_id=self.run_id)
            if run is None or run.project_id != self.project.project_id:
                msg = f"project {self.project.name} has no run {self.run_id} that could log this artifact"
                raise NotFoundError(msg)

    def _artifact(self, expected: ArtifactId, *, there: bool) -> ArtifactId:
        steps, draft = self.steps, self.draft
        row = steps.views.find(ArtifactRow, project_id=self.project.project_id, name=draft.name)
        if (row is not None) is not there or (row and row.artifact_id != expected):
            raise _ArtifactMeanwhileError(draft.name)
        if row is None:
            created = artifacts.ArtifactCreated(self.project.project_id, draft.name, draft.type)
            steps.step(artifacts.ARTIFACT, expected, artifacts.create_artifact, created)
            return expected
        if row.type != draft.type:
            msg = f"artifact {draft.name} already exists with type {row.type!r}; cannot log it with type {draft.type!r}"
            raise TypeRefusedError(msg)
        return row.artifact_id

    def _take_parts(self, artifact_id: ArtifactId) -> None:
        steps, draft = self.steps, self.draft
        if draft.onto_latest:
            row = steps.views.find(ArtifactRow, artifact_id=artifact_id)
            now = catalog.latest_version(steps.views, row) if row else None
            if (now.version_id if now else None) != draft.base:
                msg = f"another version of {draft.name} was logged meanwhile — merge the changes into it"
                raise ConflictError(msg)
        for key in draft.parts:
            if steps.scratch.get(PARTS, key) is None:
                msg = f"a part of {draft.name} is gone: it expired, or somebody finished the artifact meanwhile"
                raise ConflictError(msg)
            steps.scratch.delete(PARTS, key)

    def _same(self, artifact_id: ArtifactId) -> VersionRow | None:
        rows = self.steps.views.select(
            VersionRow,
            artifact_id=artifact_id,
            digest=self.draft.digest,
            state=versions.State.COMMITTED.value,
            order="index",
            descending=True,
            limit=1,
        )
        return rows[0] if rows else None

    def _name(self, artifact_id: ArtifactId, version_id: VersionId, same: VersionRow | None) -> None:
        if same is not None:
            put_latest(self.steps, artifact_id, version_id)
        for alias in dict.fromkeys(self.draft.aliases):
            if alias != LATEST:
                put_alias(self.steps, artifact_id, alias, version_id)
        for tag in dict.fromkeys(self.draft.tags):
            put_tag(self.steps, version_id, tag)


def require_place(store: Store, views: Views, project: ProjectRow) -> None:
    """Refuse to name blobs that a session put where those of the project's team do not go any more."""
    team = views.find(TeamRow, team_id=project.team_id)
    if store.scope is not None and team is not None and team.store != store.scope.place:
        msg = f"the blobs of team {team.name} go to another place since the upload began — log the artifact again"
        raise PlaceMovedError(msg)


def put_latest(
    steps: Steps,
    artifact_id: ArtifactId,
    version_id: VersionId,
    *,
    expected: VersionId | bool | None = aliases.ANYWHERE,
) -> None:
    """Put ``latest`` of an artifact on a version, unless it points there."""
    row = steps.views.find(ArtifactRow, artifact_id=artifact_id)
    now = catalog.latest_version(steps.views, row) if row else None
    steps.step(
        aliases.LATEST_SLOT,
        latest_stream(artifact_id),
        aliases.move_latest,
        version_id,
        now.version_id if now else None,
        expected=expected,
    )


def put_alias(
    steps: Steps,
    owner: str,
    alias: str,
    version_id: VersionId,
    *,
    expected: VersionId | bool | None = aliases.ANYWHERE,
    protected: bool = False,
    role: Role = Role.ADMIN,
) -> Sequence[object]:
    """Point an alias of an artifact or collection at a version."""
    row = steps.views.find(AliasRow, owner_id=owner, alias=alias)
    stream = row.slot if row else alias_stream(owner, new_id())
    return steps.step(
        aliases.ALIAS,
        stream,
        aliases.move_alias,
        alias,
        version_id,
        expected=expected,
        protected=protected,
        role=role,
    )


def put_tag(steps: Steps, version_id: VersionId, tag: str) -> None:
    """Add a tag to a version, unless it has it."""
    row = steps.views.find(TagRow, owner_id=version_id, tag=tag)
    steps.step(versions.VERSION, version_id, versions.tag_version, new_id(), tag, row.tag_id if row else None)
