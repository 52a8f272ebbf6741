"""What a slot holds before it is sealed: a value as canonical bytes, the blind beside it, and their commitment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from hashlib import sha256
from itertools import accumulate
from typing import Any, Final

from attrs import frozen

from muniment.domain.errors import InvalidValueError
from muniment.domain.ports import SlotDraft
from muniment.domain.values import Json, Micros, Personal, SlotId

BLIND_BYTES: Final = 32
DEPTH_LIMIT: Final = 100
_SAFE_INTEGER: Final = 2**53 - 1


def system_clock() -> Micros:
    """Return the time of this machine."""
    return time.time_ns() // 1000  # noqa: TID251 - the default where no clock is handed over


@frozen
class Unsealed:
    """A value on its way into a new slot."""

    slot: SlotId
    owner: str
    field: str
    blind: bytes
    content: bytes

    def personal(self) -> Personal[Any]:
        """Return what an event keeps: the slot, and SHA-256 of blind and value bytes."""
        return Personal(self.slot, sha256(self.blind + self.content).hexdigest())


def prepare(drafts: Sequence[SlotDraft]) -> list[Unsealed]:
    """Give every draft a slot id and a blind; InvalidValueError if one of the values is not JSON."""
    return [
        Unsealed(
            SlotId(os.urandom(16).hex()),
            draft.owner,
            draft.field,
            os.urandom(BLIND_BYTES),
            value_bytes(draft.field, draft.value),
        )
        for draft in drafts
    ]


def value_bytes(field: str, value: Json) -> bytes:
    """Return the one way to write *value*, RFC 8785; InvalidValueError names the *field* if there is none."""
    import rfc8785  # noqa: PLC0415 - only who keeps values pays for it

    try:
        content = rfc8785.dumps(value)
    except RecursionError as error:
        raise _too_deep(field) from error
    except ValueError as error:
        msg = f"{field} cannot be kept as JSON: {_reason(error)}"
        raise InvalidValueError(msg) from error
    if _depth(content) > DEPTH_LIMIT:
        raise _too_deep(field)
    return content


def read_value(content: bytes) -> Json:
    """Return the value that canonical bytes stand for.

    RFC 8785 writes large floats without point or exponent; what no double could tell from its neighbours was one.
    """
    return json.loads(content, parse_int=_number)


def text_bytes(what: str, text: str) -> bytes:
    """Return UTF-8; InvalidValueError if *text* holds half of a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        msg = f"{what} is not Unicode text — it holds half of a surrogate pair"
        raise InvalidValueError(msg) from error


def _number(digits: str) -> int | float:
    number = int(digits)
    return number if -_SAFE_INTEGER <= number <= _SAFE_INTEGER else float(digits)


def _depth(content: bytes) -> int:
    """Return how deep the value is nested, or what is enough to know that it is not too deep."""
    opened = content.count(b"[") + content.count(b"{")
    if opened <= DEPTH_LIMIT:
        return opened
    quoted = False
    steps = []
    characters = iter(content)
    for character in characters:
        if quoted and character == ord("\\"):
            next(characters)
        elif character == ord('"'):
            quoted = not quoted
        elif not quoted:
            steps.append((character in b"[{") - (character in b"]}"))
    return max(accumulate(steps))


def _too_deep(field: str) -> InvalidValueError:
    return InvalidValueError(f"{field} cannot be kept: it is nested deeper than {DEPTH_LIMIT} levels, or holds itself")


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "a key holds half of a surrogate pair"
    return f"{error} — use text, numbers, truth values, None, lists and dicts with text keys"
