"""Eight processes log to one artifact and move one alias on one ledger: nobody notices the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import muniment as wandb
from muniment.app import bootstrap, config, fsck

PROCESSES, EACH = 8, 6
LOGGER = """
import sys
import muniment as wandb

with wandb.init(project="crowd") as run:
    for number in range(int(sys.argv[2])):
        artifact = wandb.Artifact("data", type="dataset")
        with artifact.new_file("part.txt") as file:
            file.write(f"{sys.argv[1]} {number}")
        logged = run.log_artifact(artifact, aliases=["best"]).wait()
        print(logged.version)
"""


def test_eight_processes_log_to_one_artifact_and_move_one_alias(own_home: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", LOGGER, str(number), str(EACH)],
            env={**os.environ, "MUNIMENT_HOME": str(own_home), "MUNIMENT_SILENT": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    outcomes = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, [error for _, error in outcomes]
    assert [error for _, error in outcomes] == [""] * PROCESSES
    told = sorted(int(line[1:]) for printed, _ in outcomes for line in printed.split())
    assert told == list(range(PROCESSES * EACH)), "every version was told to exactly one process"
    versions = list(wandb.Api().artifacts("dataset", "crowd/data"))
    assert sorted(int(version.version[1:]) for version in versions) == told
    assert [len(version.aliases) for version in versions if "best" in version.aliases] != []
    assert sum("best" in version.aliases for version in versions) == 1
    assert sum("latest" in version.aliases for version in versions) == 1
    assert [fault.text for fault in fsck.check(bootstrap.open_store(config.load()))] == []
