"""The drill on PostgreSQL and a bucket that keeps all versions, read through a warm cache, and with each step left out.

By the time of the erasure the bucket has an older version, a delete marker and an unfinished upload of what goes.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import define, field, frozen

from muniment.adapters.blobs.packs import PackedBlobStore
from muniment.adapters.blobs.s3 import S3ObjectStore
from muniment.app import config
from muniment.app.bootstrap import open_store
from muniment.app.drill.drill import Drill, Line
from muniment.app.drill.world import PLAIN, SEALED
from muniment.app.erasing.executing import Step
from muniment.app.scan import Scan
from muniment.app.store import Store
from tests.app.test_drill import ABSENT, UNSEALED, VERIFIED, Missed
from tests.servers import seaweedfs
from tests.servers.postgres import PostgresServer
from tests.servers.seaweedfs import S3Server

NOTED: Final = "note beside the store what must not come back"

MISSED: Final = {
    Step.NOTE: Missed({NOTED}),
    Step.MANIFESTS: Missed({VERIFIED, ABSENT}, ("entry in s3://", "bytes in s3://")),
    Step.VERSIONS: Missed({VERIFIED, UNSEALED, ABSENT}, ("content in s3://", "path in s3://", "name in tables/")),
    Step.PARTS: Missed({VERIFIED, ABSENT}, ("part in s3://", "bytes in s3://")),
    Step.BLOBS: Missed({VERIFIED, ABSENT}, ("content in s3://", "member in s3://", "its parts cannot be read")),
    Step.WORDS: Missed({VERIFIED, ABSENT}, ("name in tables/", "run in tables/")),
    Step.VAULT: Missed({VERIFIED, UNSEALED}),
    Step.SCRUB: Missed({ABSENT}, ("name in tables/", "content in staging/ended/0")),
}
COVERED: Final = {
    # what comes from elsewhere is dropped from the cache by the step that deletes it there, so that one has to go too
    Step.CACHES: (Step.BLOBS, "content in cache/blobs/"),
}
"""Steps that can be left out here without harm, because another one does their work; and what is found without both."""


@define
class Believing:
    """A client of S3 that is told that a bucket keeps no versions and has no unfinished uploads."""

    inner: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def get_bucket_versioning(self, **_: object) -> dict[str, Any]:
        return {}

    def list_multipart_uploads(self, **_: object) -> dict[str, Any]:
        return {}


@frozen
class Servers:
    """A database and S3, for all drills of this module."""

    database: PostgresServer
    s3: S3Server


@define
class Elsewhere:
    """A bucket and a schema of its own; *belief* is what stands between the store and S3."""

    servers: Servers
    bucket: str
    url: str
    belief: Callable[[Any], Any] | None = None
    opened: list[Store] = field(factory=list)

    def opening(self, home: Path, actor: str, again: bool) -> Store:  # noqa: FBT001 (as the drill asks for it)
        places = {
            "MUNIMENT_LEDGER": self.url,
            "MUNIMENT_VAULT": self.url,
            "MUNIMENT_BLOBS": f"s3://{self.bucket}/drill",
        }
        found = config.load({"MUNIMENT_HOME": str(home), "MUNIMENT_ACTOR": actor, **places})
        store = open_store(found, source="drill", erasing_again=again)
        if self.belief is not None:
            assert isinstance(store.blobs, PackedBlobStore)
            assert isinstance(store.blobs.objects, S3ObjectStore)
            client, belief = store.blobs.objects.bucket.client, self.belief
            connect = client.connect
            client.connect = lambda: belief(connect())
        return store

    def copy(self, folder: Path) -> None:
        """Copy the tables as they are on disk: files of the server's own may end while they are searched."""
        ((oid,),) = self.servers.database.sql("SELECT oid FROM pg_database WHERE datname = 'postgres'")
        self.servers.database.sql("CHECKPOINT")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        base = self.servers.database.folder / "data" / "base"
        for file in (base / str(oid)).iterdir():
            with suppress(FileNotFoundError):
                if not self._is_made_with_the_server(base / "1" / file.name, file):
                    shutil.copy(file, folder / file.name)

    def _is_made_with_the_server(self, template: Path, file: Path) -> bool:
        return file.name != "PG_VERSION" and template.exists() and filecmp.cmp(template, file, shallow=False)

    def copies(self, words: list[str]) -> None:
        """Make an older version, a delete marker and an unfinished upload of what holds one of the words."""
        client = self.servers.s3.client
        for each in client.list_objects_v2(Bucket=self.bucket)["Contents"]:
            there = {"Bucket": self.bucket, "Key": each["Key"]}
            content = client.get_object(**there)["Body"].read()
            search = Scan(words)
            search.look(content, each["Key"])
            if search.found.clean:
                continue
            client.delete_object(**there)
            client.put_object(**there, Body=content)
            upload = client.create_multipart_upload(**there)["UploadId"]
            client.upload_part(**there, UploadId=upload, PartNumber=1, Body=content)

    def drilled(self, folder: Path, *without: Step) -> dict[str, Line]:
        folder.mkdir()
        drill = Drill(
            folder,
            self.opening,
            places=(f"s3://{self.bucket}",),
            restorable=False,
            without=frozenset(without),
            settle=lambda: self.copy(folder / "tables"),
        )
        drill.meanwhile = lambda: self.copies([drill.planted["content"], drill.planted["bytes"]])
        return {line.step: line for line in drill.run()}


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with pytest.MonkeyPatch.context() as patch:
        s3, database = seaweedfs.entered(patch), PostgresServer.started()  # its files hold nothing of other tests
        try:
            yield Servers(database, s3)
        finally:
            database.remove()


