"""The artifact types that a registry accepts, as a list that only grows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from muniment.domain.errors import InvalidValueError
from muniment.domain.values import type_name


class AddOnlyTypes(list[str]):
    """The artifact types that a registry accepts; those that are saved stay."""

    def __init__(self, saved: Iterable[str]) -> None:
        super().__init__(saved)
        self.saved = frozenset(self)

    def append(self, type: str) -> None:
        """Accept one more type."""
        if type not in self:
            super().append(type_name(type))

    def extend(self, types: Iterable[str]) -> None:
        """Accept more types."""
        for type_ in types:
            self.append(type_)

    def __iadd__(self, types: Iterable[str]) -> Self:  # type: ignore[override,misc]
        self.extend(types)
        return self

    def insert(self, at: Any, type: str) -> None:  # noqa: ANN401 (an index)
        """Accept one more type; the order means nothing."""
        del at
        self.append(type)

    def remove(self, type: str) -> None:
        """Take back a type that was not saved yet."""
        self._refuse(type)
        super().remove(type)

    def pop(self, at: Any = -1) -> str:  # noqa: ANN401 (an index)
        """Take back a type that was not saved yet."""
        self._refuse(self[at])
        return super().pop(at)

    def clear(self) -> None:
        """Take back the types that were not saved yet; refused if there are saved ones."""
        for type_ in self:
            self._refuse(type_)
        super().clear()

    def __delitem__(self, at: Any) -> None:  # noqa: ANN401 (an index or slice)
        for type_ in [self[at]] if isinstance(self[at], str) else self[at]:
            self._refuse(type_)
        super().__delitem__(at)

    def __setitem__(self, at: Any, type: Any) -> None:  # noqa: ANN401
        for type_ in [self[at]] if isinstance(self[at], str) else self[at]:
            self._refuse(type_)
        super().__setitem__(at, type)

    def _refuse(self, type_: str) -> None:
        if type_ in self.saved:
            msg = f"Cannot remove artifact type {type_!r}: it has been saved to the registry, and types are only added"
            raise InvalidValueError(msg)
