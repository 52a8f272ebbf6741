"""The errors are one tree, the one that its module draws; each is also the built-in that people expect."""

from __future__ import annotations

import inspect
import re

import pytest

from muniment.domain import errors
from muniment.domain.errors import (
    AliasProtectedError,
    ConflictError,
    CorruptError,
    MunimentError,
    NotFoundError,
    PermissionDeniedError,
    ProofError,
    RuleError,
    StorageError,
)

TREE: dict[str, type[MunimentError]] = dict(inspect.getmembers(errors, inspect.isclass))
DRAWN = re.compile(r"^[\s│├└─]*?(\w+Error)\b")


def test_every_error_is_a_muniment_error_with_a_name_that_ends_in_error() -> None:
    assert all(issubclass(class_, MunimentError) for class_ in TREE.values())
    assert all(name.endswith("Error") for name in TREE)


def test_the_drawing_shows_every_error_below_its_parent() -> None:
    drawn: list[tuple[int, str]] = [
        (match.start(1), match[1]) for line in (errors.__doc__ or "").splitlines() if (match := DRAWN.match(line))
    ]
    assert sorted(name for _, name in drawn) == sorted(TREE)
    parents: list[tuple[int, str]] = []
    for depth, name in drawn:
        parents = [each for each in parents if each[0] < depth]
        if parents:
            assert issubclass(TREE[name], TREE[parents[-1][1]])
        parents.append((depth, name))


@pytest.mark.parametrize("name", TREE)
def test_every_error_carries_its_text_and_says_what_it_means(name: str) -> None:
    assert str(TREE[name]("what — way out")) == "what — way out"
    assert TREE[name].__doc__


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (RuleError, ValueError),
        (PermissionDeniedError, PermissionError),
        (AliasProtectedError, PermissionError),
        (NotFoundError, LookupError),
    ],
)
def test_an_error_is_the_built_in_that_people_expect_too(error: type[MunimentError], builtin: type[Exception]) -> None:
    assert issubclass(error, builtin)


def test_what_may_be_tried_again_is_no_rule() -> None:
    for name, class_ in TREE.items():
        kinds = [
            kind
            for kind in (RuleError, ConflictError, NotFoundError, ProofError, StorageError)
            if issubclass(class_, kind)
        ]
        assert len(kinds) == (0 if class_ is MunimentError else 1), name
    assert issubclass(CorruptError, StorageError)
