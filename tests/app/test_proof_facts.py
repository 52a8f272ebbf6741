"""Where `latest` points and whether a link ended is proved as far as it can be, and the rest is said to be open."""

from __future__ import annotations

from pathlib import Path

import pytest

from muniment.app import registries
from muniment.app.proving.facts import FactFile, prove_fact
from muniment.domain.errors import InvalidValueError
from tests.app.exported import tell
from tests.app.scene import Scene
from tests.app.test_proofs import both


@pytest.fixture
def told(scene: Scene) -> Scene:
    tell(scene)
    return scene


def test_latest_is_the_version_made_last_as_far_as_that_can_be_proved(told: Scene, tmp_path: Path) -> None:
    verdict, said = both(told, tmp_path, prove_fact(told.store, "images:latest").render())
    newest = told.find("images:latest").version
    assert f"version {newest.version_id} is v{newest.index} of artifact" in "\n".join(verdict.proved)
    assert len(verdict.open) == 2
    assert said.count("NOT proved") == 2
    before, text = told.seq, prove_fact(told.store, "images:latest").render()
    told.log("images", "something else altogether")
    later, _ = both(told, tmp_path, prove_fact(told.store, "images:latest", at=before).render())
    assert "nothing else happened to it until" in later.proved[-1]
    assert [line.split(":")[0] for line in later.open] == [verdict.open[1].split(":")[0]]
    assert FactFile.parse(text).run[0].index == newest.created_seq - 1
    with pytest.raises(InvalidValueError, match="does not say `latest`"):
        prove_fact(told.store, "images:v0", about="latest")
    told.delete(f"images:v{newest.index + 1}")
    with pytest.raises(InvalidValueError, match="several events decide"):
        prove_fact(told.store, "images:latest")


def test_latest_that_was_moved_by_hand_is_an_alias(told: Scene, tmp_path: Path) -> None:
    told.edit("images:v1", add_aliases=("latest",))
    verdict, _ = both(told, tmp_path, prove_fact(told.store, "images:latest").render())
    version = told.find("images:v1").version
    assert f"points at version {version.version_id}" in "\n".join(verdict.proved)


@pytest.mark.parametrize("end", ["unlinked", "deleted", "not"])
def test_the_proof_of_a_link_says_whether_it_ended(told: Scene, tmp_path: Path, end: str) -> None:
    registries.create(told.store, "local", "gold")
    told.link("images:v1", "gold/best")
    linked, name = told.seq, "wandb-registry-gold/best:v0"
    collection = told.find(name).collection
    assert collection is not None
    if end == "unlinked":
        told.unlink("gold/best:v0")
    elif end == "deleted":
        registries.delete_collection(told.store, collection)
    verdict, said = both(told, tmp_path, prove_fact(told.store, name, about="linked", at=linked).render())
    assert any("the link ended with event" in line for line in verdict.proved) == (end != "not")
    assert ("the link ended with event" in said) == (end != "not")
    assert bool(verdict.open) == ("NOT proved" in said) == (end == "not")


def test_an_end_of_another_link_proves_nothing(told: Scene, tmp_path: Path) -> None:
    registries.create(told.store, "local", "gold")
    for version in ("images:v0", "images:v1"):
        told.link(version, "gold/best")
    linked = told.seq
    told.unlink("gold/best:v0")
    ended = prove_fact(told.store, "wandb-registry-gold/best:v0", about="linked", at=linked)
    other = prove_fact(told.store, "wandb-registry-gold/best:v1", about="linked", at=linked)
    false = FactFile("linked", other.at, other.run, (*other.context, ended.context[-1]))
    refused, said = both(told, tmp_path, false.render())
    assert "says nothing about what is to be proved" in str(refused)
    assert "says nothing about what is to be proved" in said
