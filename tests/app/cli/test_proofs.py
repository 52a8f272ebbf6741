"""Proving, checking, witnessing and replacing keys on the command line, as an auditor and an owner would."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run
from tests.app.exported import by_program


def test_what_is_proved_here_is_verified_there(muniment: Run, data: Path, tmp_path: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", "-a", "production", str(data))
    key = muniment("key", "show").out.strip()
    Path("ledger.key").write_text(key)
    muniment("prove", "9", "-o", "event.tlog-proof")
    muniment("prove", "mnist:production", "--reveal", "words", "-o", "alias.fact.json")
    muniment("prove-entry", "mnist:v0", "sub/b.txt", "-o", "there.entry.json")
    muniment("prove-entry", "mnist:v0", "sub/c.txt", "-o", "absent.entry.json")
    muniment("checkpoint", "-o", "now.note")
    files = ["event.tlog-proof", "alias.fact.json", "there.entry.json", "absent.entry.json", "now.note"]
    stranger = str(tmp_path / "no-store")
    said = muniment("--home", stranger, "verify", *files, "--key", "ledger.key").out
    assert not Path(stranger).exists()
    assert "called 'production'" in said
    assert "NOT PROVED: that no event after" in said
    assert "the version holds 'sub/b.txt': size 6" in said
    assert "the version holds no 'sub/c.txt'" in said
    assert by_program(*files, "--key", key)[0] == 0
    lines = muniment("verify", *files, "--key", key, "--json").lines
    assert [line["holds"] for line in lines] == [True] * 5
    Path("event.tlog-proof").write_text(Path("event.tlog-proof").read_text().replace("index 8", "index 7"))
    refused = muniment("verify", *files, "--key", key, "--json", status=1)
    assert [line["holds"] for line in refused.lines] == [False, True, True, True, True]
    assert refused.lines[0]["verdict"] == "ProofError"
    assert refused.err == "error: 1 of 5 do not hold — do not rely on them\n"
    assert muniment("verify", "nowhere", "--key", key, status=1).out.startswith("REFUSED nowhere: ")
    assert muniment("prove", "9").out.startswith("c2sp.org/tlog-proof@v1\nextra ")


def test_a_newer_checkpoint_is_shown_to_continue_an_older_one(muniment: Run) -> None:
    muniment("checkpoint", "-o", "old.note")
    key = muniment("key", "show").out.strip()
    muniment("org", "create", "research")
    muniment("prove", "--consistency", "old.note", "-o", "proof.txt")
    muniment("checkpoint", "-o", "new.note")
    for files in (["old.note"], ["old.note", "new.note"]):
        said = muniment("verify", *files, "--consistency", "proof.txt", "--key", key).out
        assert "it begins with the 8 events of the older checkpoint" in said
    muniment("verify", "new.note", "--consistency", "proof.txt", "--key", key, status=1)
    muniment("verify", "old.note", "new.note", "x", "--consistency", "proof.txt", "--key", key, status=2)
    for wrong in ([], ["3", "--consistency", "0"]):
        muniment("prove", *wrong, status=2)


def test_a_witness_in_another_folder_signs_and_stops_a_store_that_was_put_back(
    muniment: Run, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = muniment("key", "show").out.strip()
    verifier = muniment("witness", "init", "w", "--name", "dpo.example.org/w1", "--log", key).out.strip()
    assert "watches nothing" not in muniment("witness", "show", "w").out
    muniment("witness", "watch", "w", key)
    yesterday = (own_home / "ledger.sqlite3").read_bytes()
    muniment("org", "create", "research")
    muniment("prove", "--consistency", "0", "-o", "request.txt")
    muniment("witness", "add", "w", "request.txt", "-o", "seen.note")
    (shown,) = muniment("witness", "show", "w", "--json").lines
    assert (shown["log"], shown["note"]) == (key.partition("+")[0], Path("seen.note").read_text())
    muniment("prove", "5", "--checkpoint", "seen.note", "-o", "five.tlog-proof")
    said = muniment("verify", "five.tlog-proof", "--key", key, "--witness", verifier).out
    assert "witness dpo.example.org/w1 saw it at" in said
    monkeypatch.setattr(sys, "stdin", StringIO(Path("request.txt").read_text()))
    assert "the witness saw" in muniment("witness", "add", "w", "-", status=1).err
    events = Path("seen.note").read_text().split("\n")[1]
    assert muniment("witness", "keep", "seen.note").out.startswith("kept: ")
    (own_home / "ledger.sqlite3").write_bytes(yesterday)
    refused = muniment("org", "create", "again", status=1)
    assert f"rolled back: a witness saw {events} events" in refused.err
    assert muniment("events").err.startswith("warning: the database was rolled back")
    assert "witness: the database was rolled back" in muniment("fsck", status=1).out


def test_a_key_is_replaced_and_the_chain_handed_over(muniment: Run) -> None:
    first = muniment("key", "show").out.strip()
    assert muniment("key", "chain").out == "\n"
    assert muniment("key", "rotate", "--dry-run").out == f"would happen: key destroyed  {first}\nnothing was done\n"
    assert (muniment("key", "show").out.strip(), muniment("key", "chain").out) == (first, "\n")
    second = muniment("key", "rotate").out.strip()
    assert muniment("key", "show", "--json").json == {"verifier": second}
    Path("chain").write_text(muniment("key", "chain", "--json").json["chain"])
    muniment("checkpoint", "-o", "now.note")
    assert "REFUSED" in muniment("verify", "now.note", "--key", first, status=1).out
    muniment("verify", "now.note", "--key", first, "--chain", "chain")
    muniment("fsck", "--checkpoint", "now.note", "--verifier", first)


def test_the_kit_is_handed_out(muniment: Run) -> None:
    written = json.loads(muniment("kit", "-o", "kit", "--json").out)["files"]
    assert [Path(path).name for path in written] == ["verify_muniment.py", "verify.sh"]
    assert all(Path(path).stat().st_mode & 0o111 for path in written)
