"""How fast a ledger is verified and an event proved, beside hashing alone: wall and CPU time, medians.

::

    python benchmarks/proofs.py [--events 1000000] [--rounds 5] [--write]

*Verify* reads every event and compares it with its leaf, in two processes that take half the events each; beside it
stands what ``muniment fsck`` does in its one process before it looks at the rows of projections: the same, and whether
leaves fit head and tiles. The floor is SHA-256 over the same bytes. ``--write`` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from muniment.adapters.ledger.record import Record, leaf_of, leaf_text
from muniment.adapters.ledger.sqlite import SqliteLedger
from muniment.adapters.ledger.sqlite_desk import read_tip, records
from muniment.adapters.ledger.tiles import ALL
from muniment.adapters.ledger.verify import check_events
from muniment.adapters.views import sqlite as rows
from muniment.app import clock
from muniment.domain.artifact import VersionCreated
from muniment.domain.merkle import leaf_hash
from muniment.domain.ports import Append, Command, Context, Outcome
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
            append = Append(StreamId(f"{'a' * 32}:n"), first, made)
            ledger.transact(Command(CommandId(f"{first:032x}"), CONTEXT), lambda _, append=append: Outcome((append,)))  # type: ignore[misc]


def created(number: int) -> VersionCreated:
    """Return an event of ordinary size."""
    digest = Digest(sha256(str(number).encode()).hexdigest())
    return VersionCreated(VersionId(f"{number:032x}"), digest, digest, 1, 1)


def check(path: str, first: int, last: int) -> int:
    """Compare the leaves of events with those that are stored; return how many there were."""
    with closing(opened(Path(path))) as ledger:
        cursor = ledger._file.reader()  # noqa: SLF001 (the floor is below the port)
        stored = cursor.execute("SELECT hash FROM leaves WHERE seq > ? AND seq <= ? ORDER BY seq", (first, last))
        kept = iter(stored.fetchall())
        count = 0
        for record in records(ledger._file.reader(), first, last):  # noqa: SLF001
            if leaf_of(record) != next(kept)[0]:
                raise SystemExit(f"event {record.seq} does not match its leaf")
            count += 1
        return count


def fsck(ledger: SqliteLedger) -> None:
    """Check events, leaves, head and tiles as ``muniment fsck`` does."""
    cursor = ledger._file.reader()  # noqa: SLF001
    stored = ledger._file.reader().execute("SELECT seq, hash FROM leaves ORDER BY seq")  # noqa: SLF001
    tiles = ledger._file.reader()  # noqa: SLF001
    faults = list(check_events(records(cursor, 0, None), stored, read_tip(cursor), lambda: tiles.execute(ALL)))
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
    """Return the medians of wall and CPU seconds of this process."""
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        act()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def measure(path: Path, events: int, rounds: int) -> list[tuple[str, str, str]]:
    """Return the rows of the table."""
    half = events // 2
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(abs, range(2)))

        def both() -> None:
            parts = pool.map(check, [str(path)] * 2, [0, half], [half, events])
            if sum(parts) != events:
                raise SystemExit("an event is missing")

        wall, _ = timed(both, rounds)
    with closing(opened(path)) as ledger:
        sample = [hashed(record) for record in records(ledger._file.reader(), 0, min(events, 100_000))]  # noqa: SLF001
        _, one = timed(lambda: check(str(path), 0, len(sample)), rounds)
        _, alone = timed(lambda: floor(sample), rounds)
        _, whole = timed(lambda: fsck(ledger), 1)
        prove = proofs(ledger, events, rounds)
    return [
        ("verify, two cores, by their CPU time", f"{2 * len(sample) / one:,.0f} events/s", f"≥ {BAR_VERIFY:,}"),
        ("the same by the clock, whatever else ran", f"{events / wall:,.0f} events/s", "–"),
        ("`fsck`, events against leaves, head and tiles", f"{events / whole:,.0f} events a CPU second", "–"),
        ("verify, CPU of one process", f"{one / len(sample) * 1e6:.1f} µs an event", "–"),
        ("SHA-256 of the same bytes alone", f"{alone / len(sample) * 1e6:.1f} µs an event", "–"),
        ("verify over that floor", f"{one / alone:.1f} ×", "–"),
        ("an inclusion proof, read from the file", f"{prove:.2f} ms", f"≤ {BAR_PROOF_MS:.0f} ms"),
    ]


def proofs(ledger: SqliteLedger, events: int, rounds: int) -> float:
    """Return the median milliseconds of an inclusion proof at this size, each with a tree of its own."""
    chance, head = random.Random(7), ledger.head()
    spent = []
    for _ in range(PROOFS * rounds // 5):
        index = chance.randrange(events)
        began = time.perf_counter()
        hashes = Tree(events, ledger.subtrees).inclusion(index)
        spent.append(time.perf_counter() - began)
        verify_inclusion(index, events, leaf_hash(ledger.leaf(index + 1).text), hashes, head.root)
    return statistics.median(spent) * 1000


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
