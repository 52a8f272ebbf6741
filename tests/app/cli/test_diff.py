"""Two moments on the command line: what is otherwise, for people and for scripts."""

from __future__ import annotations

from pathlib import Path

from tests.app.cli.conftest import Run


def test_the_difference_is_a_line_for_people_and_an_object_for_scripts(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    assert muniment("diff", "now", "now").out == ""
    assert muniment("diff", "0", "now", "mnist").out.splitlines()[:2] == [
        "+ artifact local/uncategorized/mnist",
        "+ version local/uncategorized/mnist:v0",
    ]
    found = muniment("diff", "0", "now", "mnist", "--json").lines[0]
    assert {**found, "id": None} == {
        "kind": "artifact",
        "act": "made",
        "name": "local/uncategorized/mnist",
        "id": None,
        "changes": [],
        "text": "+ artifact local/uncategorized/mnist",
    }


def test_a_name_may_be_of_either_moment(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    muniment("registry", "create", "games")
    muniment("registry", "delete", "games")
    seq = muniment("events", "--json").lines[-1]["seq"]
    assert (
        muniment("diff", str(seq - 1), str(seq), "wandb-registry-games").out
        == "- registry local/wandb-registry-games\n"
    )
    assert "nothing here is called 'other'" in muniment("diff", "0", "now", "other", status=1).err


def test_the_later_moment_first_is_refused_with_the_way_out(muniment: Run) -> None:
    refused = muniment("diff", "3", "1", status=1)
    assert refused.err == "error: event 3 came after event 1 — name the earlier moment first\n"
