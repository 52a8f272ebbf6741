"""The drill is green, and red as soon as one step of the erasure is left out; nothing comes back with a backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from muniment.app import config
from muniment.app.bootstrap import open_store
from muniment.app.drill import Drill, Line
from muniment.app.erasing import Step
from muniment.app.store import Store

ABSENT, VERIFIED = "find no word in any file", "verify by other ways"


def opening(home: Path, actor: str, again: bool) -> Store:  # noqa: FBT001 (as the drill asks for it)
    found = config.load({"MUNIMENT_HOME": str(home), "MUNIMENT_ACTOR": actor})
    return open_store(found, source="drill", erasing_again=again)


def drilled(folder: Path, *without: Step) -> dict[str, Line]:
    folder.mkdir()
    return {line.step: line for line in Drill(folder, opening, without=frozenset(without)).run()}


def test_the_drill_is_green_and_leaves_nothing_behind(tmp_path: Path) -> None:
    lines = drilled(tmp_path / "drill")
    assert [line for line in lines.values() if not line.ok] == []
    assert len(lines) == 11
    assert "erase-again" in lines["refuse a backup from before"].told
    assert [path.name for path in tmp_path.iterdir()] == ["drill"]


@pytest.mark.parametrize(
    ("left_out", "word"),
    [
        (Step.MANIFESTS, "bytes in"),
        (Step.VERSIONS, "content in"),
        (Step.BLOBS, "content in"),
        (Step.WORDS, "name in ledger.sqlite3"),
    ],
)
def test_a_step_that_is_left_out_is_verified_to_be_missing_and_a_word_is_found(
    tmp_path: Path, left_out: Step, word: str
) -> None:
    lines = drilled(tmp_path / "drill", left_out)
    assert not lines[VERIFIED].ok
    assert not lines[ABSENT].ok
    assert word in lines[ABSENT].told
    assert list(lines)[-1] == ABSENT


def test_values_that_can_be_decrypted_are_found_by_decrypting_them(tmp_path: Path) -> None:
    lines = drilled(tmp_path / "drill", Step.VAULT)
    assert "can still be decrypted" in lines[VERIFIED].told


def test_an_erasure_that_was_not_noted_comes_back_with_a_backup(tmp_path: Path) -> None:
    lines = drilled(tmp_path / "drill", Step.NOTE)
    assert [line.step for line in lines.values() if not line.ok] == ["refuse a backup from before"]
