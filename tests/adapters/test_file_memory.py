"""The memory of unchanged files: what it may answer, and that nothing that happens to its file can hurt."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5, sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from muniment.adapters.file_memory import SqliteFileMemory
from muniment.domain.ports import FileDigests, FileMemory, FileStat
from muniment.domain.values import Digest

OLD = 1_600_000_000_123_456_789
NOW = 1_700_000_000_000_000
TICK = 20_000


@frozen
class Stat:
    st_dev: int = 1
    st_ino: int = 1
    st_size: int = 5
    st_mtime_ns: int = OLD
    st_ctime_ns: int = OLD


def digests(content: str, *, weak: bool = False) -> FileDigests:
    return (
        Digest(sha256(content.encode()).hexdigest()),
        md5(content.encode(), usedforsecurity=False).hexdigest() if weak else None,
    )


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SqliteFileMemory]:
    memory = SqliteFileMemory(tmp_path / "cache" / "files.sqlite3")
    yield memory
    memory.close()


def test_it_is_a_file_memory(memory: FileMemory) -> None:
    assert memory.get_many({}) == {}


def test_a_file_that_looks_the_same_is_known(memory: SqliteFileMemory) -> None:
    memory.put_many({"/d/a": (Stat(), digests("a")), "/d/b": (Stat(st_ino=2), digests("b", weak=True))}, NOW)
    memory.close()
    found = memory.get_many({"/d/a": Stat(), "/d/b": Stat(st_ino=2), "/d/c": Stat(st_ino=3)})
    assert found == {"/d/a": digests("a"), "/d/b": digests("b", weak=True)}


@pytest.mark.parametrize("name", ["st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"])
def test_a_file_that_looks_different_is_not_known(memory: SqliteFileMemory, name: str) -> None:
    memory.put_many({"/d/a": (Stat(), digests("a"))}, NOW)
    changed = evolve(Stat(), **{name: getattr(Stat(), name) + 1})
    assert memory.get_many({"/d/a": changed}) == {}
    assert memory.get_many({"/e/a": Stat()}) == {}


def test_a_file_read_again_takes_the_place_of_what_it_was(memory: SqliteFileMemory) -> None:
    memory.put_many({"/d/a": (Stat(), digests("a")), "/d/b": (Stat(st_ino=2), digests("b"))}, NOW)
    memory.put_many({"/d/a": (Stat(st_size=6), digests("again"))}, NOW)
    assert memory.get_many({"/d/a": Stat(st_size=6), "/d/b": Stat(st_ino=2)}) == {
        "/d/a": digests("again"),
        "/d/b": digests("b"),
    }
    assert memory.get_many({"/d/a": Stat()}) == {}


SECOND = NOW * 1000


@pytest.mark.parametrize("name", ["st_mtime_ns", "st_ctime_ns"])
@pytest.mark.parametrize(
    ("when", "known"),
    [
        (SECOND - TICK * 1000 - 1, True),
        (SECOND - TICK * 1000 + 1, False),
        (SECOND + 1, False),
        (SECOND + 10**18 + 1, False),
        (SECOND - 1_000_000_000, False),
        (SECOND - 2_000_000_000, True),
    ],
    ids=["settled", "racy", "later", "far-future", "whole-second-racy", "whole-second-settled"],
)
def test_a_file_touched_within_a_tick_of_being_seen_is_not_remembered(
    memory: SqliteFileMemory, name: str, when: int, *, known: bool
) -> None:
    stat = evolve(Stat(), **{name: when})
    memory.put_many({"/d/a": (stat, digests("a"))}, NOW)
    assert bool(memory.get_many({"/d/a": stat})) is known


def test_a_file_from_before_all_records_is_read_again_and_the_others_are_known(memory: SqliteFileMemory) -> None:
    ancient = Stat(st_mtime_ns=-11_676_096_000_000_000_000)  # 1600-01-01, as tmpfs keeps it
    memory.put_many({"/d/a": (ancient, digests("a")), "/d/b": (Stat(st_ino=2), digests("b"))}, NOW)
    assert memory.get_many({"/d/a": ancient, "/d/b": Stat(st_ino=2)}) == {"/d/b": digests("b")}


def test_real_files_are_known_until_they_change(memory: SqliteFileMemory, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("hello")
    later = file.stat().st_ctime_ns // 1000 + 5_000_000
    memory.put_many({str(file): (file.stat(), digests("hello"))}, later)
    assert memory.get_many({str(file): file.stat()}) == {str(file): digests("hello")}
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert memory.get_many({str(file): file.stat()}) == {}


LOOKS = st.builds(Stat, st.integers(0, 1), st.integers(0, 3_000), st.integers(0, 1), st.just(OLD), st.just(OLD))
FILES = st.dictionaries(st.sampled_from(["/a/x", "/a/y", "/b/x", "/c"]), st.tuples(LOOKS, st.sampled_from("pqr")))


@given(st.lists(FILES, max_size=6), FILES)
@settings(max_examples=40, deadline=None)
def test_it_knows_what_a_dictionary_knows(
    rounds: list[dict[str, tuple[Stat, str]]], asked: dict[str, tuple[Stat, str]]
) -> None:
    with TemporaryDirectory() as folder:
        memory = SqliteFileMemory(Path(folder) / "files.sqlite3")
        _compare(memory, rounds, asked)
        memory.close()


def _compare(
    memory: SqliteFileMemory, rounds: list[dict[str, tuple[Stat, str]]], asked: dict[str, tuple[Stat, str]]
) -> None:
    known: dict[tuple[str, int, int], tuple[Stat, str]] = {}
    for files in rounds:
        memory.put_many({path: (stat, digests(word)) for path, (stat, word) in files.items()}, NOW)
        for path, (stat, word) in files.items():
            known[path.rpartition("/")[0], stat.st_dev, stat.st_ino] = (stat, word)
    expected = {
        path: digests(held[1])
        for path, (stat, _) in asked.items()
        if (held := known.get((path.rpartition("/")[0], stat.st_dev, stat.st_ino))) and held[0] == stat
    }
    assert memory.get_many({path: stat for path, (stat, _) in asked.items()}) == expected


def test_what_was_seen_longest_ago_is_forgotten_first(tmp_path: Path) -> None:
    memory = SqliteFileMemory(tmp_path / "files.sqlite3", limit=250)
    for turn in range(5):
        batch = {f"/{turn}/{n}": (Stat(st_ino=n), digests("x")) for n in range(100)}
        memory.put_many(batch, NOW + turn)
    known = [len(memory.get_many({f"/{turn}/{n}": Stat(st_ino=n) for n in range(100)})) for turn in range(5)]
    assert known == [0, 0, 0, 100, 100]
    memory.close()


@pytest.mark.parametrize("damage", [b"", b"no database at all " * 50, b"SQLite format 3\0" + b"\xff" * 4_096])
def test_a_damaged_file_is_made_afresh(
    memory: SqliteFileMemory, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    memory.put_many({"/d/a": (Stat(), digests("a"))}, NOW)
    memory.close()
    memory.file.write_bytes(damage)
    assert memory.get_many({"/d/a": Stat()}) == {}
    assert bool(damage) == any(record.levelno == logging.WARNING for record in caplog.records)
    memory.put_many({"/d/a": (Stat(), digests("a"))}, NOW)
    assert memory.get_many({"/d/a": Stat()}) == {"/d/a": digests("a")}


def test_a_file_of_another_version_is_made_afresh(memory: SqliteFileMemory) -> None:
    memory.file.parent.mkdir()
    with sqlite3.connect(memory.file) as other:
        other.executescript("CREATE TABLE packs (something); PRAGMA user_version = 99")
    other.close()
    memory.put_many({"/d/a": (Stat(), digests("a"))}, NOW)
    assert memory.get_many({"/d/a": Stat()}) == {"/d/a": digests("a")}


def test_no_flipped_byte_of_the_file_makes_it_answer_wrongly(memory: SqliteFileMemory) -> None:
    files = {f"/d/{n}": Stat(st_ino=n) for n in range(40)}
    memory.put_many({path: (stat, digests(path)) for path, stat in files.items()}, NOW)
    memory.close()
    whole = memory.file.read_bytes()
    for at in range(0, len(whole), 97):
        memory.file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        for path, found in memory.get_many(files).items():
            assert found == digests(path)
        memory.close()


def test_where_nothing_can_be_written_it_knows_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    memory = SqliteFileMemory(tmp_path / "file" / "files.sqlite3")
    memory.put_many({"/d/a": (Stat(), digests("a"))}, NOW)
    assert memory.get_many({"/d/a": Stat()}) == {}
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_nobody_else_may_read_it(memory: SqliteFileMemory) -> None:
    memory.put_many({"/d/a": (Stat(), digests("a"))}, NOW)
    assert {path.stat().st_mode & 0o777 for path in memory.file.parent.iterdir()} == {0o600}
    assert memory.file.parent.stat().st_mode & 0o777 == 0o700


def test_threads_share_one_memory(memory: SqliteFileMemory) -> None:
    def work(turn: int) -> int:
        batch: dict[str, FileStat] = {f"/{turn % 2}/{n}": Stat(st_ino=100 * turn + n) for n in range(50)}
        memory.put_many({path: (stat, digests(path)) for path, stat in batch.items()}, NOW)
        return len(memory.get_many(batch))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(12))) == [50] * 12


PROCESS = """
import sys
from pathlib import Path
from tests.adapters.test_file_memory import NOW, SqliteFileMemory, Stat, digests
memory = SqliteFileMemory(Path(sys.argv[1]))
for n in range(30):
    inode = 2 * n + int(sys.argv[2])
    memory.put_many({f"/d/{inode}": (Stat(st_ino=inode), digests("x"))}, NOW)
