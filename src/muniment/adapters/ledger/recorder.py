"""The library's SQLite recorder with our own table: dense ids, the envelope, words apart from facts.

What the library writes and reads through it goes on working; its conformance tests run against it.
"""

# ruff: noqa: S608 - the SQL is made of our own names; every value is a parameter

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor

from muniment.adapters.ledger.record import Record, cells

TABLE = "events"
ORDER = (
    "rowid, originator_id, originator_version, topic, state, facts_blind, words, words_blind, words_commit, event_id, "
    "recorded_at, org, class, outcome, actor, on_behalf_of, run, request, correlation, causation, command, source"
)
"""The columns in the order of the fields of ``Record``."""

CREATE = f"""CREATE TABLE IF NOT EXISTS {TABLE} (
    rowid INTEGER PRIMARY KEY,
    originator_id TEXT NOT NULL,
    originator_version INTEGER NOT NULL,
    topic TEXT NOT NULL,
    state BLOB NOT NULL,
    facts_blind BLOB, words BLOB, words_blind BLOB, words_commit BLOB,
    event_id TEXT, recorded_at INTEGER, org TEXT, class TEXT, outcome TEXT, actor TEXT, on_behalf_of TEXT, run TEXT,
    request TEXT, correlation TEXT, causation TEXT, command TEXT, source TEXT,
    UNIQUE (originator_id, originator_version)
)"""
INSERT = f"INSERT INTO {TABLE} ({ORDER}) VALUES ({', '.join('?' * 22)})"


class LedgerRecorder(SQLiteApplicationRecorder):
    """Writes whole records inside somebody else's transaction."""

    def construct_create_table_statements(self) -> list[str]:
        """Return the table that holds an event with its envelope."""
        return [CREATE]

    def _insert_events(
        self,
        c: SQLiteCursor,
        stored_events: Sequence[StoredEvent],
        *,
        records: Sequence[Record] = (),
        **_: Any,  # noqa: ANN401 (the library's signature)
    ) -> Sequence[int] | None:
        if records:
            c.executemany(INSERT, list(map(cells, records)))
            return [record.seq for record in records]
        ids = []
        for each in stored_events:
            stream = each.originator_id.hex if isinstance(each.originator_id, UUID) else each.originator_id
            c.execute(
                f"INSERT INTO {TABLE} (originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?)",
                (stream, each.originator_version, each.topic, each.state),
            )
            ids.append(c.lastrowid)
        return ids
