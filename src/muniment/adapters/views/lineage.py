"""The SQL that follows a lineage one step: what runs made of versions, and what refers to versions.

Each statement returns one row of JSON arrays, since making an object of each of a million rows takes longer than
finding them. Its values are a JSON array of ids, and the event as of which it is asked where that is in the past.
"""

# ruff: noqa: S608 - every value is a parameter

from __future__ import annotations

from typing import Final

MANY: Final = 100_000
"""How many rows ``MADE_QUICKLY`` returns: so many may be pairs of all that a run used with all that it logged."""


def _arrays(function: str, names: tuple[str, ...], rows: str) -> str:
    return f"SELECT {', '.join(function.format(name) for name in names)} FROM ({rows}) AS found"


def _made(function: str, rows: str) -> str:
    return _arrays(function, ("place", "run_id", "version_id", "job_type"), rows)


SQLITE: Final = "json_group_array({})"
POSTGRES: Final = "coalesce(json_agg({}), '[]')"

# In SQLite reads name their index; the signs keep all but the primary key out of it.

_USED = """SELECT each.key AS place, run_id FROM json_each(:ids) AS each
    CROSS JOIN edges INDEXED BY edges_{}_version_id_role{} WHERE version_id = each.value AND role = 'in' AND """
_REFERS = """SELECT each.key AS place, version_id FROM json_each(:ids) AS each
    CROSS JOIN sources INDEXED BY sources_{}_source_id{} WHERE source_id = each.value AND """
_LIVE, _PAST = "to_seq IS NULL", "to_seq IS NOT NULL AND to_seq > :at AND from_seq <= :at"


def _sqlite(select: str, order: str, *, past: bool) -> str:
    live = select.format("live", order) + _LIVE
    return f"{live} AND from_seq <= :at UNION ALL {select.format('past', '')}{_PAST}" if past else live


def _sqlite_once(*, past: bool) -> str:
    """Return a statement that sorts, so that a run that used several versions is followed from the first only."""
    holds = "({0}.from_seq <= :at AND (+{0}.to_seq IS NULL OR +{0}.to_seq > :at))" if past else "+{0}.to_seq IS NULL"
    used = _sqlite(_USED, "_edge_seq", past=past)
    return _made(
        SQLITE,
        f"""SELECT place, used.run_id, made.version_id, job_type
        FROM (SELECT min(place) AS place, run_id FROM ({used}) GROUP BY run_id) AS used
        CROSS JOIN edges AS made ON made.run_id = used.run_id AND +made.role = 'out' AND {holds.format("made")}
        LEFT JOIN runs ON runs.run_id = used.run_id AND {holds.format("runs")}""",
    )


MADE_QUICKLY: Final = _made(
    SQLITE,
    f"""SELECT each.key AS place, used.run_id, made.version_id, job_type FROM json_each(:ids) AS each
    CROSS JOIN edges AS used INDEXED BY edges_live_version_id_role_edge_seq
    ON used.version_id = each.value AND used.role = 'in' AND used.to_seq IS NULL
    CROSS JOIN edges AS made INDEXED BY edges_live_run_id_role_edge_seq
    ON made.run_id = used.run_id AND made.role = 'out' AND made.to_seq IS NULL
    LEFT JOIN runs ON runs.run_id = used.run_id AND +runs.to_seq IS NULL LIMIT {MANY}""",
)
"""What is live, each pair of what a run used and logged, as long as there are few of these."""

MADE: Final = {past: _sqlite_once(past=past) for past in (False, True)}
REFERRING: Final = {
    past: _arrays(SQLITE, ("place", "version_id"), _sqlite(_REFERS, "_version_id", past=past)) for past in (False, True)
}

# In PostgreSQL each value is searched for by itself, whatever is known of the table: so says OFFSET. What is found by
# primary key is asked for so that no index of live rows knows it.

_EACH = "json_array_elements_text(%s::json) WITH ORDINALITY AS each(value, nth)"


def _postgres(cell: str, table: str, where: str, *, past: bool) -> str:
    select = f"SELECT {cell} FROM {table} WHERE {where} AND to_seq"
    if not past:
        return f"({select} IS NULL OFFSET 0)"
    ended = f"{select} IS NOT NULL AND to_seq > %s AND from_seq <= %s"
    return f"({select} IS NULL AND from_seq <= %s UNION ALL {ended} OFFSET 0)"


def _postgres_made(*, past: bool) -> str:
    ended = "coalesce(to_seq, -1)"
    holds = f"from_seq <= %s AND ({ended} < 0 OR {ended} > %s)" if past else f"{ended} < 0"
    used = _postgres("run_id", "edges", "version_id = each.value AND role = 'in'", past=past)
    made = _postgres("version_id", "edges", "run_id = used.run_id AND role = 'out'", past=past)
    return _made(
        POSTGRES,
        f"""SELECT place, used.run_id, made.version_id, job_type
        FROM (SELECT min(nth) - 1 AS place, run_id FROM {_EACH} CROSS JOIN LATERAL {used} AS used
            GROUP BY run_id OFFSET 0) AS used
        CROSS JOIN LATERAL {made} AS made
        LEFT JOIN LATERAL (SELECT job_type FROM runs WHERE run_id = used.run_id AND {holds} OFFSET 0) AS run ON true""",
    )


def _postgres_referring(*, past: bool) -> str:
    refers = _postgres("version_id", "sources", "source_id = each.value", past=past)
    rows = f"SELECT nth - 1 AS place, version_id FROM {_EACH} CROSS JOIN LATERAL {refers} AS refers"
    return _arrays(POSTGRES, ("place", "version_id"), rows)


POSTGRES_MADE: Final = {past: _postgres_made(past=past) for past in (False, True)}
POSTGRES_REFERRING: Final = {past: _postgres_referring(past=past) for past in (False, True)}
