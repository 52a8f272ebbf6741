"""How results are printed: aligned columns for people, JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import click
from attrs import frozen

Values: TypeAlias = Mapping[str, Any]
NOTHING: Final = "-"
KIB: Final = 1024


@frozen
class One:
    """One thing; a person sees *text*, or without it a line for each value."""

    values: Values
    text: str | None = None


@frozen
class Many:
    """Several things of one kind; *columns* are what a person sees of each, in this order.

    *line* prints each as it comes instead, and *cursor* is where the next page begins.
    """

    rows: Iterable[Values]
    columns: Sequence[str] = ()
    empty: str = "nothing"
    cursor: object = None
    line: Callable[[Values], str] | None = None


Shown: TypeAlias = One | Many | str


def show(shown: Shown, *, as_json: bool) -> None:
    """Print a result on standard output."""
    match shown:
        case str():
            click.echo(shown, nl=not shown.endswith("\n"))
        case One() if as_json:
            click.echo(dumps(shown.values))
        case One(values=values, text=None):
            click.echo(pairs(values))
        case One(text=text):
            click.echo(text)
        case Many() if as_json:
            _lines(shown)
        case Many(line=None):
            _table(shown)
        case Many(rows=rows, line=line) if line is not None:
            for row in rows:
                click.echo(line(row))


def dumps(value: object) -> str:
    """Return JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def counted(number: int, what: str) -> str:
    """Return how many there are of something, as a person says it."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def human_size(size: int) -> str:
    """Return a number of bytes as a person reads it."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < KIB:
            return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= KIB
    return f"{amount:.1f} TiB"


def cell(name: str, value: object) -> str:
    """Return a value as a person reads it, on one line and without characters that could steer a terminal."""
    if value is None or value in ("", [], ()):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name in {"size", "bytes", "limit"}:
        return human_size(value)
    if isinstance(value, str) and (name == "time" or name.endswith("_at")):
        return f"{value[:10]} {value[11:19]}Z"
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return printable(", ".join(value))
    return printable(value if isinstance(value, str) else dumps(value))


def printable(text: str) -> str:
    """Return a text with every character that is no mark on paper written as its escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _lines(many: Many) -> None:
    for row in many.rows:
        click.echo(dumps(row))
    if many.cursor is not None:
        click.echo(dumps({"next": many.cursor}))


def pairs(values: Values) -> str:
    """Return a line for each value."""
    width = max(map(len, values), default=0)
    return "\n".join(f"{name.replace('_', ' '):<{width}}  {cell(name, value)}" for name, value in values.items())


def _table(many: Many) -> None:
    rows = [[cell(name, row.get(name)) for name in many.columns] for row in many.rows]
    if not rows:
        click.echo(many.empty)
        return
    titles = [name.replace("_", " ").upper() for name in many.columns]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in [titles, *rows]:
        click.echo("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
    if many.cursor is not None:
        click.echo(f"more: --after {many.cursor}", err=True)
