"""What an event changed: the rows before it compared with those after it, in words that people know."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from attrs import define, field, frozen

from muniment.app import catalog, directory, durations
from muniment.app.labels import Labels
from muniment.app.store import Store
from muniment.domain import alias, artifact, collection, organisation, principal, project, registry, run, team, version
from muniment.domain.ports import Recorded
from muniment.domain.rows import (
    AcceptedTypeRow,
    AliasRow,
    ArtifactRow,
    CollectionRow,
    LinkRow,
    MemberRow,
    OrganisationRow,
    PrincipalRow,
    ProjectRow,
    ProtectedAliasRow,
    RegistryRow,
    Row,
    RunRow,
    TagRow,
    TeamRow,
    VersionRow,
)
from muniment.domain.values import ERASED_TEXT, Json, PrincipalId, SlotId, TtlRule, owner_of


@frozen
class Change:
    """A value before and after; ``None`` where there was or is none."""

    field: str
    before: Json = None
    after: Json = None

    def __str__(self) -> str:
        return f"{self.field}: {_shown(self.before)} → {_shown(self.after)}"


@frozen
class _Slot:
    """A personal value that is still to be read from the vault."""

    slot: SlotId


ROW_OF: dict[type, tuple[type[Row], str]] = {
    **dict.fromkeys(
        (
            artifact.ArtifactCreated,
            artifact.ArtifactRenamed,
            artifact.TypeChanged,
            artifact.ArtifactDescribed,
            artifact.ArtifactTtlSet,
            artifact.ArtifactDeleted,
        ),
        (ArtifactRow, "artifact_id"),
    ),
    **dict.fromkeys(
        (
            version.MetadataChanged,
            version.VersionDescribed,
            version.TtlSet,
            version.MarkedDeleted,
            version.Restored,
            version.LetGo,
            version.Purged,
        ),
        (VersionRow, "version_id"),
    ),
    **dict.fromkeys(
        (
            collection.CollectionCreated,
            collection.CollectionRenamed,
            collection.CollectionDescribed,
            collection.CollectionDeleted,
        ),
        (CollectionRow, "collection_id"),
    ),
    **dict.fromkeys(
        (
            registry.RegistryCreated,
            registry.RegistryRenamed,
            registry.RegistryDescribed,
            registry.VisibilityChanged,
            registry.RegistryDeleted,
        ),
        (RegistryRow, "registry_id"),
    ),
    **dict.fromkeys(
        (run.RunStarted, run.RunResumed, run.RunEdited, run.ConfigChanged, run.RunFinished, run.RunDeleted),
        (RunRow, "run_id"),
    ),
    **dict.fromkeys((team.TeamCreated, team.TeamRenamed, team.TtlPolicySet, team.StorageSet), (TeamRow, "team_id")),
    **dict.fromkeys(
        (project.ProjectCreated, project.ProjectRenamed, project.ProjectDeleted), (ProjectRow, "project_id")
    ),
    **dict.fromkeys(
        (organisation.OrganisationCreated, organisation.OrganisationRenamed), (OrganisationRow, "organisation_id")
    ),
    principal.PrincipalCreated: (PrincipalRow, "principal_id"),
}
"""Which row an event changes, where the two are of one kind and the stream is the row's key."""

SLOTS = frozenset({"description", "metadata", "notes", "config", "summary", "login"})
SHOWN = (
    *("name", "type", "kind", "login", "description", "metadata", "state", "visibility", "ttl", "ttl_setters", "store"),
    *("job_type", "group", "tags", "notes", "config", "summary"),
)


def changes_of(store: Store, events: Sequence[Recorded]) -> list[tuple[Change, ...]]:
    """Return what each event changed; personal values are read in one batch, erased ones shown as such."""
    raw = [tuple(_Reading(store, recorded).changes()) for recorded in events]
    values = [value for changes in raw for each in changes for value in (each.before, each.after)]
    known = store.vault.get_many({value.slot for value in values if isinstance(value, _Slot)})

    def read(value: Json) -> Json:
        return known.get(value.slot, ERASED_TEXT) if isinstance(value, _Slot) else value

    return [tuple(Change(each.field, read(each.before), read(each.after)) for each in changes) for changes in raw]


