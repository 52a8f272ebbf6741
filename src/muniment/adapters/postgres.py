"""How Muniment talks to a PostgreSQL server: where it is, connections to it, and its errors in our words.

Nothing here is pipelined, and no message holds what is secret in a URL.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from random import SystemRandom
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from attrs import define, field, frozen
from psycopg import errors as pg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo
from psycopg.types.numeric import Int8Dumper

from muniment.domain.errors import CorruptError, InvalidValueError, StorageError, StorageFullError
from muniment.domain.values import Residual

T = TypeVar("T")
Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]

OLDEST: Final = 130000
"""PostgreSQL 13: the first that tells what became of a transaction by its 64-bit id."""
PATIENCE: Final = 60.0
"""For how many seconds a server that went away is waited for, and how long a lock."""
LONGEST_PAUSE: Final = 1.0
DEFAULTS: Final = {
    "application_name": "muniment",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "tcp_user_timeout": "60000",
}
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_NAME: Final = re.compile(r"[A-Za-z_]{1,40}")
_OURS: Final = {"schema", "ssl"}
"""Settings of a URL that are no words of libpq: ours, and the one that libpq reads for Java's sake."""
_WAIT_TEXTS: Final = ("starting up", "shutting down", "not yet accepting", "recovery mode", "too many clients")
_GONE: Final = (
    pg.OperationalError,
    pg.InterfaceError,
    pg.IdleInTransactionSessionTimeout,
)
_AGAIN: Final = (pg.SerializationFailure, pg.DeadlockDetected)
_FULL: Final = (pg.DiskFull,)
_DAMAGED: Final = (pg.DataCorrupted, pg.IndexCorrupted)
_FORBIDDEN: Final = (pg.InsufficientPrivilege, pg.ReadOnlySqlTransaction)
_ABSENT: Final = (pg.UndefinedTable, pg.UndefinedColumn, pg.InvalidSchemaName)
_TAKEN: Final = (pg.DuplicateTable, pg.DuplicateObject)


class _Session(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed with whoever had it; in a forked child it is only forgotten."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 (what psycopg gives)
        self._made_in = os.getpid()
        super().__init__(*arguments, **settings)

    def __del__(self, *_: object) -> None:
        if not self.closed and self._made_in == os.getpid():
            self.close()


@frozen
class Address:
    """Where in which database something is kept; ``shown`` is what may be printed."""

    conninfo: str = field(repr=False)
    schema: str
    shown: str

    @classmethod
    def parse(cls, url: str, schema: str) -> Address:
        """Read ``postgresql://…``; its parameter ``schema`` is ours and wins over the *schema* given."""
        try:
            parts = urlsplit(url)
            _check_signs(url, parts)
            asked = parse_qsl(parts.query, keep_blank_values=True)
            _check_settings(asked)
            schema = dict(asked).get("schema", schema)
            kept = urlencode([(name, value) for name, value in asked if name != "schema"], quote_via=quote)
            conninfo = urlunsplit((parts.scheme, parts.netloc, parts.path, kept, ""))
            if not parts.netloc and not conninfo.startswith(f"{parts.scheme}://"):
                conninfo = f"{parts.scheme}://{conninfo.removeprefix(f'{parts.scheme}:')}"
            known = conninfo_to_dict(conninfo)
            list(map(int, filter(None, str(known.get("port") or "").split(","))))
        except _SettingError as error:
            raise InvalidValueError(str(error)) from None
        except (ValueError, psycopg.Error):
            msg = (
                "the URL of PostgreSQL cannot be read — write postgresql://user@host:5432/database, "
                "and signs such as @ / ? # in a password as %40 %2F %3F %23"
            )
            raise InvalidValueError(msg) from None  # the cause may quote the password
        if not _SCHEMA.fullmatch(schema):
            msg = f"{schema!r} cannot name a schema — use small letters, digits and _ after ?schema="
            raise InvalidValueError(msg)
        where = known.get("host") or "the local socket"
        return cls(conninfo, schema, f"{known.get('dbname') or 'the default database'} on {where}, schema {schema}")

    def connect(self) -> Connection:
        """Open a connection that commits each statement by itself until a transaction begins."""
        given = conninfo_to_dict(self.conninfo)
        wanted: dict[str, Any] = {name: value for name, value in DEFAULTS.items() if name not in given}
        connection = _Session.connect(self.conninfo, autocommit=True, **wanted)
        try:
            for kind in (int, bool):
                connection.adapters.register_dumper(kind, Int8Dumper)  # one type, so that one plan fits
            connection.execute(_session(self.schema).encode())
        except BaseException:
            connection.close()
            raise
        return connection

    def connect_first(self) -> Connection:
        """Connect for the first time: a server that is starting is waited for, one that refuses us is not."""
        again = expires()
        while True:
            try:
                return self.connect()
            except psycopg.OperationalError as error:
                if not (any(text in str(error) for text in _WAIT_TEXTS) and again()):
                    raise


def _check_signs(url: str, parts: SplitResult) -> None:
    """Refuse what splits a password in the wrong place: its pieces would turn up as host or port in messages."""
    if url.partition("?")[0].count("@") > 1 or "@" in parts.path or parts.fragment:
        raise ValueError


class _SettingError(ValueError):
    """A setting after the ``?`` of a URL is wrong; the text names it, and no value."""


def _check_settings(asked: Sequence[tuple[str, str]]) -> None:
    """Refuse settings that nobody knows, and those that are named twice: the last one would win without a word.

    Where a name may be a piece of a password, nothing is named: then the URL as a whole cannot be read.
    """
    names = [name for name, _ in asked]
    if not all(map(_NAME.fullmatch, names)) or any("@" in value for _, value in asked):
        raise ValueError
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} | _OURS
    for name in names:
        if name not in known:
            msg = (
                f"the URL of PostgreSQL has an unknown setting {name!r} — write "
                "postgresql://user@host:5432/database?schema=name, and beside it only what libpq knows"
            )
            raise _SettingError(msg)
        if names.count(name) > 1:
            msg = f"the URL of PostgreSQL has the setting {name!r} more than once — leave one of them"
            raise _SettingError(msg)


