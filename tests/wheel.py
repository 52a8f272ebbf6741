"""Check the wheel: what it adds to an empty environment, and that it works from any folder.

Run by ``make check``; needs the packages of ``constraints.txt`` to be installable.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TRY = """
import os
import muniment as wandb
from importlib.metadata import version
from pathlib import Path
package = Path(wandb.__file__).parent
assert "site-packages" in package.parts, package
assert (package / "py.typed").is_file(), "type checkers see no py.typed"
os.environ["MUNIMENT_HOME"] = str(Path("home").absolute())
os.environ["MUNIMENT_SILENT"] = "true"
Path("hello.txt").write_text("hello")
with wandb.init(project="wheel") as run:
    artifact = wandb.Artifact("hello", type="dataset")
    artifact.add_file("hello.txt")
    run.log_artifact(artifact)
folder = wandb.Api().artifact("wheel/hello:v0").download()
assert Path(folder, "hello.txt").read_text() == "hello", folder
print(f"muniment {version('muniment')} works as wandb")
"""


def run(*arguments: str | Path, cwd: Path) -> str:
    """Run a program of ours; when it fails, its output is the message."""
    env = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(arguments, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, arguments))} failed\n{done.stdout}{done.stderr}")
    return done.stdout


def strangers(record: Path) -> list[str]:
    """Return what a RECORD lists outside the package, its dist-info and its one command."""
    with record.open(newline="") as lines:
        paths = [row[0] for row in csv.reader(lines)]
    allowed = ("muniment/", f"{record.parent.name}/")
    return [path for path in paths if not path.startswith(allowed) and path != "../../../bin/muniment"]


def main() -> None:
    """Build the wheel, install it into an empty environment, look at what was added, use it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # by way of the source archive, so that nothing left in build/ can get in
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT, cwd=folder)
        (wheel,) = (folder / "dist").glob("*.whl")
        venv.create(folder / "empty", with_pip=True)
        python = folder / "empty" / "bin" / "python"
        run(python, "-m", "pip", "install", "-qq", "-c", ROOT / "constraints.txt", wheel, cwd=folder)
        (record,) = (folder / "empty").glob("lib/python*/site-packages/muniment-*.dist-info/RECORD")
        found = strangers(record)
        if found:
            sys.exit(f"error: the wheel adds more than muniment/ and its dist-info: {', '.join(found)}")
        (folder / "elsewhere").mkdir()
        sys.stdout.write(f"{wheel.name}: adds only muniment/ and its dist-info; ")
        sys.stdout.write(run(python, "-c", TRY, cwd=folder / "elsewhere"))


if __name__ == "__main__":
    main()
