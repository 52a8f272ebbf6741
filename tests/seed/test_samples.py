"""Every code sample of the document runs; how each differs from the document is written down and true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import fsspec
import pytest

import muniment as wandb
from muniment.app import bootstrap, config
from muniment.app.storage import set_place
from tests.servers import gcs, seaweedfs

SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.py"))
DOCUMENT = Path(__file__).parents[3] / "shared" / "reference" / "seed_wandb_artifacts.txt"
AWS = """#!{python}
# stands in for: aws s3 cp --recursive <from> <to>
import sys
from pathlib import Path
import boto3
command, (source, target) = sys.argv[1:-2], sys.argv[-2:]
assert command == ["s3", "cp", "--recursive"]
bucket, _, prefix = source.removeprefix("s3://").partition("/")
client = boto3.client("s3")
for each in client.list_objects_v2(Bucket=bucket, Prefix=prefix + "/")["Contents"]:
    path = Path(target, each["Key"].removeprefix(prefix + "/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    client.download_file(bucket, each["Key"], str(path))
"""
BUCKET = "moe-wandb"
TEAM_BUCKET = "team-bucket"
FILES = {"datasets/a.txt": "first", "datasets/more/b.txt": "second"}


def put(scheme: str, folder: Path, name: str, content: str) -> None:
    """Put an object into the bucket that the document speaks of, or into the folder that stands for it."""
    if scheme == "s3":
        seaweedfs.running().client.put_object(Bucket=BUCKET, Key=name, Body=content.encode())
    elif scheme == "gs":
        fsspec.filesystem("gs").pipe_file(f"{BUCKET}/{name}", content.encode())
    else:
        path = folder / BUCKET / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start the servers, and make the bucket that the document speaks of on each, and one of a team's own."""
    server = seaweedfs.entered(monkeypatch)
    gcs.entered(monkeypatch)
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # google.auth would ask the network for credentials
    for name in (BUCKET, TEAM_BUCKET):
        server.client.create_bucket(Bucket=name)
    google = fsspec.filesystem("gs", skip_instance_cache=True)
    google.mkdir(BUCKET)
    yield
    google.rm(BUCKET, recursive=True)
    for name in (BUCKET, TEAM_BUCKET):
        for each in server.client.list_objects_v2(Bucket=name).get("Contents", []):
            server.client.delete_object(Bucket=name, Key=each["Key"])
        server.client.delete_bucket(Bucket=name)


@pytest.fixture
def here(tmp_path: Path, own_home: Path, buckets: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the files that the samples expect, beside a store with the artifacts that they name."""
    del own_home, buckets
    folder = _folder(tmp_path, monkeypatch)
    wandb.Api().create_team("dummy-team")
    _artifacts(folder)
    return folder


@pytest.fixture
def in_own_bucket(tmp_path: Path, own_home: Path, buckets: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the same, where the team brought a bucket of its own before it logged anything."""
    del own_home, buckets
    folder = _folder(tmp_path, monkeypatch)
    wandb.Api().create_team("dummy-team")
    set_place(bootstrap.open_store(config.load()), "dummy-team", f"s3://{TEAM_BUCKET}/artifacts")
    _artifacts(folder)
    return folder


def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    for scheme in ("file", "s3", "gs"):
        for name, content in FILES.items():
            put(scheme, folder, name, content)
    (folder / "my-file").write_text("a model")
    monkeypatch.chdir(folder)
    _aws(tmp_path / "bin", monkeypatch)
    return folder


def _aws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "aws").write_text(AWS.format(python=sys.executable))
    (folder / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def _artifacts(folder: Path) -> None:
    with wandb.init(entity="dummy-team", project="that_was_easy") as run:
        dataset = wandb.Artifact("my-dataset", type="dataset")
        dataset.add_dir(str(folder / BUCKET / "datasets"))
        run.log_artifact(dataset, aliases=["best"])
        for checksum in (True, False):
            references = wandb.Artifact("s3_file_references", type="reference-dataset")
            references.add_reference(f"s3://{BUCKET}/datasets", checksum=checksum)
            run.log_artifact(references)
        model = wandb.Artifact("digits", type="model")
        model.add_file("my-file")
        run.link_artifact(model, "local/wandb-registry-model/digits", aliases=["production"])


def run_sample(name: str, folder: Path) -> str:
    """Run a sample as its user would; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SAMPLES / f"{name}.py")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def logged_a_dataset(folder: Path, printed: str) -> None:
    del folder, printed
    artifact = wandb.Api().artifact("artifacts-quickstart/my-dataset:latest")
    assert artifact.version == "v0"
    assert [entry.path for entry in artifact.manifest.entries.values()] == ["my-dataset.txt"]
    producer = artifact.logged_by()
    assert producer is not None
    assert producer.job_type == "dataset-creation"


def tracked_the_bucket(scheme: str, sample: str, folder: Path, printed: str) -> None:
    del printed
    artifact = wandb.Api().artifact("mnist:latest")
    assert sorted(artifact.manifest.entries) == ["a.txt", "more/b.txt"]
    assert len(artifact.used_by()) == 1
    run_sample(sample, folder)
    assert wandb.Api().artifact("mnist:latest").version == "v0", "unchanged files make no new version"
    put(scheme, folder, "datasets/a.txt", "changed")
    put(scheme, folder, "datasets2/c.txt", "of another folder")
    run_sample(sample, folder)
    changed = wandb.Api().artifact("mnist:latest")
    assert changed.version == "v1", "a changed file makes one"
    assert (Path(changed.download()) / "a.txt").read_text() == "changed"
    assert sorted(changed.manifest.entries) == ["a.txt", "more/b.txt"]


def tracked_with_and_without_checksums(scheme: str, folder: Path, printed: str) -> None:
    del folder, printed
    assert sorted(wandb.Api().artifact("mnist:latest").manifest.entries) == ["a.txt", "more/b.txt"]
    location = wandb.Api().artifact("mnist-location:latest").manifest.to_manifest_json()["contents"]
    assert [entry["ref"] for entry in location.values()] == [f"{scheme}://{BUCKET}/datasets"]


def downloaded_the_dataset(folder: Path, printed: str) -> None:
    del printed
    assert (folder / "artifacts" / "my-dataset:v0" / "more" / "b.txt").read_text() == "second"


def used_the_dataset(folder: Path, printed: str) -> None:
    downloaded_the_dataset(folder, printed)
    assert len(wandb.Api().artifact("dummy-team/that_was_easy/my-dataset:best").used_by()) == 1


def downloaded_the_references(folder: Path, printed: str) -> None:
    del printed
    assert (folder / "artifacts" / "s3_file_references:v0" / "more" / "b.txt").read_text() == "second"


def printed_addresses(folder: Path, printed: str) -> None:
    del folder
    assert len(printed.splitlines()) == 2


def copied_the_parent_directory(folder: Path, printed: str) -> None:
    del printed
    assert (folder / "datasets" / "more" / "b.txt").read_text() == "second"


def set_a_ttl(folder: Path, printed: str) -> None:
    del folder, printed
    assert wandb.Api().artifact("dummy-team/project/artifact-name:latest").ttl == timedelta(days=30)


def made_the_collection(folder: Path, printed: str) -> None:
    del folder, printed
    linked = wandb.Api().artifact("local/wandb-registry-model/first-collection:latest")
    assert (linked.version, linked.source_name) == ("v0", "my-model:v0")


def linked_to_the_registry(folder: Path, printed: str) -> None:
    del folder, printed
    linked = wandb.Api().artifact("local/wandb-registry-model/second-collection:v0")
    assert linked.is_link
    assert list(linked.manifest.entries) == ["my-file"]


def used_from_the_registry(folder: Path, printed: str) -> None:
    del printed
    assert (folder / "artifacts" / "digits:v0" / "my-file").read_text() == "a model"
    assert len(wandb.Api().artifact("wandb-registry-model/digits:production").used_by()) == 1


def resolved_index_alias_and_latest(folder: Path, printed: str) -> None:
    del folder
    assert len(printed.splitlines()) == 3
    assert len(set(printed.splitlines())) == 1


EXPECTED: dict[str, Callable[[Path, str], None]] = {
    "01_log_dataset": logged_a_dataset,
    "02_reference_checksum": partial(tracked_the_bucket, "s3", "02_reference_checksum"),
    "03_reference_max_objects": partial(tracked_with_and_without_checksums, "s3"),
    "04_consume_by_run": used_the_dataset,
    "05_consume_by_api": downloaded_the_dataset,
    "06_download_references": downloaded_the_references,
    "07_loop_files": printed_addresses,
    "08_parent_directory": copied_the_parent_directory,
    "09_ttl": set_a_ttl,
    "10_create_collection": made_the_collection,
    "11_link_to_registry": linked_to_the_registry,
    "12_use_from_registry": used_from_the_registry,
    "13_reference_by_index_and_alias": resolved_index_alias_and_latest,
    "14_reference_checksum_gs": partial(tracked_the_bucket, "gs", "14_reference_checksum_gs"),
    "15_reference_checksum_file": partial(tracked_the_bucket, "file", "15_reference_checksum_file"),
    "16_reference_max_objects_gs": partial(tracked_with_and_without_checksums, "gs"),
}
OF_THE_TEAM = ["05_consume_by_api", "06_download_references", "09_ttl", "11_link_to_registry"]
"""Those that put or get artifacts of the team."""


def test_every_sample_has_an_expectation() -> None:
    assert sorted(EXPECTED) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_runs_and_does_what_the_document_says(name: str, here: Path) -> None:
    EXPECTED[name](here, run_sample(name, here))


@pytest.mark.parametrize("name", OF_THE_TEAM)
def test_the_sample_runs_where_the_team_brought_its_own_bucket(name: str, in_own_bucket: Path, own_home: Path) -> None:
    EXPECTED[name](in_own_bucket, run_sample(name, in_own_bucket))
    assert seaweedfs.running().client.list_objects_v2(Bucket=TEAM_BUCKET)["KeyCount"] > 0
    held = [path.name for path in (own_home / "blobs").rglob("*") if path.is_file()]
    assert [name for name in held if not name.startswith(".index")] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_difference_leads_from_the_document_to_the_sample(name: str) -> None:
    lines = (SAMPLES / f"{name}.diff").read_text().splitlines()[3:]
    assert [line[1:] for line in lines if line[0] in " +"] == (SAMPLES / f"{name}.py").read_text().splitlines()
    if not DOCUMENT.exists():
        pytest.skip("needs the document in ../shared/reference, which a public clone does not have")
    original = "".join(line[1:] for line in lines if line[0] in " -")
    assert re.sub(r"\s", "", original) in re.sub(r"\s", "", DOCUMENT.read_text())
