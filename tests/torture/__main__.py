"""``python -m tests.torture``: kills processes and says what that came to; with ``--write`` into docs/torture.md."""

from __future__ import annotations

import argparse
import platform
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from muniment.app.clock import now, to_text
from tests.torture.driver import Result, torture
from tests.torture.story import POINTS

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "docs" / "torture.md"
BEGIN, END = "<!-- torture: begin -->", "<!-- torture: end -->"


def main() -> int:
    """Kill as many as asked for; a fault is an exception that names the seed and the kill."""
    options = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    options.add_argument("--kills", type=int, default=500)
    options.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="otherwise a new one")
    options.add_argument("--postgres", metavar="URL", help="migrate there and back too")
    options.add_argument("--write", action="store_true", help="put the result into docs/torture.md")
    chosen = options.parse_args()
    say(f"seed {chosen.seed}")
    with tempfile.TemporaryDirectory(prefix="muniment-torture-") as folder:
        result = torture(Path(folder), chosen.seed, chosen.kills, say, chosen.postgres)
    say(table(result))
    if chosen.write:
        before, _, rest = PAPER.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAPER.write_text(f"{before}{BEGIN}\n{table(result)}\n{END}{after}", "utf-8")
    return 0


def table(result: Result) -> str:
    """Return the result for a reader: when, on what, from which seed, and in the middle of what processes died."""
    what = f"{result.kills} kills of seed {result.seed} on {to_text(now())[:10]}, {_commit()}"
    died = [f"| {act} | {result.during[act]} | {result.during[f'after {act}']} |" for act in POINTS]
    return "\n".join(
        [
            f"{what}, Python {platform.python_version()} on {platform.system()}: no fault.",
            "",
            "| act | killed in the middle of it | killed after it |",
            "|---|---|---|",
            *died,
        ]
    )


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = " and changes to it" if git("status", "--porcelain", "--", "src") else ""
    return f"commit {git('log', '-1', '--format=%h (%s)')}{changed}"


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
