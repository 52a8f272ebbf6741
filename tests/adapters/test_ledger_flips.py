"""A13: any byte of a ledger's file is flipped; what fsck does not notice is in the list of docs/security.md.

Every page is tried, the used bytes of each by a sample; EACH says how large it is.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from muniment.app import checkpoints
from muniment.app.store import Store
from muniment.domain.checkpoint import Checkpoint, SignedNote
from muniment.domain.errors import MunimentError
from tests.acts import Acts
from tests.stores import Clock, sqlite_ledger, sqlite_store

PAGE: Final = 4096
HEADER: Final = 100
EACH: Final = 4 if os.environ.get("CI") == "true" else 1
IDLE_HEADER: Final = frozenset([*range(18, 24), *range(24, 28), *range(36, 56), *range(64, 100)])
"""Bytes of the file's header that say nothing about the record: format, counters, cache size, reserved."""
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


def tables(path: Path) -> dict[int, str]:
    """Return which table or index of a table begins at which page."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT rootpage, tbl_name FROM sqlite_schema WHERE rootpage > 0")
        return {int(page): str(name) for page, name in rows}


def used(content: bytes, page: int) -> Iterator[int]:
    """Yield the places in a page that mean something: its header, its cells; nothing of a page that holds none."""
    at = HEADER if page == 1 else 0
    raw = content[(page - 1) * PAGE : page * PAGE]
    if raw[at] not in {2, 5, 10, 13}:
        return
    inner = raw[at] in {2, 5}
    cells, start = struct.unpack(">HH", raw[at + 3 : at + 7])
    pointers = at + (12 if inner else 8) + 2 * cells
    yield from (each for each in range(at) if page == 1 and each not in IDLE_HEADER)
    yield from (each for each in range(at, pointers) if each != at + 7)
    yield from range(start or 65536, PAGE)


def flips(path: Path) -> Iterator[int]:
    """Yield places of the file whose bytes are to be noticed: a few of each page."""
    content, aside, chance = path.read_bytes(), tables(path), random.Random(7)
    for page in range(1, len(content) // PAGE + 1):
        if aside.get(page) in ASIDE:
            continue
        places = list(used(content, page))
        for place in sorted(chance.sample(places, min(EACH, len(places)))):
            yield (page - 1) * PAGE + place


def test_a13_a_flipped_byte_is_noticed_or_means_nothing(tmp_path: Path) -> None:
    _, path, checkpoint = small(tmp_path)
    copy = tmp_path / "copy" / "ledger.sqlite3"
    copy.parent.mkdir()
    shutil.copy(path, copy)
    assert not noticed(copy, checkpoint)
    unnoticed = [place for place in flips(path) if not noticed(flipped(path, copy, place), checkpoint)]
    assert [f"page {place // PAGE + 1}, byte {place % PAGE}" for place in unnoticed] == []


def flipped(path: Path, copy: Path, place: int) -> Path:
    """Return a copy of the file with one bit of one byte changed."""
    for each in copy.parent.iterdir():
        each.unlink()
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << place % 8
    copy.write_bytes(content)
    return copy


@pytest.mark.parametrize("place", [24, 40, 92])
def test_counters_in_the_files_header_say_nothing_about_the_record(tmp_path: Path, place: int) -> None:
    _, path, checkpoint = small(tmp_path)
    copy = tmp_path / "copy" / "ledger.sqlite3"
    copy.parent.mkdir()
    assert not noticed(flipped(path, copy, place), checkpoint)
