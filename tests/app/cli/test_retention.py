"""Policies, holds and approvals on the command line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run

NOBODY = "7" * 32


@pytest.fixture
def mnist(muniment: Run, data: Path) -> Run:
    """Return the command line of a store with two admins and two versions of an artifact."""
    muniment("artifact", "put", "-n", "mnist", str(data))
    muniment("artifact", "put", "-n", "mnist", str(data / "a.txt"))
    muniment("org", "member", "local", "ben", "admin")
    return muniment


@pytest.fixture
def ben(mnist: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the command line of the second admin."""

    def run(*args: str, status: int = 0) -> object:
        with monkeypatch.context() as patch:
            patch.setenv("MUNIMENT_ACTOR", "ben")
            return mnist(*args, status=status)

    return run  # type: ignore[return-value]


def test_a_policy_is_tried_set_shown_explained_and_removed(mnist: Run, ben: Run) -> None:
    size = mnist("checkpoint", "--json").json["events"]
    args = ("retention", "set", "local/uncategorized", "--min", "30d", "--max", "1w4d")
    assert "no duration" in mnist(*args, status=1).err
    args = ("retention", "set", "local/uncategorized", "--min", "30d", "--max", "365d")
    tried = mnist(*args, "--dry-run", "--json").json
    assert [(each["name"], each["before"]["then"], each["after"]["then"]) for each in tried["versions"]] == [
        ("local/uncategorized/mnist:v0", None, "delete"),
        ("local/uncategorized/mnist:v1", None, "delete"),
    ]
    assert mnist(*args, "--dry-run").out.endswith("2 versions would be kept or go otherwise\nnothing was done\n")
    assert mnist("retention", "list").out == "no policies\n"
    policy = mnist(*args, "--json").json
    listed = mnist("retention", "list", "--json").json
    assert listed == policy
    assert (policy["target"], policy["minimum"], policy["maximum"]) == ("local/uncategorized", "30d", "365d")
    found = mnist("retention", "explain", "mnist:v0", "--json").json
    assert (found["action"], found["then"], found["due_at"]) == (
        "keep",
        "delete",
        tried["versions"][0]["after"]["due_at"],
    )
    assert found["because"] == [{"rule": "P6", "text": f"policy {policy['policy_id']} of its project"}]
    assert found["rules"][0]["minimum"] == "30d"
    later = mnist("retention", "explain", "mnist:v0", "--at", "2099-01-01").out
    assert later.startswith("local/uncategorized/mnist:v0: delete\n  P6  policy")
    before = mnist("retention", "explain", "mnist:v0", "--at", str(size)).out
    assert before == "local/uncategorized/mnist:v0: keep\n  P7  nobody set a TTL\n  nothing is due\n"
    shorter = ("retention", "set", "local/uncategorized", "--max", "300d")
    needed = mnist(*shorter, status=1).err
    assert f"muniment approval propose shorten-retention {policy['policy_id']}" in needed
    assert mnist(*shorter, "--dry-run", "--json").json["needs"] in needed
    proposal = mnist("approval", "propose", "shorten-retention", policy["policy_id"], "--json").json["proposal_id"]
    assert "ask another admin" in mnist("approval", "approve", proposal, status=1).err
    ben("approval", "approve", proposal)
    assert len(mnist("retention", "remove", policy["policy_id"], "--dry-run", "--json").json["versions"]) == 2
    assert mnist("retention", "remove", policy["policy_id"]).out == f"policy {policy['policy_id']} counts no more\n"
    assert mnist("retention", "list").out == "no policies\n"


def test_a_law_asks_for_its_minimum(mnist: Run) -> None:
    short = ("retention", "set", "local", "--type", "dataset", "--min", "90d", "--citation", "AI Act Art. 19")
    assert "asks for a minimum of 184 days" in mnist(*short, status=1).err
    assert "asks for a minimum of 184 days" in mnist(*short, "--dry-run", status=1).err
    found = mnist("retention", "set", "local", "--type", "dataset", "--min", "184d", "--citation", "AI Act Art. 19")
    assert found.out.endswith("is in force for type dataset in local\n") or "for type dataset in" in found.out
    refused = mnist("artifact", "delete", "mnist:v0", "--delete-aliases", status=1).err
    assert "(AI Act Art. 19) — it may go from 20" in refused


