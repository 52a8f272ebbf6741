"""Threads and processes that write one ledger at once, processes that fork, and writers that are killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from muniment.app.store import Store
from muniment.app.transact import Request
from muniment.domain import alias, artifact
from muniment.domain.errors import NameTakenError
from muniment.domain.rows import VersionRow
from muniment.domain.values import numbering_stream
from tests.acts import Acts
from tests.stores import sqlite_store
from tests.writers import write, write_for_ever

KILLS = 50 if os.environ.get("CI") == "true" else 20
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # that threads and forks meet is the point
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = sqlite_store(tmp_path)
    Acts(store).log("model", "first", aliases=("best",))
    yield store
    store.ledger.close()


def require_whole(store: Store, versions: int) -> None:
    """Check that versions are numbered without a gap, that the alias was never in two places, and all is clean."""
    artifact_id = Acts(store).artifact("model").artifact_id
    rows = store.views.select(VersionRow, artifact_id=artifact_id, order="index")
    assert [row.index for row in rows] == list(range(versions))
    made = [each.event for each in store.ledger.read(stream=numbering_stream(artifact_id))]
    assert [each.version_id for each in made] == [row.version_id for row in rows]
    moved = [each.event for each in store.ledger.read() if isinstance(each.event, alias.AliasMoved)]
    assert [each.before for each in moved] == [None, *(each.to for each in moved[:-1])]
    assert [each.to for each in moved] == [row.version_id for row in rows]
    assert list(store.ledger.verify()) == []


def require_own(store: Store, names: Sequence[str], versions: int) -> None:
    """Check that each of these artifacts has so many versions, without a gap."""
    for name in names:
        artifact_id = Acts(store).artifact(name).artifact_id
        rows = store.views.select(VersionRow, artifact_id=artifact_id, order="index")
        assert [row.index for row in rows] == list(range(versions)), name


def together(*acts: Callable[[], object]) -> None:
    """Run all at once in threads; raise what one of them raised."""
    errors: list[Exception] = []
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        start.wait()
        try:
            act()
        except Exception as error:  # noqa: BLE001 (raised again below)
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@contextmanager
def forked(act: Callable[[], object]) -> Iterator[int]:
    """Run something in a forked child; expect at the end that it went well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    yield child
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def logging(store: Store, name: str, times: int) -> Callable[[], object]:
    acts = Acts(store)
    return lambda: [acts.log("model", f"{name}-{number}", aliases=("best",)) for number in range(times)]


def mixed(store: Store, name: str, times: int) -> Callable[[], object]:
    """Log to the artifact that all share and to one that has this *name*, in turn."""
    acts = Acts(store)

    def act() -> None:
        for number in range(times):
            acts.log("model", f"{name}-{number}", aliases=("best",))
            acts.log(name, number)

    return act


def test_eight_processes_append_to_one_artifact_and_alias_and_each_to_its_own(store: Store, tmp_path: Path) -> None:
    arguments = [(tmp_path / "ledger.sqlite3", store.context, f"p{number}", 12) for number in range(8)]
    writers = [SPAWN.Process(target=write, args=each) for each in arguments]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 8
    require_whole(store, 1 + 8 * 12)
    require_own(store, [f"p{number}" for number in range(8)], 12)


def test_threads_share_one_ledger(store: Store) -> None:
    def reading() -> None:
        for _ in range(40):
            at = store.ledger.head().size
            assert len(list(store.ledger.read(until=at))) == at
            assert Acts(store).find("model:best", at=at).version.index >= 0

    together(*(logging(store, f"t{number}", 12) for number in range(8)), reading, reading)
    require_whole(store, 1 + 8 * 12)


def test_waiting_commands_are_committed_together(store: Store) -> None:
    """While one command holds the lock others wait; they then go into one transaction, each on its own."""
    commits: list[str] = []
    entered, go_on = threading.Event(), threading.Event()
    writer = store.ledger._file.writer()  # type: ignore[attr-defined]  # noqa: SLF001 (to watch it)
    writer.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    def slow(_: Any) -> None:
        entered.set()
        assert go_on.wait(30)

    waiting = store.ledger._group._queue  # type: ignore[attr-defined]  # noqa: SLF001

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
    assert len(commits) == 2
    require_whole(store, 11)


def test_one_refused_command_of_a_batch_does_not_hinder_the_others(store: Store) -> None:
    def refusing(_: Any) -> None:
        msg = "taken"
        raise NameTakenError(msg)

    def refused() -> None:
        for _ in range(10):
            with pytest.raises(NameTakenError):
                store.transact(Request("name it"), refusing)

    def failing(_: Any) -> None:
        raise ZeroDivisionError

    def broken() -> None:
        for _ in range(10):
            with pytest.raises(ZeroDivisionError):
                store.ledger.work(failing)

    together(logging(store, "a", 10), logging(store, "b", 10), broken, refused)
    require_whole(store, 21)
    assert sum(each.outcome == "denied" for each in store.ledger.read()) == 10


def test_readers_of_ended_threads_are_closed(store: Store) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    together(store.ledger.head)
    before = open_files()
    for _ in range(30):
        together(store.ledger.head)
    assert open_files() <= before + 3


def test_a_forked_child_writes_with_connections_of_its_own(store: Store) -> None:
    together(store.ledger.head, logging(store, "thread", 2))
    with forked(logging(store, "child", 10)), forked(logging(store, "other", 10)):
        logging(store, "parent", 10)()
    require_whole(store, 33)


def test_a_forked_child_goes_on_when_its_parent_has_closed_the_ledger(store: Store) -> None:
    heard, say = os.pipe()

    def later() -> None:
        os.close(say)
        logging(store, "before", 3)()
        os.read(heard, 1)
        logging(store, "after", 3)()

    with forked(later):
        os.close(heard)
        store.ledger.close()
        os.close(say)
    require_whole(store, 7)


def test_forking_while_a_thread_writes(store: Store) -> None:
    stop = threading.Event()

    def writing() -> None:
        number = 0
        while not stop.is_set():
            Acts(store).log("model", f"busy-{number}", aliases=("best",))
            number += 1
        counted.append(number)

    def forking() -> None:
        for number in range(8):
            with forked(logging(store, f"child-{number}", 2)):
                pass
        stop.set()

    counted: list[int] = []
    together(writing, forking)
    require_whole(store, 1 + counted[0] + 16)


def test_a_writer_killed_at_any_point_loses_nothing_that_it_acknowledged(store: Store, tmp_path: Path) -> None:
    chance = random.Random(7)
    acknowledged = 0
    path = tmp_path / "ledger.sqlite3"
    for kill in range(KILLS):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                write_for_ever(path, store.context, f"k{kill}", writing)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            ids = [pipe.readline().decode().strip() for _ in range(chance.randrange(1, 8))]
            for _ in range(chance.randrange(20_000)):  # let it run on for a moment, sometimes none
                pass
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            ids += [line.decode().strip() for line in pipe if line.endswith(b"\n")]
        assert all(ids)
        assert all(store.views.find(VersionRow, version_id=id_) for id_ in ids)
        acknowledged += len(ids)
        assert list(store.ledger.verify()) == [], f"after kill {kill}"
    versions = sum(isinstance(each.event, artifact.VersionCreated) for each in store.ledger.read())
    assert versions >= acknowledged + 1
    logging(store, "after", 1)()
    require_whole(store, versions + 1)
