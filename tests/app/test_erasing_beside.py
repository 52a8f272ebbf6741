"""Erasing one person beside others: what is theirs stays, what they bring meanwhile is neither lost nor let in."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from muniment.app import approvals, directory, fsck, holds
from muniment.app.collecting import collect
from muniment.app.erasing import certificate, checking, data_subjects, requests
from muniment.app.erasing.executing import Eraser
from muniment.app.leases import take
from muniment.app.telling import history
from muniment.app.upload import upload
from muniment.domain.approval import Act
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import ConflictError, HeldError, InvalidValueError, NotFoundError, SubjectErasedError
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.ports import Vault
from muniment.domain.request import Right, Verdict
from muniment.domain.rows import DisposalRow, RequestRow, ResidualRow, VersionRow
from muniment.domain.values import Role
from tests.app.scene import DAY, Scene
from tests.app.test_drill import opening
from tests.app.test_erasing import FILES, ann, approved, erase, paths, staged, stored, two
from tests.stores import Clock

__all__ = ["two"]


def led(scene: Scene, request_id: str) -> RequestRow:
    """Erase, verify and certify."""
    if Eraser(scene.store, request_id).execute().stage == "executed":
        assert checking.verify(scene.store, request_id).findings == ()
    return certificate.issue(scene.store, request_id)


# --- bytes of several people -----------------------------------------------------------------------------------------


def test_bytes_that_others_hold_stay_with_a_reason_until_nobody_needs_them(two: Scene) -> None:
    copied = two.log("copy", {"deep/copy.txt": "about ann", "more.txt": "more"}).version_id
    hold = holds.place(two.store, HoldKind.LITIGATION, ScopeKind.VERSION, copied, "a case")
    request_id = approved(two)
    row = led(two, request_id)
    assert (row.stage, row.erased, row.residual) == ("certified", 0, 1)
    (left,) = two.views.select(ResidualRow, order="found_at")
    assert (left.state, left.why, left.copies, left.ends_at, left.place) == ("left", "shared", 1, None, "")
    told = certificate.read(two.store, request_id).told
    assert [each["why"] for each in told["residuals"]] == ["versions that nobody attached need 1 contents"]
    assert "about ann" in two.contents("copy:v0")
    assert hold.state == "placed"
    assert led(two, request_id).certificate_id == row.certificate_id, "nothing changed, nothing is said anew"
    assert two.views.select(ResidualRow, order="found_at") == [left]
    assert list(fsck.check(two.store)) == []


def test_once_nobody_needs_shared_bytes_the_request_is_completed(two: Scene) -> None:
    two.log("copy", {"deep/copy.txt": "about ann", "more.txt": "more"})
    request_id = approved(two)
    first = led(two, request_id)
    two.delete("copy:v0", delete_aliases=True)
    two.pass_time(8 * DAY)
    report = collect.act(two.store)
    assert (report.purged, report.ended, report.failed) == (1, 1, ())
    row = led(two, request_id)
    assert (row.erased, row.residual) == (1, 0)
    assert row.certificate_id != first.certificate_id
    assert b"about ann" not in stored(two)
    assert two.views.select(ResidualRow, state="left", order="found_at") == []
    assert two.store.ledger.scratch.items("erasing") == []
    with pytest.raises(SubjectErasedError):
        upload(two.store, take(two.store), [staged("again.txt", "about ann")])


def test_a_file_about_two_people_goes_with_either_and_the_other_keeps_the_rest(two: Scene) -> None:
    version_id = two.find("people:v0").version.version_id
    bob = data_subjects.register(two.store, "bob").subject_id
    data_subjects.attach_entries(two.store, ann(two), version_id, ["both.txt"])
    data_subjects.attach_entries(two.store, bob, version_id, ["both.txt", "bob.txt"])
    request_id = erase(two)
    assert paths(two, "people:v0") == ["bob.txt"]
    assert two.store.vault.find(data_subjects.TERM, "bob") == bob
    attached = data_subjects.attached(two.views, bob).paths()
    assert attached == {version_id: ("bob.txt", "both.txt")}, "what is said of Bob is not redacted"
    assert checking.verify(two.store, request_id).findings == ()
    asked = approved(two, bob)
    assert (led(two, asked).found, paths(two, "people:v0")) == (2, [])
    assert list(fsck.check(two.store)) == []


def test_no_alias_and_no_link_leads_to_what_went(two: Scene) -> None:
    logged = two.log("scan", "x-ray of ann", "best")
    two.link("scan:v0", "dataset/scans", "production")
    data_subjects.attach(two.store, ann(two), TargetKind.VERSION, logged.version_id)
    led(two, approved(two))
    assert list(fsck.check(two.store)) == []
    with pytest.raises(NotFoundError):
        two.find("scan:best")
    with pytest.raises(NotFoundError):
        two.linked("dataset/scans:production")


def test_an_empty_file_of_somebody_who_was_erased_keeps_no_other_empty_file_out(two: Scene) -> None:
    version_id = two.log("notes", {"empty.txt": "", "more.txt": "more of ann"}).version_id
    data_subjects.attach(two.store, ann(two), TargetKind.VERSION, version_id)
    led(two, approved(two))
    upload(two.store, take(two.store), [staged("__init__.py", "")])
    with pytest.raises(SubjectErasedError):
        upload(two.store, take(two.store), [staged("more.py", "more of ann")])


def test_whole_versions_show_by_what_request_they_went(two: Scene) -> None:
    logged = two.log("scan", "x-ray of ann")
    data_subjects.attach(two.store, ann(two), TargetKind.VERSION, logged.version_id)
    request_id = erase(two)
    (row,) = two.views.select(DisposalRow, owner_id=logged.version_id, order="at")
    assert (row.request_id, row.trigger, row.method, row.verified_by) == (
        request_id,
        "erasure",
        "already-absent",
        "memory",
    )
    assert two.version(logged.version_id).state == "purged"
    disposed = two.views.select(DisposalRow, request_id=request_id, order="at")
    assert sum(each.blobs for each in disposed) == 6, "two contents, and the two blobs that listed each"


# --- what changes between the decision and the fence -----------------------------------------------------------------


def test_what_was_attached_after_the_decision_is_decided_on_anew(two: Scene) -> None:
    request_id = approved(two)
    version_id = two.find("people:v0").version.version_id
    data_subjects.attach_entries(two.store, ann(two), version_id, ["both.txt"])
    seq = two.seq
    with pytest.raises(ConflictError, match=f"2 things .* but 1 were decided on .* request scope {request_id}"):
        Eraser(two.store, request_id).execute()
    assert "ErasureFenced" not in two.happened(seq)
    assert "ann.txt" in paths(two, "people:v0")
    requests.scope(two.store, request_id)
    with pytest.raises(HeldError, match="cannot be erased"):
        Eraser(two.store, request_id).execute()
    assert "ann.txt" in paths(two, "people:v0")
    approvals.approve(two.by("ben").store, approvals.propose(two.store, Act.ERASE, request_id))
    requests.decide(two.store, request_id, Verdict.APPROVED)
    assert (led(two, request_id).erased, paths(two, "people:v0")) == (2, ["bob.txt"])


@define
class Interrupted:
    """A vault in whose middle something happens once: when the fence is being put up."""

    inner: Vault
    happens: Callable[[], object] | None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def remember_many(self, kind: str, values: Collection[str], owner: str) -> None:
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        self.inner.remember_many(kind, values, owner)


def test_a_version_that_takes_the_bytes_while_the_fence_goes_up_keeps_them(two: Scene) -> None:
    request_id = approved(two)
    vault = Interrupted(two.store.vault, lambda: two.log("copy", {"mine.txt": "about ann"}))
    eraser = Eraser(evolve(two.store, vault=vault), request_id)
    row = eraser.execute()
    assert (row.erased, row.residual) == (0, 1)
    assert two.contents("copy:v0") == ["about ann"]
    assert checking.verify(two.store, request_id).findings == ()
    (left,) = two.views.select(ResidualRow, order="found_at")
    assert left.why == "shared"
    assert list(fsck.check(two.store)) == []


# --- nobody and nothing ----------------------------------------------------------------------------------------------


def test_an_unknown_subject_and_an_erased_one_are_named(two: Scene) -> None:
    with pytest.raises(NotFoundError, match="no data subject nobody"):
        requests.receive(two.store, Right.ERASURE, "nobody")
    with pytest.raises(NotFoundError, match="no request nothing"):
        Eraser(two.store, "nothing").execute()
    subject_id = ann(two)
    led(two, approved(two, subject_id))
    seq, again = two.seq, approved(two, subject_id)
    with pytest.raises(SubjectErasedError, match=f"data subject is erased by request (?!{again})"):
        Eraser(two.store, again).execute()
    assert "ErasureFenced" not in two.happened(seq)


def test_the_operator_of_an_erasure_can_be_erased_and_what_they_did_stays_readable(two: Scene) -> None:
    first = led(two, approved(two))
    ada, carl = two.store.context.actor, two.by("carl")
    directory.set_organisation_role(two.store, "local", "carl", Role.ADMIN)
    subject = data_subjects.register(carl.store, "ada, who erased").subject_id
    with pytest.raises(InvalidValueError, match=f"user {ada} has roles still"):
        data_subjects.attach(carl.store, subject, TargetKind.USER, ada)
    directory.set_team_role(carl.store, "local", "carl", Role.ADMIN)
    directory.set_team_role(carl.store, "local", "ada", None)
    directory.set_organisation_role(carl.store, "local", "ada", None)
    assert data_subjects.attach(carl.store, subject, TargetKind.USER, ada)
    row = led(carl, approved(carl, subject))
    assert (row.stage, row.found, row.erased) == ("certified", 1, 1)
    assert directory.logins(carl.store, {ada}) == {}
    with pytest.raises(NotFoundError, match="no user 'ada'"):
        directory.known_principal(carl.store, "ada")
    told = certificate.read(carl.store, first.request_id)
    assert told.told["operator"] == ada
    assert certificate.check(carl.store, told) > 0
    acts = history.of(carl.store, two.artifact("people").artifact_id).items
    assert {each.actor for each in acts} == {"[erased]"}
    assert {each.actor for each in carl.store.ledger.read()} > {ada}, "the ids stay in the leaves"
    assert list(carl.store.ledger.verify()) == []
    assert list(fsck.check(carl.store)) == []


# --- another process -------------------------------------------------------------------------------------------------


LOGGING = """
import itertools
from pathlib import Path
import muniment
from muniment.domain.errors import SubjectErasedError

