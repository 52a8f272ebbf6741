"""What a report is: sheets of typed columns, each one query over the ledger as it was after one event."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from attrs import define, field, frozen

from muniment.app.labels import Labels
from muniment.app.store import Store
from muniment.domain.rows import Cell, PrincipalRow, Row
from muniment.domain.values import ERASED_TEXT, Json, Micros, PrincipalId, SlotId

R = TypeVar("R", bound=Row)

BATCH: Final = 2_000
"""How many rows are held at once."""
PAGE: Final = 1_000
"""A day in microseconds."""


class Kind(enum.Enum):
    """What a column holds; any cell may also be ``None``."""

    TEXT = "text"
    INTEGER = "integer"
    MOMENT = "moment"
    FLAG = "flag"
    JSON = "json"


class Total(enum.Enum):
    """What is added up over a column, so that a reader can check that no row is missing."""

    SUM = "sum"
    COUNTS = "counts"


@frozen
class Column:
    """A column: its name, what it means, what it holds, and how it counts into the control totals."""

    name: str
    meaning: str
    kind: Kind = Kind.TEXT
    total: Total | None = None


Cells: TypeAlias = tuple[Any, ...]
"""A row: a value for each column, a moment in microseconds, a flag as 0 or 1."""


@frozen
class Sheet:
    """One table of a report, and the query that yields its rows."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Callable[[Scope], Iterable[Cells]]


class About(enum.Enum):
    """What a report may have to be told before it can be made."""

    REQUEST = "request"
    SUBJECT = "subject"


@frozen
class Report:
    """A report: what it is called, who reads it, and its sheets.

    *page* tells that people read it, so that there is HTML of it too. *private* ones hold personal values: they are
    always recorded, as if they had been revealed. *files* writes what belongs to it besides its sheets into a folder
    and yields the names.
    """

    name: str
    number: str
    title: str
    reader: str
    sheets: tuple[Sheet, ...]
    page: bool = True
    about: About | None = None
    needed: bool = False
    private: bool = False
    note: str = ""
    files: Callable[[Scope, Path, Sequence[str]], Iterator[str]] | None = None

    def stem(self, sheet: Sheet) -> str:
        """Return what the file of a sheet is called, without its ending."""
        return self.name if len(self.sheets) == 1 else f"{self.name}-{sheet.name}"


@define
class Scope:
    """What a report is made of: the events after *after* and up to *at*, at the *moment* of the last one.

    *since* is the moment of the event before the first one, 0 if there is none. Nothing later is looked at, and no
    clock: the same scope gives the same rows. *about* is the id of the request or data subject; with *revealed*
    personal values are shown. Sheets of one report keep in *shared* what another of them needs too.
    """

    store: Store
    after: int
    at: int
    moment: Micros
    since: Micros = 0
    about: str | None = None
    revealed: bool = False
    labels: Labels = field(init=False)
    shared: dict[str, Any] = field(init=False, factory=dict)
    _kinds: dict[str, str | None] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.labels = Labels(self.store.views, self.at)

    def each(self, kind: type[R], order: str, **equal: Cell) -> Iterator[R]:
        """Yield the rows of a lookup as of the end of the report, in its order, some at a time."""
        views, after = self.store.views, None
        while True:
            rows = views.select(kind, at=self.at, order=order, after=after, limit=PAGE, descending=False, **equal)
            last = getattr(rows[-1], order) if len(rows) == PAGE else None
            whole = [row for row in rows if getattr(row, order) != last] if last is not None else rows
            if not whole and rows:  # more than a page agree in the column: they are read at once
                whole = views.select(kind, at=self.at, order=order, after=after, limit=None, descending=False, **equal)
                last = None
            yield from whole
            if last is None:
                return
            after = getattr(whole[-1], order)

    def values(self, slots: Iterable[SlotId | None]) -> dict[SlotId, Json]:
        """Return personal values, ``[erased]`` where they were forgotten; nothing unless they are revealed."""
        wanted = {slot for slot in slots if slot is not None} if self.revealed else set()
        found = self.store.vault.get_many(wanted) if wanted else {}
        return {slot: found.get(slot, ERASED_TEXT) for slot in wanted}

    def value(self, slot: SlotId | None) -> Json:
        """Return one personal value, ``None`` unless it is revealed."""
        return None if slot is None else self.values([slot]).get(slot)

    def name(self, id_: str | None) -> str | None:
        """Return what a thing is called, its whole path; ``None`` if there never was one of this id."""
        label = self.labels.of(id_) if id_ else None
        return label.path if label else None

    def actor_kind(self, id_: str | None) -> str | None:
        """Return whether a principal is a person or a program."""
        if id_ is not None and id_ not in self._kinds:
            row = self.store.views.find(PrincipalRow, at=self.at, principal_id=PrincipalId(id_))
            self._kinds[id_] = row.kind if row else None
        return self._kinds.get(id_) if id_ is not None else None


def text(name: str, meaning: str) -> Column:
    """Return a column of text."""
    return Column(name, meaning)


def counted(name: str, meaning: str) -> Column:
    """Return a column of a few plain words, counted in the control totals."""
    return Column(name, meaning, total=Total.COUNTS)


def number(name: str, meaning: str) -> Column:
    """Return a column of whole numbers."""
    return Column(name, meaning, Kind.INTEGER)


def amount(name: str, meaning: str) -> Column:
    """Return a column of whole numbers that are added up in the control totals."""
    return Column(name, meaning, Kind.INTEGER, Total.SUM)


def moment(name: str, meaning: str) -> Column:
    """Return a column of times."""
    return Column(name, meaning, Kind.MOMENT)


def flag(name: str, meaning: str) -> Column:
    """Return a column of yes and no, counted in the control totals."""
    return Column(name, meaning, Kind.FLAG, Total.COUNTS)


def json_(name: str, meaning: str) -> Column:
    """Return a column of JSON values."""
    return Column(name, meaning, Kind.JSON)
