"""Control totals are added up again by DuckDB, and two processes that agree in nothing else write the same bytes."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from subprocess import run
from typing import Any, Final

import duckdb
import pytest

from muniment.app import bootstrap, config, reports
from muniment.app.erasing import data_subjects, requests
from muniment.app.reports import making
from muniment.app.reports.making import FORMATS, Wanted
from muniment.app.reports.shape import About, Kind, Report, Sheet, Total
from muniment.app.store import Store
from muniment.domain.request import Right
from tests.acts import story
from tests.stores import memory_store

READERS: Final = {
    "jsonl": "read_json('{}', format='newline_delimited', maximum_object_size=100000000, sample_size=-1)",
    "csv": "read_csv('{}', header=true, all_varchar=true, strict_mode=true, delim=',', quote='\"', escape='\"')",
    "parquet": "read_parquet('{}')",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = memory_store(tmp_path_factory.mktemp("store"))
    story(store, "personal, =values")
    person = data_subjects.register(store, "Jane Doe, 1970")
    asked = requests.receive(store, Right.ACCESS, person.subject_id, text="=what")
    requests.identify(store, asked.request_id, "passport")
    return store


def wanted(store: Store, report: Report) -> Wanted:
    asked = next(row for row in requests.listed(store.views) if row.right == Right.ACCESS.value)
    about = asked.request_id if report.about is About.REQUEST else None
    forms = tuple(form for form in FORMATS if form != "html" or report.page)
    return Wanted(forms, at=store.ledger.head().size, about=about)


def added_up(path: Path, form: str, sheet: Sheet) -> dict[str, Any]:
    """Return the control totals of a file as DuckDB finds them."""
    source = READERS[form].format(path)
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as base:
        if not path.stat().st_size:  # no lines, so no columns either
            rows, cells = 0, dict[str, list[Any]]()
        else:
            names = [column.name for column in sheet.columns if column.total]
            listed = ", ".join(f'"{name}"' for name in names) or "1"
            fetched = base.execute(f"SELECT {listed} FROM {source}").fetchall()  # noqa: S608 (our own names)
            rows, cells = len(fetched), {name: [row[at] for row in fetched] for at, name in enumerate(names)}
    sums, counts = {}, {}
    for column in sheet.columns:
        held = [None if each == "" else each for each in cells.get(column.name, [])]
        if column.total is Total.SUM and rows:
            sums[column.name] = sum(int(each) for each in held if each is not None)
        elif column.total is Total.COUNTS and rows:
            flags = column.kind is Kind.FLAG
            words = ("-" if each is None else str(each).lower() if flags else each for each in held)
            counts[column.name] = dict(sorted(Counter(words).items()))
    return {"rows": rows, "sums": sums, "counts": counts}


@pytest.mark.parametrize("report", reports.listed(), ids=lambda report: report.number)
def test_duckdb_adds_the_control_totals_up_from_every_form(report: Report, told: Store, tmp_path: Path) -> None:
    written = making.write(told, report, wanted(told, report), tmp_path / "out")
    for sheet in report.sheets:
        for form in READERS:
            path = tmp_path / "out" / f"{report.stem(sheet)}.{form}"
            assert added_up(path, form, sheet) == written.totals[sheet.name], path.name


def test_a_row_that_was_taken_out_shows_in_the_totals(told: Store, tmp_path: Path) -> None:
    report = reports.named("R1")
    written = making.write(told, report, Wanted(("jsonl",)), tmp_path / "out")
    path = tmp_path / "out" / "audit-trail.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert added_up(path, "jsonl", report.sheets[0]) != written.totals["events"]


MAKE_ALL: Final = """
import sys
from pathlib import Path
from muniment.app import bootstrap, config, reports
from muniment.app.reports import making
store = bootstrap.open_store(config.load())
for report in reports.listed():
    forms = tuple(form for form in making.FORMATS if form != "html" or report.page)
    if not report.needed:
        making.write(store, report, making.Wanted(forms, at=int(sys.argv[2])), Path(sys.argv[1]) / report.name)
"""


def test_two_processes_in_other_places_and_languages_write_the_same_bytes(own_home: Path, tmp_path: Path) -> None:
    store = bootstrap.open_store(config.load())
    story(store)
    size = store.ledger.head().size
    store.ledger.close()
    for name, more in (
        ("a", {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
        ("b", {"TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "77", "PYTHONUTF8": "0"}),
    ):
        kept = {"PATH": os.environ["PATH"], "MUNIMENT_HOME": str(own_home), **more}
        command = [sys.executable, "-c", MAKE_ALL, str(tmp_path / name), str(size)]
        done = run(command, env=kept, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) > 50
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    assert json.loads((tmp_path / "a" / "integrity" / "integrity-statement.jsonl").read_text().splitlines()[0])
