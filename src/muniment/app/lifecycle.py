"""What happens to a version after it was logged: aliases, tags, metadata, TTL, deletion, restoring."""

from __future__ import annotations

from collections.abc import Collection

from attrs import frozen

from muniment.app import catalog, directory, gone, holds, retention
from muniment.app.catalog import Found
from muniment.app.log_artifact import put_alias, put_latest, put_tag
from muniment.app.retention import Book
from muniment.app.store import Store
from muniment.app.tagging import retag
from muniment.app.telemetry import traced
from muniment.app.transact import Request, Steps
from muniment.domain import alias as aliases
from muniment.domain import artifact as artifacts
from muniment.domain import project as projects
from muniment.domain import version as versions
from muniment.domain.errors import InvalidValueError, NotFoundError, TypeRefusedError
from muniment.domain.rows import (
    AliasRow,
    ArtifactRow,
    ProjectRow,
    TagRow,
    TeamRow,
    VersionRow,
)
from muniment.domain.team import TtlSetters, require_ttl_setter
from muniment.domain.values import (
    LATEST,
    ArtifactId,
    Json,
    Micros,
    Personal,
    Role,
    Ttl,
    TtlRule,
    VersionId,
    alias_name,
    artifact_name,
    latest_stream,
    tag_name,
    type_name,
)

PAGE = 500


@frozen
class Edits:
    """Everything that one save changes about a version, in one transaction.

    *expected* maps an added alias to the version id that it must point at now (``None``: nowhere).
    """

    add_aliases: tuple[str, ...] = ()
    remove_aliases: tuple[str, ...] = ()
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    ttl: Ttl | None = None
    metadata: Json | None = None
    description: str | None = None
    new_metadata: bool = False
    new_description: bool = False
    expected: dict[str, VersionId | None] | None = None

    @property
    def about_source(self) -> bool:
        """Whether anything changes that a version and all its links share."""
        shared = (self.add_tags, self.remove_tags, self.ttl, self.new_metadata, self.new_description)
        return any(shared)

    def check(self) -> None:
        """Refuse names that are not allowed, and to add and remove the same."""
        for alias in self.add_aliases:
            alias_name(alias)
        for tag in self.add_tags:
            tag_name(tag)
        both = {*self.add_aliases} & {*self.remove_aliases} | {*self.add_tags} & {*self.remove_tags}
        if both:
            msg = f"{', '.join(sorted(both))}: the same alias or tag cannot be added and removed at once"
            raise InvalidValueError(msg)

    def expects(self, alias: str) -> VersionId | bool | None:
        """Return where an added alias must point now."""
        return (self.expected or {}).get(alias, aliases.ANYWHERE)


def edit(store: Store, found: Found, edits: Edits) -> None:
    """Make all the changes, or none."""
    edits.check()
    kept = keep_texts(store, found, edits)

    def decide(steps: Steps) -> None:
        edit_source(store, steps, found, edits, kept)
        _edit_aliases(steps, found, edits)

    arguments = [sorted(edits.add_aliases), sorted(edits.remove_aliases), sorted(edits.add_tags)]
    store.transact(Request("edit version", arguments, found.version.version_id), decide)


def keep_texts(store: Store, found: Found, edits: Edits) -> dict[str, Personal[Json] | None]:
    """Put the new metadata and description into the vault."""
    return store.keep(
        found.artifact.artifact_id,
        metadata=edits.metadata if edits.new_metadata else None,
        description=(edits.description or None) if edits.new_description else None,
    )


def edit_source(store: Store, steps: Steps, found: Found, edits: Edits, kept: dict[str, Personal[Json] | None]) -> None:
    """Change inside a command what a version and all its links share: TTL, metadata, description and tags."""
    _permit(store, steps, found, "edit artifacts")
    if edits.ttl is not None:
        _set_ttl(store, steps, found, edits.ttl)
    _edit_texts(steps, found, edits, kept["metadata"], kept["description"])
    _edit_tags(steps, found.version.version_id, edits)


@traced("delete")
def delete(store: Store, found: Found, *, delete_aliases: bool = False, reason: str | None = None) -> None:
    """Mark a version deleted; refused while aliases hold it, unless they go too, and while it is linked."""
    kept: Personal[str] | None = store.keep(found.artifact.artifact_id, reason=reason)["reason"]

    def decide(steps: Steps) -> None:
        _permit(store, steps, found, "delete artifacts")
        mark_deleted(steps, found.version.version_id, found.artifact.artifact_id, delete_aliases, kept)

    store.transact(Request("delete version", delete_aliases, found.version.version_id), decide)


