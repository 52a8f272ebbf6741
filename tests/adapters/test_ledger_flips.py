"""A13: every byte of a ledger's file is flipped; what fsck does not notice is in the list of docs/security.md.

In CI every used byte of every page, elsewhere a few of each page. Most are noticed by the one check of fsck that is
about their table, which is asked first; whatever it lets pass is put before all of fsck.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import pytest
from attrs import define

from muniment.adapters.ledger.pages import in_sqlite
from muniment.adapters.ledger.sqlite_desk import read_tip
from muniment.adapters.ledger.sqlite_file import _objects
from muniment.adapters.ledger.tiles import ALL
from muniment.adapters.ledger.verify import check_pages
from muniment.adapters.views import sqlite as rows
from muniment.app.proving import checkpoints
from muniment.app.store import Store
from muniment.domain.checkpoint import Checkpoint, SignedNote
from muniment.domain.errors import MunimentError
from muniment.domain.rows import ROWS
from tests.acts import Acts
from tests.stores import Clock, sqlite_ledger, sqlite_store

PAGE: Final = 4096
COUNTER: Final = 24
HEADER: Final = 100
INNER: Final = frozenset([2, 5])
OUTER: Final = frozenset([10, 13])
"""The first bytes of pages of a tree that have others below them, and of those that have not."""
EACH: Final = PAGE if os.environ.get("CI") == "true" else 4
"""How many bytes of each page are flipped."""
IDLE_HEADER: Final = frozenset([*range(18, 24), *range(24, 28), *range(36, 56), *range(64, 100)])
"""Bytes of the file's header that say nothing about the record: format, counters, cache size, reserved."""
MOST_IDLE: Final = 40
"""How many bytes that are in use may mean nothing: each is looked at whether all that can be read is as it was."""
ASIDE: Final = {"commands", "scratch", "projections", "parked", "usage", "last_uses"}
"""Tables that are not part of the record."""


def small(folder: Path) -> tuple[Store, Path, Checkpoint]:
    """Return a small ledger at rest, and a checkpoint of it."""
    store = sqlite_store(folder)
    Acts(store).log("net", 1, aliases=("best",))
    note = checkpoints.make(store)
    store.ledger.close()
    path = folder / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return store, path, Checkpoint.parse(SignedNote.parse(note).text)


def noticed(path: Path, checkpoint: Checkpoint) -> bool:
    """Whether opening, verifying or the checkpoint tells that something is wrong."""
    try:
        with closing(sqlite_ledger(path, Clock())) as ledger:
            if list(ledger.verify()) or ledger.root(checkpoint.size) != checkpoint.root:
                return True
            list(ledger.read())
            return ledger.head().size != checkpoint.size or f"muniment/{ledger.origin}" != checkpoint.origin
    except (MunimentError, sqlite3.Error):
        return True


def owners(path: Path) -> dict[int, str]:
    """Return to which table each page belongs, with its indexes; ``sqlite_schema`` begins at the first."""
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        roots = connection.execute("SELECT rootpage, tbl_name FROM sqlite_schema WHERE rootpage > 0").fetchall()
    return {page: name for root, name in [(1, "sqlite_schema"), *roots] for page in _below(content, root)}


def _below(content: bytes, root: int) -> Iterator[int]:
    yield root
    start, at = (root - 1) * PAGE, HEADER if root == 1 else 0
    raw = content[start : start + PAGE]
    if raw[at] in INNER:
        cells, right = struct.unpack(">H", raw[at + 3 : at + 5])[0], struct.unpack(">I", raw[at + 8 : at + 12])[0]
        places = struct.unpack(f">{cells}H", raw[at + 12 : at + 12 + 2 * cells])
        for child in (*(struct.unpack(">I", raw[place : place + 4])[0] for place in places), right):
            yield from _below(content, child)


def used(content: bytes, page: int) -> Iterator[int]:
    """Yield the places in a page that mean something: its header, its cells; nothing of a page that holds none."""
    at = HEADER if page == 1 else 0
    raw = content[(page - 1) * PAGE : page * PAGE]
    assert raw[at] in INNER | OUTER, f"page {page} is of no tree"
    inner = raw[at] in INNER
    cells, start = struct.unpack(">HH", raw[at + 3 : at + 7])
    pointers = at + (12 if inner else 8) + 2 * cells
    yield from (each for each in range(at) if page == 1 and each not in IDLE_HEADER)
    yield from (each for each in range(at, pointers) if each != at + 7)
    freed = set(_freed(raw, struct.unpack(">H", raw[at + 1 : at + 3])[0]))
    yield from (each for each in range(start or 65536, PAGE) if each not in freed)


def _freed(raw: bytes, block: int) -> Iterator[int]:
    """Yield the places between the cells of a page that hold nothing: a block says which is next, and its length."""
    while block:
        following, length = struct.unpack(">HH", raw[block : block + 4])
        yield from range(block + 4, block + length)
        block = following


