"""An erasure is verified by other ways than it was done, and certified without saying what was erased."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from attrs import evolve

from muniment.adapters import signing
from muniment.app import exports, fence, runs
from muniment.app.erasing import certificate, checking, data_subjects, requests
from muniment.app.erasing.executing import Eraser, Step
from muniment.app.proving.bundles import check as check_bundle
from muniment.app.proving.proofs import Prover
from muniment.app.proving.verifying import Trust, verify
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import GoneError, InvalidValueError, NotFoundError, ProofError
from muniment.domain.values import RunId
from tests.app.scene import Scene
from tests.app.test_erasing import ann, approved, erase, two

__all__ = ["two"]


@pytest.fixture
def erased(two: Scene) -> tuple[Scene, str]:
    """Return a scene in which an entry and an artifact about Ann were erased, and the request."""
    logged = two.log("ann-scan", "x-ray of ann", "ann-best", tags=("ann-tag",), metadata={"who": "ann-meta"})
    data_subjects.attach(two.store, ann(two), TargetKind.ARTIFACT, logged.artifact_id)
    return two, erase(two)


def certified(scene: Scene, request_id: str) -> certificate.Certificate:
    assert checking.verify(scene.store, request_id).findings == ()
    certificate.issue(scene.store, request_id)
    return certificate.read(scene.store, request_id)


def test_what_was_erased_is_verified_and_certified(erased: tuple[Scene, str]) -> None:
    scene, request_id = erased
    issued = certified(scene, request_id)
    told = issued.told
    assert (told["found"], told["erased"], told["kept"], told["residual"]) == (2, 2, 0, 0)
    assert told["contents"] == 2
    assert told["verified"]["findings"] == 0
    assert told["log"]["root_before"] == scene.store.ledger.root(told["log"]["size_before"]).hex()
    assert told["approved_by"] == [scene.by("ben").store.context.actor]
    row = requests.close(scene.store, request_id)
    assert (row.stage, row.certificate_id) == ("closed", told["certificate_id"])
    assert scene.store.ledger.scratch.items("erasing") == []


def test_a_certificate_says_nothing_of_what_was_erased(erased: tuple[Scene, str]) -> None:
    scene, request_id = erased
    issued = certified(scene, request_id)
    text = json.dumps(issued.to_json()) + certificate.page(issued)
    assert not re.search(r"\bann\b|x-ray|\.txt", text)
    roots = {issued.told["log"]["root_before"], issued.told["log"]["root_after"], issued.blind, issued.sealed}
    assert set(re.findall(r"\b[0-9a-f]{64}\b", text)) == roots


def test_a_certificate_that_was_changed_or_belongs_to_another_request_does_not_fit(
    erased: tuple[Scene, str],
) -> None:
    scene, request_id = erased
    issued = certified(scene, request_id)
    assert certificate.check(scene.store, issued) > 0
    eve = data_subjects.register(scene.store, "eve").subject_id
    other = certified(scene, erase(scene, subject_id=eve))
    changed = evolve(issued, told={**issued.told, "erased": 3})
    backdated = evolve(issued, told={**issued.told, "issued_at": "2020-01-01T00:00:00Z"})
    reused = evolve(issued, told={**issued.told, "request_id": other.told["request_id"]})
    swapped = evolve(issued, blind=other.blind)
    for forged in (changed, backdated, reused, swapped):
        with pytest.raises(ProofError, match="changed, or belongs to another"):
            certificate.check(scene.store, forged)
    with pytest.raises(InvalidValueError, match="no certificate"):
        certificate.parse({"form": "other"})


def test_its_bundle_can_be_checked_by_others(erased: tuple[Scene, str], tmp_path: Path) -> None:
    scene, request_id = erased
    certified(scene, request_id)
    written = certificate.bundle(scene.store, request_id, tmp_path / "bundle")
    assert check_bundle(written.folder).text.startswith("report erasure-certificate")
    content = json.loads((written.folder / "certificate.json").read_text())
    assert certificate.check(scene.store, certificate.parse(content))


def test_proofs_from_before_hold_and_exports_show_what_was_erased_as_invalidated(two: Scene, tmp_path: Path) -> None:
    logged = two.log("ann-scan", "x-ray of ann", "ann-best", metadata={"who": "ann-meta"})
    train = two.run("train")
    runs.use(two.store, logged.version_id, RunId(train.run_id))
    two.log("model", "weights", run=train)
    data_subjects.attach(two.store, ann(two), TargetKind.ARTIFACT, logged.artifact_id)
    prover, trust = Prover.of(two.store), Trust.of(signing.Notary(), two.store.signer.verifier_key())
    files = [tmp_path / f"{seq}.tlog-proof" for seq in range(1, two.seq + 1)]
    for seq, file in enumerate(files, 1):
        file.write_text(prover.event(seq, words=True).render(), "utf-8", newline="")
    before = [verify(file, trust) for file in files]
    certified(two, erase(two))
    assert [verify(file, trust) for file in files] == before
    told = b"".join(exports.export(two.store, "prov", "model:v0"))
    prov = json.loads(told)
    gone = {each["prov:entity"] for each in prov["wasInvalidatedBy"].values()}
    assert gone == {f"mu:entity-{logged.version_id}"}
    assert b"ann" not in told


def test_an_erased_entry_names_its_certificate(erased: tuple[Scene, str]) -> None:
    scene, request_id = erased
    issued = certified(scene, request_id)
    error = fence.gone(scene.store, scene.find("people:v0").version.version_id, "ann.txt")
    assert isinstance(error, GoneError)
    assert issued.told["certificate_id"] in str(error)


@pytest.mark.parametrize(
    ("left_out", "finding"),
    [
        (Step.MANIFESTS, "still lists an entry"),
        (Step.VERSIONS, "is still committed"),
        (Step.BLOBS, "is still there, as"),
        (Step.WORDS, "still holds its words"),
        (Step.VAULT, "can still be decrypted"),
    ],
)
def test_a_step_that_was_left_out_is_found_and_done_the_next_time(two: Scene, left_out: Step, finding: str) -> None:
    logged = two.log("ann-scan", "x-ray of ann", metadata={"who": "ann"})
    data_subjects.attach(two.store, ann(two), TargetKind.ARTIFACT, logged.artifact_id)
    request_id = approved(two)
    Eraser(two.store, request_id, without=frozenset({left_out})).execute()
    found = checking.verify(two.store, request_id).findings
    assert any(finding in line for line in found), found
    assert requests.request(two.views, request_id).stage == "fenced"
    with pytest.raises(InvalidValueError, match="once it was verified"):
        certificate.issue(two.store, request_id)
    Eraser(two.store, request_id).execute()
    certified(two, request_id)


def test_nothing_is_certified_twice_or_too_early(two: Scene) -> None:
    request_id = approved(two)
    with pytest.raises(NotFoundError, match="no certificate"):
        certificate.read(two.store, request_id)
    with pytest.raises(InvalidValueError, match="nothing to verify"):
        checking.verify(two.store, request_id)
    Eraser(two.store, request_id).execute()
    first = certified(two, request_id)
    seq = two.seq
    certificate.issue(two.store, request_id)
    assert (two.seq, certificate.read(two.store, request_id)) == (seq, first)
