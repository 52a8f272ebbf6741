"""Deciding step by step: later steps see earlier ones, all is appended at once, and a retry is harmless."""

from __future__ import annotations

import pytest

from muniment.app import directory
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import artifact as artifacts
from muniment.domain.errors import CommandReusedError, NotFoundError, PermissionDeniedError, StorageError
from muniment.domain.principal import Denied, VersionUsed, access_stream
from muniment.domain.rows import ArtifactRow
from muniment.domain.values import CommandId, VersionId
from tests.app.scene import Scene

COMMAND = CommandId("c" * 32)
A, B = "a" * 32, "b" * 32


def create(scene: Scene, steps: Steps, id_: str, name: str) -> None:
    created = artifacts.ArtifactCreated(scene.project.project_id, name, "dataset")
    steps.step(artifacts.ARTIFACT, id_, artifacts.create_artifact, created)


def test_ids_are_32_hexadecimal_characters_and_new() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in ids)


def test_a_step_sees_what_was_decided_before_it(scene: Scene) -> None:
    def decide(steps: Steps) -> list[int]:
        before = steps.position(A)
        create(scene, steps, A, "one")
        assert steps.views.find(ArtifactRow, artifact_id=A) is None
        steps.step(artifacts.ARTIFACT, A, artifacts.rename_artifact, "two")
        create(scene, steps, B, "three")
        again = steps.step(artifacts.ARTIFACT, A, artifacts.rename_artifact, "two")
        assert again == []
        return [before, steps.position(A), steps.position(B)]

    receipt = scene.store.transact(Request("test"), decide)
    assert receipt.answer == [0, 2, 1]
    assert receipt.last_seq is not None
    assert receipt.first_seq is not None
    events = scene.since(receipt.first_seq - 1)
    assert [(each.stream, each.position) for each in events] == [(A, 1), (A, 2), (B, 1)]
    assert [each.seq for each in events] == list(range(receipt.first_seq, receipt.last_seq + 1))
    assert scene.artifact("two").artifact_id == A


def test_facts_that_need_no_decision_follow_what_is_there(scene: Scene) -> None:
    stream = access_stream(scene.store.context.actor)
    for expected in (2, 4):
        used = VersionUsed(VersionId(A))

        def decide(steps: Steps, used: VersionUsed = used) -> int:
            steps.append(stream, used)
            steps.append(stream, used)
            return steps.position(stream)

        assert scene.store.transact(Request("test"), decide).answer == expected


def test_nothing_of_a_command_that_fails_is_kept(scene: Scene) -> None:
    def decide(steps: Steps) -> None:
        create(scene, steps, A, "one")
        msg = "the disk is gone"
        raise StorageError(msg)

    seq = scene.seq
    with pytest.raises(StorageError):
        scene.store.transact(Request("test", command=COMMAND), decide)
    assert scene.happened(seq) == []
    scene.store.transact(Request("test", command=COMMAND), lambda steps: create(scene, steps, A, "one"))
    assert scene.artifact("one").artifact_id == A


def test_a_refusal_is_kept_and_given_again(scene: Scene) -> None:
    def refuse(steps: Steps) -> None:
        create(scene, steps, A, "one")
        msg = "not you"
        raise PermissionDeniedError(msg)

    seq = scene.seq
    for _ in range(2):
        with pytest.raises(PermissionDeniedError, match="not you"):
            scene.store.transact(Request("test", target=B, command=COMMAND), refuse)
    (recorded,) = scene.since(seq)
    assert recorded.event == Denied("PermissionDeniedError", B)
    assert (recorded.stream, recorded.outcome) == (access_stream(scene.store.context.actor), "denied")
    with pytest.raises(NotFoundError):
        scene.artifact("one")


def test_the_same_command_gets_the_same_answer_and_decides_nothing(scene: Scene) -> None:
    decided = []

    def decide(steps: Steps) -> int:
        decided.append(steps.now)
        create(scene, steps, A, "one")
        return len(decided)

    first = scene.store.transact(Request("test", [1], command=COMMAND), decide)
    again = scene.store.transact(Request("test", [1], command=COMMAND), decide)
    assert (again.answer, again.first_seq, again.replayed) == (first.answer, first.first_seq, True)
    assert len(decided) == 1
    for other in (Request("test", [2], command=COMMAND), Request("other", [1], command=COMMAND)):
        with pytest.raises(CommandReusedError):
            scene.store.transact(other, decide)


def test_the_command_of_somebody_else_is_another(scene: Scene) -> None:
    directory.principal(scene.store, "bob")
    bob = scene.by("bob")
    assert scene.store.transact(Request("test", command=COMMAND), lambda _: 1).answer == 1
    assert bob.store.transact(Request("other", command=COMMAND), lambda _: 2).answer == 2


def test_who_acted_where_stands_in_every_event(scene: Scene) -> None:
    run = scene.run("r")
    store = scene.store.acting(source="cli", run=run.run_id)
    receipt = store.transact(Request("test"), lambda steps: create(scene, steps, A, "one"))
    (recorded,) = scene.since((receipt.first_seq or 0) - 1)
    assert (recorded.actor, recorded.source, recorded.run) == (store.context.actor, "cli", run.run_id)
    assert recorded.organisation == store.context.organisation
    assert scene.store.context.source == "sdk"


def test_values_kept_in_one_batch_come_back_by_name(scene: Scene) -> None:
    kept = scene.store.keep(A, one={"a": 1}, none=None, two="text")
    assert kept["none"] is None
    assert kept["one"]
    assert kept["two"]
    slots = [kept["one"].slot, kept["two"].slot]
    assert scene.store.vault.get_many(slots) == {slots[0]: {"a": 1}, slots[1]: "text"}
    assert scene.store.keep(A, none=None) == {"none": None}
