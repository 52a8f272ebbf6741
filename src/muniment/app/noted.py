"""The file beside the store that notes what was erased: a line for each erasure, with ids and terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen

from muniment.domain.errors import CorruptError

NOTES: Final = "erasures.jsonl"


@frozen
class Erasure:
    """One erasure: whose, what went as a whole, and terms for the entries and contents that went.

    *lists* are the manifests by which those of versions were replaced: their digest, blob, size, how many entries they
    list, and how many went. They are noted by a second line, once they are known.
    """

    subject_id: str
    request_id: str
    targets: list[list[str]] = field(factory=list)
    entries: dict[str, list[str]] = field(factory=dict)
    contents: list[str] = field(factory=list)
    lists: dict[str, list[Any]] = field(factory=dict)


def noted(home: Path) -> list[Erasure]:
    """Return the erasures that were noted beside the store in this folder; a line that was cut short is none yet."""
    content = _content(home)[: whole_lines(home)]
    found: dict[str, Erasure] = {}
    try:
        for each in (Erasure(**json.loads(line)) for line in content.splitlines()):
            known = found.setdefault(each.request_id, each)
            found[each.request_id] = evolve(known, lists={**known.lists, **each.lists})
        return list(found.values())
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
