"""One step of a lineage, column by column: it may be one of a million rows, for which objects cost too much."""

from __future__ import annotations

from typing import NamedTuple


class Made(NamedTuple):
    """What runs made of versions: lists of one length, in any order.

    *places* are those of the versions used, from 0, in the order in which they were given; *job_types* those of the
    runs.
    """

    places: list[int]
    run_ids: list[str]
    version_ids: list[str]
    job_types: list[str | None]


class Referring(NamedTuple):
    """What refers to versions: lists of one length, in any order; *places* as in ``Made``."""

    places: list[int]
    version_ids: list[str]
