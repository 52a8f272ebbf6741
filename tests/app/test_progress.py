"""The line that shows how far a long act is: drawn on a terminal only, seldom, and wiped in the end."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import evolve

from muniment.app import bootstrap, catalog, config, directory, fsck, lifecycle, migrate
from muniment.app.collecting import collect
from muniment.app.files.download import download, verify_folder, verify_stored
from muniment.app.files.reading import SMALL
from muniment.app.files.staging import Staging
from muniment.app.log_artifact import Draft
from muniment.app.manifests import Manifest, Written
from muniment.app.manifests import read as read_manifest
from muniment.app.progress import SILENT, Bar
from muniment.app.store import Store
from muniment.app.upload import log_contents
from muniment.domain.rows import VersionRow
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


def test_collecting_tells_what_it_removes_and_checking_what_it_checked(store: Store, folder: Path) -> None:
    manifest = logged(store, folder, Told())
    told = Told()
    assert list(fsck.check(store, progress=told)) == []
    everything = (len(manifest), manifest.size)
    assert told.heard == told.expected
    assert told.heard["checking local/uncategorized/set:v0"] == everything
    row = store.views.select(VersionRow, state="committed", order="created_at")[0]
    found = catalog.origin(store.views, row.version_id)
    lifecycle.delete(store, found, delete_aliases=True)
    at_once = evolve(store, config=config.load(grace="0s"))
    told = Told()
    report = collect.act(at_once, progress=told)
    assert told.heard["removing blobs"] == told.expected["removing blobs"] == (report.blobs, report.size)
    assert report.blobs > len(SIZES)  # the manifest too


def test_migrating_tells_every_event_and_slot(store: Store, folder: Path, tmp_path: Path) -> None:
    logged(store, folder, Told())
    made = config.load(home=str(tmp_path / "other"), key_file=str(store.config.home / "master.key"))
    told = Told()
    source = bootstrap.open_ledger(store.config)
    target = bootstrap.open_ledger(made)
    moved = migrate.ledger(source, target, progress=told)
    assert told.heard == told.expected == {"carrying events": (moved.events, 0)}
    told = Told()
    old, new = bootstrap.open_vault(store.config, source.origin), bootstrap.open_vault(made, source.origin)
    slots = migrate.vault(old, new, progress=told).slots
    assert told.heard["comparing slots"] == (slots, 0)
    for each in (source, target, old, new):
        each.close()


# --- on a terminal ---------------------------------------------------------------------------------------------------


def through_a_terminal(*args: str, **environ: str) -> str:
    """Run a command whose standard error is a terminal; return what was drawn there."""
    reader, writer = os.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    drawn = bytearray()
    program = [sys.executable, "-m", "muniment.app.cli", *args]
    with subprocess.Popen(program, stderr=writer, stdout=subprocess.DEVNULL, env={**os.environ, **environ}) as process:
        os.close(writer)
        with suppress(OSError):  # on Linux the end of a terminal is an error
            while content := os.read(reader, 1 << 16):
                drawn += content
    os.close(reader)
    assert process.returncode == 0, drawn
    return drawn.decode()


def test_commands_draw_on_a_terminal_unless_told_to_be_quiet(folder: Path, tmp_path: Path) -> None:
    put = ("artifact", "put", "-n", "set", str(folder))
    drawn = through_a_terminal(*put)
    assert "muniment: hashing  [" in drawn
    assert "muniment: uploading  [" in drawn
    assert drawn.endswith("\r\x1b[2K")
    assert "muniment: downloading  [" in through_a_terminal("artifact", "get", "set", "--root", str(tmp_path / "out"))
    assert "muniment: reading  [" in through_a_terminal("artifact", "verify", "set")
    assert "muniment: checking blobs" in through_a_terminal("fsck")
    assert "muniment: looking for dead blobs" in through_a_terminal("gc", "--yes")
    assert through_a_terminal("--quiet", *put) == ""
    assert through_a_terminal(*put, MUNIMENT_SILENT="1") == through_a_terminal(*put, WANDB_SILENT="true") == ""
