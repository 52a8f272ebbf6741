"""What is about a data subject is fenced, taken out of every place, its keys destroyed; others keep what is theirs."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

import muniment
from muniment.app import approvals, directory, fence, holds, redaction
from muniment.app.collecting import collect
from muniment.app.erasing import data_subjects, requests
from muniment.app.erasing.executing import Eraser, Step
from muniment.app.files.download import manifest_of
from muniment.app.files.staging import Staged
from muniment.app.leases import take
from muniment.app.upload import upload
from muniment.domain.approval import Act
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import GoneError, HeldError, InvalidValueError, SubjectErasedError
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.manifest import Entry
from muniment.domain.ports import BlobSource
from muniment.domain.request import Exemption, Right, Verdict
from muniment.domain.values import Digest, Role, VersionId
from tests.app.scene import Scene
from tests.stores import Clock

FILES = {"ann.txt": "about ann", "bob.txt": "about bob", "both.txt": "about both"}


@pytest.fixture
def two(scene: Scene) -> Scene:
    """Return a scene with a second admin, and a version with an entry about Ann."""
    directory.set_organisation_role(scene.store, "local", "ben", Role.ADMIN)
    version_id = scene.log("people", FILES, "gold").version_id
    data_subjects.attach_entries(scene.store, ann(scene), version_id, ["ann.txt"])
    return scene


def ann(scene: Scene) -> str:
    return data_subjects.register(scene.store, "ann").subject_id


def approved(scene: Scene, subject_id: str | None = None, *kept: str) -> str:
    """Return a request to erase that two people approved."""
    request_id = requests.receive(scene.store, Right.ERASURE, subject_id or ann(scene), text="forget me").request_id
    requests.identify(scene.store, request_id, "passport")
    requests.scope(scene.store, request_id)
    approvals.approve(scene.by("ben").store, approvals.propose(scene.store, Act.ERASE, request_id))
    verdict = Verdict.PARTIAL if kept else Verdict.APPROVED
    exemption, ground = (Exemption.OBLIGATION, "tax law") if kept else (None, None)
    requests.decide(scene.store, request_id, verdict, kept=kept, exemption=exemption, ground=ground)
    return request_id


def erase(scene: Scene, *kept: str, subject_id: str | None = None) -> str:
    request_id = approved(scene, subject_id, *kept)
    Eraser(scene.store, request_id).execute()
    return request_id


def paths(scene: Scene, name: str) -> list[str]:
    return [entry.path for entry in manifest_of(scene.store, scene.find(name)).entries()]


def stored(scene: Scene) -> set[bytes]:
    return {scene.store.blobs.get(digest) for digest in scene.blobs()}


def staged(path: str, text: str) -> Staged:
    content = text.encode()
    digest = Digest(sha256(content).hexdigest())
    return Staged(Entry(path, digest, len(content)), BlobSource(digest, len(content), content))


def test_an_entry_goes_and_the_version_keeps_its_number_and_the_rest(two: Scene) -> None:
    before = two.find("people:v0").version
    seq = two.seq
    request_id = erase(two)
    now = two.find("people:v0").version
    assert paths(two, "people:v0") == ["bob.txt", "both.txt"]
    assert (now.index, now.entries, now.size) == (0, 2, before.size - len("about ann"))
    assert b"about ann" not in stored(two)
    assert two.points("people") == {"gold": 0, "latest": 0}
    row = requests.request(two.views, request_id)
    assert (row.stage, row.found, row.erased, row.residual) == ("executed", 1, 1, 0)
    assert data_subjects.subject(two.views, row.subject_id).standing == "erased"
    assert two.store.vault.find(data_subjects.TERM, "ann") is None
    assert "ManifestReplaced" in two.happened(seq)
    assert list(two.store.ledger.verify()) == []


def test_neither_paths_nor_contents_are_named_any_more(two: Scene) -> None:
    old = two.find("people:v0").version
    erase(two)
    told = "".join(str(recorded) for recorded in two.since(0))
    assert "ann.txt" not in told
    assert str(old.digest) not in told
    assert str(old.manifest) not in told
    assert Digest(old.manifest or "") not in two.blobs()


def test_what_others_need_stays_and_is_counted_as_left(two: Scene) -> None:
    copied = two.log("copy", {"deep/copy.txt": "about ann", "more.txt": "more"}).version_id
    request_id = erase(two)
    row = requests.request(two.views, request_id)
    assert (row.found, row.erased, row.residual) == (1, 0, 1)
    assert b"about ann" in stored(two)
    assert paths(two, "people:v0") == ["bob.txt", "both.txt"]
    assert "about ann" in two.contents("copy:v0")
    assert two.version(copied).state == "committed"


def test_what_others_need_goes_too_when_it_is_attached(two: Scene) -> None:
    two.log("copy", {"deep/copy.txt": "about ann", "more.txt": "more"})
    data_subjects.attach_same(two.store, ann(two))
    erase(two)
    assert b"about ann" not in stored(two)
    assert paths(two, "copy:v0") == ["more.txt"]


def test_two_subjects_of_one_version_are_erased_one_after_the_other(two: Scene) -> None:
    version_id = two.find("people:v0").version.version_id
    bob = data_subjects.register(two.store, "bob").subject_id
    data_subjects.attach_entries(two.store, bob, version_id, ["bob.txt", "both.txt"])
    erase(two)
    assert data_subjects.attached(two.views, bob).paths() == {version_id: ("bob.txt", "both.txt")}
    assert two.store.vault.find(data_subjects.TERM, "bob") == bob
    erase(two, subject_id=bob)
    assert paths(two, "people:v0") == []
    assert list(two.store.ledger.verify()) == []


def test_the_same_bytes_do_not_come_in_again(two: Scene) -> None:
    request_id = erase(two)
    seq = two.seq
    with pytest.raises(SubjectErasedError, match=f"being erased by request {request_id}"):
        upload(two.store, take(two.store), [staged("other-name.txt", "about ann")])
    assert two.happened(seq) == ["Denied"]
    assert two.since(seq)[0].event.target == request_id
    upload(two.store, take(two.store), [staged("ann.txt", "about somebody else")])


def test_an_erased_entry_is_gone_and_others_never_were(two: Scene) -> None:
    version_id = two.find("people:v0").version.version_id
    assert fence.gone(two.store, version_id, "ann.txt") is None
    erase(two)
    assert isinstance(fence.gone(two.store, version_id, "ann.txt"), GoneError)
    assert fence.gone(two.store, version_id, "never.txt") is None
    assert fence.gone(two.store, VersionId("f" * 32), "ann.txt") is None


def test_uploads_that_began_before_the_fence_are_looked_at_again(two: Scene) -> None:
    lease = take(two.store)
    Eraser(two.store, approved(two)).fence()
    assert two.store.ledger.scratch.items("lease") == []
    assert lease.id


def test_what_is_kept_by_an_exemption_stays(two: Scene) -> None:
    version_id = two.find("people:v0").version.version_id
    data_subjects.attach_entries(two.store, ann(two), version_id, ["both.txt"])
    kept = next(row for row in data_subjects.attached(two.views, ann(two)).entries if row.path == "both.txt")
    request_id = erase(two, kept.entry_id)
    row = requests.request(two.views, request_id)
    assert (row.found, row.erased) == (2, 1)
    assert paths(two, "people:v0") == ["bob.txt", "both.txt"]


def test_a_hold_keeps_everything_until_it_is_released(two: Scene) -> None:
    request_id = approved(two)
    artifact_id = two.find("people:v0").artifact.artifact_id
    hold = holds.place(two.store, HoldKind.LITIGATION, ScopeKind.ARTIFACT, artifact_id, "a case")
    seq = two.seq
    with pytest.raises(HeldError, match=hold.hold_id):
        Eraser(two.store, request_id).execute()
    assert two.happened(seq) == ["Denied"]
    assert "ann.txt" in paths(two, "people:v0")
    approvals.approve(two.by("ben").store, approvals.propose(two.store, Act.RELEASE_HOLD, hold.hold_id))
    holds.release(two.store, hold.hold_id)
    assert Eraser(two.store, request_id).execute().stage == "executed"


def test_a_hold_that_comes_after_the_fence_stops_it_too(two: Scene) -> None:
    eraser = Eraser(two.store, approved(two))
    eraser.fence()
    holds.place(two.store, HoldKind.LITIGATION, ScopeKind.SUBJECT, ann(two), "a case")
    with pytest.raises(HeldError):
        eraser.execute()
    assert "ann.txt" in paths(two, "people:v0")


@pytest.mark.parametrize("kind", [TargetKind.VERSION, TargetKind.ARTIFACT])
def test_whole_things_go_with_all_that_is_said_of_them(two: Scene, kind: TargetKind) -> None:
    logged = two.log(
        "ann-scan", "x-ray of ann", "ann-best", tags=("ann-tag",), metadata={"who": "ann-meta"}, description="ann-told"
    )
    slots = [
        slot for slot in (two.version(logged.version_id).metadata, two.version(logged.version_id).description) if slot
    ]
    target = logged.version_id if kind is TargetKind.VERSION else logged.artifact_id
    data_subjects.attach(two.store, ann(two), kind, target)
    erase(two)
    assert two.version(logged.version_id).state in {"let-go", "purged"}
    assert b"x-ray of ann" not in stored(two)
    assert two.store.vault.get_many(slots) == {}
    told = "".join(str(recorded) for recorded in two.since(0))
    assert "ann-tag" not in told
    if kind is TargetKind.ARTIFACT:
        assert "ann-scan" not in told
        assert "ann-best" not in told
    assert list(two.store.ledger.verify()) == []


def test_a_run_goes_with_its_name_and_config(two: Scene) -> None:
    run = two.run("ann-run", config={"who": "ann-config"}, notes="ann-notes")
    data_subjects.attach(two.store, ann(two), TargetKind.RUN, run.run_id)
    erase(two)
    assert "ann-run" not in "".join(str(recorded) for recorded in two.since(0))
    assert run.config is not None
    assert two.store.vault.get_many([run.config]) == {}


class CrashError(Exception):
    """The process dies here."""


@pytest.mark.parametrize("last", Step)
def test_it_goes_on_after_a_crash_at_each_step(two: Scene, last: Step) -> None:
    logged = two.log("ann-scan", "x-ray of ann", metadata={"who": "ann"})
    data_subjects.attach(two.store, ann(two), TargetKind.ARTIFACT, logged.artifact_id)
    request_id = approved(two)

    def crash(step: Step) -> None:
        if step is last:
            raise CrashError

    with pytest.raises(CrashError):
        Eraser(two.store, request_id, after=crash).execute()
    row = Eraser(two.store, request_id).execute()
    assert (row.stage, row.found, row.erased) == ("executed", 2, 2)
    assert {b"about ann", b"x-ray of ann"}.isdisjoint(stored(two))
    told = "".join(str(recorded) for recorded in two.since(0))
    assert "ann.txt" not in told
    assert "ann-scan" not in told
    assert list(two.store.ledger.verify()) == []


def test_it_is_done_once_and_only_when_it_was_approved(two: Scene) -> None:
    request_id = erase(two)
    seq = two.seq
    assert Eraser(two.store, request_id).execute().stage == "executed"
    assert two.seq == seq
    refused = requests.receive(two.store, Right.ACCESS, ann(two)).request_id
    with pytest.raises(InvalidValueError, match="approved"):
        Eraser(two.store, refused).execute()


def test_a_subject_with_nothing_attached_is_erased(two: Scene) -> None:
    eve = data_subjects.register(two.store, "eve").subject_id
    request_id = erase(two, subject_id=eve)
    assert requests.request(two.views, request_id).found == 0
    assert two.store.vault.find(data_subjects.TERM, "eve") is None
    assert paths(two, "people:v0") == ["ann.txt", "bob.txt", "both.txt"]


def test_nothing_is_attached_to_an_erased_subject(two: Scene) -> None:
    subject_id = ann(two)
    erase(two)
    with pytest.raises(SubjectErasedError):
        data_subjects.attach_entries(two.store, subject_id, two.find("people:v0").version.version_id, ["bob.txt"])


def test_collecting_takes_no_whole_version_for_one_entry(two: Scene) -> None:
    request_id = approved(two)
    collect.act(two.store)
    assert two.version(two.find("people:v0").version.version_id).state == "committed"
    Eraser(two.store, request_id).fence()
    collect.act(two.store)
    assert paths(two, "people:v0") == ["ann.txt", "bob.txt", "both.txt"]


def test_the_library_says_that_an_entry_was_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUNIMENT_SILENT", "true")
    for name in ("ann.txt", "bob.txt"):
        Path(name).write_text(f"about {name}")
    artifact = muniment.Artifact("people", type="dataset")
    for name in ("ann.txt", "bob.txt"):
        artifact.add_file(name)
    with muniment.init(project="p") as run:
        run.log_artifact(artifact)
        artifact.wait()
    store = artifact.store
    directory.set_organisation_role(store, "local", "ben", Role.ADMIN)
    scene = Scene(store, Clock(), project_name="p")
    data_subjects.attach_entries(store, ann(scene), VersionId(str(artifact.id)), ["ann.txt"])
    erase(scene)
    found = muniment.Api().artifact("p/people:v0")
    with pytest.raises(GoneError, match="erased"):
        found.get_entry("ann.txt")
    with pytest.raises(KeyError, match="not contained"):
        found.get_entry("eve.txt")
    assert "ann.txt" not in capsys.readouterr().err


def test_words_that_were_redacted_are_named_by_the_request(two: Scene) -> None:
    erase(two)
    assert redaction.redacted(two.store) == 2
