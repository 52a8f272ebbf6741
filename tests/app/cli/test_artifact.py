"""Artifacts on the command line: in and out, looked at, changed, deleted and brought back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run


@pytest.fixture
def mnist(muniment: Run, data: Path) -> None:
    """Log two versions: of the folder, and of one file of it."""
    muniment("artifact", "put", "-n", "mnist", str(data))
    muniment("artifact", "put", "-n", "mnist", str(data / "a.txt"))


def test_what_was_put_comes_out_again(muniment: Run, data: Path) -> None:
    put = muniment(
        "artifact", "put", "-n", "digits/mnist", "-t", "dataset", "-d", "first", "-a", "best", "-a", "small", str(data)
    )
    assert put.out == "logged local/digits/mnist:v0 (2 files, 12 B; best, small, latest)\n"
    got = muniment("artifact", "get", "digits/mnist:best", "--json").json
    assert (got["root"], got["entries"], got["size"]) == ("artifacts/mnist:v0", 2, 12)
    assert Path("artifacts/mnist:v0/a.txt").read_text() == "hello\n"
    assert Path("artifacts/mnist:v0/sub/b.txt").read_text() == "world\n"
    muniment("artifact", "get", "--root", "there", "--path-prefix", "sub/", "digits/mnist")
    assert [path.name for path in Path("there").rglob("*.txt")] == ["b.txt"]
    assert muniment("artifact", "show", "digits/mnist", "--json").json["description"] == "first"
    access = muniment("events", "--class", "access", "--json").lines
    assert [row["event"]["entries"] for row in access] == [2, 1]


def test_without_a_name_the_folder_gives_it_and_the_run_says_where_it_came_from(muniment: Run, data: Path) -> None:
    put = muniment("artifact", "put", str(data) + "/", "--json").json
    assert (put["source"], put["type"], put["created"]) == ("local/uncategorized/data:v0", "dataset", True)
    shown = muniment("run", "show", put["run"], "--json").json
    assert (shown["job_type"], shown["state"], shown["logged"]) == ("cli_put", "finished", [put["source"]])


def test_the_same_content_makes_no_new_version_and_takes_the_aliases(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", str(data))
    again = muniment("artifact", "put", "-a", "best", str(data))
    assert again.out.startswith("nothing new, the same content is there already: local/uncategorized/data:v0 ")
    assert "best, latest" in again.out


def test_a_put_can_go_into_a_run_of_ones_own(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "--id", "r1", "--resume", str(data), status=1)
    muniment("artifact", "put", "--id", "r1", str(data))
    muniment("artifact", "put", "--id", "r1", "--resume", "--skip_cache", "--policy", "immutable", str(data / "a.txt"))
    logged = muniment("run", "show", "r1", "--json").json["logged"]
    assert logged == ["local/uncategorized/data:v0", "local/uncategorized/a.txt:v0"]
    assert muniment("artifact", "put", "--resume", str(data), status=2).err.startswith("Usage:")


def test_a_uri_is_a_reference_whose_bytes_stay_where_they_are(muniment: Run, data: Path, own_home: Path) -> None:
    muniment("artifact", "put", "-n", "corpus", data.as_uri())
    files = muniment("artifact", "show", "corpus", "--files", "--json").lines
    assert [(row["path"], row["ref"]) for row in files] == [
        ("a.txt", f"{data.as_uri()}/a.txt"),
        ("sub/b.txt", f"{data.as_uri()}/sub/b.txt"),
    ]
    muniment("artifact", "get", "corpus")
    assert Path("artifacts/corpus:v0/sub/b.txt").read_text() == "world\n"
    (data / "a.txt").unlink()
    assert "a.txt" in muniment("artifact", "get", "corpus", "--root", "new", status=1).err
    partly = muniment("artifact", "get", "corpus", "--root", "new", "--allow-missing-references", "--json").json
    assert partly["missing"] == ["a.txt"]
    assert own_home.exists()


def test_a_failed_put_leaves_no_version_and_a_failed_run(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", "-t", "dataset", str(data))
    failed = muniment("artifact", "put", "-n", "mnist", "-t", "model", str(data), status=1)
    assert "already exists with type 'dataset'" in failed.err
    assert [row["state"] for row in muniment("run", "ls", "--json").lines] == ["failed", "finished"]
    assert len(muniment("artifact", "ls", "--versions", "mnist", "--json").lines) == 1


@pytest.mark.parametrize("name", ["a:b", "wandb-registry-model/x", "a/b/c/d", "with space"])
def test_a_name_that_cannot_be_logged_as_is_refused_before_anything_happens(
    name: str, muniment: Run, data: Path
) -> None:
    muniment("artifact", "put", "-n", name, str(data), status=1)
    assert muniment("run", "ls", "--json").lines == []


def test_what_is_not_there_is_said(muniment: Run, data: Path) -> None:
    assert "'nowhere'" in muniment("artifact", "put", "nowhere", status=1).err
    assert "no artifact 'nope'" in muniment("artifact", "get", "nope", status=1).err
    muniment("artifact", "put", "-n", "mnist", str(data))
    assert "no version 'v7'" in muniment("artifact", "show", "mnist:v7", status=1).err
    assert "is a dataset, not a model" in muniment("artifact", "get", "--type", "model", "mnist", status=1).err


@pytest.mark.usefixtures("mnist")
def test_ls_shows_the_latest_version_of_each_and_pages(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "net", "-t", "model", str(data))
    out = muniment("artifact", "ls").out.splitlines()
    assert out[0].split() == ["TYPE", "UPDATED", "AT", "SIZE", "NAME", "ALIASES"]
    assert [line.split()[-2:] for line in out[1:]] == [["mnist:v1", "latest"], ["net:v0", "latest"]]
    assert [row["name"] for row in muniment("artifact", "ls", "-t", "model", "--json").lines] == ["net:v0"]
    first = muniment("artifact", "ls", "--limit", "1", "--json").lines
    assert [row.get("name") for row in first] == ["mnist:v1", None]
    rest = muniment("artifact", "ls", "--after", first[-1]["next"], "--json").lines
    assert [row["name"] for row in rest] == ["net:v0"]
    assert "--after mnist" in muniment("artifact", "ls", "--limit", "1").err
    assert muniment("artifact", "ls", "local/nowhere", status=1).err.startswith("error: team local has no project")


@pytest.mark.usefixtures("mnist")
def test_versions_and_moments(muniment: Run) -> None:
    versions = muniment("artifact", "ls", "--versions", "mnist", "--json").lines
    assert [row["name"] for row in versions] == ["mnist:v1", "mnist:v0"]
    refused = muniment("artifact", "ls", "--versions", "wandb-registry-dataset/mnist", status=1)
    assert "is a collection — see: muniment registry show dataset" in refused.err
    created = [row["seq"] for row in muniment("events", "--type", "version.created", "--json").lines]
    assert muniment("artifact", "show", "mnist", "--as-of", str(created[0]), "--json").json["name"] == "mnist:v0"
    assert [row["size"] for row in muniment("artifact", "ls", "--as-of", str(created[0]), "--json").lines] == [12]


@pytest.mark.usefixtures("mnist")
def test_diff_names_what_was_added_changed_and_removed(muniment: Run, data: Path) -> None:
    (data / "a.txt").write_text("hello, hello\n")
    (data / "c.txt").write_text("")
    (data / "sub" / "b.txt").unlink()
    muniment("artifact", "put", "-n", "mnist", str(data))
    out = muniment("artifact", "diff", "mnist:v0", "mnist:v2").out
    assert out == "~ a.txt  (6 B → 13 B)\n+ c.txt  (0 B)\n- sub/b.txt  (6 B)\n"
    rows = muniment("artifact", "diff", "mnist:v0", "mnist:v2", "--json").lines
    assert [(row["path"], row["kind"]) for row in rows] == [
        ("a.txt", "changed"),
        ("c.txt", "added"),
        ("sub/b.txt", "removed"),
    ]
    assert muniment("artifact", "diff", "mnist:v0", "mnist:v0").out == ""


@pytest.mark.usefixtures("mnist")
def test_a_flipped_byte_is_refused_by_get_verify_and_fsck_which_name_the_file(muniment: Run, own_home: Path) -> None:
    assert muniment("artifact", "verify", "mnist:v0", "--json").json["entries"] == 2
    assert muniment("fsck", "--json").out == ""
    flipped = [path for path in (own_home / "blobs").rglob("*") if path.is_file() and path.read_bytes() == b"world\n"]
    for path in flipped:
        path.chmod(0o600)
        path.write_bytes(b"worle\n")
    assert flipped
    for args in (["artifact", "get", "mnist:v0"], ["artifact", "verify", "mnist:v0"]):
        assert "b.txt" in muniment(*args, status=1).err
    assert not Path("artifacts/mnist:v0/sub/b.txt").exists()
    faults = muniment("fsck", "--json", status=1).lines
    assert [fault["kind"] for fault in faults] == ["blob"]
    assert "mnist:v0" in faults[0]["fault"]
    assert "sub/b.txt" in faults[0]["fault"]


@pytest.mark.usefixtures("mnist")
def test_verify_compares_a_folder_with_a_version(muniment: Run, data: Path) -> None:
    assert muniment("artifact", "verify", "mnist:v0", "--root", str(data)).out.endswith(
        " is local/uncategorized/mnist:v0\n"
    )
    (data / "sub" / "b.txt").write_text("worle\n")
    assert "sub/b.txt" in muniment("artifact", "verify", "mnist:v0", "--root", str(data), status=1).err
    (data / "extra").write_text("")
    assert "not a member of artifact" in muniment("artifact", "verify", "mnist:v0", "--root", str(data), status=1).err


@pytest.mark.usefixtures("mnist")
def test_aliases_move_only_from_where_they_are_expected(muniment: Run) -> None:
    assert muniment("artifact", "alias", "mnist:v0", "best").out == "mnist:v0: best\n"
    refused = muniment("artifact", "alias", "mnist:v1", "best", "--expect", "none", status=1)
    assert "alias best moved meanwhile" in refused.err
    assert muniment("artifact", "alias", "mnist:v1", "best", "--expect", "v0", "--json").json == {
        "name": "mnist:v1",
        "aliases": ["best", "latest"],
    }
    assert muniment("artifact", "alias", "mnist:v0").out == "mnist:v0: no aliases\n"
    assert muniment("artifact", "alias", "mnist:v1", "best", "--remove").out == "mnist:v1: latest\n"
    assert "version number" in muniment("artifact", "alias", "mnist:v0", "v9", status=1).err
    for args in (["--remove"], ["--expect", "v0"], ["best", "--remove", "--expect", "v0"]):
        muniment("artifact", "alias", "mnist:v0", *args, status=2)


@pytest.mark.usefixtures("mnist")
def test_a_ttl_is_the_versions_own_or_inherited(muniment: Run) -> None:
    assert muniment("artifact", "ttl", "mnist:v0").out == "local/uncategorized/mnist:v0: inherit, expires never\n"
    muniment("artifact", "ttl", "mnist", "2w", "--artifact")
    inherited = muniment("artifact", "ttl", "mnist:v0", "--json").json
    assert (inherited["ttl"], inherited["in_force"]) == ("inherit", "14d")
    assert muniment("artifact", "ttl", "mnist:v0", "0.5s", "--json").json["in_force"] == "0.5s"
    assert muniment("artifact", "ttl", "mnist:v0", "never", "--json").json["expires_at"] is None
    assert "is no duration" in muniment("artifact", "ttl", "mnist:v0", "soon", status=1).err
    assert "has to be positive — write for example 90d" in muniment("artifact", "ttl", "mnist:v0", "0s", status=1).err
    assert muniment("artifact", "ttl", "mnist", "--artifact").out == "mnist: 14d\n"
    muniment("artifact", "ttl", "mnist:v0", "--artifact", status=1)


@pytest.mark.usefixtures("mnist")
def test_what_is_deleted_can_be_restored_until_it_is_collected(muniment: Run) -> None:
    muniment("artifact", "delete", "mnist", status=2)
    deleted = muniment("artifact", "delete", "mnist:v0", "--reason", "wrong labels", "--json").json
    assert deleted["restorable_until"] > "2020"
    assert "deleted" in muniment("artifact", "get", "mnist:v0", status=1).err
    assert "version deleted" in muniment("history", "mnist:v0").out
    muniment("artifact", "restore", "mnist:v0")
    muniment("artifact", "get", "mnist:v0")
    muniment("artifact", "alias", "mnist:v0", "best")
    assert "best" in muniment("artifact", "delete", "mnist:best", status=1).err
    muniment("artifact", "delete", "mnist:best", "--delete-aliases")
    muniment("artifact", "restore", "mnist", status=1)
    muniment("artifact", "delete", "mnist", "--artifact")
    assert muniment("artifact", "ls", "--json").lines == []


def test_a_link_is_no_place_to_delete_or_time_out_a_version(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    muniment("registry", "link", "mnist:v0", "wandb-registry-dataset/mnist")
    for act in (["delete"], ["ttl"]):
        refused = muniment("artifact", *act, "wandb-registry-dataset/mnist:v0", status=1)
        assert "this is a link to local/uncategorized/mnist:v0" in refused.err
    assert "linked" in muniment("artifact", "delete", "mnist:v0", "--delete-aliases", status=1).err
    muniment("artifact", "alias", "wandb-registry-dataset/mnist:v0", "production")
    assert muniment("artifact", "alias", "mnist:v0").out == "mnist:v0: latest\n"


def test_what_people_typed_cannot_steer_the_terminal(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", "-d", "red \x1b[31m alert", str(data))
    shown = muniment("artifact", "show", "mnist").out
    assert "\x1b" not in shown
    assert r"red \x1b[31m alert" in shown
    assert json.loads(muniment("artifact", "show", "mnist", "--json").out)["description"] == "red \x1b[31m alert"