@define
class _Reading:
    """One event, read against the rows before it and after it."""

    store: Store
    recorded: Recorded
    before: Labels = field(init=False)
    after: Labels = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.before = Labels(self.store.views, self.recorded.seq - 1)
        self.after = Labels(self.store.views, self.recorded.seq)

    def changes(self) -> Iterator[Change]:
        event = self.recorded.event
        if type(event) in ROW_OF:
            kind, key = ROW_OF[type(event)]
            yield from _differences(
                self._row(kind, self.before, **{key: self.recorded.stream}),
                self._row(kind, self.after, **{key: self.recorded.stream}),
            )
            return
        yield from self._pointing(event) or self._gathering(event) or self._flowing(event) or self._erased(event)

    def _row(self, kind: type[Row], side: Labels, **key: str) -> Row | None:
        return self.store.views.find(kind, at=side.at, **key)

    def _pointing(self, event: object) -> list[Change]:
        match event:
            case alias.AliasMoved(to=to, before=before):
                return [Change(self._alias(), self._name(before), self._name(to))]
            case alias.AliasRemoved(before=before):
                return [Change(self._alias(), self._name(before))]
            case alias.LatestMoved(to=to):
                return [Change("latest", self._latest(), self._name(to))]
            case alias.LatestRemoved(before=before):
                return [Change("latest", self._name(before))]
            case _:
                return []

    def _gathering(self, event: object) -> list[Change]:
        match event:
            case version.Tagged() | artifact.ArtifactTagged() | collection.CollectionTagged():
                return [Change("tag", None, self._tag(event.tag_id, self.after))]
            case version.Untagged() | artifact.ArtifactUntagged() | collection.CollectionUntagged():
                return [Change("tag", self._tag(event.tag_id, self.before))]
            case registry.MemberRoleSet(member_id=member):
                return [self._role(member)]
            case team.TeamRoleSet(principal_id=member) | organisation.OrganisationRoleSet(principal_id=member):
                return [self._role(member)]
            case registry.AcceptedTypesAdded() | registry.AllTypesAccepted():
                return [self._sets("artifact types", self._types)]
            case registry.ProtectedAliasesSet():
                return [self._sets("protected aliases", self._protected)]
            case _:
                return []

    def _flowing(self, event: object) -> list[Change]:
        match event:
            case artifact.VersionCreated(version_id=id_):
                return [Change("version", None, self._name(id_))]
            case run.InputUsed(version_id=id_):
                return [Change("used", None, self._name(id_))]
            case run.OutputLogged(version_id=id_):
                return [Change("logged", None, self._name(id_))]
            case run.RunLogged(rows=rows):
                return [Change("logged rows", None, rows)]
            case collection.Linked(version_id=id_, link_id=link):
                return [Change(self._link(link), None, self._name(id_))]
            case collection.Unlinked(version_id=id_):
                return [Change(self._link(self.recorded.stream), self._name(id_))]
            case principal.Denied(rule=rule):
                return [Change("refused", None, rule)]
            case principal.VersionDownloaded(entries=entries, size=size):
                return [Change("downloaded", None, {"entries": entries, "size": size})]
            case _:
                return []

    def _erased(self, event: object) -> list[Change]:
        match event:
            case version.EntryErased(path=path):
                return [Change("entry", path if isinstance(path, str) else ERASED_TEXT)]
            case version.ManifestReplaced(erased=erased):
                return [Change("entries erased", None, erased)]
            case _:
                return []

    def _name(self, version_id: str | None) -> str | None:
        label = self.after.version(version_id) if version_id else None
        return label.path if label else None

    def _link(self, link_id: str) -> str:
        label = self.after.link(link_id)
        return f"link {label.path}" if label else "link"

    def _alias(self) -> str:
        row = self.store.views.find(AliasRow, at=self.recorded.seq, slot=self.recorded.stream)
        return f"alias {row.alias if row and row.alias else ERASED_TEXT}"

    def _latest(self) -> str | None:
        views, at, owner = self.store.views, self.before.at, owner_of(self.recorded.stream)
        row = views.find(ArtifactRow, at=at, artifact_id=owner)
        if row is not None:
            newest = catalog.latest_version(views, row, at)
            return self._name(newest.version_id if newest else None)
        held = views.find(CollectionRow, at=at, collection_id=owner)
        link: LinkRow | None = catalog.latest_link(views, held, at) if held else None
        return self._name(link.version_id if link else None)

    def _tag(self, tag_id: str, side: Labels) -> str:
        owner = owner_of(self.recorded.stream)
        row = self.store.views.find(TagRow, at=side.at, owner_id=owner, tag_id=tag_id)
        return row.tag if row and row.tag else ERASED_TEXT

    def _role(self, member: str) -> Change:
        scope = self.recorded.stream
        rows = [
            self.store.views.find(MemberRow, at=side.at, scope_id=scope, member_id=member)
            for side in (self.before, self.after)
        ]
        label = self.after.team(member)
        id_ = PrincipalId(member)
        who = label.path if label else directory.logins(self.store, {id_}).get(id_, ERASED_TEXT)
        return Change(f"role of {who}", *(row.role if row else None for row in rows))

    def _types(self, at: int | None) -> Json:
        row = self.store.views.find(RegistryRow, at=at, registry_id=self.recorded.stream)
        if row is None or row.all_types:
            return None if row is None else "all"
        rows = self.store.views.select(AcceptedTypeRow, at=at, registry_id=row.registry_id, order="type")
        return [each.type for each in rows]

    def _protected(self, at: int | None) -> Json:
        rows = self.store.views.select(ProtectedAliasRow, at=at, registry_id=self.recorded.stream, order="alias")
        return [each.alias for each in rows]

    def _sets(self, name: str, read: Callable[[int | None], Json]) -> Change:
        return Change(name, read(self.before.at), read(self.after.at))


def _differences(before: Row | None, after: Row | None) -> Iterator[Change]:
    """Yield the columns that differ, of those that mean something to people."""
    for name in SHOWN:
        old, new = _value(before, name), _value(after, name)
        if old != new:
            yield Change(name, old, new)


def _value(row: Row | None, name: str) -> Json:
    if name == "ttl":
        return ttl_of(row)
    value = getattr(row, name, None)
    if value is not None and name in SLOTS:
        return _Slot(value)
    return value.split("\n") if name == "tags" and value else value or None


def ttl_of(row: Row | None) -> Json:
    """Return how long versions live as a row says it: a duration, ``never`` or ``inherit``; ``None`` if it does not."""
    rule, micros = getattr(row, "ttl_rule", None), getattr(row, "ttl_micros", None)
    if rule is None and micros is None:
        return None
    return durations.to_text(micros) if micros is not None else TtlRule(rule).value


def _shown(value: Json) -> str:
    return "—" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
