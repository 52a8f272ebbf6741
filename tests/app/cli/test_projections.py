"""Batched projections and who used what, on the command line."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.app.cli.conftest import Run


def test_usage_shows_who_downloaded_what(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    assert muniment("usage", "mnist").out == "nobody\n"
    before = muniment("events", "--json").lines[-1]["seq"]
    muniment("artifact", "get", "mnist", "--root", "there")
    muniment("artifact", "get", "mnist", "--root", "elsewhere")
    (row,) = muniment("usage", "mnist:v0", "--json").lines
    assert (row["kind"], row["user"], row["run"], row["count"]) == ("downloaded", "ada", None, 2)
    assert row["first_at"] < row["last_at"]
    assert muniment("usage", "mnist", "--as-of", str(before)).out == "nobody\n"
    assert "ada" in muniment("usage", "mnist", "--as-of", str(before + 1)).out


def test_projections_say_how_far_they_are_and_catch_up(muniment: Run, own_home: Path) -> None:
    muniment("org", "create", "research")
    (row,) = muniment("projections", "ls", "--json").lines
    assert (row["name"], row["position"], row["parked"]) == ("usage", 0, [])
    assert row["behind"] > 0
    assert muniment("projections", "run", "--once").out == f"usage: at event {row['behind']}, 0 behind, 0 parked\n"
    assert muniment("stats", "--json").json["projections"] == [{"name": "usage", "behind": 0, "parked": 0}]
    with closing(sqlite3.connect(own_home / "ledger.sqlite3", isolation_level=None)) as connection:
        connection.execute("INSERT INTO parked VALUES ('usage', 3, 'KeyError', 'fold:7', 0)")
    assert "event 3: KeyError in fold:7" in muniment("projections", "ls").out
    assert "could not fold 1 events, the first is 3" in muniment("doctor").out
    assert muniment("projections", "retry").out == "1 parked events were folded, 0 are parked\n"
    assert "no projection 'search'" in muniment("projections", "retry", "search", status=1).err


def test_fsck_finds_wrong_totals_and_rebuild_makes_them_right(muniment: Run, data: Path, own_home: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    muniment("artifact", "get", "mnist", "--root", "there")
    muniment("usage", "mnist")
    with closing(sqlite3.connect(own_home / "ledger.sqlite3", isolation_level=None)) as connection:
        connection.execute('UPDATE "usage" SET "count" = 9')
    assert "projection: table usage" in muniment("fsck", status=1).out
    muniment("rebuild")
    assert muniment("fsck").out == ""
