"""What the events of a ledger say by themselves, held against what it answers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from muniment.adapters.views.memory import MemoryViews
from muniment.app.projections import FOLDS
from muniment.app.store import Store
from muniment.domain import alias, artifact, version
from muniment.domain.ports import Ledger, Recorded
from muniment.domain.rows import ROWS, AliasRow, ArtifactRow, Row, VersionRow
from muniment.domain.values import Audit, StreamId, latest_stream, numbering_stream

Tables: TypeAlias = defaultdict[str, list[Any]]
"""The lines of a dump, by the table that they are of."""


def require_replay(store: Store) -> None:
    """Check that the deciders' folds of the events are the states that the live rows show."""
    streams: dict[StreamId, list[Any]] = defaultdict(list)
    for each in store.ledger.read():
        streams[each.stream].append(each.event)
    for row in every(store.ledger, VersionRow):
        state = version.VERSION.fold(streams[StreamId(row.version_id)])
        assert state.state.value == row.state
        made = streams[numbering_stream(row.artifact_id)][row.index]
        assert made.version_id == row.version_id
        if state.ttl is not None:
            assert (state.ttl.rule.value, state.ttl.micros) == (row.ttl_rule, row.ttl_micros)
    for row in every(store.ledger, ArtifactRow):
        whole = artifact.ARTIFACT.fold(streams[StreamId(row.artifact_id)])
        assert (whole.name, whole.type, whole.deleted) == (row.name, row.type, False)
        last = [each.version_id for each in streams[numbering_stream(row.artifact_id)]][-1:]
        assert [artifact.NUMBERING.fold(streams[numbering_stream(row.artifact_id)]).head] == (last or [None])
    for row in every(store.ledger, AliasRow):
        assert alias.ALIAS.fold(streams[row.slot]) == alias.AliasSlot(row.version_id, named=True)
        assert alias.ALIAS.fold(streams[row.slot][-1:]) == alias.AliasSlot(row.version_id, named=True)
    for stream, events in streams.items():
        if stream.endswith(":l"):
            assert latest_stream(stream[:-2]) == stream
            assert alias.LATEST_SLOT.fold(events) == alias.LATEST_SLOT.fold(events[-1:])


def require_past_and_present(store: Store, step: int = 7) -> None:
    """Check that rebuilt rows equal those kept up, and that the rows of any moment are those that were live then."""
    ledger = store.ledger
    rows = list(ledger.dump())
    assert list(ledger.verify()) == []
    assert ledger.rebuild() == ledger.head().size
    assert list(ledger.dump()) == rows
    fresh, size, kept = MemoryViews(), ledger.head().size, tables(rows)
    for each in ledger.read():
        fold(fresh, each)
        if each.seq % step == 0 or each.seq == size:
            require_same(ledger, kept, fresh, each.seq)


def fold(views: MemoryViews, recorded: Recorded) -> None:
    """Apply to rows what the projections make of one event."""
    if recorded.audit is not Audit.ACCESS:
        for each in FOLDS:
            views.apply(each(recorded), recorded.seq)


def require_same(ledger: Ledger, kept: Tables, fresh: MemoryViews, at: int) -> None:
    """Check that the ledger whose rows are *kept* has, as of a moment, the rows of one that ended there."""
    ended = tables(fresh.dump())
    for kind in ROWS:
        wanted = dict(holding(ended, kind))
        there = dict(holding(kept, kind, at))
        assert there == wanted, (kind, at)
        for key in wanted:
            columns = dict(zip(kind.table.key, key, strict=True))
            assert ledger.views.find(kind, at=at, **columns) == fresh.find(kind, **columns)
        for lookup in kind.table.lookups:
            if not lookup.equal:
                assert ledger.views.select(kind, at=at, order=lookup.order) == fresh.select(kind, order=lookup.order)


def every(ledger: Ledger, kind: type[Row]) -> list[Any]:
    """Return all live rows of a kind."""
    keys = [key for key, _ in live(ledger.dump(), kind)]
    return [ledger.views.find(kind, **dict(zip(kind.table.key, key, strict=True))) for key in keys]


def tables(dump: Iterable[bytes]) -> Tables:
    """Return the lines of each table in a dump."""
    found: Tables = defaultdict(list)
    lines: list[Any] = []
    for line in map(json.loads, dump):
        if isinstance(line, str):
            lines = found[line]
        else:
            lines.append(line)
    return found


def live(dump: Iterable[bytes], kind: type[Row], at: int | None = None) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
    """Yield key and columns of the rows of one table that hold, or held after event *at*."""
    return holding(tables(dump), kind, at)


def holding(kept: Tables, kind: type[Row], at: int | None = None) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
    """Yield the same of a dump that is taken apart already: it costs a query for each table."""
    names = [field.name for field in kind.__attrs_attrs__]
    for *columns, begin, end in kept[kind.table.name]:
        if end is None if at is None else begin <= at and (end is None or at < end):
            row = dict(zip(names, columns, strict=True))
            yield tuple(row[name] for name in kind.table.key), columns
