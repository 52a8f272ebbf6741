"""``--dry-run``: what a command would do, said and not done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from muniment.app import trial
from muniment.app.cli.show import One, Values, printable
from muniment.app.store import Store
from muniment.app.trial import Trial

F = TypeVar("F", bound=Callable[..., Any])


def dry_run_option(command_: F) -> F:
    """Add ``--dry-run``."""
    return click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")(command_)


def acted_on(opened: Store, *, dry_run: bool) -> Store:
    """Return the store to act on: with *dry_run*, one that keeps nothing."""
    return trial.of(opened) if dry_run else opened


def tried(acted: Store) -> One | None:
    """Return what would have happened, or ``None`` if it did happen."""
    if not isinstance(acted, Trial):
        return None
    events = list(acted.told())
    lines = [f"would happen: {_line(each)}" for each in events] or ["nothing would happen"]
    return One({"dry_run": True, "events": events}, "\n".join([*lines, "nothing was done"]))


def _line(event: Values) -> str:
    said = [f"{name}={value}" for name, value in event.items() if name not in {"event", "subject"}]
    return printable("  ".join([event["event"], event["subject"] or "", *said]).rstrip())
