"""Waiting for uploads: shown on a terminal only, and what fails is not lost."""

from __future__ import annotations

import io
import sys
from threading import Event

import pytest

import muniment as wandb
from muniment.app.sdk.errors import UploadError
from muniment.app.sdk.uploads import Uploads
from muniment.domain.errors import NotFoundError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    uploads = Uploads(shown=True)
    release = Event()

    def job() -> None:
        uploads.done(1, 512)
        release.wait(10)

    uploads.submit(job, 2, 1024)
    monkeypatch.setattr(screen, "flush", release.set)  # the bar was drawn: now the upload may end
    assert uploads.wait() == []
    assert "uploading  [############            ]  1/2 files  512 B/1.0 KiB" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[2K")
    uploads.close()


@pytest.mark.parametrize("screen", [io.StringIO(), Terminal()])
def test_nothing_is_drawn_where_nobody_looks_or_wants_it(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO) -> None:
    monkeypatch.setattr(sys, "stderr", screen)
    uploads = Uploads(shown=not screen.isatty())
    uploads.submit(lambda: None, 1, 10)
    assert uploads.wait() == []
    assert screen.getvalue() == ""
    uploads.close()


def test_what_fails_is_told_in_order_and_stops_nothing_else() -> None:
    uploads, done = Uploads(), []

    def missing() -> None:
        msg = "not there"
        raise NotFoundError(msg)

    def broken() -> None:
        _ = 1 / 0

    for job in (missing, broken, lambda: done.append(1)):
        uploads.submit(job)
    first, second = uploads.wait()
    assert isinstance(first, NotFoundError)
    assert isinstance(second, UploadError)
    assert isinstance(second, ValueError)
    assert isinstance(second.__cause__, ZeroDivisionError)
    assert done == [1]
    assert uploads.wait() == []
    uploads.close()


def test_a_run_says_little_or_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with wandb.init(settings=wandb.Settings(silent=False), name="loud"):
        pass
    assert capsys.readouterr().err.count("\n") == 2
    monkeypatch.setenv("MUNIMENT_SILENT", "false")
    with wandb.init(settings={"silent": True}):
        pass
    assert capsys.readouterr().err == ""
