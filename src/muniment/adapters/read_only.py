"""A ledger, a vault or a place of blobs that is read and never written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias, cast

from muniment.domain.errors import ReadOnlyError
from muniment.domain.ports import BlobStore, Ledger, Vault
from muniment.domain.projection import Projections

LEDGER: Final = frozenset({"transact", "work", "rebuild", "adopt"})
PROJECTIONS: Final = frozenset({"advance", "remake"})
VAULT: Final = frozenset({"put_many", "remember", "remember_many", "destroy", "destroy_slots", "sweep", "adopt"})
BLOBS: Final = frozenset({"put_many", "delete_many", "sweep"})

Why: TypeAlias = Callable[[], ReadOnlyError]
"""Makes the error that says why nothing is written."""


class _ReadOnly:
    """Everything that the inner one does, but for what is refused."""

    def __init__(self, inner: object, refused: frozenset[str], why: Why) -> None:
        self._inner, self._refused, self._why = inner, refused, why

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the inner one has)
        return self._refuse if name in self._refused else getattr(self._inner, name)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise self._why()


def ledger(inner: Ledger, why: Why) -> Ledger:
    """Return the ledger; what appends or changes rows is refused with the error that says *why*."""
    return cast("Ledger", _ReadOnly(inner, LEDGER, why))


def projections(inner: Projections, why: Why) -> Projections:
    """Return the batched projections; what changes their rows is refused."""
    return cast("Projections", _ReadOnly(inner, PROJECTIONS, why))


def vault(inner: Vault, why: Why) -> Vault:
    """Return the vault; what keeps or destroys is refused."""
    return cast("Vault", _ReadOnly(inner, VAULT, why))


def blobs(inner: BlobStore, why: Why) -> BlobStore:
    """Return the place of blobs; what puts or deletes is refused."""
    return cast("BlobStore", _ReadOnly(inner, BLOBS, why))
