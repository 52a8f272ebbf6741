"""Requests of data subjects: taken down with a deadline, decided by two people, no step skipped."""

from __future__ import annotations

from functools import partial

import pytest

from muniment.app import approvals, clock, directory, runs
from muniment.app.erasing import data_subjects, requests
from muniment.domain.approval import Act
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import ApprovalNeededError, InvalidValueError, NotFoundError, PermissionDeniedError
from muniment.domain.request import Exemption, Right, Verdict
from muniment.domain.values import Role, RunId
from tests.app.scene import DAY, Scene

FILES = {"ann.txt": "about ann", "bob.txt": "about bob"}


@pytest.fixture
def two(scene: Scene) -> Scene:
    """Return a scene with a second admin and a version of which an entry is about Ann."""
    directory.set_organisation_role(scene.store, "local", "ben", Role.ADMIN)
    run = scene.run("train")
    version_id = scene.log("people", FILES).version_id
    scene.log("model", "weights", run=run, type_="model")
    data_subjects.attach_entries(scene.store, ann(scene), version_id, ["ann.txt"])
    return scene


def ann(scene: Scene) -> str:
    return data_subjects.register(scene.store, "ann").subject_id


def asked(scene: Scene, right: Right = Right.ERASURE) -> str:
    row = requests.receive(scene.store, right, ann(scene), text="forget me")
    requests.identify(scene.store, row.request_id, "passport")
    return row.request_id


def agree(scene: Scene, act: Act, request_id: str) -> None:
    approvals.approve(scene.by("ben").store, approvals.propose(scene.store, act, request_id))


def test_a_request_is_due_a_month_after_it_arrived(two: Scene) -> None:
    january = clock.from_text("2023-01-31T12:00:00Z")
    row = requests.receive(two.store, Right.ACCESS, ann(two), received_at=january)
    assert (row.stage, clock.to_text(row.due_at)[:10]) == ("received", "2023-02-28")
    longer = requests.extend(two.store, row.request_id, row.due_at + 30 * DAY, "many files")
    assert longer.due_at == row.due_at + 30 * DAY
    with pytest.raises(InvalidValueError, match="future"):
        requests.receive(two.store, Right.ACCESS, ann(two), received_at=two.clock.now + DAY)
    with pytest.raises(NotFoundError, match="subject list"):
        requests.receive(two.store, Right.ACCESS, "f" * 32)


def test_what_was_written_goes_with_the_key_of_the_subject(two: Scene) -> None:
    request_id = asked(two)
    text = requests.request(two.views, request_id).text
    assert text is not None
    assert two.store.vault.get_many([text]) == {text: "forget me"}
    two.store.vault.destroy(ann(two))
    assert two.store.vault.get_many([text]) == {}


def test_the_scope_lists_what_was_made_from_it_and_what_nobody_tagged(two: Scene) -> None:
    run = two.run("use")
    used = two.find("people:v0").version.version_id
    runs.use(two.store, used, RunId(run.run_id))
    made = two.log("derived", "features", run=run).version_id
    copied = two.log("copy", {"a.txt": "about ann"}).version_id
    found = requests.scope(two.store, asked(two))
    assert [(item.kind, item.path, item.name) for item in found.items] == [
        ("entry", "ann.txt", "local/uncategorized/people:v0")
    ]
    assert [item.id for item in found.derived] == [made]
    assert [each.version_id for each in found.elsewhere] == [copied]
    assert (found.untagged, used in found.unknown) == (3, False)


def test_an_erasure_is_decided_by_two_people(two: Scene) -> None:
    request_id = asked(two)
    requests.scope(two.store, request_id)
    with pytest.raises(ApprovalNeededError, match=f"erase of {request_id} takes two people"):
        requests.decide(two.store, request_id, Verdict.APPROVED)
    agree(two, Act.ERASE, request_id)
    assert requests.decide(two.store, request_id, Verdict.APPROVED).verdict == "approved"
    assert [row.request_id for row in requests.listed(two.views)] == [request_id]


def test_a_refusal_takes_two_people_an_exemption_and_a_ground(two: Scene) -> None:
    request_id = asked(two)
    requests.scope(two.store, request_id)
    agree(two, Act.REFUSE_ERASURE, request_id)
    with pytest.raises(InvalidValueError, match=r"17\(3\)"):
        requests.decide(two.store, request_id, Verdict.REFUSED)
    requests.decide(two.store, request_id, Verdict.REFUSED, exemption=Exemption.CLAIMS, ground="a lawsuit")
    assert requests.close(two.store, request_id).stage == "closed"
    assert requests.listed(two.views) == []
    assert len(requests.listed(two.views, everything=True)) == 1


def test_what_is_kept_is_named_by_the_ids_of_the_scope(two: Scene) -> None:
    request_id = asked(two)
    (item,) = requests.scope(two.store, request_id).items
    agree(two, Act.ERASE, request_id)
    decide = partial(requests.decide, two.store, request_id, Verdict.PARTIAL, exemption=Exemption.OBLIGATION)
    with pytest.raises(InvalidValueError, match="not in the scope"):
        decide(ground="tax law", kept=["f" * 32])
    assert decide(ground="tax law", kept=[item.id]).kept == item.id


def test_other_rights_need_no_second_person_and_are_said_to_be_done(two: Scene) -> None:
    request_id = asked(two, Right.PORTABILITY)
    requests.scope(two.store, request_id)
    requests.decide(two.store, request_id, Verdict.APPROVED)
    requests.execute(two.store, request_id)
    assert requests.close(two.store, request_id).stage == "closed"
    with pytest.raises(InvalidValueError, match="request erase"):
        requests.execute(two.store, asked(two))


def test_only_admins_handle_requests(two: Scene) -> None:
    directory.set_organisation_role(two.store, "local", "bob", Role.MEMBER)
    with pytest.raises(PermissionDeniedError):
        requests.receive(two.by("bob").store, Right.ACCESS, ann(two))
    with pytest.raises(InvalidValueError, match="identity was seen"):
        requests.identify(two.store, asked(two), " ")


def test_an_attached_run_leads_to_what_it_logged(two: Scene) -> None:
    run_id = two.find("model:v0").version.run_id
    assert run_id is not None
    data_subjects.attach(two.store, ann(two), TargetKind.RUN, run_id)
    found = requests.scope(two.store, asked(two))
    assert [item.id for item in found.derived] == [two.find("model:v0").version.version_id]
