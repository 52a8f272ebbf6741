"""The SQL of the views: tables and indexes, the statements of the four changes, and those that read.

Live rows (``to_seq IS NULL``) and past ones have partial indexes of their own: an insert writes no index of past
rows, and reading what is live never steps over what is past. Reads name their index, so that no statistics change a
plan.
"""

# ruff: noqa: S608 - the SQL is made of the names in row classes; every value is a parameter

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from operator import attrgetter

from attrs import field, frozen

from muniment.adapters.views import shape
from muniment.domain.rows import Cell, Lookup, Row

LIVE = "to_seq IS NULL"
PAST = "to_seq IS NOT NULL"


def quoted(name: str) -> str:
    """Quote an identifier; columns are called index, group and key."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Collection[str]) -> str:
    """Quote identifiers and put commas between them."""
    return ", ".join(map(quoted, names))


def _equal(names: Collection[str], operator: str = "=") -> str:
    return " AND ".join(f"{quoted(name)} {operator} ?" for name in names)


def _live_index(kind: type[Row], wanted: tuple[str, ...]) -> str | None:
    """Name the index of live rows by these columns; ``None``: the primary key has them in this order."""
    if wanted == kind.table.key:
        return None
    prefix = "one" if wanted in kind.table.unique else "live"
    return "_".join((kind.table.name, prefix, *wanted))


def _past_index(kind: type[Row], wanted: tuple[str, ...]) -> str:
    return "_".join((kind.table.name, "past", *wanted))


def schema(kind: type[Row]) -> Iterator[str]:
    """Yield the statements that create a table and its indexes."""
    table = kind.table
    cells = [
        f"{quoted(name)} {'INTEGER' if name in shape.integers(kind) else 'TEXT'}"
        f"{'' if name in shape.nullable(kind) else ' NOT NULL'}"
        for name in shape.columns(kind)
    ]
    parts = [*cells, "from_seq INTEGER NOT NULL", "to_seq INTEGER", f"PRIMARY KEY ({listed(table.key)}, from_seq)"]
    mostly_key = 2 * len(table.key) >= len(shape.columns(kind))
    yield f"CREATE TABLE {quoted(table.name)} ({', '.join(parts)}){' WITHOUT ROWID' if mostly_key else ''}"
    yield from dict.fromkeys(_indexes(kind))


def _indexes(kind: type[Row]) -> Iterator[str]:
    """Yield index definitions, some twice: a lookup may read the live rows of a unique set, or share past ones."""
    for unique in kind.table.unique:
        yield _index(kind, _live_index(kind, unique), unique, LIVE, "UNIQUE ")
        yield _index(kind, _past_index(kind, (*unique, "from_seq")), (*unique, "to_seq", "from_seq"), PAST)
    for lookup in kind.table.lookups:
        wanted = (*lookup.equal, lookup.order)
        if wanted != kind.table.key and wanted not in kind.table.unique:
            whole = ("to_seq",) if lookup.whole else ()
            yield _index(kind, _live_index(kind, wanted), (*wanted, *_tie_columns(kind, lookup), *whole), LIVE)
        yield _index(kind, _past_index(kind, lookup.equal), (*lookup.equal, "to_seq"), PAST)


def _tie_columns(kind: type[Row], lookup: Lookup) -> Iterator[str]:
    """Yield what an index needs besides: text may tie in masses, as types do, and sorting would read them all."""
    if lookup.order not in shape.integers(kind):
        yield from ties(kind, {*lookup.equal, lookup.order})


def _index(kind: type[Row], name: str | None, names: tuple[str, ...], which: str, unique: str = "") -> str:
    return f"CREATE {unique}INDEX {quoted(name or '')} ON {quoted(kind.table.name)} ({listed(names)}) WHERE {which}"


@frozen
class Select:
    """A statement that reads, and which values it wants in which places.

    In *pattern*, ``v`` stands for the values compared, ``a`` for the one to begin after, ``t`` for the time.
    """

    sql: str
    pattern: str

    def bind(self, values: tuple[Cell, ...], at: int | None, after: Cell = None) -> tuple[Cell, ...]:
        """Put the values where the statement wants them."""
        if self.pattern == "v":
            return values
        places: dict[str, tuple[Cell, ...]] = {"v": values, "a": (shape.within(after),), "t": (shape.within(at),)}
        return tuple(cell for letter in self.pattern for cell in places[letter])


@frozen
class Plan:
    """The statements for one kind of row, each made once."""

    kind: type[Row]
    table: str
    values: Callable[[Row], tuple[Cell, ...]]
    key: Callable[[Row], tuple[Cell, ...]]
    insert: str
    close: str
    add: str
    added: Callable[[Row], tuple[Cell, ...]]
    dump: str
    clear: str
    of_key: str
    forget: str
    copy: str
    patches: dict[tuple[str, ...], str] = field(factory=dict)
    finds: dict[tuple[tuple[str, ...], bool], Select] = field(factory=dict)
    selects: dict[tuple[tuple[str, ...], str, bool, bool, bool], Select] = field(factory=dict)
    counts: dict[tuple[tuple[str, ...], str, bool], Select] = field(factory=dict)
    gathers: dict[tuple[str, tuple[str, ...], bool], Select] = field(factory=dict)

    def patch(self, names: tuple[str, ...]) -> str:
        """Return the insert of a copy of the row just closed that differs in *names*, given in field order."""
        if names not in self.patches:
            cells = ", ".join("?" if name in names else quoted(name) for name in shape.columns(self.kind))
            self.patches[names] = (
                f"{into(self.kind)} SELECT {cells}, ?, NULL FROM {self.table} WHERE {_equal(self.kind.table.key)}"
                f" ORDER BY from_seq DESC LIMIT 1 {_again(self.kind)}"
            )
        return self.patches[names]

    def find(self, names: tuple[str, ...], *, past: bool) -> Select:
        """Return the statement for the candidates with these key or unique columns, as of now or of a past event."""
        if (names, past) not in self.finds:
            self.finds[names, past] = _find(self.kind, names, past=past)
        return self.finds[names, past]

    def select(self, names: tuple[str, ...], order: str, *, past: bool, after: bool, descending: bool) -> Select:
        """Return the statement for the rows of a lookup; its last parameter is the limit."""
        wanted = (names, order, past, after, descending)
        if wanted not in self.selects:
            arms = list(_arms(self.kind, names, order, past=past, after=after, descending=descending))
            cells = listed(shape.columns(self.kind))
            last = map(quoted, ties(self.kind, {*names, order}))
            sort = ", ".join([quoted(order) + (" DESC" if descending else ""), *last])
            sql = " UNION ALL ".join(f"SELECT {cells} {arm.sql}" for arm in arms)
            self.selects[wanted] = Select(f"{sql} ORDER BY {sort} LIMIT ?", "".join(arm.pattern for arm in arms))
        return self.selects[wanted]

    def gather(self, column: str, names: tuple[str, ...], *, past: bool) -> Select:
        """Return the statement for the rows of many values of one column, which come first, as a JSON array."""
        if (column, names, past) not in self.gathers:
            self.gathers[column, names, past] = _gather(self.kind, column, names, past=past)
        return self.gathers[column, names, past]

    def count(self, names: tuple[str, ...], order: str, *, past: bool) -> Select:
        """Return the statement for the number of rows of a lookup."""
        if (names, order, past) not in self.counts:
            arms = list(_arms(self.kind, names, order, past=past, after=False, descending=False))
            total = " + ".join(f"(SELECT count(*) {arm.sql})" for arm in arms)
            self.counts[names, order, past] = Select(f"SELECT {total}", "".join(arm.pattern for arm in arms))
        return self.counts[names, order, past]


@shape.once
def plan(kind: type[Row]) -> Plan:
    """Return the statements for a kind of row."""
    table, key, names = quoted(kind.table.name), kind.table.key, shape.columns(kind)
    newest = f"(SELECT from_seq FROM {table} WHERE {_equal(key)} ORDER BY from_seq DESC LIMIT 1)"
    return Plan(
        kind=kind,
        table=table,
        values=_getter(names),
        key=_getter(key),
        insert=f"{into(kind)} VALUES ({', '.join('?' * len(names))}, ?, NULL) {_again(kind)}",
        close=f"UPDATE {table} SET to_seq = ? WHERE {_equal(key)} AND from_seq = {newest} AND {LIVE}",
        add=f"UPDATE {table} SET {_totals(kind)} WHERE {_equal(key)} AND {LIVE}" if kind.table.sums else "",
        added=_getter((*kind.table.sums, *shape.last_ones(kind))) if kind.table.sums else lambda _: (),
        dump=f"SELECT * FROM {table} ORDER BY {listed(key)}, from_seq",
        clear=f"DELETE FROM {table}",
        of_key=f"SELECT * FROM {table} WHERE {_equal(key)} ORDER BY from_seq",
        forget=f"DELETE FROM {table} WHERE {_equal(key)}",
        copy=f"{into(kind)} VALUES ({', '.join('?' * (len(names) + 2))})",
    )


def _getter(names: tuple[str, ...]) -> Callable[[Row], tuple[Cell, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    single = attrgetter(names[0])
    return lambda row: (single(row),)


def _totals(kind: type[Row]) -> str:
    """Return what becomes of totals: some columns add up, some are those of the last event."""
    sums = [f"{quoted(name)} = {quoted(name)} + ?" for name in kind.table.sums]
    return ", ".join([*sums, *(f"{quoted(name)} = ?" for name in shape.last_ones(kind))])


def into(kind: type[Row]) -> str:
    """Return how an insert begins, in either database."""
    return f"INSERT INTO {quoted(kind.table.name)} ({listed(shape.columns(kind))}, from_seq, to_seq)"


def _again(kind: type[Row]) -> str:
    """Return the clause by which a row replaces one that began and ended at the same event."""
    other = [name for name in shape.columns(kind) if name not in kind.table.key]
    cells = "".join(f"{quoted(name)} = excluded.{quoted(name)}, " for name in other)
    return f"ON CONFLICT ({listed(kind.table.key)}, from_seq) DO UPDATE SET {cells}to_seq = NULL WHERE {PAST}"


def _find(kind: type[Row], names: tuple[str, ...], *, past: bool) -> Select:
    shape.require_past(kind, past=past)
    found = shape.identity(kind, names)
    table, cells = quoted(kind.table.name), f"{listed(shape.columns(kind))}, from_seq, to_seq"
    if found == kind.table.key:
        time = " AND from_seq <= ?" if past else ""
        sql = f"SELECT {cells} FROM {table} WHERE {_equal(names)}{time} ORDER BY from_seq DESC LIMIT 1"
        return Select(sql, "vt" if past else "v")
    one = quoted(_live_index(kind, found) or "")
    live = f"SELECT {cells} FROM {table} INDEXED BY {one} WHERE {_equal(names)} AND {LIVE}"
    if not past:
        return Select(live, "v")
    index = quoted(_past_index(kind, (*found, "from_seq")))
    ended = (
        f"SELECT {cells} FROM {table} INDEXED BY {index} WHERE {_equal(names)} AND to_seq > ? AND {PAST}"
        " ORDER BY to_seq, from_seq LIMIT 1"
    )
    return Select(f"{live} AND from_seq <= ? UNION ALL SELECT * FROM ({ended})", "vtvt")


def _gather(kind: type[Row], column: str, names: tuple[str, ...], *, past: bool) -> Select:
    """Return a statement for the rows of which one column is among many values."""
    shape.require_past(kind, past=past)
    found, table = shape.gathered(kind, (column, *names)), quoted(kind.table.name)
    select = f"SELECT {listed(shape.columns(kind))} FROM {table}"
    where = f"WHERE {quoted(column)} IN (SELECT value FROM json_each(?))" + "".join(
        f" AND {quoted(name)} IS ?" for name in names
    )
    live = f"{select}{'' if found is None else _source(kind, found)} {where} AND {LIVE}"
    if not past:
        return Select(live, "v")
    index = "" if found is None else f" INDEXED BY {quoted(_past_index(kind, found.equal))}"
    ended = f"{select}{index} {where} AND {PAST} AND to_seq > ? AND from_seq <= ?"
    return Select(f"{live} AND from_seq <= ? UNION ALL {ended}", "vtvtt")


def _arms(
    kind: type[Row], names: tuple[str, ...], order: str, *, past: bool, after: bool, descending: bool
) -> Iterator[Select]:
    """Yield FROM clauses whose rows together are those asked for: live and past ones, and what sorts below all."""
    shape.require_past(kind, past=past)
    found = shape.lookup(kind, names, order)
    begin = [("a", f" AND {quoted(order)} {'<' if descending else '>'} ?")] if after else [("", "")]
    if after and descending and order in shape.nullable(kind):
        begin.append(("", f" AND {quoted(order)} IS NULL"))
    for letter, clause in begin:
        equal = "".join(f"{quoted(name)} IS ? AND " for name in names)
        source, table = _source(kind, found), quoted(kind.table.name)
        live = f"FROM {table}{source} WHERE {equal}{LIVE}{clause}"
        if not past:
            yield Select(live, "v" + letter)
            continue
        yield Select(f"{live} AND from_seq <= ?", f"v{letter}t")
        index = quoted(_past_index(kind, found.equal))
        ended = f"FROM {table} INDEXED BY {index} WHERE {equal}{PAST}{clause} AND to_seq > ? AND from_seq <= ?"
        yield Select(ended, f"v{letter}tt")


def ties(kind: type[Row], known: set[str]) -> Iterator[str]:
    """Yield what orders rows that agree in the *known* columns: nothing if these name one row."""
    for names in (kind.table.key, *kind.table.unique):
        if known.issuperset(names) and not shape.nullable(kind).intersection(names):
            return
    yield from (name for name in kind.table.key if name not in known)


def _source(kind: type[Row], found: Lookup) -> str:
    index = _live_index(kind, (*found.equal, found.order))
    return "" if index is None else f" INDEXED BY {quoted(index)}"
