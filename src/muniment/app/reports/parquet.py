"""Parquet: typed columns for those who compute; needs the extra ``reports``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from muniment.app.reports.shape import Cells, Kind, Sheet
from muniment.app.reports.writers import Out, json_text, whole
from muniment.domain.errors import InvalidValueError

GROUP: Final = 4_000
"""How many rows are compressed together."""


class Parquet:
    """Row groups of 4,000 rows, compressed with zstd; JSON values are text."""

    def __init__(self, stream: Out, sheet: Sheet) -> None:
        self._arrow = arrow = _arrow()
        types = {
            Kind.TEXT: arrow.string(),
            Kind.INTEGER: arrow.int64(),
            Kind.MOMENT: arrow.timestamp("us", tz="UTC"),
            Kind.FLAG: arrow.bool_(),
            Kind.JSON: arrow.string(),
        }
        self._kinds = [column.kind for column in sheet.columns]
        self._schema = arrow.schema([(column.name, types[column.kind]) for column in sheet.columns])
        self._file = arrow.parquet.ParquetWriter(stream, self._schema, compression="zstd", store_schema=False)
        self._waiting: list[Cells] = []

    def write(self, rows: Sequence[Cells]) -> None:
        """Take rows, and write every full group."""
        self._waiting.extend(rows)
        while len(self._waiting) >= GROUP:
            self._group(self._waiting[:GROUP])
            del self._waiting[:GROUP]

    def close(self) -> None:
        """Write the last group and what says where the groups are."""
        if self._waiting:
            self._group(self._waiting)
        self._file.close()

    def _group(self, rows: Sequence[Cells]) -> None:
        columns = zip(*rows, strict=True)
        arrays = [
            self._arrow.array([_cell(kind, cell) for cell in cells], field.type)
            for kind, cells, field in zip(self._kinds, columns, self._schema, strict=True)
        ]
        self._file.write_table(self._arrow.table(arrays, schema=self._schema), row_group_size=GROUP)


def _cell(kind: Kind, cell: Any) -> Any:  # noqa: ANN401 (whatever the column holds)
    if cell is None:
        return None
    if kind is Kind.TEXT:
        return cell if cell.isprintable() else whole(cell)
    if kind is Kind.JSON:
        return whole(json_text(cell))
    return bool(cell) if kind is Kind.FLAG else cell


def _arrow() -> Any:  # noqa: ANN401 (a module without types)
    try:
        import pyarrow as arrow  # noqa: ICN001, PLC0415 (loaded by whoever wants Parquet)
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as error:
        msg = "Parquet needs pyarrow — pip install 'muniment[reports]', or leave out --format parquet"
        raise InvalidValueError(msg) from error
    return arrow
