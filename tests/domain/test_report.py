"""A report is made once, and the event says of what ledger; personal values are shown for a reason."""

from __future__ import annotations

import pytest

from muniment.domain.errors import ConflictError
from muniment.domain.report import REPORT, Report, ReportGenerated, ValuesRevealed, generate, reveal
from muniment.domain.values import ERASED, Digest, Personal, SlotId
from tests.spec import Spec

MADE = ReportGenerated(7, Digest("ab" * 32), "audit-trail", Digest("cd" * 32))
SHOWN = ValuesRevealed(7, "audit-trail", Personal(SlotId("5" * 32), "c" * 64))
report = Spec(REPORT)


def test_a_report_is_made_once() -> None:
    report.given().when(generate, MADE).then(MADE)
    with pytest.raises(ConflictError, match="made before"):
        generate(Report(made=True), MADE)
    assert report.given(ReportGenerated(7, Digest("ab" * 32), ERASED, ERASED)).state == Report(made=True)


def test_every_time_that_personal_values_are_shown_is_an_event() -> None:
    report.given(SHOWN, MADE).when(reveal, SHOWN).then(SHOWN)
