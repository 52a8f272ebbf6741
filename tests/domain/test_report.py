"""A report is made once, and the event says of what ledger."""

from __future__ import annotations

import pytest

from muniment.domain.errors import ConflictError
from muniment.domain.report import REPORT, Report, ReportGenerated, generate
from muniment.domain.values import ERASED, Digest
from tests.spec import Spec

MADE = ReportGenerated(7, Digest("ab" * 32), "audit-trail", Digest("cd" * 32))
report = Spec(REPORT)


def test_a_report_is_made_once() -> None:
    report.given().when(generate, MADE).then(MADE)
    with pytest.raises(ConflictError, match="made before"):
        generate(Report(made=True), MADE)
    assert report.given(ReportGenerated(7, Digest("ab" * 32), ERASED, ERASED)).state == Report(made=True)
