"""Tables: rows under named columns, kept in an artifact as ``<name>.table.json`` in W&B's shape."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from muniment.app.sdk.plain import NotJsonError, figure, plain
from muniment.domain.errors import InvalidValueError
from muniment.domain.values import Json

SUFFIX: Final = ".table.json"


class _Odd(str):
    """A NaN or infinity, which JSON has no number for."""

    __slots__ = ()


_ODD: Final = {"NaN", "Infinity", "-Infinity"}
_KINDS: Final = {
    _Odd: "number",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "list",
    dict: "typedDict",
}


class Table:
    """Rows under named columns."""

    MAX_ROWS = 10_000
    MAX_ARTIFACT_ROWS = 200_000

    def __init__(
        self,
        columns: Sequence[str | int] | None = None,
        data: Any = None,  # noqa: ANN401 (lists, a NumPy array or a data frame)
        rows: Iterable[Sequence[Any]] | None = None,
        dataframe: Any = None,  # noqa: ANN401 (pandas is optional)
        dtype: Any = None,  # noqa: ANN401 (accepted; types are found in the data)
        optional: bool | Sequence[bool] = True,
        allow_mixed_types: bool = False,
        log_mode: str | None = "IMMUTABLE",
    ) -> None:
        del dtype, optional
        self.log_mode = log_mode
        self._mixed = allow_mixed_types
        frame = data if dataframe is None and _is_frame(data) else dataframe
        if frame is not None:
            if not _is_frame(frame):
                msg = f"dataframe must be a pandas DataFrame, not {type(frame).__name__}"
                raise NotJsonError(msg)
            columns, rows = [str(name) for name in frame.columns], frame.to_numpy().tolist()
        else:
            rows = rows if data is None else _rows(data)
        found = [list(row) for row in rows or ()]
        if columns is None:
            columns = [str(at) for at in range(len(found[0]))] if found else ["Input", "Output", "Expected"]
        if not isinstance(columns, (list, tuple)) or not all(isinstance(name, (str, int)) for name in columns):
            msg = "columns argument expects a list of strings or numbers"
            raise NotJsonError(msg)
        self.columns: list[str | int] = list(columns)
        self.data: list[list[Any]] = []
        for row in found:
            self.add_data(*row)

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and (self.columns, self._json()) == (other.columns, other._json())

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"Table(columns={self.columns!r}, rows={len(self.data)})"

    # --- writing ------------------------------------------------------------------------------------------------------

    def add_data(self, *data: Any) -> None:  # noqa: ANN401 (any value that JSON has a form for)
        """Add a row."""
        if len(data) != len(self.columns):
            msg = f"This table expects {len(self.columns)} columns: {self.columns}, found {len(data)}"
            raise InvalidValueError(msg)
        self.data.append(list(data))

    def add_row(self, *row: Any) -> None:  # noqa: ANN401
        """Add a row; W&B's older name for ``add_data``."""
        self.add_data(*row)

    def add_column(self, name: str, data: Sequence[Any], optional: bool = False) -> None:
        """Add a column with one value for every row."""
        del optional
        values = list(data)
        if name in self.columns:
            msg = f"the table has a column {name!r} already"
            raise InvalidValueError(msg)
        if self.data and len(values) != len(self.data):
            msg = f"Expected length {len(self.data)} for column {name!r}, found {len(values)}"
            raise InvalidValueError(msg)
        if not self.data and not self.columns:
            self.data = [[] for _ in values]
        self.columns.append(name)
        for row, value in zip(self.data, values, strict=True):
            row.append(value)

    # --- reading ------------------------------------------------------------------------------------------------------

    def get_column(self, name: str | int, convert_to: str | None = None) -> Any:  # noqa: ANN401 (a list or an array)
        """Return the values of a column, as a list or with ``convert_to="numpy"`` as an array."""
        if name not in self.columns:
            msg = f"the table has no column {name!r}, only {self.columns}"
            raise InvalidValueError(msg)
        at = self.columns.index(name)
        values = [row[at] for row in self.data]
        if convert_to is None:
            return values
        if convert_to != "numpy":
            msg = f"convert_to must be None or 'numpy', not {convert_to!r}"
            raise InvalidValueError(msg)
        import numpy as np  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 (optional)

        return np.array(values)

    def get_index(self) -> list[int]:
        """Return the numbers of the rows."""
        return list(range(len(self.data)))

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield the number and the values of every row."""
        yield from enumerate(self.data)

    def get_dataframe(self) -> Any:  # noqa: ANN401 (pandas is optional)
        """Return the table as a pandas DataFrame; pandas must be installed."""
        import pandas as pd  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: PLC0415

        return pd.DataFrame(self.data, columns=self.columns)

    # --- the stored form ----------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """Return the table in W&B's JSON shape."""
        data = self._json()
        kept = {
            "_type": "table",
            "column_types": _typed({str(name): self._type(data, at, name) for at, name in enumerate(self.columns)}),
            "columns": self.columns,
            "data": data,
            "ncols": len(self.columns),
            "nrows": len(data),
        }
        return json.dumps(kept, ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode()

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> Table:
        """Read a table from W&B's JSON shape; InvalidValueError names the entry that is none."""
        try:
            kept = json.loads(content)
            table = cls(columns=kept["columns"], data=kept["data"], allow_mixed_types=True)
            types = kept.get("column_types", {}).get("params", {}).get("type_map", {})
            numbers = [
                at for at, column in enumerate(table.columns) if '"number"' in json.dumps(types.get(str(column)))
            ]
            for row in table.data:
                for at in numbers:
                    row[at] = float(row[at]) if row[at] in _ODD else row[at]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"{name!r} is no table: {error}"
            raise InvalidValueError(msg) from error
        return table

    def _json(self) -> list[list[Json]]:
        return [
            [
                plain(value, f"column {name!r}, row {at}", special=lambda number: _Odd(figure(number)))
                for name, value in zip(self.columns, row, strict=True)
            ]
            for at, row in enumerate(self.data)
        ]

    def _type(self, data: list[list[Json]], at: int, name: str | int) -> Json:
        kinds = {_KINDS[type(row[at])] for row in data if row[at] is not None}
        if len(kinds) > 1:
            if not self._mixed:
                msg = f"column {name!r} holds {' and '.join(sorted(kinds))} — pass allow_mixed_types=True to keep both"
                raise NotJsonError(msg)
            return {"wb_type": "any"}
        one = [{"wb_type": kind} for kind in kinds]
        return {"params": {"allowed_types": [{"wb_type": "none"}, *one]}, "wb_type": "union"}


def _typed(columns: dict[str, Json]) -> Json:
    return {"params": {"type_map": columns}, "wb_type": "typedDict"}


def _is_frame(value: object) -> bool:
    return hasattr(value, "columns") and hasattr(value, "to_numpy")


def _rows(data: Any) -> Iterable[Sequence[Any]]:  # noqa: ANN401 (a list or an array)
    rows = data.tolist() if hasattr(data, "tolist") else data
    if not isinstance(rows, (list, tuple)) or not all(isinstance(row, (list, tuple)) for row in rows):
        msg = "data must be a list of lists, a NumPy array or a pandas DataFrame"
        raise NotJsonError(msg)
    return rows
