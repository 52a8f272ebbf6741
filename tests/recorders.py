"""The library's recorder interface on the ledger in PostgreSQL, for the library's own tests.

The product uses that ledger without the library. Here its write lock, statements and pages are behind the interface, so
that the library's promises about streams, batches and numbers are tested on them too. The envelope is left empty, no
decision is taken and no row is projected: those have suites of their own. Our streams begin at position 1; the
library's tests write a position 0 once, so every position is kept as the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NoReturn

import psycopg
from eventsourcing.persistence import ApplicationRecorder, IntegrityError, Notification, NotSupportedError, StoredEvent

from muniment.adapters.ledger.core import guarded
from muniment.adapters.ledger.postgres import PostgresLedger, asking
from muniment.adapters.ledger.postgres_desk import PostgresDesk, records, stream_records
from muniment.adapters.ledger.record import Record
from muniment.adapters.ledger.tiles import completed
from muniment.domain.errors import StorageError
from muniment.domain.merkle import leaf_hash
from muniment.domain.values import CommandId, EventId, OrganisationId, PrincipalId, StreamId


class PostgresRecorder(ApplicationRecorder):
    """Writes and reads events of the library through the desk of our ledger."""

    def __init__(self, ledger: PostgresLedger) -> None:
        super().__init__()
        self.ledger = ledger

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int]:
        """Append a batch in one transaction; return the numbers that it was given."""

        def append(desk: PostgresDesk) -> list[int]:
            first = desk.tip.frontier.size + 1
            written = [_record(seq, each) for seq, each in enumerate(stored_events, first)]
            leaves = [leaf_hash(record.facts) for record in written]
            desk.insert(written, leaves, completed(desk.tip.frontier, leaves))
            return [record.seq for record in written]

        if not stored_events:
            return []
        try:
            numbers: list[int] = self.ledger._group.submit(  # noqa: SLF001 (what decides is above it)
                lambda desk: guarded(desk, lambda: append(desk))
            )
        except StorageError as error:
            if isinstance(error.__cause__, psycopg.errors.UniqueViolation):
                raise IntegrityError(str(error)) from error
            raise
        return numbers

    def select_events(
        self,
        originator_id: Any,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return the events of a stream whose positions are in the range."""
        with self.ledger.moment() as cursor:
            stream = list(stream_records(asking(cursor), StreamId(originator_id), 0, None))
        found = [
            StoredEvent(record.stream, record.position - 1, record.type, record.facts)
            for record in (reversed(stream) if desc else stream)
            if (gt is None or record.position - 1 > gt) and (lte is None or record.position - 1 <= lte)
        ]
        return found[:limit]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        """Return the events of all streams from a number on, in their order."""
        after = (start or 0) - (1 if start and inclusive_of_start else 0)
        with self.ledger.moment() as cursor:
            found: Iterator[Record] = records(asking(cursor), after, stop, None if topics else limit)
            wanted = (record for record in found if not topics or record.type in topics)
            return [
                Notification(record.stream, record.position - 1, record.type, record.facts, id=record.seq)
                for record in islice(wanted, limit)
            ]

    def max_notification_id(self) -> int | None:
        """Return the number of the last event."""
        return self.ledger.head().size or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> NoReturn:
        """Refuse: projections ask for what is new by its number."""
        del gt, topics
        msg = "the ledger tells nobody of new events: read it from a number on"
        raise NotSupportedError(msg)


def _record(seq: int, event: StoredEvent) -> Record:
    return Record(
        seq=seq,
        stream=StreamId(str(event.originator_id)),
        position=event.originator_version + 1,
        type=event.topic,
        facts=event.state,
        facts_blind=bytes(32),
        words=None,
        words_blind=None,
        words_commit=None,
        event_id=EventId(f"{seq:032x}"),
        recorded_at=seq,
        org=OrganisationId("o"),
        audit="act",
        outcome="ok",
        actor=PrincipalId("p"),
        on_behalf_of=None,
        run=None,
        request=None,
        correlation=None,
        causation=None,
        command=CommandId("c"),
        source="test",
    )
