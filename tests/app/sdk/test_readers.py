"""Who may take versions out of a registry: whoever may use it, not those who may only look."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import muniment as wandb
from muniment.domain.errors import PermissionDeniedError
from tests.app.sdk.words import events, logged

NET = "wandb-registry-vault/nets:v0"
TAKING: dict[str, Callable[[], object]] = {
    "download": lambda: wandb.Api().artifact(NET).download(),
    "checkout": lambda: wandb.Api().artifact(NET).checkout("out"),
    "file": lambda: wandb.Api().artifact(NET).file(),
    "entry": lambda: wandb.Api().artifact(NET).get_entry("a.txt").download(),
    "table": lambda: wandb.Api().artifact(NET).get("figures"),
}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> wandb.Registry:
    """Return a restricted registry with one version in it; ``bob``, who acts from now on, is in the team only."""
    api = wandb.Api()
    api.team("local").add_member("bob", "member")
    made = api.create_registry("vault", visibility="restricted")
    logged(name="net").link("wandb-registry-vault/nets")
    monkeypatch.setenv("MUNIMENT_ACTOR", "bob")
    return made


def give(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("MUNIMENT_ACTOR", "ada")
        api = wandb.Api()
        api.registry("vault").update_member("bob", role)


@pytest.mark.parametrize("role", [None, "restricted_viewer"])
@pytest.mark.parametrize("act", TAKING)
def test_who_may_only_look_takes_nothing_out(
    registry: wandb.Registry, monkeypatch: pytest.MonkeyPatch, act: str, role: str | None
) -> None:
    if role:
        give(monkeypatch, role)
    denied = events().count("principal.denied.1")
    with pytest.raises(PermissionDeniedError, match="only a viewer may use what is in registry vault") as caught:
        TAKING[act]()
    assert isinstance(caught.value, wandb.CommError)
    assert events().count("principal.denied.1") == denied + 1
    assert wandb.Api().artifact(NET).metadata == {}
    assert registry.name == "vault"


@pytest.mark.usefixtures("registry")
def test_who_may_only_look_does_not_use_it_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, "restricted_viewer")
    with wandb.init() as run, pytest.raises(wandb.CommError, match="your role is restricted_viewer"):
        run.use_artifact(NET)


@pytest.mark.usefixtures("registry")
def test_a_viewer_takes_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, "viewer")
    for act in TAKING.values():
        act()
    with wandb.init() as run:
        assert run.use_artifact(NET).source_name == "net:v0"


@pytest.mark.usefixtures("registry")
def test_a_registry_of_the_whole_organization_is_open_to_its_teams() -> None:
    wandb.Api().artifact("net:v0").link("wandb-registry-dataset/nets")
    assert wandb.Api().artifact("wandb-registry-dataset/nets:v0").download()
