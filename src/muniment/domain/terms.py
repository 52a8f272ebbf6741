"""The part of the vault that recognises values without holding them: by terms that only its master key makes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Terms(Protocol):
    """Ids remembered for personal values; the first one remembered stays, and ``destroy`` of an id forgets it."""

    def find(self, kind: str, value: str) -> str | None:
        """Return the id remembered for a personal value, such as the principal of a login name."""
        ...

    def remember(self, kind: str, value: str, owner: str) -> str:
        """Remember the id for a personal value unless one is known, and return the one that is."""
        ...

    def find_many(self, kind: str, values: Collection[str]) -> dict[str, str]:
        """Return the ids remembered for those of *values* that are known."""
        ...

    def remember_many(self, kind: str, values: Collection[str], owner: str) -> None:
        """Remember *owner* for values of which no id is known, all or none."""
        ...

    def keyed(self, kind: str, value: str) -> str:
        """Return what stands for a value outside the vault, in hexadecimal: nobody without the master key can guess."""
        ...
