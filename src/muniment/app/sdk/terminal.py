"""What the library says to whoever runs a script: short lines on standard error."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

from muniment.app.progress import SILENT, Bar, Progress
from muniment.app.sdk import session
from muniment.app.sdk.settings import Settings


def say(text: str, settings: Settings | None = None) -> None:
    """Say something, unless the user wants silence."""
    silent = settings.silent if settings is not None and settings.silent is not None else None
    if not (session.config().flag("silent") if silent is None else silent):
        print(f"muniment: {text}", file=sys.stderr, flush=True)  # noqa: T201 (for whoever runs the script)


def watched() -> AbstractContextManager[Progress]:
    """Show how far what is done meanwhile is, on a terminal, unless the user wants silence or quiet."""
    config = session.config()
    if config.flag("silent") or config.flag("quiet") or not sys.stderr.isatty():
        return nullcontext(SILENT)
    return Bar()


def protest(text: str) -> None:
    """Say what went wrong where nobody is left to catch it; wanting silence does not hide a loss."""
    print(f"muniment: {text}", file=sys.stderr, flush=True)  # noqa: T201 (for whoever runs the script)
