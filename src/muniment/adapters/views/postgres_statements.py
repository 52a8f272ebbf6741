"""The SQL of the views for PostgreSQL: the same tables, indexes and questions as in SQLite, in its own words.

Text is compared by its bytes, ``None`` comes before everything, and comparing with ``None`` is written out, since
no index knows IS NOT DISTINCT FROM.
"""

# ruff: noqa: S608 - the SQL is made of the names in row classes; every value is a parameter

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import field, frozen

from muniment.adapters.views import shape
from muniment.adapters.views.statements import LIVE, PAST, Select, into, listed, quoted, ties
from muniment.domain.rows import Cell, Row


def schema(kind: type[Row]) -> Iterator[str]:
    """Yield the statements that create a table and its indexes."""
    table = kind.table
    cells = [
        f"{quoted(name)} {_type(kind, name)}{'' if name in shape.nullable(kind) else ' NOT NULL'}"
        for name in shape.columns(kind)
    ]
    parts = [*cells, "from_seq bigint NOT NULL", "to_seq bigint", f"PRIMARY KEY ({listed(table.key)}, from_seq)"]
    yield f"CREATE TABLE {quoted(table.name)} ({', '.join(parts)})"
    definitions = dict.fromkeys(_indexes(kind))
    for number, (unique, columns, which) in enumerate(definitions):
        name = quoted(f"{table.name}_{number}")
        yield f"CREATE {unique}INDEX {name} ON {quoted(table.name)} ({columns}) WHERE {which}"


def _type(kind: type[Row], name: str) -> str:
    return "bigint" if name in shape.integers(kind) else 'text COLLATE "C"'


def _cast(kind: type[Row], name: str) -> str:
    return "%s::bigint" if name in shape.integers(kind) else "%s::text"


def _sorted(kind: type[Row], name: str, *, descending: bool = False) -> str:
    """Return a column of an ORDER BY or an index; ``None`` is less than everything."""
    if name not in shape.nullable(kind):
        return f"{quoted(name)} DESC" if descending else quoted(name)
    return f"{quoted(name)} {'DESC NULLS LAST' if descending else 'NULLS FIRST'}"


def _indexes(kind: type[Row]) -> Iterator[tuple[str, str, str]]:
    """Yield what each index is: UNIQUE or nothing, its columns, and whether it holds live rows or past ones."""
    table = kind.table
    for unique in table.unique:
        yield "UNIQUE ", listed(unique), LIVE
        yield "", f"{listed(unique)}, to_seq, from_seq", PAST
    for lookup in table.lookups:
        columns = [
            *map(quoted, lookup.equal),
            _sorted(kind, lookup.order),
            *map(quoted, ties(kind, {*lookup.equal, lookup.order})),
        ]
        yield "", ", ".join(columns), LIVE
        yield "", listed((*lookup.equal, "to_seq")), PAST


