"""Drafts: what may be said about them, what may be put into them, and what they hold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import muniment as wandb
from muniment.app.sdk import session
from muniment.domain.errors import InvalidNameError, InvalidValueError, MunimentError, NotFoundError

EMPTY = "64e7c61456b10382e2f3b571ac24b659"
TWO_FILES = "88826422d4caa571ae881921b657ae34"


def put(path: str, text: str = "hello\n") -> str:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return path


def draft(name: str = "ds", **arguments: Any) -> wandb.Artifact:
    return wandb.Artifact(name, "dataset", **arguments)


# --- what may be said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "ä", "a\n"])
def test_a_name_holds_letters_digits_dashes_underscores_and_dots(name: str) -> None:
    with pytest.raises(ValueError, match="may only contain alphanumeric characters, dashes, underscores, and dots"):
        draft(name)


def test_a_name_has_at_most_128_characters() -> None:
    assert draft("a" * 128).name == "a" * 128
    with pytest.raises(ValueError, match="longer than 128 characters"):
        draft("a" * 129)


@pytest.mark.parametrize(
    ("name", "type_"), [("a", "job"), ("a", "wandb-x"), ("run-a", "run_table"), ("source-a", "code")]
)
def test_internal_types_are_reserved(name: str, type_: str) -> None:
    with pytest.raises(ValueError, match="reserved for internal use"):
        wandb.Artifact(name, type_)


@pytest.mark.parametrize("metadata", [[1], 3, "no json", {1, 2}])
def test_metadata_is_a_dictionary(metadata: Any) -> None:
    with pytest.raises(TypeError, match=r"Cannot parse .* as artifact metadata"):
        draft(metadata=metadata)


def test_metadata_has_at_most_100_keys() -> None:
    draft(metadata={str(at): at for at in range(100)})
    draft(metadata={"nested": {str(at): at for at in range(101)}})
    with pytest.raises(ValueError, match="must not have more than 100 metadata keys"):
        draft(metadata={str(at): at for at in range(101)})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_metadata_has_no_numbers_that_json_does_not_know(number: float) -> None:
    artifact = draft()
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        artifact.metadata = {"figures": [1.0, number]}
    artifact.metadata["late"] = number
    with pytest.raises(InvalidValueError, match="metadata"), wandb.init() as run:
        run.log_artifact(artifact)


def test_metadata_that_leads_back_to_itself_is_refused() -> None:
    cycle: dict[str, Any] = {}
    cycle["again"] = [cycle]
    with pytest.raises(InvalidValueError, match="cycle"):
        draft(metadata=cycle)
    with pytest.raises(TypeError, match="Object of type object is not JSON serializable"):
        draft(metadata={"a": object()})


def test_a_digest_algorithm_is_ours_or_wandbs() -> None:
    assert draft().digest_algorithm == "SHA256"
    assert draft(digest_algorithm="MD5").digest_algorithm == "MD5"
    with pytest.raises(ValueError, match="digest_algorithm must be 'SHA256' or 'MD5', not 'XXH128'"):
        draft(digest_algorithm="XXH128")


def test_a_ttl_is_a_positive_duration_never_or_inherited() -> None:
    artifact = draft()
    with pytest.raises(wandb.ArtifactNotLoggedError):
        _ = artifact.ttl
    artifact.ttl = timedelta(days=30)
    assert artifact.ttl == timedelta(days=30)
    artifact.ttl = None
    assert artifact.ttl is None
    artifact.ttl = wandb.ArtifactTTL.INHERIT
    with pytest.raises(wandb.ArtifactNotLoggedError):
        _ = artifact.ttl
    for wrong in (timedelta(0), timedelta(seconds=-1)):
        with pytest.raises(ValueError, match="Artifact TTL Duration has to be positive"):
            artifact.ttl = wrong
    with pytest.raises(AttributeError, match="must be a timedelta"):
        artifact.ttl = 3  # type: ignore[assignment]


LOGGED_ONLY = [
    "entity", "project", "version", "qualified_name", "collection", "source_entity", "source_project", "source_name",
    "source_version", "source_collection", "source_qualified_name", "source_artifact", "is_link", "linked_artifacts",
    "linked_at", "aliases", "tags", "commit_hash", "file_count", "created_at", "updated_at", "history_step", "url",
]  # fmt: skip


@pytest.mark.parametrize("name", LOGGED_ONLY)
def test_what_only_a_logged_artifact_has_says_so(name: str) -> None:
    artifact = draft()
    with pytest.raises(wandb.ArtifactNotLoggedError) as caught:
        getattr(artifact, name)
    assert str(caught.value) == (
        f"'Artifact.{name}' used prior to logging artifact or while in offline mode. "
        "Call Artifact.wait() before accessing logged artifact properties."
    )
    assert isinstance(caught.value, AttributeError)
    assert isinstance(caught.value, MunimentError)


LOGGED_ONLY_CALLS = [
    "download", "checkout", "verify", "file", "files", "used_by", "logged_by", "unlink", "delete", "new_draft", "wait",
    "json_encode", "restore",
]  # fmt: skip


@pytest.mark.parametrize("name", LOGGED_ONLY_CALLS)
def test_what_only_a_logged_artifact_can_do_says_so(name: str) -> None:
    with pytest.raises(wandb.ArtifactNotLoggedError):
        getattr(draft(), name)()


def test_a_draft_knows_its_state() -> None:
    artifact = draft(description="pictures", metadata={"n": 1}, incremental=True, use_as="x")
    assert (artifact.id, artifact.name, artifact.type, artifact.state) == (None, "ds", "dataset", "PENDING")
    assert (artifact.description, artifact.metadata, artifact.incremental, artifact.use_as) == (
        "pictures",
        {"n": 1},
        True,
        "x",
    )
    assert artifact.is_draft()
    assert (artifact.size, artifact.distributed_id) == (0, None)
    artifact.distributed_id = "together"
    assert artifact.distributed_id == "together"


# --- what may be put in ----------------------------------------------------------------------------------------------


def test_a_file_keeps_its_name_unless_it_gets_another() -> None:
    artifact = draft()
    artifact.add_file(put("some/a.txt"))
    artifact.add_file(put("b.txt", "b"), name="sub/c.txt")
    assert list(artifact.manifest.entries) == ["a.txt", "sub/c.txt"]
    assert artifact.get_added_local_path_name("some/a.txt") == "a.txt"
    assert artifact.get_added_local_path_name("nowhere") is None
    assert (artifact.size, len(artifact.manifest)) == (7, 2)


def test_a_path_is_added_once_unless_it_is_replaced() -> None:
    artifact = draft()
    first = artifact.add_file(put("a.txt", "one"))
    assert artifact.add_file(put("copy.txt", "one"), name="a.txt") == first
    with pytest.raises(ValueError, match=r"Cannot add the same path twice: 'a\.txt'"):
        artifact.add_file(put("a.txt", "two"))
    assert artifact.add_file("a.txt", overwrite=True).digest != first.digest
    assert len(artifact.manifest) == 1


@pytest.mark.parametrize("name", ["/a", "../a", "a/../b", ".", "C:a", "a\nb", "a\0b", "a\x7f"])
def test_a_path_stays_inside_and_has_no_control_characters(name: str) -> None:
    with pytest.raises(InvalidNameError, match="Invalid artifact path"):
        draft().add_file(put("a.txt"), name=name)


@pytest.mark.parametrize("missing", ["nowhere.txt", "folder"])
def test_what_is_no_file_cannot_be_added_as_one(missing: str) -> None:
    Path("folder").mkdir()
    with pytest.raises(ValueError, match="Path is not a file") as caught:
        draft().add_file(missing)
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, MunimentError)
    with pytest.raises(ValueError, match="Path is not a directory"):
        draft().add_dir(put("a.txt"))
    with pytest.raises(ValueError, match="Policy must be one of"):
        draft().add_file("a.txt", policy="sometimes")


def test_a_mutable_file_is_kept_as_it_was() -> None:
    artifact = draft()
    artifact.add_file(put("a.txt", "as it was"))
    put("a.txt", "as it is")
    with wandb.init() as run:
        run.log_artifact(artifact)
    assert (Path(artifact.download()) / "a.txt").read_text() == "as it was"


def test_a_folder_is_added_with_all_that_lies_below() -> None:
    put("folder/a.txt")
    put("folder/sub/b.txt")
    Path("folder/link").symlink_to("sub")
    artifact = draft()
    artifact.add_dir("folder")
    artifact.add_dir("folder/sub", name="./other/")
    assert list(artifact.manifest.entries) == ["a.txt", "link/b.txt", "other/b.txt", "sub/b.txt"]
    put("folder/a.txt", "changed")
    with pytest.raises(ValueError, match="Cannot add the same path twice"):
        artifact.add_dir("folder")
    artifact.add_dir("folder", merge=True)


def test_a_path_cannot_be_a_file_and_a_folder() -> None:
    artifact = draft()
    artifact.add_file(put("a.txt"), name="a")
    artifact.add_file("a.txt", name="a/b")
    with pytest.raises(InvalidNameError, match="'a' is a file and the folder of 'a/b'"), wandb.init() as run:
        run.log_artifact(artifact)


def test_a_new_file_is_added_when_it_is_closed() -> None:
    artifact = draft()
    with artifact.new_file("notes.txt") as file:
        file.write("hello\n")
    with artifact.new_file("raw.bin", mode="wb") as file:
        file.write(b"\0\1")
    assert list(artifact.manifest.entries) == ["notes.txt", "raw.bin"]
    with pytest.raises(ValueError, match=r"File with name 'notes\.txt' already exists"), artifact.new_file("notes.txt"):
        pass
    with artifact.new_file("notes.txt", mode="w") as file:
        file.write("other")
    assert artifact.get_entry("notes.txt").size == 5
    with pytest.raises(wandb.UsageError, match="mode must be"), artifact.new_file("c", mode="r"):
        pass


def test_a_new_file_whose_writing_failed_is_not_added() -> None:
    artifact = draft()
    with pytest.raises(ZeroDivisionError), artifact.new_file("a.txt") as file:
        file.write(str(1 / 0))
    assert len(artifact.manifest) == 0


def test_entries_are_taken_out_alone_or_by_folder() -> None:
    artifact = draft()
    for path in ("a.txt", "sub/b.txt", "sub/c.txt", "submarine"):
        artifact.add_file(put("x"), name=path)
    artifact.remove("a.txt")
    artifact.remove("sub")
    assert list(artifact.manifest.entries) == ["submarine"]
    with pytest.raises(FileNotFoundError, match="No such file or directory: 'sub'") as caught:
        artifact.remove("sub")
    assert isinstance(caught.value, NotFoundError)
    artifact.remove(artifact.get_entry("submarine"))
    assert artifact.digest == draft().digest


def test_a_missing_entry_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="Path not contained in artifact: 'a'"):
        draft().get_entry("a")
    with pytest.raises(KeyError):
        _ = draft().manifest.entries["a"]


def test_a_finalized_draft_takes_no_more() -> None:
    artifact = draft()
    artifact.add_file(put("a.txt"))
    artifact.finalize()
    for change in (
        lambda: artifact.add_file("a.txt", name="b"),
        lambda: artifact.add_dir("."),
        lambda: artifact.add_reference("file:///tmp"),
        lambda: artifact.add(wandb.Table(columns=["a"]), "t"),
        lambda: artifact.remove("a.txt"),
        lambda: artifact.new_file("c").__enter__(),
    ):
        with pytest.raises(wandb.ArtifactFinalizedError, match=r"used on logged artifact\. Can't modify finalized"):
            change()


# --- what it holds ---------------------------------------------------------------------------------------------------


def test_md5_shows_what_wandb_shows() -> None:
    artifact = draft(digest_algorithm="MD5")
    assert artifact.digest == artifact.manifest.digest() == EMPTY
    artifact.add_file(put("b.txt", "world\n"), name="sub/b.txt")
    artifact.add_file(put("a.txt"))
    assert artifact.digest == artifact.manifest.digest() == TWO_FILES
    expected = {
        "version": 1,
        "storagePolicy": "wandb-storage-policy-v1",
        "storagePolicyConfig": {"storageLayout": "V2"},
        "contents": {
            "a.txt": {"digest": "sZRqySSS0jR8YjW00mERhA==", "size": 6},
            "sub/b.txt": {"digest": "WReFt5RgHiErJg4lklY2/Q==", "size": 6},
        },
    }
    assert artifact.manifest.to_manifest_json() == expected
    with wandb.init() as run:
        run.log_artifact(artifact)
    assert artifact.digest == TWO_FILES
    assert artifact.manifest.to_manifest_json() == expected
    assert artifact.manifest.entries["a.txt"].digest == "sZRqySSS0jR8YjW00mERhA=="


def test_a_setting_shows_what_wandb_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_DIGEST", "md5")
    artifact = draft()
    artifact.add_file(put("a.txt"))
    artifact.add_file(put("b.txt", "world\n"), name="sub/b.txt")
    with wandb.init() as run:
        run.log_artifact(artifact)
        assert run.use_artifact("ds:v0").digest == TWO_FILES
    monkeypatch.setenv("MUNIMENT_DIGEST", "sha256")
    with wandb.init() as run:
        again = run.use_artifact("ds:v0")
    assert again.digest == again.commit_hash
    assert len(again.digest) == 64


def test_by_default_digests_are_sha256_and_say_so() -> None:
    artifact = draft()
    artifact.add_file(put("a.txt"))
    sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert artifact.manifest.to_manifest_json()["contents"] == {
        "a.txt": {"digest": sha256, "size": 6, "extra": {"alg": "SHA256"}}
    }
    assert artifact.digest == artifact.manifest.digest()


def test_a_manifest_of_a_draft_can_be_asked_and_changed() -> None:
    artifact = draft()
    for path in ("a.txt", "sub/b.txt", "sub/c.txt"):
        artifact.add_file(put("x"), name=path)
    manifest = artifact.manifest
    assert [entry.path for entry in manifest.get_entries_in_directory("sub")] == ["sub/b.txt", "sub/c.txt"]
    found = manifest.get_entry_by_path("a.txt")
    assert found is not None
    manifest.remove_entry(found)
    assert manifest.get_entry_by_path("a.txt") is None
    assert manifest.size() == 12


def test_no_path_of_this_machine_gets_into_the_manifest(here: Path) -> None:
    artifact = draft()
    artifact.add_file(str(here / put("a.txt")))
    with wandb.init() as run:
        run.log_artifact(artifact)
    assert str(here) not in str(artifact.manifest.to_manifest_json())
    home = Path(session.config().home)
    assert not list((home / "staging").glob("*/*")), "what waited to be logged is gone"
