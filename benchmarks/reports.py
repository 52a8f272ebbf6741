"""What reports cost: the audit trail of many events, in time and memory, and what came of one person's data.

::

    python benchmarks/reports.py [--events 1000000] [--edges 1000000] [--write]

The audit trail is written by a process of its own, whose peak memory counts. The lineage is a tree of versions and runs
of which every run uses one version and logs one, asked from its root (every edge is followed) and from further down;
what is found is read as it comes, as the report does.
``--write`` puts the table into docs/benchmarks.md. A million of each takes about ten minutes, nearly all for filling.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from muniment.adapters.views import sqlite as views
from muniment.adapters.views.statements import plan
from muniment.app import bootstrap, config, impact, reports
from muniment.app.reports import making
from muniment.app.reports.making import Wanted
from muniment.domain.rows import EdgeRow, Row, RunRow, SourceRow, SubjectEntryRow, SubjectTargetRow, VersionRow
from muniment.domain.values import ArtifactId, PrincipalId, ProjectId, RunId, VersionId
from report import machine, replace_table
from scale import fill

EVENTS, SECONDS, MEBIBYTES = 1_000_000, 60, 300
IMPACT_SECONDS = 2.0
ROUNDS = 5
FORMS = (("jsonl",), ("jsonl", "csv", "parquet"))


def trail(home: Path, folder: Path, forms: tuple[str, ...]) -> tuple[float, float, float]:
    """Write the audit trail in another process; return its seconds, those of CPU, and the mebibytes held at most."""
    command = [sys.executable, __file__, "--trail", str(home), str(folder), *forms]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, cpu, kibibytes = json.loads(done.stdout)
    return seconds, cpu, kibibytes / 1024


def write_trail(home: str, folder: str, *forms: str) -> None:
    """Write the audit trail and print seconds and peak memory."""
    began = time.perf_counter()
    store = bootstrap.open_store(config.load({}, home=home))
    making.write(store, reports.named("audit-trail"), Wanted(forms), Path(folder))
    print(json.dumps([time.perf_counter() - began, time.process_time(), peak()]))


def peak() -> int:
    """Return the kibibytes that this process held at most; what getrusage says is also about who started it."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def trails(events: int) -> Iterator[str]:
    """Yield a row for each set of forms."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        filled = fill(home, events, "versions")
        size = filled.store.ledger.head().size
        filled.store.ledger.close()
        for forms in FORMS:
            seconds, cpu, mebibytes = trail(home, Path(folder) / "-".join(forms), forms)
            scaled = seconds * EVENTS / size
            held = "held" if scaled <= SECONDS and mebibytes <= MEBIBYTES else "**missed**"
            bar = f"{SECONDS} s and {MEBIBYTES} MiB at 1,000,000: {held}" if len(forms) == 1 else ""
            what = f"audit trail of {size:,} events as {', '.join(forms)}"
            yield f"| {what} | {seconds:.1f} s | {cpu:.1f} s | {mebibytes:.0f} MiB | {bar} |"


def lineage(path: Path, edges: int) -> None:
    """Write the rows of a tree: run n uses version n // 2 and logs version n; person n is in version n."""
    base = sqlite3.connect(path)
    views.create(base.cursor(), [EdgeRow, RunRow, SubjectTargetRow, VersionRow, SourceRow, SubjectEntryRow])
    runs = range(1, edges // 2 + 1)
    _insert(base, (_run(number) for number in runs))
    _insert(base, (_edge(number, number // 2, "in", 2 * number) for number in runs))
    _insert(base, (_edge(number, number, "out", 2 * number + 1) for number in runs))
    _insert(base, (SubjectTargetRow(f"person-{n}", f"{n:032x}", "version") for n in runs if n & (n - 1) == 0))
    _insert(base, iter([SubjectTargetRow("person-0", f"{0:032x}", "version")]))
    _insert(base, (_version(2**power) for power in range(edges.bit_length()) if 2**power in runs))
    _insert(base, iter([_version(0)]))
    base.commit()
    base.close()


def _insert(base: sqlite3.Connection, rows: Iterator[Row]) -> None:
    for row in rows:
        wanted = plan(type(row))
        base.execute(wanted.insert, (*wanted.values(row), 1))


def _run(number: int) -> RunRow:
    nothing = {"notes": None, "config": None, "summary": None, "group": None, "tags": None, "finished_at": None}
    return RunRow(
        run_id=RunId(f"run{number:029x}"),
        project_id=ProjectId("p"),
        key=str(number),
        name=None,
        job_type="train",
        state="finished",
        actor=PrincipalId("a"),
        started_at=number,
        started_seq=number,
        **nothing,
    )


def _edge(run: int, version: int, role: str, seq: int) -> EdgeRow:
    return EdgeRow(RunId(f"run{run:029x}"), VersionId(f"{version:032x}"), role, seq, seq)


def _version(number: int) -> VersionRow:
    return VersionRow(
        version_id=VersionId(f"{number:032x}"),
        artifact_id=ArtifactId("a"),
        index=number,
        digest=None,
        manifest=None,
        size=1,
        entries=1,
        run_id=None,
        actor=PrincipalId("a"),
        created_at=number,
        created_seq=1,
        updated_at=number,
        state="committed",
        description=None,
        metadata=None,
        ttl_rule="inherit",
        ttl_micros=None,
        deleted_at=None,
        unlinked_at=None,
    )


def impacts(edges: int) -> Iterator[str]:
    """Yield a row for each place in the tree that is asked about."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.sqlite3")
        lineage(path, edges)
        yield from _impacts(path, edges)


def _impacts(path: Path, edges: int) -> Iterator[str]:
    opened = threading.local()

    def mine() -> sqlite3.Connection:
        """Return the connection of this thread, as a ledger has one for each."""
        if not hasattr(opened, "connection"):
            opened.connection = sqlite3.connect(path)
        connection: sqlite3.Connection = opened.connection
        return connection

    rows = views.SqliteViews(mine)
    for person in (0, 1 << 6, 1 << 10):
        taken: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            began, cpu = time.perf_counter(), time.process_time()
            found = sum(1 for _ in impact.of_subject(rows, f"person-{person}"))
            taken.append((time.perf_counter() - began, time.process_time() - cpu))
        (seconds, spent), followed = sorted(taken)[ROUNDS // 2], 2 * (found - 1)
        held = "held" if seconds <= IMPACT_SECONDS else "**missed**"
        what = f"impact of one person among {edges:,} edges, {followed:,} of them followed"
        yield f"| {what} | {seconds:.2f} s | {spent:.2f} s | – | {IMPACT_SECONDS:.0f} s: {held} |"


def main() -> None:
    """Measure and print; with ``--write``, keep the table."""
    if sys.argv[1:2] == ["--trail"]:
        write_trail(*sys.argv[2:])
        return
    arguments = argparse.ArgumentParser(description="What reports cost")
    arguments.add_argument("--events", type=int, default=EVENTS)
    arguments.add_argument("--edges", type=int, default=1_000_000)
    arguments.add_argument("--write", action="store_true")
    chosen = arguments.parse_args()
    rows = [*impacts(chosen.edges), *trails(chosen.events)]
    lines = [machine(), "", "| what | time | CPU | memory | bar |", "|---|---|---|---|---|", *rows]
    print("\n".join(lines))
    if chosen.write:
        replace_table("reports", lines)


if __name__ == "__main__":
    main()
