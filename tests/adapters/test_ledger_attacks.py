"""Whoever writes the ledger's file is noticed: by the ledger itself, or by a checkpoint that is kept elsewhere."""

# ruff: noqa: S608 - attackers put their SQL together as they like

from __future__ import annotations

import base64
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from itertools import starmap
from pathlib import Path
from typing import Any

import attrs
import pytest

from muniment.adapters.ledger.record import COLUMNS, Record, leaf_of
from muniment.adapters.ledger.recorder import ORDER
from muniment.app.proving import checkpoints
from muniment.app.store import Store
from muniment.domain.errors import CorruptError
from muniment.domain.merkle import Frontier
from muniment.domain.redaction import EventsRedacted
from muniment.domain.rows import ROWS
from muniment.domain.values import StreamId
from tests.acts import Acts, story
from tests.conformance.ledger_acts import Dial, P, append, version
from tests.stores import Clock, sqlite_ledger, sqlite_store

STORED = dict(zip(COLUMNS, ORDER.split(", "), strict=True))
"""What the columns of a record are called in the file."""

Attack = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path, str]:
    """Return a store with a story in it, its file at rest, and a note of it that was kept elsewhere."""
    folder = tmp_path_factory.mktemp("store")
    store = sqlite_store(folder)
    story(store)
    note = checkpoints.make(store)
    store.ledger.close()
    return store, folder / "ledger.sqlite3", note


@pytest.fixture
def copy(told: tuple[Store, Path, str], tmp_path: Path) -> Path:
    assert [path.name for path in told[1].parent.glob("ledger.sqlite3-*")] == []
    return Path(shutil.copy(told[1], tmp_path / "ledger.sqlite3"))


def attack(path: Path, *statements: str | tuple[str, tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            sql, values = (statement, ()) if isinstance(statement, str) else statement
            assert connection.execute(sql, values).rowcount != 0, sql


def verified(path: Path) -> list[str]:
    ledger = sqlite_ledger(path, Clock())
    try:
        return list(ledger.verify())
    finally:
        ledger.close()


def value(path: Path, sql: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchone()[0]


def names(faults: list[str], seq: int) -> bool:
    return any(f"event {seq} " in fault for fault in faults)


def test_the_story_is_clean(copy: Path) -> None:
    assert verified(copy) == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE tiles SET hash = zeroblob(32) WHERE number = 1", "tile 1 of level 1 was changed"),
        ("DELETE FROM tiles WHERE number = 0", "tile 0 of level 1 is missing"),
        ("DELETE FROM tiles WHERE number = 1", "tile 1 of level 1 is missing"),
        ("INSERT INTO tiles VALUES (1, 2, zeroblob(32))", "tile 2 of level 1 was changed"),
        ("INSERT INTO tiles VALUES (7, 0, zeroblob(32))", "tile 0 of level 7 was changed"),
        ("UPDATE tiles SET level = 'x' WHERE number = 1", "tile 1 of level 'x' was changed"),
        ("UPDATE tiles SET number = 'x' WHERE number = 1", "tile 1 of level 1 is missing"),
    ],
)
def test_tiles_that_do_not_fit_their_leaves(tmp_path: Path, statement: str, fault: str) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite_ledger(path, Dial())) as ledger:
        append(ledger, P, *(version() for _ in range(600)))
        assert list(ledger.verify()) == []
    attack(path, statement)
    found = verified(path)
    assert any(fault in each for each in found)
    assert all("tile" in each for each in found)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (
            "CREATE TRIGGER quiet AFTER INSERT ON events BEGIN DELETE FROM leaves WHERE seq = new.rowid; END",
            "trigger quiet",
        ),
        ("CREATE VIEW other AS SELECT 1", "view other"),
        ("DROP INDEX commands_kept_at", "commands_kept_at is not as Muniment makes it"),
        ("ALTER TABLE leaves ADD COLUMN more", "leaves is not as Muniment makes it"),
    ],
    ids=["trigger", "view", "index", "column"],
)
def test_tables_that_were_made_otherwise(copy: Path, statement: str, fault: str) -> None:
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute(statement)
    assert any(fault in each for each in verified(copy))