@frozen
class Plan:
    """The statements for one kind of row, each made once."""

    kind: type[Row]
    values: Callable[[Row], tuple[Cell, ...]]
    key: Callable[[Row], tuple[Cell, ...]]
    insert: str
    close: str
    add: str
    added: Callable[[Row], tuple[Cell, ...]]
    dump: str
    clear: str
    forget: str
    fill: str
    patches: dict[tuple[str, ...], str] = field(factory=dict)
    finds: dict[tuple[tuple[str, ...], bool], Select] = field(factory=dict)
    selects: dict[tuple[tuple[str, ...], str, bool, bool, bool, frozenset[str]], Select] = field(factory=dict)
    counts: dict[tuple[tuple[str, ...], str, bool, frozenset[str]], Select] = field(factory=dict)
    gathers: dict[tuple[str, tuple[str, ...], frozenset[str], bool], Select] = field(factory=dict)

    def patch(self, names: tuple[str, ...]) -> str:
        """Return the insert of a copy of the row just closed that differs in *names*, given in field order."""
        if names not in self.patches:
            kind = self.kind
            cells = ", ".join(_cast(kind, name) if name in names else quoted(name) for name in shape.columns(kind))
            self.patches[names] = (
                f"{into(kind)} SELECT {cells}, %s::bigint, NULL::bigint FROM {quoted(kind.table.name)} "
                f"WHERE {_equal(kind, kind.table.key)} ORDER BY from_seq DESC LIMIT 1 {_again(kind)}"
            )
        return self.patches[names]

    def find(self, names: tuple[str, ...], *, past: bool) -> Select:
        """Return the statement for the candidates with these key or unique columns, as of now or of a past event."""
        if (names, past) not in self.finds:
            self.finds[names, past] = _find(self.kind, names, past=past)
        return self.finds[names, past]

    def select(
        self, names: tuple[str, ...], order: str, nothing: frozenset[str], *, past: bool, after: bool, descending: bool
    ) -> Select:
        """Return the statement for the rows of a lookup; its last parameter is the limit, ``None`` for all."""
        wanted = (names, order, past, after, descending, nothing)
        if wanted not in self.selects:
            self.selects[wanted] = _select(
                self.kind, names, order, nothing, past=past, after=after, descending=descending
            )
        return self.selects[wanted]

    def gather(self, column: str, names: tuple[str, ...], nothing: frozenset[str], *, past: bool) -> Select:
        """Return the statement for the rows of many values of one column, which come first, as a JSON array."""
        wanted = (column, names, nothing, past)
        if wanted not in self.gathers:
            self.gathers[wanted] = _gather(self.kind, column, names, nothing, past=past)
        return self.gathers[wanted]

    def count(self, names: tuple[str, ...], order: str, nothing: frozenset[str], *, past: bool) -> Select:
        """Return the statement for the number of rows of a lookup."""
        wanted = (names, order, past, nothing)
        if wanted not in self.counts:
            arms = list(_arms(self.kind, names, order, nothing, past=past, after=False, descending=False))
            total = " + ".join(f"(SELECT count(*) {arm.sql})" for arm in arms)
            self.counts[wanted] = Select(f"SELECT {total}", "".join(arm.pattern for arm in arms))
        return self.counts[wanted]


@shape.once
def plan(kind: type[Row]) -> Plan:
    """Return the statements for a kind of row."""
    table, key, names = quoted(kind.table.name), kind.table.key, shape.columns(kind)
    newest = f"(SELECT from_seq FROM {table} WHERE {_equal(kind, key)} ORDER BY from_seq DESC LIMIT 1)"
    return Plan(
        kind=kind,
        values=_getter(names),
        key=_getter(key),
        insert=f"{into(kind)} VALUES ({', '.join(_cast(kind, name) for name in names)}, %s, NULL) {_again(kind)}",
        close=f"UPDATE {table} SET to_seq = %s WHERE {_equal(kind, key)} AND from_seq = {newest} AND {LIVE}",
        add=f"UPDATE {table} SET {_totals(kind)} WHERE {_equal(kind, key)} AND {LIVE}" if kind.table.sums else "",
        added=_getter((*kind.table.sums, *shape.last_ones(kind))),
        dump=f"SELECT * FROM {table} ORDER BY {listed(key)}, from_seq",
        clear=f"DELETE FROM {table}",
        forget=f"DELETE FROM {table} WHERE {_equal(kind, key)}",
        fill=f"COPY {table} ({listed(names)}, from_seq, to_seq) FROM STDIN",
    )


def _getter(names: tuple[str, ...]) -> Callable[[Row], tuple[Cell, ...]]:
    return lambda row: tuple(getattr(row, name) for name in names)


def _totals(kind: type[Row]) -> str:
    """Return what becomes of totals: some columns add up, some are those of the last event."""
    sums = [f"{quoted(name)} = {quoted(name)} + {_cast(kind, name)}" for name in kind.table.sums]
    return ", ".join([*sums, *(f"{quoted(name)} = {_cast(kind, name)}" for name in shape.last_ones(kind))])


def _again(kind: type[Row]) -> str:
    """Return the clause by which a row replaces one that began and ended at the same event."""
    other = [name for name in shape.columns(kind) if name not in kind.table.key]
    cells = "".join(f"{quoted(name)} = excluded.{quoted(name)}, " for name in other)
    ended = f"{quoted(kind.table.name)}.{PAST}"
    return f"ON CONFLICT ({listed(kind.table.key)}, from_seq) DO UPDATE SET {cells}to_seq = NULL WHERE {ended}"


def _equal(kind: type[Row], names: tuple[str, ...]) -> str:
    return " AND ".join(f"{quoted(name)} = {_cast(kind, name)}" for name in names)


def _wanted(kind: type[Row], names: tuple[str, ...], nothing: frozenset[str]) -> Iterator[str]:
    """Yield for each column that it holds the value asked for, or nothing."""
    for name in names:
        yield f"{quoted(name)} IS NULL" if name in nothing else f"{quoted(name)} = {_cast(kind, name)}"


