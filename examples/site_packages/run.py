"""Log the installed site-packages folder twice; the second time makes no new version: ``python run.py [FOLDER]``."""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from pathlib import Path

sys.dont_write_bytecode = True  # or importing would change the folder while it is being logged

import muniment as wandb  # noqa: E402

AT_LEAST = 10_000


def log(folder: Path) -> str:
    """Log *folder* as one artifact; print what it took and return the name with its version."""
    began = time.perf_counter()
    with wandb.init(project="site-packages", job_type="snapshot") as run:
        artifact = wandb.Artifact("site-packages", type="environment")
        artifact.add_dir(str(folder))
        run.log_artifact(artifact)
    took = time.perf_counter() - began
    print(f"{artifact.name}: {artifact.file_count:,} files, {artifact.size / 1e6:,.0f} MB, {took:.1f} s")
    return str(artifact.name)


def main(home: Path) -> None:
    """Count, log, log again, compare."""
    os.environ.setdefault("MUNIMENT_HOME", str(home))
    folder = Path(sysconfig.get_path("purelib"))
    count = sum(len(files) for _, _, files in os.walk(folder))
    print(f"{count:,} files in site-packages")
    if count < AT_LEAST:
        sys.exit(f"error: fewer than {AT_LEAST:,} files — install more into this environment first (make setup)")
    first, again = log(folder), log(folder)
    if first != again:
        sys.exit(f"error: nothing changed, but {first} became {again}")
    print(f"nothing changed, so it is still {again}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-files").resolve())
