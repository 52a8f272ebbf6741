"""Reports for auditors and data protection officers: each one declared query, written by shared writers.

A report is one module in ``declared`` that says what its columns are and where its rows come from.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from muniment.app.reports import declared
from muniment.app.reports.shape import Report
from muniment.domain.errors import NotFoundError


@cache
def listed() -> tuple[Report, ...]:
    """Return every report, in the order of their numbers."""
    names = [module.name for module in pkgutil.iter_modules(declared.__path__)]
    found: list[Report] = [import_module(f"{declared.__name__}.{name}").REPORT for name in names]
    return tuple(sorted(found, key=lambda report: int(report.number[1:])))


def named(name: str) -> Report:
    """Return a report by its name or number."""
    for report in listed():
        if name.lower() in {report.name, report.number.lower()}:
            return report
    msg = f"there is no report {name!r} — see: muniment report list"
    raise NotFoundError(msg)
