"""The digits example on PostgreSQL and S3: nothing but settings changes, and it tells the same story."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import muniment
from tests.servers import postgres, seaweedfs

ROOT = Path(muniment.__file__).parents[2]
PREPARED = re.compile(r"^prepared   digits:v\d: \d+ images", re.MULTILINE)


def test_the_digits_example_runs_on_postgresql_and_s3(tmp_path: Path) -> None:
    server, database = seaweedfs.running(), postgres.running()
    bucket = server.bucket(versioned=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MUNIMENT_"))}
    environment = {
        **inherited,
        **server.environ,
        "MUNIMENT_HOME": str(tmp_path / "home"),
        "MUNIMENT_LEDGER": database.url(),
        "MUNIMENT_VAULT": database.url(),
        "MUNIMENT_BLOBS": f"s3://{bucket}/digits",
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = run(str(ROOT / "examples" / "digits" / "run.py"), "demo")
    assert len(PREPARED.findall(told)) == 2
    assert "rolled back: production is now digits-classifier:v0" in told
    assert "a moment ago it was digits-classifier:v1" in told
    run("-m", "muniment.app.cli", "fsck")
    assert '"artifacts": 3' in run("-m", "muniment.app.cli", "stats", "--json")
    kept = {path.name for path in (tmp_path / "home").iterdir()}
    assert not kept & {"ledger.sqlite3", "vault.sqlite3", "blobs"}
    assert server.client.list_objects_v2(Bucket=bucket, Prefix="digits/packs/")["KeyCount"] > 0
