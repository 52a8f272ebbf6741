"""What becomes of runs when their process ends, fails or forks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import muniment as wandb
from muniment.app import directory, runs
from muniment.app.sdk import session
from muniment.domain.rows import RunRow
from tests.app.sdk.words import events, find, kept


def script(text: str, *, expect: int = 0) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "MUNIMENT_SILENT": "false"}
    done = subprocess.run(
        [sys.executable, "-c", text], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == expect, done.stderr
    return done


LOG = """
import muniment as wandb
run = wandb.init(id="r")
a = wandb.Artifact("ds", "dataset")
with a.new_file("a.txt") as file:
    file.write("x")
run.log_artifact(a)
"""


def test_a_forgotten_run_is_finished_when_the_process_ends() -> None:
    done = script(LOG)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "muniment: run r started in local/uncategorized",
        "muniment: run r finished; 1 artifact logged",
    ]
    project = directory.project(session.store().views, "local", "uncategorized")
    assert runs.named(session.store(), project, "r").state == "finished"
    with wandb.init() as run:
        assert run.use_artifact("ds:v0").file_count == 1


def test_a_run_that_an_uncaught_exception_leaves_has_failed() -> None:
    done = script(LOG + "raise RuntimeError('no')", expect=1)
    assert "RuntimeError: no" in done.stderr
    assert "run r failed" in done.stderr
    project = directory.project(session.store().views, "local", "uncategorized")
    assert runs.named(session.store(), project, "r").state == "failed"


def test_a_forked_child_leaves_the_run_to_its_parent() -> None:
    script(LOG + "import os\npid = os.fork()\nif pid == 0:\n    raise SystemExit(0)\nos.waitpid(pid, 0)\n")
    assert events().count("run.finished.1") == 1


def test_a_child_process_can_begin_a_run_of_its_own() -> None:
    text = (
        LOG
        + "import os\npid = os.fork()\nif pid == 0:\n"
        + "    own = wandb.init(id='child')\n    own.finish()\n    os._exit(0)\n"
    )
    script(text + "assert os.waitpid(pid, 0)[1] == 0\n")
    project = directory.project(session.store().views, "local", "uncategorized")
    assert runs.named(session.store(), project, "child").state == "finished"


def test_a_forked_child_logs_by_the_run_of_its_parent_at_once() -> None:
    script(
        "import muniment as wandb, os\n"
        "run = wandb.init(id='r')\n"
        "if (pid := os.fork()) == 0:\n"
        "    made = wandb.Artifact('ds', 'dataset')\n"
        "    run.log_artifact(made)\n"
        "    os._exit(0 if made.version == 'v0' else 1)\n"
        "assert os.waitpid(pid, 0)[1] == 0\n"
    )
    assert find("ds:latest").logged_by().id == "r"


def ended(key: str = "r") -> RunRow:
    store = session.store()
    return runs.named(store, directory.project(store.views, "local", "uncategorized"), key)


@pytest.mark.parametrize(("status", "code", "state"), [("3", 3, "failed"), ("'no'", 1, "failed"), ("0", 0, "finished")])
def test_an_exit_status_says_how_the_run_ended(status: str, code: int, state: str) -> None:
    script(f"import sys\n{LOG}sys.exit({status})", expect=code)
    assert ended().state == state
    assert find("ds:latest").version == "v0"


def test_what_was_not_logged_is_said_even_if_silence_is_wanted() -> None:
    done = script(
        "import os\nos.environ['MUNIMENT_SILENT'] = 'true'\n"
        "import muniment as wandb\nrun = wandb.init(id='r')\nmade = wandb.Artifact('ds', 'dataset')\n"
        "open('gone', 'w').write('x')\nmade.add_file('gone', policy='immutable')\nos.remove('gone')\n"
        "run.log_artifact(made)\n"
    )
    assert "run r: 'gone' could not be stored" in done.stderr
    assert ended().state == "failed"


def test_what_a_forked_child_logs_is_kept_once_beside_what_its_parent_does() -> None:
    script(
        "import muniment as wandb, os\n"
        "run = wandb.init(id='r', config={'lr': 1})\n"
        "run.log({'parent': 1})\n"
        "if (pid := os.fork()) == 0:\n"
        "    run.log({'child': 1})\n"
        "    run.config['worker'] = 0\n"
        "    os._exit(0)\n"
        "assert os.waitpid(pid, 0)[1] == 0\n"
        "run.log({'parent': 2})\n"
    )
    rows = runs.history(session.store(), ended())
    figures = [{key: row[key] for key in ("parent", "child") if key in row} for row in rows]
    assert sorted(figures, key=str) == [{"child": 1}, {"parent": 1}, {"parent": 2}]
    assert kept(ended().config) == {"lr": 1, "worker": 0}
