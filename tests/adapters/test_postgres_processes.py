"""Threads and processes that write one ledger in PostgreSQL at once, that fork, and whose server goes away."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from muniment.adapters.ledger.batching import Waiting
from muniment.app.store import Store
from muniment.domain import artifact
from muniment.domain.rows import VersionRow
from tests.acts import Acts
from tests.adapters.test_ledger_processes import forked, logging, mixed, require_own, require_whole, together
from tests.servers.postgres import PostgresServer, postgres_ledger, running
from tests.stores import Clock, join, store_on

WRITERS = 32 if os.environ.get("CI") == "true" else 8
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # that threads and forks meet is the point


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    clock = Clock()
    store = store_on(postgres_ledger(running().url(), clock), tmp_path, clock)
    Acts(store).log("model", "first", aliases=("best",))
    yield store
    store.ledger.close()


def test_32_processes_append_to_one_artifact_and_alias_and_each_to_its_own(store: Store) -> None:
    with ExitStack() as stack:
        for number in range(32):
            stack.enter_context(forked(mixed(store, f"p{number}", 3)))
    require_whole(store, 1 + 32 * 3)
    require_own(store, [f"p{number}" for number in range(32)], 3)


def test_threads_share_one_ledger(store: Store) -> None:
    def reading() -> None:
        for _ in range(20):
            at = store.ledger.head().size
            assert len(list(store.ledger.read(until=at))) == at
            assert Acts(store).find("model:best", at=at).version.index >= 0

    together(*(logging(store, f"t{number}", 8) for number in range(8)), reading, reading)
    require_whole(store, 1 + 8 * 8)


def test_waiting_commands_are_committed_together(store: Store) -> None:
    entered, go_on = threading.Event(), threading.Event()
    batches: list[int] = []
    group = store.ledger._group  # type: ignore[attr-defined]  # noqa: SLF001 (to see who waits and what is run)
    run = group.run_batch

    def counted(batch: Sequence[Waiting]) -> None:
        batches.append(len(batch))
        run(batch)

    group.run_batch = counted

    def slow(_: Any) -> None:
        entered.set()
        assert go_on.wait(30)

    waiting = group._queue  # noqa: SLF001

    def release() -> None:
        assert entered.wait(30)
        others = [threading.Thread(target=logging(store, f"w{number}", 1)) for number in range(10)]
        for other in others:
            other.start()
        while len(waiting) < 10:
            os.sched_yield()
        go_on.set()
        for other in others:
            other.join()

    together(lambda: store.ledger.work(slow), release)
    assert batches == [1, 10]
    require_whole(store, 11)


def test_connections_of_ended_threads_are_closed(store: Store) -> None:
    def sessions() -> int:
        ((count,),) = running().sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'muniment'")
        return int(count)

    together(store.ledger.head)
    before = sessions()
    for _ in range(20):
        together(store.ledger.head)
    assert sessions() <= before + 3


def test_a_forked_child_writes_with_connections_of_its_own(store: Store) -> None:
    together(store.ledger.head, logging(store, "thread", 2))
    with forked(logging(store, "child", 6)), forked(logging(store, "other", 6)):
        logging(store, "parent", 6)()
    require_whole(store, 21)


def test_a_forked_child_goes_on_when_its_parent_has_closed_the_ledger(store: Store) -> None:
    heard, say = os.pipe()

    def later() -> None:
        os.close(say)
        logging(store, "before", 2)()
        os.read(heard, 1)
        logging(store, "after", 2)()

    with forked(later):
        os.close(heard)
        store.ledger.close()
        os.close(say)
    require_whole(store, 5)


def test_forking_while_a_thread_writes(store: Store) -> None:
    stop = threading.Event()

    def writing() -> None:
        number = 0
        while not stop.is_set():
            Acts(store).log("model", f"busy-{number}", aliases=("best",))
            number += 1
        counted.append(number)

    def forking() -> None:
        for number in range(6):
            with forked(logging(store, f"child-{number}", 2)):
                pass
        stop.set()

    counted: list[int] = []
    together(writing, forking)
    require_whole(store, 1 + counted[0] + 12)


# --- the server goes away --------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer.started()
    yield server
    server.remove()


def _write_for_ever(url: str, store: Store, folder: Path, name: str, acknowledge: int) -> None:
    clock = Clock()
    mine = join(postgres_ledger(url, clock), folder, clock, store.context)
    number = 0
    while True:
        logged = Acts(mine).log("model", f"{name}-{number}", aliases=("best",))
        os.write(acknowledge, f"{logged.version_id}\n".encode())
        number += 1


def _writer(url: str, store: Store, folder: Path, name: str) -> tuple[int, int]:
    """Fork a writer; return its process id and the pipe in which it acknowledges."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _write_for_ever(url, store, folder, name, writing)
        finally:
            os._exit(1)
    os.close(writing)
    return child, reading


def test_the_server_crashes_and_comes_back_under_many_writers(server: PostgresServer, tmp_path: Path) -> None:
    """No writer sees an error, what was acknowledged is there, nothing is there twice."""
    url, clock = server.url(), Clock()
    store = store_on(postgres_ledger(url, clock), tmp_path, clock)
    Acts(store).log("model", "first", aliases=("best",))
    writers = [_writer(url, store, tmp_path, f"w{number}") for number in range(WRITERS)]
    ids: list[str] = []
    pipes = [os.fdopen(reading, "rb") for _, reading in writers]
    for how in (signal.SIGQUIT, signal.SIGINT, signal.SIGQUIT):
        ids += [pipe.readline().decode().strip() for pipe in pipes]
        server.stop(how)
        server.start()
    ids += [pipe.readline().decode().strip() for pipe in pipes]
    for child, _ in writers:
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, "a writer met an error"
    for pipe in pipes:
        ids += [line.decode().strip() for line in pipe if line.endswith(b"\n")]
        pipe.close()
    assert all(ids)
    assert len(set(ids)) == len(ids)
    assert all(store.views.find(VersionRow, version_id=id_) for id_ in ids)
    versions = sum(isinstance(each.event, artifact.VersionCreated) for each in store.ledger.read())
    assert len(ids) + 1 <= versions <= len(ids) + 1 + WRITERS
    require_whole(store, versions)
    store.ledger.close()


def test_writers_are_killed_in_the_middle(server: PostgresServer, tmp_path: Path) -> None:
    """The lock of a dead writer is let go of, and what it acknowledged is there."""
    url, clock = server.url(), Clock()
    store = store_on(postgres_ledger(url, clock), tmp_path, clock)
    Acts(store).log("model", "first", aliases=("best",))
    for number in range(10):
        child, reading = _writer(url, store, tmp_path, f"k{number}")
        with os.fdopen(reading, "rb") as pipe:
            ids = [pipe.readline().decode().strip() for _ in range(1 + number % 3)]
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            ids += [line.decode().strip() for line in pipe if line.endswith(b"\n")]
        assert all(store.views.find(VersionRow, version_id=id_) for id_ in ids)
        logging(store, f"between-{number}", 1)()
    assert list(store.ledger.verify()) == []
    store.ledger.close()
