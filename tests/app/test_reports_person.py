"""The package of one person holds what is about it, and not one byte of anybody else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import run

import pytest

from muniment.app import activities, reports, runs
from muniment.app.erasing import data_subjects, requests
from muniment.app.reports import making
from muniment.app.reports.making import FORMATS, Wanted
from muniment.domain.data_subject import TargetKind
from muniment.domain.hold import ScopeKind
from muniment.domain.processing import LegalBasis
from muniment.domain.report import ValuesRevealed
from muniment.domain.request import Right
from muniment.domain.rows import DataSubjectRow, RequestRow
from tests.app.exported import by_program
from tests.app.scene import Scene

JANE = "canary-jane-doe"
BOB = "canary-bob-roe"


@pytest.fixture
def asked(scene: Scene) -> tuple[RequestRow, DataSubjectRow]:
    """Return Jane's request, identified; Bob and the staff are about too."""
    faces = scene.log(
        "faces",
        {"jane.jpg": JANE, f"{BOB}.jpg": BOB, "both.jpg": f"{JANE}{BOB}"},
        metadata={"by": BOB},
    ).version_id
    alone = scene.log("alone", {"jane/notes.txt": f"{JANE} notes"}, metadata={"about": JANE}).version_id
    shared = scene.log("shared", {"a.txt": f"{JANE} and {BOB}"}).version_id
    scene.log("strange", {"c.txt": "canary-nobody"})
    jane = data_subjects.register(scene.store, JANE)
    bob = data_subjects.register(scene.store, BOB)
    data_subjects.attach_entries(scene.store, jane.subject_id, faces, ["jane.jpg", "both.jpg"])
    data_subjects.attach_entries(scene.store, bob.subject_id, faces, [f"{BOB}.jpg", "both.jpg"])
    data_subjects.attach(scene.store, jane.subject_id, TargetKind.VERSION, alone)
    for each in (jane, bob):
        data_subjects.attach(scene.store, each.subject_id, TargetKind.VERSION, shared)
    runs.downloaded(scene.by("canary-staff").store, faces, entries=1, size=1)
    activities.declare(
        scene.store,
        ScopeKind.PROJECT,
        scene.project.project_id,
        name="study",
        purpose="research",
        legal_basis=LegalBasis.CONSENT,
        contacts="privacy@example.org",
    )
    requests.receive(scene.store, Right.ACCESS, bob.subject_id, text=BOB)
    request = requests.receive(scene.store, Right.ACCESS, jane.subject_id, text=f"{JANE} asks")
    return requests.identify(scene.store, request.request_id, "passport"), jane


def rows(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def test_the_answer_holds_what_is_about_the_person_and_nothing_of_others(
    scene: Scene, asked: tuple[RequestRow, DataSubjectRow], tmp_path: Path
) -> None:
    request, _ = asked
    out, size = tmp_path / "out", scene.seq
    report = reports.named("subject-access")
    making.bundle(scene.store, report, Wanted(FORMATS, about=request.request_id, at=size), out)
    contents = {path.name: path.read_bytes() for path in out.iterdir()}
    everything = b"".join(contents.values())
    for strange in (BOB, "canary-nobody", "canary-staff", '"ada"'):
        assert strange.encode() not in everything, strange
    copied = sorted(name for name in contents if name.startswith("data-"))
    assert [contents[name].decode() for name in copied] == [JANE, f"{JANE} notes"]
    data = rows(out, "subject-access-data")
    assert [(row["path"], row["fate"]) for row in data] == [
        (None, "also about others"),
        ("jane.jpg", "handed out"),
        ("jane/notes.txt", "handed out"),
        (None, "also about others"),
    ]
    values = {(row["what"], json.dumps(row["value"])) for row in rows(out, "subject-access-values")}
    assert ("identity", f'"{JANE}"') in values
    assert ("request", f'"{JANE} asks"') in values
    assert ("metadata", json.dumps({"about": JANE})) in values
    assert [row["purpose"] for row in rows(out, "subject-access-purposes")] == ["research"]
    (consulted,) = rows(out, "subject-access-consultations")
    assert (consulted["what"], consulted["function"]) == ("downloaded", "member of a team")
    assert len(rows(out, "subject-access-rights")) == 6
    assert by_program(out, "--key", scene.store.signer.verifier_key())[0] == 0
    shown = [each.event for each in scene.store.ledger.read(after=size) if isinstance(each.event, ValuesRevealed)]
    assert len(shown) == 1


def test_no_row_of_the_answer_names_who_works_here(
    scene: Scene, asked: tuple[RequestRow, DataSubjectRow], tmp_path: Path
) -> None:
    request, _ = asked
    report = reports.named("R8")
    making.write(scene.store, report, Wanted(("jsonl",), about=request.request_id), tmp_path / "out")
    staff = {each.actor for each in scene.store.ledger.read()}
    told = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert [actor for actor in staff if actor.encode() in told] == []


def test_the_portability_package_is_a_valid_data_package(
    scene: Scene, asked: tuple[RequestRow, DataSubjectRow], tmp_path: Path
) -> None:
    request, _ = asked
    out = tmp_path / "out"
    making.write(scene.store, reports.named("R9"), Wanted(("jsonl", "csv"), about=request.request_id), out)
    package = json.loads((out / "datapackage.json").read_text())
    assert {each["path"] for each in package["resources"]} == {path.name for path in out.iterdir()} - {
        "datapackage.json"
    }
    judge = Path(__file__).with_name("exports") / "judge.py"
    jobs = json.dumps([["datapackage", str(out / "datapackage.json")]])
    judged = run([sys.executable, str(judge)], input=jobs, capture_output=True, text=True, check=True)
    assert json.loads(judged.stdout) == [[]]


def test_what_was_erased_since_is_told_as_gone_not_left_out(
    scene: Scene, asked: tuple[RequestRow, DataSubjectRow], tmp_path: Path
) -> None:
    request, jane = asked
    scene.store.vault.destroy(jane.subject_id)
    report = reports.named("R8")
    making.write(scene.store, report, Wanted(("jsonl",), about=request.request_id), tmp_path / "out")
    values = {row["what"]: row["value"] for row in rows(tmp_path / "out", "subject-access-values")}
    assert values["identity"] == "[erased]"
