"""Lineage, history, moments and events on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from muniment.app.bootstrap import open_store
from muniment.app.cli.events import Reading, Wanted
from muniment.app.config import load
from muniment.app.directory import create_team
from tests.app.cli.conftest import Run


@pytest.fixture
def promoted(muniment: Run, data: Path) -> int:
    """Link two versions one after the other and promote each; return the seq between."""
    muniment("artifact", "put", "-n", "mnist", "--id", "r0", str(data))
    muniment("registry", "link", "mnist:v0", "wandb-registry-dataset/mnist", "-a", "production")
    between = int(muniment("events", "-n", "1", "--json").lines[0]["seq"])
    muniment("artifact", "put", "-n", "mnist", "--id", "r1", str(data / "a.txt"))
    muniment("registry", "link", "mnist:v1", "wandb-registry-dataset/mnist", "-a", "production")
    return between


@pytest.mark.usefixtures("promoted")
def test_lineage_is_a_tree_json_dot_or_mermaid(muniment: Run) -> None:
    tree = muniment("lineage", "mnist:v0").out
    assert "logged by run r0" in tree
    assert "linked as wandb-registry-dataset/mnist:v0" in tree
    for name in (
        "mnist:v0",
        "wandb-registry-dataset/mnist:v0",
        "r0",
        "uncategorized/runs/r0",
        "local/uncategorized/r0",
    ):
        graph = muniment("lineage", name, "--json").json
        assert {edge["kind"] for edge in graph["edges"]} == {"logged", "linked as"}
    up = muniment("lineage", "mnist:v0", "--up", "--depth", "1", "--json").json
    assert {node["kind"] for node in up["nodes"]} == {"version", "run"}
    down = muniment("lineage", "mnist:v0", "--down", "--json").json
    assert {node["kind"] for node in down["nodes"]} == {"version", "link"}
    assert muniment("lineage", "mnist", "--dot").out.startswith("digraph lineage {")
    assert muniment("lineage", "mnist", "--mermaid").out.startswith("flowchart LR")
    assert "nothing here is called 'nope'" in muniment("lineage", "nope", status=1).err
    assert "is a team" in muniment("lineage", "local", status=1).err


def test_a_lineage_can_be_that_of_another_moment(promoted: int, muniment: Run) -> None:
    then = muniment("lineage", "wandb-registry-dataset/mnist", "--as-of", str(promoted), "--json").json
    assert then["root"] == muniment("artifact", "show", "mnist:v0", "--json").json["version_id"]


@pytest.mark.usefixtures("promoted")
def test_history_tells_who_did_what_before_and_after(muniment: Run) -> None:
    out = muniment("history", "wandb-registry-dataset/mnist").out
    assert "ada  alias moved  collection local/wandb-registry-dataset/mnist" in out
    assert "alias production: local/uncategorized/mnist:v0 → local/uncategorized/mnist:v1" in out
    rows = muniment("history", "wandb-registry-dataset/mnist", "--newest-first", "--limit", "1", "--json").lines
    assert rows[0]["act"] == "alias moved"
    assert rows[0]["at"].endswith("Z")
    older = muniment(
        "history", "wandb-registry-dataset/mnist", "--newest-first", "--after", rows[-1]["next"], "--json"
    ).lines
    assert [row["seq"] for row in older] == sorted((row["seq"] for row in older), reverse=True)
    assert older[0]["seq"] < rows[0]["seq"]
    for name in ("mnist", "mnist:v0", "r0", "uncategorized", "local", "wandb-registry-dataset", "mnist:latest"):
        assert muniment("history", name, "--json").lines


def test_as_of_says_what_a_name_meant_and_who_put_it_there(promoted: int, muniment: Run) -> None:
    name = "wandb-registry-dataset/mnist:production"
    then = muniment("as-of", str(promoted), name, "--json").lines
    now = muniment("as-of", "2999-01-01", name, "--json").lines
    assert [(row["version"], row["set_by"]) for row in then] == [("local/uncategorized/mnist:v0", "ada")]
    assert [row["version"] for row in now] == ["local/uncategorized/mnist:v1"]
    moves = [row["seq"] for row in muniment("events", "--type", "alias.moved", "--json").lines]
    assert [then[0]["seq"], now[0]["seq"]] == moves
    assert "no alias 'production'" in muniment("as-of", str(then[0]["seq"] - 1), name, status=1).err


def test_as_of_lists_the_aliases_of_what_holds_many(promoted: int, muniment: Run) -> None:
    expected = {
        "local/wandb-registry-dataset/mnist:production": "local/uncategorized/mnist:v0",
        "local/wandb-registry-dataset/mnist:latest": "local/uncategorized/mnist:v0",
    }
    for names in ([], ["wandb-registry-dataset"], ["wandb-registry-dataset/mnist"]):
        rows = muniment("as-of", str(promoted), *names, "--json").lines
        assert {row["name"]: row["version"] for row in rows} == expected
    rows = muniment("as-of", str(promoted), "mnist", "mnist:v0", "--json").lines
    assert [row["name"] for row in rows] == ["local/uncategorized/mnist:latest", "local/uncategorized/mnist:v0"]
    assert muniment("as-of", "0").out == "no aliases at event 0\n"
    assert "no aliases: it is a run" in muniment("as-of", str(promoted), "r0", status=1).err
    assert "is no time" in muniment("as-of", "yesterday", status=1).err


def test_latest_put_by_hand_names_who_did_it(promoted: int, muniment: Run) -> None:
    muniment("artifact", "alias", "mnist:v0", "latest")
    (row,) = muniment("as-of", "2999-01-01", "mnist:latest", "--json").lines
    assert row["version"] == "local/uncategorized/mnist:v0"
    assert row["seq"] > promoted
    assert muniment("events", "--type", "alias.latest-moved", "--json").lines[-1]["seq"] == row["seq"]


def test_the_last_events_are_shown_and_can_be_filtered(promoted: int, muniment: Run) -> None:
    everything = muniment("events", "--after", "0", "--json").lines
    assert [row["seq"] for row in everything] == list(range(1, len(everything) + 1))
    assert len(everything) > 20
    assert muniment("events", "--json").lines == everything[-20:]
    assert muniment("events", "-n", "3", "--json").lines == everything[-3:]
    assert muniment("events", "--since", "5", "--until", "7", "--json").lines == everything[4:7]
    assert (
        muniment("events", "--since", everything[4]["time"], "--until", everything[6]["time"], "--json").lines
        == everything[4:7]
    )
    first = muniment("events", "--after", "0", "-n", "2", "--json").lines
    assert first == [*everything[:2], {"next": 2}]
    moved = [row for row in everything if row["type"].startswith("alias.")]
    for pattern in ("alias.*", "alias.moved", "alias.moved.1"):
        assert muniment("events", "--type", pattern, "--json").lines == moved
    assert muniment("events", "--class", "security", "--json").lines == [
        row for row in everything if row["class"] == "security"
    ]
    assert muniment("events", "--actor", "ada", "-n", "99", "--json").lines == everything
    assert "there is no user 'nobody-known'" in muniment("events", "--actor", "nobody-known", status=1).err
    about = muniment("events", "--subject", "wandb-registry-dataset/mnist", "--json").lines
    assert {row["type"] for row in about} == {"collection.created.1", "collection.linked.1", "alias.moved.1"}
    assert muniment("events", "--since", "1", "--after", "0", status=2).out == ""
    assert muniment("events", "--follow", "-n", "1", status=2).out == ""
    assert promoted < len(everything)


@pytest.mark.usefixtures("promoted")
def test_events_read_as_lines(muniment: Run) -> None:
    lines = muniment("events", "--type", "alias.moved").out.splitlines()
    assert len(lines) == 2
    assert "  ada  alias.moved  to=" in lines[0]
    assert lines[0].endswith("alias=production")


def test_following_shows_what_happens_from_now_on(muniment: Run, own_home: Path) -> None:
    muniment("org", "ls")
    store = open_store(load(home=str(own_home), actor="ada"))
    pauses: list[int] = []

    def pause() -> None:
        pauses.append(store.ledger.head().size)
        if len(pauses) > 1:
            raise KeyboardInterrupt
        create_team(store, "vision")

    size = store.ledger.head().size
    rows = Reading(store, Wanted(type="team.*")).follow(size, pause)
    assert [next(rows)["type"], next(rows)["type"]] == ["team.created.1", "team.role-set.1"]
    with pytest.raises(KeyboardInterrupt):
        next(rows)
    store.ledger.close()
    assert pauses == [size, size + 2]


def test_a_run_shows_its_inputs_and_outputs(promoted: int, muniment: Run) -> None:
    rows = muniment("run", "ls", "--json").lines
    assert [row["id"] for row in rows] == ["r1", "r0"]
    assert muniment("run", "ls", "--state", "failed").out == "no runs\n"
    paged = muniment("run", "ls", "uncategorized", "--limit", "1", "--json").lines
    assert [row["id"] for row in muniment("run", "ls", "--after", paged[-1]["next"], "--json").lines] == ["r0"]
    shown = muniment("run", "show", "local/uncategorized/r1", "--json").json
    assert (shown["user"], shown["logged"]) == ("ada", ["local/uncategorized/mnist:v1"])
    assert muniment("run", "show", shown["run_id"], "--json").json == shown
    assert "no run" in muniment("run", "show", "0" * 32, status=1).err
    assert "nothing here is called" in muniment("run", "show", "mnist", status=1).err
    assert [row["id"] for row in muniment("run", "ls", "--as-of", str(promoted), "--json").lines] == ["r0"]
