"""Pure folds from one event to the row changes it causes; together they are what commands and users read."""

from __future__ import annotations

from typing import Final

from muniment.app.projections import audit, catalog, disposal, evidence, lineage, registry, reports, retention, usage
from muniment.domain.ports import Fold
from muniment.domain.projection import Projection

FOLDS: Final[tuple[Fold, ...]] = (
    catalog.fold,
    retention.fold,
    registry.fold,
    lineage.fold,
    evidence.fold,
    disposal.fold,
    reports.fold,
    audit.fold,
)
"""The folds that run inside the write transaction, in this order."""

BATCHED: Final[tuple[Projection, ...]] = (usage.USAGE,)
"""The projections that follow the ledger in batches, each by itself."""
