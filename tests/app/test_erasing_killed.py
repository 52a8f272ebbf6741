"""An erasure whose process is killed anywhere goes on in another one: all is gone once, and nothing untold."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from muniment.app import approvals, clock, directory, fsck, leases, runs, scan
from muniment.app.collecting import collect
from muniment.app.collecting.condemning import CONDEMNED
from muniment.app.drill.world import file_of, log_files
from muniment.app.erasing import certificate, checking, data_subjects, requests
from muniment.app.erasing.executing import Eraser, Step
from muniment.app.store import Store
from muniment.domain.approval import Act
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import ConflictError
from muniment.domain.redaction import EventsRedacted
from muniment.domain.request import Right, Verdict
from muniment.domain.rows import DisposalRow
from muniment.domain.values import Role
from tests.app.scene import DAY, Scene, event_names
from tests.app.test_drill import opening
from tests.app.test_erasing import approved as approved_by_two
from tests.app.test_erasing import two
from tests.torture.driver import forked
from tests.torture.points import Points

__all__ = ["two"]
KILLS: Final = 16 if os.environ.get("CI") == "true" else 6
SEED: Final = 20261123
ADA: Final = "ada"
WORDS: Final = tuple(f"canary-{each}-77c1" for each in ("entry", "path", "content", "name", "tag", "run"))
ENTRY, PATH, CONTENT, NAME, TAG, RUN = WORDS
ONCE: Final = frozenset(
    {
        "SubjectFenced",
        "ErasureFenced",
        "ManifestReplaced",
        "Purged",
        "RunDeleted",
        "SubjectErased",
        "RequestExecuted",
        "ErasureVerified",
        "CertificateIssued",
    }
)
"""What happens once in an erasure, however often it is begun."""


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the home of a store in which an erasure was approved and nothing is open, and the request."""
    home = tmp_path_factory.mktemp("erasing") / "home"
    store = opening(home, ADA, again=False)
    directory.set_organisation_role(store, "local", "ben", Role.ADMIN)
    project = directory.project(store.views, "local", "uncategorized")
    run = runs.start(store, project, runs.RunDraft(RUN, RUN))
    others = [file_of(f"others/{number}.txt", b"somebody else %d" % number) for number in range(20)]
    people = log_files(store, project, [*others, file_of(PATH, ENTRY.encode())], name="people", run=run)
    whole = log_files(store, project, [file_of("x.txt", CONTENT.encode())], name=NAME, tags=(TAG,))
    subject = data_subjects.register(store, "ann").subject_id
    data_subjects.attach_entries(store, subject, people.version_id, [PATH])
    data_subjects.attach(store, subject, TargetKind.ARTIFACT, whole.artifact_id)
    data_subjects.attach(store, subject, TargetKind.RUN, run.run_id)
    request_id = requests.receive(store, Right.ERASURE, subject).request_id
    requests.identify(store, request_id, "passport")
    requests.scope(store, request_id)
    second = opening(home, "ben", again=False)
    approvals.approve(second, approvals.propose(store, Act.ERASE, request_id))
    second.ledger.close()
    requests.decide(store, request_id, Verdict.APPROVED)
    store.ledger.close()
    return home, request_id


def erase(
    home: Path, request_id: str, points: Points | None = None, after: Callable[[Step], None] | None = None
) -> None:
    """Lead the request to its certificate, as the command does."""
    store = opening(home, ADA, again=False)
    if points is not None:
        points.arm()
    row = Eraser(store, request_id, after=after or (lambda _: None)).execute()
    if row.stage == "executed":
        assert checking.verify(store, request_id).findings == ()
    certificate.issue(store, request_id)
    if points is not None:
        (home.parent / "points").write_text(str(-points.left))
    store.ledger.close()


def copied(template: Path, target: Path) -> Path:
    shutil.copytree(template, target / "home")
    return target / "home"


def evidence(store: Store, request_id: str) -> int:
    """Return of how many blobs the ledger says that they are absent because of the request."""
    return sum(row.blobs for row in store.views.select(DisposalRow, request_id=request_id, order="at"))