def mark_deleted(
    steps: Steps,
    version_id: VersionId,
    artifact_id: ArtifactId,
    delete_aliases: bool,  # noqa: FBT001 (W&B's own name for it)
    reason: Personal[str] | None = None,
    cause: versions.Cause = versions.Cause.ASKED,
) -> None:
    """Mark a version deleted inside a command."""
    row = steps.views.find(VersionRow, version_id=version_id)
    if row is not None:
        Book(steps.views, 0).require_may_go(row, steps.now)
    held = catalog.aliases_of(steps.views, artifact_id, version_id)
    if delete_aliases:
        for alias in held:
            _drop_alias(steps, artifact_id, alias, version_id)
        held = []
    links = catalog.link_names(catalog.links_of(steps.views, version_id))
    steps.step(
        versions.VERSION,
        version_id,
        versions.mark_deleted,
        aliases=tuple(held),
        links=links,
        cause=cause,
        reason=reason,
    )


def restore(store: Store, found: Found) -> None:
    """Take the deletion of a version back; GoneError says since when its bytes are gone, if they are."""

    def decide(steps: Steps) -> None:
        _permit(store, steps, found, "restore artifacts")
        row = steps.views.find(VersionRow, version_id=found.version.version_id)
        if row is not None and gone.is_gone(row):
            raise gone.error_of(steps.views, row, f"{found.artifact.name}:v{row.index}")
        steps.step(versions.VERSION, found.version.version_id, versions.restore)

    store.transact(Request("restore version", None, found.version.version_id), decide)


def purge_after(store: Store, row: VersionRow) -> Micros | None:
    """Return when the bytes of a deleted version may go, in microseconds since 1970."""
    return None if row.deleted_at is None else row.deleted_at + store.config.grace


def expires_at(store: Store, found: Found, at: int | None = None) -> Micros | None:
    """Return when a version is deleted if nothing is done meanwhile; ``None`` for never.

    TTLs, policies, holds and links count, as they do when it is collected.
    """
    if found.version.state != versions.State.COMMITTED.value:
        return None
    return retention.explain(store, found.version, at).removed_at


def ttl_in_force(store: Store, found: Found, at: int | None = None) -> Ttl:
    """Return how long a version is kept in fact, counted from its creation."""
    end = expires_at(store, found, at)
    return Ttl(TtlRule.NEVER) if end is None else Ttl.after(max(end - found.version.created_at, 1))


# --- artifacts -------------------------------------------------------------------------------------------------------


def set_artifact_ttl(store: Store, artifact: ArtifactRow, team: TeamRow, ttl: Ttl) -> None:
    """Set how long the versions of an artifact live that say nothing themselves."""

    def decide(steps: Steps) -> None:
        _require_artifact(steps, artifact)
        _require_ttl_setter(store, steps, team)
        steps.step(artifacts.ARTIFACT, artifact.artifact_id, artifacts.set_artifact_ttl, ttl)

    arguments = [ttl.rule.value, ttl.micros]
    store.transact(Request("set artifact ttl", arguments, artifact.artifact_id), decide)


def edit_artifact(
    store: Store,
    row: ArtifactRow,
    team: TeamRow,
    *,
    name: str | None = None,
    type_: str | None = None,
    description: str | None = None,
    tags: Collection[str] | None = None,
) -> None:
    """Change the name, type, description or tags of an artifact; ``None`` leaves them alone."""
    for tag in tags or ():
        tag_name(tag)
    kept = store.keep(row.artifact_id, description=description or None)["description"]

    def decide(steps: Steps) -> None:
        _require_artifact(steps, row)
        directory.require_team_role(steps.views, team, store.context.actor, Role.MEMBER, "edit artifacts")
        id_ = row.artifact_id
        if name is not None and name != row.name:
            taken = steps.views.find(ArtifactRow, project_id=row.project_id, name=artifact_name(name))
            taken_id = taken.artifact_id if taken else None
            steps.step(artifacts.ARTIFACT, id_, artifacts.rename_artifact, name, taken_id)
        if type_ is not None:
            changed = steps.step(artifacts.ARTIFACT, id_, artifacts.change_type, type_name(type_))
            if changed and (held := holders(steps, id_)):
                msg = f"versions of this artifact are linked in {', '.join(held)}, where its type counts — unlink first"
                raise TypeRefusedError(msg)
        if description is not None:
            steps.step(artifacts.ARTIFACT, id_, artifacts.describe_artifact, kept)
        if tags is not None:
            retag(steps, artifacts.ARTIFACT, id_, tags, artifacts.tag_artifact, artifacts.untag_artifact)

    arguments = [name, type_, sorted(tags or ())]
    store.transact(Request("edit artifact", arguments, row.artifact_id), decide)


@traced("delete")
def delete_artifact(store: Store, row: ArtifactRow, team: TeamRow, *, reason: str | None = None) -> None:
    """Let an artifact go with all its versions; refused while one of them is linked."""
    kept: Personal[str] | None = store.keep(row.artifact_id, reason=reason)["reason"]

    def decide(steps: Steps) -> None:
        directory.require_team_role(steps.views, team, store.context.actor, Role.MEMBER, "delete artifacts")
        _require_may_go(steps, Book(steps.views, 0), row)
        steps.step(
            artifacts.ARTIFACT,
            row.artifact_id,
            artifacts.delete_artifact,
            holders=holders(steps, row.artifact_id),
            reason=kept,
        )

    store.transact(Request("delete artifact", None, row.artifact_id), decide)


