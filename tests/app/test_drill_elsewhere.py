"""The drill on PostgreSQL and a bucket that keeps all versions, read through a warm cache."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import frozen

from muniment.app import config
from muniment.app.bootstrap import open_store
from muniment.app.drill import Drill, Line
from muniment.app.store import Store
from tests.servers import seaweedfs
from tests.servers.postgres import PostgresServer
from tests.servers.seaweedfs import S3Server


@frozen
class Elsewhere:
    """Servers, a bucket and a schema of its own."""

    database: PostgresServer
    server: S3Server
    bucket: str
    url: str

    def opening(self, home: Path, actor: str, again: bool) -> Store:  # noqa: FBT001 (as the drill asks for it)
        places = {
            "MUNIMENT_LEDGER": self.url,
            "MUNIMENT_VAULT": self.url,
            "MUNIMENT_BLOBS": f"s3://{self.bucket}/drill",
        }
        found = config.load({"MUNIMENT_HOME": str(home), "MUNIMENT_ACTOR": actor, **places})
        return open_store(found, source="drill", erasing_again=again)

    def copy(self, folder: Path) -> None:
        """Copy the tables as they are on disk: files of the server's own may end while they are searched."""
        ((oid,),) = self.database.sql("SELECT oid FROM pg_database WHERE datname = 'postgres'")
        self.database.sql("CHECKPOINT")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in (self.database.folder / "data" / "base" / str(oid)).iterdir():
            with suppress(FileNotFoundError):
                shutil.copy(file, folder / file.name)

    def drilled(self, folder: Path) -> dict[str, Line]:
        folder.mkdir()
        drill = Drill(
            folder,
            self.opening,
            places=(f"s3://{self.bucket}",),
            restorable=False,
            settle=lambda: self.copy(folder / "tables"),
        )
        return {line.step: line for line in drill.run()}


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with pytest.MonkeyPatch.context() as patch:
        server, database = seaweedfs.entered(patch), PostgresServer.started()  # its files hold nothing of other tests
        try:
            yield Elsewhere(database, server, server.bucket(versioned=True), database.url())
        finally:
            database.remove()


def test_the_drill_is_green_on_postgresql_and_a_versioned_bucket(elsewhere: Elsewhere, tmp_path: Path) -> None:
    lines = elsewhere.drilled(tmp_path / "drill")
    assert [line for line in lines.values() if not line.ok] == []
    assert len(lines) == 8
