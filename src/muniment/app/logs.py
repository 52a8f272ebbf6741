"""What happens, said in lines on standard error: for people or as JSON, without personal values or absolute paths."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from muniment.app import clock
from muniment.app.config import Config, os_user

ROOT: Final = "muniment"
FACTS: Final = "facts"
SHORTEST: Final = 3
"""How long a login must be to be looked for in what is said; shorter ones are in every other word."""

logging.getLogger(ROOT).addHandler(logging.NullHandler())  # a library says nothing unless it is asked to

PLACES: Final = ("ledger", "vault", "blobs", "key_file", "signing_key", "witness", "cache_dir", "data_dir", "dir")
"""The settings that say where something lies on this machine."""

_PATH = re.compile(r"(?<![\w/:.~>])/(?:[^\s/'\":,;()<>]+/)*[^\s/'\":,;()<>]+")


def set_up(config: Config) -> None:
    """Log as the settings say from now on; without a setting nothing changes."""
    logger = logging.getLogger(ROOT)
    for handler in [each for each in logger.handlers if isinstance(each, _Lines) and each.to is None]:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    form = config.text("log").lower()
    if form:
        logger.addHandler(_Lines(Redaction.of(config), as_json=form == "json"))
        logger.setLevel(config.text("log_level").upper())


@contextmanager
def listening(config: Config, to: TextIO) -> Iterator[None]:
    """Write every line to a file too for a while, down to the finest, as JSON."""
    logger, handler = logging.getLogger(ROOT), _Lines(Redaction.of(config), as_json=True, to=to)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def say(logger: logging.Logger, level: int, text: str, **facts: str | float | None) -> None:
    """Log a fixed text with facts beside it: numbers, ids and words of ours, nothing that anybody typed."""
    if logger.isEnabledFor(level):
        logger.log(level, text, extra={FACTS: facts})


class Redaction:
    """Takes out of a text where things lie on this machine and who acts."""

    def __init__(self, folders: Iterable[str], logins: Iterable[str]) -> None:
        known = sorted({folder for folder in folders if len(folder) > 1}, key=len, reverse=True)
        words = sorted({login for login in logins if len(login) >= SHORTEST}, key=len, reverse=True)
        self._folders = re.compile("|".join(map(re.escape, known)) or r"(?!)")
        self._logins = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words)) or '(?!)'})(?!\w)")

    @classmethod
    def of(cls, config: Config) -> Redaction:
        """Return what must be taken out on this machine."""
        places = [config[name] for name in PLACES]
        folders = [str(config.home), str(Path.home()), str(Path.cwd()), *filter(None, places)]
        return cls(folders, [config.actor, os_user()])

    def __call__(self, text: str) -> str:
        """Return the text on one line, without them."""
        line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
        return self._logins.sub("<actor>", _PATH.sub("<path>", self._folders.sub("<path>", line)))


class _Lines(logging.Handler):
    """Writes each record as one line to a file, or to what is standard error by then."""

    def __init__(self, redaction: Redaction, *, as_json: bool, to: TextIO | None = None) -> None:
        super().__init__()
        self.to = to
        self._redaction = redaction
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a standard error that is closed is no reason to fail."""
        try:
            values = self._values(record)
            text = json.dumps(values, ensure_ascii=False) if self._as_json else _text(values)
            (self.to or sys.stderr).write(f"{text}\n")
        except (OSError, ValueError):
            return

    def _values(self, record: logging.LogRecord) -> dict[str, object]:
        values: dict[str, object] = {
            "time": clock.to_text(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redaction(record.getMessage()),
            "process": os.getpid(),
        }
        facts: Mapping[str, object] = getattr(record, FACTS, {})
        for name, value in facts.items():
            values[name] = self._redaction(value) if isinstance(value, str) else value
        if record.exc_info and record.exc_info[1] is not None:
            values["error"] = kind_of(record.exc_info[1])
        return values


def kind_of(error: BaseException) -> str:
    """Return what an error is and where it came from, without its text and without the path of a file."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _text(values: Mapping[str, object]) -> str:
    rest = {name: value for name, value in values.items() if name not in {"time", "level", "logger", "message"}}
    facts = "".join(f" {name}={value}" for name, value in rest.items() if value is not None)
    return f"{values['time']} {values['level']:<7} {values['logger']}: {values['message']}{facts}"