@pytest.fixture
def elsewhere(servers: Servers) -> Iterator[Elsewhere]:
    schema = "drill"
    yield Elsewhere(servers, servers.s3.bucket(versioned=True), servers.database.url(schema))
    servers.database.sql(f"DROP SCHEMA {schema} CASCADE")


def red(lines: dict[str, Line]) -> set[str]:
    return {line.step for line in lines.values() if not line.ok}


def test_the_drill_is_green_on_postgresql_and_a_versioned_bucket(elsewhere: Elsewhere, tmp_path: Path) -> None:
    lines = elsewhere.drilled(tmp_path / "drill")
    assert [line for line in lines.values() if not line.ok] == []
    assert len(lines) == 10
    told = lines["find the words before the erasure"].told
    assert told == f"{len(PLAIN)} words found, {len(SEALED)} decrypted"
    assert lines[ABSENT].told.startswith("none found in ")
    assert "copies may stay in PostgreSQL's log (pg_wal)" in lines["check the certificate"].told


@pytest.mark.parametrize("left_out", MISSED)
def test_a_step_that_is_left_out_is_missed_there_too(elsewhere: Elsewhere, tmp_path: Path, left_out: Step) -> None:
    lines, missed = elsewhere.drilled(tmp_path / "drill", left_out), MISSED[left_out]
    assert red(lines) == missed.red
    assert [word for word in missed.seen if word not in lines[ABSENT].told] == []
    assert next(line for line in lines.values() if not line.ok).missed[0] is left_out


def test_every_step_is_missed_or_covered_by_another() -> None:
    assert {*MISSED, *COVERED} == set(Step)
    assert MISSED.keys().isdisjoint(COVERED)


@pytest.mark.parametrize("left_out", COVERED)
def test_a_step_that_another_one_covers_is_missed_without_both(
    elsewhere: Elsewhere, tmp_path: Path, left_out: Step
) -> None:
    cover, word = COVERED[left_out]
    lines = elsewhere.drilled(tmp_path / "drill", left_out, cover)
    assert word in lines[ABSENT].told
    assert lines[ABSENT].missed == (cover, left_out)


def test_older_versions_and_unfinished_uploads_are_found_where_the_bucket_is_believed_to_have_none(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    elsewhere.belief = Believing
    lines = elsewhere.drilled(tmp_path / "drill")
    assert red(lines) == {ABSENT}
    assert "content in s3://" in lines[ABSENT].told
    assert "its parts cannot be read" in lines[ABSENT].told
    assert lines[ABSENT].missed == (Step.BLOBS,)
