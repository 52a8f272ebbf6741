"""What we sign and prove holds for programs that share no code with us: openssl, Go's sumdb, and the auditor kit."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from attrs import frozen

from muniment.adapters import signing
from muniment.app import lifecycle, registries
from muniment.app.proving import checkpoints, keys
from muniment.app.proving.facts import FactFile, prove_fact
from muniment.app.proving.proofs import prove_consistency, prove_event
from muniment.app.proving.verifying import Trust, verify
from muniment.app.store import Store
from muniment.domain import base64
from muniment.domain.checkpoint import SignedNote
from muniment.domain.errors import MunimentError
from muniment.domain.fact import DECIDING
from muniment.domain.values import Ttl
from tests.acts import Acts
from tests.app.exported import by_program
from tests.stores import sqlite_store

GO = Path(__file__).resolve().parents[1] / "independent" / "verify.go"
GOPATH = Path("/usr/share/gocode")
FACTS = 1000
VERSIONS = 240
OTHERS = 30
"""How many versions have a TTL, are deleted and are linked, before the first moment that is asked about."""
CHANGES = 40
"""In how many proofs one byte is changed."""


@frozen
class Exported:
    """What an outsider has: the key, proofs of facts, and checkpoints with what leads from each to the last."""

    store: Store
    key: str
    facts: list[Path]
    notes: list[Path]
    continued: list[Path]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("store")
    store = sqlite_store(folder)
    acts, chance = Acts(store), random.Random(7)
    happen_once(acts)
    begin, notes = store.ledger.head().size, []
    for number in range(VERSIONS):
        acts.log("model", number, aliases=(f"a{number % 7}", "production"))
        if number % 50 == 0:
            notes.append(checkpoints.make(store))
    last = checkpoints.make(store)
    facts, size = [], store.ledger.head().size
    for number in range(FACTS):
        at = chance.randint((begin + size) // 2, size)
        name, about = any_fact(number, chance)
        facts.append(prove_fact(store, name, about=about, at=at, note=last, words=chance.random() < 0.5).render())
    continued = [prove_consistency(store, note, note=last) for note in notes]
    return Exported(
        store,
        store.signer.verifier_key(),
        written(folder, "fact", facts),
        written(folder, "note", notes),
        written(folder, "continued", continued),
    )


def happen_once(acts: Acts) -> None:
    """Let versions get a TTL, be linked, and be deleted."""
    registries.create(acts.store, "local", "gold")
    for number in range(OTHERS):
        acts.log("data", -number)
        acts.edit(f"data:v{number}", ttl=Ttl.after((number + 1) * 3600 * 10**6))
        acts.link(f"data:v{number}", "wandb-registry-gold/best")
        acts.log("old", -number - OTHERS)
        lifecycle.delete(acts.store, acts.find(f"old:v{number}"), delete_aliases=True)


def any_fact(number: int, chance: random.Random) -> tuple[str, str | None]:
    """Return what is to be proved: each kind of fact in turn, about something by chance."""
    one = chance.randrange(OTHERS)
    kinds = [
        ("model:production", None),
        (f"model:a{number % 7}", None),
        (f"model:v{chance.randint(0, VERSIONS // 3)}", None),
        ("model:latest", None),
        (f"data:v{one}", "ttl"),
        (f"old:v{one}", "deleted"),
        (f"wandb-registry-gold/best:v{one}", "linked"),
    ]
    return kinds[number % len(kinds)]


def written(folder: Path, kind: str, texts: list[str]) -> list[Path]:
    paths = [folder / f"{number}.{kind}" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def by_go(key: str, lines: list[str], folder: Path) -> list[str]:
    """Ask Go's sumdb about files, all in one run; where there is no Go this is not tried, but for CI."""
    if shutil.which("go") is None or not (GOPATH / "src/golang.org/x/mod").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("Go or its x/mod is missing: run .ci/setup")
        pytest.skip("Go's x/mod is not here, so proofs were not verified by it: .ci/setup installs it")
    run = subprocess.run(
        ["go", "run", GO, key],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOCACHE": str(folder / "go")},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_a_thousand_random_facts_are_verified_by_us_the_kit_and_go(exported: Exported, tmp_path: Path) -> None:
    trust = Trust.of(signing.Notary(), exported.key)
    assert len(exported.facts) == FACTS
    assert all(verify(path, trust).proved for path in exported.facts)
    kinds = Counter(json.loads(path.read_bytes())["about"] for path in exported.facts)
    assert kinds.keys() == DECIDING.keys()
    assert min(kinds.values()) >= FACTS // 7
    status, said = by_program(*exported.facts, "--key", exported.key, "--quiet")
    assert (status, said) == (0, f"{FACTS} of {FACTS} hold\n")
    proofs = [text for path in exported.facts for text in inner(path)]
    paths = [str(path) for path in written(tmp_path, "tlog-proof", proofs)]
    assert len(paths) > FACTS
    assert by_go(exported.key, paths, tmp_path) == ["ok"] * len(paths)


def flipped(content: bytes, begin: int, end: int, chance: random.Random, *, meant: bool = False) -> bytes:
    """Return the content with another letter or digit in one place; *meant*: not where it only fills up base64.

    In the last letter before a ``=`` the changed bit may stand for nothing: we and the kit refuse it all the same, Go
    does not look at it.
    """
    places = [at for at in range(begin, end) if content[at : at + 1].isalnum()]
    at = chance.choice([at for at in places if not (meant and content[at + 1 : at + 2] == b"=")])
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_one_byte_changed_in_one_proof_is_noticed_by_us_the_kit_and_go(exported: Exported, tmp_path: Path) -> None:
    """What a fact claims to be about is its reader's question: its moment may be another one, and the proof hold."""
    trust, chance = Trust.of(signing.Notary(), exported.key), random.Random(8)
    chosen = chance.sample(range(FACTS), CHANGES)
    whole = [exported.facts[number].read_bytes() for number in chosen]
    facts = [flipped(each, each.index(b'"context"'), len(each), chance) for each in whole if b'"context"' in each]
    paths = [tmp_path / f"{number}.changed" for number in range(len(facts))]
    for path, content in zip(paths, facts, strict=True):
        path.write_bytes(content)
        with pytest.raises(MunimentError):
            verify(path, trust)
    status, said = by_program(*paths, "--key", exported.key, "--quiet")
    assert (status, said.count("REFUSED"), said.splitlines()[-1]) == (1, CHANGES, f"0 of {CHANGES} hold")
    proofs = [inner(exported.facts[number])[0].encode() for number in chosen]
    wrong = [flipped(each, each.index(b"\nindex ") + 7, len(each), chance, meant=True).decode() for each in proofs]
    asked = [str(path) for path in written(tmp_path, "tlog-proof", [proofs[0].decode(), *wrong])]
    told = by_go(exported.key, asked, tmp_path)
    assert (told[0], len(told), told.count("ok")) == ("ok", CHANGES + 1, 1)


def test_a_letter_that_only_fills_up_base64_may_not_be_another_one(exported: Exported, tmp_path: Path) -> None:
    """Go takes it where what it stands for is the same."""
    trust, whole = Trust.of(signing.Notary(), exported.key), exported.facts[0].read_bytes()
    places = [at for at in range(len(whole) - 1) if whole[at : at + 1].isalnum() and whole[at + 1 : at + 2] == b"="]
    assert places
    paths = [tmp_path / f"{at}.changed" for at in places]
    for at, path in zip(places, paths, strict=True):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(MunimentError):
            verify(path, trust)
    status, said = by_program(*paths, "--key", exported.key, "--quiet")
    assert (status, said.count("REFUSED")) == (1, len(places))


def inner(path: Path) -> list[str]:
    """Return the .tlog-proof files that the proof of a fact joins."""
    fact = FactFile.parse(path.read_text(encoding="utf-8"))
    return [proof.render() for proof in (*fact.run, *fact.context)]


def test_go_verifies_that_checkpoints_continue_each_other_and_refuses_what_was_changed(
    exported: Exported, tmp_path: Path
) -> None:
    pairs = [f"{older}\t{proof}" for older, proof in zip(exported.notes, exported.continued, strict=True)]
    text = inner(exported.facts[0])[0]
    wrong = [text.replace("index ", "index 1"), text.replace("\n\n", "\n" + base64.encode(bytes(32)) + "\n\n")]
    wrong += [f"{text[:-8]}AAAA==\n", text.replace("tlog-proof@v1", "tlog-proof@v2")]
    swapped = f"{exported.notes[0]}\t{exported.continued[1]}"
    asked = [*pairs, swapped, *(str(path) for path in written(tmp_path, "wrong", wrong))]
    said = by_go(exported.key, asked, tmp_path)
    assert said[: len(pairs)] == ["ok"] * len(pairs)
    assert len(said) == len(asked)
    assert "ok" not in said[len(pairs) :]


def test_openssl_verifies_the_one_signature_that_all_thousand_facts_rest_on(exported: Exported, tmp_path: Path) -> None:
    (signed,) = {proof.partition("\n\n")[2] for path in exported.facts for proof in inner(path)}
    note = SignedNote.parse(signed)
    prefix = bytes.fromhex("302a300506032b6570032100")
    public = (base64.decode(exported.key.split("+", 2)[2]) or b"")[1:]
    (tmp_path / "key.der").write_bytes(prefix + public)
    (tmp_path / "signature").write_bytes(note.signatures[0].signature)
    for text, status in ((note.text, 0), (note.text.replace("muniment/", "muniment/0"), 1)):
        (tmp_path / "text").write_text(text, encoding="utf-8", newline="")
        command = "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey key.der -sigfile signature -in text"
        run = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False)
        assert run.returncode == status, run.stderr


def test_go_verifies_what_was_signed_after_the_key_was_replaced(exported: Exported, tmp_path: Path) -> None:
    second = keys.rotate(exported.store)
    proof = written(tmp_path, "tlog-proof", [prove_event(exported.store, 5)])
    assert by_go(second, [str(proof[0])], tmp_path) == ["ok"]
    assert "ok" not in by_go(exported.key, [str(proof[0])], tmp_path)
