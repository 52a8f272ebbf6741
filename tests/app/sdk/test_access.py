"""Taking logged artifacts out: files, listings, comparisons, references."""

from __future__ import annotations

from pathlib import Path

import pytest

import muniment as wandb
from muniment.app.sdk import session
from muniment.domain.errors import CorruptError, InvalidValueError, MunimentError, NotFoundError
from tests.app.sdk.words import artifact, edges, events, find, logged


def several(*paths: str, name: str = "many") -> wandb.Artifact:
    made = wandb.Artifact(name, "dataset")
    for path in paths:
        with made.new_file(path) as file:
            file.write(path)
    with wandb.init() as run:
        run.log_artifact(made)
    return made


def files(root: str) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in Path(root).rglob("*") if path.is_file())


def test_a_download_goes_below_artifacts_unless_told_otherwise(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = several("a.txt", "sub/b.txt")
    assert made.download() == "./artifacts/many:v0"
    assert files("artifacts/many:v0") == ["a.txt", "sub/b.txt"]
    assert made.download(root=here / "x", path_prefix="sub/") == str(here / "x")
    assert files("x") == ["sub/b.txt"]
    monkeypatch.setenv("WANDB_ARTIFACT_DIR", str(here / "y"))
    assert made.download() == str(here / "y" / "many:v0")
    assert events().count("principal.version-downloaded.1") == 3


def test_what_is_wrong_is_replaced_and_what_is_more_stays() -> None:
    made = several("a.txt", "b.txt")
    root = Path(made.download("out"))
    (root / "a.txt").write_text("wrong")
    (root / "more.txt").write_text("more")
    with pytest.raises(ValueError, match=r"more\.txt which is not a member of artifact many:v0"):
        made.verify("out")
    made.download("out")
    assert files("out") == ["a.txt", "b.txt", "more.txt"]
    made.checkout("out")
    assert files("out") == ["a.txt", "b.txt"]
    made.verify("out")
    (root / "a.txt").write_text("wrong")
    with pytest.raises(ValueError, match=r"Digest mismatch for file: a\.txt"):
        made.verify("out")
    (root / "a.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.txt") as caught:
        made.verify("out")
    assert isinstance(caught.value, NotFoundError)


def test_an_artifact_of_one_file_is_a_file() -> None:
    assert Path(logged().file("out")).read_text() == "hello"
    with pytest.raises(ValueError, match="contains more than one file"):
        several("a.txt", "b.txt").file()


def test_an_entry_can_be_had_alone() -> None:
    made = several("sub/a.txt", "sub/a.txt2")
    path = made.get_entry("sub/a.txt").download("out")
    assert path == "out/sub/a.txt"
    assert files("out") == ["sub/a.txt"]
    assert made.get_path("sub/a.txt").name == "sub/a.txt"


def test_files_are_listed_with_names_sizes_and_addresses() -> None:
    made = several("a.txt", "b.json", "c.txt")
    listed = made.files()
    assert len(listed) == 3
    assert [(file.name, file.size, file.mimetype) for file in listed] == [
        ("a.txt", 5, "text/plain"),
        ("b.json", 6, "application/json"),
        ("c.txt", 5, "text/plain"),
    ]
    assert listed[1].url == f"muniment-artifact://{made.id}/b.json"
    assert [file.name for file in made.files(names=["c.txt", "x", "a.txt"])] == ["a.txt", "c.txt"]
    first = made.files(per_page=1)
    assert first[0].name == "a.txt"
    assert [file.name for file in made.files(start=first.cursor)] == ["b.json", "c.txt"]
    with listed[0].download("out") as file:
        assert file.read() == "a.txt"
    with pytest.raises(ValueError, match="File already exists"):
        listed[0].download("out")
    listed[0].download("out", exist_ok=True).close()


def test_a_flipped_byte_is_never_handed_out(own_home: Path) -> None:
    made = logged()
    digest = made.get_entry("a.txt").digest
    (blob,) = (
        path
        for path in (own_home / "blobs").rglob("*")
        if path.is_file() and digest in path.as_posix().replace("/", "")
    )
    blob.chmod(0o600)
    blob.write_bytes(b"jello")
    with pytest.raises(CorruptError, match=r"a\.txt"):
        made.download("out")
    assert files("out") == []


def test_lineage_is_asked_of_the_artifact() -> None:
    made = logged()
    with wandb.init(job_type="train") as run:
        run.use_artifact("ds:latest")
    assert [each.id for each in made.used_by()] == [run.id]
    assert made.logged_by().state == "finished"
    with wandb.init() as other:
        used = other.use_artifact(artifact("draft", name="drafted"))
    assert used.logged_by() is None


def test_lineage_is_that_of_the_version_however_it_is_reached() -> None:
    made = logged()
    linked = made.link("wandb-registry-dataset/ds")
    assert (made.used_by(), linked.used_by()) == ([], [])
    users = []
    for name in ("ds:v0", "wandb-registry-dataset/ds:v0", "ds:v0"):
        with wandb.init() as run:
            run.use_artifact(name)
            run.use_artifact(name)
        users.append(run.id)
    for each in (made, linked, wandb.Api().artifact("wandb-registry-dataset/ds:v0")):
        assert [user.id for user in each.used_by()] == users
        assert each.logged_by().id == made.logged_by().id
    wandb.Api().run(users[1]).delete()
    assert [user.id for user in linked.used_by()] == [users[0], users[2]]


def test_who_logged_equal_content_first_logged_it_until_that_run_is_deleted() -> None:
    first = logged()
    origin = first.logged_by()
    again = logged()
    assert (again.version, again.logged_by().id) == (first.version, origin.id)
    assert len(edges(first)) == len(wandb.Api().runs()) == 2
    origin.delete()
    assert find("ds:v0").logged_by() is None


@pytest.mark.parametrize("asked", ["used_by", "logged_by"])
def test_a_draft_has_no_lineage_yet(asked: str) -> None:
    with pytest.raises(wandb.ArtifactNotLoggedError, match=asked):
        getattr(wandb.Artifact("draft", "dataset"), asked)()


# --- references ------------------------------------------------------------------------------------------------------


def test_references_to_files_are_tracked_and_fetched_again(here: Path) -> None:
    (here / "data" / "sub").mkdir(parents=True)
    (here / "data" / "a.txt").write_text("a")
    (here / "data" / "sub" / "b.txt").write_text("b")
    made = wandb.Artifact("refs", "dataset")
    entries = made.add_reference((here / "data").as_uri(), name="below")
    assert [entry.path for entry in entries] == ["below/a.txt", "below/sub/b.txt"]
    assert entries[0].ref_target() == (here / "data" / "a.txt").as_uri()
    with wandb.init() as run:
        run.use_artifact(made)
    assert made.size == 2
    assert files(made.download("out")) == ["below/a.txt", "below/sub/b.txt"]
    assert made.files()[0].url == (here / "data" / "a.txt").as_uri()
    (here / "data" / "a.txt").write_text("changed")
    with pytest.raises(CorruptError, match=r"below/a\.txt"):
        made.download("again")
    (here / "data" / "a.txt").unlink()
    with pytest.raises(NotFoundError):
        made.download("again")
    made.download("again", allow_missing_references=True)
    assert files("again") == ["below/sub/b.txt"]


def test_without_checksum_only_the_location_is_recorded(here: Path) -> None:
    uri = here.as_uri()
    made = wandb.Artifact("refs", "dataset")
    made.add_reference(uri, checksum=False)
    (content,) = made.manifest.to_manifest_json()["contents"].values()
    assert content == {"digest": uri, "ref": uri}


def test_references_must_be_uris_that_are_known_or_named() -> None:
    made = wandb.Artifact("refs", "dataset")
    with pytest.raises(ValueError, match=r"References must be URIs\. To reference a local file, use file://"):
        made.add_reference("a/b")
    with pytest.raises(ValueError, match="give a name"):
        made.add_reference("odd://x/y")
    made.add_reference("odd://x/y", name="odd")
    assert made.get_entry("odd").digest == "odd://x/y"
    with pytest.raises(MunimentError):
        made.add_reference(Path("nowhere").absolute().as_uri())


def test_more_objects_than_allowed_are_an_error(here: Path) -> None:
    for name in ("a", "b", "c"):
        (here / name).write_text(name)
    made = wandb.Artifact("refs", "dataset")
    with pytest.raises(InvalidValueError):
        made.add_reference(here.as_uri(), max_objects=2)
    assert len(made.manifest) == 0


def test_an_entry_of_another_artifact_can_be_referred_to() -> None:
    source = logged("shared")
    made = wandb.Artifact("refs", "dataset")
    (entry,) = made.add_reference(source.get_entry("a.txt"), name="theirs.txt")
    assert entry.ref == f"muniment-artifact://{source.id}/a.txt"
    with wandb.init() as run:
        run.log_artifact(made)
    assert (Path(made.download("out")) / "theirs.txt").read_text() == "shared"
    assert find("refs:v0").manifest.entries["theirs.txt"].digest == source.get_entry("a.txt").digest


def test_an_entry_of_a_draft_can_be_referred_to_if_that_is_logged_first() -> None:
    source, made = artifact("shared"), wandb.Artifact("refs", "dataset")
    made.add_reference(source.get_entry("a.txt"))
    with wandb.init() as run:
        with pytest.raises(ValueError, match="refers to an entry of ds, which is not logged"):
            run.log_artifact(made)
        run.log_artifact(source)
        run.log_artifact(made)
    assert made.get_entry("a.txt").ref == f"muniment-artifact://{source.id}/a.txt"
    assert (Path(made.download("out")) / "a.txt").read_text() == "shared"
    assert session.store().ledger.head().size > 0


# --- drafts of versions ----------------------------------------------------------------------------------------------


def test_a_new_draft_begins_with_what_the_version_holds() -> None:
    first = several("a.txt", "b.txt", "sub/c.txt")
    draft = first.new_draft()
    assert draft.is_draft()
    assert (draft.name, draft.digest) == ("many", first.digest)
    draft.remove("a.txt")
    draft.remove("sub")
    with draft.new_file("d.txt") as file:
        file.write("d")
    with pytest.raises(ValueError, match="already exists"), draft.new_file("b.txt"):
        pass
    with wandb.init() as run:
        run.log_artifact(draft)
    assert (draft.name, sorted(draft.manifest.entries)) == ("many:v1", ["b.txt", "d.txt"])
    assert sorted(first.manifest.entries) == ["a.txt", "b.txt", "sub/c.txt"]
    assert files(draft.download("out")) == ["b.txt", "d.txt"]


def test_a_new_draft_that_changes_nothing_is_the_same_version() -> None:
    first = several("a.txt")
    draft = first.new_draft()
    draft.save()
    assert (draft.id, draft.name) == (first.id, "many:v0")
