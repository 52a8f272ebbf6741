"""The fields of events as JSON: what they hold for people, scripts and reports."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import attrs

from muniment.domain.values import ERASED, ERASED_TEXT, Personal

_PLAIN: Final = frozenset({str, int, bool, float, type(None)})


_names: dict[type, tuple[str, ...]] = {}


def names_of(class_: type) -> tuple[str, ...]:
    """Return the names of the fields of an event class."""
    if class_ not in _names:
        _names[class_] = tuple(each.name for each in attrs.fields(class_))
    return _names[class_]


def plain_fields(event: Any, *, empty: bool = True) -> dict[str, Any]:  # noqa: ANN401 (any event)
    """Return the fields of an event as JSON; without *empty*, only those that hold something."""
    told = {}
    for name in names_of(type(event)):
        value = getattr(event, name)
        if empty or value is not None:
            told[name] = value if type(value) in _PLAIN else plain(value)
    return told


def plain(value: Any) -> Any:  # noqa: ANN401 (whatever a field of an event holds)
    """Return the value of a field as JSON: a personal one by slot and commitment, erased words as such."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, Personal):
        return {"slot": value.slot, "commit": value.commit}
    return _of_few(value)


def is_redacted(event: Any) -> bool:  # noqa: ANN401 (any event)
    """Whether words of an event were destroyed."""
    return any(getattr(event, name) is ERASED for name in names_of(type(event)))


@lru_cache(maxsize=1024)
def _of_few(value: Any) -> Any:  # noqa: ANN401 (an enum, or a small value of the domain)
    """Return a value as JSON of which there are few different ones, so that they are worth remembering."""
    if value is ERASED:
        return ERASED_TEXT
    if attrs.has(type(value)):
        return {name: plain(getattr(value, name)) for name in names_of(type(value))}
    return value.value
