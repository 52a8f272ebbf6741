"""Every fold accepts every event, with and without its words, and what it asks for can be kept by any database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muniment.adapters.ledger.codec import WIRE_NAMES
from muniment.app.projections import FOLDS, audit, catalog
from muniment.domain.alias import AliasMoved
from muniment.domain.ports import Recorded
from muniment.domain.registry import RegistryCreated, Visibility
from muniment.domain.rows import (
    ROWS,
    Add,
    AliasRow,
    Cell,
    Change,
    Close,
    Insert,
    Patch,
    Put,
    RegistryRow,
    TimelineRow,
    key_of,
    kind_of,
)
from muniment.domain.values import (
    ERASED,
    Audit,
    CommandId,
    EventId,
    OrganisationId,
    PrincipalId,
    RunId,
    StreamId,
    VersionId,
)
from tests.events import CLASSES, erased, events

STREAM = StreamId("e" * 32)


def happened(event: Any, position: int = 1, stream: str = STREAM) -> Recorded:
    return Recorded(
        seq=9,
        event_id=EventId("f" * 32),
        recorded_at=10,
        organisation=OrganisationId("0" * 32),
        stream=StreamId(stream),
        position=position,
        type={class_: name for name, class_ in WIRE_NAMES.items()}[type(event)],
        audit=Audit.CHANGE,
        outcome="ok",
        actor=PrincipalId("1" * 32),
        on_behalf_of=None,
        run=None,
        request=None,
        correlation=None,
        causation=None,
        command=CommandId("2" * 32),
        source="sdk",
        event=event,
    )


def changes(event: Any, position: int = 1) -> list[Change]:
    return [change for fold in FOLDS for change in fold(happened(event, position))]


def shape(change: Change) -> tuple[Any, ...]:
    """Return what a change does to which row, apart from the cells that words fill."""
    return type(change), kind_of(change), key_of(change)


def cells(change: Change) -> Iterator[tuple[str, Cell]]:
    if isinstance(change, Insert | Put | Add):
        yield from attrs.asdict(change.row, recurse=False).items()
    elif isinstance(change, Patch):
        yield from change.columns.items()
        yield from zip(change.kind.table.key, change.key, strict=True)
    else:
        yield from zip(change.kind.table.key, change.key, strict=True)


@pytest.mark.parametrize("class_", CLASSES, ids=lambda class_: class_.__name__)
def test_every_fold_takes_every_event_with_and_without_its_words(class_: type) -> None:
    @settings(max_examples=15)
    @given(st.one_of(events(class_), events(class_).map(erased)), st.integers(1, 3))
    def check(event: Any, position: int) -> None:
        for change in changes(event, position):
            kind = kind_of(change)
            assert kind in ROWS
            columns = {each.name for each in attrs.fields(kind)}
            for name, cell in cells(change):
                assert name in columns
                assert cell is None or type(cell) in {str, int}, f"{kind.__name__}.{name} would be {cell!r}"

    check()


SETS_OF_WORDS = {"RegistryCreated", "AcceptedTypesAdded", "ProtectedAliasesSet"}
"""Their words are rows of their own, which go when the words do."""


@pytest.mark.parametrize(
    "class_",
    [class_ for class_ in CLASSES if class_.__name__ not in SETS_OF_WORDS],
    ids=lambda class_: class_.__name__,
)
def test_redaction_empties_cells_but_adds_moves_and_ends_the_same_rows(class_: type) -> None:
    @settings(max_examples=15)
    @given(events(class_), st.integers(1, 3))
    def check(event: Any, position: int) -> None:
        before, after = changes(event, position), changes(erased(event), position)
        assert [shape(each) for each in after] == [shape(each) for each in before]
        for told, left in zip(before, after, strict=True):
            kept = dict(cells(told))
            assert all(cell in {None, kept[name]} for name, cell in cells(left))

    check()


def test_redaction_of_its_name_does_not_close_a_registry_that_accepts_every_type() -> None:
    created = RegistryCreated(
        OrganisationId("0" * 32), "nets", core=False, visibility=Visibility.ORGANISATION, all_types=True
    )
    for event in (created, erased(created)):
        [inserted] = catalogued(RegistryRow, changes(event))
        assert inserted.all_types == 1


def test_a_later_move_of_an_alias_whose_empty_words_were_redacted_makes_no_second_row() -> None:
    to = VersionId("a" * 32)
    first = catalog.fold(happened(AliasMoved(to, None, ERASED), position=1))
    later = catalog.fold(happened(AliasMoved(to, None, ERASED), position=2))
    assert first == [Insert(AliasRow(STREAM, STREAM, None, to))]
    assert later == [Patch(AliasRow, (STREAM,), {"version_id": to})]


def test_an_event_stands_in_the_timeline_of_its_stream_and_of_all_it_names_once() -> None:
    to, before = VersionId("a" * 32), VersionId("b" * 32)
    slot = f"{'c' * 32}:a:{'d' * 32}"
    found = audit.fold(happened(AliasMoved(to, before), 2, slot))
    assert found == [Insert(TimelineRow(subject, 9)) for subject in (to, before, "c" * 32)]
    again = audit.fold(happened(AliasMoved(to, to), 2, slot))
    assert again == [Insert(TimelineRow(subject, 9)) for subject in (to, "c" * 32)]


def test_an_event_of_a_run_stands_in_the_timeline_of_the_run_too() -> None:
    by = attrs.evolve(happened(AliasMoved(VersionId("a" * 32)), 2), run=RunId("9" * 32))
    assert Insert(TimelineRow("9" * 32, 9)) in audit.fold(by)


def catalogued(kind: type[Any], found: list[Change]) -> list[Any]:
    return [change.row for change in found if isinstance(change, Insert) and isinstance(change.row, kind)]


def test_no_fold_ends_a_row_of_another_stream_than_its_own_or_its_members() -> None:
    @given(events(*CLASSES))
    def check(event: Any) -> None:
        for change in changes(event):
            if isinstance(change, Close):
                assert change.key[0] == STREAM

    check()