# --- one place, leaves left as they are ------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["state", "words", "facts_blind", "words_blind"])
def test_one_byte_changed_in_what_a_commitment_covers(copy: Path, column: str) -> None:
    seq = value(copy, f"SELECT rowid FROM events WHERE {column} IS NOT NULL ORDER BY rowid DESC LIMIT 1 OFFSET 5")
    content = bytearray(value(copy, f"SELECT {column} FROM events WHERE rowid = {seq}"))
    content[len(content) // 2] ^= 1
    attack(copy, (f"UPDATE events SET {column} = ? WHERE rowid = ?", (bytes(content), seq)))
    assert names(verified(copy), seq)


def others(cell: Any) -> Iterator[Any]:
    """Yield things that somebody might put in the place of a cell."""
    match cell:
        case int():
            yield from (cell + 10**6, float(cell) + 0.5)
        case str():
            yield from (f"{cell[:-1]}{'1' if cell[-1:] == '0' else '0'}", cell.encode(), f"{cell}\x00", "")
            if len(cell) % 4 == 0:
                yield base64.b64decode(cell, validate=False)  # a JSON text shows bytes as base64
        case bytes():
            yield from (cell + b"0", cell.decode("latin-1"))
        case None:
            yield from ("x", b"x" * 32)
    if cell is not None:
        yield None


@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "seq"])
def test_any_other_value_in_any_column_of_an_event(copy: Path, column: str) -> None:
    stored = STORED[column]
    for seq in (20, 40):
        cell = value(copy, f"SELECT {stored} FROM events WHERE rowid = {seq}")
        for other in others(cell):
            try:
                attack(copy, (f"UPDATE events SET {stored} = ? WHERE rowid = ?", (other, seq)))
            except sqlite3.IntegrityError:
                assert other is None
                continue
            assert names(verified(copy), seq), other
            attack(copy, (f"UPDATE events SET {stored} = ? WHERE rowid = ?", (cell, seq)))
    assert verified(copy) == []