def test_killed_anywhere_it_goes_on_elsewhere(approved: tuple[Path, str], tmp_path: Path) -> None:
    template, request_id = approved
    whole = copied(template, tmp_path / "whole")
    assert forked(lambda: erase(whole, request_id, Points(0))) == 0
    count = int((whole.parent / "points").read_text())
    assert count > 400
    store = opening(whole, ADA, again=False)
    expected = evidence(store, request_id)
    store.ledger.close()
    chance, stages = random.Random(SEED), set[str]()
    for number in range(KILLS):
        home = copied(template, tmp_path / str(number))
        fatal = chance.randrange(number * count // KILLS, (number + 1) * count // KILLS) or 1
        status = forked(lambda home=home, fatal=fatal: erase(home, request_id, Points(fatal)))  # type: ignore[misc]
        assert status == -signal.SIGKILL, f"point {fatal} of {count}, seed {SEED}"
        store = opening(home, ADA, again=False)
        stages.add(requests.request(store.views, request_id).stage)
        store.ledger.close()
        erase(home, request_id)
        found = wrong(home, request_id, expected)
        assert found == [], f"point {fatal} of {count}, seed {SEED}"
        shutil.rmtree(home)
    assert {"fenced", "executed"} <= stages


def wrong(home: Path, request_id: str, expected: int) -> list[str]:
    """Return what is not as after an erasure that nobody interrupted."""
    store = opening(home, ADA, again=False)
    told = certificate.read(store, request_id).told
    found = [f"{name}: {told[name]}" for name, value in {"erased": 3, "residual": 0}.items() if told[name] != value]
    happened = Counter(event_names(store.ledger.read()))
    found += [f"{name} happened {happened[name]} times" for name in ONCE if happened[name] != 1]
    redacted = [
        seq for each in store.ledger.read() if isinstance(each.event, EventsRedacted) for seq in each.event.seqs
    ]
    found += [f"event {seq} was redacted twice" for seq, times in Counter(redacted).items() if times > 1]
    if evidence(store, request_id) != expected:
        found.append(f"evidence of {evidence(store, request_id)} blobs, not {expected}")
    if sum(each["blobs"] for each in told["disposals"]) != expected:
        found.append("the certificate has other evidence than the ledger")
    found += [f"fsck: {fault.text}" for fault in fsck.check(store)]
    report = collect.act(store)
    found += [f"left behind: {kind}" for kind in (leases.LEASE, CONDEMNED) if store.ledger.scratch.items(kind)]
    found += [*report.failed, *(f"fsck after gc: {fault.text}" for fault in fsck.check(store))]
    store.ledger.close()
    return [*found, *(f"canary in {hit.place}" for hit in scan.scan(list(WORDS), [str(home)]).hits)]


def test_a_collection_that_comes_between_takes_no_evidence_away(
    approved: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CrashError(Exception):
        pass

    def crash(step: Step) -> None:
        if step is Step.VERSIONS:
            raise CrashError

    template, request_id = approved
    home = copied(template, tmp_path)
    with pytest.raises(CrashError):
        erase(home, request_id, after=crash)
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + DAY)
    store = opening(home, ADA, again=False)
    report = collect.act(store)
    assert (report.purged, report.failed) == (1, ())
    assert report.blobs > 3
    store.ledger.close()
    erase(home, request_id)
    store = opening(home, ADA, again=False)
    whole = evidence(store, request_id)
    leftover = store.views.select(DisposalRow, order="at")
    assert whole >= report.blobs, "what a collection took is verified absent for the request too"
    assert any(row.trigger == "leftover" for row in leftover)
    store.ledger.close()


def test_what_is_left_of_a_dead_erasure_holds_nothing_up_and_who_else_uploads_does(two: Scene) -> None:
    request_id = approved_by_two(two)
    Eraser(two.store, request_id).fence()
    leases.take(two.store, request_id)
    other = leases.take(two.store)
    with pytest.raises(ConflictError, match="uploads that began before are still running"):
        Eraser(two.store, request_id).execute()
    leases.release(two.store, other)
    leases.take(two.store, request_id)
    assert Eraser(two.store, request_id).execute().erased == 1
