"""Reports tell what is on record, in forms that others read, and the same events give the same bytes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet
import pytest

from muniment.app import directory, reports
from muniment.app.reports import making
from muniment.app.reports.making import FORMATS, Wanted
from muniment.app.reports.shape import (
    Cells,
    Column,
    Kind,
    Report,
    Scope,
    Sheet,
    amount,
    counted,
    flag,
    json_,
    moment,
    text,
)
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError, NotFoundError, PermissionDeniedError
from muniment.domain.report import ReportGenerated, ValuesRevealed
from muniment.domain.values import Role
from tests.acts import story
from tests.app.exported import by_program, by_script
from tests.stores import as_login, memory_store

TABLES: Final = ("jsonl", "csv", "parquet")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = memory_store(tmp_path)
    story(found, "canary-7")
    return found


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def made(store: Store, name: str, folder: Path, **wanted: Any) -> dict[str, Any]:
    return dict(making.write(store, reports.named(name), Wanted(**wanted), folder).totals)


# --- a report is one declared query ----------------------------------------------------------------------------------

NASTY: Final = (
    "=HYPERLINK(1)", "+cmd|", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "'quoted", "a,b", 'say "no"', "two\r\nlines",
    "\u202eright to left", "nul\0", "\U0001f600", "x" * 40_000, "<script>alert(1)</script>", "", " ",
    "\ud800half", None,
)  # fmt: skip


def _numbers(scope: Scope) -> Iterator[Cells]:
    for at, words in enumerate(NASTY):
        yield words, at - 3, scope.moment + at, at % 2, {"said": words}, "odd" if at % 2 else "even"


OURS: Final = Report(
    name="nasty",
    number="R99",
    title="What people <type>",
    reader="tests",
    sheets=(
        Sheet(
            "all",
            "All & everything",
            (
                text("words", "what was typed"),
                amount("number", "how many"),
                moment("at", "when"),
                flag("odd", "whether it is odd"),
                json_("said", "what was said"),
                counted("kind", "odd or even"),
            ),
            _numbers,
        ),
    ),
)


def test_a_report_is_one_declared_query_and_the_writers_do_the_rest(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    written = making.write(store, OURS, Wanted(FORMATS), folder)
    assert sorted(path.name for path in folder.iterdir()) == [f"nasty.{form}" for form in sorted(FORMATS)]
    assert written.totals["all"] == {
        "rows": len(NASTY),
        "sums": {"number": sum(range(-3, len(NASTY) - 3))},
        "counts": {"odd": {"false": 10, "true": 10}, "kind": {"even": 10, "odd": 10}},
    }
    rows = rows_of(folder, "nasty")
    assert [row["words"] for row in rows] == list(NASTY)
    assert [row["said"]["said"] for row in rows] == list(NASTY)
    assert rows[0]["at"].endswith("Z")
    assert (rows[1]["odd"], rows[0]["number"]) == (True, -3)
    table = pyarrow.parquet.read_table(folder / "nasty.parquet").to_pylist()
    assert [row["number"] for row in table] == [row["number"] for row in rows]
    assert table[0]["at"].isoformat(timespec="microseconds").replace("+00:00", "Z") == rows[0]["at"]


def test_no_cell_of_a_csv_file_is_a_formula_and_what_was_there_can_be_had_back(store: Store, tmp_path: Path) -> None:
    making.write(store, OURS, Wanted(("csv",)), tmp_path / "out")
    content = (tmp_path / "out" / "nasty.csv").read_bytes()
    assert content.startswith(b"words,number,at,odd,said,kind\r\n")
    with (tmp_path / "out" / "nasty.csv").open(encoding="utf-8", newline="") as file:
        cells = [row["words"] for row in csv.DictReader(file, strict=True)]
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"} and cell]
    back = [cell.removeprefix("'") for cell in cells]
    lost = {"nul\0": "nul\ufffd", "\ud800half": "\ufffdhalf", None: ""}
    assert back == [lost.get(words, words) for words in NASTY]


def test_a_page_holds_no_script_and_nothing_from_elsewhere(store: Store, tmp_path: Path) -> None:
    making.write(store, OURS, Wanted(("html",)), tmp_path / "out")
    page = (tmp_path / "out" / "nasty.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "What people &lt;type&gt;" in page
    assert not [sign for sign in ("\u202e", "\0", "http:", "https:", "src=", "href=") if sign in page]
    assert "default-src 'none'" in page


def test_an_empty_population_is_said_and_signed(store: Store, tmp_path: Path) -> None:
    sheet = Sheet("none", "None", (Column("x", "nothing", Kind.TEXT),), lambda _: ())
    empty = Report("empty", "R98", "Nothing", "tests", (sheet,))
    bundle, written = making.bundle(store, empty, Wanted(FORMATS), tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["control_totals"] == written.totals == {"none": {"rows": 0, "sums": {}, "counts": {}}}
    assert {each["name"]: each["rows"] for each in manifest["files"]}["empty.jsonl"] == 0
    assert "Nothing of this kind is on record" in (tmp_path / "out" / "empty.html").read_text("utf-8")
    assert pyarrow.parquet.read_table(tmp_path / "out" / "empty.parquet").num_rows == 0
    assert (tmp_path / "out" / "empty.csv").read_bytes() == b"x\r\n"
    assert bundle.seq == store.ledger.head().size
    assert by_program(tmp_path / "out", "--key", store.signer.verifier_key())[0] == 0


def test_cells_that_read_alike_are_counted_together_and_written_one_by_one(store: Store, tmp_path: Path) -> None:
    sheet = Sheet("all", "All", (counted("word", "a word"), flag("odd", "whether")), lambda _: iter(ALIKE))
    alike = Report("alike", "R97", "Alike", "tests", (sheet,))
    written = making.write(store, alike, Wanted(("jsonl", "csv")), tmp_path / "out")
    counts = {"word": {"-": 9, "é": 3}, "odd": {"-": 3, "false": 3, "true": 6}}
    assert written.totals["all"] == {"rows": 12, "sums": {}, "counts": counts}
    assert [(row["word"], row["odd"]) for row in rows_of(tmp_path / "out", "alike")] == ALIKE
    lines = (tmp_path / "out" / "alike.csv").read_text("utf-8").splitlines()
    assert lines == ["word,odd", *["'-,true", ",false", "'-,", "é,true"] * 3]


ALIKE: Final = [("-", True), (None, False), ("-", None), ("é", True)] * 3


# --- making them -----------------------------------------------------------------------------------------------------


def test_a_bundle_can_be_checked_and_names_the_ledger_that_it_tells_of(store: Store, tmp_path: Path) -> None:
    head = store.ledger.head()
    bundle, _ = making.bundle(store, reports.named("r1"), Wanted(TABLES), tmp_path / "out")
    key = store.signer.verifier_key()
    for status, said in (by_program(tmp_path / "out", "--key", key), by_script(tmp_path / "out", key)):
        assert status == 0, said
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert (manifest["log"]["size"], manifest["log"]["root"]) == (head.size, head.root.hex())
    assert manifest["control_totals"]["events"]["rows"] == head.size
    (event,) = [each.event for each in store.ledger.read(after=head.size)]
    assert isinstance(event, ReportGenerated)
    assert bundle.seq == head.size + 1


def test_a_report_at_an_old_size_is_the_one_that_was_made_then(store: Store, tmp_path: Path) -> None:
    size = store.ledger.head().size
    for report in reports.listed():
        if not report.needed:
            forms = tuple(form for form in FORMATS if form != "html" or report.page)
            making.write(store, report, Wanted(forms, at=size), tmp_path / "then" / report.name)
    story_again(store)
    for report in reports.listed():
        if not report.needed:
            forms = tuple(form for form in FORMATS if form != "html" or report.page)
            making.write(store, report, Wanted(forms, at=size), tmp_path / "now" / report.name)
            for path in (tmp_path / "then" / report.name).iterdir():
                assert path.read_bytes() == (tmp_path / "now" / report.name / path.name).read_bytes(), path.name


def story_again(store: Store) -> None:
    directory.create_team(store, "later")
    from tests.acts import Acts  # noqa: PLC0415

    Acts(store).log("model", "later", aliases=("best",))


def test_only_an_admin_of_every_organisation_makes_reports(store: Store, tmp_path: Path) -> None:
    eve = as_login(store, "eve")
    with pytest.raises(PermissionDeniedError):
        made(eve, "audit-trail", tmp_path / "a")
    directory.set_organisation_role(store, "local", "eve", Role.ADMIN)
    made(eve, "audit-trail", tmp_path / "b")
    directory.create_organisation(store, "other")
    with pytest.raises(PermissionDeniedError):
        made(eve, "audit-trail", tmp_path / "c")


def test_personal_values_are_shown_only_for_a_reason_which_is_recorded(store: Store, tmp_path: Path) -> None:
    made(store, "audit-trail", tmp_path / "closed", formats=TABLES)
    assert not [path for path in (tmp_path / "closed").iterdir() if b"canary-7" in path.read_bytes()]
    size = store.ledger.head().size
    with pytest.raises(InvalidValueError, match="say why"):
        made(store, "audit-trail", tmp_path / "x", reveal=" ")
    assert store.ledger.head().size == size
    made(store, "audit-trail", tmp_path / "open", reveal="asked by a court", at=size)
    rows = rows_of(tmp_path / "open", "audit-trail")
    assert len([row for row in rows if "canary-7" in json.dumps(row["revealed"])]) > 10
    (event,) = [each.event for each in store.ledger.read(after=size)]
    assert isinstance(event, ValuesRevealed)
    assert store.vault.get_many([event.reason.slot]) == {event.reason.slot: "asked by a court"}
    eve = as_login(store, "eve")
    with pytest.raises(PermissionDeniedError):
        made(eve, "audit-trail", tmp_path / "y", reveal="curious")


def test_what_cannot_be_made_is_said(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no report 'nonsense'"):
        reports.named("nonsense")
    for wanted, why in (
        ({"formats": ("pdf",)}, "no form 'pdf'"),
        ({"formats": ()}, "at least one form"),
        ({"formats": ("html",)}, "no HTML of it"),
        ({"at": 10**6}, "the ledger holds"),
        ({"about": "x"}, "leave the id out"),
    ):
        with pytest.raises(InvalidValueError, match=why):
            made(store, "audit-trail", tmp_path / "x", **wanted)
    made(store, "audit-trail", tmp_path / "x")
    with pytest.raises(InvalidValueError, match="not empty"):
        made(store, "audit-trail", tmp_path / "x")


# --- R1 --------------------------------------------------------------------------------------------------------------


def test_the_audit_trail_holds_every_event_with_its_leaf(store: Store, tmp_path: Path) -> None:
    totals = made(store, "audit-trail", tmp_path / "out")
    rows = rows_of(tmp_path / "out", "audit-trail")
    size = store.ledger.head().size
    assert [row["seq"] for row in rows] == list(range(1, size + 1))
    leaves = [leaf.hex() for leaf in store.ledger.subtrees(0, 0, size)]
    assert [row["leaf_hash"] for row in rows] == leaves
    names = {(row["object_type"], row["object_name"]) for row in rows}
    assert ("version", "local/uncategorized/model:v1") in names
    assert ("registry", "local/wandb-registry-play") in names
    assert ("collection", "local/wandb-registry-play/go") in names
    assert totals["events"]["counts"]["outcome"] == {"denied": 1, "ok": size - 1}


def test_a_part_of_the_audit_trail_is_the_part_of_the_whole(store: Store, tmp_path: Path) -> None:
    made(store, "audit-trail", tmp_path / "whole")
    made(store, "audit-trail", tmp_path / "part", after=10, at=20)
    whole = rows_of(tmp_path / "whole", "audit-trail")
    part = rows_of(tmp_path / "part", "audit-trail")
    assert [row["event_id"] for row in part] == [row["event_id"] for row in whole[10:20]]
