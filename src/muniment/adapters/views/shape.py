"""What both views adapters read off a row class: its columns, the ways to find rows, and the form of its dump."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from typing import Any, Final, ParamSpec, TypeVar, cast, get_args, get_type_hints

from attrs import fields

from muniment.domain.errors import ContradictionError
from muniment.domain.rows import Cell, Lookup, Row
from muniment.domain.values import LARGEST

P = ParamSpec("P")
T = TypeVar("T")

SMALLEST: Final = -(2**63)


def once(make: Callable[P, T]) -> Callable[P, T]:
    """Remember what a function makes; as ``functools.cache``, which type checkers deny a row class as argument."""
    return cast("Callable[P, T]", cache(make))


@once
def columns(kind: type[Row]) -> tuple[str, ...]:
    """Return the names of the columns, in the order of the fields."""
    return tuple(field.name for field in fields(kind))


@once
def nullable(kind: type[Row]) -> frozenset[str]:
    """Return the columns that may hold ``None``."""
    hints = get_type_hints(kind)
    return frozenset(name for name in columns(kind) if type(None) in get_args(hints[name]))


@once
def integers(kind: type[Row]) -> frozenset[str]:
    """Return the columns that hold whole numbers."""
    hints = get_type_hints(kind)
    return frozenset(name for name in columns(kind) if int in (hints[name], *get_args(hints[name])))


def identity(kind: type[Row], names: Collection[str]) -> tuple[str, ...]:
    """Return the key or unique set that *names* are; ValueError if they are neither."""
    wanted = set(names)
    for candidate in (kind.table.key, *kind.table.unique):
        if wanted == set(candidate) and len(names) == len(candidate):
            return candidate
    msg = f"{kind.table.name} has no key and no unique set of {sorted(wanted)} — see muniment.domain.rows"
    raise ValueError(msg)


def lookup(kind: type[Row], names: Collection[str], order: str) -> Lookup:
    """Return the lookup by *names* in the order of *order*; ValueError if the table has none such."""
    wanted = set(names)
    for candidate in kind.table.lookups:
        if candidate.order == order and wanted == set(candidate.equal):
            return candidate
    msg = f"{kind.table.name} has no lookup by {sorted(wanted)} in the order of {order!r} — see muniment.domain.rows"
    raise ValueError(msg)


def gathered(kind: type[Row], names: Collection[str]) -> Lookup | None:
    """Return the lookup by *names* in whatever order, ``None`` if they are the key; ValueError if neither."""
    if set(names) == set(kind.table.key):
        return None
    for candidate in kind.table.lookups:
        if set(names) == set(candidate.equal):
            return candidate
    msg = f"{kind.table.name} has no key and no lookup by {sorted(names)} — see muniment.domain.rows"
    raise ValueError(msg)


def can_be_held(cell: Cell) -> bool:
    """Whether a column of either database can hold a value."""
    if isinstance(cell, str):
        try:
            return b"\0" not in cell.encode()
        except UnicodeEncodeError:
            return False
    return cell is None or SMALLEST <= cell <= LARGEST


def within(cell: Cell) -> Cell:
    """Return what to compare or count with in a database: a number beyond all columns is as good as the last one."""
    return max(SMALLEST, min(LARGEST, cell)) if isinstance(cell, int) else cell


def among(values: Collection[Cell]) -> str | None:
    """Return values as a JSON array, with null for what no column can hold; ``None`` if there are no values."""
    return array(values) if values else None


def array(values: Collection[Cell]) -> str:
    """Return values as a JSON array, with null for what no column can hold."""
    text = json.dumps(list(values))
    if set(map(type, values)) != {str} or "\\u" in text:
        text = json.dumps([value if can_be_held(value) else None for value in values])
    return text


def holding(found: Iterable[Sequence[Any]], at: int | None) -> Sequence[Any] | None:
    """Return the cells of the row that holds now, or held after event *at*, of rows that end with from when to when."""
    for row in found:
        begin, end = row[-2:]
        if end is None if at is None else begin <= at and (end is None or at < end):
            return row[:-2]
    return None


@once
def patched(kind: type[Row], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns to patch in the order of the fields; ValueError if one is unknown or part of the key."""
    wrong = [name for name in names if name not in columns(kind) or name in kind.table.key]
    if wrong:
        msg = f"{kind.table.name} has no column outside its key called {', '.join(map(repr, wrong))}"
        raise ValueError(msg)
    return tuple(name for name in columns(kind) if name in names)


@once
def last_ones(kind: type[Row]) -> tuple[str, ...]:
    """Return the columns of totals that are taken over from the last event."""
    table = kind.table
    return tuple(name for name in columns(kind) if name not in {*table.key, *table.sums, *table.keeps})


def require_past(kind: type[Row], *, past: bool) -> None:
    """Refuse to look for the past of totals: ValueError."""
    if past and kind.table.sums:
        msg = f"{kind.table.name} holds totals of today — fold the events up to then for those of another day"
        raise ValueError(msg)


def contradiction(kind: type[Row]) -> ContradictionError:
    """Return the error for two live rows that claim one place, which only a wrong decision or fold leads to."""
    return ContradictionError(
        f"the rows of {kind.table.name} contradict each other — 'muniment rebuild' makes them again"
    )


def line(cells: Iterable[Cell]) -> bytes:
    """Return one line of a dump: a JSON array of text, whole numbers and null, in UTF-8.

    Bytes, which only somebody else can have put there, are written so that they are like no cell of ours.
    """
    plain = [int(cell) if isinstance(cell, bool) else cell for cell in cells]
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), default=_strange).encode() + b"\n"


def _strange(cell: bytes) -> dict[str, str]:
    return {"bytes": cell.hex()}


def heading(kind: type[Row]) -> bytes:
    """Return the line of a dump before the rows of a table: its name."""
    return json.dumps(kind.table.name).encode() + b"\n"
