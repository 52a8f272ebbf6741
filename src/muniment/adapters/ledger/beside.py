"""Looks at the pages of a large ledger in more than one process: this one, and others that only read.

What others find is only believed where it is good: a page that they find a fault in, or do not answer for, is looked
at here. So they may end at any time, and what they read may be a little newer.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Final, cast

import msgspec

from muniment.adapters.ledger.lean import PAGE, Clean
from muniment.adapters.ledger.pages import Pages, in_sqlite

ENOUGH: Final = 150_000
"""From how many events on another process is worth its start."""
MOST: Final = 4
"""How many processes are used at most, this one with them."""
_LENGTH: Final = 4


class Job(msgspec.Struct, frozen=True):
    """Which pages of which ledger to look at: every *step*-th from the *first* on, up to *size* events."""

    size: int
    first: int = 0
    step: int = 1
    file: str | None = None
    conninfo: str = ""
    schema: str = ""

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield after which event each page begins, and with which it ends."""
        for after in range(self.first * PAGE, self.size, self.step * PAGE):
            yield after, min(after + PAGE, self.size)


def processes(size: int, enough: int = ENOUGH) -> int:
    """Return in how many processes to look at so many events: with fewer than *enough*, or on one core, in this one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST) if size >= enough else 1


@contextmanager
def looks(pages: Pages, job: Job, number: int) -> Iterator[Iterator[Clean | None]]:
    """Look at all pages of a ledger, in their order, in so many processes."""
    with ExitStack() as stack:
        others = [
            stack.enter_context(_other(msgspec.structs.replace(job, first=first, step=number)))
            for first in range(1, number)
        ]
        yield _in_turn(pages, job, others)


def _in_turn(pages: Pages, job: Job, others: Sequence[IO[bytes]]) -> Iterator[Clean | None]:
    for page, (after, until) in enumerate(job.spans()):
        turn = page % (len(others) + 1)
        clean = _answer(others[turn - 1]) if turn else None
        yield pages.look(after, until) if clean is None else clean


@contextmanager
def _other(job: Job) -> Iterator[IO[bytes]]:
    """Begin a process that looks at pages; yield where its answers come from: nowhere, if it cannot begin."""
    try:
        other = subprocess.Popen(  # noqa: S603 (this very program)
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        yield BytesIO()
        return
    with other:
        try:
            _tell(other, job)
            yield cast("IO[bytes]", other.stdout)
        finally:
            other.kill()


def _tell(other: subprocess.Popen[bytes], job: Job) -> None:
    """Hand the job over, which may hold a password, where nobody else sees it."""
    with suppress(BrokenPipeError), closing(cast("IO[bytes]", other.stdin)) as stdin:  # it has ended: no answer comes
        stdin.write(msgspec.msgpack.encode(job))


def _answer(other: IO[bytes]) -> Clean | None:
    """Read what another process says of its next page; ``None`` if it found a fault, or ended."""
    length = int.from_bytes(other.read(_LENGTH))
    try:
        return msgspec.msgpack.decode(other.read(length), type=Clean | None)
    except msgspec.DecodeError:
        return None


def serve(job: Job, answers: IO[bytes]) -> None:
    """Look at the pages of a job and say what they are."""
    with _opened(job) as pages:
        for after, until in job.spans():
            text = msgspec.msgpack.encode(pages.look(after, until))
            answers.write(len(text).to_bytes(_LENGTH) + text)
            answers.flush()


@contextmanager
def _opened(job: Job) -> Iterator[Pages]:
    """Open what the job is about, to read it."""
    if job.file is not None:
        uri = f"{Path(job.file).as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=60, isolation_level=None)) as connection:
            yield in_sqlite(connection.cursor())
        return
    from muniment.adapters.ledger.postgres_pages import in_postgres  # noqa: PLC0415 (its library may not be there)
    from muniment.adapters.postgres import Address  # noqa: PLC0415

    with closing(Address(job.conninfo, job.schema, "").connect()) as connection:
        connection.execute("SET default_transaction_read_only = on")
        yield in_postgres(connection.cursor())


if __name__ == "__main__":
    serve(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job), sys.stdout.buffer)
