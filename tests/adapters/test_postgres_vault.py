"""The vault in PostgreSQL keeps the contract and its secrets, and its keys elsewhere."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import settings

from muniment.adapters.vault.postgres import PostgresVault
from muniment.domain.errors import CorruptError, KeyFileError, StorageError
from muniment.domain.ports import SlotDraft, Vault
from tests.conformance.vault import OTHER, OWNER, Clock, VaultConformance, machine_for, nothing, put
from tests.servers.postgres import running

ORIGIN = "5eed" * 8
CANARY = "a-secret-that-must-not-lie-open"


def at(folder: Path, url: str | None = None, clock: Clock | None = None, origin: str = ORIGIN) -> PostgresVault:
    return PostgresVault.at(url or running().url(), folder / "master.key", origin, clock=clock or Clock())


class TestPostgres(VaultConformance):
    @pytest.fixture
    def vault(self, tmp_path: Path, clock: Clock) -> Iterator[Vault]:
        vault = at(tmp_path, clock=clock)
        yield vault
        vault.close()


FOLDERS = tempfile.mkdtemp()
atexit.register(shutil.rmtree, FOLDERS, ignore_errors=True)
TestPostgresMachine = machine_for(
    lambda clock: at(Path(tempfile.mkdtemp(dir=FOLDERS)), clock=clock),
    lambda vault: cast("PostgresVault", vault).close(),
).TestCase
TestPostgresMachine.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[PostgresVault]:
    vault = at(tmp_path, running().url("vault_alone"))
    yield vault
    vault.close()
    running().sql("DROP SCHEMA vault_alone CASCADE")


def again(vault: PostgresVault, folder: Path, origin: str = ORIGIN) -> PostgresVault:
    """Open the same vault with what is in another folder."""
    return PostgresVault(vault.address, folder / "master.key", origin, Clock())


def end_sessions() -> None:
    running().sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'muniment'")


def test_no_value_and_no_key_lies_open_in_the_database(vault: PostgresVault) -> None:
    slot = put(vault, CANARY)
    vault.remember("login", CANARY, OWNER)
    for table in ("slots", "directory", "vault_meta"):
        for row in running().sql(f"SELECT * FROM vault_alone.{table}"):  # noqa: S608
            assert not any(CANARY.encode() in cell for cell in row if isinstance(cell, bytes))
            assert CANARY not in row
    assert running().sql("SELECT to_regclass('vault_alone.data_keys')") == [(None,)]
    assert vault.get_many([slot]) == {slot: CANARY}


def test_a_session_that_was_ended_is_replaced(vault: PostgresVault) -> None:
    slot = put(vault, 1)
    end_sessions()
    assert vault.get_many([slot]) == {slot: 1}
    end_sessions()
    other = put(vault, 2, OTHER)
    end_sessions()
    assert vault.destroy(OWNER) == 1
    end_sessions()
    assert vault.sweep(nothing, 2**62) == 1
    assert vault.get_many([slot, other]) == {}


def test_a_forked_child_has_a_session_of_its_own(vault: PostgresVault) -> None:
    put(vault, "parent")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if vault.get_many([put(vault, "child")]) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert put(vault, "parent again")


def test_a_changed_slot_is_named(vault: PostgresVault) -> None:
    slot = put(vault, 1)
    running().sql(r"UPDATE vault_alone.slots SET sealed = sealed || '\x00'")
    with pytest.raises(CorruptError, match=slot):
        vault.get_many([slot])


@pytest.mark.parametrize("owner", [OWNER, OTHER])
def test_a5_a_value_that_was_moved_to_another_slot_is_named(vault: PostgresVault, owner: str) -> None:
    """Of the same owner too, whose key is the same: the slot is part of what was sealed."""
    mine, other = put(vault, "mine"), put(vault, "other", owner)
    moved = "FROM (SELECT nonce, sealed FROM vault_alone.slots WHERE slot = '{}') it WHERE slot = '{}'"
    running().sql(f"UPDATE vault_alone.slots SET nonce = it.nonce, sealed = it.sealed {moved.format(other, mine)}")  # noqa: S608
    assert vault.get_many([other]) == {other: "other"}
    with pytest.raises(CorruptError, match=mine):
        vault.get_many([mine])


def test_keys_that_belong_elsewhere_are_refused(vault: PostgresVault, tmp_path: Path) -> None:
    put(vault, 1)
    empty = tmp_path / "empty"
    with pytest.raises(KeyFileError, match=r"keys.sqlite3 is missing .* MUNIMENT_KEY_FILE"):
        again(vault, empty).find("login", "ada")
    with pytest.raises(KeyFileError, match="belongs to another ledger"):
        again(vault, tmp_path, "0000" * 8).find("login", "ada")
    other = at(tmp_path / "other")
    put(other, 1)
    other.close()
    with pytest.raises(KeyFileError, match="are not of one store"):
        again(vault, tmp_path / "other").find("login", "ada")


def test_an_empty_vault_does_not_take_the_keys_of_a_lost_one(vault: PostgresVault, tmp_path: Path) -> None:
    put(vault, 1)
    with pytest.raises(StorageError, match=r"is empty, but .* holds keys"):
        at(tmp_path).find("login", "ada")


def test_a_server_that_is_not_there_is_reported_without_what_is_secret(tmp_path: Path) -> None:
    vault = at(tmp_path, f"postgresql://ada:secret@/db?host={tmp_path}")
    with pytest.raises(StorageError, match="the vault in PostgreSQL cannot be reached") as caught:
        vault.put_many([SlotDraft(OWNER, "note", 1)])
    assert "secret" not in f"{caught.value} {caught.value.__cause__} {vault!r}"


def test_a_destroyed_key_that_comes_back_is_destroyed_again(vault: PostgresVault, tmp_path: Path) -> None:
    put(vault, "value")
    keys = vault.key_file.parent / "keys.sqlite3"
    vault.close()
    old = keys.read_bytes()
    assert vault.destroy(OWNER) == 1
    vault.close()
    keys.write_bytes(old)
    assert vault.data_keys() == []
    assert tmp_path
