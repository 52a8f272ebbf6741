"""Bad input of every kind: a clear error of our tree that names the thing, and nothing half-written."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import muniment as wandb
from muniment.adapters.ledger.sqlite import SqliteLedger
from muniment.app import bootstrap, config, directory, fsck
from muniment.app.sdk import session
from muniment.domain.errors import CorruptError, KeyFileError, MunimentError, StorageError, StorageFullError

CYCLIC: dict[str, Any] = {}
CYCLIC["itself"] = CYCLIC
LONG = "n" * 129


def snapshot() -> tuple[int, int, int]:
    """Return what a refused act must not change: events, blobs, files in staging (refusals themselves left out)."""
    store = bootstrap.open_store(config.load())
    events = sum(1 for each in store.ledger.read() if each.outcome == "ok" and not each.type.startswith("run."))
    blobs = sum(1 for _ in store.blobs.list())
    staged = sum(1 for path in store.staging.rglob("*") if path.is_file() and "lock" not in path.name)
    return events, blobs, staged


def log(artifact: wandb.Artifact, **arguments: Any) -> wandb.Artifact:
    with wandb.init(project="bad") as run:
        return run.log_artifact(artifact, **arguments).wait()


def log_with(artifact: wandb.Artifact, file: Path, name: str) -> wandb.Artifact:
    artifact.add_file(str(file), name=name)
    return log(artifact)


def named(name: Any, type_: Any = "dataset", **arguments: Any) -> Callable[[], Any]:
    return lambda: wandb.Artifact(name, type_, **arguments)


NAMES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "empty name": (named(""), ValueError, "name"),
    "space in a name": (named("a b"), ValueError, "alphanumeric"),
    "slash in a name": (named("a/b"), ValueError, "alphanumeric"),
    "colon in a name": (named("a:b"), ValueError, "alphanumeric"),
    "long name": (named(LONG), ValueError, "128"),
    "newline in a name": (named("a\n"), ValueError, "name"),
    "null in a name": (named("a\0"), ValueError, "name"),
    "name that is no text": (named(7), (ValueError, TypeError), "name"),  # type: ignore[dict-item]
    "reserved type": (named("a", "job"), ValueError, "reserved"),
    "reserved prefix": (named("a", "wandb-thing"), ValueError, "reserved"),
    "slash in a type": (named("a", "b/c"), ValueError, "type"),
    "empty type": (named("a", ""), ValueError, "type"),
    "metadata that is no dict": (named("a", metadata="text"), TypeError, "metadata"),
    "metadata with NaN": (named("a", metadata={"x": float("nan")}), ValueError, "float|NaN"),
    "metadata with infinity": (named("a", metadata={"x": float("inf")}), ValueError, "float|inf"),
    "cyclic metadata": (named("a", metadata=CYCLIC), ValueError, "itself|cycl|circular|deep"),
    "too many metadata keys": (named("a", metadata={str(n): n for n in range(101)}), ValueError, "100"),
    "unknown digest algorithm": (named("a", digest_algorithm="CRC32"), ValueError, "CRC32"),
}


@pytest.mark.parametrize("what", NAMES)
def test_a_name_or_metadata_that_is_not_allowed(what: str) -> None:
    act, error, text = NAMES[what]
    with pytest.raises(error, match=f"(?i){text}"):
        act()


def test_metadata_that_json_does_not_know_is_refused_before_anything_is_written() -> None:
    with pytest.raises((TypeError, ValueError), match=r"(?i)metadata|json"):
        log(wandb.Artifact("data", "dataset", metadata={"x": object()}))


@pytest.mark.parametrize("alias", ["", "a/b", "a:b", "v3", "v0", "x" * 129, "a\nb", " a", "a\0"])
def test_an_alias_that_is_not_allowed_leaves_no_version(alias: str) -> None:
    artifact = wandb.Artifact("data", "dataset")
    with wandb.init(project="bad") as run, pytest.raises(ValueError, match=r"(?i)alias"):
        run.log_artifact(artifact, aliases=[alias]).wait()
    assert not wandb.Api().artifact_exists("bad/data:latest")


@pytest.mark.parametrize("tag", ["", "a.b", "a/b", "x" * 129, "a\nb"])
def test_a_tag_that_is_not_allowed_leaves_no_version(tag: str) -> None:
    artifact = wandb.Artifact("data", "dataset")
    with wandb.init(project="bad") as run, pytest.raises(ValueError, match=r"(?i)tag"):
        run.log_artifact(artifact, tags=[tag]).wait()
    assert not wandb.Api().artifact_exists("bad/data:latest")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "..", "../x", "a/../../x", ".", "", "C:x", "a\nb", "a\0b", "a\x1bb", "a\ud800"]
)
def test_an_entry_path_that_is_not_allowed(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    artifact = wandb.Artifact("data", "dataset")
    if path:
        with pytest.raises(ValueError, match=r"(?i)path"):
            artifact.add_file(str(tmp_path / "file"), name=path)
    with pytest.raises(ValueError, match=r"(?i)path"), artifact.new_file(path) as file:
        file.write("content")
    assert list(artifact.manifest.entries) == []


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    artifact = wandb.Artifact("data", "dataset")
    artifact.add_file(str(tmp_path / "file"), name="a")
    with pytest.raises(ValueError, match=r"a/b|'a'"):
        log_with(artifact, tmp_path / "file", "a/b")
    assert not wandb.Api().artifact_exists("bad/data:latest")


def test_missing_files_and_folders_are_named() -> None:
    artifact = wandb.Artifact("data", "dataset")
    with pytest.raises(ValueError, match=r"nowhere\.txt"):
        artifact.add_file("nowhere.txt")
    with pytest.raises(ValueError, match="nowhere"):
        artifact.add_dir("nowhere")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        artifact.remove("nowhere.txt")
    with pytest.raises(KeyError, match=r"nowhere\.txt"):
        artifact.get_entry("nowhere.txt")
    with pytest.raises((MunimentError, ValueError), match="nowhere"):
        artifact.add_reference("file:///nowhere/at/all")


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1), timedelta(days=-1)])
def test_a_ttl_that_is_not_positive_is_refused(ttl: timedelta) -> None:
    artifact = wandb.Artifact("data", "dataset")
    with pytest.raises(ValueError, match=r"(?i)positive"):
        artifact.ttl = ttl


def test_a_folder_that_vanishes_while_it_is_added_leaves_no_version(tmp_path: Path) -> None:
    folder = tmp_path / "vanishing"
    folder.mkdir()
    (folder / "weights.bin").write_text("content")
    artifact = wandb.Artifact("data", "dataset")
    artifact.add_dir(str(folder), policy="immutable")
    shutil.rmtree(folder)
    with pytest.raises((MunimentError, OSError), match=r"weights\.bin"):
        log(artifact)
    assert not wandb.Api().artifact_exists("bad/data:latest")
    assert [fault.text for fault in fsck.check(bootstrap.open_store(config.load()))] == []


def test_a_symlink_loop_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="loop"):
        wandb.Artifact("data", "dataset").add_dir(str(tmp_path))


def test_a_pipe_among_the_files_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe"):
        wandb.Artifact("data", "dataset").add_dir(str(tmp_path))


def test_looking_for_what_is_not_there_names_it() -> None:
    log(wandb.Artifact("data", "dataset"))
    api = wandb.Api()
    for name, text in {
        "bad/nothing": "nothing",
        "bad/data:production": "production",
        "bad/data:v7": "v7",
        "nowhere/data": "nowhere",
        "noteam/bad/data": "noteam",
        "wandb-registry-nothing/data": "nothing",
        "wandb-registry-model/nothing": "nothing",
        "a/b/c/d": "a/b/c/d",
    }.items():
        with pytest.raises((MunimentError, ValueError), match=text):
            api.artifact(name)


# --- the machine misbehaves -------------------------------------------------------------------------------------------


@contextmanager
def unprivileged() -> Iterator[None]:
    """Act as a user for whom permissions count; root would not notice them."""
    if os.geteuid() != 0:
        yield
        return
    gc.collect()  # stores that earlier tests left behind are tidied up while we still may
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_unreadable_file_is_named() -> None:
    log(wandb.Artifact("warm", "dataset"))
    folder = Path("/tmp") / f"muniment-unreadable-{os.getpid()}"  # noqa: S108 (others must reach it)
    folder.mkdir(mode=0o755)
    try:
        (folder / "secret").write_text("content")
        (folder / "secret").chmod(0)
        artifact = wandb.Artifact("data", "dataset")
        with unprivileged(), pytest.raises((MunimentError, OSError), match="secret"):
            artifact.add_file(str(folder / "secret"), policy="immutable")
    finally:
        shutil.rmtree(folder)


def test_a_home_that_cannot_be_written_says_so() -> None:
    parent = Path("/tmp") / f"muniment-readonly-{os.getpid()}"  # noqa: S108 (others must reach it)
    parent.mkdir(mode=0o555)
    try:
        log(wandb.Artifact("warm", "dataset"))
        with unprivileged(), pytest.raises(StorageError, match="MUNIMENT_HOME"):
            bootstrap.open_store(config.load(home=str(parent / "home")))
        assert list(parent.iterdir()) == []
    finally:
        shutil.rmtree(parent)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a small file system in memory; that needs root, which the checks have."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_an_error_and_leaves_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "small", "12m") as home:
        monkeypatch.setenv("MUNIMENT_HOME", str(home / "home"))
        log(wandb.Artifact("before", "dataset"))
        (tmp_path / "big").write_bytes(os.urandom(16 << 20))
        artifact = wandb.Artifact("data", "dataset")
        with pytest.raises((StorageFullError, OSError), match=r"(?i)space"):
            log_with(artifact, tmp_path / "big", "big")
        assert not wandb.Api().artifact_exists("bad/data:latest")
        assert wandb.Api().artifact_exists("bad/before:latest")
        assert [fault.text for fault in fsck.check(bootstrap.open_store(config.load()))] == []
        session.close()


def opened_again(home: Path) -> str:
    """Return what a new process says when it opens the store."""
    done = subprocess.run(
        [sys.executable, "-c", "import muniment as wandb; print(wandb.Api().artifact('bad/data:latest').name)"],
        env={**os.environ, "MUNIMENT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_damaged_ledger_says_so(own_home: Path) -> None:
    log(wandb.Artifact("data", "dataset"))
    session.close()
    (own_home / "ledger.sqlite3").write_bytes(b"this is no database" * 1000)
    for rest in ("-wal", "-shm"):
        (own_home / f"ledger.sqlite3{rest}").unlink(missing_ok=True)
    with pytest.raises(CorruptError, match=r"(?i)damaged|not a database"):
        bootstrap.open_store(config.load())
    assert "CorruptError" in opened_again(own_home)


def test_a_missing_key_file_says_so_and_is_not_made_anew(own_home: Path) -> None:
    log(wandb.Artifact("data", "dataset", description="personal"))
    session.close()
    (own_home / "master.key").unlink()
    assert "KeyFileError" in opened_again(own_home)
    assert not (own_home / "master.key").exists()


def test_a_wrong_key_file_says_so(own_home: Path) -> None:
    log(wandb.Artifact("data", "dataset", description="personal"))
    session.close()
    (own_home / "master.key").write_bytes(bytes(32))
    assert "KeyFileError" in opened_again(own_home)


def test_a_ledger_of_a_newer_version_is_refused(own_home: Path) -> None:
    log(wandb.Artifact("data", "dataset"))
    session.close()
    with sqlite3.connect(own_home / "ledger.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match=r"(?i)upgrade"):
        bootstrap.open_store(config.load())


def test_a_key_file_that_others_can_read_is_refused(own_home: Path) -> None:
    log(wandb.Artifact("data", "dataset"))
    session.close()
    (own_home / "master.key").chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        bootstrap.open_store(config.load())
    assert "KeyFileError" in opened_again(own_home)


def test_a_clock_that_goes_back_never_makes_time_run_backwards() -> None:
    ledger = bootstrap.open_ledger(config.load())
    assert isinstance(ledger, SqliteLedger)
    store = evolve(bootstrap.open_store(config.load()), ledger=ledger)
    last = ledger.head().recorded_at
    ledger.core.clock = lambda: last - 3_600_000_000
    directory.create_team(store, "late")
    times = [recorded.recorded_at for recorded in store.ledger.read()]
    assert times == sorted(set(times))
    assert [fault.text for fault in fsck.check(store)] == []


def test_a_failed_upload_surfaces_when_the_run_ends_and_leaves_no_version(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_text("content")
    artifact = wandb.Artifact("data", "dataset")
    artifact.add_file(str(tmp_path / "weights.bin"), policy="immutable")
    (tmp_path / "weights.bin").write_text("other")
    with pytest.raises(MunimentError, match=r"weights\.bin"), wandb.init(project="bad") as run:
        run.log_artifact(artifact)
    assert not wandb.Api().artifact_exists("bad/data:latest")
    before = snapshot()
    assert before[2] == 0, "staging is empty"