def _session(schema: str) -> str:
    patience = int(PATIENCE * 1000)
    return (
        f'SET search_path = "{schema}"; SET client_encoding = utf8; SET jit = off; SET enable_seqscan = off; '
        f"SET lock_timeout = {patience}; SET idle_in_transaction_session_timeout = {patience}; "
        "SET default_transaction_isolation = 'read committed'; "
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )


def is_gone(error: BaseException, connection: Connection | None) -> bool:
    """Whether the server ended the session, so that another one may do better."""
    if isinstance(error, (pg.AdminShutdown, pg.CrashShutdown, pg.CannotConnectNow, pg.IdleInTransactionSessionTimeout)):
        return True
    return isinstance(error, _GONE) and (connection is None or connection.closed)


def may_go_better(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is done once more: nothing of it was kept."""
    return isinstance(error, _AGAIN)


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn what the server and its library raise into errors of ours; the cause keeps the original."""
    try:
        yield
    except psycopg.Error as error:
        raise in_our_words(what, error) from error


def in_our_words(what: str, error: psycopg.Error) -> StorageError:
    """Return the error of our tree for one of the server's."""
    said = _said(error)
    if isinstance(error, _FULL):
        return StorageFullError(f"no space is left on the server of {what} — free some there and try again")
    if isinstance(error, pg.LockNotAvailable):
        return StorageError(f"another program kept {what} locked for {PATIENCE:.0f} s — end it and try again")
    if isinstance(error, _FORBIDDEN):
        return StorageError(f"{what} cannot be written ({said}) — grant the right, or name the primary server")
    if isinstance(error, _TAKEN):
        return StorageError(
            f"the schema of {what} holds something else ({said}) — name another or an empty one by ?schema="
        )
    if isinstance(error, _ABSENT):
        return CorruptError(f"{what} is damaged ({said}) — restore it from its backup")
    if isinstance(error, _DAMAGED):
        return CorruptError(f"the server finds {what} damaged ({said}) — restore it from its backup")
    if isinstance(error, pg.OperationalError | pg.InterfaceError) and (error.sqlstate or "08")[:2] in {
        "08",
        "53",
        "57",
    }:
        return StorageError(f"{what} cannot be reached ({said}) — start its server, or check the URL, and try again")
    return StorageError(f"the server of {what} refused a statement ({said}) — see its log")


def _said(error: psycopg.Error) -> str:
    """Return what the server said, on one line; never the values of a statement, which stand in the details."""
    text = error.diag.message_primary or str(error) or type(error).__name__
    return text.strip().splitlines()[-1].strip()


def expires(patience: float | None = None) -> Callable[[], bool]:
    """Return a function that pauses, each time longer, and says whether there is time for another try."""
    end = time.monotonic() + (PATIENCE if patience is None else patience)
    tries = 0

    def again() -> bool:
        nonlocal tries
        left = end - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, SystemRandom().uniform(0, min(LONGEST_PAUSE, 0.02 * 2**tries))))
        tries = min(tries + 1, 10)
        return True

    return again