memory.close()
"""


def test_processes_share_one_file(memory: SqliteFileMemory) -> None:
    memory.put_many({"/d/a": (Stat(), digests("a"))}, NOW)
    others = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(memory.file), str(turn)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        for turn in range(2)
    ]
    assert [other.wait(60) for other in others] == [0, 0]
    assert len(memory.get_many({f"/d/{n}": Stat(st_ino=n) for n in range(60)})) == 60


def test_a_child_process_opens_the_file_for_itself(memory: SqliteFileMemory) -> None:
    memory.put_many({"/d/a": (Stat(), digests("a"))}, NOW)
    child = os.fork()
    if not child:
        os._exit(len(memory.get_many({"/d/a": Stat()})) + 10 * len(memory._lines))  # noqa: SLF001
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 21
    assert memory.get_many({"/d/a": Stat()}) == {"/d/a": digests("a")}


def test_twenty_thousand_files_are_few_rows(memory: SqliteFileMemory) -> None:
    files: dict[str, FileStat] = {f"/{n // 100}/{n % 100}": Stat(st_ino=n) for n in range(20_000)}
    memory.put_many({path: (stat, digests("x")) for path, stat in files.items()}, NOW)
    assert len(memory.get_many(files)) == 20_000
    with sqlite3.connect(memory.file) as other:
        (rows,) = other.execute("SELECT count(*) FROM packs").fetchone()
    other.close()
    assert rows < 250
