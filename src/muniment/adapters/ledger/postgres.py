"""The ledger in PostgreSQL: events, leaves, rows of the projections, answers to commands, scratch rows.

Who writes holds the row of the head, so ``seq`` is dense and in commit order, for any number of processes and
machines. What happens when the server goes away is in ``postgres_batch``.
"""

# ruff: noqa: S608 - the SQL is made of our own names; every value is a parameter

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import Any, TypeVar

from attrs import define, field

from muniment.adapters.ledger import beside, forking
from muniment.adapters.ledger.batching import GroupCommit, Waiting
from muniment.adapters.ledger.cargo import COMMANDS, SCRATCH, Cargo, left, paired, require_rows, unload
from muniment.adapters.ledger.codec import Codec
from muniment.adapters.ledger.core import Core, OpenTransaction, guarded
from muniment.adapters.ledger.postgres_batch import Batches
from muniment.adapters.ledger.postgres_desk import (
    MakeViews,
    PostgresDesk,
    PostgresScratch,
    read_tip,
    records,
    stream_records,
)
from muniment.adapters.ledger.postgres_pages import in_postgres
from muniment.adapters.ledger.postgres_projected import PostgresProjected
from muniment.adapters.ledger.postgres_schema import PostgresRows, check_schema, open_tables
from muniment.adapters.ledger.postgres_turn import is_taken, turn
from muniment.adapters.ledger.projecting import SqlProjections
from muniment.adapters.ledger.record import END, Record, leaf_content, recorded, whole
from muniment.adapters.ledger.refolding import NEAR, Fresh, MadeRows
from muniment.adapters.ledger.tiles import ALL as ALL_TILES
from muniment.adapters.ledger.verify import check_pages, check_rows, root_of
from muniment.adapters.postgres import Address, Connections, Cursor, storage_errors
from muniment.domain.errors import CorruptError, StorageError
from muniment.domain.ports import Command, Decide, Engine, Fold, Head, Receipt, Recorded, Scratch, Views
from muniment.domain.proof import LeafContent
from muniment.domain.rows import ROWS, Change, Row
from muniment.domain.turn import Turn
from muniment.domain.values import Micros, StreamId

S = TypeVar("S")
SCHEMA = "muniment"
WHAT = "the ledger in PostgreSQL"


