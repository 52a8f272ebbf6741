"""What every database has room for: rows are made of the fields of events, and a ledger may be carried elsewhere."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from muniment.adapters.ledger.codec import Written
from muniment.domain.errors import InvalidValueError

_RARE: Final = re.compile(rb"\\u0000|[0-9]{19}")
"""What the JSON of text with a NUL holds, and that of numbers beyond 64 bits; of others hardly ever."""
_NUMBERS: Final = range(-(2**63), 2**63)


def fitting(written: Written) -> Written:
    """Return an event on its way to the disk; InvalidValueError if one of its fields fits into no column."""
    for text in (written.facts, written.words):
        if text is not None and _RARE.search(text):
            _require(msgspec.json.decode(text))
    return written


def can_be_kept(text: str) -> bool:
    """Whether every database has room for a text."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _require(value: object) -> None:
    match value:
        case str() if "\0" in value:
            msg = "text with a NUL character cannot be kept — leave that character out"
            raise InvalidValueError(msg)
        case int() if value not in _NUMBERS:
            msg = "a number of more than 64 bits cannot be kept — give a smaller one"
            raise InvalidValueError(msg)
        case dict():
            _require(list(value.values()))
        case list():
            for each in value:
                _require(each)