def check_server(connection: Connection) -> None:
    """Refuse a server that is too old, and a database that cannot hold every text."""
    if connection.info.server_version < OLDEST:
        msg = f"the server is PostgreSQL {connection.info.server_version // 10000} — Muniment needs 13 or newer"
        raise StorageError(msg)
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        msg = f"the database is encoded in {encoding} — make one with ENCODING 'UTF8' TEMPLATE template0"
        raise StorageError(msg)


@contextmanager
def one_at_a_time(connection: Connection, schema: str) -> Iterator[Cursor]:
    """Hold a transaction in which nobody else makes or changes tables in this schema."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('muniment.' || %s::text, 0))", (schema,))
        yield cursor


def has_schema(cursor: Connection | Cursor, schema: str) -> bool:
    """Whether the schema is there; a role that may not make one can be given one.

    One that the role may not look into is StorageError: what is in it seems not to be there.
    """
    usable = "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %s::text"
    found = cursor.execute(usable, (schema,)).fetchall()
    if found == [(False,)]:
        msg = f"the role may not use the schema {schema} — grant it USAGE, or name another schema by ?schema="
        raise StorageError(msg)
    return bool(found)


@define(eq=False)
class Connections:
    """Connections to one place: one for each thread, which ends with it. None of them is used across a fork."""

    address: Address
    what: str
    _known: bool = False
    _open: dict[threading.Thread, Connection] = field(factory=dict)
    _lock: threading.RLock = field(factory=threading.RLock)

    def mine(self) -> Connection:
        """Return this thread's connection, a new one if the last was lost; ``psycopg.Error`` if there can be none."""
        thread = threading.current_thread()
        connection = self._open.get(thread)
        if connection is None or connection.closed:
            with self._lock:
                self._close_those_of_ended_threads()
                connection = self._open[thread] = (
                    self.address.connect() if self._known else self.address.connect_first()
                )
                self._known = True
        return connection

    def read(self, ask: Callable[[Connection], T]) -> T:
        """Ask something that changes nothing; a server that went away meanwhile is waited for, and asked again."""
        return self.repeat(ask, lambda _: False)

    def repeat(self, act: Callable[[Connection], T], passing: Callable[[BaseException], bool]) -> T:
        """Do something that may be done twice, again where the server went away, or the error is a *passing* one."""
        again = expires()
        while True:
            connection = None
            try:
                connection = self.mine()
                return act(connection)
            except psycopg.Error as error:
                if not (((is_gone(error, connection) and self._known) or passing(error)) and again()):
                    raise in_our_words(self.what, error) from error

    def apart(self) -> Connection:
        """Open a connection that is nobody's; whoever asked closes it."""
        return self.address.connect()

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        with self._lock:
            connections, self._open = list(self._open.values()), {}
            for connection in connections:
                connection.close()

    def before_fork(self) -> None:
        """Let no thread open or close a connection."""
        self._lock.acquire()

    def after_fork(self, *, child: bool) -> None:
        """Go on; a child lets go of what it inherited without a word to the server, which still serves the parent."""
        self._lock.release()
        if not child:
            return
        self._lock = threading.RLock()
        inherited, self._open = [each for each in self._open.values() if not each.closed], {}
        for connection in inherited:
            os.close(connection.fileno())

    def _close_those_of_ended_threads(self) -> None:
        for thread in [thread for thread in self._open if not thread.is_alive()]:
            self._open.pop(thread).close()


@frozen
class PostgresTables:
    """The tables of one schema, which forget what was deleted from them."""

    address: Address

    def scrub(self) -> Iterator[Residual]:
        """Write each table anew from what it still holds; yield what only the server's operator can make forget."""
        try:
            with closing(self.address.connect_first()) as connection:
                statement = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename"
                names = [name for (name,) in connection.execute(statement, (self.address.schema,)).fetchall()]
                for name in (*map(_quoted, names), "pg_catalog.pg_statistic"):
                    yield from _rewritten(connection, name)
        except psycopg.Error as error:
            raise in_our_words(self.address.shown, error) from error
        yield Residual(
            "PostgreSQL's log (pg_wal), its archive and its replicas",
            "the server keeps what was written until it recycles its log and its archive expires",
        )


def tables(url: str, schema: str) -> PostgresTables:
    """Return the tables at a URL; *schema* is where they are unless the URL says another."""
    return PostgresTables(Address.parse(url, schema))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _rewritten(connection: Connection, name: str) -> Iterator[Residual]:
    try:
        connection.execute(f"VACUUM (FULL, ANALYZE) {name}".encode())
    except pg.LockNotAvailable:
        yield Residual(f"the table {name} of PostgreSQL", "another program was using it — do it again")
    except pg.InsufficientPrivilege:
        yield Residual(f"the table {name} of PostgreSQL", "only its owner may write it anew")
