"""The files of a version, as exports that list files see them; tables among them with their columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import Final

from attrs import frozen

from muniment.app import manifests
from muniment.app.exports.facts import Facts, VersionFact
from muniment.app.files.download import open_entry
from muniment.app.files.fetching import sha256_of
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError
from muniment.domain.manifest import Entry
from muniment.domain.values import Digest

MOST: Final = 200_000
"""How many entries one document may list: it is read and written as a whole."""

TYPES: Final = (
    ("integer", re.compile(r"-?(0|[1-9][0-9]{0,17})")),
    ("number", re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?")),
)
PLAIN: Final = "application/octet-stream"
MEDIA: Final = {".csv": "text/csv", ".json": "application/json", ".parquet": "application/vnd.apache.parquet"}


@frozen
class Column:
    """A column of a table: its name, and whether all of its values are ``integer``, ``number`` or just ``string``."""

    name: str
    type: str


@frozen
class File:
    """One entry of a version; ``sha256`` is known for what is stored and where a reference was hashed."""

    entry: Entry
    media_type: str
    sha256: str | None
    columns: tuple[Column, ...] = ()

    @property
    def place(self) -> str:
        """Where its bytes are: its path beside the document, or what it refers to."""
        return self.entry.ref or self.entry.path


def files(facts: Facts, version: VersionFact, *, columns: bool = False) -> list[File]:
    """Return the entries of a version in the order of their paths, without those erased; none if all bytes are gone.

    With *columns* the CSV files among them are read. InvalidValueError if there are more than ``MOST``.
    """
    row = version.row
    if row.entries > MOST:
        msg = f"the version has {row.entries:,} entries, more than the {MOST:,} that one document may list"
        raise InvalidValueError(msg)
    if row.manifest is None or (version.ended and version.ended.purged_at):
        return []
    store = _of_team(facts, version)
    gone = {each.path for each in facts.erased(version.id)}
    manifest = manifests.read(store.blobs, store.codec, Digest(row.manifest))
    return [_file(store, entry, columns=columns) for entry in manifest.entries() if entry.path not in gone]


def _of_team(facts: Facts, version: VersionFact) -> Store:
    team_id = facts.labels.team_of(version.row)
    return facts.store if team_id is None else facts.store.of_team(team_id)


def _file(store: Store, entry: Entry, *, columns: bool) -> File:
    suffix = "." + entry.path.rpartition(".")[2].lower()
    table = columns and suffix == ".csv" and entry.ref is None
    return File(entry, MEDIA.get(suffix, PLAIN), sha256_of(entry), _columns(store, entry) if table else ())


def _columns(store: Store, entry: Entry) -> tuple[Column, ...]:
    """Return the columns of a CSV file with a header; none if it is no such table."""
    try:
        with TextIOWrapper(open_entry(store, entry), "utf-8", newline="") as text:
            rows = csv.reader(text, strict=True)
            names = next(rows, [])
            if not names or len(set(names)) < len(names) or not all(name.strip() for name in names):
                return ()
            return _typed(names, rows)
    except (UnicodeDecodeError, csv.Error):
        return ()


def _typed(names: Sequence[str], rows: Iterator[list[str]]) -> tuple[Column, ...]:
    left = [list(TYPES) for _ in names]
    empty = True
    for row in rows:
        if len(row) != len(names):
            return ()
        empty = False
        for at, cell in enumerate(row):
            left[at] = [each for each in left[at] if each[1].fullmatch(cell)]
    return tuple(
        Column(name, types[0][0] if types and not empty else "string") for name, types in zip(names, left, strict=True)
    )
