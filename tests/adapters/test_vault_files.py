"""Opening a vault: key files that are missing, open to others or wrong, and databases that are damaged."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from muniment.adapters.vault import database
from muniment.adapters.vault.sqlite import SqliteVault
from muniment.domain.errors import CorruptError, KeyFileError, StorageError, StorageFullError
from muniment.domain.ports import SlotDraft
from muniment.domain.values import SlotId
from tests.conformance.vault import OTHER, OWNER, put
from tests.vaults import ORIGIN, at, sql

# --- key files and damage --------------------------------------------------------------------------------------------


def reopened(folder: Path) -> None:
    vault = at(folder)
    try:
        vault.get_many([SlotId("00" * 16)])
    finally:
        vault.close()


def test_opening_is_lazy(folder: Path) -> None:
    vault = at(folder)
    assert vault.put_many([]) == []
    assert not folder.exists()
    vault.close()


def test_a_given_key_file_is_used(folder: Path) -> None:
    folder.mkdir()
    (folder / "master.key").write_bytes(bytes(range(32)))
    (folder / "master.key").chmod(0o600)
    reopened(folder)
    assert (folder / "master.key").read_bytes() == bytes(range(32))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601])
def test_a_key_file_open_to_others_is_refused(vault: SqliteVault, folder: Path, mode: int) -> None:
    put(vault, "value")
    vault.close()
    (folder / "master.key").chmod(mode)
    with pytest.raises(KeyFileError, match=r"chmod 600 .*master\.key"):
        reopened(folder)
    (folder / "master.key").chmod(0o600)
    reopened(folder)


def test_a_missing_key_file_is_never_made_again(vault: SqliteVault, folder: Path) -> None:
    slot = put(vault, "value")
    vault.close()
    (folder / "master.key").rename(folder / "elsewhere")
    with pytest.raises(KeyFileError, match="is missing"):
        reopened(folder)
    assert not (folder / "master.key").exists()
    (folder / "elsewhere").rename(folder / "master.key")
    assert vault.get_many([slot]) == {slot: "value"}


def test_the_key_file_of_another_store_is_refused(vault: SqliteVault, folder: Path) -> None:
    put(vault, "value")
    vault.close()
    (folder / "master.key").write_bytes(os.urandom(32))
    with pytest.raises(KeyFileError, match="belongs to another store"):
        reopened(folder)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_key_file_is_refused(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "master.key").write_bytes(content)
    (folder / "master.key").chmod(0o600)
    with pytest.raises(KeyFileError, match="is damaged"):
        reopened(folder)


def test_a_key_file_that_is_a_folder_or_lies_nowhere_is_refused(folder: Path) -> None:
    (folder / "master.key").mkdir(parents=True)
    with pytest.raises(KeyFileError, match=r"master\.key"):
        reopened(folder)
    vault = SqliteVault.at(folder, folder / "not" / "mounted.key", ORIGIN)
    with pytest.raises(KeyFileError, match=r"mounted\.key"):
        vault.find("login", "ada")
    assert not (folder / "not").exists()


def test_another_ledger_is_refused(vault: SqliteVault, folder: Path) -> None:
    put(vault, "value")
    vault.close()
    other = SqliteVault.at(folder, folder / "master.key", "0" * 32)
    with pytest.raises(KeyFileError, match="another ledger"):
        other.find("login", "ada")


def test_keys_without_their_vault_and_a_vault_without_its_keys_are_refused(vault: SqliteVault, folder: Path) -> None:
    put(vault, "value")
    vault.close()
    for name, error in (("keys.sqlite3", KeyFileError), ("vault.sqlite3", StorageError)):
        (folder / name).rename(folder / "elsewhere")
        with pytest.raises(error, match=f"{name} is missing"):
            reopened(folder)
        (folder / "elsewhere").replace(folder / name)
    reopened(folder)


def test_the_keys_of_another_store_are_refused(vault: SqliteVault, folder: Path, tmp_path: Path) -> None:
    put(vault, "value")
    vault.close()
    reopened(tmp_path / "other")
    (folder / "vault.sqlite3").replace(tmp_path / "other" / "vault.sqlite3")
    with pytest.raises(KeyFileError, match="not of one store"):
        reopened(tmp_path / "other")


@pytest.mark.parametrize("name", ["vault.sqlite3", "keys.sqlite3"])
def test_a_database_full_of_something_else_is_corrupt(vault: SqliteVault, folder: Path, name: str) -> None:
    put(vault, "value")
    vault.close()
    (folder / name).write_bytes(b"something else" * 1000)
    with pytest.raises(CorruptError, match=name):
        reopened(folder)


def test_a_database_with_a_torn_page_is_corrupt(vault: SqliteVault, folder: Path) -> None:
    slot = put(vault, "value")
    vault.close()
    content = (folder / "vault.sqlite3").read_bytes()
    (folder / "vault.sqlite3").write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(CorruptError, match="vault"):
        vault.get_many([slot])


def test_a_later_format_is_refused(vault: SqliteVault, folder: Path) -> None:
    put(vault, "value")
    vault.close()
    sql(folder / "vault.sqlite3", "PRAGMA user_version = 2")
    with pytest.raises(StorageError, match="use a newer Muniment"):
        reopened(folder)


def test_a_full_database_is_an_error_of_its_own_and_keeps_nothing(vault: SqliteVault, folder: Path) -> None:
    kept = put(vault, "value")
    with vault._files.use() as files:  # noqa: SLF001 - SQLite's own limit stands in for a full disk
        (pages,) = files.vault.execute("PRAGMA page_count").fetchone()
        files.vault.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StorageFullError, match="no space is left"):
        vault.put_many([SlotDraft(OWNER, "note", "x" * 9000) for _ in range(4)])
    assert sql(folder / "vault.sqlite3", "SELECT slot FROM slots") == [(kept,)]
    assert vault.get_many([put(vault, "small"), kept])[kept] == "value"


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="check its folder"):
        at(tmp_path / "file").find("login", "ada")


def test_a_destroyed_key_that_comes_back_is_destroyed_again(
    vault: SqliteVault, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(vault, "value")
    theirs = put(vault, "other", OTHER)
    vault.close()
    old = (folder / "keys.sqlite3").read_bytes()
    assert vault.destroy(OWNER) == 1
    new = put(vault, "new")
    vault.close()
    reopened(folder)
    assert at(folder).get_many([new]) == {new: "new"}, "a key made since then is another one"
    (folder / "keys.sqlite3").write_bytes(old)
    (folder / "keys.sqlite3-wal").unlink(missing_ok=True)
    again = at(folder)
    assert again.get_many([new, theirs]) == {theirs: "other"}
    assert [owner for owner, _ in again.data_keys()] == [OTHER]
    assert "came back with an old keys.sqlite3" in caplog.text
    again.close()


def test_a_damaged_key_can_be_destroyed(vault: SqliteVault, folder: Path) -> None:
    put(vault, "value")
    vault.close()
    sql(folder / "keys.sqlite3", "UPDATE data_keys SET wrapped = x'00'")
    assert vault.destroy(OWNER) == 1
    assert vault.data_keys() == []


def test_a_database_that_somebody_else_holds_is_not_a_matter_of_its_folder(
    vault: SqliteVault, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    vault.keyed("login", "ada")
    with closing(sqlite3.connect(folder / "vault.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="another program kept the vault locked"):
            vault.remember("login", "ada", "id")
