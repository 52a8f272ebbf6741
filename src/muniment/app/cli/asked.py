"""What several commands are given alike: a text or the standard input, words to look for, a file to write."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from muniment.app.cli.show import One, Values
from muniment.domain.errors import InvalidValueError, StorageError

STDIN: Final = "-"
ONE_ID: Final = "5f0c8a6e2b914d07a3c1e9f4b7d26058"
"""What an id looks like, in examples."""


def said(given: str | None) -> str | None:
    """Return what was said, for ``-`` on the standard input."""
    return sys.stdin.read().strip() if given == STDIN else given


def words(given: Sequence[str]) -> list[str]:
    """Return the words to look for, those on the lines of the standard input for a ``-`` among them.

    To look for none would find none, so whoever means to look and gives none is refused.
    """
    lines = [line for text in given for line in (sys.stdin.read().splitlines() if text == STDIN else [text])]
    found = [line for line in lines if line]
    if given and not found:
        msg = "no word was given to look for — write each on a line of the input, or --canary WORD"
        raise InvalidValueError(msg)
    return found


def written(text: str, output: str | None, values: Values, line: str | None = None) -> One:
    """Return *values* with their text, or write it into a file that was asked for and say so, by *line* or shortly."""
    if output is None:
        return One(values, text.removesuffix("\n"))
    try:
        Path(output).write_text(text, "utf-8", newline="\n")
    except OSError as error:
        msg = f"{output} cannot be written: {error.strerror} — give another file with -o"
        raise StorageError(msg) from error
    return One({**values, "file": output}, line or f"wrote {output}")