def _find(kind: type[Row], names: tuple[str, ...], *, past: bool) -> Select:
    shape.require_past(kind, past=past)
    found = shape.identity(kind, names)
    table, cells = quoted(kind.table.name), f"{listed(shape.columns(kind))}, from_seq, to_seq"
    where = f"FROM {table} WHERE {_equal(kind, names)}"
    if found == kind.table.key:
        time = " AND from_seq <= %s" if past else ""
        sql = f"SELECT {cells} {where}{time} ORDER BY from_seq DESC LIMIT 1"
        return Select(sql, "vt" if past else "v")
    live = f"SELECT {cells} {where} AND {LIVE}"
    if not past:
        return Select(live, "v")
    ended = f"SELECT {cells} {where} AND to_seq > %s AND {PAST} ORDER BY to_seq, from_seq LIMIT 1"
    return Select(f"{live} AND from_seq <= %s UNION ALL (SELECT * FROM ({ended}) AS ended)", "vtvt")


def _select(
    kind: type[Row],
    names: tuple[str, ...],
    order: str,
    nothing: frozenset[str],
    *,
    past: bool,
    after: bool,
    descending: bool,
) -> Select:
    arms = list(_arms(kind, names, order, nothing, past=past, after=after, descending=descending))
    cells = listed(shape.columns(kind))
    sort = ", ".join([_sorted(kind, order, descending=descending), *map(quoted, ties(kind, {*names, order}))])
    rows = " UNION ALL ".join(f"SELECT {cells} {arm.sql}" for arm in arms)
    return Select(f"{rows} ORDER BY {sort} LIMIT %s::bigint", "".join(arm.pattern for arm in arms))


def _gather(kind: type[Row], column: str, names: tuple[str, ...], nothing: frozenset[str], *, past: bool) -> Select:
    """Return a statement for the rows of which one column is among many values.

    Whether rows of a key are live is asked so that no index of live rows knows it, which has the key somewhere too: a
    table that was not analysed yet was searched by one of those instead of the primary key.
    """
    shape.require_past(kind, past=past)
    by_key = shape.gathered(kind, (column, *names)) is None
    live, ended = ("coalesce(to_seq, -1) < 0", "coalesce(to_seq, -1) >= 0") if by_key else (LIVE, PAST)
    end = "coalesce(to_seq, -1)" if by_key else "to_seq"
    type_ = "bigint" if column in shape.integers(kind) else "text"
    many = f"ANY(ARRAY(SELECT value::{type_} FROM json_array_elements_text(%s::json) AS each(value)))"
    where = " AND ".join([f"{quoted(column)} = {many}", *_wanted(kind, names, nothing)])
    rows = f"SELECT {listed(shape.columns(kind))} FROM {quoted(kind.table.name)} WHERE {where}"
    if not past:
        return Select(f"{rows} AND {live}", "v")
    return Select(
        f"{rows} AND {live} AND from_seq <= %s UNION ALL {rows} AND {ended} AND {end} > %s AND from_seq <= %s", "vtvtt"
    )


def _arms(
    kind: type[Row],
    names: tuple[str, ...],
    order: str,
    nothing: frozenset[str],
    *,
    past: bool,
    after: bool,
    descending: bool,
) -> Iterator[Select]:
    """Yield FROM clauses whose rows together are those asked for: live and past ones, and what sorts below all."""
    shape.require_past(kind, past=past)
    shape.lookup(kind, names, order)
    sign = "<" if descending else ">"
    begin = [("a", f" AND {quoted(order)} {sign} {_cast(kind, order)}")] if after else [("", "")]
    if after and descending and order in shape.nullable(kind):
        begin.append(("", f" AND {quoted(order)} IS NULL"))
    equal = "".join(f"{each} AND " for each in _wanted(kind, names, nothing))
    for letter, clause in begin:
        table = quoted(kind.table.name)
        live = f"FROM {table} WHERE {equal}{LIVE}{clause}"
        if not past:
            yield Select(live, "v" + letter)
            continue
        yield Select(f"{live} AND from_seq <= %s", f"v{letter}t")
        yield Select(f"FROM {table} WHERE {equal}{PAST}{clause} AND to_seq > %s AND from_seq <= %s", f"v{letter}tt")
