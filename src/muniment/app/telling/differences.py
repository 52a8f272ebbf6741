"""What changed between two moments, in words that people know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, Literal, TypeAlias

from attrs import asdict, define, field, fields, frozen

from muniment.app import catalog, directory
from muniment.app.labels import Labels
from muniment.app.store import Store
from muniment.app.telling.changes import Change, ttl_of
from muniment.app.telling.diff import RowChange, Scope, Window, rows
from muniment.domain.rows import (
    AcceptedTypeRow,
    AliasRow,
    ArtifactRow,
    CollectionRow,
    EdgeRow,
    ErasedEntryRow,
    LatestRow,
    LinkRow,
    MemberRow,
    OrganisationRow,
    PrincipalRow,
    ProjectRow,
    ProtectedAliasRow,
    RegistryRow,
    Row,
    RunRow,
    SourceRow,
    TagRow,
    TeamRow,
    VersionRow,
)
from muniment.domain.values import ERASED_TEXT, LATEST, Json, PrincipalId, SlotId
from muniment.domain.version import State

Act: TypeAlias = Literal["made", "removed", "changed", "moved", "deleted", "restored", "let go", "purged"]
SIGNS: Final[dict[str, str]] = {
    "made": "+",
    "restored": "+",
    "removed": "-",
    "deleted": "-",
    "let go": "-",
    "purged": "-",
}
PAGE: Final = 500
LIVE: Final = State.COMMITTED.value
UNSEEN: Final = frozenset(
    {"updated_at", "deleted_at", "unlinked_at", "finished_at", "moved_seq", "ttl_rule", "ttl_micros"}
)
"""Columns that change with others and say nothing more, or that are shown as one value."""


@frozen
class Difference:
    """Something that is otherwise than it was: what it is, its name, and the values before and after.

    Values that are kept in the vault are there only if they were asked for; else ``hidden`` names the fields.
    """

    kind: str
    act: Act
    name: str
    id: str
    changes: tuple[Change, ...] = ()
    hidden: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return the difference as JSON values."""
        shown = [asdict(each) for each in self.changes]
        return {
            "kind": self.kind,
            "act": self.act,
            "name": self.name,
            "id": self.id,
            "changes": shown + [{"field": each, "hidden": True} for each in self.hidden],
        }

    def __str__(self) -> str:
        sign = SIGNS.get(self.act, "~")
        head = f"{sign} {self.kind} {self.name}" + (f" ({self.act})" if self.act in STATES.values() else "")
        said = [*(self._shown(each) for each in self.changes), *(f"{each} changed" for each in self.hidden)]
        return f"{head}: {', '.join(said)}" if said else head

    def _shown(self, change: Change) -> str:
        if self.act not in {"made", "removed"}:
            return str(change)
        return f"{change.field} {change.before if change.after is None else change.after}"


def between(
    store: Store, first: int, last: int, *, within: str | None = None, values: bool = False
) -> Iterator[Difference]:
    """Yield what differs between the state after event *first* and that after event *last*.

    *within* is the id of a project, registry, artifact or other thing: then only what is in it. With *values* the
    personal values are read from the vault, erased ones shown as such. InvalidValueError if *first* is the later one.
    """
    window = Window(first, last)
    telling = _Telling(store, window, Scope(within))
    found = telling.told(rows(store, window))
    while page := list(islice(found, PAGE)):
        yield from _read(store, page) if values else map(_hide, page)
        telling.forget()


@frozen
class _Slot:
    """A personal value that was not read yet."""

    slot: SlotId


def _hide(found: Difference) -> Difference:
    hidden = tuple(each.field for each in found.changes if isinstance(each.before or each.after, _Slot))
    shown = tuple(each for each in found.changes if each.field not in hidden)
    return Difference(found.kind, found.act, found.name, found.id, shown, hidden)


def _read(store: Store, page: Iterable[Difference]) -> Iterator[Difference]:
    listed = list(page)
    both = [value for found in listed for each in found.changes for value in (each.before, each.after)]
    known = store.vault.get_many({value.slot for value in both if isinstance(value, _Slot)})

    def read(value: Json) -> Json:
        return known.get(value.slot, ERASED_TEXT) if isinstance(value, _Slot) else value

    for found in listed:
        changes = tuple(Change(each.field, read(each.before), read(each.after)) for each in found.changes)
        yield Difference(found.kind, found.act, found.name, found.id, changes)