def test_a_hold_is_placed_listed_reviewed_and_released_by_two(
    mnist: Run, ben: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the case of Doe\n"))
    placed = mnist("hold", "place", "mnist", "--matter", "-", "--review-by", "2027-01-31", "--json").json
    id_ = placed["hold_id"]
    assert (placed["scope"], placed["target"], placed["kind"]) == (
        "artifact",
        "local/uncategorized/mnist",
        "litigation",
    )
    assert placed["review_by"] == "2027-01-31T00:00:00.000000Z"
    for shown in (("hold", "list"), ("hold", "show", id_), ("retention", "explain", "mnist:v0")):
        assert "Doe" not in mnist(*shown).out
        assert "Doe" not in mnist(*shown, "--json").out
    assert mnist("hold", "show", id_, "--reveal", "--json").json["matter"] == "the case of Doe"
    refused = mnist("artifact", "delete", "mnist:v0", "--delete-aliases", status=1).err
    assert id_ in refused
    assert "Doe" not in refused
    assert mnist("retention", "explain", "mnist:v0", "--json").json["holds"] == [id_]
    assert mnist("artifact", "ttl", "mnist:v0").out.endswith(f"expires never (hold {id_} is in force)\n")
    mnist("hold", "review", id_, "--review-by", "never")
    assert mnist("hold", "list", "--json").json["review_by"] is None
    assert "takes two people" in mnist("hold", "release", id_, status=1).err
    assert "takes two people" in mnist("hold", "release", id_, "--dry-run", status=1).err
    proposal = mnist("approval", "propose", "release-hold", id_, "--reason", "closed", "--json").json["proposal_id"]
    assert "closed" not in mnist("approval", "list").out
    assert mnist("approval", "list", "--reveal", "--json").json["reason"] == "closed"
    ben("approval", "approve", proposal)
    mnist("hold", "release", id_, "--dry-run")
    assert mnist("hold", "show", id_, "--json").json["state"] == "placed"
    assert mnist("hold", "release", id_).out == f"released hold {id_}\n"
    assert mnist("hold", "list").out == "no holds\n"
    assert mnist("hold", "list", "--all", "--json").json["state"] == "released"
    assert mnist("approval", "list").out == "nothing waits for approval\n"
    assert mnist("approval", "list", "--all", "--json").json["approved_by"] == "ben"


def test_what_is_held_can_be_a_tag_and_has_to_be_something(mnist: Run) -> None:
    assert mnist("hold", "place", "--tag", "evidence", "--matter", "x", "--json").json["target"] == "evidence"
    assert "there is no data subject" in mnist("hold", "place", "--subject", NOBODY, "--matter", "x", status=1).err
    id_ = mnist("subject", "register", "patient-17").out.strip()
    held = mnist("hold", "place", "--subject", "patient-17", "--matter", "x", "--json").json
    assert (held["scope"], held["target_id"]) == ("subject", id_)
    assert "nothing here is called" in mnist("hold", "place", "nothing", "--matter", "x", status=1).err
    assert "thing that is not here" in mnist("hold", "place", NOBODY, "--matter", "x", status=1).err
    assert "needs a matter" in mnist("hold", "place", "mnist", "--matter", " ", status=1).err
    for wrong in (("--matter", "x"), ("mnist", "--tag", "t", "--matter", "x")):
        mnist("hold", "place", *wrong, status=2)
    mnist("hold", "review", NOBODY, status=2)
    assert "muniment hold list" in mnist("hold", "show", NOBODY, status=1).err


@pytest.mark.usefixtures("data")
def test_what_waits_can_be_withdrawn_and_nothing_is_proposed_about_what_is_not_there(mnist: Run) -> None:
    assert "muniment hold list" in mnist("approval", "propose", "release-hold", NOBODY, status=1).err
    assert "muniment retention list" in mnist("approval", "propose", "shorten-retention", NOBODY, status=1).err
    id_ = mnist("approval", "propose", "purge-after-clock-jump", "--json").json["proposal_id"]
    assert "would happen: withdrawn" in mnist("approval", "withdraw", id_, "--dry-run").out
    assert mnist("approval", "list", "--json").json["state"] == "proposed"
    mnist("approval", "withdraw", id_)
    assert mnist("approval", "list").out == "nothing waits for approval\n"


def test_a_store_with_one_admin_says_how_to_add_a_second(muniment: Run) -> None:
    id_ = muniment("approval", "propose", "purge-after-clock-jump", "--json").json["proposal_id"]
    assert "muniment org member local LOGIN admin" in muniment("approval", "approve", id_, status=1).err


def test_what_is_overdue_is_listed_until_it_is_done(mnist: Run) -> None:
    assert mnist("retention", "overdue").out == "nothing is overdue\n"
    mnist("artifact", "ttl", "mnist:v0", "0.000001s")
    due = mnist("retention", "overdue", "--json").json
    assert (due["name"], due["action"], due["because"]) == ("local/uncategorized/mnist:v0", "delete", "its own TTL")
    assert due["late_seconds"] > 0
    mnist("gc", "--yes")
    assert mnist("retention", "overdue").out == "nothing is overdue\n"


def test_a_ttl_is_set_down_a_lineage(mnist: Run, data: Path) -> None:
    run = mnist("artifact", "put", "-n", "derived", str(data), "--json").json["run"]
    assert mnist("retention", "apply", "--lineage", "up", "derived", "30d", "--dry-run").out.endswith(
        "nothing was done\n"
    )
    done = mnist("retention", "apply", "--lineage", "down", "mnist:v0", "30d", "--json").json
    assert [each["name"] for each in done["versions"]] == ["local/uncategorized/mnist:v0"]
    assert mnist("artifact", "ttl", "mnist:v0", "--json").json["in_force"] == "30d"
    assert "has to be positive" in mnist("retention", "apply", "--lineage", "up", "mnist:v0", "0d", status=1).err
    assert run