def delete_project(store: Store, row: ProjectRow) -> None:
    """Let a project go with its artifacts and runs; refused while one of their versions is linked."""

    def decide(steps: Steps) -> None:
        team = steps.views.find(TeamRow, team_id=row.team_id)
        if team is not None:
            directory.require_team_role(steps.views, team, store.context.actor, Role.ADMIN, "delete a project")
        there = steps.views.select(ArtifactRow, project_id=row.project_id, order="name")
        held = [name for each in there for name in holders(steps, each.artifact_id)]
        book = Book(steps.views, 0)
        for each in there:
            _require_may_go(steps, book, each)
        steps.step(projects.PROJECT, row.project_id, projects.delete_project, tuple(held))

    store.transact(Request("delete project", None, row.project_id), decide)


def holders(steps: Steps, artifact_id: ArtifactId) -> tuple[str, ...]:
    """Return the names of the live links of all versions of an artifact."""
    return catalog.link_names(catalog.links_of_artifact(steps.views, artifact_id))


# --- inside a command ------------------------------------------------------------------------------------------------


def _permit(store: Store, steps: Steps, found: Found, act: str) -> None:
    _require_artifact(steps, found.artifact)
    directory.require_team_role(steps.views, found.team, store.context.actor, Role.MEMBER, act)


def _require_artifact(steps: Steps, artifact: ArtifactRow) -> None:
    there = steps.views.find(ArtifactRow, artifact_id=artifact.artifact_id)
    if there is None or steps.views.find(ProjectRow, project_id=artifact.project_id) is None:
        msg = f"artifact {artifact.name} was deleted, or its project was"
        raise NotFoundError(msg)


def _require_may_go(steps: Steps, book: Book, artifact: ArtifactRow) -> None:
    """Refuse to let an artifact go of which a hold or a minimum keeps a version."""
    after: int | None = None
    while book.guards:
        page = steps.views.select(VersionRow, artifact_id=artifact.artifact_id, order="index", after=after, limit=PAGE)
        for version in page:
            if versions.State(version.state) not in versions.GOING:
                book.require_may_go(version, steps.now)
        if len(page) < PAGE:
            return
        after = page[-1].index


def _require_ttl_setter(store: Store, steps: Steps, team: TeamRow) -> None:
    row = steps.views.find(TeamRow, team_id=team.team_id) or team
    require_ttl_setter(TtlSetters(row.ttl_setters), directory.team_role(steps.views, row, store.context.actor))


def _set_ttl(store: Store, steps: Steps, found: Found, ttl: Ttl) -> None:
    _require_ttl_setter(store, steps, found.team)
    row = steps.views.find(VersionRow, version_id=found.version.version_id) or found.version
    created = Ttl(TtlRule(row.ttl_rule), row.ttl_micros)
    steps.step(versions.VERSION, row.version_id, versions.set_ttl, ttl, created)


def _edit_texts(
    steps: Steps,
    found: Found,
    edits: Edits,
    metadata: Personal[Json] | None,
    description: Personal[str] | None,
) -> None:
    id_ = found.version.version_id
    if edits.new_metadata:
        steps.step(versions.VERSION, id_, versions.change_metadata, metadata)
    if edits.new_description:
        steps.step(versions.VERSION, id_, versions.describe_version, description)


def _edit_aliases(steps: Steps, found: Found, edits: Edits) -> None:
    owner, id_ = found.artifact.artifact_id, found.version.version_id
    if edits.add_aliases:
        steps.step(versions.VERSION, id_, _must_be_live)
    for alias in edits.remove_aliases:
        if alias == LATEST:
            now = catalog.latest_version(steps.views, found.artifact)
            if now is not None and now.version_id == id_:
                steps.step(aliases.LATEST_SLOT, latest_stream(owner), aliases.remove_latest, id_)
        else:
            _drop_alias(steps, owner, alias, id_)
    for alias in dict.fromkeys(edits.add_aliases):
        if alias == LATEST:
            put_latest(steps, owner, id_, expected=edits.expects(alias))
        else:
            put_alias(steps, owner, alias, id_, expected=edits.expects(alias))


def _must_be_live(version: versions.Version) -> list[versions.VersionEvent]:
    versions.require_live(version)
    return []


def _drop_alias(steps: Steps, owner: str, alias: str, version_id: VersionId) -> None:
    row = steps.views.find(AliasRow, owner_id=owner, alias=alias)
    if row is not None:
        steps.step(aliases.ALIAS, row.slot, aliases.remove_alias, alias, expected=version_id)


def _edit_tags(steps: Steps, version_id: VersionId, edits: Edits) -> None:
    for tag in dict.fromkeys(edits.add_tags):
        put_tag(steps, version_id, tag)
    for tag in edits.remove_tags:
        row = steps.views.find(TagRow, owner_id=version_id, tag=tag)
        if row is not None:
            holds.refuse_untagging(steps.views, tag)
        steps.step(versions.VERSION, version_id, versions.untag_version, row.tag_id if row else None)
