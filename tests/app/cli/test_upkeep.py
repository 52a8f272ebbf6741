"""Collecting, checking, rebuilding, signing, the cache and the settings on the command line."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from muniment.app import clock
from muniment.app.places import OWN_NAME
from tests.app.cli.conftest import Run


def test_gc_shows_its_plan_and_acts_when_told_to(muniment: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_GRACE", "0s")
    muniment("artifact", "put", "-n", "mnist", str(data))
    assert muniment("gc").out == ("0 versions to delete, 0 to purge, 0 blobs (0 B) to remove; 0 uploads are running\n")
    muniment("artifact", "put", "-n", "mnist", str(data / "a.txt"))
    muniment("artifact", "ttl", "mnist:v0", "0.000001s")
    assert [due["name"] for due in muniment("gc", "--json").json["versions"]] == ["local/uncategorized/mnist:v0"]
    assert "nothing was done" in muniment("gc", "--dry-run", "--yes").out
    muniment("artifact", "show", "mnist:v0")
    done = muniment("gc", "--yes", "--wait", "0", "--json").json
    assert (done["deleted"], done["purged"], done["failed"]) == (1, 1, [])
    assert done["blobs"] >= 1
    assert done["bytes"] >= len("world\n")
    assert "purged" in muniment("artifact", "show", "mnist:v0", status=1).err
    assert muniment("gc", "--yes").out.startswith("deleted 0 versions, purged 0, removed 0 blobs")
    assert muniment("fsck").out == ""


def test_gc_tells_how_much_waits_because_the_clock_may_have_jumped(
    muniment: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    muniment("artifact", "ttl", "mnist:v0", "30d")
    later = clock.now() + 3653 * 86_400 * 1_000_000
    monkeypatch.setattr(clock, "now", lambda: later)
    done = muniment("gc", "--yes", "--json").json
    assert (done["deleted"], done["waiting"]) == (0, 1)
    assert "3,653.0 days ahead of the last event" in done["parked"]
    said = muniment("gc", "--yes").out
    assert "1 versions are due and wait: until " in said
    assert "let another admin run: muniment approval approve " in said


def test_what_gc_removed_is_on_record(muniment: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_GRACE", "0s")
    assert muniment("disposals").out == "nothing was disposed of\n"
    muniment("artifact", "put", "-n", "mnist", str(data))
    there = str(muniment("stats", "--json").json["events"])
    muniment("artifact", "delete", "mnist:v0")
    done = muniment("gc", "--yes", "--json").json
    assert (done["let_go"], done["purged"], done["residual"], done["parked"]) == (1, 1, 0, None)
    assert done["places"] == [{"place": None, "blobs": done["blobs"], "bytes": done["bytes"]}]
    (row,) = muniment("disposals", "mnist:v0", "--json").lines
    assert (row["name"], row["trigger"], row["place"]) == ("local/uncategorized/mnist:v0", "deleted", OWN_NAME)
    assert (row["method"], row["verified_by"], row["blobs"]) == ("deleted", "files", done["blobs"])
    assert muniment("disposals", "--since", "2020-01-01", "--json").lines == [row]
    assert muniment("disposals", "--since", "2999-01-01").out == "nothing was disposed of\n"
    assert muniment("disposals", "--left").out == "no copy is left\n"
    assert "leave the name out" in muniment("disposals", "mnist:v0", "--left", status=1).err
    for act in (["artifact", "show"], ["artifact", "restore"], ["artifact", "get"]):
        assert "mnist:v0 was purged on 20" in muniment(*act, "mnist:v0", status=1).err
    for act in (["artifact", "show", "--files"], ["artifact", "diff", "mnist:v0"]):
        assert "mnist:v0 was purged on 20" in muniment(*act, "mnist:v0", "--as-of", there, status=1).err


def test_fsck_names_the_event_that_was_changed(muniment: Run, own_home: Path) -> None:
    muniment("org", "create", "research")
    assert muniment("fsck", "--fast").err == "no faults\n"
    damage(own_home, "UPDATE events SET topic = 'run.deleted.1' WHERE rowid = 9")
    faults = muniment("fsck", status=1)
    assert "ledger: event 9 was changed" in faults.out
    assert "faults" in faults.err


def test_a_checkpoint_is_signed_and_only_by_the_store(muniment: Run) -> None:
    made = muniment("checkpoint", "-o", "june.note")
    note = Path("june.note").read_text()
    assert made.out == f"signed {note.splitlines()[1]} events into june.note\n"
    assert muniment("checkpoint").out == note
    key = muniment("checkpoint", "--verifier").out.strip()
    assert muniment("checkpoint", "--json").json == {"note": note, "events": 8, "verifier": key}
    muniment("org", "create", "later")
    muniment("fsck", "--checkpoint", "june.note", "--verifier", key)
    other = muniment("--home", "other", "checkpoint", "--verifier").out.strip()
    assert "checkpoint:" in muniment("fsck", "--checkpoint", "june.note", "--verifier", other, status=1).out


def test_a_checkpoint_that_was_kept_shows_that_the_ledger_was_rolled_back(muniment: Run, own_home: Path) -> None:
    muniment("org", "ls")
    with closing(sqlite3.connect(own_home / "ledger.sqlite3")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = (own_home / "ledger.sqlite3").read_bytes()
    muniment("org", "create", "research")
    muniment("checkpoint", "-o", "june.note")
    for file in own_home.glob("ledger.sqlite3-*"):
        file.unlink()
    (own_home / "ledger.sqlite3").write_bytes(before)
    muniment("fsck")
    faults = muniment("fsck", "--checkpoint", "june.note", "--json", status=1).lines
    assert [fault["kind"] for fault in faults] == ["checkpoint"]
    assert "events 9 to 12 are missing" in faults[0]["fault"]


def test_a_checkpoint_file_that_is_not_there_is_said(muniment: Run, tmp_path: Path) -> None:
    assert "nope cannot be read: No such file" in muniment("fsck", "--checkpoint", "nope", status=1).err
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "it is no text" in muniment("fsck", "--checkpoint", str(tmp_path / "binary"), status=1).err
    assert "cannot be written" in muniment("checkpoint", "-o", str(tmp_path), status=1).err


def test_rebuild_makes_the_rows_again(muniment: Run) -> None:
    muniment("org", "create", "research")
    count = int(muniment("events", "-n", "1", "--json").lines[0]["seq"])
    assert muniment("rebuild").out == f"rebuilt all rows from {count} events\n"
    assert muniment("fsck").out == ""


def test_the_cache_is_shown_and_made_smaller(muniment: Run, own_home: Path) -> None:
    for digest in ("a" * 64, "b" * 64):
        folder = own_home / "cache" / "blobs" / digest[:2]
        folder.mkdir(parents=True)
        (folder / digest).write_bytes(b"x" * 1000)
    assert muniment("cache", "ls", "--json").json["bytes"] == 2000
    assert "limit   10.0 GiB" in muniment("cache", "ls").out
    assert muniment("artifact", "cache", "cleanup", "--remove-temp", "1000", "--json").json == {
        "freed_bytes": 1000,
        "bytes": 1000,
        "blobs": 1,
    }
    assert muniment("cache", "cleanup", "0").out == "freed 1000 B, 0 B left\n"
    assert "is no size" in muniment("cache", "cleanup", "lots", status=1).err
    assert [path.name for path in own_home.iterdir()] == ["cache"]


def test_every_setting_says_where_it_comes_from(muniment: Run, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "digits")
    own_home.mkdir()
    (own_home / "config.toml").write_text('grace = "3d"\n')
    settings = {row["name"]: row for row in muniment("config", "--json").lines}
    assert (settings["project"]["value"], settings["project"]["source"]) == ("digits", "WANDB_PROJECT")
    assert (settings["grace"]["value"], settings["grace"]["source"]) == ("3d", "config.toml")
    assert (settings["entity"]["value"], settings["entity"]["source"]) == ("local", "default")
    assert (settings["home"]["value"], settings["home"]["source"]) == (str(own_home), "MUNIMENT_HOME")
    assert muniment("config", "project").out == "digits\n"
    assert muniment("config").out.splitlines()[0].split() == ["NAME", "VALUE", "SOURCE", "MEANING"]
    monkeypatch.delenv("MUNIMENT_ACTOR")
    assert muniment("config", "actor", "--json").json["source"] == "operating system"
    assert "no setting 'nope'" in muniment("config", "nope", status=1).err
    assert [path.name for path in own_home.iterdir()] == ["config.toml"]


def damage(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as connection:
        connection.execute(statement)
        connection.commit()
