"""Whatever people hand over as metadata, configuration or figures, as plain JSON values."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import PurePath
from typing import Any

from muniment.domain.errors import InvalidValueError
from muniment.domain.values import METADATA_KEYS_LIMIT, Json

DEPTH_LIMIT = 100


class NotJsonError(InvalidValueError, TypeError):
    """A value is of a type that JSON has no form for."""


def metadata(given: object) -> dict[str, Json]:
    """Return metadata as plain JSON: a dictionary of at most 100 keys, without NaN and infinities."""
    if given is None:
        return {}
    if isinstance(given, str):
        given = _parsed(given)
    if not isinstance(given, Mapping):
        msg = f"Cannot parse {type(given).__name__} as artifact metadata: it must be a dictionary"
        raise NotJsonError(msg)
    if len(given) > METADATA_KEYS_LIMIT:
        msg = f"Artifact must not have more than {METADATA_KEYS_LIMIT} metadata keys."
        raise InvalidValueError(msg)
    found: dict[str, Json] = plain(given, "metadata")
    return found


def plain(given: object, what: str, *, special: Callable[[float], Json] | None = None) -> Json:
    """Return a value as plain JSON; *special* says what a NaN or infinity becomes, without it they are refused."""
    return _Plain(special).value(given, what)


def figure(number: float) -> str:
    """Return a NaN or infinity among logged figures as text, as W&B shows it."""
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        msg = "Cannot parse str as artifact metadata: it must be a dictionary"
        raise NotJsonError(msg) from error


class _Plain:
    """One conversion; it knows which containers it is in, so that a cycle is found."""

    def __init__(self, special: Callable[[float], Json] | None) -> None:
        self._special = special
        self._around: list[int] = []

    def value(self, given: object, where: str) -> Json:
        match given:
            case enum.Enum():
                return self.value(given.value, where)
            case None | bool() | str():
                return given
            case int():
                return int(given)
            case float():
                return self._float(float(given), where)
            case Mapping():
                return self._inside(given, where, lambda: dict(self._pairs(given, where)))
            case list() | tuple() | set() | frozenset():
                items = sorted(given, key=repr) if isinstance(given, (set, frozenset)) else given
                return self._inside(
                    given, where, lambda: [self.value(item, f"{where}[{at}]") for at, item in enumerate(items)]
                )
            case date():
                return given.isoformat()
            case PurePath():
                return str(given)
            case _:
                return self._other(given, where)

    def _float(self, number: float, where: str) -> Json:
        if math.isfinite(number):
            return number
        if self._special is not None:
            return self._special(number)
        msg = f"Out of range float values are not JSON compliant: {where} is {number}"
        raise InvalidValueError(msg)

    def _pairs(self, given: Mapping[Any, Any], where: str) -> Iterator[tuple[str, Json]]:
        seen: set[str] = set()
        for key, item in given.items():
            name = str(key.value if isinstance(key, enum.Enum) else key)
            if not isinstance(key, (str, int, float, enum.Enum)):
                msg = f"{where} has a key of type {type(key).__name__}: keys must be text"
                raise NotJsonError(msg)
            if name in seen:
                msg = f"{where} has the key {name!r} twice, as text and as a number"
                raise InvalidValueError(msg)
            seen.add(name)
            yield name, self.value(item, f"{where}[{name!r}]")

    def _inside(self, given: object, where: str, convert: Callable[[], Json]) -> Json:
        if id(given) in self._around:
            msg = f"{where} leads back to itself: a cycle has no form in JSON"
            raise InvalidValueError(msg)
        if len(self._around) >= DEPTH_LIMIT:
            msg = f"{where[:80]}… lies more than {DEPTH_LIMIT} levels deep"
            raise InvalidValueError(msg)
        self._around.append(id(given))
        try:
            return convert()
        finally:
            self._around.pop()

    def _other(self, given: object, where: str) -> Json:
        for name in ("json_encode", "tolist", "item", "_asdict"):  # ours, then what NumPy and its like offer
            convert = getattr(given, name, None)
            if callable(convert) and not isinstance(given, type):
                return self._inside(given, where, lambda: self.value(convert(), where))  # noqa: B023 (called at once)
        if hasattr(given, "__dataclass_fields__") and not isinstance(given, type):
            fields = {name: getattr(given, name) for name in given.__dataclass_fields__}
            return self._inside(given, where, lambda: self.value(fields, where))
        msg = f"Object of type {type(given).__name__} is not JSON serializable: {where}"
        raise NotJsonError(msg)
