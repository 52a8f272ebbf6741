"""What logging and downloading files costs, next to copying the same files: CPU of whole processes.

::

    python benchmarks/files.py [--rounds 5] [--small] [--tmpfs] [--write]

``b`` is 20,000 files of 4 KiB in 200 folders, ``a`` one file of 2 GiB; ``--small`` takes a tenth. Each round runs
the floor and all steps in turn, each in a fresh process, on a fresh store. ``--tmpfs`` keeps all files in memory,
where copying costs the same every time; ``--write`` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import compileall
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

import muniment
from report import machine, replace_table

SEED = 20260114
FOLDERS, FILES, SMALL_BYTES, BIG_BYTES = 200, 100, 4096, 2 << 30
MIB = 1 << 20
SMALL_SCALE = 0.1
IN_MEMORY = "/dev/shm"  # noqa: S108 (a folder in it with a name of its own)
LOG = """
import sys, muniment as wandb
with wandb.init(project="bench") as run:
    artifact = wandb.Artifact("data", type="dataset")
    artifact.{add}(sys.argv[1])
    run.log_artifact(artifact)
"""
DOWNLOAD = """
import sys, muniment as wandb
wandb.Api().artifact("bench/data:latest").download(sys.argv[1])
"""
HASH = """
import hashlib, sys
with open(sys.argv[1], "rb") as file:
    hashlib.file_digest(file, "sha256")
"""


@frozen
class Taken:
    """What one process took: CPU seconds of it and its children, and the peak memory in MiB.

    Of several rounds, these are the medians, and *low* and *high* the extremes of the CPU seconds.
    """

    cpu: float
    peak: float
    low: float = 0.0
    high: float = 0.0

    def __str__(self) -> str:
        return f"{self.cpu:.2f} s ({self.low:.2f}–{self.high:.2f})"


@frozen
class Step:
    """One row: what is measured, against which floor, and which bar it should keep (``bar`` × floor, or seconds)."""

    name: str
    floor: str | None
    bar: float
    memory: int | None = None


STEPS = (
    Step("log b", "cp -r b", 1.0, 64),
    Step("log b again unchanged", "cp -r b", 0.35, 64),
    Step("log b, 1% changed", "cp -r b", 0.35, 64),
    Step("download b, verified", "cp -r b", 1.0, 64),
    Step("log a", "cp a + SHA-256", 1.2, 96),
    Step("log a again unchanged", None, 0.15, 96),
    Step("download a, verified", "cp a + SHA-256", 1.2, 96),
)


def run(*command: str, environ: dict[str, str] | None = None, folder: Path | None = None) -> Taken:
    """Run a process to its end; a failure ends the measurement."""
    env = {**os.environ, **(environ or {})}
    process = subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:3]} failed with {process.returncode}")
    return Taken(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def make_files(folder: Path, scale: float, *, big: bool = True) -> None:
    """Make the small files and the big one, the same bytes every time."""
    source = random.Random(SEED)
    for number in range(int(FOLDERS * scale)):
        inner = folder / "b" / f"d{number:03}"
        inner.mkdir(parents=True)
        for each in range(FILES):
            (inner / f"f{each:03}.bin").write_bytes(source.randbytes(SMALL_BYTES))
    if not big:
        return
    with (folder / "a.bin").open("wb") as file:
        for _ in range(int(BIG_BYTES * scale) // MIB):
            file.write(source.randbytes(MIB))


def change_one_percent(folder: Path, salt: int) -> None:
    """Give every hundredth file other bytes of the same size."""
    source = random.Random(SEED + salt)
    for path in sorted((folder / "b").glob("*/*"))[::100]:
        path.write_bytes(source.randbytes(SMALL_BYTES))


def one_round(data: Path, scratch: Path, number: int) -> Iterator[tuple[str, Taken]]:
    """Yield what each step took, on a fresh store."""
    home = {"MUNIMENT_HOME": str(scratch / "home"), "MUNIMENT_SILENT": "true"}
    python = (sys.executable, "-c")
    tree, big = str(data / "b"), str(data / "a.bin")
    yield "cp -r b", run("cp", "-r", "--reflink=never", tree, str(scratch / "copy"))
    yield "log b", run(*python, LOG.format(add="add_dir"), tree, environ=home)
    yield "log b again unchanged", run(*python, LOG.format(add="add_dir"), tree, environ=home)
    change_one_percent(data, number)
    yield "log b, 1% changed", run(*python, LOG.format(add="add_dir"), tree, environ=home)
    yield "download b, verified", run(*python, DOWNLOAD, str(scratch / "down"), environ=home)
    home["MUNIMENT_HOME"] = str(scratch / "home-a")
    copied = run("cp", "--reflink=never", big, str(scratch / "big"))
    hashed = run(*python, HASH, big)
    yield "cp a + SHA-256", Taken(copied.cpu + hashed.cpu, max(copied.peak, hashed.peak))
    (scratch / "big").unlink()
    yield "log a", run(*python, LOG.format(add="add_file"), big, environ=home)
    yield "log a again unchanged", run(*python, LOG.format(add="add_file"), big, environ=home)
    yield "download a, verified", run(*python, DOWNLOAD, str(scratch / "down-a"), environ=home)


def memory_folder(scale: float) -> str:
    """Return a folder of a file system in memory that has room for the files, their copies and their stores."""
    needed = int(5 * (BIG_BYTES + FOLDERS * FILES * SMALL_BYTES) * scale)
    mounts = Path("/proc/mounts").read_text("utf-8").splitlines()
    if not any(line.split()[1:3] == [IN_MEMORY, "tmpfs"] for line in mounts):
        raise SystemExit(f"{IN_MEMORY} is no file system in memory — measure without --tmpfs")
    free = shutil.disk_usage(IN_MEMORY).free
    if free < needed:
        raise SystemExit(f"{IN_MEMORY} has {free >> 20} MiB free, {needed >> 20} MiB are needed — use --small")
    return IN_MEMORY


def compile_package() -> None:
    """Compile Muniment's modules, which pip does when it installs a wheel, and not for a checkout."""
    compileall.compile_dir(Path(muniment.__file__).parent, quiet=2)


