"""What a table is, and the five changes that a fold may ask for.

Every table also has ``from_seq`` and ``to_seq``, which the views adapter fills: the ledger position at which a row
began and, once closed, ended to hold. A column that held words reads ``None`` after they were redacted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeAlias

from attrs import frozen

Cell: TypeAlias = str | int | None
"""What a column holds; truth values are 0 and 1."""


@frozen
class Lookup:
    """An index: rows where *equal* columns have given values, in the order of column *order*.

    A *whole* one is made so that their keys are read from it alone, without the table.
    """

    equal: tuple[str, ...]
    order: str
    whole: bool = False


@frozen
class Table:
    """The name, identity and indexes of one kind of row.

    At most one live row has the same *key*, and at most one the same values in each of *unique* (``None`` never
    clashes). *projection* names the batched projection that keeps the table, ``None`` stands for the inline ones. A
    table with *sums* holds totals, which only ``Add`` changes: those columns add up, those in *keeps* stay as they
    began, the others are those of the last event. It has no past: asking for one is a programming error.
    """

    name: str
    key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    lookups: tuple[Lookup, ...] = ()
    projection: str | None = None
    sums: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()


@frozen
class Row:
    """The base of all rows."""

    table: ClassVar[Table]


@frozen
class Insert:
    """Add a row whose key no live row has."""

    row: Row


@frozen
class Put:
    """Add a row in place of the live one with its key, if there is one."""

    row: Row


@frozen
class Patch:
    """Replace the live row with this key by one that differs in *columns*; without a live row, do nothing."""

    kind: type[Row]
    key: tuple[Cell, ...]
    columns: Mapping[str, Cell]


@frozen
class Close:
    """End the live row with this key; without a live row, do nothing."""

    kind: type[Row]
    key: tuple[Cell, ...]


@frozen
class Add:
    """Add a row to the totals with its key; without such, it begins them."""

    row: Row


Change: TypeAlias = Insert | Put | Patch | Close | Add


def kind_of(change: Change) -> type[Row]:
    """Return which kind of row a change is about."""
    return type(change.row) if isinstance(change, Insert | Put | Add) else change.kind


def key_of(change: Change) -> tuple[Cell, ...]:
    """Return the key of the row that a change is about."""
    if isinstance(change, Insert | Put | Add):
        return tuple(getattr(change.row, name) for name in change.row.table.key)
    return change.key
