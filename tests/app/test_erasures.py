"""What was erased does not come back with a backup: such a store is opened only to erase it again."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from muniment.app import approvals, catalog, directory
from muniment.app.drill.drill import DATABASES, copy_store
from muniment.app.drill.world import file_of, log_files
from muniment.app.erasing import certificate, checking, data_subjects, erasures
from muniment.app.erasing import requests as asking
from muniment.app.erasing.executing import Eraser, Step
from muniment.app.files import download
from muniment.app.noted import NOTES, noted
from muniment.app.store import Store
from muniment.app.subjects import address
from muniment.domain.approval import Act
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import CorruptError, NotFoundError, SubjectErasedError
from muniment.domain.request import Right, Verdict
from muniment.domain.values import Role
from tests.app.test_drill import opening

ADA = "ada"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home of a store in which an entry and an artifact are about Ann."""
    store = opening(tmp_path / "home", ADA, again=False)
    directory.set_organisation_role(store, "local", "ben", Role.ADMIN)
    project = directory.project(store.views, "local", "uncategorized")
    people = log_files(
        store, project, [file_of("ann.txt", b"about ann"), file_of("bob.txt", b"about bob")], name="people"
    )
    scan = log_files(store, project, [file_of("x.txt", b"x-ray of ann")], name="scan")
    ann = data_subjects.register(store, "ann").subject_id
    data_subjects.attach_entries(store, ann, people.version_id, ["ann.txt"])
    data_subjects.attach(store, ann, TargetKind.ARTIFACT, scan.artifact_id)
    store.ledger.close()
    return tmp_path / "home"


def approved(home: Path) -> tuple[Store, str]:
    store = opening(home, ADA, again=False)
    request_id = asking.receive(store, Right.ERASURE, data_subjects.named(store, "ann").subject_id).request_id
    asking.identify(store, request_id, "passport")
    asking.scope(store, request_id)
    approvals.approve(opening(home, "ben", again=False), approvals.propose(store, Act.ERASE, request_id))
    asking.decide(store, request_id, Verdict.APPROVED)
    return store, request_id


def erased(home: Path) -> str:
    store, request_id = approved(home)
    Eraser(store, request_id).execute()
    checking.verify(store, request_id)
    certificate.issue(store, request_id)
    store.ledger.close()
    return request_id


def restore(home: Path, backup: Path, *names: str) -> None:
    for name in names:
        for leftover in home.glob(f"{name}*"):
            leftover.unlink()
        shutil.copy(backup / name, home / name)


def again(home: Path) -> int:
    store = opening(home, ADA, again=True)
    done = list(erasures.again(store))
    assert erasures.undone(store) == []
    store.ledger.close()
    return len(done)


def stored(store: Store) -> set[bytes]:
    return {store.blobs.get(digest) for digest, _ in store.blobs.list()}


def test_a_store_from_before_is_opened_only_to_erase_again(home: Path, tmp_path: Path) -> None:
    copy_store(home, tmp_path / "backup")
    request_id = erased(home)
    copy_store(tmp_path / "backup", home)
    with pytest.raises(SubjectErasedError, match=request_id):
        opening(home, ADA, again=False)
    assert again(home) == 1
    store = opening(home, ADA, again=False)
    assert {b"about ann", b"x-ray of ann"}.isdisjoint(stored(store))
    assert store.vault.find(data_subjects.TERM, "ann") is None
    project = directory.project(store.views, "local", "uncategorized")
    with pytest.raises(SubjectErasedError):
        log_files(store, project, [file_of("other.txt", b"about ann")], name="again")
    assert again(home) == 0


def test_personal_values_that_came_back_alone_are_destroyed_again_and_the_fence_stands(
    home: Path, tmp_path: Path
) -> None:
    copy_store(home, tmp_path / "backup")
    erased(home)
    restore(home, tmp_path / "backup", "vault.sqlite3", "keys.sqlite3")
    with pytest.raises(SubjectErasedError):
        opening(home, ADA, again=False)
    assert again(home) == 1
    store = opening(home, ADA, again=False)
    assert store.vault.find(data_subjects.TERM, "ann") is None
    project = directory.project(store.views, "local", "uncategorized")
    with pytest.raises(SubjectErasedError):
        log_files(store, project, [file_of("other.txt", b"about ann")], name="again")


def test_blobs_that_came_back_alone_cannot_be_read_by_anybody(home: Path, tmp_path: Path) -> None:
    copy_store(home, tmp_path / "backup")
    erased(home)
    shutil.copytree(tmp_path / "backup" / "blobs", home / "blobs", dirs_exist_ok=True)
    store = opening(home, ADA, again=False)
    found = catalog.find(store.views, address(store, "people:v0"))
    assert [entry.path for entry in download.manifest_of(store, found).entries()] == ["bob.txt"]
    with pytest.raises(NotFoundError, match="no artifact 'scan'"):
        catalog.find(store.views, address(store, "scan:v0"))


def test_what_is_on_its_way_is_no_restored_store(home: Path) -> None:
    class CrashError(Exception):
        pass

    def crash(step: Step) -> None:
        if step is Step.NOTE:
            raise CrashError

    store, request_id = approved(home)
    with pytest.raises(CrashError):
        Eraser(store, request_id, after=crash).execute()
    store.ledger.close()
    store = opening(home, ADA, again=False)
    assert len(noted(home)) == 1
    assert Eraser(store, request_id).execute().stage == "executed"
    assert len(noted(home)) == 1


def test_a_note_that_was_cut_short_is_written_again_and_a_damaged_one_is_told(home: Path) -> None:
    (home / NOTES).write_text('{"subject_id": "')
    assert noted(home) == []
    request_id = erased(home)
    assert [line.request_id for line in noted(home)] == [request_id]
    (home / NOTES).write_text("{}\n")
    with pytest.raises(CorruptError, match="damaged"):
        opening(home, ADA, again=False)


def test_a_note_holds_neither_paths_nor_digests(home: Path) -> None:
    erased(home)
    text = (home / NOTES).read_text()
    assert "ann" not in text
    assert sha256(b"about ann").hexdigest() not in text
    assert set(DATABASES).isdisjoint(text.split())