def flips(path: Path, owner: dict[int, str]) -> Iterator[tuple[int, int]]:
    """Yield places of the file whose bytes are to be noticed: all, or a few of each page."""
    content, chance = path.read_bytes(), random.Random(7)
    assert sorted(owner) == list(range(1, len(content) // PAGE + 1))
    for page, table in sorted(owner.items()):
        if table not in ASIDE:
            places = list(used(content, page))
            yield from ((page, place) for place in sorted(chance.sample(places, min(EACH, len(places)))))


@define
class Quick:
    """The checks of fsck one by one, over a file that is changed underneath."""

    file: BinaryIO
    cursor: sqlite3.Cursor
    checkpoint: Checkpoint
    objects: object
    dumps: dict[str, list[bytes]]
    changes: int = 0

    @classmethod
    @contextmanager
    def over(cls, path: Path, checkpoint: Checkpoint) -> Iterator[Quick]:
        """Look at a file that has no log: a change of its counter is a change of the file to SQLite."""
        content = bytearray(path.read_bytes())
        content[18:20] = b"\1\1"
        path.write_bytes(content)
        with path.open("r+b", buffering=0) as file, closing(sqlite3.connect(path, isolation_level=None)) as connection:
            cursor = connection.cursor()
            dumps = {kind.table.name: list(rows.dump(cursor, (kind,))) for kind in ROWS}
            yield cls(file, cursor, checkpoint, _objects(cursor), dumps)

    def notices(self, page: int, place: int, table: str) -> bool:
        """Whether the check about a table notices that a bit of one byte is flipped."""
        at = (page - 1) * PAGE + place
        self.file.seek(at)
        before = self.file.read(1)
        self._write(at, bytes([before[0] ^ 1 << place % 8]))
        try:
            return self._noticed(table)
        except (MunimentError, sqlite3.Error):
            return True
        finally:
            self._write(at, before)

    def _noticed(self, table: str) -> bool:
        if table == "sqlite_schema":
            if _objects(self.cursor) != self.objects:
                return True
        elif table in self.dumps:
            kind = next(kind for kind in ROWS if kind.table.name == table)
            if list(rows.dump(self.cursor, (kind,))) != self.dumps[table]:
                return True
        elif self._events():
            return True
        return self.cursor.execute(f"PRAGMA integrity_check({table})").fetchall() != [("ok",)]

    def _events(self) -> bool:
        tip, pages = read_tip(self.cursor), in_sqlite(self.cursor)
        tiles = self.cursor.execute(ALL).fetchall()
        looks = [pages.look(0, tip.frontier.size)]
        ((origin,),) = self.cursor.execute("SELECT origin FROM head").fetchall()
        same = (f"muniment/{origin}", tip.frontier.root()) == (self.checkpoint.origin, self.checkpoint.root)
        return not same or any(check_pages(pages, tip, looks, lambda: tiles))

    def _write(self, at: int, byte: bytes) -> None:
        self.changes += 1
        self.file.seek(at)
        self.file.write(byte)
        self.file.seek(COUNTER)
        self.file.write(self.changes.to_bytes(4))


def test_a13_a_flipped_byte_is_noticed_or_means_nothing(tmp_path: Path) -> None:
    _, path, checkpoint = small(tmp_path)
    quick, copy = tmp_path / "quick.sqlite3", tmp_path / "copy" / "ledger.sqlite3"
    copy.parent.mkdir()
    for each in (quick, copy):
        shutil.copy(path, each)
    assert not noticed(copy, checkpoint)
    owner = owners(path)
    with Quick.over(quick, checkpoint) as checks:
        passed = [place for place in flips(path, owner) if not checks.notices(*place, owner[place[0]])]
    everything = read(path)
    idle = [(page, at) for page, at in passed if not noticed(flipped(path, copy, page, at), checkpoint)]
    assert len(idle) <= MOST_IDLE
    assert [place for place in idle if read(flipped(path, copy, *place)) != everything] == []


def read(path: Path) -> list[object]:
    """Return what can be read of a file: how its tables are made, and every row of them."""
    with closing(sqlite3.connect(path)) as connection:
        made = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()
        names = [name for kind, name, *_ in made if kind == "table"]
        return [made, *(connection.execute(f"SELECT * FROM {name}").fetchall() for name in names)]  # noqa: S608 (ours)


def flipped(path: Path, copy: Path, page: int, at: int) -> Path:
    """Return a copy of the file with one bit of one byte changed."""
    for each in copy.parent.iterdir():
        each.unlink()
    content = bytearray(path.read_bytes())
    content[(page - 1) * PAGE + at] ^= 1 << at % 8
    copy.write_bytes(content)
    return copy


@pytest.mark.parametrize("place", [24, 40, 92])
def test_counters_in_the_files_header_say_nothing_about_the_record(tmp_path: Path, place: int) -> None:
    _, path, checkpoint = small(tmp_path)
    copy = tmp_path / "copy" / "ledger.sqlite3"
    copy.parent.mkdir()
    assert not noticed(flipped(path, copy, 1, place), checkpoint)
