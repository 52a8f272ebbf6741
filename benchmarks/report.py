"""What every measurement says about itself, and where its table is kept."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from hashlib import sha256
from pathlib import Path

from muniment.app import clock

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PROBES = 15
PROBE_BYTES = 4 << 20


def machine() -> str:
    """Return a line on when and on what this was measured, and how noisy it was."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    today = clock.to_text(clock.now())[:10]
    return (
        f"Measured {today} on {os.cpu_count()} cores ({cpu}), Python {sys.version.split()[0]}; "
        f"noise: hashing 4 MiB took {noise():.2f} times as long in the slowest of {PROBES} tries as in the median one."
    )


def noise() -> float:
    """Return how much longer the slowest of equal pieces of work took than the median one."""
    block, taken = bytes(PROBE_BYTES), []
    for _ in range(PROBES):
        before = time.perf_counter()
        sha256(block).digest()
        taken.append(time.perf_counter() - before)
    return max(taken) / statistics.median(taken)


def replace_table(name: str, lines: list[str]) -> None:
    """Put lines between the marks of this name in docs/benchmarks.md."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = DOCUMENT.read_text("utf-8")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    DOCUMENT.write_text(f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{after}", "utf-8")
