"""The number of a ledger's tables, and the steps that lead from each to the next, the same in both databases.

A change of the tables is one more step at the end of ``STEPS``, with the tables of today changed to match: a new
ledger is made with them, an older one is brought up to date by the steps it lacks, all in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from muniment.adapters.ledger import tiles
from muniment.domain.errors import StorageError
from muniment.domain.rows import EVERY, Row


@frozen
class Step:
    """What leads from one schema to the next.

    *sqlite* and *postgres* are statements for the tables of the ledger itself; with *tiles* these are made from the
    leaves. *rows* are the names of tables of
    projections that are new, changed or gone: they are made again from the events, in their form of today.
    """

    why: str
    sqlite: tuple[str, ...] = ()
    postgres: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    tiles: bool = False


PROJECTIONS_SQLITE: Final = (
    "CREATE TABLE projections (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE parked (
        projection TEXT NOT NULL, seq INTEGER NOT NULL, error TEXT NOT NULL, place TEXT NOT NULL,
        parked_at INTEGER NOT NULL, PRIMARY KEY (projection, seq)) WITHOUT ROWID""",
)
PROJECTIONS_POSTGRES: Final = (
    'CREATE TABLE projections (name text COLLATE "C" PRIMARY KEY, position bigint NOT NULL)',
    """CREATE TABLE parked (
        projection text COLLATE "C" NOT NULL, seq bigint NOT NULL, error text NOT NULL, place text NOT NULL,
        parked_at bigint NOT NULL, PRIMARY KEY (projection, seq))""",
)

EVIDENCE: Final = (
    "proposals",
    "holds",
    "policies",
    "endings",
    "data_subjects",
    "subject_targets",
    "subject_entries",
    "requests",
    "disposals",
    "residuals",
    "activities",
    "reports",
)

EDGES_SQLITE: Final = (
    'DROP INDEX "edges_live_run_id_role_edge_seq"',
    'DROP INDEX "edges_live_version_id_role_edge_seq"',
    """CREATE INDEX "edges_live_run_id_role_edge_seq" ON "edges" ("run_id", "role", "edge_seq", "to_seq") \
WHERE to_seq IS NULL""",
    """CREATE INDEX "edges_live_version_id_role_edge_seq" ON "edges" ("version_id", "role", "edge_seq", "to_seq") \
WHERE to_seq IS NULL""",
)

STEPS: Final[tuple[Step, ...]] = (
    Step("batched projections: who uses what", PROJECTIONS_SQLITE, PROJECTIONS_POSTGRES, rows=("usage", "last_uses")),
    Step("proofs from a few hundred hashes", tiles.SQLITE, tiles.POSTGRES, tiles=True),
    Step("approvals, holds, policies, data subjects, requests, disposals, reports", rows=(*EVIDENCE, "versions")),
    Step("a lineage is followed through its indexes alone, as PostgreSQL does anyway", EDGES_SQLITE),
)
"""The first step leads from schema 1 to 2. A step that was released is never changed."""


def newest() -> int:
    """Return the number of the tables that this Muniment makes."""
    return 1 + len(STEPS)


def missing(found: int) -> Sequence[Step]:
    """Return the steps that a ledger with this number lacks."""
    return STEPS[found - 1 :]


def remade(steps: Sequence[Step]) -> tuple[tuple[str, ...], tuple[type[Row], ...]]:
    """Return the tables of rows that steps concern: the names of all, and what is still kept of them."""
    names = tuple(dict.fromkeys(name for step in steps for name in step.rows))
    return names, tuple(kind for kind in EVERY if kind.table.name in names)


def require_known(found: int) -> None:
    """Refuse a ledger that a newer Muniment has brought up to date."""
    if found > newest():
        msg = f"the ledger has schema {found}, this Muniment knows {newest()} — upgrade Muniment"
        raise StorageError(msg)


def cannot_be_written(found: int) -> StorageError:
    """Return the error for an older ledger in a place where it can only be read."""
    return StorageError(
        f"the ledger has schema {found} and has to be brought to {newest()}, but it cannot be written here — "
        "open it once where it can be, with this Muniment, or use the one that wrote it"
    )
