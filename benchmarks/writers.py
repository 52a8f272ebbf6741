"""Log from several processes at once into one ledger: ``writers.py PLACE …``, a SQLite file or ``postgresql://…``.

Counts versions a second, of one artifact that all share and of an artifact for each writer; the numbers of the
versions are checked to be without a gap, and no writer may meet an error.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from muniment.app import bootstrap, catalog, config, directory
from muniment.app.log_artifact import Draft, log
from muniment.app.store import Store
from muniment.app.transact import new_id
from muniment.domain.rows import VersionRow
from muniment.domain.values import Digest

SECONDS = 4.0
SPAWN = multiprocessing.get_context("spawn")


def opened(home: str, place: str) -> Store:
    """Open the store whose ledger is at this place."""
    return bootstrap.open_store(config.load({}, home=home, ledger=place, actor="bench"))


def write(home: str, place: str, name: str, start: Any, counts: Any) -> None:  # noqa: ANN401 (of multiprocessing)
    """Log versions of one artifact for a while; tell how many."""
    store = opened(home, place)
    project = directory.project(store.views, "local", "uncategorized")
    start.wait()
    end, count = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        digest = Digest(sha256(new_id().encode()).hexdigest())
        log(store, project, Draft(name=name, type="model", digest=digest, manifest=digest, size=1, entries=1))
        count += 1
    counts.put(count)
    store.ledger.close()


def rate(home: str, place: str, writers: int, *, shared: bool) -> float:
    """Return how many versions a second so many writers log, after checking what they left."""
    run = new_id()[:8]
    names = [f"{run}-{0 if shared else number}" for number in range(writers)]
    start, counts = SPAWN.Barrier(writers), SPAWN.Queue()
    processes = [SPAWN.Process(target=write, args=(home, place, name, start, counts)) for name in names]
    for process in processes:
        process.start()
    total = sum(counts.get() for _ in processes)
    for process in processes:
        process.join()
    require([process.exitcode for process in processes] == [0] * writers, "a writer met an error")
    store = opened(home, place)
    project = directory.project(store.views, "local", "uncategorized")
    found = 0
    for name in dict.fromkeys(names):
        artifact = catalog.artifact_named(store.views, project, name)
        rows = store.views.select(VersionRow, artifact_id=artifact.artifact_id, order="index")
        require([row.index for row in rows] == list(range(len(rows))), "a version is missing")
        found += len(rows)
    store.ledger.close()
    require(found == total, "a version was lost or doubled")
    return found / SECONDS


def require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 (it reads as a sentence)
    """End if something does not hold."""
    if not holds:
        sys.exit(otherwise)


def main() -> None:
    """Measure every place that is named."""
    print("| ledger | writers | one artifact | one each |\n|---|---:|---:|---:|")
    for place in sys.argv[1:]:
        kind = "PostgreSQL" if "://" in place else "SQLite"
        for writers in (1, 8, 32) if kind == "PostgreSQL" else (1, 8):
            with tempfile.TemporaryDirectory() as home:
                where = place if kind == "PostgreSQL" else str(Path(home) / place)
                if kind == "PostgreSQL":
                    where += f"{'&' if '?' in place else '?'}schema=bench_{new_id()[:8]}"
                one, each = (rate(home, where, writers, shared=shared) for shared in (True, False))
                print(f"| {kind} | {writers} | {one:.0f}/s | {each:.0f}/s |", flush=True)


if __name__ == "__main__":
    main()