@define
class _Telling:
    """Tells rows as differences; names are those of the later moment, what is gone goes by its last one."""

    store: Store
    window: Window
    scope: Scope
    labels: Labels = field(init=False)
    owners: dict[str, None] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Let go of the names that were looked up."""
        self.labels = Labels(self.store.views, self.window.last)

    def told(self, changed: Iterator[RowChange]) -> Iterator[Difference]:
        """Yield the differences that rows mean, then where ``latest`` of each owner points otherwise."""
        for each in changed:
            if self.scope.holds(self.labels, each.row):
                yield from _TELL.get(each.kind, _Telling._thing)(self, each)
        for owner in self.owners:
            yield from self._latest(owner)

    def _thing(self, changed: RowChange) -> Iterator[Difference]:
        id_ = str(changed.key[0])
        label = self.labels.of(id_)
        name = label.path if label else _text(changed.row, "name") or id_
        act: Act = "made" if changed.before is None else "removed" if changed.after is None else "changed"
        changes = tuple(_columns(changed)) if act == "changed" else ()
        if act != "changed" or changes:
            yield Difference(KINDS.get(changed.kind, changed.kind.table.name), act, name, id_, changes)

    def _version(self, changed: RowChange) -> Iterator[Difference]:
        self.owners[_text(changed.row, "artifact_id") or ""] = None
        before, after = _text(changed.before, "state") or LIVE, _text(changed.after, "state") or LIVE
        if (
            changed.before is None
            and self.labels.row(ArtifactRow, artifact_id=str(getattr(changed.row, "artifact_id", "")))[1]
        ):
            return  # it came and went with its artifact
        for found in self._thing(changed):
            act = found.act if before == after else STATES[after]
            yield Difference(
                found.kind, act, found.name, found.id, tuple(c for c in found.changes if c.field != "state")
            )

    def _link(self, changed: RowChange) -> Iterator[Difference]:
        self.owners[_text(changed.row, "collection_id") or ""] = None
        yield from self._pointing(changed, "link", self._name(changed.key[0]))

    def _alias(self, changed: RowChange) -> Iterator[Difference]:
        alias = _text(changed.row, "alias") or ERASED_TEXT
        yield from self._pointing(changed, "alias", f"{self._name(_text(changed.row, 'owner_id'))}:{alias}")

    def _moved_by_hand(self, changed: RowChange) -> Iterator[Difference]:
        self.owners[str(changed.key[0])] = None
        yield from ()

    def _latest(self, owner: str) -> Iterator[Difference]:
        before, after = (self._points(owner, at) for at in (self.window.first, self.window.last))
        yield from self._moved("alias", f"{self._name(owner)}:{LATEST}", owner, before, after)

    def _points(self, owner: str, at: int) -> str | None:
        views = self.store.views
        row = views.find(ArtifactRow, at=at, artifact_id=owner)
        if row is not None:
            version = catalog.latest_version(views, row, at)
            return version.version_id if version else None
        held = views.find(CollectionRow, at=at, collection_id=owner)
        link = catalog.latest_link(views, held, at) if held else None
        return link.version_id if link else None

    def _pointing(self, changed: RowChange, kind: str, name: str) -> Iterator[Difference]:
        before, after = (_text(row, "version_id") for row in (changed.before, changed.after))
        yield from self._moved(kind, name, str(changed.key[0]), before, after)

    def _moved(self, kind: str, name: str, id_: str, before: str | None, after: str | None) -> Iterator[Difference]:
        if before != after:
            act: Act = "made" if before is None else "removed" if after is None else "moved"
            ends = (None if end is None else self._name(end) for end in (before, after))
            yield Difference(kind, act, name, id_, (Change("version", *ends),))

    def _tag(self, changed: RowChange) -> Iterator[Difference]:
        owner, tag = _text(changed.row, "owner_id"), _text(changed.row, "tag") or ERASED_TEXT
        yield self._pair("tag", changed, owner, "tag", tag)

    def _edge(self, changed: RowChange) -> Iterator[Difference]:
        run, version, role = changed.key
        yield self._pair("lineage", changed, run, "used" if role == "in" else "logged", self._name(version))

    def _source(self, changed: RowChange) -> Iterator[Difference]:
        version, source = changed.key
        yield self._pair("lineage", changed, version, "refers to", self._name(source))

    def _pair(self, kind: str, changed: RowChange, owner: object, name: str, value: str) -> Difference:
        act: Act = "removed" if changed.after is None else "made"
        ends = (value, None) if act == "removed" else (None, value)
        return Difference(kind, act, self._name(owner), str(owner), (Change(name, *ends),))

    def _erased(self, changed: RowChange) -> Iterator[Difference]:
        path = _text(changed.row, "path") or ERASED_TEXT
        name = self._name(changed.key[0])
        yield Difference("entry", "removed", name, str(changed.key[0]), (Change("erased", path),))

    def _accepted(self, changed: RowChange) -> Iterator[Difference]:
        yield self._pair("registry", changed, changed.key[0], "artifact type", str(changed.key[1]))

    def _protected(self, changed: RowChange) -> Iterator[Difference]:
        yield self._pair("registry", changed, changed.key[0], "protected alias", str(changed.key[1]))

    def _role(self, changed: RowChange) -> Iterator[Difference]:
        scope, member = changed.key
        act: Act = "made" if changed.before is None else "removed" if changed.after is None else "changed"
        roles = (_text(row, "role") for row in (changed.before, changed.after))
        name = f"of {self._name(member)} in {self._name(scope)}"
        yield Difference("role", act, name, str(scope), (Change("role", *roles),))

    def _user(self, changed: RowChange) -> Iterator[Difference]:
        yield Difference("user", "made", self._name(changed.key[0]), str(changed.key[0]))

    def _name(self, id_: object) -> str:
        label = self.labels.of(str(id_))
        if label is not None:
            return label.path
        return directory.logins(self.store, {PrincipalId(str(id_))}).get(PrincipalId(str(id_)), ERASED_TEXT)


KINDS: Final[dict[type[Row], str]] = {
    OrganisationRow: "organization",
    TeamRow: "team",
    ProjectRow: "project",
    ArtifactRow: "artifact",
    VersionRow: "version",
    RegistryRow: "registry",
    CollectionRow: "collection",
    RunRow: "run",
}
STATES: Final[dict[str, Act]] = {LIVE: "restored", "deleted": "deleted", "let-go": "let go", "purged": "purged"}
_TELL: Final[dict[type[Row], Callable[[_Telling, RowChange], Iterator[Difference]]]] = {
    VersionRow: _Telling._version,  # noqa: SLF001 (these are its own)
    LinkRow: _Telling._link,  # noqa: SLF001
    AliasRow: _Telling._alias,  # noqa: SLF001
    LatestRow: _Telling._moved_by_hand,  # noqa: SLF001
    TagRow: _Telling._tag,  # noqa: SLF001
    EdgeRow: _Telling._edge,  # noqa: SLF001
    SourceRow: _Telling._source,  # noqa: SLF001
    ErasedEntryRow: _Telling._erased,  # noqa: SLF001
    AcceptedTypeRow: _Telling._accepted,  # noqa: SLF001
    ProtectedAliasRow: _Telling._protected,  # noqa: SLF001
    MemberRow: _Telling._role,  # noqa: SLF001
    PrincipalRow: _Telling._user,  # noqa: SLF001
}


def _columns(changed: RowChange) -> Iterator[Change]:
    """Yield the columns that differ; the TTL is one value."""
    if ttl_of(changed.before) != ttl_of(changed.after):
        yield Change("ttl", ttl_of(changed.before), ttl_of(changed.after))
    for column in fields(changed.kind):
        before, after = getattr(changed.before, column.name), getattr(changed.after, column.name)
        if before == after or column.name in UNSEEN:
            continue
        personal = "SlotId" in str(column.type)
        ends = (None if end is None else _Slot(end) if personal else end for end in (before, after))
        yield Change(column.name, *ends)


def _text(row: Row | None, name: str) -> str | None:
    value = getattr(row, name, None)
    return None if value is None else str(value)
