"""What differs between two moments: the rows that hold at one and not, or otherwise, at the other.

Only the events between the two are read. They say which rows to look at; what came and went again is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias
from zlib import crc32

from attrs import define, field, frozen

from muniment.app.labels import Labels
from muniment.app.projections import FOLDS
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError
from muniment.domain.ports import Ledger
from muniment.domain.rows import (
    AliasRow,
    ArtifactRow,
    Cell,
    Change,
    Close,
    CollectionRow,
    LatestRow,
    LinkRow,
    Patch,
    ProjectRow,
    RegistryRow,
    Row,
    RunRow,
    TeamRow,
    TimelineRow,
    VersionRow,
)
from muniment.domain.values import Audit

PART: Final = 500_000
"""How many events are read at once; what a longer window changed is gathered in as many passes as it has parts."""

Key: TypeAlias = tuple[Cell, ...]


@frozen
class RowChange:
    """One row at two moments; ``None`` where it does not hold."""

    kind: type[Row]
    key: Key
    before: Row | None
    after: Row | None

    @property
    def row(self) -> Row:
        """The row as it is or, if it is gone, as it was."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 (one of them holds, or there is no difference)
        return found


@frozen
class Window:
    """From which event (its rows are what was before) to which one; the number of the first is not the larger."""

    first: int
    last: int

    def __attrs_post_init__(self) -> None:
        if self.first > self.last:
            msg = f"event {self.first} came after event {self.last} — name the earlier moment first"
            raise InvalidValueError(msg)


def rows(store: Store, window: Window) -> Iterator[RowChange]:
    """Yield the rows that differ, in the order in which they were first touched.

    A window of more than ``PART`` events is read once for each part of the keys, so that memory stays bounded; that
    order then holds within each part.
    """
    parts = max(1, -(-(window.last - window.first) // PART))
    for part in range(parts):
        for kind, key in touched(store.ledger, window, part, parts):
            named = dict(zip(kind.table.key, key, strict=True))
            before = store.views.find(kind, at=window.first, **named)
            after = store.views.find(kind, at=window.last, **named)
            if before != after:
                yield RowChange(kind, key, before, after)


def touched(ledger: Ledger, window: Window, part: int, parts: int) -> Iterator[tuple[type[Row], Key]]:
    """Yield the keys of the rows that the events of a window touched, each once."""
    seen: set[tuple[type[Row], Key]] = set()
    for recorded in ledger.read(after=window.first, until=window.last):
        if recorded.audit is Audit.ACCESS:
            continue  # no fold sees it
        for fold in FOLDS:
            for change in fold(recorded):
                found = _row_of(change)
                mine = parts == 1 or crc32(repr(found[1]).encode()) % parts == part
                if mine and found[0] is not TimelineRow and found not in seen:
                    seen.add(found)
                    yield found


def _row_of(change: Change) -> tuple[type[Row], Key]:
    if isinstance(change, Patch | Close):
        return change.kind, change.key
    kind = type(change.row)
    return kind, tuple(getattr(change.row, name) for name in kind.table.key)


# --- which rows belong to a thing ------------------------------------------------------------------------------------

_ABOVE: Final[dict[type[Row], tuple[str, ...]]] = {
    VersionRow: ("artifact_id",),
    ArtifactRow: ("project_id",),
    RunRow: ("project_id",),
    ProjectRow: ("team_id",),
    TeamRow: ("organisation_id",),
    CollectionRow: ("registry_id",),
    LinkRow: ("collection_id", "artifact_id"),
    RegistryRow: ("organisation_id",),
}
"""The columns that say what a thing of each kind is in."""

_KEYS: Final[dict[str, type[Row]]] = {kind.table.key[0]: kind for kind in _ABOVE}
_OWNERS: Final = (VersionRow, ArtifactRow, CollectionRow, RunRow, TeamRow, RegistryRow, ProjectRow)


@define
class Scope:
    """A thing and all that is in it; ``None`` is everything."""

    id: str | None
    _known: dict[str, bool] = field(factory=dict, init=False)

    def holds(self, labels: Labels, row: Row) -> bool:
        """Whether a row is about the thing, or about something in it."""
        return self.id is None or any(self._is_in(labels, id_) for id_ in _subjects(row))

    def _is_in(self, labels: Labels, id_: str) -> bool:
        if id_ not in self._known:
            self._known[id_] = id_ == self.id or any(self._is_in(labels, above) for above in _above(labels, id_))
        return self._known[id_]


def _subjects(row: Row) -> Iterator[str]:
    """Yield the ids of what a row is about."""
    if isinstance(row, AliasRow | LatestRow):
        yield row.owner_id  # not that of the version it points at
        return
    for name in ("owner_id", "scope_id", "member_id", "principal_id", "organisation_id", *_KEYS):
        value = getattr(row, name, None)
        if isinstance(value, str):
            yield value


def _above(labels: Labels, id_: str) -> Iterator[str]:
    for kind in (LinkRow, *_OWNERS):
        row, _ = labels.row(kind, **{kind.table.key[0]: id_})
        if row is not None:
            yield from (getattr(row, name) for name in _ABOVE[kind])
            return
