"""A store with a bit of everything that exports tell of, and how judges are asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from muniment.app import bootstrap, exports, lifecycle, runs
from muniment.app.config import load
from muniment.app.files.download import download
from muniment.app.transact import Request
from muniment.domain import version as versions
from muniment.domain.evidence import Check, Evidence, Method
from muniment.domain.rows import RunRow
from muniment.domain.values import RunId, StreamId
from tests.app.scene import Scene
from tests.stores import Clock

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "schemas" / "openlineage"
OWN = ROOT / "docs" / "format" / "openlineage"
JUDGE = Path(__file__).with_name("judge.py")
CANARY = "jane-doe"
PURGED = Evidence("d" * 32, Method.DELETED, (Check.MEMORY,), 1, 5, 1)
TABLE = "id,score,name,empty\n1,0.5,ann,\n2,1.5e3,bob,x\n"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Return a store on disk, to be looked at: data, a model made from it, runs, links, and things that are gone."""
    yield from _opened(tmp_path_factory.mktemp("told"))


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Scene]:
    """Return such a store in which more may happen."""
    yield from _opened(tmp_path / "fresh")


def _opened(home: Path) -> Iterator[Scene]:
    store = bootstrap.open_store(load(home=str(home), actor="ada"))
    scene = Scene(store, Clock())
    happen(scene)
    yield scene
    store.ledger.close()


def happen(scene: Scene) -> None:
    """Let everything happen that exports tell of."""
    files = {"table.csv": TABLE, "sub/notes.txt": "notes", "odd.csv": "a,b\n1\n", f"{CANARY}.txt": CANARY}
    prepare = scene.run("prepare", job_type="prep")
    scene.log("data", files, "best", run=prepare, description="what was measured", metadata={"rows": 2})
    scene.log("loose", "by nobody")
    train = scene.run("train", job_type="train")
    for name in ("data:v0", "loose:v0"):
        use(scene, name, train)
    scene.log("net", {"weights.bin": "0101"}, run=train, type_="model", description="a net")
    for run in (prepare, train):
        runs.finish(scene.store, run, exit_code=int(run is train))
    again = scene.run("again")
    use(scene, "net:v0", again)
    scene.log("data", files, run=again)
    for name in ("bad", "worse", "whole"):
        scene.log(name, name, run=again)
    scene.link("net:v0", "model/nets", "production")
    scene.delete("bad:v0", delete_aliases=True)
    worse = scene.delete("worse:v0", delete_aliases=True)
    step(scene, worse.version.version_id, versions.let_go_in_time, 1, 2)
    step(scene, worse.version.version_id, versions.purge, [("", PURGED)])
    lifecycle.delete_artifact(scene.store, scene.artifact("whole"), scene.team)
    data = scene.find("data:v0").version.version_id
    step(scene, data, versions.erase_entry, "e" * 32, f"{CANARY}.txt")


def use(scene: Scene, name: str, run: RunRow) -> None:
    runs.use(scene.store, scene.find(name).version.version_id, RunId(run.run_id))


def step(scene: Scene, version_id: str, decision: Callable[..., Any], *args: Any, **more: Any) -> None:
    """Let a decision about a version be recorded."""
    stream = StreamId(version_id)
    act = partial(decision, **more)
    scene.store.transact(Request("evidence"), lambda steps: steps.step(versions.VERSION, stream, act, *args) and None)


def write(scene: Scene, format_: str, name: str, folder: Path, *, downloaded: bool = True) -> Path:
    """Write an export beside the files of its version; return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    if downloaded and format_ in {"croissant", "datapackage"}:
        download(scene.store, scene.find(name), str(folder))
    written = folder / ("datapackage.json" if format_ == "datapackage" else "export.json")
    exports.save(exports.export(scene.store, format_, name), written)
    return written


def ask(*asked: tuple[str, Path]) -> list[list[str]]:
    """Let the judges of formats look at files, in one process of their own; return what is wrong with each file."""
    if not SHARED.is_dir():
        pytest.skip("the schemas of OpenLineage are in ../shared, which is not here")
    jobs = [[name, str(file), *([str(SHARED), str(OWN)] if name == "openlineage" else [])] for name, file in asked]
    done = subprocess.run(
        [sys.executable, str(JUDGE)], input=json.dumps(jobs), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found
