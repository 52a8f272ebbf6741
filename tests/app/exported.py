"""A ledger with a story, and what an outsider is given of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from muniment.app import clock, kit
from muniment.app.proving import bundles
from muniment.app.proving.bundles import Bundle, Contents, Made
from tests.app.scene import Scene

START = "2023-11-14T22:13:20Z"


def tell(scene: Scene) -> None:
    """Let aliases move, links be made, versions go."""
    scene.log("images", {"a.txt": "one", "b.txt": "two"}, "production")
    for text in ("three", "four", "five"):
        scene.log("images", text, "production")
    scene.log("weights", "w", "best", type_="model")


def bundle(scene: Scene, folder: Path, report: str = "audit-trail") -> Bundle:
    """Write a small report."""
    folder.mkdir()
    head = scene.store.ledger.head()
    folder.joinpath("events.csv").write_text("seq,type\n1,organisation.created.1\n", encoding="utf-8")
    folder.joinpath("events.jsonl").write_text('{"seq":1}\n', encoding="utf-8")
    made = Made(report, head, clock.from_text(START), {"since": "2023-01-01T00:00:00Z"}, {"events": 1})
    return bundles.write_bundle(scene.store, folder, made, [Contents("events.jsonl", 1), Contents("events.csv", 1)])


def by_program(*arguments: str | Path) -> tuple[int, str]:
    """Run the kit's program with nothing but the standard library; return its status and what it prints."""
    program = Path(kit.__file__).parent / kit.PROGRAM
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-B", program, *arguments], capture_output=True, text=True, check=False, env={}
    )
    assert run.stderr == ""
    return run.returncode, run.stdout


def by_script(folder: Path, key: str) -> tuple[int, str]:
    """Run the kit's shell script; return its status and what it prints."""
    program = Path(kit.__file__).parent / kit.SCRIPT
    run = subprocess.run(
        ["sh", program, folder, key], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert run.stderr == ""
    return run.returncode, run.stdout
