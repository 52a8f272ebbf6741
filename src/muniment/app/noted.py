"""The file beside the store that notes what was erased: a line for each erasure, with ids and terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from attrs import field, frozen

from muniment.domain.errors import CorruptError

NOTES: Final = "erasures.jsonl"


@frozen
class Erasure:
    """One line: whose erasure, what went as a whole, and terms for the entries and contents that went."""

    subject_id: str
    request_id: str
    targets: list[list[str]] = field(factory=list)
    entries: dict[str, list[str]] = field(factory=dict)
    contents: list[str] = field(factory=list)


def noted(home: Path) -> list[Erasure]:
    """Return the erasures that were noted beside the store in this folder; a line that was cut short is none yet."""
    content = _content(home)[: whole_lines(home)]
    try:
        return [Erasure(**json.loads(line)) for line in content.splitlines()]
    except (ValueError, TypeError) as error:
        msg = f"{NOTES} beside the store is damaged — put it back from a copy: it keeps erased data from coming back"
        raise CorruptError(msg) from error


def whole_lines(home: Path) -> int:
    """Return how many bytes of the file are whole lines."""
    return _content(home).rfind(b"\n") + 1


def _content(home: Path) -> bytes:
    try:
        return (home / NOTES).read_bytes()
    except FileNotFoundError:
        return b""
