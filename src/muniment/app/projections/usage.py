"""Usage: who used and downloaded which version, in which run, how often and when last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from muniment.domain import principal
from muniment.domain.ports import Recorded
from muniment.domain.projection import Projection
from muniment.domain.rows import USAGE as NAME
from muniment.domain.rows import Add, Change, LastUseRow, UsageRow
from muniment.domain.values import VersionId


def fold(recorded: Recorded) -> Sequence[Change]:
    """Return what an event adds to the totals."""
    match recorded.event:
        case principal.VersionUsed(version_id=version_id):
            return _added(recorded, version_id, "used")
        case principal.VersionDownloaded(version_id=version_id):
            return _added(recorded, version_id, "downloaded")
        case _:
            return ()


def _added(recorded: Recorded, version_id: VersionId, kind: str) -> Sequence[Change]:
    at = recorded.recorded_at
    row = UsageRow(version_id, recorded.actor, recorded.run or "", kind, first_at=at, last_at=at, count=1)
    return [Add(row), Add(LastUseRow(version_id, last_used_at=at, count=1))]


USAGE: Final = Projection(NAME, fold)