def log(run, name, **files):
    artifact = muniment.Artifact(name, type="dataset")
    for path, text in files.items():
        with artifact.new_file(f"{path}.txt") as file:
            file.write(text)
    run.log_artifact(artifact).wait()
    print("logged", name, flush=True)

with muniment.init(project="p") as run:
    log(run, "people", ann="about ann", bob="about bob")
    for number in itertools.count():
        log(run, "stream", bob="about bob", number=f"line {number}")
        if Path("erased").exists():
            break
try:
    with muniment.init(project="p") as run:
        log(run, "back", other="about ann", bob="about bob")
except SubjectErasedError as error:
    print("refused", error, flush=True)
with muniment.init(project="p") as run:
    log(run, "after", bob="about bob", number="the last line")
"""


def test_who_logs_meanwhile_loses_nothing_and_brings_nothing_back(own_home: Path, tmp_path: Path) -> None:
    environ = os.environ | {"MUNIMENT_ACTOR": "ada", "MUNIMENT_SILENT": "true"}
    store = opening(own_home, "ada", again=False)
    directory.set_organisation_role(store, "local", "ben", Role.ADMIN)
    command = [sys.executable, "-c", LOGGING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, cwd=tmp_path, text=True) as logging:
        assert logging.stdout is not None
        said = [logging.stdout.readline() for _ in range(3)]
        scene = Scene(store, Clock(), project_name="p")
        subject = ann(scene)
        data_subjects.attach_entries(store, subject, scene.find("people:v0").version.version_id, ["ann.txt"])
        request_id = requests.receive(store, Right.ERASURE, subject).request_id
        row = erased(scene, request_id)
        (tmp_path / "erased").touch()
        said += logging.stdout.readlines()
    assert logging.returncode == 0
    assert (row.stage, row.erased, row.residual) == ("executed", 1, 0)
    (refused,) = (each for each in said if not each.startswith("logged"))
    assert refused.startswith("refused")
    assert request_id in refused
    assert "logged back\n" not in said
    rows = store.views.select(VersionRow, state="committed", order="created_at", limit=2_000)
    assert len(rows) == len(said) - 1 > 3, "all that was acknowledged is there, also what came after the refusal"
    assert all("bob.txt" in named(scene, each) for each in rows)
    assert {"ann.txt", "other.txt"}.isdisjoint(path for each in rows for path in named(scene, each))
    assert scene.indexes("stream") == list(range(said.count("logged stream\n")))
    assert b"about ann" not in stored(scene)
    assert checking.verify(store, request_id).findings == ()
    assert list(fsck.check(store)) == []
    store.ledger.close()


def erased(scene: Scene, request_id: str) -> RequestRow:
    """Lead a request to its execution, beside somebody who goes on logging."""
    store = scene.store
    requests.identify(store, request_id, "passport")
    requests.scope(store, request_id)
    approvals.approve(scene.by("ben").store, approvals.propose(store, Act.ERASE, request_id))
    requests.decide(store, request_id, Verdict.APPROVED)
    return Eraser(store, request_id, wait=60).execute()


def named(scene: Scene, row: VersionRow) -> list[str]:
    manifest = data_subjects.readable(scene.store, row.version_id)
    return [] if manifest is None else [entry.path for entry in manifest.entries()]


# --- the vault is deleted by hand ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["files", "values", "keys"])
def test_values_that_somebody_deleted_by_hand_are_missed_and_erased_ones_are_not(own_home: Path, how: str) -> None:
    store = opening(own_home, "ada", again=False)
    directory.set_organisation_role(store, "local", "ben", Role.ADMIN)
    scene = Scene(store, Clock())
    scene.log("people", FILES, metadata={"who": "carl"})
    scan = scene.log("scan", "x-ray of ann", metadata={"who": "ann"})
    data_subjects.attach(store, ann(scene), TargetKind.VERSION, scan.version_id)
    led(scene, approved(scene))
    assert list(fsck.check(store)) == [], "what an erasure with a certificate took is not missed"
    erased_seqs = {scene.version(scan.version_id).created_seq}
    kept = scene.find("people:v0").version
    store.ledger.close()
    store.vault.close()  # type: ignore[attr-defined]
    delete(own_home, how)
    store = opening(own_home, "ada", again=False)
    assert list(store.ledger.verify()) == []
    assert kept.metadata is not None
    assert store.vault.get_many([kept.metadata]) == {}
    (fault,) = fsck.check(store)
    assert (fault.kind, fault.text.count("no erasure with a certificate explains it")) == ("vault", 1)
    named_seqs = {int(each) for each in re.findall(r"\d+", fault.text.partition("explains it")[2])}
    assert kept.created_seq in named_seqs
    assert named_seqs.isdisjoint(erased_seqs)
    store.ledger.close()


def delete(home: Path, how: str) -> None:
    """Delete what the vault holds without a word to anybody."""
    if how == "files":
        for path in (*home.glob("vault.sqlite3*"), *home.glob("keys.sqlite3*")):
            path.unlink()
        return
    name, table = ("vault.sqlite3", "slots") if how == "values" else ("keys.sqlite3", "data_keys")
    with closing(sqlite3.connect(home / name)) as connection, connection:
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 (a table of ours)
