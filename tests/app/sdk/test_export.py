"""Exports from the library: a file in a format of others, as of now or as of the moment of the ``Api``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import muniment as wandb


def test_the_library_writes_exports_as_of_its_moment(tmp_path: Path) -> None:
    with wandb.init(project="p") as run:
        run.log_artifact(wandb.Artifact("mnist", "dataset")).wait()
    api = wandb.Api()
    seq = max(act.seq for act in api.history("p/mnist"))
    api.export("prov", "p/mnist:v0", tmp_path / "now.json")
    api.artifact("p/mnist:v0").delete(delete_aliases=True)
    wandb.Api(as_of=seq).export("croissant", "p/mnist:v0", tmp_path / "then.json")
    assert "wasInvalidatedBy" not in (tmp_path / "then.json").read_text()
    assert json.loads((tmp_path / "now.json").read_text())["entity"]
    with pytest.raises(ValueError, match="there is no format"):
        api.export("yaml", "p/mnist:v0", tmp_path / "x")
