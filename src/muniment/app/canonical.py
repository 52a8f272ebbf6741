"""JSON in its one canonical form (RFC 8785), for what is hashed or compared byte by byte outside the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from muniment.domain.errors import InvalidValueError
from muniment.domain.values import Json

EXACT: Final = 2**53 - 1
"""The largest integer that every reader of JSON keeps exactly."""


def encode(value: Json) -> bytes:
    """Return a value as RFC 8785 writes it; floats, keys that are not ASCII and larger integers are refused."""
    _check(value)
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        msg = "a text holds half a character, which no file can hold — write it anew"
        raise InvalidValueError(msg) from error


def dump(value: Json) -> str:
    """Return JSON for a person to read, with every character as it is."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def load(content: bytes, what: str) -> Any:  # noqa: ANN401 (JSON)
    """Read JSON in any form; InvalidValueError if it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        msg = f"{what} is no JSON — give it as it was written"
        raise InvalidValueError(msg) from error


def decode(content: bytes, what: str) -> Any:  # noqa: ANN401 (JSON)
    """Read what :func:`encode` wrote; InvalidValueError if it has another form."""
    value = load(content, what)
    if encode(value) != content:
        msg = f"{what} is not in its canonical form (RFC 8785) — give it as it was written"
        raise InvalidValueError(msg)
    return value


def _check(value: Json) -> None:
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) and key.isascii() for key in value):
            msg = "a key is not ASCII text — name it otherwise"
            raise InvalidValueError(msg)
        for each in value.values():
            _check(each)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for each in value:
            _check(each)
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) > EXACT):
        msg = f"the number {value} is not kept exactly by every reader — write it as text"
        raise InvalidValueError(msg)
