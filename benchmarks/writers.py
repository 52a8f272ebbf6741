"""Log from several processes at once into one ledger: versions a second, of one artifact and of one each.

::

    python benchmarks/writers.py [PLACE …] [--seconds 4] [--writers 1 8 32] [--write]

A place is the name of a SQLite file or ``postgresql://…``; without one both are measured, with a PostgreSQL of our
own. The numbers of the versions are checked to be without a gap, and no writer may meet an error. ``--write`` puts
the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

from muniment.app import bootstrap, catalog, config, directory
from muniment.app.log_artifact import Draft, log
from muniment.app.store import Store
from muniment.app.transact import new_id
from muniment.domain.rows import VersionRow
from muniment.domain.values import Digest
from report import machine, replace_table

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
WRITERS = {SQLITE: (1, 8), POSTGRESQL: (1, 8, 32)}
LEDGER = "ledger.sqlite3"
ROOT = str(Path(__file__).parents[1])
SPAWN = multiprocessing.get_context("spawn")


def opened(home: str, place: str) -> Store:
    """Open the store whose ledger is at this place."""
    return bootstrap.open_store(config.load({}, home=home, ledger=place, actor="bench"))


def write(home: str, place: str, name: str, seconds: float, meeting: tuple[Any, Any]) -> None:
    """Log versions of one artifact for so many seconds, all beginning together; tell how many."""
    start, counts = meeting
    store = opened(home, place)
    project = directory.project(store.views, "local", "uncategorized")
    start.wait()
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        digest = Digest(sha256(new_id().encode()).hexdigest())
        log(store, project, Draft(name=name, type="model", digest=digest, manifest=digest, size=1, entries=1))
        count += 1
    counts.put(count)
    store.ledger.close()


def rate(home: str, place: str, writers: int, seconds: float, *, shared: bool) -> float:
    """Return how many versions a second so many writers log, after checking what they left."""
    run = new_id()[:8]
    names = [f"{run}-{0 if shared else number}" for number in range(writers)]
    start, counts = SPAWN.Barrier(writers), SPAWN.Queue()
    processes = [SPAWN.Process(target=write, args=(home, place, name, seconds, (start, counts))) for name in names]
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
    return found / seconds


def require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 (it reads as a sentence)
    """End if something does not hold."""
    if not holds:
        sys.exit(otherwise)


def table(places: list[str], seconds: float, writers: list[int] | None) -> Iterator[str]:
    """Yield the lines of the table, each as soon as it is measured."""
    yield "| ledger | writers | one artifact | one each |"
    yield "|---|---:|---:|---:|"
    for place in places:
        kind = POSTGRESQL if "://" in place else SQLITE
        for count in writers or WRITERS[kind]:
            with tempfile.TemporaryDirectory() as home:
                where = f"{place}{'&' if '?' in place else '?'}schema=bench_{new_id()[:8]}"
                where = where if kind == POSTGRESQL else str(Path(home) / place)
                one, each = (rate(home, where, count, seconds, shared=shared) for shared in (True, False))
            yield f"| {kind} | {count} | {one:.0f}/s | {each:.0f}/s |"


def own_server(ended: ExitStack) -> str:
    """Start the PostgreSQL that the tests use too, and return a database on it."""
    sys.path.insert(0, ROOT)
    from tests.servers.postgres import PostgresServer  # noqa: PLC0415 (only who names no place needs it)

    server = PostgresServer.started()
    ended.callback(server.remove)
    return server.base()


def main() -> None:
    """Measure and print; with ``--write``, keep the table."""
    arguments = argparse.ArgumentParser(description="How many versions a second several processes log")
    arguments.add_argument("places", nargs="*", metavar="PLACE", help="a SQLite file or postgresql://…; otherwise both")
    arguments.add_argument("--seconds", type=float, default=4.0, help="how long each measurement takes")
    arguments.add_argument("--writers", type=int, nargs="+", help="how many write at once; otherwise 1, 8, 32")
    arguments.add_argument("--write", action="store_true", help="keep the table in docs/benchmarks.md")
    chosen = arguments.parse_args()
    with ExitStack() as ended:
        places = chosen.places or [LEDGER, own_server(ended)]
        lines = [machine(), f"Each figure over {chosen.seconds:g} s.", ""]
        print("\n".join(lines))
        for line in table(places, chosen.seconds, chosen.writers):
            print(line, flush=True)
            lines.append(line)
    if chosen.write:
        replace_table("writers", lines)


if __name__ == "__main__":
    main()
