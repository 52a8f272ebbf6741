"""Registries, organizations and teams on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.cli.conftest import Run


def test_a_version_is_linked_promoted_and_unlinked(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    linked = muniment("registry", "link", "mnist:v0", "wandb-registry-dataset/mnist", "-a", "production")
    assert linked.out == "linked local/uncategorized/mnist:v0 as dataset/mnist:v0 (production, latest)\n"
    shown = muniment("registry", "show", "dataset", "--json").json
    assert shown["collections"] == [
        {"name": "mnist", "type": "dataset", "versions": 1, "aliases": {"production": "v0", "latest": "v0"}}
    ]
    assert "mnist (dataset, 1 linked) production → v0, latest → v0" in muniment("registry", "show", "dataset").out
    assert muniment("artifact", "show", "mnist", "--json").json["links"] == ["local/wandb-registry-dataset/mnist:v0"]
    assert "model" in muniment("registry", "link", "mnist:v0", "wandb-registry-model/mnist", status=1).err
    assert "no registry" in muniment("registry", "link", "mnist:v0", "wandb-registry-nope/mnist", status=1).err
    assert "is no registry" in muniment("registry", "link", "mnist:v0", "other/mnist", status=1).err
    out = muniment("registry", "unlink", "local/wandb-registry-dataset/mnist:production").out
    assert out == "unlinked dataset/mnist:v0\n"
    assert muniment("registry", "show", "dataset", "--json").json["collections"][0]["versions"] == 0


def test_a_registry_is_made_in_its_organization_and_its_types_only_grow(muniment: Run) -> None:
    muniment("org", "create", "research")
    made = muniment("registry", "create", "research/reports", "-t", "report", "--restricted", "-d", "for us", "--json")
    assert {key: made.json[key] for key in ("name", "organization", "types", "visibility", "description")} == {
        "name": "reports",
        "organization": "research",
        "types": ["report"],
        "visibility": "restricted",
        "description": "for us",
    }
    assert muniment("registry", "types", "research/reports", "table").out == "report, table\n"
    assert muniment("registry", "types", "research/wandb-registry-reports", "--all").out == "all types\n"
    muniment("registry", "types", "research/reports", "x", "--all", status=2)
    assert "that --narrow leaves" in muniment("registry", "types", "research/reports", "--narrow", status=2).err
    names = [row["name"] for row in muniment("registry", "ls", "research", "--json").lines]
    assert names == ["dataset", "model", "reports"]
    before = muniment("registry", "ls", "--as-of", "8", "--json").lines
    assert [row["organization"] for row in before] == ["local", "local"]
    assert "reports" in muniment("registry", "create", "research/reports", status=1).err


def test_protected_aliases_are_named_all_at_once(muniment: Run) -> None:
    assert muniment("registry", "protect", "model").out == "none\n"
    assert muniment("registry", "protect", "model", "production", "staging").out == "production, staging\n"
    assert muniment("registry", "protect", "model", "production", "--json").json["protected"] == ["production"]
    assert muniment("registry", "protect", "model", "--none").out == "none\n"
    muniment("registry", "protect", "model", "production", "--none", status=2)


def test_people_and_teams_have_roles_in_registries(muniment: Run) -> None:
    muniment("team", "create", "vision")
    assert muniment("registry", "members", "model", "team:vision", "viewer").out == "team:vision is viewer of model\n"
    muniment("registry", "members", "model", "ben", "admin")
    assert muniment("registry", "members", "model", "--json").lines == [
        {"member": "ben", "kind": "user", "role": "admin"},
        {"member": "vision", "kind": "team", "role": "viewer"},
    ]
    assert muniment("registry", "members", "model", "ben", "--remove").out == "ben is in model no more\n"
    assert "vision  team  viewer" in muniment("registry", "members", "model").out
    muniment("registry", "members", "model", "ben", status=2)
    muniment("registry", "members", "model", "ben", "king", status=2)
    muniment("registry", "members", "model", "--remove", status=2)


def test_who_has_no_role_is_refused_and_the_refusal_is_on_record(
    muniment: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    muniment("team", "member", "local", "ben", "viewer")
    members = muniment("team", "member", "local", "--json").lines
    assert [(row["member"], row["role"]) for row in members] == [("ada", "admin"), ("ben", "viewer")]
    monkeypatch.setenv("MUNIMENT_ACTOR", "ben")
    refused = muniment("team", "member", "local", "ben", "admin", status=1)
    assert refused.err.startswith("error: only")
    (denied,) = muniment("events", "--outcome", "denied", "--json").lines
    assert (denied["actor"], denied["event"]["rule"], denied["source"]) == ("ben", "PermissionDeniedError", "cli")


def test_organizations_list_their_members(muniment: Run) -> None:
    assert muniment("org", "create", "research").out == "created organization research\n"
    muniment("org", "member", "research", "ben", "viewer")
    out = muniment("org", "member", "research").out
    assert out == "MEMBER  KIND  ROLE\nada     user  admin\nben     user  viewer\n"
    assert muniment("org", "member", "research", "ben", "--remove", "--json").json["role"] is None
    assert [row["members"] for row in muniment("org", "ls", "--json").lines] == [1, 1]
    assert "no organization 'nope'" in muniment("org", "member", "nope", status=1).err


def test_a_team_says_who_may_set_a_ttl_and_how_long_versions_live(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    changed = muniment("team", "ttl", "local", "--setters", "admins", "--default", "90d", "--json").json
    assert changed == {"name": "local", "ttl_setters": "admins", "ttl_default": "90d"}
    assert muniment("artifact", "ttl", "mnist:v0", "--json").json["in_force"] == "90d"
    assert muniment("team", "ttl", "local", "--default", "never", "--json").json["ttl_setters"] == "admins"
    assert muniment("team", "show", "local", "--json").json["ttl_default"] == "never"
    assert "time to live" in muniment("team", "ttl", "local", "--default", "0d", status=1).err
    assert [row["name"] for row in muniment("team", "ls", "local", "--json").lines] == ["local"]
    assert "TTL SETTERS" in muniment("team", "ls").out
