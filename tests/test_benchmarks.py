"""What the benchmarks measure can be measured: they run, on very little, and print their rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from muniment.app.erasing.executing import Step


def test_the_benchmark_of_proofs_runs() -> None:
    script = Path(__file__).parents[1] / "benchmarks" / "proofs.py"
    command = [sys.executable, str(script), "--events", "3000", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 8
    assert any("by the clock" in what for what, *_ in rows)


def test_the_benchmark_of_erasing_runs() -> None:
    script = Path(__file__).parents[1] / "benchmarks" / "erasing.py"
    done = subprocess.run([sys.executable, str(script), "--small"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:2] == "| "]
    steps = [step.value for step in Step]
    assert [row[0] for row in rows[1:-1]] == ["fence", *steps, "record", "verify", "scan"]
    assert rows[-1][0].startswith("all of it: 100 of 200 entries erased, ")
    assert rows[-1][-1].startswith("30 s: ")
