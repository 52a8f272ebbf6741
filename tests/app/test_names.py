"""How names are read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.app.names import Address, parse
from muniment.domain.errors import InvalidNameError
from tests.app.scene import Scene


def read(text: Any, project: str = "proj") -> Address:
    return parse(text, entity="team", project=project, organisation="org")


@pytest.mark.parametrize(
    ("text", "owner", "project", "name", "alias", "index"),
    [
        ("a", "team", "proj", "a", "latest", None),
        ("a:latest", "team", "proj", "a", "latest", None),
        ("a:best", "team", "proj", "a", "best", None),
        ("a:v0", "team", "proj", "a", "v0", 0),
        ("a:v12", "team", "proj", "a", "v12", 12),
        ("a:V1", "team", "proj", "a", "V1", None),
        ("a:v", "team", "proj", "a", "v", None),
        ("a:v1a", "team", "proj", "a", "v1a", None),
        ("a:v-1", "team", "proj", "a", "v-1", None),
        ("a:v" + "9" * 40, "team", "proj", "a", "v" + "9" * 40, None),
        ("p/a", "team", "p", "a", "latest", None),
        ("p/a:v1", "team", "p", "a", "v1", 1),
        ("t/p/a", "t", "p", "a", "latest", None),
        ("t/p/a:x/y:z", "t", "p", "a", "x/y:z", None),
        ("a.b-c_d:x y", "team", "proj", "a.b-c_d", "x y", None),
    ],
)
def test_what_is_left_out_is_assumed(
    text: str, *, owner: str, project: str, name: str, alias: str, index: int | None
) -> None:
    address = read(text)
    assert address == Address(owner, project, name, alias)
    assert (address.index, address.registry) == (index, None)


@pytest.mark.parametrize(
    ("text", "owner", "registry", "name", "alias"),
    [
        ("wandb-registry-model/best", "org", "model", "best", "latest"),
        ("wandb-registry-model/best:v3", "org", "model", "best", "v3"),
        ("acme/wandb-registry-model/best:production", "acme", "model", "best", "production"),
        ("wandb-registry-my models/best", "org", "my models", "best", "latest"),
    ],
)
def test_a_registry_belongs_to_an_organisation(text: str, owner: str, registry: str, name: str, alias: str) -> None:
    address = read(text)
    assert (address.owner, address.registry, address.name, address.alias) == (owner, registry, name, alias)


def test_a_registry_may_be_the_assumed_project() -> None:
    assert read("best", "wandb-registry-model") == Address("org", "wandb-registry-model", "best")


@pytest.mark.parametrize(
    "text", ["", " ", "a/b/c/d", "/a", "a/", "a//b", "//", ":", ":v1", "a:", "p/:v1", "/", None, 7, b"a", ["a"]]
)
def test_what_is_no_name_is_refused_with_how_to_write_one(text: Any) -> None:
    with pytest.raises(InvalidNameError, match=r"Invalid artifact path.*\[entity/\]\[project/\]name\[:alias\]"):
        read(text)


PART = st.text(st.characters(blacklist_characters="/:", codec="utf-8"), min_size=1).filter(str.strip)


@given(PART, PART, PART, PART)
def test_a_full_name_reads_as_it_was_written(owner: str, project: str, name: str, alias: str) -> None:
    text = f"{owner}/{project}/{name}:{alias}"
    assert read(text) == Address(owner, project, name, alias)
    assert str(read(text)) == text


def test_a_number_may_have_zeros_in_front(scene: Scene) -> None:
    scene.log("images", "one")
    assert scene.find("images:v00").version.index == 0
