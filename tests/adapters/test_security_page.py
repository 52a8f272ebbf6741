"""The page of what is noticed keeps to what is tried: each attack has a row and a test, and each test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ATTACKS = [*(f"A{number}" for number in range(1, 21)), *(f"X{number}" for number in range(1, 7))]


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_has_a_verdict_and_names_what_tries_it(attack: str) -> None:
    assert re.search(rf"^\| {attack} [^|]+\|.*\|$", PAGE, re.MULTILINE), "no row says what comes of it"
    (tried,) = re.findall(rf"^\| {attack} \| (.+) \|$", PAGE, re.MULTILINE)
    assert "`tests/" in tried


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > len(ATTACKS)
    for file, test in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text if test else "def test_" in text, (file, test)