def measure(rounds: int, scale: float, parent: str | None = None) -> dict[str, Taken]:
    """Return the medians of each step over all rounds, in a folder below *parent*."""
    taken: dict[str, list[Taken]] = defaultdict(list)
    compile_package()
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        data = Path(folder) / "data"
        data.mkdir()
        make_files(data, scale)
        for number in range(rounds):
            scratch = Path(folder) / "scratch"
            scratch.mkdir()
            for name, each in one_round(data, scratch, number):
                taken[name].append(each)
            shutil.rmtree(scratch)
    return {
        name: Taken(
            statistics.median(t.cpu for t in each),
            statistics.median(t.peak for t in each),
            min(t.cpu for t in each),
            max(t.cpu for t in each),
        )
        for name, each in taken.items()
    }


def table(medians: dict[str, Taken]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| what | CPU (least–most) | floor (least–most) | ratio | bar | peak memory | bar |"
    yield "|---|---|---|---|---|---|---|"
    for step in STEPS:
        taken = medians[step.name]
        memory = f"{taken.peak:.0f} MiB | ≤ {step.memory} MiB {verdict(taken.peak, step.memory)}"
        if step.floor is None:
            held = verdict(taken.cpu, step.bar)
            yield f"| {step.name} | {taken} | - | - | ≤ {step.bar} s {held} | {memory} |"
            continue
        floor = medians[step.floor]
        ratio = taken.cpu / floor.cpu
        held = verdict(ratio, step.bar)
        cells = f"{taken} | {step.floor}: {floor} | {ratio:.2f} | ≤ {step.bar} {held}"
        yield f"| {step.name} | {cells} | {memory} |"


def verdict(value: float, bar: float | None) -> str:
    """Say whether a bar was kept."""
    return "held" if bar is None or value <= bar else "**missed**"


def main() -> None:
    """Measure and print; with ``--write``, keep the table."""
    arguments = argparse.ArgumentParser(description="What logging and downloading files costs")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--small", action="store_true", help="a tenth of the files and bytes")
    arguments.add_argument("--tmpfs", action="store_true", help=f"in {IN_MEMORY}, a table of its own")
    arguments.add_argument("--write", action="store_true", help="keep the table in docs/benchmarks.md")
    chosen = arguments.parse_args()
    scale = SMALL_SCALE if chosen.small else 1.0
    medians = measure(chosen.rounds, scale, memory_folder(scale) if chosen.tmpfs else None)
    small = f" A tenth: {FILES * int(FOLDERS * scale):,} files and {int(BIG_BYTES * scale) >> 20} MiB."
    lines = [machine(), f"Medians of {chosen.rounds} rounds.{small if chosen.small else ''}", "", *table(medians)]
    print("\n".join(lines))
    if chosen.write:
        replace_table("files-tmpfs" if chosen.tmpfs else "files", lines)


if __name__ == "__main__":
    main()
