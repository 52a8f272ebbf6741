"""Refusing what is of the wrong kind, by saying what is meant."""

from __future__ import annotations

import os
from collections.abc import Iterable

from muniment.app.sdk.errors import UsageError


class WrongKindError(UsageError, TypeError):
    """Something of another kind was given than is meant."""


def text(given: object, what: str) -> str:
    """Return a text."""
    if not isinstance(given, str):
        raise wrong(given, what, "text")
    return given


def texts(given: object, what: str) -> list[str]:
    """Return a list of texts; one text is a list of it, and ``None`` an empty one."""
    if given is None or isinstance(given, str):
        return [] if given is None else [given]
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise wrong(given, what, "a list of texts")
    return [text(each, f"each of {what}") for each in given]


def path_text(given: object, what: str = "path") -> str:
    """Return the text of a path."""
    if isinstance(given, str | os.PathLike):
        path = os.fspath(given)
        if isinstance(path, str):
            return path
    raise wrong(given, what, "text or a Path")


def wrong(given: object, what: str, meant: str) -> WrongKindError:
    """Return the error for something of the wrong kind."""
    return WrongKindError(f"{what} must be {meant}, not {type(given).__name__}")