@define(eq=False)
class PostgresLedger:
    """The ledger of one store, in one schema, for any number of threads, processes and machines."""

    address: Address
    core: Core
    rows: PostgresRows
    made_rows: MadeRows
    make_views: MakeViews
    origin: str = ""
    spread_from: int = beside.ENOUGH
    _connections: Connections = field(init=False)
    _batches: Batches = field(init=False)
    _group: GroupCommit = field(init=False)

    @classmethod
    def at_url(
        cls,
        url: str,
        rows: PostgresRows,
        made_rows: MadeRows,
        make_views: MakeViews,
        folds: Sequence[Fold],
        clock: Callable[[], Micros],
        codec: Codec | None = None,
    ) -> PostgresLedger:
        """Open the ledger at this URL, or make it."""
        ledger = cls(Address.parse(url, SCHEMA), Core(codec or Codec(), folds, clock), rows, made_rows, make_views)
        try:
            with storage_errors(WHAT):
                ledger.origin = open_tables(ledger._connections, rows, ledger._remake)
        except BaseException:
            ledger.close()
            raise
        forking.watch(ledger)
        return ledger

    def __attrs_post_init__(self) -> None:
        self._connections = Connections(self.address, WHAT)
        self._batches = Batches(self._connections, self.core, self.rows, self.make_views)
        self._group = GroupCommit(self._run_batch)

    # --- writing -----------------------------------------------------------------------------------------------------

    def transact(self, command: Command, decide: Decide) -> Receipt:
        """Decide and append."""
        receipt: Receipt = self._group.submit(lambda desk: self.core.transact(desk, command, decide))
        return receipt

    def work(self, act: Callable[[OpenTransaction], S]) -> S:
        """Change scratch rows under the write lock, without events."""
        done: S = self._group.submit(lambda desk: self.core.work(desk, act))
        return done

    def rebuild(self) -> int:
        """Make all rows again from the events beside those in use; return how many events were folded."""

        def take_place(desk: PostgresDesk, fresh: Fresh) -> int:
            desk.cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            fresh.fold(records(asking(desk.cursor), fresh.position, None), noting=True)
            fresh.replace(self.rows, desk.cursor)
            return fresh.position

        with Fresh.begun(self.made_rows, ROWS, self.core.changes) as fresh:
            with self.moment() as cursor:
                fresh.fold(records(asking(cursor), 0, None))
                fresh.compare(self.rows, cursor)
            while (size := self.head().size) - fresh.position > NEAR:
                fresh.fold(records(self._ask, fresh.position, size), noting=True)
            folded: int = self._group.submit(lambda desk: guarded(desk, lambda: take_place(desk, fresh)))
            return folded

    def alone(self) -> Turn:
        """Be the only one who deletes blobs, on whichever machine."""
        return turn(self._connections)

    def deleting(self) -> bool:
        """Whether somebody deletes blobs at this moment, on whichever machine."""
        return is_taken(self._connections)

    @property
    def projections(self) -> SqlProjections:
        """The batched projections."""
        database = PostgresProjected(self._connections, self.moment, self._ask)
        return SqlProjections(database, self.core.codec, self.rows, self.made_rows)

    @contextmanager
    def cargo(self) -> Iterator[Cargo]:
        """Look at all that the ledger holds, as of one moment, for carrying it elsewhere."""
        with self.moment() as cursor, self.moment(cursor) as other:

            def rows(statement: str) -> Iterator[tuple[Any, ...]]:
                yield from other.stream(statement.encode())

            yield Cargo(
                origin=str(asking(cursor)("SELECT origin FROM ledger_head", ())[0][0]),
                tip=read_tip(cursor),
                events=lambda: paired(
                    records(asking(cursor), 0, None),
                    (leaf for (leaf,) in rows("SELECT hash FROM leaves ORDER BY seq")),
                ),
                commands=lambda: rows(f"SELECT {COMMANDS} FROM commands"),
                scratch=lambda: rows(f"SELECT {SCRATCH} FROM scratch"),
                dump=lambda: self.rows.dump(cursor),
            )

    def adopt(self, cargo: Cargo) -> None:
        """Become, being empty, the ledger that the cargo is of; all of it in one transaction."""

        def adopt(desk: PostgresDesk) -> None:
            cursor = desk.cursor
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            unload(cargo, desk)
            for table, columns, rows in (("commands", COMMANDS, cargo.commands), ("scratch", SCRATCH, cargo.scratch)):
                with cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy, left(rows()) as found:
                    for row in found:
                        copy.write_row(row)
            with self._made(asking(cursor)) as made:
                self.rows.fill(cursor, made)
            require_rows(cargo, self.rows.dump(cursor))
            cursor.execute("UPDATE ledger_head SET origin = %s", (cargo.origin,))

        self._group.submit(lambda desk: guarded(desk, lambda: adopt(desk)))
        self.origin = cargo.origin

    def is_unused(self) -> bool:
        """Whether nothing was ever recorded here."""
        used = "SELECT 1 FROM events UNION ALL SELECT 1 FROM commands UNION ALL SELECT 1 FROM scratch LIMIT 1"
        return not self._ask(used, ())

    def _run_batch(self, batch: Sequence[Waiting]) -> None:
        self._batches.run(batch)

    def _remake(self, cursor: Cursor, names: Collection[str], kinds: Sequence[type[Row]]) -> None:
        """Make tables of rows again: inline rows from the events, batched projections begin again at nothing.

        The old tables go last, for whoever reads them waits from then on.
        """
        inline = [kind for kind in kinds if kind.table.projection is None]
        batched = sorted({kind.table.projection for kind in kinds if kind.table.projection})
        for table, column in (("projections", "name"), ("parked", "projection")):
            cursor.execute(f"DELETE FROM {table} WHERE {column} = ANY(%s::text[])".encode(), (batched,))
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        with self._made(asking(cursor)) if inline else nullcontext() as made:
            self.rows.drop(cursor, names)
            if kinds:
                self.rows.create(cursor, kinds)
            self.rows.fill(cursor, made, inline)

    @contextmanager
    def _made(self, ask: Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]) -> Iterator[sqlite3.Cursor]:
        """Fold all events that *ask* tells of into rows in a passing database."""
        with closing(sqlite3.connect("", isolation_level=None)) as passing:
            cursor = passing.cursor()
            self.made_rows.create(cursor)
            cursor.execute("BEGIN")
            self.fold(cursor, records(ask, 0, None))
            yield cursor

    def fold(self, cursor: sqlite3.Cursor, events: Iterator[Record]) -> None:
        """Apply what the projections make of events to rows in a passing database."""
        sheet = _Passing(cursor, self.made_rows)
        for record in events:
            self.core.refold(sheet, record)

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def views(self) -> Views:
        """The committed rows."""
        return self.make_views(self._ask)

    @property
    def scratch(self) -> Scratch:
        """The committed scratch rows."""
        return PostgresScratch(self._ask, self.core.clock)

    def head(self) -> Head:
        """Return size and root as committed now."""
        tip = self._connections.read(lambda connection: read_tip(connection.cursor()))
        return Head(tip.frontier.size, tip.frontier.root(), tip.recorded_at)

    def engine(self) -> Engine:
        """Return what keeps the ledger."""
        ask = "SELECT current_setting('server_version'), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        version, now = self._connections.read(lambda connection: connection.execute(ask.encode()).fetchall())[0]
        return Engine(f"PostgreSQL {version.split()[0]}", now)

    def root(self, size: int) -> bytes:
        """Return the root of the tree over the first *size* leaves."""
        return root_of(self._leaves(min(size, END)), size)

    def _leaves(self, size: int) -> Iterator[bytes]:
        after = 0
        while page := self._ask(
            "SELECT seq, hash FROM leaves WHERE seq > %s AND seq <= %s ORDER BY seq LIMIT 10000", (after, size)
        ):
            yield from (row[1] for row in page)
            after = page[-1][0]

    def subtrees(self, level: int, first: int, last: int) -> Sequence[bytes]:
        """Return the hashes of complete subtrees."""
        statement = "SELECT hash FROM leaves WHERE seq > %s AND seq <= %s ORDER BY seq"
        place: tuple[int, ...] = (first, last)
        if level:
            statement = "SELECT hash FROM tiles WHERE level = %s AND number >= %s AND number < %s ORDER BY number"
            place = (level, first, last)
        return [row[0] for row in self._ask(statement, place)]

    def leaf(self, seq: int) -> LeafContent:
        """Return what one leaf stands for."""
        return leaf_content(records(self._ask, seq - 1, seq), seq)

    def read(
        self, *, after: int = 0, until: int | None = None, stream: StreamId | None = None, limit: int | None = None
    ) -> Iterator[Recorded]:
        """Yield events in the order of ``seq``."""
        found = (
            records(self._ask, after, until, limit)
            if stream is None
            else stream_records(self._ask, stream, after, until, limit)
        )
        for record in found:
            yield recorded(whole(record), self.core.codec)

    def at(self, moment: Micros) -> int:
        """Return the ``seq`` of the last event recorded at or before *moment* (0: none)."""
        low, high = 0, self.head().size
        while low < high:
            middle = (low + high + 1) // 2
            rows = self._ask("SELECT recorded_at FROM events WHERE seq = %s", (middle,))
            if not rows:
                msg = f"the ledger is damaged (event {middle} is missing) — run `muniment fsck`"
                raise CorruptError(msg)
            low, high = (middle, high) if rows[0][0] <= moment else (low, middle - 1)
        return low

    def dump(self) -> Iterator[bytes]:
        """Yield every row of every projection in a canonical form."""
        with self.moment() as cursor:
            yield from self.rows.dump(cursor)

    def verify(self) -> Iterator[str]:
        """Check events against leaves, leaves against the head, rows against a fresh fold."""
        try:
            with self.moment() as cursor, self.moment(cursor) as other:
                yield from check_schema(cursor)
                yield from self._check_events(cursor)
                with self._made(asking(cursor)) as made, left(self.rows.dump(other)) as live:
                    yield from check_rows(live, self.made_rows.dump(made))
        except StorageError as error:
            yield str(error)

    def _check_events(self, cursor: Cursor) -> Iterator[str]:
        pages, tip = in_postgres(cursor), read_tip(cursor)
        job = beside.Job(size=tip.frontier.size, conninfo=self.address.conninfo, schema=self.address.schema)
        with beside.looks(pages, job, beside.processes(job.size, self.spread_from)) as looks:
            yield from check_pages(pages, tip, looks, lambda: cursor.execute(ALL_TILES.encode()).fetchall())

    @contextmanager
    def moment(self, same: Cursor | None = None) -> Iterator[Cursor]:
        """Look at one moment for as long as it takes, or at the same one as somebody else does."""
        with storage_errors(WHAT), closing(self._connections.apart()) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if same is not None:
                ((snapshot,),) = same.connection.execute("SELECT pg_export_snapshot()").fetchall()
                cursor.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'".encode())
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield cursor

    def _ask(self, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._connections.read(lambda connection: connection.execute(statement.encode(), parameters).fetchall())

    # --- the process -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of connections."""
        self._connections.close()

    def before_fork(self) -> None:
        """Wait until nothing is being written."""
        self._group.pause()
        self._connections.before_fork()

    def after_fork(self, *, child: bool) -> None:
        """Go on; a child begins with connections of its own and with no work that others wait for."""
        self._connections.after_fork(child=child)
        self._group.resume()
        if child:
            self._group = GroupCommit(self._run_batch)


@define
class _Passing:
    """Rows in a passing database."""

    _cursor: sqlite3.Cursor
    _rows: MadeRows

    def apply(self, changes: Sequence[Change], seq: int) -> None:
        self._rows.apply(self._cursor, changes, seq)


def asking(cursor: Cursor) -> Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return how to ask through this cursor."""
    return lambda statement, parameters: cursor.execute(statement.encode(), parameters).fetchall()
