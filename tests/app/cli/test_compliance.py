"""Looking for words on the command line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run

WORD = "7f3a9c51-e2b4"


def test_a_scan_says_where_a_word_is_and_never_the_word(muniment: Run, own_home: Path, data: Path) -> None:
    (data / "a.txt").write_text(f"about {WORD}")
    muniment("artifact", "put", "-n", "mnist", str(data))
    found = muniment("compliance", "scan", "--canary", WORD, str(own_home), status=1)
    assert "canary 1 in " in found.out
    assert WORD not in found.out + found.err
    row = muniment("compliance", "scan", "--canary", WORD, str(own_home), "--json", status=1).lines[0]
    assert (row["canary"], row["form"]) == (1, "utf-8")
    clean = muniment("compliance", "scan", "--canary", "never-written", str(own_home))
    assert clean.out == ""
    assert clean.err.startswith("none found in ")


def test_a_short_word_is_refused(muniment: Run, own_home: Path) -> None:
    refused = muniment("compliance", "scan", "--canary", "ann", str(own_home), status=1)
    assert "error: word 1 is too short" in refused.err


@pytest.mark.parametrize("lines", ["", "\n\n"])
def test_who_gives_no_word_is_not_told_that_none_was_found(
    muniment: Run, own_home: Path, monkeypatch: pytest.MonkeyPatch, lines: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    refused = muniment("compliance", "scan", "--canary", "-", str(own_home), status=1)
    assert "error: no word was given to look for — write each on a line" in refused.err
