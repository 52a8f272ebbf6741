"""A ledger's file that was damaged, cut off or never was one is our error, never the database's own."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from muniment.adapters.ledger.schema import newest
from muniment.adapters.ledger.sqlite_errors import storage_errors
from muniment.domain.errors import CorruptError, MunimentError, StorageError
from muniment.domain.ports import Outcome
from muniment.domain.redaction import lost_words
from muniment.domain.rows import ProjectRow, VersionRow
from tests.acts import story
from tests.conformance.ledger_acts import Dial, P, append, command, created
from tests.conformance.ledger_redaction import redact
from tests.stores import Clock, sqlite_ledger, sqlite_store


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a ledger with a story in it, at rest."""
    folder = tmp_path_factory.mktemp("store")
    store = sqlite_store(folder)
    story(store)
    store.ledger.close()
    return folder / "ledger.sqlite3"


@pytest.fixture
def copy(told: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(told, tmp_path / "ledger.sqlite3"))


def use(path: Path) -> None:
    """Do a bit of everything."""
    ledger = sqlite_ledger(path, Clock())
    try:
        ledger.views.find(ProjectRow, project_id="x")
        ledger.views.select(VersionRow, state="committed", order="created_at")
        list(ledger.read())
        list(ledger.dump())
        ledger.root(ledger.head().size)
        ledger.at(10**18)
        ledger.scratch.items("lease")
        ledger.transact(command(), lambda _: Outcome())
        ledger.rebuild()
    finally:
        ledger.close()


def faults(path: Path) -> list[str]:
    try:
        ledger = sqlite_ledger(path, Clock())
    except StorageError as error:
        return [str(error)]
    found = list(ledger.verify())
    ledger.close()
    return found


def test_the_story_survives_use(copy: Path) -> None:
    use(copy)


@pytest.mark.parametrize("seed", range(12))
def test_a_page_overwritten_is_our_error_and_is_found(copy: Path, seed: int) -> None:
    chance = random.Random(seed)
    page = chance.randrange(copy.stat().st_size // 4096)
    content = bytearray(copy.read_bytes())
    content[page * 4096 : (page + 1) * 4096] = chance.randbytes(4096)
    copy.write_bytes(content)
    try:
        use(Path(shutil.copy(copy, copy.with_name("used.sqlite3"))))
    except MunimentError as error:
        assert isinstance(error, StorageError)  # noqa: PT017 (or nothing it did came upon the page)
    assert faults(copy) != []


@pytest.mark.parametrize("size", [0, 10, 1000, 4096, 20_000])
def test_a_file_that_was_cut_off_is_corrupt(copy: Path, size: int) -> None:
    with copy.open("r+b") as file:
        file.truncate(size)
    assert faults(copy) != []
    with pytest.raises(CorruptError):
        use(copy)


@pytest.mark.parametrize("content", [b"not a database, only some text\n" * 400, bytes(8192), b"SQLite format 3\x00"])
def test_a_file_that_is_no_ledger_is_corrupt_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(content)
    with pytest.raises(CorruptError):
        sqlite_ledger(path, Clock())
    assert path.read_bytes() == content


def test_a_file_that_is_no_ledger_is_let_go_of_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(CorruptError) as caught:
        sqlite_ledger(path, Clock())
    held = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    assert path not in held, caught  # as long as the error is looked at


def test_another_programs_database_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title)")
    with pytest.raises(CorruptError, match=r"ledger\.sqlite3 is not a ledger"):
        sqlite_ledger(path, Clock())


def test_a_ledger_of_a_later_muniment_is_refused(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match=f"schema 99, this Muniment knows {newest()}"):
        sqlite_ledger(copy, Clock())


def test_a_log_without_its_ledger_is_no_new_ledger(copy: Path) -> None:
    copy.rename(copy.with_name("ledger.sqlite3-wal"))
    with pytest.raises(StorageError, match="restore"):
        sqlite_ledger(copy, Clock())
    assert not copy.exists()


def test_an_event_of_a_later_muniment_is_named(copy: Path) -> None:
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("UPDATE events SET topic = 'version.sold.1' WHERE rowid = 20")
    ledger = sqlite_ledger(copy, Clock())
    with pytest.raises(CorruptError, match=r"version\.sold\.1.*newer Muniment"):
        list(ledger.read())
    ledger.close()


def test_a_rebuild_that_fails_leaves_the_rows_as_they_were(copy: Path) -> None:
    ledger = sqlite_ledger(copy, Clock())
    rows = list(ledger.dump())
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE events SET state = x'7b' WHERE rowid = 9")
    with pytest.raises(CorruptError):
        ledger.rebuild()
    assert list(ledger.dump()) == rows
    ledger.close()


@pytest.mark.parametrize(
    "facts",
    [b"\0", b"{}", b'{"commits":["zz"],"seqs":[1]}', b'{"commits":[],"seqs":[1]}'],
    ids=["no-json", "empty", "no-hex", "uneven"],
)
def test_a_redaction_that_was_changed_is_named_and_nothing_in_it_is_believed(tmp_path: Path, facts: bytes) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite_ledger(path, Dial())) as ledger:
        append(ledger, P, created("secret"))
        redact(ledger, 1)
        ledger.rebuild()
        assert list(ledger.verify()) == []
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE events SET state = ? WHERE rowid = 2", (facts,))
        found = list(ledger.verify())
    assert found[0] == "event 2 was changed: it does not match its leaf"
    assert found[1] == lost_words(1)


def test_text_that_is_none_is_damage_and_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite_ledger(path, Dial())) as ledger:
        append(ledger, P, created("p"))
        with closing(sqlite3.connect(path)) as connection, connection:
            for column, table in (("name", "projects"), ("source", "events")):
                connection.execute(f"UPDATE {table} SET {column} = CAST(x'736563726574ff' AS TEXT)")  # noqa: S608
        acts: list[Callable[[], object]] = [
            lambda: ledger.views.find(ProjectRow, project_id=str(P)),
            lambda: list(ledger.dump()),
            lambda: list(ledger.read()),
        ]
        for act in acts:
            with pytest.raises(StorageError, match="muniment fsck") as caught:
                act()
            assert "secret" not in str(caught.value)
        assert "does not hold what it should" in "".join(ledger.verify())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_NOMEM, "not enough memory"),
        (sqlite3.SQLITE_LOCKED, "another program"),
        (sqlite3.SQLITE_BUSY | 2 << 8, "another program"),
        (sqlite3.SQLITE_IOERR, "check the disk"),
        (sqlite3.SQLITE_CORRUPT, "is damaged"),
    ],
)
def test_nothing_is_called_damaged_that_is_not(code: int, said: str) -> None:
    failure = sqlite3.OperationalError("x")
    failure.sqlite_errorcode = code
    with pytest.raises(StorageError, match=said) as caught, storage_errors():
        raise failure
    assert isinstance(caught.value, CorruptError) == (code == sqlite3.SQLITE_CORRUPT)
