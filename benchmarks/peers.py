"""What the same work costs with Muniment and with its peers: CPU of whole processes, side by side in each round.

::

    python benchmarks/peers.py [--rounds 5] [--small] [--write]

The work is that of ``files.py``: 20,000 files of 4 KiB are logged, logged again unchanged and with 1% changed, and
downloaded; ``--small`` takes a tenth. DVC, MLflow and W&B, at the versions of ``peers.txt``, are installed into an
environment of their own, ``.venv-peers``, each keeps what it has in folders of its own, and none reports home.
W&B works offline: it prepares an upload that never happens, and cannot download.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from files import DOWNLOAD, FILES, FOLDERS, LOG, SMALL_SCALE, change_one_percent, compile_package, make_files, run
from report import machine, replace_table

HERE: Final = Path(__file__).parent
PINS: Final = HERE / "peers.txt"
ENVIRONMENT: Final = HERE.parent / ".venv-peers"
CHANGED: Final = "log, 1% changed"
DOWNLOADED: Final = "download"
WORK: Final = ("log", "log again unchanged", CHANGED, DOWNLOADED)
FIRST: Final = "d000"
"""One of the folders that ``make_files`` makes."""
MLFLOW_BEGIN: Final = """
import sys, mlflow
mlflow.create_experiment("bench", artifact_location=sys.argv[1])
"""
MLFLOW_LOG: Final = """
import sys, mlflow
mlflow.set_experiment("bench")
with mlflow.start_run():
    mlflow.log_artifacts(sys.argv[1], "data")
"""
MLFLOW_DOWNLOAD: Final = """
import sys, mlflow
run = mlflow.search_runs(experiment_names=["bench"], max_results=1, output_format="list")[0]
mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="data", dst_path=sys.argv[1])
"""


@frozen
class Peer:
    """One way to do the work: commands, in which ``{data}``, ``{folder}`` and ``{down}`` stand for folders.

    *begin* makes what is there before anything is logged and is not measured, nor is copying the files into the
    folder of a peer that works *in_place*.
    """

    name: str
    log: tuple[str, ...]
    download: tuple[str, ...] = ()
    begin: tuple[tuple[str, ...], ...] = ()
    environ: Mapping[str, str] = {}
    in_place: bool = False


def peers() -> Iterator[Peer]:
    """Yield the floor, which hashes nothing and keeps no record, Muniment with its embedded default, and its peers."""
    copy = ("cp", "-r", "--reflink=never")
    yield Peer("cp -r", log=(*copy, "{data}/.", "{folder}/copy"), download=(*copy, "{folder}/copy", "{down}"))
    yield Peer(
        "Muniment",
        log=(sys.executable, "-c", LOG.format(add="add_dir"), "{data}"),
        download=(sys.executable, "-c", DOWNLOAD, "{down}"),
        environ={"MUNIMENT_HOME": "{folder}/home", "MUNIMENT_SILENT": "true"},
    )
    yield Peer(
        "DVC",
        begin=(("git", "init", "-q"), (program("dvc"), "init", "-q")),
        log=(program("dvc"), "add", "-q", "down"),
        download=(program("dvc"), "checkout", "-q"),
        environ={"DVC_NO_ANALYTICS": "1"},
        in_place=True,
    )
    python = program("python")
    yield Peer(
        "MLflow",
        begin=((python, "-c", MLFLOW_BEGIN, "{folder}/artifacts"),),
        log=(python, "-c", MLFLOW_LOG, "{data}"),
        download=(python, "-c", MLFLOW_DOWNLOAD, "{down}"),
        environ={
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_TRACKING_URI": "sqlite:///{folder}/mlflow.db",
        },
    )
    yield Peer(
        "W&B offline",
        log=(python, "-c", LOG.replace("muniment as wandb", "wandb").format(add="add_dir"), "{data}"),
        environ={
            "WANDB_MODE": "offline",
            "WANDB_SILENT": "true",
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_DIR": "{folder}",
            "WANDB_CACHE_DIR": "{folder}/cache",
            "WANDB_DATA_DIR": "{folder}/staging",
            "WANDB_CONFIG_DIR": "{folder}/config",
        },
    )


@frozen
class Place:
    """Where a peer does its work in one round."""

    peer: Peer
    data: Path
    folder: Path

    @property
    def down(self) -> Path:
        """The folder into which files are fetched."""
        return self.folder / "down"

    def begin(self) -> None:
        """Make what is there before anything is logged."""
        self.folder.mkdir()
        for command in self.peer.begin:
            self.took(command)

    def log(self) -> float:
        """Log the files as they are now and return the CPU seconds."""
        if self.peer.in_place:
            run("cp", "-r", "--update", f"{self.data}/.", str(self.down))
        return self.took(self.peer.log)

    def download(self) -> float | None:
        """Fetch the files that were logged last and look that they are the same; None where that cannot be done."""
        if not self.peer.download:
            return None
        if self.peer.in_place:
            shutil.rmtree(self.down)
        taken = self.took(self.peer.download)
        found = next(self.down.rglob(f"{FIRST}/..")).resolve()
        if contents(found) != contents(self.data):
            raise SystemExit(f"{self.peer.name} fetched other files than were logged")
        return taken

    def took(self, command: Iterable[str]) -> float:
        """Run a command to its end and return its CPU seconds."""
        environ = {"HOME": "{folder}", "DO_NOT_TRACK": "1", **self.peer.environ}
        told = {name: self._filled(text) for name, text in environ.items()}
        return run(*map(self._filled, command), environ=told, folder=self.folder).cpu

    def _filled(self, text: str) -> str:
        for name in ("data", "folder", "down"):
            text = text.replace(f"{{{name}}}", str(getattr(self, name)))
        return text


def contents(folder: Path) -> dict[str, bytes]:
    """Return what each file holds, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.bin")}


