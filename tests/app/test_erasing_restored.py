"""What was erased does not come back with an old database of a server, an old key, an old program or an old export."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from muniment.app import approvals, catalog, config, directory, doctor, fence, fsck, projector
from muniment.app.bootstrap import open_store
from muniment.app.drill.world import file_of, log_files
from muniment.app.erasing import certificate, checking, data_subjects, erasures, requests
from muniment.app.erasing.executing import Eraser
from muniment.app.files import download
from muniment.app.store import Store
from muniment.app.subjects import address
from muniment.domain.approval import Act
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import GoneError, MunimentError, NotFoundError, SubjectErasedError
from muniment.domain.request import Right, Verdict
from muniment.domain.rows import DataSubjectRow, VersionRow
from muniment.domain.values import Role, VersionId
from tests.servers.postgres import PostgresServer

ANN: Final = "canary-ann-31b7"


@frozen
class World:
    """A store that knows Ann, wherever its ledger and vault are, and what opens it."""

    home: Path
    places: dict[str, str]

    def config(self, actor: str = "ada") -> config.Config:
        return config.load({"MUNIMENT_HOME": str(self.home), "MUNIMENT_ACTOR": actor, **self.places})

    def opened(self, actor: str = "ada", *, again: bool = False) -> Store:
        return open_store(self.config(actor), source="test", erasing_again=again)

    def filled(self) -> tuple[VersionId, str]:
        """Log what is about Ann; return the version, and a request that was approved."""
        store = self.opened()
        directory.set_organisation_role(store, "local", "ben", Role.ADMIN)
        project = directory.project(store.views, "local", "uncategorized")
        files = [file_of("ann.txt", ANN.encode()), file_of("bob.txt", b"about bob")]
        people = log_files(store, project, files, name="people").version_id
        scan = log_files(store, project, [file_of("x.txt", b"x-ray of ann")], name="scan", metadata={"who": ANN})
        subject = data_subjects.register(store, ANN).subject_id
        data_subjects.attach_entries(store, subject, people, ["ann.txt"])
        data_subjects.attach(store, subject, TargetKind.VERSION, scan.version_id)
        request_id = requests.receive(store, Right.ERASURE, subject).request_id
        requests.identify(store, request_id, "passport")
        requests.scope(store, request_id)
        second = self.opened("ben")
        approvals.approve(second, approvals.propose(store, Act.ERASE, request_id))
        close(second)
        requests.decide(store, request_id, Verdict.APPROVED)
        close(store)
        return scan.version_id, request_id

    def erase(self, request_id: str) -> None:
        store = self.opened()
        Eraser(store, request_id).execute()
        assert checking.verify(store, request_id).findings == ()
        certificate.issue(store, request_id)
        close(store)


def close(store: Store) -> None:
    store.ledger.close()
    store.vault.close()  # type: ignore[attr-defined]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home", {})


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer.started()
    try:
        yield server
    finally:
        server.remove()


def personal(store: Store) -> list[object]:
    """Return what can still be decrypted of Ann."""
    slots = [row.identity for row in store.views.select(DataSubjectRow, order="registered_at")]
    for state in ("committed", "let-go", "purged"):
        rows = store.views.select(VersionRow, state=state, order="created_at")
        slots += [row.metadata for row in rows if row.metadata is not None]
    return list(store.vault.get_many(slots).values())


@pytest.mark.parametrize("keys", [False, True], ids=["database", "database-and-keys"])
def test_a_database_of_a_server_from_before_is_refused_until_all_is_erased_again(
    server: PostgresServer,
    tmp_path: Path,
    keys: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    url = server.url()
    world = World(tmp_path / "home", {"MUNIMENT_LEDGER": url, "MUNIMENT_VAULT": url})
    _, request_id = world.filled()
    backup = tmp_path / "backup"
    backed_up(server, backup)
    shutil.copytree(world.home, backup / "home")
    world.erase(request_id)
    server.stop()
    shutil.rmtree(server.folder / "data")
    copy(backup / "data", server.folder / "data")
    if keys:
        for name in ("keys.sqlite3", "blobs"):
            put_back(backup / "home" / name, world.home / name)
    server.start()
    with pytest.raises(SubjectErasedError, match=rf"restored from before an erasure \(request {request_id}\)"):
        world.opened()
    (found,) = (each for each in doctor.examine(world.config(), world.opened) if each.state == "fail")
    assert "erase-again" in f"{found}"
    store = world.opened(again=True)
    assert (ANN in personal(store)) == keys, "without her key nobody can read who she is"
    (row,) = erasures.again(store)
    assert row.stage == "certified"
    assert certificate.read(store, row.request_id).told["residual"] == 0
    close(store)
    store = world.opened()
    assert personal(store) == []
    assert ANN.encode() not in {store.blobs.get(digest) for digest, _ in store.blobs.list()}
    assert list(fsck.check(store)) == []
    close(store)


def backed_up(server: PostgresServer, backup: Path) -> None:
    """Copy the files of a server that was stopped for it."""
    server.stop()
    backup.mkdir()
    copy(server.folder / "data", backup / "data")
    server.start()


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", source, target], check=True)


def put_back(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
        return
    for old in target.parent.glob(f"{target.name}*"):
        old.unlink()
    shutil.copy(source, target)


def test_old_keys_alone_open_nothing(world: World, tmp_path: Path) -> None:
    _, request_id = world.filled()
    shutil.copytree(world.home, tmp_path / "backup")
    world.erase(request_id)
    for name in ("keys.sqlite3", "master.key"):
        put_back(tmp_path / "backup" / name, world.home / name)
    store = world.opened()
    assert personal(store) == []
    assert store.vault.find(data_subjects.TERM, ANN) is None
    assert list(fsck.check(store)) == []
    close(store)


def test_values_that_came_back_are_certified_anew_and_the_request_can_be_closed(world: World, tmp_path: Path) -> None:
    _, request_id = world.filled()
    shutil.copytree(world.home, tmp_path / "backup")
    world.erase(request_id)
    for name in ("vault.sqlite3", "keys.sqlite3"):
        put_back(tmp_path / "backup" / name, world.home / name)
    store = world.opened(again=True)
    before = requests.request(store.views, request_id).certificate_id
    (row,) = erasures.again(store)
    assert (row.request_id, row.stage) == (request_id, "certified")
    assert row.certificate_id != before, "the first one came in a vault that is gone"
    assert certificate.read(store, request_id).told["certificate_id"] == row.certificate_id
    assert requests.close(store, request_id).stage == "closed"
    assert personal(store) == []
    version_id = catalog.find(store.views, address(store, "people:v0")).version.version_id
    assert isinstance(fence.gone(store, version_id, "ann.txt"), GoneError)
    assert fence.gone(store, version_id, "eve.txt") is None
    close(store)


def test_a_program_that_read_it_before_reads_it_no_more(world: World, tmp_path: Path) -> None:
    scan, request_id = world.filled()
    warm = world.opened()
    assert len(personal(warm)) == 2
    people = catalog.find(warm.views, address(warm, "people:v0"))
    seen = catalog.find(warm.views, address(warm, "scan:v0"))
    for number, found in enumerate((people, seen)):
        download.download(warm.through_cache(), found, tmp_path / f"before-{number}")
    assert (tmp_path / "before-0" / "ann.txt").read_text() == ANN
    world.erase(request_id)
    assert personal(warm) == []
    assert warm.vault.find(data_subjects.TERM, ANN) is None
    for reading in (warm, warm.through_cache()):
        with pytest.raises((GoneError, NotFoundError)):
            download.download(reading, catalog.find(reading.views, address(reading, "scan:v0")), tmp_path / "after")
        with pytest.raises(MunimentError):
            download.download(reading, people, tmp_path / "old-row")
        assert not list((tmp_path / "old-row").rglob("ann.txt"))
        again = catalog.find(reading.views, address(reading, "people:v0"))
        assert [each.path for each in download.manifest_of(reading, again).entries()] == ["bob.txt"]
    assert warm.views.find(VersionRow, version_id=scan) is not None
    close(warm)


REBUILD: Final[dict[str, Callable[[Store], object]]] = {
    "rows": lambda store: store.ledger.rebuild(),
    "projections": projector.rebuild,
}


@pytest.mark.parametrize("what", REBUILD)
def test_rows_made_again_from_the_first_event_on_do_not_name_it(world: World, what: str) -> None:
    _, request_id = world.filled()
    world.erase(request_id)
    store = world.opened()
    REBUILD[what](store)
    assert ANN not in "".join(map(str, store.ledger.dump()))
    assert "ann.txt" not in "".join(map(str, store.ledger.dump()))
    assert list(fsck.check(store)) == []
    close(store)


def test_what_was_exported_before_brings_nothing_back(world: World, tmp_path: Path) -> None:
    _, request_id = world.filled()
    store = world.opened()
    download.download(store, catalog.find(store.views, address(store, "people:v0")), tmp_path / "export")
    close(store)
    world.erase(request_id)
    store = world.opened()
    project = directory.project(store.views, "local", "uncategorized")
    brought = [file_of(path.name, path.read_bytes()) for path in sorted((tmp_path / "export").iterdir())]
    with pytest.raises(SubjectErasedError, match="erased, certificate"):
        log_files(store, project, brought, name="imported")
    log_files(store, project, [each for each in brought if each.entry.path != "ann.txt"], name="imported")
    close(store)
