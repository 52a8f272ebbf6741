"""How fast a ledger is verified and an event proved, beside hashing alone: wall and CPU time, medians.

::

    python benchmarks/proofs.py [--events 1000000] [--rounds 5] [--write]

The first rows are what ``muniment fsck`` does before it looks at the rows of projections: every event is read and
compared with its leaf, the leaves with head and tiles. The floor is SHA-256 over the same bytes. ``--write`` puts the
table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from muniment.adapters.ledger.beside import ENOUGH, processes
from muniment.adapters.ledger.record import Record, leaf_text
from muniment.adapters.ledger.sqlite import SqliteLedger
from muniment.adapters.ledger.sqlite_desk import records
from muniment.adapters.views import sqlite as rows
from muniment.app import clock
from muniment.domain.artifact import VersionCreated
from muniment.domain.merkle import leaf_hash
from muniment.domain.ports import Append, Command, Context, Decide, Outcome
from muniment.domain.proof import Tree, verify_inclusion
from muniment.domain.values import CommandId, Digest, OrganisationId, PrincipalId, StreamId, VersionId
from report import machine, replace_table

BATCH = 5_000
PROOFS = 200
BAR_VERIFY = 100_000
BAR_PROOF_MS = 5.0
CONTEXT = Context(OrganisationId("0" * 32), PrincipalId("1" * 32), "bench")


def opened(path: Path) -> SqliteLedger:
    """Open a ledger without projections."""
    return SqliteLedger.in_file(path, rows, rows.SqliteViews, (), clock.now)


def fill(path: Path, events: int) -> None:
    """Append so many events of the kind that there are most of."""
    with closing(opened(path)) as ledger:
        for first in range(0, events, BATCH):
            made = tuple(created(number) for number in range(first, min(first + BATCH, events)))
            ledger.transact(Command(CommandId(f"{first:032x}"), CONTEXT), appending(first, made))


def appending(first: int, made: tuple[VersionCreated, ...]) -> Decide:
    """Return the decision to append events to one stream."""
    return lambda _: Outcome((Append(StreamId(f"{'a' * 32}:n"), first, made),))


def created(number: int) -> VersionCreated:
    """Return an event of ordinary size."""
    digest = Digest(sha256(str(number).encode()).hexdigest())
    return VersionCreated(VersionId(f"{number:032x}"), digest, digest, 1, 1)


def fsck(ledger: SqliteLedger, spread_from: int) -> None:
    """Check events, leaves, head and tiles as ``muniment fsck`` does, with more processes from so many events on."""
    ledger.spread_from = spread_from
    with ledger._file.apart() as cursor:  # noqa: SLF001 (rows are left out)
        cursor.execute("BEGIN")
        faults = list(ledger._check_events(cursor))  # noqa: SLF001
    if faults:
        raise SystemExit(faults[0])


def floor(texts: Sequence[tuple[bytes, bytes, bytes]]) -> None:
    """Hash the same bytes, and do nothing else."""
    for leaf, facts, words in texts:
        sha256(leaf)
        sha256(facts)
        sha256(words)


def hashed(record: Record) -> tuple[bytes, bytes, bytes]:
    """Return the bytes that are hashed for an event."""
    words = (record.words_blind or b"") + (record.words or b"")
    return b"\x00" + leaf_text(record), record.facts_blind + record.facts, words


def timed(act: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the medians of wall and CPU seconds, those of other processes that it began with them."""
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), spent()
        act()
        walls.append(time.perf_counter() - wall)
        cpus.append(spent() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def spent() -> float:
    """Return the CPU seconds of this process and of those that it began and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure(path: Path, events: int, rounds: int) -> list[tuple[str, str, str]]:
    """Return the rows of the table."""
    with closing(opened(path)) as ledger:
        sample = [hashed(record) for record in records(ledger._file.reader(), 0, min(events, 100_000))]  # noqa: SLF001
        _, alone = timed(lambda: floor(sample), rounds)
        wall, spread = timed(lambda: fsck(ledger, min(events, ENOUGH)), rounds)
        lone, one = timed(lambda: fsck(ledger, events + 1), rounds)
        prove = proofs(ledger, events, rounds)
    each, bare = one / events, alone / len(sample)
    number = processes(events, min(events, ENOUGH))
    return [
        (f"in {number} processes, by the clock", f"{events / wall:,.0f} events/s", f"≥ {BAR_VERIFY:,}"),
        (f"the same, had it had {number} cores for itself", f"{number * events / spread:,.0f} events/s", "–"),
        ("in one process, by the clock", f"{events / lone:,.0f} events/s", "–"),
        ("in one process, its CPU time", f"{each * 1e6:.1f} µs an event", "–"),
        ("SHA-256 of the same bytes alone", f"{bare * 1e6:.1f} µs an event", "–"),
        ("the check over that floor", f"{each / bare:.1f} ×", "–"),
        ("an inclusion proof, read from the file", f"{prove:.2f} ms", f"≤ {BAR_PROOF_MS:.0f} ms"),
    ]


def proofs(ledger: SqliteLedger, events: int, rounds: int) -> float:
    """Return the median milliseconds of an inclusion proof at this size, each with a tree of its own."""
    chance, head = random.Random(7), ledger.head()
    times = []
    for _ in range(PROOFS * rounds // 5):
        index = chance.randrange(events)
        began = time.perf_counter()
        hashes = Tree(events, ledger.subtrees).inclusion(index)
        times.append(time.perf_counter() - began)
        verify_inclusion(index, events, leaf_hash(ledger.leaf(index + 1).text), hashes, head.root)
    return statistics.median(times) * 1000


def main() -> None:
    """Measure and print, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ledger.sqlite3")
        fill(path, asked.events)
        measured = measure(path, asked.events, asked.rounds)
    table = ["| what | measured | bar |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in measured)]
    lines = [machine(), f"{asked.events:,} events.", "", *table]
    print("\n".join(lines))
    if asked.write:
        replace_table("proofs", lines)


if __name__ == "__main__":
    main()
