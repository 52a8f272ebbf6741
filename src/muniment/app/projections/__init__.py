"""Pure folds from one event to the row changes it causes; together they are what commands and users read."""

from __future__ import annotations

from typing import Final

from muniment.app.projections import audit, catalog, lineage, registry, retention
from muniment.domain.ports import Fold

FOLDS: Final[tuple[Fold, ...]] = (catalog.fold, retention.fold, registry.fold, lineage.fold, audit.fold)
"""The folds that run inside the write transaction, in this order."""
