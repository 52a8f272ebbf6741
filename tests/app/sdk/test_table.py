"""Tables: rows and columns, and W&B's shape of them."""

from __future__ import annotations

import json
import math

import pytest

import muniment as wandb
from muniment.domain.errors import InvalidValueError
from tests.app.sdk.words import find


def test_a_table_comes_back_from_an_artifact() -> None:
    table = wandb.Table(columns=["id", "label"], data=[[1, "cat"], [2, None]])
    table.add_data(3, "dog")
    table.add_column("score", [0.5, math.inf, 1])
    made = wandb.Artifact("tables", "dataset")
    entry = made.add(table, "predictions")
    made["same"] = table
    assert entry.path == "predictions.table.json"
    with wandb.init() as run:
        run.log_artifact(made)
    found = find("tables:v0")
    back = found.get("predictions")
    assert back == table == found["same"] == found.get("predictions.table.json")
    assert back is not None
    assert back.get_column("score") == [0.5, math.inf, 1]
    assert list(back.iterrows())[1] == (1, [2, None, math.inf])
    assert (len(back), back.get_index()) == (3, [0, 1, 2])
    assert found.get("nothing") is None
    assert found.get_entry("predictions").path == "predictions.table.json"


def test_a_table_is_stored_as_wandb_stores_it() -> None:
    stored = json.loads(wandb.Table(columns=["n", "t"], data=[[1, "a"]]).to_bytes())
    assert {key: stored[key] for key in ("_type", "columns", "data", "ncols", "nrows")} == {
        "_type": "table",
        "columns": ["n", "t"],
        "data": [[1, "a"]],
        "ncols": 2,
        "nrows": 1,
    }
    union = {"wb_type": "union", "params": {"allowed_types": [{"wb_type": "none"}, {"wb_type": "number"}]}}
    assert stored["column_types"]["params"]["type_map"]["n"] == union


def test_a_row_fits_the_columns() -> None:
    table = wandb.Table(columns=["a", "b"])
    with pytest.raises(ValueError, match="This table expects 2 columns"):
        table.add_data(1)
    with pytest.raises(ValueError, match="Expected length 1"):
        wandb.Table(columns=["a"], data=[[1]]).add_column("b", [1, 2])
    with pytest.raises(ValueError, match="has a column 'a' already"):
        table.add_column("a", [])
    with pytest.raises(ValueError, match="has no column 'c'"):
        table.get_column("c")
    with pytest.raises(TypeError, match="columns argument expects"):
        wandb.Table(columns="ab")
    with pytest.raises(TypeError, match="data must be a list of lists"):
        wandb.Table(columns=["a"], data=[1])


def test_a_column_holds_one_kind_of_value_unless_it_may_hold_more() -> None:
    made = wandb.Artifact("tables", "dataset")
    with pytest.raises(TypeError, match="column 'a' holds number and string"):
        made.add(wandb.Table(columns=["a"], data=[[1], ["x"]]), "mixed")
    made.add(wandb.Table(columns=["a"], data=[[1], ["x"]], allow_mixed_types=True), "mixed")


def test_only_tables_are_added_as_objects() -> None:
    with pytest.raises(TypeError, match="Found object of type dict"):
        wandb.Artifact("tables", "dataset").add({}, "x")  # type: ignore[arg-type]


def test_columns_have_names_even_if_nobody_gave_any() -> None:
    assert wandb.Table().columns == ["Input", "Output", "Expected"]
    assert wandb.Table(data=[[1, 2]]).columns == ["0", "1"]


def test_what_is_no_table_says_so() -> None:
    made = wandb.Artifact("tables", "dataset")
    with made.new_file("broken.table.json") as file:
        file.write("[]")
    with wandb.init() as run:
        run.log_artifact(made)
    with pytest.raises(InvalidValueError, match=r"'broken\.table\.json' is no table"):
        made.get("broken")
