"""``muniment report`` and ``muniment activity``, as their users see them."""

from __future__ import annotations

import json
from pathlib import Path

from muniment.app import reports
from tests.app.cli.conftest import Run
from tests.app.exported import by_program


def test_every_report_is_listed_with_what_its_columns_mean(muniment: Run) -> None:
    listed = [json.loads(line) for line in muniment("report", "list", "--json").out.splitlines()]
    assert [each["number"] for each in listed] == [report.number for report in reports.listed()]
    assert listed[0]["columns"]["events"]["seq"].startswith("the place of the event")


def test_a_report_is_printed_or_written_and_said_to_be(muniment: Run, tmp_path: Path) -> None:
    printed = [json.loads(line) for line in muniment("report", "audit-trail").out.splitlines()]
    assert [row["seq"] for row in printed] == list(range(1, len(printed) + 1))
    part = muniment("report", "R1", "--from", "2", "--to", "3", "--format", "csv").out.splitlines()
    assert [line.partition(",")[0] for line in part] == ["seq", "2", "3"]
    folder = tmp_path / "out"
    told = muniment("report", "retention", "-o", str(folder)).out
    assert told == "0 rows in 5 files in out\n"
    assert sorted(path.suffix for path in folder.iterdir()) == [".csv", ".csv", ".html", ".jsonl", ".jsonl"]


def test_a_bundle_is_checked_by_the_program_in_it(muniment: Run, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    told = muniment("report", "promotion-history", "--at", "5", "-o", str(folder), "--bundle", "--json").out
    assert json.loads(told)["control_totals"]["moves"]["rows"] == 0
    assert by_program(folder, "--key", muniment("key", "show").out.strip())[0] == 0


def test_personal_values_are_asked_for_with_a_reason(muniment: Run) -> None:
    before = len(muniment("report", "audit-trail").out.splitlines())
    rows = muniment("report", "audit-trail", "--reveal", "looking for a login").out.splitlines()
    assert [row["revealed"] for line in rows if (row := json.loads(line))["type"] == "principal.created.1"] != [None]
    assert len(rows) == before
    last = json.loads(muniment("report", "audit-trail").out.splitlines()[-1])
    assert (last["type"], last["class"], last["seq"]) == ("report.values-revealed.1", "governance", before + 1)


def test_what_cannot_be_made_is_one_line(muniment: Run, tmp_path: Path) -> None:
    for args, status, why in (
        (("nonsense",), 1, "there is no report 'nonsense'"),
        (("audit-trail", "--bundle"), 2, "say which with -o"),
        (("audit-trail", "--at", "1", "--to", "2"), 2, "give one of them"),
        (("audit-trail", "--format", "html"), 1, "printed as jsonl or csv"),
        (("subject-access", "-o", str(tmp_path / "x")), 1, "--request"),
        (("impact", "--subject", "nobody"), 1, "there is no data subject nobody"),
        (("impact", "--subject", "a", "--request", "b"), 2, "not both"),
    ):
        done = muniment("report", *args, status=status)
        assert why in done.err


def test_a_report_about_a_person_takes_what_identifies_them(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "scans", str(data))
    id_ = muniment("subject", "register", "patient-17").out.strip()
    muniment("subject", "attach", "patient-17", "scans:v0")
    told = muniment("report", "impact", "--subject", "patient-17").out
    assert told == muniment("report", "impact", "--subject", id_).out != ""


def test_an_activity_is_declared_listed_and_ended(muniment: Run) -> None:
    said = (
        "--name",
        "study",
        "--purpose",
        "research",
        "--legal-basis",
        "6(1)(a)",
        "--special",
        "--contacts",
        "Dr. Who",
    )
    declared = json.loads(muniment("activity", "declare", "local/uncategorized", *said, "--json").out)
    assert (declared["purpose"], declared["special"], declared["scope"]) == ("research", True, "project")
    assert "Who" not in json.dumps(declared)
    assert "research" in muniment("activity", "list").out
    muniment("activity", "end", declared["activity_id"])
    assert muniment("activity", "list").out == "nothing was declared\n"
    refused = muniment("activity", "declare", "local/uncategorized", *said[:4], status=1)
    assert "legal basis" in refused.err
