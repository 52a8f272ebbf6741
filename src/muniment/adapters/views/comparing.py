"""Finds the keys under which two sets of rows differ, each read once in the order of the keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, TypeAlias

from muniment.adapters.views import shape
from muniment.domain.rows import Row

Cells: TypeAlias = tuple[Any, ...]


def differing(kind: type[Row], one: Iterable[Cells], other: Iterable[Cells]) -> Iterator[Cells]:
    """Yield the keys whose rows are not the same in both; both come in the order of their keys."""
    ours, theirs = _by_key(kind, one), _by_key(kind, other)
    here, there = next(ours, None), next(theirs, None)
    while here is not None or there is not None:
        if there is None or (here is not None and _rank(here[0]) < _rank(there[0])):
            assert here is not None  # noqa: S101 (one of them is there)
            yield here[0]
            here = next(ours, None)
        elif here is None or _rank(there[0]) < _rank(here[0]):
            yield there[0]
            there = next(theirs, None)
        else:
            if here[1] != there[1]:
                yield here[0]
            here, there = next(ours, None), next(theirs, None)


def _by_key(kind: type[Row], rows: Iterable[Cells]) -> Iterator[tuple[Cells, list[Cells]]]:
    places = [shape.columns(kind).index(name) for name in kind.table.key]

    def key(row: Cells) -> Cells:
        return tuple(row[place] for place in places)

    return ((found, [tuple(row) for row in group]) for found, group in groupby(rows, key))


def _rank(key: Cells) -> tuple[tuple[int, Any], ...]:
    """Order cells as databases do, also where a damaged column holds what it should not."""
    return tuple((_KINDS.get(type(cell), 0), cell if cell is not None else 0) for cell in key)


_KINDS = {type(None): 0, int: 1, float: 1, str: 2, bytes: 3}
