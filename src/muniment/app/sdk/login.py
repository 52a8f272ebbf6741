"""Logging in, which is not needed: who acts is the user of the operating system, unless configured."""

from __future__ import annotations

from typing import Any

from muniment.app.sdk import session
from muniment.app.sdk.terminal import say


def login(
    anonymous: str | bool | None = None,
    key: str | None = None,
    relogin: bool | None = None,
    host: str | None = None,
    force: bool | None = None,
    timeout: int | None = None,
    verify: bool = False,
    referrer: str | None = None,
    **others: Any,  # noqa: ANN401 (accepted)
) -> bool:
    """Say that there is nothing to log in to; return True."""
    del anonymous, key, relogin, host, force, timeout, verify, referrer, others
    say(f"there is nothing to log in to: the store is on this machine and you act as {session.config().actor}")
    return True