def test_words_destroyed_with_their_commitment_in_place_but_no_event_that_says_so(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection:
        found = connection.execute(f"SELECT {ORDER} FROM events WHERE words IS NOT NULL AND rowid > 40").fetchone()
    record = Record(*found)
    kept = attrs.evolve(record, words=None, words_blind=None, words_commit=commitment(record))
    assert leaf_of(kept) == leaf_of(record)
    sql = "UPDATE events SET words = NULL, words_blind = NULL, words_commit = ? WHERE rowid = ?"
    attack(copy, (sql, (kept.words_commit, record.seq)))
    assert names(verified(copy), record.seq)


def test_words_that_an_event_says_are_destroyed_put_back(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection:
        found = connection.execute(f"SELECT {ORDER} FROM events WHERE words IS NOT NULL AND rowid > 40").fetchone()
    record = Record(*found)
    ledger = sqlite_ledger(copy, Clock())
    append(ledger, StreamId(f"{record.org}:r"), EventsRedacted((record.seq,), (commitment(record).hex(),)))
    ledger.rebuild()
    ledger.close()
    assert verified(copy) == []
    sql = "UPDATE events SET words = ?, words_blind = ?, words_commit = NULL WHERE rowid = ?"
    attack(copy, (sql, (record.words, record.words_blind, record.seq)))
    assert any(f"event {record.seq} still has its words" in fault for fault in verified(copy))


def commitment(record: Record) -> bytes:
    assert record.words is not None
    assert record.words_blind is not None
    return sha256(record.words_blind + record.words).digest()


@pytest.mark.parametrize("columns", [("state", "facts_blind"), ("words", "words_blind"), ("event_id",)])
def test_two_events_with_their_contents_swapped(copy: Path, columns: tuple[str, ...]) -> None:
    listed = ", ".join(columns)
    pair = "SELECT rowid FROM events WHERE topic = 'version.created.1' ORDER BY rowid LIMIT 1 OFFSET"
    left, right = value(copy, f"{pair} 0"), value(copy, f"{pair} 2")
    swap = f"UPDATE events SET ({listed}) = (SELECT {listed} FROM old WHERE old.rowid = ?) WHERE rowid = ?"
    copied = f"CREATE TEMP TABLE old AS SELECT rowid AS rowid, {listed} FROM events"
    attack(copy, copied, (swap, (left, right)), (swap, (right, left)))
    faults = verified(copy)
    assert names(faults, left)
    assert names(faults, right)


def test_an_event_deleted_in_the_middle_and_at_the_end(copy: Path) -> None:
    size = value(copy, "SELECT size FROM head")
    attack(copy, f"DELETE FROM events WHERE rowid IN (30, {size})")
    faults = verified(copy)
    assert names(faults, 30)
    assert names(faults, size)
    assert not names(faults, 31)


def test_an_event_deleted_with_its_leaf(copy: Path) -> None:
    attack(copy, "DELETE FROM events WHERE rowid = 30", "DELETE FROM leaves WHERE seq = 30")
    faults = verified(copy)
    assert names(faults, 30)
    assert any("head" in fault for fault in faults)


def test_an_event_put_in(copy: Path) -> None:
    size = value(copy, "SELECT size FROM head")
    copied = ORDER.replace("rowid", str(size + 1)).replace("originator_version", "originator_version + 1000")
    attack(copy, f"INSERT INTO events ({ORDER}) SELECT {copied} FROM events WHERE rowid = 20")
    assert names(verified(copy), size + 1)


@pytest.mark.parametrize("leaf", [b"\x00" * 32, b"", "text", b"\x01" * 31])
def test_a_leaf_changed(copy: Path, leaf: object) -> None:
    attack(copy, ("UPDATE leaves SET hash = ? WHERE seq = 25", (leaf,)))
    faults = verified(copy)
    assert names(faults, 25)
    assert any("head" in fault for fault in faults)


def test_a_leaf_put_in(copy: Path) -> None:
    size = value(copy, "SELECT size FROM head")
    attack(copy, ("INSERT INTO leaves VALUES (?, ?)", (size + 1, bytes(32))))
    assert names(verified(copy), size + 1)


@pytest.mark.parametrize(
    "change",
    [
        "size = size - 1",
        "frontier = zeroblob(length(frontier))",
        "frontier = x''",
        "frontier = 'text'",
        "recorded_at = recorded_at + 1",
        "recorded_at = 0",
        "size = 'many'",
        "recorded_at = 'late'",
    ],
)
def test_the_head_changed(copy: Path, change: str) -> None:
    attack(copy, f"UPDATE head SET {change}")
    assert any("head" in fault for fault in verified(copy))


def test_nothing_is_written_behind_a_head_that_is_none(copy: Path) -> None:
    attack(copy, "UPDATE head SET recorded_at = 'late'")
    with closing(sqlite_ledger(copy, Clock())) as ledger, pytest.raises(CorruptError, match="head"):
        append(ledger, P, version())


def test_the_head_taken_away(copy: Path) -> None:
    attack(copy, "DELETE FROM head")
    with pytest.raises(CorruptError):
        verified(copy)


# --- the rows of the projections -------------------------------------------------------------------------------------


def test_two_rows_of_a_projection_swapped(copy: Path) -> None:
    sql = 'UPDATE versions SET digest = CASE "index" WHEN 0 THEN ? ELSE ? END WHERE "index" IN (0, 1)'
    first, second = (value(copy, f'SELECT digest FROM versions WHERE "index" = {index}') for index in (0, 1))
    attack(copy, (sql, (second, first)))
    faults = verified(copy)
    assert len(faults) == 1
    assert faults[0].startswith("table versions, the row since event ")


@pytest.mark.parametrize("table", [kind.table.name for kind in ROWS])
def test_a_row_of_any_projection_deleted(copy: Path, table: str) -> None:
    if not value(copy, f'SELECT count(*) FROM "{table}"'):
        pytest.fail(f"the story leaves {table} empty")
    attack(copy, f'DELETE FROM "{table}" WHERE from_seq = (SELECT max(from_seq) FROM "{table}")')
    faults = verified(copy)
    assert any("is not what the events say" in fault for fault in faults)


def test_bytes_where_a_row_has_text_are_named(copy: Path) -> None:
    attack(copy, "UPDATE versions SET state = CAST(state AS BLOB)")
    assert any(fault.startswith("table versions, the row since event") for fault in verified(copy))


def test_rows_that_were_changed_are_made_again_by_a_rebuild(copy: Path) -> None:
    attack(copy, "UPDATE versions SET state = 'purged'", "DELETE FROM aliases")
    ledger = sqlite_ledger(copy, Clock())
    assert list(ledger.verify()) != []
    ledger.rebuild()
    assert list(ledger.verify()) == []
    ledger.close()


# --- leaves and head rewritten too: only a checkpoint tells ----------------------------------------------------------


def rewrite(path: Path) -> None:
    """Make leaves, head and rows what the events now say, as somebody who knows the format can."""
    with closing(sqlite3.connect(path)) as connection:
        records = list(starmap(Record, connection.execute(f"SELECT {ORDER} FROM events ORDER BY rowid")))
        frontier = Frontier()
        connection.execute("DELETE FROM leaves")
        for record in records:
            leaf = leaf_of(record)
            frontier.append(leaf)
            connection.execute("INSERT INTO leaves VALUES (?, ?)", (record.seq, leaf))
        head = (frontier.size, frontier.roots(), records[-1].recorded_at)
        connection.execute("UPDATE head SET size = ?, frontier = ?, recorded_at = ?", head)
        connection.commit()
    ledger = sqlite_ledger(path, Clock())
    ledger.rebuild()
    assert list(ledger.verify()) == []
    ledger.close()


def checked(told: tuple[Store, Path, str], path: Path) -> list[str]:
    store, _, note = told
    ledger = sqlite_ledger(path, Clock())
    found = list(checkpoints.check(attrs.evolve(store, ledger=ledger), note))
    ledger.close()
    return found


def test_a_checkpoint_agrees_with_what_it_was_made_of_and_with_what_came_after(
    told: tuple[Store, Path, str], copy: Path
) -> None:
    assert checked(told, copy) == []
    ledger = sqlite_ledger(copy, Clock())
    Acts(attrs.evolve(told[0], ledger=ledger)).log("model", "another")
    assert list(ledger.verify()) == []
    ledger.close()
    assert checked(told, copy) == []


def test_words_rewritten_with_leaves_and_head(told: tuple[Store, Path, str], copy: Path) -> None:
    seq = value(
        copy, "SELECT max(rowid) FROM events WHERE topic = 'alias.moved.1' AND CAST(words AS TEXT) LIKE '%best%'"
    )
    attack(copy, (f"UPDATE events SET words = ? WHERE rowid = {seq}", (b'{"alias":"worst"}',)))
    assert names(verified(copy), seq)
    rewrite(copy)
    assert any("rewritten" in fault for fault in checked(told, copy))


def test_the_end_cut_off_everywhere(told: tuple[Store, Path, str], copy: Path) -> None:
    size = value(copy, "SELECT size FROM head")
    attack(copy, f"DELETE FROM events WHERE rowid > {size - 3}")
    rewrite(copy)
    assert [fault.split(":")[0] for fault in checked(told, copy)] == [f"events {size - 2} to {size} are missing"]


def test_another_ledger_with_the_same_events_is_not_this_one(told: tuple[Store, Path, str], copy: Path) -> None:
    attack(copy, "UPDATE head SET origin = 'aa'")
    assert checked(told, copy) != []


# --- what must not be in it ------------------------------------------------------------------------------------------


def test_no_personal_value_is_ever_in_the_ledger_its_log_or_its_leaves(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    story(store, personal="Canaria")
    files = sorted(tmp_path.glob("ledger.*"))
    assert {"ledger.sqlite3", "ledger.sqlite3-wal"} <= {file.name for file in files}
    assert [file.name for file in files if b"Canaria" in file.read_bytes()] == []
    assert any(b"version.created.1" in file.read_bytes() for file in files)
    store.ledger.close()
    assert b"Canaria" not in (tmp_path / "ledger.sqlite3").read_bytes()
