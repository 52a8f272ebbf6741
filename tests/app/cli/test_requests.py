"""``muniment subject`` and ``muniment request``: a person is registered, attached, and erased at their request."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run


@pytest.fixture
def people(muniment: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the command line on a store with two admins, and a version of which two entries are about Ann."""
    for name in ("ann", "bob", "both"):
        Path("data", name).parent.mkdir(exist_ok=True)
        Path("data", f"{name}.txt").write_text(f"about {name}")
    muniment("artifact", "put", "-n", "people", "-t", "dataset", "data")
    muniment("org", "member", "local", "ben", "admin")
    monkeypatch.setattr("sys.stdin", io.StringIO("ann@example.org\n"))
    muniment("subject", "register", "-")
    return muniment


def opened(people: Run) -> str:
    id_: str = people("request", "open", "erasure", "ann@example.org", "--text", "forget me", "--json").json[
        "request_id"
    ]
    people("request", "identify", id_, "--how", "passport")
    return id_


def approve(people: Run, monkeypatch: pytest.MonkeyPatch, act: str, target: str) -> None:
    proposal = people("approval", "propose", act, target, "--json").json["proposal_id"]
    monkeypatch.setenv("MUNIMENT_ACTOR", "ben")
    people("approval", "approve", proposal)
    monkeypatch.setenv("MUNIMENT_ACTOR", "ada")


def test_a_person_is_attached_to_entries_by_pattern_file_and_input(
    people: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert people("subject", "attach", "ann@example.org", "people:v0", "--entries", "a*.txt").out.startswith(
        "attached 1 "
    )
    Path("paths").write_text("both.txt\nann.txt\n")
    assert (
        people("subject", "attach", "ann@example.org", "people:v0", "--entries", "paths", "--json").json["attached"]
        == 1
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("both.txt\n"))
    assert people("subject", "detach", "ann@example.org", "people:v0", "--entries", "-").out.startswith("detached 1 ")
    (row,) = people("subject", "list", "--json").lines
    assert (row["standing"], row["targets"], row["entries"]) == ("registered", 0, 1)
    shown = people("subject", "show", row["subject_id"], "--reveal", "--json").json
    assert shown["identity"] == "ann@example.org"
    assert shown["attached"] == ["entry local/uncategorized/people:v0 ann.txt"]
    assert (
        "no entry fits" in people("subject", "attach", "ann@example.org", "people:v0", "--entries", "z*", status=1).err
    )
    assert "artifacts, versions and runs" in people("subject", "attach", row["subject_id"], "local", status=1).err
    people("subject", "attach", "ann@example.org", status=2)


def test_a_person_is_attached_to_whole_things(people: Run) -> None:
    version = people("artifact", "show", "people:v0", "--json").json["version_id"]
    for name in ("people", "people:v0", version):
        people("subject", "attach", "ann@example.org", name)
    assert people("subject", "list", "--json").lines[0]["targets"] == 2
    assert people("subject", "detach", "ann@example.org", "people").out.startswith("detached 1 ")
    assert people("subject", "attach", "ann@example.org", "f" * 32, status=1).err.startswith("error: there is no")
    assert people("subject", "attach", "ann@example.org", "--same-bytes").out.startswith("attached 0 ")


def test_an_erasure_is_led_to_its_certificate(people: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    people("subject", "attach", "ann@example.org", "people:v0", "--entries", "ann.txt")
    id_ = opened(people)
    scope = people("request", "scope", id_)
    assert "entry  local/uncategorized/people:v0  ann.txt" in scope.out
    assert "takes two people" in people("request", "decide", id_, "approved", status=1).err
    approve(people, monkeypatch, "erase", id_)
    people("request", "decide", id_, "approved")
    tried = people("request", "erase", id_, "--dry-run").out
    assert tried.startswith("1 entries and 0 whole versions, 1 contents would be erased")
    assert people("request", "execute", id_, "--dry-run", "--json").json["found"] == 1
    assert people("request", "show", id_, "--json").json["stage"] == "decided"
    done = people("request", "erase", id_, "-o", "certificate", "--canary", "about ann", "--json").json
    assert (done["stage"], done["found"], done["erased"]) == ("certified", 1, 1)
    assert people("request", "erase", id_, "--json").json == done
    assert people("verify", "certificate", "--key", people("key", "show").out.strip()).out
    assert people("request", "certificate", id_, "--json").json["certificate_id"] == done["certificate_id"]
    assert people("request", "close", id_).out == f"{id_} is closed\n"
    assert people("request", "list").out == "no requests\n"
    assert people("request", "list", "--all", "--json").lines[0]["stage"] == "closed"
    Path("again.txt").write_text("about ann")
    assert "erased" in people("artifact", "put", "-n", "again", "-t", "dataset", "again.txt", status=1).err
    people("artifact", "get", "people:v0", "--root", "out")
    assert sorted(path.name for path in Path("out").iterdir()) == ["bob.txt", "both.txt"]
    people("fsck")


def test_the_steps_can_be_taken_one_by_one(people: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    people("subject", "attach", "ann@example.org", "people:v0", "--entries", "ann.txt")
    people("subject", "attach", "ann@example.org", "people:v0", "--entries", "both.txt")
    id_ = opened(people)
    items = people("request", "scope", id_, "--json").json["items"]
    approve(people, monkeypatch, "erase", id_)
    kept = next(item["id"] for item in items if item["path"] == "both.txt")
    said = ("--keep", kept, "--exemption", "17(3)(b)", "--ground", "tax law")
    assert people("request", "decide", id_, "partial", *said, "--json").json["kept"] == [kept]
    for step, stage in (("fence", "fenced"), ("execute", "executed")):
        assert people("request", step, id_).out == f"{id_} is {stage}\n"
    assert "word 1 is too short" in people("request", "verify", id_, "--canary", "ann", status=1).err
    assert "no word was given" in people("request", "verify", id_, "--canary", "", status=1).err
    assert "give them with --canary" in people("request", "verify", id_, "--in", ".", status=2).err
    assert people("request", "show", id_, "--json").json["stage"] == "executed"
    assert people("request", "verify", id_).out == "verified absent in the listed copies\n"
    assert people("request", "show", id_, "--reveal", "--json").json["ground"] == "tax law"
    people("artifact", "get", "people:v0", "--root", "out")
    assert sorted(path.name for path in Path("out").iterdir()) == ["bob.txt", "both.txt"]


def test_a_word_that_is_still_there_fails_the_verification(people: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    people("subject", "attach", "ann@example.org", "people:v0", "--entries", "ann.txt")
    id_ = opened(people)
    people("request", "scope", id_)
    approve(people, monkeypatch, "erase", id_)
    people("request", "decide", id_, "approved")
    people("request", "execute", id_)
    Path("left.txt").write_text("about bob")
    found = people("request", "verify", id_, "--canary", "about bob", "--in", "left.txt", status=1)
    assert "canary 1 in left.txt, as utf-8" in found.out
    assert people("request", "show", id_, "--json").json["stage"] == "fenced"


def test_another_right_is_answered(people: Run) -> None:
    id_ = people("request", "open", "access", "ann@example.org", "--received", "2026-01-31", "--json").json[
        "request_id"
    ]
    row = people("request", "show", id_, "--json").json
    assert row["due_at"].startswith("2026-02-28")
    assert (
        people("request", "extend", id_, "--to", "2026-04-30", "--reason", "many").out
        == f"{id_} is due by 2026-04-30\n"
    )
    people("request", "identify", id_, "--how", "passport")
    people("request", "scope", id_)
    people("request", "decide", id_, "approved")
    people("request", "execute", id_)
    people("request", "close", id_)
