"""HTML for people: one page for all sheets of a report, without scripts, links or anything from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from attrs import define, field

from muniment.app.reports.shape import Cells, Column, Kind, Report, Sheet
from muniment.app.reports.writers import Out, json_text, time_text, whole

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
STYLE: Final = (
    "body{font:14px/1.4 sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}"
    "caption{text-align:left;font-weight:bold}th,td{border:1px solid #bbb;padding:.2em .5em;text-align:left;"
    "vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere}th{background:#eee}td.integer{text-align:right}"
)


@define
class Page:
    """The page of a report; what is said in its head is *facts*."""

    stream: Out
    report: Report
    facts: Mapping[str, object]
    _open: Sheet | None = field(init=False, default=None)
    _rows: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        title = f"{self.report.number} {self.report.title}"
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{_text(value)}</td></tr>" for name, value in self.facts.items())
        self._put(
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
            f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n"
        )
        if self.report.note:
            self._put(f"<p>{escape(self.report.note)}</p>\n")
        self._put(f"<table><caption>What this was made of</caption>{rows}</table>\n")

    def begin(self, sheet: Sheet) -> None:
        """Begin the table of a sheet."""
        self._open, self._rows = sheet, 0
        heads = "".join(
            f'<th title="{escape(column.meaning)}">{escape(column.name.replace("_", " "))}</th>'
            for column in sheet.columns
        )
        self._put(f"<table><caption>{escape(sheet.title)}</caption><thead><tr>{heads}</tr></thead><tbody>\n")

    def write(self, rows: Sequence[Cells]) -> None:
        """Write rows of the sheet that was begun last."""
        assert self._open is not None  # noqa: S101 (begin comes first)
        columns = self._open.columns
        self._rows += len(rows)
        self._put("".join(_row(columns, row) for row in rows))

    def end(self) -> None:
        """End the table; that there was nothing to tell is said in words."""
        told = f"{self._rows} rows" if self._rows else "Nothing of this kind is on record in the events named above."
        self._put(f"</tbody></table>\n<p>{told}</p>\n")

    def close(self) -> None:
        """End the page."""
        self._put("</body></html>\n")

    def _put(self, text: str) -> None:
        self.stream.write(text.encode())


def _row(columns: Sequence[Column], row: Cells) -> str:
    cells = zip(columns, row, strict=True)
    return f"<tr>{''.join(_cell(column.kind, cell) for column, cell in cells)}</tr>\n"


def _cell(kind: Kind, cell: Any) -> str:  # noqa: ANN401 (whatever the column holds)
    if cell is None:
        return "<td></td>"
    match kind:
        case Kind.INTEGER:
            return f'<td class="integer">{cell}</td>'
        case Kind.MOMENT:
            return f"<td>{time_text(cell)}</td>"
        case Kind.FLAG:
            return f"<td>{'yes' if cell else 'no'}</td>"
        case Kind.JSON:
            return f"<td>{_text(json_text(cell))}</td>"
        case _:
            return f"<td>{_text(cell)}</td>"


def _text(value: object) -> str:
    """Return text for a page: escaped, set apart from what is written the other way round, without steering signs."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", whole(str(value)))
    return f"<bdi>{escape(text)}</bdi>"
