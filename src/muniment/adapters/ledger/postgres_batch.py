"""Committing waiting commands together in PostgreSQL, and what becomes of them when the server goes away.

A batch that is known to have left nothing is done again. When the connection was lost during COMMIT it is not known:
the next session waits for the write lock, which the lost one holds until it has ended, and asks the server what
became of that transaction. Where even the server does not know, because it came back from a backup, the batch is done
again, and the ids of commands tell which of them were done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import psycopg
from attrs import define
from psycopg.pq import TransactionStatus

from muniment.adapters.ledger.batching import Waiting
from muniment.adapters.ledger.core import COMMANDS_KEPT, Core
from muniment.adapters.ledger.postgres_desk import MakeViews, PostgresDesk, lock_tip, write_tip
from muniment.adapters.ledger.postgres_schema import PostgresRows
from muniment.adapters.postgres import (
    Connection,
    Connections,
    expires,
    in_our_words,
    is_gone,
    may_go_better,
    storage_errors,
)
from muniment.domain.errors import StorageError

Outcomes: TypeAlias = list[tuple[Waiting, object, BaseException | None]]
FORGET_EVERY: Final = 60_000_000
"""How often answers to old commands and expired scratch rows are removed, in microseconds."""


@define
class _Unknown:
    """A transaction of which it is not known whether it was committed, and what it would have come to."""

    transaction: int
    outcomes: Outcomes


@define(eq=False)
class Batches:
    """Runs batches of work, each in one transaction, until it is known what became of it."""

    connections: Connections
    core: Core
    rows: PostgresRows
    make_views: MakeViews
    _forgot_at: int = 0
    _unknown: _Unknown | None = None

    def run(self, batch: Sequence[Waiting]) -> None:
        """Finish every piece of a batch."""
        again = expires()
        self._unknown = None
        while True:
            connection = None
            try:
                connection = self.connections.mine()
                outcomes = self._attempt(batch, connection)
            except psycopg.Error as error:
                lost = is_gone(error, connection)
                if not ((lost or may_go_better(error)) and again()):
                    raise self._gave_up(error) from error
                continue
            for waiting, result, failure in outcomes:
                waiting.finish(result, failure)
            return

    def _attempt(self, batch: Sequence[Waiting], connection: Connection) -> Outcomes:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN", prepare=False)
            try:
                tip, transaction = lock_tip(cursor)
                known = self._what_became(connection)
                if known is not None:
                    cursor.execute("ROLLBACK", prepare=False)
                    return known
                self._unknown = None
                self._forget(connection)
                before = tip.frontier.size
                desk = PostgresDesk(cursor, tip, rows=self.rows, make_views=self.make_views, clock=self.core.clock)
                outcomes = [_attempt(waiting, desk, connection, self.connections.what) for waiting in batch]
                if tip.frontier.size != before:
                    write_tip(cursor, tip)
            except BaseException:
                if not connection.closed:
                    cursor.execute("ROLLBACK", prepare=False)
                raise
            self._unknown = _Unknown(transaction, outcomes)
            cursor.execute("COMMIT", prepare=False)
            self._unknown = None
        return outcomes

    def _gave_up(self, error: psycopg.Error) -> StorageError:
        if self._unknown is None:
            return in_our_words(self.connections.what, error)
        msg = (
            f"the connection to {self.connections.what} was lost while it was committing, and the server did not come "
            "back, so it is not known whether this was recorded — start the server and look, or do it again"
        )
        return StorageError(msg)

    def _what_became(self, connection: Connection) -> Outcomes | None:
        """Return the outcomes of the transaction that was lost during its COMMIT, if it was committed."""
        if self._unknown is None:
            return None
        unknown = self._unknown
        rows = connection.execute(
            "SELECT CASE WHEN %s::text::xid8 < pg_current_xact_id() THEN pg_xact_status(%s::text::xid8) END",
            (str(unknown.transaction), str(unknown.transaction)),
        ).fetchall()
        return unknown.outcomes if rows == [("committed",)] else None

    def _forget(self, connection: Connection) -> None:
        """Remove answers to commands and scratch rows whose time is over, now and then."""
        now = self.core.clock()
        if not 0 <= now - self._forgot_at < FORGET_EVERY:
            connection.execute("DELETE FROM commands WHERE kept_at < %s", (now - COMMANDS_KEPT,))
            connection.execute("DELETE FROM scratch WHERE expires_at <= %s", (now,))
            self._forgot_at = now


def _attempt(
    waiting: Waiting, desk: PostgresDesk, connection: Connection, what: str
) -> tuple[Waiting, object, BaseException | None]:
    try:
        with storage_errors(what):
            return waiting, waiting.run(desk), None
    except BaseException as error:  # (what is not about the session is raised again where the work was handed in)
        lost = error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error
        if isinstance(lost, psycopg.Error) and (is_gone(lost, connection) or may_go_better(lost)):
            raise lost from None
        if connection.info.transaction_status != TransactionStatus.INTRANS:
            raise
        return waiting, None, error
