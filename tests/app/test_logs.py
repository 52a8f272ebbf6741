"""Logs say what happens, and neither who nor where."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import muniment as wandb
from muniment.app import logs
from muniment.app.cli import main
from muniment.app.config import load
from muniment.app.logs import Redaction, kind_of, say, set_up
from muniment.domain.errors import InvalidValueError

LOGIN, PLACE, WORD, SECRET = "canarylogin", "canary place", "canary-description", "canary-secret"
LOGGER = logging.getLogger("muniment.test")


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    yield
    set_up(load({}))
    assert logging.getLogger("muniment").level == logging.NOTSET


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / PLACE
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    monkeypatch.chdir(folder)
    for name, value in {"HOME": str(folder / "home"), "LOG": "json", "LOG_LEVEL": "debug", "ACTOR": LOGIN}.items():
        monkeypatch.setenv(f"MUNIMENT_{name}", value)
    return folder


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_a_whole_story_is_told_without_who_and_where(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with wandb.init(project="digits", notes=WORD, config={"token": SECRET}) as run:
        artifact = wandb.Artifact("mnist", type="dataset", description=WORD, metadata={"key": SECRET})
        artifact.add_file(str(place / "a.txt"))
        artifact.add_reference(f"nobody-knows://{SECRET}{place}/x", name="x")
        run.log_artifact(artifact).wait()
        run.use_artifact("mnist:latest").get_entry("a.txt").download(str(place / "out"))
    wandb.finish()
    assert main(["registry", "show", WORD]) == 1
    assert main(["gc", "--yes"]) == 0
    assert main(["artifact", "delete", "digits/mnist:v0"]) == 0
    LOGGER.warning("%s cannot be read by %s", place / "a.txt", LOGIN)
    (place / "home" / "master.key").chmod(0o644)
    assert main(["org", "ls"]) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    acts = {line["act"] for line in map(json.loads, told) if "act" in line}
    assert {"enter", "start run", "log", "use", "collect", "delete version"} <= acts
    assert {"level", "time", "logger", "message", "process"} <= json.loads(told[0]).keys()
    for canary in (LOGIN, PLACE, WORD, SECRET, str(place.parent)):
        assert [line for line in told if canary in line] == []
    monkeypatch.setenv("MUNIMENT_LOG", "text")
    (place / "home" / "master.key").chmod(0o600)
    assert main(["org", "create", "later"]) == 0
    assert " info    muniment.app.transact: a command was carried out process=" in capsys.readouterr().err


def test_a_refusal_names_its_kind_and_not_its_text(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["org", "create", "research"]) == 0
    capsys.readouterr()
    assert main(["org", "create", "research"]) == 1
    (refused,) = [line for line in lines(capsys.readouterr().err) if "error" in line]
    assert (refused["act"], refused["level"]) == ("create organisation", "info")
    assert refused["error"].startswith("NameTakenError in ")
    assert str(place) not in refused["error"]


def test_without_a_setting_nothing_is_said(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del place
    monkeypatch.delenv("MUNIMENT_LOG")
    assert main(["org", "create", "research"]) == 0
    assert capsys.readouterr().err == ""


def test_the_level_is_heeded(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    del place
    monkeypatch.setenv("MUNIMENT_LOG_LEVEL", "warning")
    assert main(["org", "create", "research"]) == 0
    LOGGER.warning("this is said")
    assert [line["message"] for line in lines(capsys.readouterr().err)] == ["this is said"]


def test_the_trace_of_an_error_is_its_kind_and_place(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(load())
    with pytest.raises(FileNotFoundError) as caught:
        (place / SECRET).open()
    LOGGER.error("it failed", exc_info=caught.value)
    (line,) = lines(capsys.readouterr().err)
    assert line["error"] == kind_of(caught.value)
    assert line["error"].startswith("FileNotFoundError in open:")
    assert SECRET not in json.dumps(line)


def test_a_closed_standard_error_is_no_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(load())
    with (place / "closed").open("w") as closed:
        pass
    monkeypatch.setattr(sys, "stderr", closed)
    say(LOGGER, logging.INFO, "nobody hears this", number=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("key file /srv/ada/key is missing", "key file <path> is missing"),
        ("'/srv/a b/c' and s3://bucket/key", "'<path> b/c' and s3://bucket/key"),
        ("a/b/c and 1/2", "a/b/c and 1/2"),
        ("/srv/with space/x by ada!", "<path>/x by <actor>!"),
        ("adamant\n\x1b[31m", "adamant\\n\\x1b[31m"),
        ("(/etc/passwd), /x", "(<path>), <path>"),
        ("", ""),
    ],
)
def test_paths_and_logins_are_taken_out(text: str, said: str) -> None:
    assert Redaction(["/srv/with space"], ["ada", "li"])(text) == said


def test_nothing_known_takes_nothing_out() -> None:
    assert Redaction([], [])("ada lives here") == "ada lives here"
    assert logs.SHORTEST == 3


@pytest.mark.parametrize(("name", "value"), [("LOG", "xml"), ("LOG_LEVEL", "loud")])
def test_a_setting_that_means_nothing_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidValueError, match=rf"\(from MUNIMENT_{name}\): '{value}' is no .* — write "):
        load({f"MUNIMENT_{name}": value})
