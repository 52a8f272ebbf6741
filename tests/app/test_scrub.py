"""Scrubbing leaves nothing of what was deleted in any file of ours, or says where it may be still."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from muniment.adapters.sqlite_files import SqliteFiles
from muniment.app import bootstrap, scrub, storage
from muniment.app.config import load
from muniment.app.log_artifact import PARTS
from muniment.app.scan import scan
from muniment.app.store import Store
from muniment.domain.errors import CorruptError
from muniment.domain.ports import SlotDraft
from muniment.domain.values import Residual
from tests.acts import Acts, story
from tests.redacting import redact, telling
from tests.servers import postgres

WORD = "canary-4b1d77e0"
BUSY = "another program was using it — do it again when that has ended"


def opened(home: Path, **settings: str) -> Store:
    return bootstrap.open_store(load(None, home=str(home), actor="ada", **settings))


def test_a_file_of_sqlite_forgets_what_was_deleted_without_overwriting(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE t (text TEXT)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"{number} {WORD}",) for number in range(500)])
        connection.execute("DELETE FROM t")
        assert not scan([WORD], [str(tmp_path)]).clean
        assert list(SqliteFiles(lambda: [file, tmp_path / "missing"]).scrub()) == []
        assert scan([WORD], [str(tmp_path)]).clean


def test_a_file_that_somebody_reads_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (text TEXT)")
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM t").fetchall()
        assert list(SqliteFiles(lambda: [file], wait=0.01).scrub()) == [Residual("a.sqlite3", BUSY)]
        connection.execute("COMMIT")
        assert list(SqliteFiles(lambda: [file], wait=0.01).scrub()) == []


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(CorruptError, match=r"a\.sqlite3 is damaged"):
        list(SqliteFiles(lambda: [tmp_path / "a.sqlite3"]).scrub())


def test_every_file_of_sqlite_below_the_home_folder_is_known(own_home: Path) -> None:
    store = opened(own_home)
    story(store, WORD)
    (own_home / "file").write_text(WORD)
    store.files.put_many({}, 0)
    assert store.blobs.missing(["0" * 64])  # type: ignore[list-item]
    found = set(own_home.rglob("*.sqlite3"))
    assert len(found) >= 4
    assert found <= set(scrub.files(store))
    store.ledger.close()


def test_nothing_is_left_of_redacted_words_and_destroyed_values(own_home: Path) -> None:
    store = opened(own_home)
    word = "redacted-word-91c3"
    Acts(store).log("model", 1, aliases=(word,), tags=(word,), description=WORD)
    (slot,) = store.vault.put_many([SlotDraft("0d" * 16, "note", word)])
    store.vault.destroy("0d" * 16)
    assert not scan([word], [str(own_home)]).clean
    redact(store, telling(store))
    assert scrub.scrub(store) == ()
    assert scan([word, WORD, slot.slot], [str(own_home)]).hits == []
    assert list(store.ledger.verify()) == []
    store.ledger.close()


def test_drafts_that_name_versions_are_told_with_their_end(own_home: Path) -> None:
    store = opened(own_home)
    store.ledger.work(lambda transaction: transaction.scratch.put(PARTS, "key", {}, store.clock() + 10**9))
    (left,) = scrub.scrub(store)
    assert left.place == "drafts in the ledger"
    assert left.ends_at is not None
    store.ledger.close()


def test_the_cache_and_the_memory_of_files_are_emptied(own_home: Path) -> None:
    store = opened(own_home)
    file = own_home / "mine.txt"
    file.write_text("mine")
    look = file.stat()
    store.files.put_many({str(file): (look, ("0" * 64, None))}, store.clock() + 10**12)  # type: ignore[dict-item]
    assert store.files.get_many({str(file): look})
    kept = own_home / "cache" / "blobs"
    scrub.scrub(store)
    assert store.files.get_many({str(file): look}) == {}
    assert not kept.exists() or not [path for path in kept.rglob("*") if path.is_file()]
    store.ledger.close()


def test_files_elsewhere_are_those_that_the_settings_and_teams_name(own_home: Path, tmp_path: Path) -> None:
    named = {
        "ledger": f"file://{tmp_path}/a%20b.sqlite3",
        "vault": str(tmp_path / "vault"),
        "blobs": str(tmp_path / "blobs"),
        "cache_dir": str(tmp_path / "cache"),
    }
    store = opened(own_home, **named)
    storage.set_place(store, "local", str(tmp_path / "ours"))
    wanted = ("a b.sqlite3", "vault/vault.sqlite3", "vault/keys.sqlite3", "blobs/.index.sqlite3", "ours/.index.sqlite3")
    assert {tmp_path / each for each in wanted} <= set(scrub.files(store))
    assert (tmp_path / "a b.sqlite3").exists()
    store.ledger.close()


def test_postgresql_forgets_all_but_what_its_log_keeps(own_home: Path) -> None:
    server = postgres.running()
    store = opened(own_home, ledger=server.url("scrubbed"), vault=server.url("scrubbed_vault"))
    word = "in-postgres-5ea1c0de"
    Acts(store).log("model", 1, aliases=(word,), tags=(word,))
    redact(store, telling(store))
    server.sql('CREATE TABLE scrubbed."some""body\'s %s" (a text)')
    left = scrub.scrub(store)
    assert {each.place for each in left} == {"PostgreSQL's log (pg_wal), its archive and its replicas"}
    server.sql("CHECKPOINT")
    hits = scan([word], [str(server.folder)]).hits
    assert {hit.place for hit in hits if "/pg_wal/" not in hit.place} == set()
    store.ledger.close()
