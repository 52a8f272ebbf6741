"""A replay on the command line: built with one command, looked at with all the others, changed with none."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.app.cli.conftest import Run


def test_a_moment_is_built_again_and_looked_at(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    seq = muniment("events", "--json").lines[-1]["seq"]
    (data / "more.txt").write_text("more")
    muniment("artifact", "put", "-n", "mnist", str(data))
    built = muniment("replay", "--until", str(seq), "-o", "then", "--json").json
    assert built["seq"] == seq
    then = ("--home", "then")
    assert muniment(*then, "artifact", "show", "mnist", "--json").json["source"].endswith("mnist:v0")
    assert [each["path"] for each in muniment(*then, "artifact", "show", "mnist", "--files", "--json").lines] == [
        "a.txt",
        "sub/b.txt",
    ]
    assert muniment(*then, "events", "--json").out == muniment("events", "--until", str(seq), "--json").out
    muniment(*then, "fsck")
    for act in (
        ("artifact", "put", "-n", "mnist", str(data)),
        ("artifact", "get", "mnist"),
        ("rebuild",),
        ("checkpoint",),
        ("gc", "--yes"),
    ):
        assert "this store is a replay and only read" in muniment(*then, *act, status=1).err
    assert not Path("artifacts").exists()
    muniment("artifact", "get", "mnist:v0")


def test_a_replay_of_a_replay_and_of_an_event_that_never_was(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    muniment("replay", "--until", "now", "-o", "then")
    again = muniment("--home", "then", "replay", "--until", "5", "-o", "earlier", "--json").json
    assert again["root"] == muniment("replay", "--until", "5", "-o", "direct", "--json").json["root"]
    assert "there is no event 9999" in muniment("replay", "--until", "9999", "-o", "x", status=1).err
    assert "is there already" in muniment("replay", "--until", "5", "-o", "direct", status=1).err
    shutil.rmtree("direct")
