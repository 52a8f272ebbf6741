"""A process killed at any point of what it does loses nothing that it acknowledged, and leaves nothing half-done."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from muniment.app import bootstrap, clock, config
from tests.servers.postgres import running
from tests.torture import check, driver, story
from tests.torture.story import Life

ROOT = Path(__file__).resolve().parents[2]
SEED = 20261123
KILLS = 50 if os.environ.get("CI") == "true" else 12


def tortured(*arguments: str) -> str:
    """Return what the harness says, in a process of its own: one that forks must hold no database open."""
    command = [sys.executable, "-m", "tests.torture", "--seed", str(SEED), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def died_in(said: str) -> dict[str, int]:
    return {act: int(inside) for act, inside in re.findall(r"^\| (\w+) \| (\d+) \| \d+ \|$", said, re.MULTILINE)}


def test_nothing_is_lost_doubled_or_half_done_wherever_a_process_is_killed() -> None:
    counts = died_in(tortured("--kills", str(KILLS)))
    assert counts.keys() == story.POINTS.keys()
    if KILLS >= 50:
        assert min(counts.values()) > 0, f"an act in whose middle nobody died: {counts}"


def test_nothing_is_lost_on_the_way_to_postgresql_and_back() -> None:
    count = "SELECT count(*) FROM information_schema.schemata"
    ((before,),) = running().sql(count)
    assert "no fault" in tortured("--kills", str(max(10, KILLS // 4)), "--postgres", running().base())
    ((after,),) = running().sql(count)
    assert after > before


def test_a_seed_kills_at_the_same_points_again() -> None:
    once, again = ([line for line in tortured("--kills", "5").splitlines() if " of 5: " in line] for _ in range(2))
    assert once == again
    assert len(once) == 5


# --- the harness itself can tell -------------------------------------------------------------------------------------


@pytest.fixture
def life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    """Return a life that logged and died in the act."""
    life = Life(tmp_path / "home", 0, "a", "migrate", 1)
    assert driver.forked(lambda: story.live(life)) == -signal.SIGKILL
    monkeypatch.setattr(clock, "now", clock.now)  # to have both back when the test is over
    for name in ("HOME", "SILENT", "GRACE", "ACTOR", "LEDGER"):
        monkeypatch.delenv(f"MUNIMENT_{name}", raising=False)
    return life


def test_a_lost_blob_a_lost_version_and_a_lost_deletion_are_noticed(life: Life) -> None:
    assert check.check(life) == []
    store = bootstrap.open_store(config.load(home=str(life.home)))
    (row,) = story.versions(store)
    store.ledger.close()
    with life.diary.open("a") as diary:
        diary.write('{"life": 0, "act": "log", "about": "77", "done": true}\n')
        diary.write(f'{{"life": 0, "act": "delete", "about": "{row.version_id}", "done": true}}\n')
        diary.write('{"life": 0, "act": "log", "about": "cut-off", "do')
    for path in (life.home / "blobs" / "sha256").rglob("*"):
        if path.is_file() and path.stat().st_size < 100:
            path.unlink()
    found = "\n".join(check.check(life))
    assert "lost: version 77" in found
    assert "cut-off" not in found
    assert f"lost: the deletion of {row.version_id}" in found
    assert "is missing" in found
