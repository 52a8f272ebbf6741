"""A ledger, a vault or a place of blobs that is read and never written."""

from __future__ import annotations

from typing import Any, Final, NoReturn, cast

from muniment.domain.errors import ReadOnlyError
from muniment.domain.ports import BlobStore, Ledger, Vault
from muniment.domain.projection import Projections

LEDGER: Final = frozenset({"transact", "work", "rebuild", "adopt"})
PROJECTIONS: Final = frozenset({"advance", "remake"})
VAULT: Final = frozenset({"put_many", "remember", "remember_many", "destroy", "destroy_slots", "sweep", "adopt"})
BLOBS: Final = frozenset({"put_many", "delete_many", "sweep"})


class _ReadOnly:
    """Everything that the inner one does, but for what is refused."""

    def __init__(self, inner: object, refused: frozenset[str], why: str) -> None:
        self._inner, self._refused, self._why = inner, refused, why

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the inner one has)
        return self._refuse if name in self._refused else getattr(self._inner, name)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ReadOnlyError(self._why)


def ledger(inner: Ledger, why: str) -> Ledger:
    """Return the ledger; what appends or changes rows is ReadOnlyError, which says *why*."""
    return cast("Ledger", _ReadOnly(inner, LEDGER, why))


def projections(inner: Projections, why: str) -> Projections:
    """Return the batched projections; what changes their rows is ReadOnlyError."""
    return cast("Projections", _ReadOnly(inner, PROJECTIONS, why))


def vault(inner: Vault, why: str) -> Vault:
    """Return the vault; what keeps or destroys is ReadOnlyError."""
    return cast("Vault", _ReadOnly(inner, VAULT, why))


def blobs(inner: BlobStore, why: str) -> BlobStore:
    """Return the place of blobs; what puts or deletes is ReadOnlyError."""
    return cast("BlobStore", _ReadOnly(inner, BLOBS, why))
