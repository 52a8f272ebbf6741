"""A store that moves to PostgreSQL through the command line, and goes on there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.cli.conftest import Run
from tests.servers.postgres import running


@pytest.fixture
def store(muniment: Run, data: Path, own_home: Path) -> Path:
    """Return the home of a store with one version in it."""
    muniment("artifact", "put", "-t", "dataset", "-n", "first", "--description", "about it", str(data))
    return own_home


def test_a_store_moves_to_postgresql_and_goes_on(
    muniment: Run, data: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, vault = running().url(), running().url()
    moved = muniment("migrate", str(store / "ledger.sqlite3"), ledger, "--json").json
    assert moved["events"] > 5
    assert moved["done"]
    assert muniment("migrate", "--vault", str(store), vault).out.startswith("carried over")
    again = muniment("migrate", str(store / "ledger.sqlite3"), ledger).out
    assert again == f"all was there already: {moved['events']} events, root {moved['root']}\n"
    for name in ("ledger.sqlite3", "vault.sqlite3"):
        (store / name).unlink()
    monkeypatch.setenv("MUNIMENT_LEDGER", ledger)
    monkeypatch.setenv("MUNIMENT_VAULT", vault)
    assert "about it" in muniment("artifact", "show", "first:v0").out
    muniment("artifact", "put", "-t", "dataset", "-n", "second", str(data))
    muniment("fsck")
    muniment("rebuild")
    muniment("gc", "--yes")
    muniment("checkpoint")
    assert not (store / "ledger.sqlite3").exists()
    assert not (store / "vault.sqlite3").exists()


def test_a_ledger_that_is_not_there_is_not_made(muniment: Run, tmp_path: Path) -> None:
    absent = tmp_path / "absent.sqlite3"
    said = muniment("migrate", str(absent), running().url(), status=1).err
    assert said.startswith(f"error: there is no ledger at {absent} — ")
    assert not absent.exists()


def test_an_empty_ledger_is_not_carried_and_leaves_nothing(muniment: Run, tmp_path: Path) -> None:
    said = muniment("migrate", running().url(), str(tmp_path / "new" / "ledger.sqlite3"), status=1).err
    assert said.startswith("error: there is nothing to carry over")
    assert not (tmp_path / "new").exists()


def test_a_ledger_is_carried_into_a_folder_that_is_not_there_yet(muniment: Run, store: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "ledger.sqlite3"
    muniment("migrate", str(store / "ledger.sqlite3"), str(target))
    assert target.parent.stat().st_mode & 0o777 == 0o700


def test_a_vault_that_is_not_there_is_not_made(muniment: Run, tmp_path: Path) -> None:
    said = muniment("migrate", "--vault", str(tmp_path / "absent"), running().url(), status=1).err
    assert said.startswith("error: there is no vault at ")


def test_passwords_of_urls_are_not_shown(muniment: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_LEDGER", "postgresql://ada:s3cret@db:5432/x?sslmode=require&password=s3cret")
    for asked in (["config"], ["config", "ledger"], ["config", "--json"]):
        out = muniment(*asked).out
        assert "s3cret" not in out
        assert "postgresql://ada:***@db:5432/x?sslmode=require&password=***" in out
