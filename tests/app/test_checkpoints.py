"""Signed checkpoints: older ones fit, a ledger cut short or rewritten does not, foreign ones are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from muniment.app import fsck
from muniment.app.proving import checkpoints
from muniment.domain.checkpoint import Checkpoint, log_name
from muniment.domain.values import Json
from tests.app.scene import Scene
from tests.stores import Clock, memory_store


def faults(scene: Scene, note: str, verifier: str | None = None) -> list[str]:
    return list(checkpoints.check(scene.store, note, verifier))


def signed(scene: Scene, **changed: Json) -> str:
    head = scene.store.ledger.head()
    whole = Checkpoint(log_name(scene.store.ledger.origin), head.size, head.root)
    return scene.store.signer.sign(evolve(whole, **changed))


def test_a_checkpoint_fits_for_ever(scene: Scene) -> None:
    first = checkpoints.make(scene.store)
    for text in ("one", "two"):
        scene.log("images", text)
        second = checkpoints.make(scene.store)
    scene.delete("images:v0")
    for note in (first, second):
        assert faults(scene, note) == []
        assert faults(scene, note, scene.store.signer.verifier_key()) == []
    assert list(fsck.check(scene.store, checkpoint=first)) == []


def test_a_ledger_that_lost_its_end_is_told(scene: Scene) -> None:
    size = scene.seq
    (text,) = faults(scene, signed(scene, size=size + 3))
    assert text.startswith(f"events {size + 1} to {size + 3} are missing: the checkpoint was signed over {size + 3}")
    assert [fault.kind for fault in fsck.check(scene.store, checkpoint=signed(scene, size=size + 1))] == ["checkpoint"]


def test_a_rewritten_ledger_is_told(scene: Scene) -> None:
    scene.log("images", "one")
    size = scene.seq
    note = signed(scene, root=b"\x01" * 32)
    scene.log("images", "two")
    (text,) = faults(scene, note)
    assert f"an event up to {size} was rewritten" in text
    assert len(faults(scene, signed(scene, size=size - 1))) == 1


def test_a_checkpoint_of_another_ledger_is_told(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    store = memory_store(folder)
    other = Scene(store, Clock())
    note = checkpoints.make(store)
    (text,) = faults(scene, note)
    assert "the checkpoint cannot be trusted" in text
    (text,) = faults(scene, note, store.signer.verifier_key())
    assert text == (
        f"the checkpoint is about {log_name(store.ledger.origin)}, this ledger is {log_name(scene.store.ledger.origin)}"
    )
    assert faults(other, note) == []


@pytest.mark.parametrize("damage", ["", "nonsense", "{note}{note}"])
def test_what_is_no_checkpoint_is_told(scene: Scene, damage: str) -> None:
    (text,) = faults(scene, damage.format(note=checkpoints.make(scene.store)))
    assert "the checkpoint cannot be trusted" in text


def test_a_changed_note_is_not_trusted(scene: Scene) -> None:
    scene.log("images", "one")
    note = checkpoints.make(scene.store)
    lines = note.split("\n")
    lines[1] = str(int(lines[1]) - 1)
    (text,) = faults(scene, "\n".join(lines))
    assert "the checkpoint cannot be trusted" in text
    (text,) = faults(scene, note, "no key")
    assert "the checkpoint cannot be trusted" in text


def test_the_key_of_a_store_stays(scene: Scene, tmp_path: Path) -> None:
    key = scene.store.signer.verifier_key()
    again = evolve(scene.store)
    assert again.signer.verifier_key() == key
    assert (tmp_path / "signing.key").stat().st_mode & 0o777 == 0o600
