"""The drill is green, and red as soon as one step of the erasure is left out; nothing comes back with a backup."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve, frozen

from muniment.adapters.sqlite_files import SqliteFiles
from muniment.app import config
from muniment.app.bootstrap import open_store
from muniment.app.drill.drill import HOME, Drill, Line
from muniment.app.drill.world import OPERATOR, PLAIN, SEALED, UNSTORED
from muniment.app.erasing import certificate
from muniment.app.erasing.executing import Step
from muniment.app.noted import NOTES, noted
from muniment.app.store import Store

ABSENT, VERIFIED = "find no word in any file", "verify by other ways"
UNSEALED, RESTORED = "read no personal value with any key", "refuse a backup from before"


@frozen
class Missed:
    """What comes of leaving out one step: what is red, and where which words are found."""

    red: set[str]
    seen: tuple[str, ...] = ()


MISSED: Final = {
    Step.NOTE: Missed({RESTORED}),
    Step.MANIFESTS: Missed({VERIFIED, ABSENT}, ("entry in blobs/", "bytes in blobs/packs/")),
    Step.VERSIONS: Missed(
        {VERIFIED, UNSEALED, ABSENT}, ("content in blobs/", "path in blobs/", "name in ledger.sqlite3")
    ),
    Step.PARTS: Missed({VERIFIED, ABSENT}, ("part in blobs/", "bytes in blobs/packs/")),
    Step.BLOBS: Missed({VERIFIED, ABSENT}, ("content in blobs/", "member in blobs/", "part in blobs/")),
    Step.CACHES: Missed({VERIFIED, ABSENT}, ("content in cache/blobs/",)),
    Step.WORDS: Missed({VERIFIED, ABSENT}, ("name in ledger.sqlite3", "run in ledger.sqlite3")),
    Step.VAULT: Missed({VERIFIED, UNSEALED}),
    Step.SCRUB: Missed(
        {ABSENT}, ("bytes in ledger.sqlite3;", "bytes in ledger.sqlite3-wal", "content in staging/ended/0")
    ),
}
"""Each step is what stands between a word and the search; in the vault they are encrypted, so they are read."""

INPUTS: Final = {
    *("name", "alias", "tag", "description", "key", "value", "path", "reference", "config", "error", "e-mail"),
    *("comment", "matter", "letter", "bytes", "content", "member"),
}
"""What people can bring in about a person."""


def opening(home: Path, actor: str, again: bool) -> Store:  # noqa: FBT001 (as the drill asks for it)
    found = config.load({"MUNIMENT_HOME": str(home), "MUNIMENT_ACTOR": actor})
    return open_store(found, source="drill", erasing_again=again)


def drilled(folder: Path, *without: Step) -> dict[str, Line]:
    folder.mkdir()
    return {line.step: line for line in Drill(folder, opening, without=frozenset(without)).run()}


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Line], Path]:
    """Return what a drill said of which nothing was left out, and its folder."""
    folder = tmp_path_factory.mktemp("green") / "drill"
    return drilled(folder), folder


def test_the_drill_is_green_and_leaves_nothing_behind(green: tuple[dict[str, Line], Path]) -> None:
    lines, folder = green
    assert [line for line in lines.values() if not line.ok] == []
    assert len(lines) == 13
    assert lines[ABSENT].told.startswith("none found in ")
    assert "erase-again" in lines[RESTORED].told
    assert [path.name for path in folder.parent.iterdir()] == ["drill"]


def test_a_word_is_planted_in_every_input_and_found_before(green: tuple[dict[str, Line], Path]) -> None:
    planted = [*PLAIN, *SEALED, *UNSTORED]
    assert len(set(planted)) == len(planted)
    assert set(planted) >= INPUTS
    lines, _ = green
    assert lines["find the words before the erasure"].told == f"{len(PLAIN)} words found, {len(SEALED)} decrypted"


@pytest.mark.parametrize("left_out", Step)
def test_a_step_that_is_left_out_turns_the_drill_red_and_is_named(tmp_path: Path, left_out: Step) -> None:
    lines = drilled(tmp_path / "drill", left_out)
    missed = MISSED[left_out]
    assert {line.step for line in lines.values() if not line.ok} == missed.red
    assert [word for word in missed.seen if word not in lines[ABSENT].told] == []
    first = next(line for line in lines.values() if not line.ok)
    assert first.missed[0] is left_out
    assert f"left by: {left_out.value}" in first.told
    if missed.seen:
        assert lines[ABSENT].missed == (left_out,)
    assert [path.name for path in tmp_path.iterdir()] == ["drill"]


def test_values_that_can_be_decrypted_are_found_by_decrypting_them(tmp_path: Path) -> None:
    lines = drilled(tmp_path / "drill", Step.VAULT)
    assert "can still be decrypted" in lines[VERIFIED].told
    count = len(SEALED)
    told = f"{count} values tried: {count} can be read, {count} are stored, 3 of their keys exist"
    assert lines[UNSEALED].told == f"{told} — left by: vault"


def test_a_file_that_somebody_reads_keeps_words_and_the_certificate_says_so(tmp_path: Path) -> None:
    folder, home = tmp_path / "drill", tmp_path / "drill" / HOME
    folder.mkdir()
    reader = sqlite3.connect(":memory:")

    def impatient(where: Path, actor: str, again: bool) -> Store:  # noqa: FBT001 (as the drill asks for it)
        store = opening(where, actor, again)
        store.scrubbers = tuple(evolve(each, wait=0.01) for each in store.scrubbers if isinstance(each, SqliteFiles))
        return store

    def read() -> None:
        nonlocal reader
        reader = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()

    drill = Drill(folder, impatient, meanwhile=read)
    lines = {line.step: line for line in drill.run()}
    reader.close()
    assert {line.step for line in lines.values() if not line.ok} == {ABSENT}
    assert "name in ledger.sqlite3-wal" in lines[ABSENT].told
    assert lines[ABSENT].missed == (Step.SCRUB,)
    store = opening(home, OPERATOR, again=False)
    request_id = lines["store data about an invented person, a word in every input"].told.split()[-1]
    certificate.issue(store, request_id)
    told = certificate.read(store, request_id).told["residuals"]
    assert [(each["place"], each["ends_at"]) for each in told] == [("ledger.sqlite3", None)]
    assert "another program was using it" in told[0]["why"]
    store.ledger.close()


def test_the_fence_and_the_note_are_what_keeps_the_same_bytes_out(tmp_path: Path) -> None:
    folder, home = tmp_path / "drill", tmp_path / "drill" / HOME
    folder.mkdir()

    def unfence() -> None:
        """Take down what was put up, once the erasure put it up."""
        for line in noted(home):
            store = opening(home, OPERATOR, again=False)
            store.vault.destroy(line.request_id)  # the terms are kept under the id of the request
            store.ledger.close()
        (home / NOTES).unlink(missing_ok=True)

    lines = list(Drill(folder, opening, settle=unfence).run())
    assert [line.step for line in lines if not line.ok] == ["refuse the same bytes"]
    assert lines[-1].told == "the same bytes came in again"


def test_what_a_store_says_is_searched_too(tmp_path: Path) -> None:
    folder = tmp_path / "drill"
    drill = Drill(folder, opening)
    drill.meanwhile = lambda: logging.getLogger("muniment.drill").debug("read %s", drill.planted["matter"])
    folder.mkdir()
    lines = {line.step: line for line in drill.run()}
    assert {line.step for line in lines.values() if not line.ok} == {ABSENT}
    assert lines[ABSENT].told.startswith("matter in said/log.txt;")


def test_its_log_its_errors_and_how_things_show_themselves_are_kept_for_the_search(
    green: tuple[dict[str, Line], Path],
) -> None:
    _, folder = green
    said = {path.name: path.read_text() for path in (folder / "said").iterdir()}
    assert "a command was refused" in said["log.txt"]
    assert "SubjectErasedError" in said["errors.txt"]
    assert "Traceback (most recent call last)" in said["errors.txt"]
    assert "VersionCreated" in said["shown.txt"]
