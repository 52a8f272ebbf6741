"""Ctrl-C and SIGTERM at any point of putting, getting, collecting and logging: one line, and nothing half-done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import frozen

import muniment as wandb
from muniment.app import bootstrap, config, directory, fsck, leases, runs
from muniment.app.cli import main
from muniment.app.collecting import collect, condemning
from muniment.app.sdk import session
from muniment.app.store import Store
from tests.torture.driver import forked
from tests.torture.points import Points

INTERRUPT, TERMINATE = signal.SIGINT, signal.SIGTERM
SAID = {INTERRUPT: (130, "interrupted", "killed"), TERMINATE: (143, "terminated", "crashed")}
POINTS = range(3, 400, 29 if os.environ.get("CI") == "true" else 67)
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # a child does one thing and ends


@frozen
class Ended:
    """How a command ended, and what it said on standard error."""

    status: int
    err: str


def command(arguments: Sequence[str], point: int, sent: signal.Signals, err: Path) -> Ended:
    """Run a command that gets a signal at a point of what it does."""

    def act() -> None:
        with err.open("w") as said, Path(os.devnull).open("w") as nowhere:
            sys.stdout, sys.stderr = nowhere, said
            signal.signal(signal.SIGINT, signal.default_int_handler)
            Points(point, sent).arm()
            status = main(arguments)
            sys.setprofile(None)
            for thread in threading.enumerate():  # a program that ends waits for its threads
                if thread is not threading.current_thread() and not thread.daemon:
                    thread.join()
        os._exit(status)

    return Ended(forked(act), err.read_text())


def before(sent: signal.Signals) -> tuple[int, str]:
    """Return how a process ends that had not begun to say anything itself."""
    return -sent, ""


def opened() -> Store:
    return bootstrap.open_store(config.load())


def nothing_half_done(store: Store, how: object = None) -> None:
    assert [fault.text for fault in fsck.check(store)] == []
    assert store.ledger.scratch.items(leases.LEASE) == []
    deleting = [
        row for _, row in store.ledger.scratch.items(condemning.CONDEMNED) if row["state"] == condemning.DELETING
    ]
    assert deleting == []
    staging = store.staging
    left = [path.name for path in (staging.iterdir() if staging.is_dir() else ()) if path.name != "lock"]
    assert left == [], how
    halves = store.config.path("blobs", "blobs") / "tmp"
    assert list(halves.iterdir()) == []


def states() -> list[str]:
    return [run.state for run in wandb.Api().runs("local/uncategorized")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of small files and a large one."""
    made = tmp_path / "data"
    made.mkdir()
    for number in range(20):
        (made / f"{number}.txt").write_bytes(os.urandom(500))
    (made / "large").write_bytes(os.urandom(400 << 10))
    return made


