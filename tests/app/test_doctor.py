"""The doctor finds what keeps a store from working, and says the way out."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from attrs import evolve

from muniment.adapters.blobs.memory import MemoryBlobStore
from muniment.app import projector
from muniment.app.bootstrap import open_store
from muniment.app.config import Config, load
from muniment.app.doctor import Finding, examine, packages
from muniment.app.store import Store
from muniment.domain.errors import KeyFileError, StorageError
from muniment.domain.ports import BlobResult
from muniment.domain.projection import Batch, Parked
from tests.app.scene import DAY, Scene
from tests.servers.postgres import postgres_ledger, running

CHECKS = ["python", "sqlite", "packages", "home", "space", "key file", "signing key"]
IN_STORE = ["ledger", "schema", "vault", "blobs", "projections", "clock", "staging"]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load({"MUNIMENT_HOME": str(tmp_path / "home"), "MUNIMENT_ACTOR": "ada"})


@pytest.fixture
def opened(config: Config) -> Iterator[Store]:
    store = open_store(config)
    yield store
    store.ledger.close()


def wrong(config: Config, store: Store) -> list[tuple[str, str]]:
    """Return the checks that were not ok, each with the way out."""
    return [(found.check, str(found.way_out)) for found in examine(config, lambda: store) if found.state != "ok"]


def test_everything_is_well_and_nothing_is_left_behind(config: Config, opened: Store) -> None:
    before = list(opened.ledger.dump())
    findings = list(examine(config, lambda: opened))
    assert [found.check for found in findings] == CHECKS + IN_STORE
    assert {(found.state, found.way_out) for found in findings} == {("ok", None)}
    assert list(opened.ledger.dump()) == before
    assert list(opened.blobs.list()) == []
    assert opened.ledger.scratch.items("doctor") == []


def test_what_others_may_read_is_named(config: Config, opened: Store) -> None:
    config.home.chmod(0o750)
    (config.home / "master.key").chmod(0o644)
    found = wrong(config, opened)
    assert ("home", f"chmod 700 {config.home}") in found
    assert ("key file", f"chmod 600 {config.home / 'master.key'}") in found


def test_a_store_that_cannot_be_opened_is_one_failure(config: Config) -> None:
    def refuse() -> Store:
        msg = "key file is missing — put it back"
        raise KeyFileError(msg)

    findings = list(examine(config, refuse))
    assert [found.check for found in findings] == [*CHECKS[:5], "store", *CHECKS[5:]]
    assert Finding("store", "fail", "key file is missing", "put it back") in findings


def test_a_home_that_is_no_folder_is_named(config: Config, scene: Scene) -> None:
    config.home.write_text("")
    assert ("home", "set MUNIMENT_HOME to one") in wrong(config, scene.store)


def test_a_table_that_is_gone_is_found(config: Config, opened: Store) -> None:
    with closing(sqlite3.connect(config.home / "ledger.sqlite3")) as connection:
        connection.execute("DROP TABLE tags")
        connection.commit()
    assert [check for check, _ in wrong(config, opened)] == ["schema"]


def test_a_clock_that_was_set_back_is_found(scene: Scene) -> None:
    scene.pass_time(-DAY)
    found = dict(wrong(scene.store.config, scene.store))
    assert "set the clock" in found["clock"]


@pytest.mark.parametrize(("ahead", "found"), [(0, []), (60, ["this machine is +60 s from the server of the ledger"])])
def test_the_clock_of_a_server_of_the_ledger_is_compared(scene: Scene, ahead: int, found: list[str]) -> None:
    store = evolve(scene.store, ledger=postgres_ledger(running().url(), scene.store.clock))
    there = store.ledger.engine().now
    assert there is not None
    shown = evolve(store, clock=lambda: there + ahead * 1_000_000)
    texts = [each.text for each in examine(store.config, lambda: shown) if each.check in {"clock", "ledger"}]
    assert texts[0].startswith("PostgreSQL 18")
    assert texts[2:] == found


def test_what_a_process_that_is_gone_left_behind_is_counted(config: Config, opened: Store) -> None:
    folder = opened.staging / "0123"
    folder.mkdir(parents=True)
    (folder / "0").write_bytes(b"half")
    (found,) = [each for each in examine(config, lambda: opened) if each.check == "staging"]
    assert (found.state, found.text) == ("warn", "1 folders with 4 bytes were left by processes that are gone")
    assert (folder / "0").read_bytes() == b"half"


class Failing(MemoryBlobStore):
    """Blobs that cannot be put."""

    def put_many(self, blobs: Any) -> Iterator[BlobResult]:
        for source in blobs:
            yield BlobResult(source.digest, done=False, error=StorageError("the bucket said no — ask its owner"))


class Keeping(MemoryBlobStore):
    """Blobs that say they are gone, and are not."""

    def delete_many(self, digests: Any) -> Iterator[BlobResult]:
        return (BlobResult(digest) for digest in digests)


@pytest.mark.parametrize(
    ("blobs", "way_out"), [(Failing, "ask its owner"), (Keeping, "check what the store keeps of deleted objects")]
)
def test_blobs_that_do_not_work_fail(
    config: Config, opened: Store, blobs: Callable[[], MemoryBlobStore], way_out: str
) -> None:
    assert wrong(config, evolve(opened, blobs=blobs())) == [("blobs", way_out)]


class Usage(NamedTuple):
    """What is free on a disk."""

    free: int


@pytest.mark.parametrize(("free", "state"), [(1 << 40, "ok"), (1 << 29, "warn"), (1 << 20, "fail")])
def test_space_is_told_for_every_file_system_once(
    config: Config, opened: Store, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free))
    found = [each.state for each in examine(config, lambda: opened) if each.check == "space"]
    assert found == [state]


def test_packages_are_compared_with_what_is_required() -> None:
    installed = {"eventsourcing": "10.0.1", "attrs": "24.9", "click": "8.5.1", "boto3": "1.2"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    required = ["eventsourcing==9.5.6", "attrs>=25.1", "click>=8.1", "msgspec>=0.19", 'fsspec>=1; extra == "fsspec"']
    assert [(found.state, found.text) for found in packages(version, required)] == [
        ("fail", "eventsourcing 10.0.1 is not ==9.5.6"),
        ("fail", "attrs 24.9 is not >=25.1"),
        ("fail", "the package msgspec is missing"),
    ]
    old = 'boto3>=1.40; extra == "s3"'
    assert [found.way_out for found in packages(version, [old])] == ["pip install 'boto3>=1.40'"]
    extras = ["click>=8.1", 'boto3>=1; extra == "s3"', "attrs>=1; extra == 'dev'"]
    assert [found.text for found in packages(version, extras)] == ["click 8.5.1, boto3 1.2"]
    assert [found.state for found in packages(version, [])] == ["warn"]


def test_what_could_not_be_folded_or_is_far_behind_is_told(
    config: Config, opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "ON_DEMAND", 1)
    assert wrong(config, opened) == [("projections", "`muniment projections run --once` catches up")]
    parked = Parked("usage", 1, "KeyError", "fold:7", 0)
    assert opened.projections.advance(Batch("usage", 0, opened.ledger.head().size, parked=(parked,)))
    assert wrong(config, opened) == [("projections", "upgrade Muniment, then `muniment projections retry`")]
