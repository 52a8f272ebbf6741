"""The line that shows how far a long act is: drawn on a terminal only, seldom, and wiped in the end."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from muniment.app import bootstrap, config, directory
from muniment.app.download import download, verify_folder, verify_stored
from muniment.app.log_artifact import Draft
from muniment.app.manifests import Manifest, Written
from muniment.app.manifests import read as read_manifest
from muniment.app.progress import SILENT, Bar
from muniment.app.reading import SMALL
from muniment.app.staging import Staging
from muniment.app.store import Store
from muniment.app.upload import log_contents
from tests.told import Told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines(screen: io.StringIO) -> list[str]:
    return [line for line in screen.getvalue().split("\r\x1b[2K") if line]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muniment.app.progress.COLUMNS", 200)


def test_the_line_says_what_is_done_of_how_much_how_fast_and_how_long_it_takes() -> None:
    screen, clock = Terminal(), Clock()
    with Bar(screen, clock) as bar:
        bar.ahead("uploading", 4, 4 << 20)
        clock.now += 2
        bar.done(1, 1 << 20)
    assert lines(screen)[-1] == (
        "muniment: uploading  [######                  ]  1/4 files  1.0 MiB/4.0 MiB  512.0 KiB/s  0:06 left"
    )
    assert screen.getvalue().endswith("\r\x1b[2K")  # nothing stays on the terminal


def test_without_bytes_files_are_counted_and_without_a_total_no_end_is_promised() -> None:
    screen, clock = Terminal(), Clock()
    with Bar(screen, clock) as bar:
        bar.ahead("checking")
        clock.now += 2
        bar.done(5000)
        bar.ahead("deleting", 7200)
        clock.now += 1
        bar.done(2)
    assert lines(screen)[-3:] == [
        "muniment: checking  5,000 files  2,500 files/s",
        "muniment: deleting  [                        ]  0/7,200 files",
        "muniment: deleting  [                        ]  2/7,200 files  2 files/s  59:59 left".replace(
            "0:59:59", "59:59"
        ),
    ]


def test_the_line_is_drawn_ten_times_a_second_at_most() -> None:
    screen, clock = Terminal(), Clock()
    with Bar(screen, clock) as bar:
        bar.ahead("reading", 10_000)
        for _ in range(10_000):
            clock.now += 0.0001
            bar.done(1)
            bar.tick()
    assert 5 <= len(lines(screen)) <= 11


def test_nothing_is_written_where_no_terminal_is() -> None:
    with Bar(screen := io.StringIO()) as bar:
        bar.ahead("reading", 1)
        bar.done(1)
        bar.tick()
    assert screen.getvalue() == ""


def test_a_bar_counts_while_it_is_not_shown() -> None:
    screen, clock = Terminal(), Clock()
    bar = Bar(screen, clock)
    bar.ahead("uploading", 2)
    bar.done(1)
    assert screen.getvalue() == ""
    clock.now += 1
    with bar:
        bar.tick()
    assert "1/2 files" in lines(screen)[0]


def test_what_comes_after_all_was_done_is_counted_anew() -> None:
    screen, clock = Terminal(), Clock()
    bar = Bar(screen, clock)
    bar.ahead("uploading", 2, 10)
    bar.done(2, 10)
    clock.now += 3600
    with bar:
        bar.ahead("uploading", 1, 4)
        clock.now += 1
        bar.done(0, 2)
    assert "0/1 files  2 B/4 B  2 B/s" in lines(screen)[-1]


def test_a_line_is_no_longer_than_the_terminal_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muniment.app.progress.COLUMNS", 30)
    with Bar(screen := Terminal(), Clock()) as bar:
        bar.ahead("uploading", 20_000, 1 << 30)
    assert [len(line) for line in lines(screen)] == [29]


def test_a_terminal_that_went_away_stops_nothing() -> None:
    reader, writer = os.openpty()
    screen = os.fdopen(writer, "w")
    with Bar(screen, Clock()) as bar:
        bar.ahead("uploading", 2)
        os.close(reader)
        screen.close()
        bar.ahead("downloading", 2)
        bar.done(1)


def test_the_silent_progress_takes_anything() -> None:
    SILENT.ahead("reading", 1, 2)
    SILENT.done(1, 2)


# --- what use cases tell ---------------------------------------------------------------------------------------------


@pytest.fixture
def store() -> Iterator[Store]:
    opened = bootstrap.open_store(config.load())
    yield opened
    opened.ledger.close()


SIZES = (0, 5, SMALL, 2 * SMALL + 7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for at, size in enumerate(SIZES):
        (folder / f"f{at}").write_bytes(bytes([at]) * size)
    return folder


def logged(store: Store, folder: Path, told: Told) -> Manifest:
    made: list[Written] = []

    def draft(written: Written) -> Draft:
        made.append(written)
        return Draft("set", "data", written.digest, written.manifest, written.size, written.entries)

    project = directory.project(store.views, "local", "uncategorized")
    with Staging(store) as staging:
        staged = staging.add_files([(path, path.name) for path in folder.iterdir()], progress=told)
        log_contents(store, project, staged, draft, progress=told)
    return read_manifest(store.blobs, store.codec, made[-1].manifest)


def test_hashing_and_uploading_tell_all_files_and_bytes(store: Store, folder: Path) -> None:
    told = Told()
    logged(store, folder, told)
    everything = (len(SIZES), sum(SIZES))
    assert told.expected == told.heard == {"hashing": everything, "uploading": everything}
    told = Told()
    logged(store, folder, told)  # unchanged: nothing is read, and all of it counts as done
    assert told.expected == told.heard == {"hashing": everything, "uploading": everything}


def test_downloading_and_verifying_tell_all_files_and_bytes(store: Store, folder: Path, tmp_path: Path) -> None:
    manifest = logged(store, folder, Told())
    everything = (len(SIZES), sum(SIZES))
    for _ in range(2):  # the second one finds all of it there
        told = Told()
        download(store, manifest, tmp_path / "out", progress=told)
        assert told.expected == told.heard == {"downloading": everything}
    told = Told()
    verify_stored(store, manifest, progress=told)
    assert told.expected == told.heard == {"reading": everything}
    told = Told()
    verify_folder(store, manifest, tmp_path / "out", progress=told)
    assert told.expected == told.heard == {"hashing": everything}