def program(name: str) -> str:
    """Return a program of the peers' environment."""
    return str(ENVIRONMENT / "bin" / name)


def install() -> None:
    """Make the peers' environment, unless it is there with these versions."""
    stamp = ENVIRONMENT / "pins.txt"
    if stamp.is_file() and stamp.read_bytes() == PINS.read_bytes():
        return
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    subprocess.run([program("python"), "-m", "pip", "install", "-qq", "-r", str(PINS)], check=True)
    shutil.copy(PINS, stamp)


def one_round(data: Path, scratch: Path, number: int) -> Iterator[tuple[str, str, float]]:
    """Yield what each peer took for each piece of work."""
    places = [Place(peer, data, scratch / f"peer-{at}") for at, peer in enumerate(peers())]
    for place in places:
        place.begin()
    for work in WORK:
        if work == CHANGED:
            change_one_percent(data.parent, number)
        for place in places:
            taken = place.download() if work == DOWNLOADED else place.log()
            if taken is not None:
                yield place.peer.name, work, taken


def measure(rounds: int, scale: float) -> dict[tuple[str, str], float]:
    """Return the median CPU seconds of each peer for each piece of work."""
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    compile_package()
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder), scale, big=False)
        for number in range(rounds):
            scratch = Path(folder) / "scratch"
            scratch.mkdir()
            for name, work, each in one_round(Path(folder) / "b", scratch, number):
                taken[name, work].append(each)
            shutil.rmtree(scratch)
    return {key: statistics.median(each) for key, each in taken.items()}


def table(medians: Mapping[tuple[str, str], float]) -> Iterator[str]:
    """Yield the lines of the table: CPU seconds, and how many times those of Muniment they are."""
    yield f"| with | {' | '.join(WORK)} |"
    yield f"|---|{'---:|' * len(WORK)}"
    for name in dict.fromkeys(name for name, _ in medians):
        cells = []
        for work in WORK:
            own, each = medians["Muniment", work], medians.get((name, work))
            cells.append("–" if each is None else f"{each:.2f} s ({each / own:.1f} ×)")
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and print; with ``--write``, keep the table."""
    arguments = argparse.ArgumentParser(description="What the same work costs with Muniment and with its peers")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--small", action="store_true", help="a tenth of the files")
    arguments.add_argument("--write", action="store_true", help="keep the table in docs/benchmarks.md")
    chosen = arguments.parse_args()
    install()
    scale = SMALL_SCALE if chosen.small else 1.0
    medians = measure(chosen.rounds, scale)
    pins = ", ".join(PINS.read_text("utf-8").split()).replace("==", " ")
    about = f"Medians of {chosen.rounds} rounds; {FILES * int(FOLDERS * scale):,} files; {pins}."
    lines = [machine(), about, "", *table(medians)]
    print("\n".join(lines))
    if chosen.write:
        replace_table("peers", lines)


if __name__ == "__main__":
    main()
