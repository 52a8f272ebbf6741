"""Redacting on the command line, and everything that is listed afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from muniment.app import approvals, bootstrap, directory
from muniment.app.config import load
from muniment.app.store import Store
from muniment.domain.values import Role
from tests.acts import story
from tests.app.cli.conftest import Run
from tests.redacting import redact, telling

LISTINGS = ("registry ls", "org ls", "team ls", "events", "stats", "projections ls", "fsck --fast", "rebuild", "doctor")


@pytest.fixture
def told(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Return a store on disk in which nearly everything happened."""
    assert own_home
    monkeypatch.setenv("MUNIMENT_ACTOR", "ada")
    store = bootstrap.open_store(load())
    story(store, "SECRET")
    yield store
    store.ledger.close()


def test_every_listing_works_when_all_words_are_gone(told: Store, muniment: Run) -> None:
    redact(told, telling(told))
    for listed in LISTINGS:
        assert "Traceback" not in muniment(*listed.split()).err
    assert "redaction.redacted.1" in muniment("events", "--json").out


def test_the_check_says_what_was_redacted_and_finds_no_fault(muniment: Run, data: Path, own_home: Path) -> None:
    assert own_home
    muniment("artifact", "put", "-n", "mnist", str(data))
    muniment("artifact", "put", "-n", "mnist", str(data), "--alias", "john-doe")
    seq = next(row["seq"] for row in muniment("events", "--json").lines if "john-doe" in json.dumps(row))
    refused = muniment("redact", str(seq), status=1).err
    assert "takes two people — run: muniment approval propose redact " in refused
    store = bootstrap.open_store(load(actor="ada"))
    directory.set_organisation_role(store, "local", "bob", Role.ADMIN)
    store.ledger.close()
    proposed = muniment("redact", str(seq), "--propose", "--json").json
    assert proposed["target"] in refused
    store = bootstrap.open_store(load(actor="bob"))
    approvals.approve(store, proposed["proposal"])
    store.ledger.close()
    tried = muniment("redact", str(seq), "--dry-run").out
    assert tried == f"would destroy the words of 1 events: {seq}\nnothing was done\n"
    assert "john-doe" in muniment("events").out
    assert muniment("redact", str(seq)).out == "destroyed the words of 1 events\n"
    checked = muniment("fsck")
    assert (checked.out, checked.err) == ("", "1 events were redacted with authorisation\nno faults\n")
    assert "john-doe" not in muniment("events").out


def test_scrubbing_says_what_may_be_there_still(muniment: Run, data: Path, own_home: Path) -> None:
    assert own_home
    muniment("artifact", "put", "-n", "mnist", str(data))
    tried = muniment("scrub", "--dry-run")
    assert "would be written anew: ledger.sqlite3\n" in tried.out
    assert "would be written anew: blobs/.index.sqlite3\n" in tried.out
    assert tried.err.endswith("nothing was done\n")
    done = muniment("scrub")
    assert (done.out, done.err) == ("", "nothing deleted is kept\n")
    assert muniment("fsck").err == "no faults\n"
