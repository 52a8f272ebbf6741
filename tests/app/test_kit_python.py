"""The kit runs on Python 3.9: its syntax is old enough, and so is all that it takes from the standard library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from muniment.app import kit

OLD: Final = (3, 9)
TREE: Final = ast.parse(kit.content(kit.PROGRAM), feature_version=OLD)
MODULES: Final = {
    "__future__",
    "argparse",
    "base64",
    "hashlib",
    "json",
    "re",
    "sys",
    "datetime",
    "pathlib",
}
"""What the kit imports, all of it in 3.9; add a module, or a name from it, after a look at when it came."""
NAMES: Final = {"annotations", "datetime", "timedelta", "timezone", "Path"}
NEWER: Final = {
    "UTC": "datetime, 3.11",
    "file_digest": "hashlib, 3.11",
    "bit_count": "int, 3.10",
    "pairwise": "itertools, 3.10",
    "walk": "pathlib, 3.12",
    "hardlink_to": "pathlib, 3.10",
    "orig_argv": "sys, 3.10",
    "stdlib_module_names": "sys, 3.10",
    "exception": "sys, 3.11",
    "add_note": "exceptions, 3.11",
    "is_junction": "pathlib, 3.12",
    "NOFLAG": "re, 3.11",
    "b32hexencode": "base64, 3.10",
    "z85encode": "base64, 3.13",
}
"""Attributes that came to these modules and to built-ins after 3.9."""


def imported() -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(TREE):
        if isinstance(node, ast.Import):
            yield from ((each.name, None) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), each.name) for each in node.names)


def calls() -> Iterator[ast.Call]:
    return (node for node in ast.walk(TREE) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def test_it_imports_only_what_39_has() -> None:
    assert {module for module, _ in imported()} <= MODULES
    assert {name for _, name in imported() if name} <= NAMES


def test_it_uses_no_attribute_that_is_newer() -> None:
    assert {node.attr for node in ast.walk(TREE) if isinstance(node, ast.Attribute)} & set(NEWER) == set()


def test_it_calls_nothing_as_only_newer_versions_take_it() -> None:
    for call in calls():
        keywords = {each.arg for each in call.keywords}
        name = called(call)
        assert not (name == "zip" and "strict" in keywords), f"line {call.lineno}: zip(strict=) came with 3.10"
        if name in {"to_bytes", "from_bytes"}:
            given = len(call.args) - (name == "from_bytes")
            assert given + len(keywords) >= 1 + (name == "to_bytes"), f"line {call.lineno}: a default of 3.11"
        assert name not in {"aiter", "anext"}
        assert name != "fromisoformat", f"line {call.lineno}: it takes a Z only since 3.11"
        if name in {"write_text", "read_text"}:
            assert "newline" not in keywords, f"line {call.lineno}: newline= came with 3.10 and 3.13"


def test_annotations_that_are_evaluated_have_no_unions() -> None:
    unions = [node for node in ast.walk(TREE) if isinstance(node, ast.Call) and called(node) == "isinstance"]
    for call in unions:
        assert not isinstance(call.args[1], ast.BinOp), f"line {call.lineno}: X | Y in isinstance came with 3.10"


def test_a_newer_syntax_would_be_noticed() -> None:
    with pytest.raises(SyntaxError):
        ast.parse("match x:\n    case 1:\n        pass", feature_version=OLD)
