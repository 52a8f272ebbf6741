"""The rows of the batched projection that counts uses."""

from __future__ import annotations

from attrs import frozen

from muniment.domain.rows.tables import Lookup, Row, Table
from muniment.domain.values import (
    Micros,
    PrincipalId,
    VersionId,
)

USAGE = "usage"


@frozen
class UsageRow(Row):
    """How often somebody used or downloaded a version in a run; ``run_id`` is empty outside of one."""

    table = Table(
        "usage",
        ("version_id", "principal_id", "run_id", "kind"),
        (),
        (Lookup(("version_id",), "last_at"), Lookup(("principal_id",), "last_at"), Lookup(("run_id",), "last_at")),
        projection=USAGE,
        sums=("count",),
        keeps=("first_at",),
    )
    version_id: VersionId
    principal_id: PrincipalId
    run_id: str
    kind: str
    first_at: Micros
    last_at: Micros
    count: int


@frozen
class LastUseRow(Row):
    """When a version was last used or downloaded by anybody, and how often altogether."""

    table = Table("last_uses", ("version_id",), (), (Lookup((), "last_used_at"),), projection=USAGE, sums=("count",))
    version_id: VersionId
    last_used_at: Micros
    count: int
