"""Whatever is of the wrong kind is refused by an error of ours that names it, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import muniment as wandb
from tests.app.sdk.words import artifact, events

OF_A_RUN: dict[str, Callable[[wandb.Run, Any], object]] = {
    "log_artifact": lambda run, odd: run.log_artifact(odd),
    "log_artifact aliases": lambda run, odd: run.log_artifact(artifact(), aliases=[odd]),
    "log_artifact tags": lambda run, odd: run.log_artifact(artifact(), tags=[odd]),
    "use_artifact": lambda run, odd: run.use_artifact(odd),
    "link_artifact": lambda run, odd: run.link_artifact(odd, "wandb-registry-model/x"),
    "link_artifact target": lambda run, odd: run.link_artifact(artifact(), odd),
    "upsert_artifact": lambda run, odd: run.upsert_artifact(artifact(), distributed_id=odd),
    "log_model": lambda run, odd: run.log_model(odd),
    "use_model": lambda run, odd: run.use_model(odd),
    "link_model": lambda run, odd: run.link_model("x", odd),
    "log_code": lambda run, odd: run.log_code(odd),
}
OF_A_DRAFT: dict[str, Callable[[wandb.Artifact, Any], object]] = {
    "add_file": lambda made, odd: made.add_file(odd),
    "add_file name": lambda made, odd: made.add_file("x", name=odd),
    "add_dir": lambda made, odd: made.add_dir(odd),
    "add_reference": lambda made, odd: made.add_reference(odd),
    "get_entry": lambda made, odd: made.get_entry(odd),
    "remove": lambda made, odd: made.remove(odd),
    "new_file": lambda made, odd: made.new_file(odd).__enter__(),
    "metadata": lambda made, odd: setattr(made, "metadata", odd),
    "description": lambda made, odd: setattr(made, "description", odd),
}
OTHERS: dict[str, Callable[[Any], object]] = {
    "Artifact": lambda odd: wandb.Artifact("x", "t", description=odd),
    "Api.artifact": lambda odd: wandb.Api().artifact(odd),
    "Api.run": lambda odd: wandb.Api().run(odd),
    "Api.registry": lambda odd: wandb.Api().registry(odd),
    "Api.create_registry": lambda odd: wandb.Api().create_registry(odd),
    "Api.artifact_types": lambda odd: list(wandb.Api().artifact_types(odd)),
    "Api as_of": lambda odd: wandb.Api(as_of=odd),
}
ODD = [1.5, b"x", object()]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
@pytest.mark.parametrize("call", OF_A_RUN)
def test_a_run_refuses_the_wrong_kind(here: Path, call: str, odd: object) -> None:
    (here / "x").write_text("1", encoding="utf-8")
    with wandb.init() as run:
        before = events()
        with pytest.raises(wandb.MunimentError):
            OF_A_RUN[call](run, odd)
        assert events() == before


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
@pytest.mark.parametrize("call", OF_A_DRAFT)
def test_a_draft_refuses_the_wrong_kind_and_stays_as_it_is(here: Path, call: str, odd: object) -> None:
    (here / "x").write_text("1", encoding="utf-8")
    made = artifact()
    before = (made.digest, made.metadata, made.description)
    with pytest.raises(wandb.MunimentError):
        OF_A_DRAFT[call](made, odd)
    assert (made.digest, made.metadata, made.description) == before


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
@pytest.mark.parametrize("call", OTHERS)
def test_what_stands_alone_refuses_the_wrong_kind(call: str, odd: object) -> None:
    before = events()
    with pytest.raises(wandb.MunimentError):
        OTHERS[call](odd)
    assert events() == before


def test_the_kind_that_is_meant_is_named() -> None:
    with pytest.raises(TypeError, match=r"^local_path must be text or a Path, not int$"):
        artifact().add_file(5)  # type: ignore[arg-type]
    with wandb.init() as run, pytest.raises(TypeError, match=r"^each of aliases must be text, not list$"):
        run.log_artifact(artifact(), aliases=[[]])  # type: ignore[list-item]
