"""A process killed in the middle of logging leaves nothing half-done: checked at seeded random points."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import muniment as wandb
from muniment.app import bootstrap, collect, config, fsck

LOGGER = """
import sys
import muniment as wandb

for number in range(int(sys.argv[1]), int(sys.argv[1]) + 100):
    with wandb.init(project="kill", id=f"run-{number}") as run:
        artifact = wandb.Artifact("data", type="dataset", metadata={"number": number})
        for part in range(3):
            with artifact.new_file(f"part-{part}.txt") as file:
                file.write(f"{number} {part} " * 5000)
        run.log_artifact(artifact, aliases=["best"])
    print(number, flush=True)
"""
POINTS = 10


def killed(home: Path, number: int, chance: random.Random) -> list[int]:
    """Let a process log until it is killed somewhere in the middle of a call; return what it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOGGER, str(number)],
        env={**os.environ, "MUNIMENT_HOME": str(home), "MUNIMENT_SILENT": "true"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(chance.randrange(1, 6))]
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=chance.random() * 0.15)
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().split()]
    process.wait()
    process.stdout.close()
    return acknowledged


def test_nothing_is_lost_or_half_done_after_a_kill_at_random_points(own_home: Path) -> None:
    chance = random.Random(20261123)
    acknowledged: list[int] = []
    for number in range(0, POINTS * 100, 100):
        acknowledged += killed(own_home, number, chance)
    store = bootstrap.open_store(config.load())
    assert [fault.text for fault in fsck.check(store)] == []
    versions = list(wandb.Api().artifacts("dataset", "kill/data"))
    numbers = [version.metadata["number"] for version in versions]
    assert len(numbers) == len(set(numbers)), "nothing was logged twice"
    assert set(acknowledged) <= set(numbers), "nothing acknowledged is lost"
    assert sorted(int(version.version[1:]) for version in versions) == list(range(len(versions)))
    for version in versions:
        version.verify(version.download(str(own_home / "down" / version.version)))
    report = collect.act(store, wait=0)
    assert not report.failed
    left = [path.name for path in store.staging.iterdir()]
    assert left == ["lock"], "staging of killed processes is reclaimed"
    assert [fault.text for fault in fsck.check(store)] == []
