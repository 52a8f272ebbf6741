"""The ledger in one SQLite file: events, leaves, rows of the projections, answers to commands, scratch rows."""

# ruff: noqa: S608 - the SQL is made of our own names; every value is a parameter

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field
from eventsourcing.sqlite import SQLiteDatastore

from muniment.adapters.ledger import beside, forking, schema
from muniment.adapters.ledger.batching import TURN, GroupCommit, Waiting, is_taken, turn
from muniment.adapters.ledger.cargo import COMMANDS, SCRATCH, Cargo, paired, require_rows, unload
from muniment.adapters.ledger.codec import Codec
from muniment.adapters.ledger.core import COMMANDS_KEPT, Core, Only, OpenTransaction, Sheet, Tip, guarded
from muniment.adapters.ledger.pages import in_sqlite
from muniment.adapters.ledger.projecting import SqlProjections
from muniment.adapters.ledger.record import END, leaf_content, recorded, whole
from muniment.adapters.ledger.recorder import TABLE, LedgerRecorder
from muniment.adapters.ledger.refolding import NEAR, Fresh, Kinds
from muniment.adapters.ledger.sqlite_desk import (
    MakeViews,
    SqliteDesk,
    SqliteScratch,
    SqlRows,
    leaf_hashes,
    read_tip,
    records,
    stream_records,
    tile_hashes,
    write_tip,
)
from muniment.adapters.ledger.sqlite_errors import damaged, storage_errors
from muniment.adapters.ledger.sqlite_file import LedgerFile, check_schema, number_of
from muniment.adapters.ledger.sqlite_projected import SqliteProjected
from muniment.adapters.ledger.tiles import ALL as ALL_TILES
from muniment.adapters.ledger.verify import check_pages, check_rows, root_of
from muniment.domain.errors import StorageError
from muniment.domain.merkle import Frontier
from muniment.domain.ports import Command, Decide, Engine, Fold, Head, Receipt, Recorded, Scratch, Views
from muniment.domain.proof import LeafContent
from muniment.domain.rows import ROWS
from muniment.domain.turn import Turn
from muniment.domain.values import Micros, StreamId

S = TypeVar("S")


