"""What is proved of a ledger holds for whoever has its key alone, and nothing that was changed does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from muniment.adapters import signing
from muniment.app import canonical, registries
from muniment.app.proving import checkpoints
from muniment.app.proving.entries import EntryFile, prove_entry
from muniment.app.proving.facts import FactFile, prove_fact
from muniment.app.proving.proofs import Prover, prove_consistency, prove_event, shown
from muniment.app.proving.verifying import Trust, verify, verify_consistency
from muniment.domain import base64
from muniment.domain.checkpoint import Checkpoint, SignedNote, log_name
from muniment.domain.errors import (
    CorruptError,
    InvalidValueError,
    MunimentError,
    NotFoundError,
    ProofError,
)
from muniment.domain.merkle import EMPTY_ROOT
from muniment.domain.proof_file import ConsistencyFile, InclusionFile
from muniment.domain.values import Ttl
from tests.app.exported import by_program, tell
from tests.app.scene import DAY, Scene
from tests.stores import Clock, memory_store


@pytest.fixture
def told(scene: Scene) -> Scene:
    tell(scene)
    return scene


def trust(scene: Scene) -> Trust:
    return Trust.of(signing.Notary(), scene.store.signer.verifier_key())


def all_of(scene: Scene, tmp_path: Path, texts: dict[str, str]) -> dict[str, tuple[Any, str]]:
    """Verify files by us and, all in one run, by the kit; both must agree on each. Return what both say."""
    paths = {name: tmp_path / f"{number}.file" for number, name in enumerate(texts)}
    for name, path in paths.items():
        path.write_text(texts[name], encoding="utf-8", newline="")
    _, told = by_program(*paths.values(), "--key", scene.store.signer.verifier_key())
    said = {name: part(told, path) for name, path in paths.items()}
    ours: dict[str, Any] = {}
    for name, path in paths.items():
        try:
            ours[name] = verify(path, trust(scene))
        except MunimentError as error:
            ours[name] = error
        assert said[name].startswith("REFUSED" if isinstance(ours[name], MunimentError) else "OK"), (name, said, ours)
    return {name: (ours[name], said[name]) for name in texts}


def part(told: str, path: Path) -> str:
    """Return what the kit says of one file."""
    lines = told.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith((f"OK {path}", f"REFUSED {path}")))
    end = next(at for at in range(start + 1, len(lines)) if not lines[at].startswith("   "))
    return "\n".join(lines[start:end])


def both(scene: Scene, tmp_path: Path, text: str) -> tuple[Any, str]:
    return all_of(scene, tmp_path, {"it": text})["it"]


def test_every_event_can_be_proved(told: Scene, tmp_path: Path) -> None:
    prover = Prover.of(told.store)
    for recorded in told.store.ledger.read():
        event = shown(prover.event(recorded.seq))
        assert (event.seq, event.type, event.words) == (recorded.seq, recorded.type, None)
    verdict, said = both(told, tmp_path, prove_event(told.store, 20, words=True))
    assert f"checkpoint of {told.seq} events" in said
    assert verdict.open == ()
    by_id = next(each.event_id for each in told.store.ledger.read(after=19))
    assert prove_event(told.store, by_id, words=True) == prove_event(told.store, "20", words=True)
    for missing in (0, told.seq + 1, "x", "0" * 32):
        with pytest.raises((InvalidValueError, NotFoundError), match="no event"):
            prove_event(told.store, missing)


def test_words_are_in_a_proof_only_when_asked_for_and_personal_values_never(told: Scene) -> None:
    told.log("secret-name", "x", metadata={"note": "secret-note"})
    for seq in range(1, told.seq + 1):
        assert b"secret" not in (Prover.of(told.store).event(seq).extra or b"")
        extra = canonical.load(Prover.of(told.store).event(seq, words=True).extra or b"", "it")
        assert b"secret-note" not in b"".join(base64.decode(part) or b"" for part in extra.values() if part != 1)


def test_an_older_checkpoint_is_enough(told: Scene, tmp_path: Path) -> None:
    note = checkpoints.make(told.store)
    size = told.seq
    told.log("images", "later")
    verdict, _ = both(told, tmp_path, prove_event(told.store, size, note=note))
    assert verdict.proved[0].startswith(f"checkpoint of {size} events")
    with pytest.raises(InvalidValueError, match=f"no event {size + 1} among the first {size}"):
        prove_event(told.store, size + 1, note=note)


def swap(number: int, line: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[:number], line, *lines[number + 1 :]]


A12: dict[str, Callable[[list[str]], list[str]]] = {
    "index too large": swap(2, "index 999999"),
    "another index": swap(2, "index 3"),
    "index with a zero": swap(2, "index 019"),
    "huge index": swap(2, "index 99999999999999999999"),
    "negative index": swap(2, "index -1"),
    "no index": lambda lines: [*lines[:2], *lines[3:]],
    "a hash less": lambda lines: [*lines[:3], *lines[4:]],
    "a hash more": lambda lines: [*lines[:3], lines[3], *lines[3:]],
    "no hash": lambda lines: [*lines[:3], *lines[lines.index("") :]],
    "a hash changed": swap(3, base64.encode(b"\x07" * 32)),
    "a short hash": swap(3, base64.encode(b"\x07" * 31)),
    "a hash without padding": lambda lines: [*lines[:3], lines[3].rstrip("="), *lines[4:]],
    "hashes reversed": lambda lines: [*lines[:3], *lines[3 : lines.index("")][::-1], *lines[lines.index("") :]],
    "another first line": swap(0, "c2sp.org/tlog-proof@v2"),
    "no event": lambda lines: [lines[0], *lines[2:]],
    "a node as a leaf": lambda lines: [
        lines[0],
        "extra "
        + base64.encode(
            canonical.encode({"v": 1, "leaf": base64.encode(b"\x01" * 64), "facts": "", "facts_blind": ""})
        ),
        *lines[2:],
    ],
    "line ends of windows": lambda lines: [f"{line}\r" for line in lines],
    "the size of the checkpoint": lambda lines: [
        line if line != lines[lines.index("") + 2] else f"0{line}" for line in lines
    ],
    "no signature": lambda lines: [*lines[:-2], ""],
    "a signature changed": lambda lines: [*lines[:-2], lines[-2][:-8] + "AAAAAAA=", ""],
}


def test_a_proof_that_was_tampered_with_is_refused(told: Scene, tmp_path: Path) -> None:
    lines = prove_event(told.store, 20).split("\n")
    texts = {abuse: "\n".join(tamper(lines)) for abuse, tamper in A12.items()}
    whole, origin = InclusionFile.parse("\n".join(lines)), log_name(told.store.ledger.origin)
    for name, size, root in (
        ("of nothing", 0, EMPTY_ROOT),
        ("of one", 1, whole.checkpoint.root),
        ("huge", 2**62, b"\7" * 32),
    ):
        note = SignedNote.parse(told.store.signer.sign(Checkpoint(origin, size, root)))
        texts[f"checkpoint {name}"] = InclusionFile(0, (), note, whole.extra).render()
    for abuse, (error, _) in all_of(told, tmp_path, texts).items():
        assert isinstance(error, ProofError | InvalidValueError | CorruptError), abuse


def test_what_a_proof_shows_of_its_event_cannot_be_changed(told: Scene, tmp_path: Path) -> None:
    proof = Prover.of(told.store).event(20, words=True)
    held = canonical.load(proof.extra or b"", "it")
    texts = {}
    for name in ("leaf", "facts", "facts_blind", "words", "words_blind"):
        content = bytearray(base64.decode(held[name]) or b"")
        content[len(content) // 2] ^= 1
        extra = canonical.encode({**held, name: base64.encode(bytes(content))})
        texts[name] = InclusionFile(proof.index, proof.hashes, proof.note, extra).render()
    for name in ("words", "words_blind", "more"):  # a member of another name would hide words without a trace
        extra = canonical.encode({**{key: held[key] for key in held if key != name}, f"{name}s": held.get(name, "")})
        texts[f"{name} called otherwise"] = InclusionFile(proof.index, proof.hashes, proof.note, extra).render()
    for name, (error, _) in all_of(told, tmp_path, texts).items():
        assert isinstance(error, ProofError), name


def test_a_checkpoint_by_another_key_is_refused(told: Scene, tmp_path: Path) -> None:
    text = prove_event(told.store, 20)
    folder = tmp_path / "other"
    folder.mkdir()
    other = Scene(memory_store(folder), Clock())
    error, said = both(other, tmp_path, text)
    assert isinstance(error, InvalidValueError)
    assert "not signed by the key that you trust" in said


# --- two checkpoints -------------------------------------------------------------------------------------------------


def test_a_newer_checkpoint_continues_an_older_one(told: Scene, tmp_path: Path) -> None:
    older = checkpoints.make(told.store)
    size = told.seq
    told.log("images", "later")
    proof = prove_consistency(told.store, older)
    assert proof == prove_consistency(told.store, size)
    verdict = verify_consistency(older, proof, trust(told), checkpoints.make(told.store))
    assert verdict.proved[-1] == f"it begins with the {size} events of the older checkpoint"
    for name, text in (("old", older), ("proof", proof)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    key = told.store.signer.verifier_key()
    status, said = by_program(tmp_path / "old", "--key", key, "--consistency", tmp_path / "proof")
    assert (status, f"begins with the {size} events" in said) == (0, True)
    asked = ConsistencyFile.parse(proof)
    shorter = ConsistencyFile(asked.old, asked.hashes[1:], asked.note).render()
    with pytest.raises(ProofError):
        verify_consistency(older, shorter, trust(told))
    (tmp_path / "proof").write_text(shorter, encoding="utf-8")
    assert by_program(tmp_path / "old", "--key", key, "--consistency", tmp_path / "proof")[0] == 1
    (tmp_path / "event").write_text(prove_event(told.store, 3), encoding="utf-8")
    status, said = by_program(tmp_path / "event", "--key", key, "--consistency", tmp_path / "proof")
    assert (status, "goes with a checkpoint" in said) == (1, True)
    with pytest.raises(ProofError, match="another checkpoint than the newer one"):
        verify_consistency(older, proof, trust(told), older)
    with pytest.raises(InvalidValueError, match="not newer"):
        prove_consistency(told.store, told.seq + 1)


# --- facts -----------------------------------------------------------------------------------------------------------


def test_where_an_alias_pointed_at_a_moment_is_proved(told: Scene, tmp_path: Path) -> None:
    version = told.find("images:v1").version.version_id
    seq = next(each.seq for each in told.store.ledger.read() if getattr(each.event, "to", None) == version)
    fact = prove_fact(told.store, "images:production", at=seq, words=True)
    verdict, said = both(told, tmp_path, fact.render())
    proved = "\n".join(verdict.proved)
    assert f"points at version {version}" in proved
    assert f"version {version} is v1 of artifact" in proved
    assert "the alias is called 'production'" in proved
    assert "is called 'images'" in proved
    assert "nothing else happened to it until" in proved
    assert verdict.open == ()
    assert "nothing else happened to it until" in said


def test_an_alias_that_was_not_there_is_not_proved(told: Scene) -> None:
    with pytest.raises(NotFoundError, match="cannot be proved — name one that was there then"):
        prove_fact(told.store, "images:never")


def test_what_came_after_the_last_event_is_left_open(told: Scene, tmp_path: Path) -> None:
    verdict, said = both(told, tmp_path, prove_fact(told.store, "images:production").render())
    (unproved,) = verdict.open
    assert "that no event after" in unproved
    assert "NOT proved: that no event after" in said
    assert "images" not in said


def test_other_facts_about_versions_are_proved(told: Scene, tmp_path: Path) -> None:
    told.edit("images:v2", ttl=Ttl.after(7 * DAY))
    told.log("other", "y", "gone")
    told.delete("images:v0")
    for text, about, wanted in (
        ("images:v1", None, "is v1 of artifact"),
        ("images:v2", "ttl", f"has the TTL {7 * DAY} µs"),
        ("images:v0", "deleted", "was deleted"),
    ):
        verdict, _ = both(told, tmp_path, prove_fact(told.store, text, about=about).render())
        assert wanted in "\n".join(verdict.proved)
    for text, about in (("images:v1", "ttl"), ("images:nowhere", None), ("images:v1", "linked")):
        with pytest.raises((NotFoundError, InvalidValueError)):
            prove_fact(told.store, text, about=about)


def test_a_link_is_proved(told: Scene, tmp_path: Path) -> None:
    registries.create(told.store, "local", "gold")
    told.link("images:v1", "gold/best", "approved")
    for text in ("wandb-registry-gold/best:v0", "wandb-registry-gold/best:approved"):
        verdict, _ = both(told, tmp_path, prove_fact(told.store, text, words=True).render())
        assert "is v0 of collection" in "\n".join(verdict.proved)


def test_a_fact_from_which_something_was_left_out_is_refused(told: Scene, tmp_path: Path) -> None:
    fact = prove_fact(told.store, "images:production")
    moves = [each.seq for each in told.store.ledger.read() if each.stream == shown(fact.run[0]).stream]
    prover = Prover.of(told.store)
    moved = [prover.event(seq) for seq in moves]
    first, second, third, *_ = moved
    later = told.store.ledger.head().recorded_at
    told.log("images", "more")
    at_other = Prover.of(told.store).event(moves[0])
    wrong = {
        "a move left out": FactFile("alias", later, (first, third), ()),
        "decided again later": FactFile("alias", later, (first, second, third), ()),
        "before it happened": FactFile("alias", 5, (first,), ()),
        "another kind": FactFile("ttl", later, (first,), ()),
        "two checkpoints": FactFile("alias", later, (third,), (at_other,)),
        "an event about something else": FactFile("alias", later, tuple(moved[-1:]), (prover.event(1),)),
    }
    for name, (error, said) in all_of(told, tmp_path, {name: file.render() for name, file in wrong.items()}).items():
        assert isinstance(error, ProofError), (name, said)
    with pytest.raises(ProofError, match="says nothing about what is to be proved"):
        FactFile("alias", later, (moved[-1],), (prover.event(1),)).judge()
    for text in ("{}", '{"kind":"muniment-fact/v1"}', fact.render().replace('"about":"alias"', '"about":"other"')):
        with pytest.raises(InvalidValueError):
            FactFile.parse(text)


# --- entries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 64, 65, 200, 5000])
def test_an_entry_is_there_or_not(scene: Scene, tmp_path: Path, count: int) -> None:
    files = {f"d/{number * 2:06}": str(number % 7) for number in range(count)}
    scene.log("many", files)
    there = [f"d/{number * 2:06}" for number in {0, count // 2, count - 1}]
    absent = ["", "a", "z", "d/000000x", *(f"d/{number * 2 + 1:06}" for number in {0, 31, 63, count // 2, count - 1})]
    texts = {path: prove_entry(scene.store, "many:v0", path).render() for path in (*there, *absent)}
    for path, (verdict, said) in all_of(scene, tmp_path, texts).items():
        wanted = f"the version holds {path!r}: size 1" if path in there else f"the version holds no {path!r}"
        assert wanted in verdict.proved[-1]
        assert wanted in said


def test_a_false_proof_about_an_entry_is_refused(scene: Scene, tmp_path: Path) -> None:
    scene.log("many", {f"d/{number:06}": "x" for number in range(5000)})
    scene.log("other", {"d/000000": "y"})
    there = prove_entry(scene.store, "many:v0", "d/000700").render()
    absent = prove_entry(scene.store, "many:v0", "d/000700x").render()
    stranger = prove_entry(scene.store, "other:v0", "d/000000")
    held = json.loads(there)
    changes: list[dict[str, Any]] = [
        {"path": "d/900000"},
        {"total": held["total"] - 1},
        {"leaves": held["leaves"] + 1},
        {"root": "00" * 32},
        {"digest": "00" * 32},
        {"shown": []},
        {"shown": [{**held["shown"][0], "blocks": []}]},
        {"shown": [{**held["shown"][0], "first": "d/"}]},
        {"shown": [{**held["shown"][0], "count": 64}]},
        {"shown": [{**held["shown"][0], "number": held["shown"][0]["number"] + 1}]},
        {"created": stranger.created.render()},
    ]
    texts = {repr(change)[:60]: canonical.encode({**held, **change}).decode() + "\n" for change in changes}
    gap = json.loads(absent)  # one neighbour is not enough
    for block in gap["shown"][0]["blocks"]:
        block["rows"] = base64.encode((base64.decode(block["rows"]) or b"")[:-1])
    texts["a row cut off"] = canonical.encode(gap).decode()
    for change, (error, _) in all_of(scene, tmp_path, texts).items():
        assert isinstance(error, ProofError), change
    for text in ("{}", '{"kind":"muniment-entry/v1"}', there.replace("muniment-entry/v1", "muniment-entry/v9")):
        with pytest.raises(InvalidValueError):
            EntryFile.parse(text)


def test_json_of_any_shape_is_refused_and_never_a_crash(told: Scene, tmp_path: Path) -> None:
    fact = json.loads(prove_fact(told.store, "images:production").render())
    entry = json.loads(prove_entry(told.store, "images:v0", "a.txt").render())
    texts = {}
    for kind, held in (("fact", fact), ("entry", entry)):
        for name in held:
            values: tuple[Any, ...] = (None, 7, -1, "x", [], {}, [[]], [{}], [7], ["x"])
            for number, value in enumerate(values):
                changed = canonical.encode({**held, name: value}).decode()
                if json.loads(changed) != held and value != [] and (name, value) != ("path", "x"):
                    texts[f"{kind} {name} {number}"] = changed
        texts[f"{kind} deep"] = '{"kind":' + "[" * 100_000 + "]" * 100_000 + "}"
    for name, (verdict, _) in all_of(told, tmp_path, texts).items():
        assert isinstance(verdict, MunimentError), name


# --- notes ------------------------------------------------------------------------------------------------------------


def test_a11_we_and_the_kit_agree_on_malformed_notes(told: Scene, tmp_path: Path) -> None:
    note = checkpoints.make(told.store)
    origin, size, root, _, line, _ = note.split("\n")
    others = "".join(f"\u2014 other{number} {base64.encode(bytes(68))}\n" for number in range(17))
    unknown = f"\u2014 {origin} {base64.encode(bytes([6]) * 2424)}\n"
    refused = {
        "line ends of windows": note.replace("\n", "\r\n"),
        "a size with zeros": note.replace(f"\n{size}\n", f"\n0{size}\n"),
        "a root without padding": note.replace(root, root.rstrip("=")),
        "a size of three digits": note.replace(f"\n{size}\n", "\n007\n"),
        "a signature without padding": note.replace(line, line.rstrip("=")),
        "a signature in the text": f"{note}\n{line}\n",
        "a signature before the text": f"{line}\n{note}",
        "an extension line": note.replace(f"{root}\n", f"{root}\nextension\n"),
        "a second empty line": f"{note}\n",
        "no last line end": note[:-1],
        "a dash that is no dash": note.replace("\u2014", "-"),
        "a signature cut short": note.replace(line, line[:-8]),
        "a second signature of the key that is wrong": f"{note}{line[:-8]}AAAAAAA=\n",
        "101 signatures": note + f"{line}\n" * 100,
        "nothing": "",
    }
    accepted = {
        "the same signature twice": f"{note}{line}\n",
        "17 others": note + others,
        "others first": note.replace(line, f"{others}{line}"),
        "a kind of signature that is not known": note + unknown,
    }
    for name, (verdict, _) in all_of(told, tmp_path, {**refused, **accepted}).items():
        assert isinstance(verdict, MunimentError) == (name in refused), name
