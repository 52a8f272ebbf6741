"""The fields of events as JSON."""

from __future__ import annotations

from muniment.app.fields import is_redacted, plain, plain_fields
from muniment.domain.artifact import ArtifactDescribed
from muniment.domain.values import ERASED, ERASED_TEXT, Personal, Role, SlotId
from muniment.domain.version import Tagged


def test_what_was_forgotten_reads_as_erased() -> None:
    assert plain(ERASED) == ERASED_TEXT == "[erased]"
    assert plain((Role.ADMIN, 1, None)) == ["admin", 1, None]
    assert plain(Personal(SlotId("s"), "c")) == {"slot": "s", "commit": "c"}


def test_a_word_that_reads_like_an_erased_one_was_not_redacted() -> None:
    typed, redacted = Tagged("t", ERASED_TEXT), Tagged("t", ERASED)
    assert plain_fields(typed) == plain_fields(redacted) == {"tag_id": "t", "tag": ERASED_TEXT}
    assert (is_redacted(typed), is_redacted(redacted)) == (False, True)


def test_what_holds_nothing_is_told_or_left_out() -> None:
    emptied = ArtifactDescribed(None)
    assert plain_fields(emptied) == {"description": None}
    assert plain_fields(emptied, empty=False) == {}
