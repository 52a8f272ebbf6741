"""What erasing one person costs, step by step, and looking for a word of theirs in every byte afterwards.

::

    python benchmarks/erasing.py [--small] [--write]

A version has 20,000 files of 4 KiB, of which 10,000 are about one person; other versions fill the store up, so that the
scan reads 1 GiB. ``--small`` takes a hundredth. ``--write`` puts the table into docs/benchmarks.md. It needs about
4 GiB of room.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, evolve, field, frozen

from muniment.app import approvals, bootstrap, config, directory, scan
from muniment.app.drill.world import log_files
from muniment.app.erasing import checking, data_subjects, requests
from muniment.app.erasing.executing import Eraser, Step
from muniment.app.files.staging import Staging
from muniment.app.store import Store
from muniment.domain.approval import Act
from muniment.domain.request import Right, Verdict
from muniment.domain.values import Role
from report import machine, replace_table

SEED = 20260114
FILES, BYTES, FILLER, MIB = 20_000, 4096, 1024, 1 << 20
FILLING = 16
"""How many large files the filler is."""
SMALL = 100
SECONDS = 30
WORD, SECOND = "canary-of-one-person", "second"


@define
class Watch:
    """What was timed so far: the seconds by the clock and of CPU, by what was done."""

    taken: dict[str, tuple[float, float]] = field(factory=dict)

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        """Time what is done inside."""
        began = self.now()
        yield
        self.add(what, began)

    def add(self, what: str, began: tuple[float, float]) -> tuple[float, float]:
        """Add what was done since *began*; return the moment at which it ended."""
        ended = self.now()
        self.taken[what] = (ended[0] - began[0], ended[1] - began[1])
        return ended

    @staticmethod
    def now() -> tuple[float, float]:
        """Return the seconds of the clock and of CPU."""
        return time.perf_counter(), time.process_time()


@frozen
class Filled:
    """A store in which a request to erase one person was approved."""

    store: Store
    home: Path
    request_id: str
    entries: int


def fill(folder: Path, scale: int) -> Filled:
    """Make a store with the version, what is about the person, and the filler."""
    home, source = folder / "home", random.Random(SEED)
    store = bootstrap.open_store(config.load({}, home=str(home)))
    directory.set_organisation_role(store, store.config.text("organisation"), SECOND, Role.ADMIN)
    project = directory.project(store.views, store.config.text("entity"), store.config.text("project"))
    paths = [_path(number) for number in range(FILES // scale)]
    _make(folder / "people", {path: _content(path, source) for path in paths})
    with Staging(store) as staging:
        staged = staging.add_files([(folder / "people" / path, path) for path in paths])
        people = log_files(store, project, staged, name="people")
    each = FILLER * MIB // scale // FILLING
    for number in range(FILLING):
        _make(folder / "filler", {f"{number}.bin": source.randbytes(each)})
        with Staging(store) as staging:
            staged = staging.add_files([(folder / "filler" / f"{number}.bin", "filler.bin")])
            log_files(store, project, staged, name=f"filler-{number}")
    subject = data_subjects.register(store, "somebody").subject_id
    about = [path for path in paths if WORD in path]
    data_subjects.attach_entries(store, subject, people.version_id, about)
    return Filled(store, home, _approved(store, subject), len(about))


def _path(number: int) -> str:
    return f"{number % 100:02}/{WORD if number % 2 else 'other'}-{number:05}.bin"


def _content(path: str, source: random.Random) -> bytes:
    head = path.encode()
    return head + source.randbytes(BYTES - len(head))


def _make(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _approved(store: Store, subject: str) -> str:
    request_id = requests.receive(store, Right.ERASURE, subject, text="all of it").request_id
    requests.identify(store, request_id, "a passport")
    requests.scope(store, request_id)
    second = evolve(store, context=evolve(store.context, actor=directory.principal(store, SECOND)))
    approvals.approve(second, approvals.propose(store, Act.ERASE, request_id))
    requests.decide(store, request_id, Verdict.APPROVED)
    return request_id


def erase(filled: Filled, watch: Watch) -> None:
    """Erase the person and verify that all is gone, timing each step."""
    eraser = Eraser(filled.store, filled.request_id)
    with watch.timing("fence"):
        eraser.fence()
    last = watch.now()

    def after(step: Step) -> None:
        nonlocal last
        last = watch.add(step.value, last)

    eraser.after = after
    row = eraser.execute()
    watch.add("record", last)
    if row.erased != filled.entries:
        raise SystemExit(f"{row.erased} of {filled.entries} entries were erased")
    with watch.timing("verify"):
        findings = checking.verify(filled.store, filled.request_id).findings
    if findings:
        raise SystemExit("\n".join(findings))


def measured(scale: int) -> list[str]:
    """Return the table: a row for each step, for the scan, and for all of it."""
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        filled = fill(Path(folder), scale)
        if not scan.scan([WORD], [str(filled.home)]).hits:
            raise SystemExit("the scan does not find what is there")
        erase(filled, watch)
        filled.store.ledger.close()
        with watch.timing("scan"):
            found = scan.scan([WORD], [str(filled.home)])
    if not found.clean:
        raise SystemExit("\n".join(scan.lines(found)))
    seconds, cpu = (sum(each) for each in zip(*watch.taken.values(), strict=True))
    held = "held" if seconds <= SECONDS else f"**missed** by {seconds - SECONDS:.1f} s"
    what = f"all of it: {filled.entries:,} of {FILES // scale:,} entries erased, {found.size / MIB:,.0f} MiB scanned"
    rows = [f"| {step} | {wall:.1f} s | {spent:.1f} s |  |" for step, (wall, spent) in watch.taken.items()]
    return [*rows, f"| {what} | {seconds:.1f} s | {cpu:.1f} s | {SECONDS} s: {held} |"]


def main() -> None:
    """Measure and print; with ``--write``, keep the table."""
    arguments = argparse.ArgumentParser(description="What erasing one person costs")
    arguments.add_argument("--small", action="store_true")
    arguments.add_argument("--write", action="store_true")
    chosen = arguments.parse_args()
    rows = measured(SMALL if chosen.small else 1)
    lines = [machine(), "", "| step | time | CPU | bar |", "|---|---|---|---|", *rows]
    print("\n".join(lines))
    if chosen.write:
        replace_table("erasing", lines)


if __name__ == "__main__":
    main()
