"""A witness sees a ledger grow, keeps evidence if it did not, and stops a store whose database was put back."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from attrs import evolve

from muniment.adapters import signing
from muniment.adapters.key_file import overwrite
from muniment.adapters.witness_folder import WitnessFolder, newest_note
from muniment.app import bootstrap, config, fsck, registries
from muniment.app.proving import checkpoints, keys, rollback, witness
from muniment.app.proving.proofs import Prover, prove_consistency, prove_event
from muniment.app.proving.verifying import Trust, verify
from muniment.domain.checkpoint import Checkpoint, SignedNote, log_name
from muniment.domain.errors import (
    ConflictError,
    CorruptError,
    InvalidNameError,
    InvalidValueError,
    KeyFileError,
    MunimentError,
    NotFoundError,
    ProofError,
    RolledBackError,
    SplitViewError,
    StorageError,
)
from muniment.domain.key_chain import Rotation, split, trusted
from muniment.domain.merkle import EMPTY_ROOT
from muniment.domain.proof_file import ConsistencyFile
from tests.app.exported import by_program
from tests.app.scene import Scene

NOW = 1_700_000_000_000_000
NOTARY = signing.Notary()


@pytest.fixture
def seeing(scene: Scene, tmp_path: Path) -> WitnessFolder:
    found = WitnessFolder.init(tmp_path / "witness", "dpo.example.org/w1")
    found.watch(scene.store.signer.verifier_key())
    return found


def show(seeing: WitnessFolder, scene: Scene, old: int | None = None, now: int = NOW) -> str:
    """Let a witness see the ledger as it is."""
    seen = seeing.seen(log_name(scene.store.ledger.origin))
    size = old if old is not None else 0 if seen is None else Checkpoint.parse(SignedNote.parse(seen).text).size
    return witness.add(seeing, NOTARY, prove_consistency(scene.store, size), now)


def size_of(note: str | None) -> int:
    return Checkpoint.parse(SignedNote.parse(note or "").text).size


def test_a_witness_signs_what_continues_what_it_saw(scene: Scene, seeing: WitnessFolder, tmp_path: Path) -> None:
    show(seeing, scene)
    for text in ("one", "two"):
        scene.log("images", text)
        note = show(seeing, scene)
    assert show(seeing, scene, now=NOW + 60_000_000) != note
    assert size_of(seeing.seen(log_name(scene.store.ledger.origin))) == scene.seq
    assert NOTARY.cosigned_at(note, seeing.verifier_key()) == NOW // 10**6
    proof = tmp_path / "it"
    proof.write_text(prove_event(scene.store, 3, note=note), encoding="utf-8")
    key = scene.store.signer.verifier_key()
    verdict = verify(proof, Trust.of(NOTARY, key, (seeing.verifier_key(),)))
    assert verdict.proved[1] == "witness dpo.example.org/w1 saw it at 2023-11-14T22:13:20.000000Z"
    (tmp_path / "witness.key").write_text(f"{seeing.verifier_key()}\n", encoding="utf-8")
    for shown in (seeing.verifier_key(), tmp_path / "witness.key"):
        status, said = by_program(proof, "--key", key, "--witness", shown)
        assert (status, verdict.proved[1] in said) == (0, True)
    proof.write_text(prove_event(scene.store, 3), encoding="utf-8")
    with pytest.raises(ProofError, match="did not sign"):
        verify(proof, Trust.of(NOTARY, key, (seeing.verifier_key(),)))
    assert by_program(proof, "--key", key, "--witness", seeing.verifier_key())[0] == 1
    forged = note.replace(note.splitlines()[-1][-12:], "AAAAAAAAAAA=")
    with pytest.raises((CorruptError, InvalidValueError)):
        NOTARY.cosigned_at(forged, seeing.verifier_key())


def test_a_witness_never_goes_back(scene: Scene, seeing: WitnessFolder) -> None:
    early = prove_consistency(scene.store, 0)
    scene.log("images", "one")
    show(seeing, scene)
    seen = seeing.seen(log_name(scene.store.ledger.origin))
    with pytest.raises(ConflictError, match="if the ledger has no more, it was rolled back"):
        witness.add(seeing, NOTARY, early, NOW)
    with pytest.raises(ConflictError, match="the proof begins at 0 — make it from"):
        show(seeing, scene, old=0)
    assert seeing.seen(log_name(scene.store.ledger.origin)) == seen


def test_of_two_at_once_one_wins_and_nothing_goes_back(scene: Scene, seeing: WitnessFolder) -> None:
    show(seeing, scene)
    start = scene.seq
    requests = []
    for text in "abcdef":
        scene.log("images", text)
        requests.append(prove_consistency(scene.store, start))
    verdicts: list[str] = []

    def ask(request: str) -> None:
        try:
            verdicts.append(witness.add(WitnessFolder.at(seeing.path), NOTARY, request, NOW))
        except ConflictError:
            verdicts.append("")

    threads = [threading.Thread(target=ask, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [note for note in verdicts if note]
    assert len(verdicts) == 6
    assert seeing.seen(log_name(scene.store.ledger.origin)) == won


def test_a9_the_same_key_with_two_histories_leaves_evidence(
    scene: Scene, seeing: WitnessFolder, tmp_path: Path
) -> None:
    show(seeing, scene)
    seen = seeing.seen(log_name(scene.store.ledger.origin))
    head = scene.store.ledger.head()
    scene.log("images", "one")
    honest = Prover.of(scene.store).consistency(head.size)
    for size, hashes in ((head.size, ()), (scene.seq, honest.hashes)):
        other = scene.store.signer.sign(Checkpoint(log_name(scene.store.ledger.origin), size, b"\x07" * 32))
        request = ConsistencyFile(head.size, hashes, SignedNote.parse(other)).render()
        with pytest.raises(SplitViewError, match="it has two histories, or the proof was changed") as caught:
            witness.add(seeing, NOTARY, request, NOW)
        place = seeing.path / str(caught.value).rpartition(" in ")[2]
        assert (place / "seen.note").read_text(encoding="utf-8") == seen
        assert (place / "shown.note").read_text(encoding="utf-8") == other
    assert seeing.seen(log_name(scene.store.ledger.origin)) == seen
    for note in ("seen.note", "shown.note"):  # both are signed by the ledger's key: it cannot deny either
        path = tmp_path / note
        path.write_text((place / note).read_text(encoding="utf-8"), encoding="utf-8")
        assert verify(path, Trust.of(NOTARY, scene.store.signer.verifier_key()))


def test_what_a_witness_does_not_know_is_refused(scene: Scene, seeing: WitnessFolder, tmp_path: Path) -> None:
    stranger = signing.SigningKey.create(tmp_path / "stranger.key", "muniment/" + "00" * 16)
    empty = stranger.sign(Checkpoint(stranger.name, 0, EMPTY_ROOT))
    with pytest.raises(NotFoundError, match="does not watch"):
        witness.add(seeing, NOTARY, f"old 0\n\n{empty}", NOW)
    impostor = signing.SigningKey.create(tmp_path / "impostor.key", log_name(scene.store.ledger.origin))
    forged = impostor.sign(Checkpoint(impostor.name, 1, b"\x01" * 32))
    with pytest.raises(InvalidValueError, match="is not signed by"):
        witness.add(seeing, NOTARY, f"old 0\n\n{forged}", NOW)
    with pytest.raises(ConflictError, match="with another key"):
        seeing.watch(impostor.verifier_key())
    with pytest.raises(ConflictError, match="is a witness"):
        WitnessFolder.init(seeing.path, "another.example.org")
    with pytest.raises(NotFoundError, match="no witness"):
        WitnessFolder.at(tmp_path / "nowhere")
    for name in ("plain", "two words.org", ""):
        with pytest.raises((InvalidNameError, InvalidValueError)):
            WitnessFolder.init(tmp_path / "new", name)
    for request in ("", "old 01\n\n" + forged, "old 0\nAAAA\n\n" + forged, "new 0\n\n" + forged, "old 9\n\n" + forged):
        with pytest.raises((InvalidValueError, ConflictError)):
            witness.add(seeing, NOTARY, request, NOW)


# --- the database is put back ----------------------------------------------------------------------------------------


def settings(home: Path, **more: str) -> config.Config:
    return config.load({"MUNIMENT_HOME": str(home), "MUNIMENT_ACTOR": "ada", **more})


def test_a8_a_database_that_was_put_back_is_not_written(tmp_path: Path) -> None:
    home, yesterday = tmp_path / "home", tmp_path / "yesterday.sqlite3"
    store = bootstrap.open_store(settings(home))
    seeing = WitnessFolder.init(tmp_path / "witness", "dpo.example.org/w1")
    seeing.watch(store.signer.verifier_key())
    store.ledger.close()
    shutil.copy(home / "ledger.sqlite3", yesterday)
    today = bootstrap.open_store(settings(home))
    registries.create(today, "local", "gold")
    size = today.ledger.head().size
    note = witness.add(seeing, NOTARY, prove_consistency(today, 0), NOW)
    assert rollback.keep(today, note) == size
    today.ledger.close()
    again = bootstrap.open_store(settings(home))
    assert again.alarm is None
    again.ledger.close()
    shutil.copy(yesterday, home / "ledger.sqlite3")
    for more in ({}, {"MUNIMENT_WITNESS": str(seeing.path)}):
        back = bootstrap.open_store(settings(home, **more))
        assert back.alarm is not None
        assert back.alarm.startswith(f"the database was rolled back: a witness saw {size} events, there are ")
        with pytest.raises(RolledBackError, match="rolled back"):
            registries.create(back, "local", "silver")
        assert len(list(back.ledger.read())) == back.ledger.head().size < size
        assert [fault.kind for fault in fsck.check(back)] == ["witness"]
        back.ledger.close()
        (home / rollback.KEPT).unlink(missing_ok=True)
    with pytest.raises(RolledBackError, match="rolled back"):
        bootstrap.open_store(settings(home, MUNIMENT_ACTOR="bob", MUNIMENT_WITNESS=str(seeing.path)))


def test_another_ledger_of_the_same_length_is_noticed_too(scene: Scene, tmp_path: Path) -> None:
    ledger, signer = scene.store.ledger, scene.store.signer
    other = signer.sign(Checkpoint(log_name(ledger.origin), scene.seq, b"\x07" * 32))
    assert rollback.found(ledger, []) is None
    assert rollback.found(ledger, [checkpoints.make(scene.store)]) is None
    assert (rollback.found(ledger, [other]) or "").startswith("the database was exchanged")
    assert "cannot be used" in (rollback.found(ledger, ["nonsense"]) or "")
    stranger = signing.SigningKey.create(tmp_path / "other.key", "muniment/" + "00" * 16)
    assert "is about muniment/0000" in (
        rollback.found(ledger, [stranger.sign(Checkpoint(stranger.name, 0, EMPTY_ROOT))]) or ""
    )
    with pytest.raises(ConflictError, match="exchanged"):
        rollback.keep(scene.store, other)
    early = checkpoints.make(scene.store)
    scene.log("images", "one")
    assert rollback.keep(scene.store, checkpoints.make(scene.store)) == scene.seq
    with pytest.raises(ConflictError, match="newer note is kept"):
        rollback.keep(scene.store, early)
    assert newest_note(tmp_path, "a") != newest_note(tmp_path, "b")


# --- keys ------------------------------------------------------------------------------------------------------------


def test_checkpoints_verify_along_the_chain_of_keys(scene: Scene, tmp_path: Path, seeing: WitnessFolder) -> None:
    first = scene.store.signer.verifier_key()
    old_key = (tmp_path / "signing.key").read_bytes()
    show(seeing, scene)
    early = checkpoints.make(scene.store)
    second = keys.rotate(scene.store)
    scene.log("images", "one")
    middle = checkpoints.make(scene.store)
    third = keys.rotate(scene.store)
    late = checkpoints.make(scene.store)
    chain = scene.store.signer.chain()
    assert len({first, second, third}) == 3
    assert len(split(chain)) == 2
    assert scene.store.signer.verifier_key() == third
    assert old_key not in [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for key in (first, second, third):
        for number, note in enumerate((early, middle, late)):
            path = tmp_path / f"{number}.note"
            path.write_text(note, encoding="utf-8")
            assert verify(path, Trust.of(NOTARY, key, chain=chain))
        (tmp_path / "chain").write_text(chain, encoding="utf-8")
        notes = [tmp_path / f"{number}.note" for number in range(3)]
        status, said = by_program(*notes, "--key", key, "--chain", tmp_path / "chain")
        assert (status, "3 of 3 hold" in said) == (0, True)
        assert list(checkpoints.check(scene.store, early, key)) == []
    assert list(checkpoints.check(scene.store, early)) == []
    with pytest.raises(InvalidValueError, match="is not signed by"):
        show(seeing, scene)
    request = prove_consistency(scene.store, size_of(early))
    assert size_of(witness.add(seeing, NOTARY, request, NOW, chain)) == scene.seq
    scene.log("images", "two")
    assert show(seeing, scene)


def test_a10_a_key_that_the_old_one_did_not_sign_is_refused(scene: Scene, tmp_path: Path) -> None:
    first = scene.store.signer.verifier_key()
    old = signing.SigningKey.load(tmp_path / "signing.key", scene.store.signer.name)  # type: ignore[attr-defined]
    head = scene.store.ledger.head()
    here = Checkpoint(old.name, head.size, head.root)
    mine = signing.SigningKey.create(tmp_path / "mine.key", old.name)
    text = Rotation(here, first, mine.verifier_key()).text()
    alone = mine.sign_text(text)
    note = mine.sign(here)
    path = tmp_path / "note"
    path.write_text(note, encoding="utf-8")
    with pytest.raises(InvalidValueError, match="is not signed by"):
        verify(path, Trust.of(NOTARY, first))
    with pytest.raises(InvalidValueError, match="is not signed by"):
        verify(path, Trust.of(NOTARY, first, chain=alone))
    (tmp_path / "chain").write_text(alone, encoding="utf-8")
    assert by_program(path, "--key", first, "--chain", tmp_path / "chain")[0] == 1
    assert by_program(path, "--key", first)[0] == 1
    keys.rotate(scene.store)
    chain = scene.store.signer.chain()
    scene.log("images", "one")
    head = scene.store.ledger.head()
    path.write_text(old.sign(Checkpoint(old.name, head.size, head.root)), encoding="utf-8")
    with pytest.raises(ProofError, match="a key that was replaced at"):
        verify(path, Trust.of(NOTARY, first, chain=chain))
    (tmp_path / "chain").write_text(chain, encoding="utf-8")
    assert by_program(path, "--key", first, "--chain", tmp_path / "chain")[0] == 1
    forked = Rotation(here, first, mine.verifier_key()).text()
    signatures = (
        *SignedNote.parse(old.sign_text(forked)).signatures,
        *SignedNote.parse(mine.sign_text(forked)).signatures,
    )
    fork = SignedNote(forked, signatures).render()
    with pytest.raises(ProofError, match="by two different ones"):
        trusted(first, split(chain + fork), NOTARY.open_note)
    (tmp_path / "chain").write_text(chain + fork, encoding="utf-8")
    assert by_program(path, "--key", first, "--chain", tmp_path / "chain")[0] == 1
    path.write_text(note, encoding="utf-8")
    for nonsense in ("nonsense", f"x\n{chain}", chain.replace("muniment-key-rotation/v1", "muniment-key-rotation/v2")):
        with pytest.raises(MunimentError):
            trusted(first, split(nonsense), NOTARY.open_note)
        (tmp_path / "chain").write_text(nonsense, encoding="utf-8")
        assert "the chain does not begin with" in by_program(path, "--key", first, "--chain", tmp_path / "chain")[1]


def test_a_replacement_that_was_interrupted_is_brought_to_its_end(scene: Scene, tmp_path: Path) -> None:
    before = scene.store.signer.verifier_key()
    name = log_name(scene.store.ledger.origin)
    head = scene.store.ledger.head()
    loose = signing.SigningKey.create(tmp_path / "signing.next", name)
    assert scene.store.signer.verifier_key() == before  # made, not announced: the old one is in force
    with pytest.raises(KeyFileError, match="is there already"):
        keys.rotate(scene.store)
    old = signing.SigningKey.load(tmp_path / "signing.key", name)
    text = Rotation(Checkpoint(name, head.size, head.root), before, loose.verifier_key()).text()
    both = [*SignedNote.parse(old.sign_text(text)).signatures, *SignedNote.parse(loose.sign_text(text)).signatures]
    overwrite(tmp_path / "signing.chain", SignedNote(text, tuple(both)).render().encode())
    assert scene.store.signer.verifier_key() == loose.verifier_key()
    assert not (tmp_path / "signing.next").exists()
    assert evolve(scene.store).signer.chain() == scene.store.signer.chain() != ""


def test_a_witness_whose_making_was_interrupted_is_made_to_its_end(tmp_path: Path) -> None:
    begun = signing.SigningKey.create(tmp_path / "witness.key", "dpo.example.org/w1")
    with pytest.raises(NotFoundError, match="there is no witness"):
        WitnessFolder.at(tmp_path)
    assert WitnessFolder.init(tmp_path, "dpo.example.org/w1").verifier_key() == begun.cosigner_key()
    with pytest.raises(ConflictError, match="there is a witness"):
        WitnessFolder.init(tmp_path, "dpo.example.org/w2")


def test_a_folder_that_is_no_longer_that_of_a_witness_is_said(scene: Scene, seeing: WitnessFolder) -> None:
    origin = log_name(scene.store.ledger.origin)
    logs = newest_note(seeing.path, origin).parent
    (logs / "newest.note").write_bytes(b"\xff")
    with pytest.raises(CorruptError, match=r"newest\.note is damaged: it is no text"):
        seeing.seen(origin)
    (logs / "evidence").touch()
    with pytest.raises(KeyFileError, match="evidence"):
        seeing.accuse(origin, "one", "other")
    shutil.rmtree(logs)
    logs.touch()
    with pytest.raises(KeyFileError, match="Not a directory"):
        seeing.seen(origin)
    (seeing.path / "lock").unlink()
    (seeing.path / "lock").mkdir()
    with pytest.raises(StorageError, match="cannot be used"):
        seeing.watch(scene.store.signer.verifier_key())
    (seeing.path / "name").write_bytes(b"\xff")
    with pytest.raises(CorruptError, match="name is damaged"):
        WitnessFolder.at(seeing.path)
