"""How the rows of a sheet are written: JSON lines without loss, and CSV that no spreadsheet takes for formulas.

Equal rows give equal bytes, whatever the machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final, Protocol

from attrs import frozen

from muniment.app.reports.shape import Cells, Kind, Sheet
from muniment.domain.values import Json

DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""What a text that a spreadsheet may take for a formula begins with, and the sign that we put before it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REPEATED: Final = {Kind.TEXT, Kind.FLAG}
_HALVES: Final = re.compile(r"[\ud800-\udfff]")
_QUOTED: Final = re.compile(r'[",\r\n]')
_sorted = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


class Out(Protocol):
    """Where bytes are written, in binary."""

    def write(self, content: bytes, /) -> object:
        """Write all of some bytes."""
        ...


class Writer(Protocol):
    """Writes the rows of one sheet."""

    def write(self, rows: Sequence[Cells]) -> None:
        """Write some rows."""
        ...

    def close(self) -> None:
        """Write what comes after the last row; the stream stays open."""
        ...


class JsonLines:
    """An object a line, in UTF-8: every column is there, null where there is nothing."""

    def __init__(self, stream: Out, sheet: Sheet) -> None:
        self._stream = stream
        self._columns = [
            _Shown(column.kind, _VALUES[column.kind], f'"{column.name}":', "null") for column in sheet.columns
        ]

    def write(self, rows: Sequence[Cells]) -> None:
        """Write a line for each row."""
        text = "".join(["{" + ",".join(cells) + "}\n" for cells in _texts(self._columns, rows)])
        try:
            content = text.encode()
        except UnicodeEncodeError:  # half a character, which only an escape can say
            content = _HALVES.sub(lambda half: ascii(half[0])[1:-1], text).encode()
        self._stream.write(content)

    def close(self) -> None:
        """Write nothing more."""


class Csv:
    """RFC 4180 in UTF-8, with the names of the columns first.

    A text that begins with one of ``DANGEROUS`` gets an apostrophe before it; taking one apostrophe from the front of
    every text that begins with one gives what was there. Nothing is an empty cell, an empty text is ``""``.
    """

    def __init__(self, stream: Out, sheet: Sheet) -> None:
        self._stream = stream
        self._columns = [_Shown(column.kind, _CELLS[column.kind]) for column in sheet.columns]
        stream.write((",".join(column.name for column in sheet.columns) + "\r\n").encode())

    def write(self, rows: Sequence[Cells]) -> None:
        """Write a line for each row."""
        self._stream.write("".join([",".join(cells) + "\r\n" for cells in _texts(self._columns, rows)]).encode())

    def close(self) -> None:
        """Write nothing more."""


@frozen
class _Shown:
    """How the cells of one column become texts."""

    kind: Kind
    show: Callable[[Any], str]
    name: str = ""
    nothing: str = ""

    def texts(self, cells: Sequence[Any]) -> list[str]:
        """Return a text for each cell; one that is in many rows, as that of an actor, is made once."""
        name, show, nothing = self.name, self.show, self.name + self.nothing
        different = set(cells) if self.kind in _REPEATED else cells
        if 2 * len(different) <= len(cells):
            texts = {cell: nothing if cell is None else name + show(cell) for cell in different}
            return [texts[cell] for cell in cells]
        if None in cells:
            return [nothing if cell is None else name + show(cell) for cell in cells]
        return [name + text for text in map(show, cells)]


def _texts(columns: Sequence[_Shown], rows: Sequence[Cells]) -> Iterable[tuple[str, ...]]:
    """Return the texts of the cells of each row, made column by column."""
    cells = zip(*rows, strict=True) if rows else [()] * len(columns)
    return zip(*(column.texts(some) for column, some in zip(columns, cells, strict=True)), strict=True)


def time_text(at: object) -> str:
    """Return a moment in microseconds as ISO 8601 in UTC: ``2026-03-03T12:00:00.000000Z``."""
    assert isinstance(at, int)  # noqa: S101 (a column of moments holds nothing else)
    seconds, micros = divmod(at, 1_000_000)
    return f"{_second(seconds)}.{micros:06}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds")[:19]


def json_text(value: Json) -> str:
    """Return a JSON value as text; equal values are equal texts."""
    return _sorted(value)


def whole(text: str) -> str:
    """Return a text without what no file in UTF-8 can hold."""
    return _HALVES.sub("\N{REPLACEMENT CHARACTER}", text)


def cell_text(value: object) -> str:
    """Return a text as a cell of CSV."""
    assert isinstance(value, str)  # noqa: S101 (a column of text holds nothing else)
    if not value.isprintable():
        value = whole(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
    if value.startswith(DANGEROUS):
        value = "'" + value
    if not value or _QUOTED.search(value):
        return '"' + value.replace('"', '""') + '"'
    return value


def _flag(value: object) -> str:
    return "true" if value else "false"


_CELLS: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: cell_text,
    Kind.INTEGER: str,
    Kind.MOMENT: time_text,
    Kind.FLAG: _flag,
    Kind.JSON: lambda value: cell_text(json_text(value)),
}

_VALUES: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: encode_basestring,
    Kind.INTEGER: str,
    Kind.MOMENT: lambda at: f'"{time_text(at)}"',
    Kind.FLAG: _flag,
    Kind.JSON: json_text,
}
