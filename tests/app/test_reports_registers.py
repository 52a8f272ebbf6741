"""What the registers of auditors and data protection officers say about what happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from muniment.app import activities, approvals, directory, holds, lifecycle, pointers, policies, reports, runs
from muniment.app.erasing import certificate, checking, data_subjects, requests
from muniment.app.reports import making
from muniment.app.reports.making import Wanted
from muniment.app.transact import Request, new_id
from muniment.domain.alias import AliasMoved
from muniment.domain.approval import Act
from muniment.domain.data_subject import TargetKind
from muniment.domain.disposal import CopiesLeft, Disposed, Hindrance
from muniment.domain.errors import InvalidValueError, NotFoundError, PermissionDeniedError
from muniment.domain.evidence import Check, Evidence, Method, Trigger
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.policy import Terms
from muniment.domain.processing import LegalBasis
from muniment.domain.request import Right
from muniment.domain.values import Digest, Role, RunId, Ttl
from tests.acts import story
from tests.app.scene import DAY, Scene
from tests.app.test_erasing import erase, two
from tests.stores import as_login

__all__ = ["two"]

Rows = dict[str, list[dict[str, Any]]]


def told(scene: Scene, tmp_path: Path, name: str, **wanted: Any) -> Rows:
    """Return the rows of a report by its sheets."""
    report, folder = reports.named(name), tmp_path / new_id()
    making.write(scene.store, report, Wanted(**wanted), folder)
    return {
        sheet.name: [json.loads(line) for line in (folder / f"{report.stem(sheet)}.jsonl").read_text().splitlines()]
        for sheet in report.sheets
    }


def test_every_report_has_a_name_a_number_and_columns_that_say_what_they_mean() -> None:
    assert [each.number for each in reports.listed()] == [f"R{number}" for number in (*range(1, 14), 15)]
    for report in reports.listed():
        for sheet in report.sheets:
            names = [column.name for column in sheet.columns]
            assert len(set(names)) == len(names)
            assert all(column.meaning for column in sheet.columns)


# --- R2 --------------------------------------------------------------------------------------------------------------


def test_the_integrity_statement_says_what_was_checked(scene: Scene, tmp_path: Path) -> None:
    story(scene.store)
    found = told(scene, tmp_path, "integrity", after=5)
    verdicts = {row["check"]: row["verdict"] for row in found["statement"]}
    assert verdicts["events, leaves, head and rows"] == "holds"
    assert verdicts["the end continues the beginning"] == "holds"
    assert verdicts["signature"] == "holds"
    assert found["faults"] == []
    roots = {row["check"]: row["detail"] for row in found["statement"]}
    assert roots["ends with"] == scene.store.ledger.head().root.hex()
    assert roots["begins after"] == scene.store.ledger.root(5).hex()


def test_redactions_are_told_beside_faults_not_among_them(scene: Scene, tmp_path: Path) -> None:
    from muniment.app import redaction  # noqa: PLC0415

    scene.log("secret-name", "x")
    seq = next(each.seq for each in scene.store.ledger.read() if each.type == "artifact.created.1")
    redaction.redact(scene.store, [seq], allow=lambda _: None)
    found = told(scene, tmp_path, "integrity")
    assert [row["seq"] for row in found["redactions"]] == [seq]
    assert found["faults"] == []
    trail = told(scene, tmp_path, "audit-trail")["events"]
    assert [row["seq"] for row in trail if row["redacted"]] == [seq]
    assert "secret-name" not in json.dumps(trail)


# --- R3 --------------------------------------------------------------------------------------------------------------


def test_the_record_of_processing_is_what_was_declared_beside_what_is_there(scene: Scene, tmp_path: Path) -> None:
    logged = scene.log("faces", "abc")
    scene.log("other", "x")
    person = data_subjects.register(scene.store, "Jane Doe, 1970")
    data_subjects.attach(scene.store, person.subject_id, TargetKind.VERSION, logged.version_id)
    before = told(scene, tmp_path, "processing")
    assert before["activities"] == []
    assert [row["artifact"] for row in before["undeclared"]] == ["local/uncategorized/faces"]
    declared = activities.declare(
        scene.store,
        ScopeKind.PROJECT,
        scene.project.project_id,
        name="study",
        purpose="research",
        legal_basis=LegalBasis.CONSENT,
        special=True,
        contacts="Dr. Who",
    )
    found = told(scene, tmp_path, "processing")
    (row,) = found["activities"]
    assert (row["purpose"], row["legal_basis"], row["special"], row["contacts"]) == ("research", "6(1)(a)", True, None)
    assert (row["artifacts"], row["versions"], row["about_subjects"]) == (2, 2, 1)
    assert found["undeclared"] == []
    assert told(scene, tmp_path, "processing", reveal="audit")["activities"][0]["contacts"] == "Dr. Who"
    activities.declare(
        scene.store,
        ScopeKind.PROJECT,
        scene.project.project_id,
        name="study",
        purpose="teaching",
        legal_basis=LegalBasis.CONSENT,
        activity_id=declared.activity_id,
    )
    assert [row["purpose"] for row in told(scene, tmp_path, "processing")["activities"]] == ["teaching"]
    activities.end(scene.store, declared.activity_id)
    assert activities.listed(scene.store.views) == []
    with pytest.raises(NotFoundError, match="no activity"):
        activities.end(scene.store, declared.activity_id)


def test_only_an_admin_declares_activities_and_only_for_what_is_there(scene: Scene) -> None:
    said: dict[str, Any] = {"name": "study", "purpose": "research", "legal_basis": LegalBasis.CONSENT}
    with pytest.raises(PermissionDeniedError):
        activities.declare(scene.by("eve").store, ScopeKind.PROJECT, scene.project.project_id, **said)
    with pytest.raises(NotFoundError):
        activities.declare(scene.store, ScopeKind.ARTIFACT, scene.project.project_id, **said)


# --- R4 --------------------------------------------------------------------------------------------------------------


def test_the_retention_schedule_says_what_is_due_and_what_is_late(scene: Scene, tmp_path: Path) -> None:
    scene.log("short", "abc", ttl=Ttl.after(DAY))
    scene.log("long", "de")
    policies.set_policy(
        scene.store, ScopeKind.PROJECT, scene.project.project_id, Terms(maximum=30 * DAY), citation="HGB 257"
    )
    scene.pass_time(4 * DAY + DAY // 24)
    scene.log("late", "f")
    found = told(scene, tmp_path, "retention")
    rules = {row["scope"]: row for row in found["rules"]}
    assert (rules["ttl"]["objects"], rules["ttl"]["overdue"], rules["ttl"]["max_days_late"]) == (1, 1, 3)
    assert (rules["project"]["objects"], rules["project"]["bytes"]) == (3, 6)
    assert (rules["project"]["maximum"], rules["project"]["citation"], rules["project"]["statutory"]) == (
        30 * DAY,
        "HGB 257",
        True,
    )
    assert sum(row["objects"] for row in found["outcomes"]) == 3
    assert [row["action"] for row in found["outcomes"] if row["overdue"]] == ["delete"]


# --- R5 and R11 ------------------------------------------------------------------------------------------------------


def test_disposals_and_what_is_left_of_them_are_told(scene: Scene, tmp_path: Path) -> None:
    version = scene.log("gone", "abc").version_id
    evidence = Evidence(new_id(), Method.DELETED, (Check.FILES,), blobs=2, size=30, copies=3, residual=1)
    disposed = Disposed(Trigger.ERASURE, evidence, "s3://bucket", version, None)
    left = CopiesLeft(
        evidence.disposal_id, Hindrance.LOCK, scene.clock.now + DAY, "s3://bucket", (Digest("a" * 64),), 1
    )

    def record(steps: Any) -> None:
        steps.append(evidence.disposal_id, disposed)
        steps.append(new_id(), left)

    scene.store.transact(Request("dispose"), record)
    (row,) = told(scene, tmp_path, "disposals")["disposals"]
    assert (row["trigger"], row["method"], row["verified_by"]) == ("erasure", "deleted", "files")
    assert (row["blobs"], row["bytes"], row["copies"], row["residual"]) == (2, 30, 3, 1)
    assert row["object_name"] == "local/uncategorized/gone:v0"
    (row,) = told(scene, tmp_path, "residuals")["residuals"]
    assert (row["state"], row["why"], row["overdue"]) == ("left", "lock", False)
    scene.pass_time(2 * DAY)
    scene.log("later", "x")
    assert told(scene, tmp_path, "residuals")["residuals"][0]["overdue"] is True


# --- R6 and R7 -------------------------------------------------------------------------------------------------------


def test_the_hold_register_says_what_is_held_and_who_agreed_to_release(scene: Scene, tmp_path: Path) -> None:
    scene.log("held", "abc")
    scene.log("free", "x")
    artifact = scene.artifact("held").artifact_id
    hold = holds.place(scene.store, HoldKind.LITIGATION, ScopeKind.ARTIFACT, artifact, "the matter of Doe")
    (row,) = told(scene, tmp_path, "holds")["holds"]
    assert (row["state"], row["objects"], row["bytes"], row["matter"]) == ("placed", 1, 3, None)
    assert told(scene, tmp_path, "holds", reveal="court")["holds"][0]["matter"] == "the matter of Doe"
    directory.set_organisation_role(scene.store, "local", "bob", Role.ADMIN)
    proposal = approvals.propose(scene.store, Act.RELEASE_HOLD, hold.hold_id)
    bob = as_login(scene.store, "bob")
    approvals.approve(bob, proposal)
    holds.release(scene.store, hold.hold_id)
    (row,) = told(scene, tmp_path, "holds")["holds"]
    assert (row["state"], row["release_approved_by"], row["objects"]) == ("released", bob.context.actor, 0)
    after = scene.seq
    scene.log("free", "y")
    assert told(scene, tmp_path, "holds", after=after)["holds"] == []


def test_the_request_register_counts_days_and_knows_what_is_late(scene: Scene, tmp_path: Path) -> None:
    person = data_subjects.register(scene.store, "Jane Doe, 1970")
    asked = requests.receive(scene.store, Right.ACCESS, person.subject_id, text="what do you have?")
    scene.pass_time(40 * DAY)
    requests.identify(scene.store, asked.request_id, "passport")
    (row,) = told(scene, tmp_path, "requests")["requests"]
    assert (row["right"], row["stage"], row["identified"], row["days"], row["late"]) == (
        "access",
        "identified",
        True,
        40,
        True,
    )
    assert (row["text"], row["extended"]) == (None, False)
    assert "Jane" not in json.dumps(row)
    assert told(scene, tmp_path, "requests", reveal="audit")["requests"][0]["text"] == "what do you have?"


# --- R12 and R15 -----------------------------------------------------------------------------------------------------


def test_who_took_what_is_told_by_ids_and_by_names_only_for_a_reason(scene: Scene, tmp_path: Path) -> None:
    version = scene.log("data", "abc").version_id
    run = scene.run("r1")
    runs.use(scene.store.acting(run=RunId(run.run_id)), version, RunId(run.run_id))
    runs.downloaded(scene.by("bob").store, version, entries=1, size=3)
    rows = told(scene, tmp_path, "recipients")["uses"]
    assert [(row["what"], row["run"], row["bytes"]) for row in rows] == [
        ("used", "local/uncategorized/r1", None),
        ("downloaded", None, 3),
    ]
    assert {row["login"] for row in rows} == {None}
    assert [row["login"] for row in told(scene, tmp_path, "recipients", reveal="audit")["uses"]] == ["ada", "bob"]


def test_promotions_are_told_with_who_was_what_at_any_moment(scene: Scene, tmp_path: Path) -> None:
    for content in "abc":
        scene.log("net", content, "candidate", type_="model")
    scene.link("net:v0", "model/chess", "production")
    first = scene.seq
    scene.link("net:v2", "model/chess", "production")
    lifecycle.edit(scene.store, scene.find("net:v1"), lifecycle.Edits(add_aliases=("latest",)))
    found = told(scene, tmp_path, "promotion-history")
    moved = [row for row in found["moves"] if row["alias"] == "production"]
    assert [(row["act"], row["from"], row["to"]) for row in moved] == [
        ("set", None, "local/uncategorized/net:v0"),
        ("moved", "local/uncategorized/net:v0", "local/uncategorized/net:v2"),
    ]
    standing = {(row["owner"], row["alias"]): row["version"] for row in found["as-of"]}
    assert standing["local/wandb-registry-model/chess", "production"] == "local/uncategorized/net:v2"
    assert standing["local/uncategorized/net", "latest"] == "local/uncategorized/net:v1"
    assert {row["state"] for row in found["as-of"]} == {"committed"}
    scene.log("net", "d", type_="model")
    later = told(scene, tmp_path, "promotion-history")
    assert ("local/uncategorized/net", "latest") not in {(row["owner"], row["alias"]) for row in later["as-of"]}
    then = told(scene, tmp_path, "promotion-history", at=first)["as-of"]
    assert [row["version"] for row in then if row["alias"] == "production"] == ["local/uncategorized/net:v0"]


@pytest.mark.parametrize("part", [1, 2, 3])
def test_who_was_what_agrees_with_the_rows_of_that_moment(part: int, scene: Scene, tmp_path: Path) -> None:
    story(scene.store)
    scene.unlink("play/go:v1")
    at = scene.seq * part // 3
    found = {
        (row["owner"], row["alias"], row["version_id"])
        for row in told(scene, tmp_path, "promotion-history", at=at)["as-of"]
        if row["alias"] != "latest" and "wandb-registry" in row["owner"]
    }
    there = {
        (name, alias, each.version_id)
        for each in pointers.of_all(scene.store, at)
        for name, _, alias in [each.name.rpartition(":")]
        if alias != "latest"
    }
    assert found == there
    assert any(isinstance(each.event, AliasMoved) for each in scene.store.ledger.read(until=at)) or part == 1


# --- R10 -------------------------------------------------------------------------------------------------------------


def test_a_request_without_a_certificate_says_so_in_an_empty_sheet(scene: Scene, tmp_path: Path) -> None:
    person = data_subjects.register(scene.store, "Jane Doe, 1970")
    asked = requests.receive(scene.store, Right.ERASURE, person.subject_id)
    with pytest.raises(InvalidValueError, match="not identified yet"):
        told(scene, tmp_path, "erasure-certificate", about=asked.request_id)
    with pytest.raises(InvalidValueError, match="name it: --request"):
        told(scene, tmp_path, "erasure-certificate")
    with pytest.raises(InvalidValueError, match="no request"):
        told(scene, tmp_path, "erasure-certificate", about=person.subject_id)
    requests.identify(scene.store, asked.request_id, "passport")
    found = told(scene, tmp_path, "erasure-certificate", about=asked.request_id)
    assert found == {"certificate": [], "disposals": [], "residuals": []}


def test_the_report_of_an_erasure_holds_the_certificate_as_it_was_issued(two: Scene, tmp_path: Path) -> None:
    request_id = erase(two)
    checking.verify(two.store, request_id)
    certificate.issue(two.store, request_id)
    folder = tmp_path / "out"
    making.bundle(two.store, reports.named("R10"), Wanted(("jsonl", "html"), about=request_id), folder)
    (row,) = [json.loads(line) for line in (folder / "erasure-certificate-certificate.jsonl").read_text().splitlines()]
    issued = certificate.parse(json.loads((folder / "certificate.json").read_text()))
    assert row["sealed"] == issued.sealed
    assert row["content"] == issued.to_json()
    assert certificate.check(two.store, issued) == row["seq"]
    assert row["found"] == row["erased"] + row["kept"] + row["residual"]
    text = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"x-ray" not in text
    (register,) = [row for row in told(two, tmp_path, "requests")["requests"] if row["request_id"] == request_id]
    assert (register["stage"], register["certificate_id"]) == ("certified", row["certificate_id"])
