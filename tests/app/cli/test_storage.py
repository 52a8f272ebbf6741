"""``muniment storage``: where the blobs of teams are kept, and how they are carried to another place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.cli.conftest import Run


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "blobs-of-local")


@pytest.fixture
def logged(muniment: Run) -> Run:
    Path("a.txt").write_text("a")
    muniment("artifact", "put", "-n", "data", "a.txt")
    return muniment


def test_a_place_is_set_and_shown(logged: Run, folder: str) -> None:
    assert logged("storage", "set", "local", folder).out == f"new blobs of local go to {folder}\n"
    Path("a.txt").write_text("b")
    logged("artifact", "put", "-n", "data", "a.txt")
    current, earlier = logged("storage", "show", "--json").lines
    assert current == {
        "team": "local",
        "place": folder,
        "state": "current",
        "versions": 1,
        "blobs": current["blobs"],
        "bytes": current["bytes"],
    }
    assert (earlier["place"], earlier["state"], earlier["versions"]) == ("the store's own place", "earlier", 1)
    assert logged("team", "show", "local", "--json").json["storage"] == folder
    logged("storage", "set", "local", "--default")
    assert logged("storage", "show", "local", "--json").lines[0]["place"] == "the store's own place"
    for version in ("v0", "v1"):
        logged("artifact", "get", f"data:{version}", "--root", version)
    assert (Path("v0/a.txt").read_text(), Path("v1/a.txt").read_text()) == ("a", "b")
    assert logged("fsck").status == 0


def test_what_lies_in_a_place_of_the_team_is_shown_proved_and_exported(logged: Run, folder: str) -> None:
    logged("storage", "set", "local", folder)
    Path("a.txt").write_text("b")
    logged("artifact", "put", "-n", "data", "a.txt")
    assert logged("artifact", "show", "data:v1", "--files").out.endswith("  a.txt\n")
    assert logged("artifact", "diff", "data:v0", "data:v1").out.startswith("~ a.txt")
    for version in ("v0", "v1"):
        logged("prove-entry", f"data:{version}", "a.txt", "-o", "a.entry.json")
        told = logged("verify", "a.entry.json", "--key", logged("key", "show").out.strip()).out
        assert "the version holds 'a.txt'" in told
        assert '"a.txt"' in logged("export", "croissant", f"data:{version}").out


def test_a_team_is_carried_and_the_source_deleted(logged: Run, folder: str) -> None:
    planned = logged("storage", "migrate", "local", folder, "--dry-run", "--delete-source").out
    assert planned.endswith(f"of 1 version would be copied to {folder}\nnothing was done\n")
    assert not Path(folder).exists()
    done = logged("storage", "migrate", "local", folder, "--delete-source", "--json").json
    assert done["place"] == folder
    assert done["blobs_copied"] == done["blobs_verified"] == done["blobs_deleted"] > 0
    assert logged("stats", "--json").json["blobs"] == done["blobs_copied"]
    said = logged("storage", "migrate", "local", "--default").out
    assert "of 1 version from the store's own place, and nothing is wrong" in said
    logged("artifact", "get", "data", "--root", "out")
    assert Path("out/a.txt").read_text() == "a"


def test_all_that_lies_in_the_stores_own_place_is_carried(
    logged: Run, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = logged("storage", "migrate", "--all", folder).out
    assert said.endswith(f"set MUNIMENT_BLOBS={folder} now, everywhere\n")
    assert logged("storage", "migrate", "--all", folder, "--json").json["blobs_copied"] == 0
    monkeypatch.setenv("MUNIMENT_BLOBS", folder)
    assert logged("fsck").status == 0
    logged("artifact", "get", "data", "--root", "out")
    assert Path("out/a.txt").read_text() == "a"


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "local"),
        ("set", "local", "/a", "--default"),
        ("migrate",),
        ("migrate", "local"),
        ("migrate", "local", "/a", "--default"),
        ("migrate", "local", "/a", "/b"),
        ("migrate", "--all"),
        ("migrate", "--all", "local", "/a"),
        ("migrate", "--all", "/a", "--delete-source"),
    ],
)
def test_what_does_not_fit_together_is_wrong_usage(muniment: Run, arguments: tuple[str, ...]) -> None:
    muniment("storage", *arguments, status=2)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://ann:secret@bucket/a", "by the variables and files of the storage's own SDK"),
        ("nothing://a", "nothing://"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused(muniment: Run, url: str, said: str) -> None:
    error = muniment("storage", "set", "local", url, status=1).err
    assert error.startswith("error: ")
    assert said in error
    assert "secret" not in error