@define(eq=False)
class SqliteLedger:
    """The ledger of one store, in one file, for any number of threads and processes."""

    path: Path
    core: Core
    rows: SqlRows
    make_views: MakeViews
    recorder: LedgerRecorder
    origin: str = ""
    spread_from: int = beside.ENOUGH
    _file: LedgerFile = field(init=False)
    _group: GroupCommit = field(init=False)

    @classmethod
    def in_file(
        cls,
        path: Path,
        rows: SqlRows,
        make_views: MakeViews,
        folds: Sequence[Fold],
        clock: Callable[[], Micros],
        codec: Codec | None = None,
    ) -> SqliteLedger:
        """Open the ledger in this file, or make it."""
        recorder = LedgerRecorder(SQLiteDatastore(str(path), originator_id_type="text"), TABLE)
        ledger = cls(path, Core(codec or Codec(), folds, clock), rows, make_views, recorder)
        with storage_errors():
            try:
                ledger.origin = ledger._file.open(rows, ledger._remake)
            except BaseException:
                ledger.close()
                raise
        forking.watch(ledger)
        return ledger

    def __attrs_post_init__(self) -> None:
        self._file = LedgerFile(self.path)
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

        def take_place(desk: SqliteDesk, fresh: Fresh) -> int:
            fresh.fold(records(desk.cursor, fresh.position, None), noting=True)
            fresh.replace(self.rows, desk.cursor)
            return fresh.position

        with Fresh.begun(self.rows, ROWS, self.core.changes) as fresh:
            with storage_errors(), self._file.apart() as cursor:
                cursor.execute("BEGIN")
                fresh.fold(records(cursor, 0, None))
                fresh.compare(self.rows, cursor)
            while (size := self.head().size) - fresh.position > NEAR:
                with storage_errors():
                    fresh.fold(records(self._reading(), fresh.position, size), noting=True)
            folded: int = self._group.submit(lambda desk: guarded(desk, lambda: take_place(desk, fresh)))
            return folded

    def alone(self) -> Turn:
        """Be the only one who deletes blobs."""
        return turn(self.path.with_suffix(TURN))

    def deleting(self) -> bool:
        """Whether somebody deletes blobs at this moment."""
        return is_taken(self.path.with_suffix(TURN))

    @property
    def projections(self) -> SqlProjections:
        """The batched projections, whose rows are changed under the write lock too."""
        database = SqliteProjected(self._group.submit, self._reading, self._file.apart)
        return SqlProjections(database, self.core.codec, self.rows, self.rows)

    def _refold(self, cursor: sqlite3.Cursor, desk: Sheet) -> int:
        folded = 0
        for folded, record in enumerate(records(cursor, 0, None), 1):  # noqa: B007 (the count is wanted)
            self.core.refold(desk, record)
        return folded

    def _remake(self, cursor: sqlite3.Cursor, names: Collection[str], kinds: Kinds) -> None:
        """Make tables of rows again: inline rows from the events, batched projections begin again at nothing."""
        self.rows.drop(cursor, names)
        self.rows.create(cursor, kinds)
        for name in {kind.table.projection for kind in kinds} - {None}:
            cursor.execute("DELETE FROM projections WHERE name = ?", (name,))
            cursor.execute("DELETE FROM parked WHERE projection = ?", (name,))
        inline = frozenset(kind for kind in kinds if kind.table.projection is None)
        if inline:
            self._refold(cursor, Only(self._desk(cursor, read_tip(cursor)), inline))

    @contextmanager
    def cargo(self) -> Iterator[Cargo]:
        """Look at all that the ledger holds, as of one moment, for carrying it elsewhere."""
        with storage_errors(), self._file.apart() as cursor:
            cursor.execute("BEGIN")

            def rows(statement: str) -> Iterator[tuple[Any, ...]]:
                return iter(cursor.connection.execute(statement))

            yield Cargo(
                origin=str(next(rows("SELECT origin FROM head"))[0]),
                tip=read_tip(cursor),
                events=lambda: paired(
                    records(cursor, 0, None), (leaf for (leaf,) in rows("SELECT hash FROM leaves ORDER BY seq"))
                ),
                commands=lambda: rows(f"SELECT {COMMANDS} FROM commands"),
                scratch=lambda: rows(f"SELECT {SCRATCH} FROM scratch"),
                dump=lambda: self.rows.dump(cursor.connection.cursor()),
            )

    def adopt(self, cargo: Cargo) -> None:
        """Become, being empty, the ledger that the cargo is of; all of it in one transaction."""

        def adopt(desk: SqliteDesk) -> None:
            cursor = self._file.writer().cursor()
            unload(cargo, desk)
            cursor.executemany(f"INSERT INTO commands ({COMMANDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", cargo.commands())
            cursor.executemany(f"INSERT INTO scratch ({SCRATCH}) VALUES (?, ?, ?, ?)", cargo.scratch())
            self._refold(cursor, desk)
            require_rows(cargo, self.rows.dump(cursor))
            cursor.execute("UPDATE head SET origin = ?", (cargo.origin,))

        self._group.submit(lambda desk: guarded(desk, lambda: adopt(desk)))
        self.origin = cargo.origin

    def is_unused(self) -> bool:
        """Whether nothing was ever recorded here."""
        with storage_errors():
            used = "SELECT 1 FROM events UNION ALL SELECT 1 FROM commands UNION ALL SELECT 1 FROM scratch LIMIT 1"
            return self._reading().execute(used).fetchone() is None

    def _run_batch(self, batch: Sequence[Waiting]) -> None:
        with storage_errors(), self._file.locked():
            connection = self._file.writer()
            cursor = connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                outcomes = self._attempt_all(batch, cursor)
                cursor.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
        for waiting, result, error in outcomes:
            waiting.finish(result, error)

    def _attempt_all(
        self, batch: Sequence[Waiting], cursor: sqlite3.Cursor
    ) -> list[tuple[Waiting, object, BaseException | None]]:
        schema.require_known(number_of(cursor))
        _forget(cursor, self.core.clock())
        desk = self._desk(cursor, read_tip(cursor))
        before, outcomes = desk.tip.frontier.size, []
        for waiting in batch:
            outcomes.append(_attempt(waiting, desk))
            if not cursor.connection.in_transaction:
                raise outcomes[-1][2] or StorageError("the database ended the transaction — try again")
        if desk.tip.frontier.size != before:
            write_tip(cursor, desk.tip)
        return outcomes

    def _desk(self, cursor: sqlite3.Cursor, tip: Tip) -> SqliteDesk:
        return SqliteDesk(
            cursor, tip, recorder=self.recorder, rows=self.rows, make_views=self.make_views, clock=self.core.clock
        )

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def views(self) -> Views:
        """The committed rows."""
        return self.make_views(self._reading)

    @property
    def scratch(self) -> Scratch:
        """The committed scratch rows."""
        return SqliteScratch(self._reading, self.core.clock)

    def head(self) -> Head:
        """Return size and root as committed now."""
        with storage_errors():
            tip = read_tip(self._reading())
        return Head(tip.frontier.size, tip.frontier.root(), tip.recorded_at)

    def engine(self) -> Engine:
        """Return what keeps the ledger."""
        return Engine(f"SQLite {sqlite3.sqlite_version}")

    def root(self, size: int) -> bytes:
        """Return the root of the tree over the first *size* leaves."""
        with storage_errors():
            rows = self._reading().execute("SELECT hash FROM leaves WHERE seq <= ? ORDER BY seq", (min(size, END),))
            return root_of((row[0] for row in rows), size)

    def subtrees(self, level: int, first: int, last: int) -> Sequence[bytes]:
        """Return the hashes of complete subtrees."""
        with storage_errors():
            cursor = self._reading()
            return tile_hashes(cursor, level, first, last) if level else leaf_hashes(cursor, first, last)

    def leaf(self, seq: int) -> LeafContent:
        """Return what one leaf stands for."""
        with storage_errors():
            return leaf_content(records(self._reading(), seq - 1, seq), seq)

    def read(
        self, *, after: int = 0, until: int | None = None, stream: StreamId | None = None, limit: int | None = None
    ) -> Iterator[Recorded]:
        """Yield events in the order of ``seq``."""
        with storage_errors():
            cursor = self._reading()
            found = (
                records(cursor, after, until, limit)
                if stream is None
                else stream_records(cursor, stream, after, until, limit)
            )
            for record in found:
                yield recorded(whole(record), self.core.codec)

    def at(self, moment: Micros) -> int:
        """Return the ``seq`` of the last event recorded at or before *moment* (0: none)."""
        low, high = 0, self.head().size
        with storage_errors():
            cursor = self._reading()
            while low < high:
                middle = (low + high + 1) // 2
                row = cursor.execute("SELECT recorded_at FROM events WHERE rowid = ?", (middle,)).fetchone()
                if row is None:
                    what = f"event {middle} is missing"
                    raise damaged(what)
                low, high = (middle, high) if row[0] <= moment else (low, middle - 1)
        return low

    def dump(self) -> Iterator[bytes]:
        """Yield every row of every projection in a canonical form."""
        with storage_errors():
            yield from self.rows.dump(self._reading())

    def verify(self) -> Iterator[str]:
        """Check the file, events against leaves, leaves against the head, rows against a fresh fold."""
        try:
            with storage_errors(), self._file.apart() as cursor:
                cursor.execute("BEGIN")
                for row in cursor.execute("PRAGMA integrity_check").fetchall():
                    if row[0] != "ok":
                        yield f"the ledger file is damaged: {row[0]}"
                yield from check_schema(cursor, self.rows)
                yield from self._check_events(cursor)
                yield from self._check_rows(cursor)
        except StorageError as error:
            yield str(error)

    def _check_events(self, cursor: sqlite3.Cursor) -> Iterator[str]:
        pages, tip, tiles = in_sqlite(cursor), read_tip(cursor), cursor.connection.cursor()
        job = beside.Job(size=tip.frontier.size, file=str(self.path.absolute()))
        with beside.looks(pages, job, beside.processes(job.size, self.spread_from)) as looks:
            yield from check_pages(pages, tip, looks, lambda: tiles.execute(ALL_TILES))

    def _check_rows(self, cursor: sqlite3.Cursor) -> Iterator[str]:
        fresh = sqlite3.connect("", isolation_level=None)
        try:
            scratchpad = fresh.cursor()
            self.rows.create(scratchpad)
            scratchpad.execute("BEGIN")
            self._refold(cursor, self._desk(scratchpad, Tip(Frontier(), 0)))
            yield from check_rows(self.rows.dump(cursor), self.rows.dump(scratchpad))
        finally:
            fresh.close()

    def _reading(self) -> sqlite3.Cursor:
        with storage_errors():
            return self._file.reader()

    # --- the process -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of files and connections."""
        self._file.close()
        self.recorder.datastore.close()

    def before_fork(self) -> None:
        """Wait until nothing is being written or read."""
        self._group.pause()
        self._file.pause()

    def after_fork(self, *, child: bool) -> None:
        """Go on; a child begins with connections of its own and with no work that others wait for."""
        self._file.resume()
        self._group.resume()
        if child:
            self._file.close()
            self._group = GroupCommit(self._run_batch)


def _forget(cursor: sqlite3.Cursor, now: Micros) -> None:
    """Remove answers to commands and scratch rows whose time is over."""
    cursor.execute("DELETE FROM commands WHERE kept_at < ?", (now - COMMANDS_KEPT,))
    cursor.execute("DELETE FROM scratch WHERE expires_at <= ?", (now,))


def _attempt(waiting: Waiting, desk: SqliteDesk) -> tuple[Waiting, object, BaseException | None]:
    try:
        with storage_errors():
            return waiting, waiting.run(desk), None
    except BaseException as error:  # noqa: BLE001 (it is raised again where the work was handed in)
        return waiting, None, error
