"""The turn to delete blobs, for all machines with one ledger: an advisory lock, which a session holds while it lives.

The server lets go of it when the session ends: at once when its process dies, within a minute when its machine or the
network does. No clock decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import psycopg

from muniment.adapters.postgres import Connection, Connections, expires, in_our_words, is_gone
from muniment.domain.errors import StorageError

SETTINGS: Final = b"""
SET lock_timeout = 0; SET statement_timeout = 0;
SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'
"""
"""Whoever waits, waits until it is free; whoever has it may be silent, but not be gone."""
TAKE: Final = b"SELECT pg_advisory_lock(hashtextextended('muniment.deleting.' || %s::text, 0))"
LET_GO: Final = b"SELECT pg_advisory_unlock(hashtextextended('muniment.deleting.' || %s::text, 0))"
TRY: Final = b"SELECT pg_try_advisory_xact_lock_shared(hashtextextended('muniment.deleting.' || %s::text, 0))"
"""Outside of a transaction: let go of at once."""


@contextmanager
def turn(connections: Connections) -> Iterator[Callable[[], None]]:
    """Have a session of its own that holds the lock."""
    with closing(_taken(connections)) as connection:
        try:
            yield lambda: _require(connection)
        finally:
            _let_go(connection, connections.address.schema)


def is_taken(connections: Connections) -> bool:
    """Whether a session holds the lock."""
    schema = connections.address.schema
    return connections.read(lambda connection: connection.execute(TRY, (schema,)).fetchall()) == [(False,)]


def _taken(connections: Connections) -> Connection:
    """Take the lock; a server that went away is waited for."""
    again = expires()
    while True:
        connection = None
        try:
            connection = connections.apart()
            connection.execute(SETTINGS)
            connection.execute(TAKE, (connections.address.schema,))
        except BaseException as error:
            gone = is_gone(error, connection)
            if connection is not None:
                connection.close()
            if gone and again():
                continue
            if isinstance(error, psycopg.Error):
                raise in_our_words(connections.what, error) from error
            raise
        return connection


def _let_go(connection: Connection, schema: str) -> None:
    """Let go of the lock here, since a server hears of the end of a session only some time later."""
    with suppress(psycopg.Error):  # a session that was lost holds nothing any more
        connection.execute(LET_GO, (schema,))


def _require(connection: Connection) -> None:
    """StorageError if the session is lost, and with it the lock."""
    try:
        connection.execute(b"SELECT 1")
    except psycopg.Error as error:
        msg = "the session that kept others from deleting was lost, so nobody can say what they did — collect again"
        raise StorageError(msg) from error
