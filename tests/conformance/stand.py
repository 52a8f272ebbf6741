"""A views adapter as a ledger uses it, for the tests that all adapters share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from muniment.domain.ports import Views
from muniment.domain.rows import Change


class Stand(Protocol):
    """An adapter as a ledger uses it."""

    @property
    def views(self) -> Views: ...
    def apply(self, changes: Sequence[Change], seq: int) -> None: ...
    def clear(self) -> None: ...
    def dump(self) -> list[bytes]: ...
    def begin(self) -> None:
        """Begin something that can be taken back."""

    def back(self) -> None:
        """Take back all since *begin*."""
