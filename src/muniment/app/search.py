"""Filters in the manner of MongoDB, as a pure test of a document (nested dicts): what W&B's searches understand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from muniment.domain.errors import InvalidValueError
from muniment.domain.values import Json

Test: TypeAlias = Callable[[Mapping[str, Any]], bool]
"""Whether a document passes."""

_Found: TypeAlias = Callable[[list[Any]], bool]
"""Whether the values that a field has in a document pass; a field that is not there has none."""

_DEPTH: Final = 100
_NUMBERS: Final = (int, float)


def matcher(filter_: Mapping[str, Any] | None) -> Test:
    """Make the test that a filter means; ``None`` and ``{}`` let everything pass.

    What is no filter is InvalidValueError, before any document is looked at.
    """
    return _all({} if filter_ is None else filter_, 0)


def _all(filter_: object, depth: int) -> Test:
    if not isinstance(filter_, Mapping):
        msg = f"a filter is a dict such as {{'name': {{'$regex': 'model'}}}}, not {filter_!r}"
        raise InvalidValueError(msg)
    if depth > _DEPTH:
        msg = f"the filter is nested deeper than {_DEPTH} levels"
        raise InvalidValueError(msg)
    tests = [_clause(str(name), value, depth + 1) for name, value in filter_.items()]
    return lambda document: all(test(document) for test in tests)


def _clause(name: str, value: Any, depth: int) -> Test:  # noqa: ANN401 (any JSON value)
    if name in {"$and", "$or", "$nor"}:
        return _joined(name, value, depth)
    if name == "$not":
        inner = _all(value, depth)
        return lambda document: not inner(document)
    if name.startswith("$"):
        msg = f"{name} is no operator between filters — use $and, $or, $nor or $not"
        raise InvalidValueError(msg)
    path, test = tuple(name.split(".")), _field(name, value, depth)
    return lambda document: test(_values(document, path))


def _joined(name: str, value: object, depth: int) -> Test:
    if not isinstance(value, list | tuple) or not value:
        msg = f"{name} takes a list of filters, not {value!r}"
        raise InvalidValueError(msg)
    tests = [_all(each, depth) for each in value]
    if name == "$and":
        return lambda document: all(test(document) for test in tests)
    if name == "$or":
        return lambda document: any(test(document) for test in tests)
    return lambda document: not any(test(document) for test in tests)


def _field(name: str, value: Any, depth: int) -> _Found:  # noqa: ANN401 (any JSON value)
    if not isinstance(value, Mapping) or not any(str(key).startswith("$") for key in value):
        return _OPERATORS["$eq"](name, value)
    if depth > _DEPTH:
        msg = f"the filter on {name!r} is nested deeper than {_DEPTH} levels"
        raise InvalidValueError(msg)
    tests = [_operator(name, str(key), wanted, depth + 1) for key, wanted in value.items()]
    return lambda found: all(test(found) for test in tests)


def _operator(name: str, operator: str, wanted: Any, depth: int) -> _Found:  # noqa: ANN401 (any JSON value)
    if operator == "$not":
        if not isinstance(wanted, Mapping):
            msg = f"$not on {name!r} takes operators, such as {{'$gt': 1}}, not {wanted!r}"
            raise InvalidValueError(msg)
        inner = _field(name, wanted, depth)
        return lambda found: not inner(found)
    if operator not in _OPERATORS:
        msg = f"{operator} is no operator (on {name!r}) — use one of {', '.join(sorted([*_OPERATORS, '$not']))}"
        raise InvalidValueError(msg)
    return _OPERATORS[operator](name, wanted)


def _values(document: Any, path: tuple[str, ...]) -> list[Any]:  # noqa: ANN401 (any JSON value)
    """Return what is at a path, through dicts and through every element of lists; a whole name wins over its parts."""
    if not path:
        return [document]
    if isinstance(document, list | tuple):
        return [value for each in document for value in _values(each, path)]
    if not isinstance(document, Mapping):
        return []
    whole = ".".join(path)
    if whole in document:
        return [document[whole]]
    return _values(document[path[0]], path[1:]) if path[0] in document else []


def _each(found: list[Any]) -> list[Any]:
    """Return the values found, and for a list also its elements: a tag filter asks for any of the tags."""
    return [*found, *(each for value in found if isinstance(value, list | tuple) for each in value)]


def _same(one: Json, other: Json) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _eq(name: str, wanted: Json) -> _Found:
    del name
    if wanted is None:
        return lambda found: not found or any(value is None for value in _each(found))
    return lambda found: any(_same(value, wanted) for value in _each(found))


def _ne(name: str, wanted: Json) -> _Found:
    equal = _eq(name, wanted)
    return lambda found: not equal(found)


def _in(name: str, wanted: Json) -> _Found:
    if not isinstance(wanted, list | tuple | set | frozenset):
        msg = f"$in and $nin (on {name!r}) take a list, not {wanted!r}"
        raise InvalidValueError(msg)
    tests = [_eq(name, each) for each in wanted]
    return lambda found: any(test(found) for test in tests)


def _nin(name: str, wanted: Json) -> _Found:
    inside = _in(name, wanted)
    return lambda found: not inside(found)


def _compared(holds: Callable[[Any, Any], bool]) -> Callable[[str, Json], _Found]:
    def make(name: str, wanted: Json) -> _Found:
        if isinstance(wanted, bool) or not isinstance(wanted, (*_NUMBERS, str)):
            msg = f"$gt, $gte, $lt and $lte (on {name!r}) take a number or text, not {wanted!r}"
            raise InvalidValueError(msg)
        kind = str if isinstance(wanted, str) else _NUMBERS
        return lambda found: any(
            isinstance(value, kind) and not isinstance(value, bool) and holds(value, wanted) for value in _each(found)
        )

    return make


def _contains(name: str, wanted: Json) -> _Found:
    del name
    return lambda found: any(
        (isinstance(value, str) and isinstance(wanted, str) and wanted in value)
        or (isinstance(value, list | tuple) and any(_same(each, wanted) for each in value))
        or (isinstance(value, Mapping) and isinstance(wanted, str) and wanted in value)
        for value in _each(found)
    )


def _exists(name: str, wanted: Json) -> _Found:
    if not isinstance(wanted, bool):
        msg = f"$exists (on {name!r}) takes True or False, not {wanted!r}"
        raise InvalidValueError(msg)
    return lambda found: any(value is not None for value in found) is wanted


def _regex(name: str, wanted: Json) -> _Found:
    if not isinstance(wanted, str):
        msg = f"$regex (on {name!r}) takes text, not {wanted!r}"
        raise InvalidValueError(msg)
    try:
        pattern = re.compile(wanted)
    except re.error as error:
        msg = f"$regex (on {name!r}) is no regular expression: {error} in {wanted!r}"
        raise InvalidValueError(msg) from error
    return lambda found: any(isinstance(value, str) and pattern.search(value) for value in _each(found))


_OPERATORS: Final[dict[str, Callable[[str, Json], _Found]]] = {
    "$eq": _eq,
    "$ne": _ne,
    "$gt": _compared(lambda value, wanted: bool(value > wanted)),
    "$gte": _compared(lambda value, wanted: bool(value >= wanted)),
    "$lt": _compared(lambda value, wanted: bool(value < wanted)),
    "$lte": _compared(lambda value, wanted: bool(value <= wanted)),
    "$in": _in,
    "$nin": _nin,
    "$contains": _contains,
    "$exists": _exists,
    "$regex": _regex,
}
"""What can be asked of a field, by name."""
