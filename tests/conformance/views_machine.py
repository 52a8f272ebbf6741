"""A state machine that drives a views adapter beside a list of all states that there were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import pytest
from attrs import evolve, frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from muniment.domain.errors import StorageError
from muniment.domain.rows import (
    ArtifactRow,
    Cell,
    Change,
    Close,
    EdgeRow,
    Insert,
    Lookup,
    MemberRow,
    Patch,
    Put,
    Row,
    TagRow,
    key_of,
    kind_of,
)
from muniment.domain.values import ArtifactId, ProjectId, RunId, VersionId
from tests.conformance.stand import Stand
from tests.conformance.views import alias

IDS = st.sampled_from("xyz")
WORD = st.sampled_from(["a", "b", None])


def _rows() -> st.SearchStrategy[Row]:
    return st.one_of(
        st.builds(alias, IDS, st.sampled_from("op"), WORD, WORD),
        st.builds(TagRow, IDS, IDS, WORD),
        st.builds(MemberRow, IDS, IDS, st.just("user"), st.sampled_from(["admin", "member"])),
        st.builds(EdgeRow, IDS.map(RunId), IDS.map(VersionId), st.sampled_from(["in", "out"]), st.just(1), st.just(2)),
        st.builds(
            ArtifactRow,
            IDS.map(ArtifactId),
            IDS.map(ProjectId),
            WORD,
            WORD,
            st.none(),
            st.just(""),
            st.none(),
            st.just(0),
        ),
    )


def _key(row: Row) -> tuple[Cell, ...]:
    return tuple(getattr(row, name) for name in row.table.key)


def _change(verb: str, row: Row) -> Change:
    if verb == "patch":
        names = [name for name in type(row).__annotations__ if name not in row.table.key]
        return Patch(type(row), _key(row), {name: getattr(row, name) for name in names[-2:]})
    if verb == "close":
        return Close(type(row), _key(row))
    return Insert(row) if verb == "insert" else Put(row)


EVENTS = st.lists(st.builds(_change, st.sampled_from(["insert", "put", "patch", "close"]), _rows()), max_size=3)
State: TypeAlias = dict[tuple[type[Row], tuple[Cell, ...]], Row]


def _next(state: State, changes: Sequence[Change]) -> State | None:
    """Return the state after *changes*; ``None`` if they contradict each other."""
    state = dict(state)
    for change in changes:
        place = (kind_of(change), key_of(change))
        match change:
            case Insert(row=row):
                if place in state:
                    return None
                state[place] = row
            case Put(row=row):
                state[place] = row
            case Patch(columns=columns):
                if place in state:
                    state[place] = evolve(state[place], **columns)
            case Close():
                state.pop(place, None)
        if _clash(state, place[0]):
            return None
    return state


def _clash(state: State, kind: type[Row]) -> bool:
    for names in kind.table.unique:
        taken = [
            cells
            for (held, _), row in state.items()
            if held is kind and None not in (cells := tuple(getattr(row, name) for name in names))
        ]
        if len(taken) != len(set(taken)):
            return True
    return False


@frozen
class Asked:
    """A question to the views: a row's own values tell what to look for."""

    row: Row
    way: int
    descending: bool
    limit: int | None
    paged: bool


QUESTIONS = st.builds(Asked, _rows(), st.integers(0, 5), st.booleans(), st.none() | st.integers(1, 3), st.booleans())


class ViewsMachine(RuleBasedStateMachine):
    """Drives an adapter and a list of all states side by side."""

    make: ClassVar[Callable[[], Stand]]

    def __init__(self) -> None:
        super().__init__()
        self.stand = type(self).make()
        self.states: list[State] = [{}]
        self.events: list[Sequence[Change]] = []

    @rule(changes=EVENTS)
    def event(self, changes: Sequence[Change]) -> None:
        after = _next(self.states[-1], changes)
        inserted = [(type(change.row), _key(change.row)) for change in changes if isinstance(change, Insert)]
        if after is None and any(place in self.states[-1] for place in inserted):
            return  # a promise of the folds, which not every adapter checks
        self.stand.begin()
        if after is None:
            with pytest.raises(StorageError):
                self.stand.apply(changes, len(self.states))
            self.stand.back()
            return
        self.stand.apply(changes, len(self.states))
        self.states.append(after)
        self.events.append(changes)

    @rule()
    def rebuild(self) -> None:
        before = self.stand.dump()
        self.stand.clear()
        for seq, changes in enumerate(self.events, 1):
            self.stand.apply(changes, seq)
        assert self.stand.dump() == before

    def _then(self, kind: type[Row], back: int | None) -> tuple[int | None, list[Row]]:
        at = None if back is None else max(0, len(self.states) - 1 - back)
        state = self.states[-1 if at is None else at]
        return at, [row for (held, _), row in state.items() if held is kind]

    @rule(row=_rows(), back=st.none() | st.integers(0, 20))
    def find(self, row: Row, back: int | None) -> None:
        at, rows = self._then(type(row), back)
        for names in (row.table.key, *row.table.unique):
            equal = {name: getattr(row, name) for name in names}
            expected = None if None in equal.values() else next(_matching(rows, equal), None)
            assert self.stand.views.find(type(row), at=at, **equal) == expected

    @rule(asked=QUESTIONS, back=st.none() | st.integers(0, 20))
    def select(self, asked: Asked, back: int | None) -> None:
        kind, lookups = type(asked.row), asked.row.table.lookups
        at, rows = self._then(kind, back)
        lookup = lookups[asked.way % len(lookups)]
        equal = {name: getattr(asked.row, name) for name in lookup.equal}
        matching = list(_matching(rows, equal))
        assert self.stand.views.count(kind, order=lookup.order, at=at, **equal) == len(matching)
        how: dict[str, Any] = {"order": lookup.order, "descending": asked.descending, "limit": asked.limit}
        after = getattr(asked.row, lookup.order) if asked.paged else None
        found = self.stand.views.select(kind, at=at, after=after, **how, **equal)
        assert found == _page(matching, lookup, after, descending=asked.descending)[: asked.limit]

    @invariant()
    def now_is_the_last_state(self) -> None:
        for (kind, key), row in self.states[-1].items():
            assert self.stand.views.find(kind, at=None, **dict(zip(kind.table.key, key, strict=True))) == row


def machine_for(make: Callable[[], Stand]) -> type[ViewsMachine]:
    """Return the machine for an adapter."""
    return type("Machine", (ViewsMachine,), {"make": staticmethod(make)})


def _matching(rows: Sequence[Row], equal: Mapping[str, Cell]) -> Iterator[Row]:
    return (row for row in rows if all(getattr(row, name) == cell for name, cell in equal.items()))


def _page(rows: Sequence[Row], lookup: Lookup, after: Cell, *, descending: bool) -> list[Row]:
    def rank(cell: Cell) -> tuple[bool, Any]:
        return (cell is not None, cell)

    def beyond(row: Row) -> bool:
        cell = getattr(row, lookup.order)
        return after is None or (rank(cell) < rank(after) if descending else rank(cell) > rank(after))

    ordered = sorted(rows, key=_key)
    ordered.sort(key=lambda row: rank(getattr(row, lookup.order)), reverse=descending)
    return [row for row in ordered if beyond(row)]