@pytest.mark.parametrize("sent", [INTERRUPT, TERMINATE])
def test_a_put_that_is_stopped_anywhere_leaves_nothing_half_done(
    folder: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    status, said, state = SAID[sent]
    opened().ledger.close()
    stopped = 0
    for point in POINTS:
        (folder / "0.txt").write_text(str(point))
        ended = command(["artifact", "put", "-n", "data", str(folder)], point, sent, tmp_path / "err")
        assert "Traceback" not in ended.err, (point, ended.err)
        assert (ended.status, ended.err.strip()) in {(status, said), (0, ""), before(sent)}, point
        store = opened()
        nothing_half_done(store, (point, ended))
        left = {run for run in states() if run != "finished"}
        assert left <= {state}, point
        stopped += bool(ended.status)
        store.ledger.close()
    assert stopped > len(POINTS) // 3
    session.close()


def test_a_get_that_is_stopped_anywhere_leaves_whole_files_only(folder: Path, tmp_path: Path) -> None:
    assert main(["artifact", "put", "-n", "data", str(folder)]) == 0
    stopped = 0
    for point in POINTS:
        target = tmp_path / f"down-{point}"
        ended = command(["artifact", "get", "--root", str(target), "data"], point, INTERRUPT, tmp_path / "err")
        assert "Traceback" not in ended.err, (point, ended.err)
        assert (ended.status, ended.err.strip()) in {(130, "interrupted"), (0, "")}, point
        for path in target.rglob("*"):
            assert path.read_bytes() == (folder / path.name).read_bytes(), point
        stopped += bool(ended.status)
        nothing_half_done(opened())
    assert stopped > 1
    assert main(["artifact", "get", "--root", str(target), "data"]) == 0


@pytest.mark.parametrize("sent", [INTERRUPT, TERMINATE])
def test_a_collection_that_is_stopped_anywhere_is_gone_on_with_by_the_next(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    monkeypatch.setenv("MUNIMENT_GRACE", "0")
    status, said, _ = SAID[sent]
    stopped = 0
    for point in POINTS[: len(POINTS) // 2]:
        (folder / "0.txt").write_text(str(point))
        assert main(["artifact", "put", "-n", "data", str(folder)]) == 0
        assert main(["artifact", "delete", "--delete-aliases", "data:latest"]) == 0
        ended = command(["gc", "--yes"], point, sent, tmp_path / "err")
        assert "Traceback" not in ended.err, (point, ended.err)
        assert (ended.status, ended.err.strip()) in {(status, said), (0, ""), before(sent)}, point
        store = opened()
        nothing_half_done(store)
        report = collect.act(store)
        assert not report.failed
        assert list(store.blobs.list()) == []
        assert store.ledger.scratch.items(condemning.CONDEMNED) == []
        stopped += bool(ended.status)
        store.ledger.close()
    assert stopped > 1


# --- the library -----------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
import muniment as wandb
from tests.torture.points import Points
import signal

def body(run, points):
    artifact = wandb.Artifact("data", "dataset")
    for number in range(20):
        with artifact.new_file(f"{number}.txt", mode="wb") as file:
            file.write(b"%d " % number * 20_000)
    points.arm()
    run.log_artifact(artifact)

points = Points(int(sys.argv[2]), signal.Signals[sys.argv[1]])
if sys.argv[3] == "with":
    with wandb.init(id="r") as run:
        body(run, points)
else:
    body(wandb.init(id="r"), points)
"""


def script(sent: signal.Signals, point: int, how: str) -> Ended:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, sent.name, str(point), how],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stderr)


@pytest.mark.parametrize("how", ["with", "forgotten"])
@pytest.mark.parametrize("point", [1, 40, 90])
@pytest.mark.parametrize("sent", [INTERRUPT, TERMINATE])
def test_a_signal_stops_what_is_logged_in_the_background(sent: signal.Signals, point: int, how: str) -> None:
    ended = script(sent, point, how)
    assert ended.status in {-sent, 143 if sent == TERMINATE else -sent}, ended.err
    assert "Exception ignored" not in ended.err, ended.err
    assert "Traceback" not in ended.err or sent == INTERRUPT, ended.err
    state = SAID[sent][2]
    assert f"run r {state}; " in ended.err
    store = opened()
    project = directory.project(store.views, "local", "uncategorized")
    assert runs.named(store, project, "r").state == state
    nothing_half_done(store)
    store.ledger.close()


def test_a_program_that_handles_sigterm_itself_is_left_alone() -> None:
    text = (
        "import os, signal, sys\nimport muniment as wandb\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('mine'))\n"
        "run = wandb.init(id='r')\nos.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "mine\n"
    assert states() == ["finished"]


def test_a_forked_worker_dies_of_sigterm_as_before() -> None:
    text = (
        "import os, signal\nimport muniment as wandb\nrun = wandb.init(id='r')\n"
        "if (pid := os.fork()) == 0:\n    os.kill(os.getpid(), signal.SIGTERM)\n    os._exit(0)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "-15\n"
    assert states() == ["finished"]


def test_a_forked_worker_that_logs_itself_unwinds_too() -> None:
    text = (
        "import os, signal\nimport muniment as wandb\nrun = wandb.init(id='r')\n"
        "if (pid := os.fork()) == 0:\n    with wandb.init(id='worker'):\n        os.kill(os.getpid(), signal.SIGTERM)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "143", done.stderr
    assert sorted(states()) == ["crashed", "finished"]


def test_a_second_sigterm_ends_the_process_at_once() -> None:
    text = (
        "import os, signal\nimport muniment as wandb\nrun = wandb.init(id='r')\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n    signal.pause()\n"
        "except SystemExit:\n    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    assert subprocess.run([sys.executable, "-c", text], capture_output=True, check=False).returncode == -TERMINATE
    assert states() == ["running"]
