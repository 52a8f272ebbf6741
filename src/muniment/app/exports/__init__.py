"""Exports: what is on record, in the formats of others. One module a format, each a function from facts to bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from attrs import frozen

from muniment.app import lineage
from muniment.app.exports import croissant, cyclonedx, datapackage, openlineage, prov
from muniment.app.exports.facts import Facts
from muniment.app.store import Store
from muniment.app.subjects import Subject, subject, version_or_run
from muniment.domain.errors import InvalidValueError, StorageError
from muniment.domain.rows import VersionRow

Write: TypeAlias = Callable[[Facts, Subject, int], Iterator[bytes]]


@frozen
class Format:
    """A format: what it says of what, and who writes it."""

    write: Write
    meaning: str
    kinds: frozenset[str]


FORMATS: Final = {
    "openlineage": Format(
        openlineage.write,
        "runs with what they used and logged, a JSON event a line",
        frozenset({"project", "version", "run"}),
    ),
    "prov": Format(prov.write, "lineage as W3C PROV-JSON", frozenset({"version", "run"})),
    "croissant": Format(croissant.write, "the files of a version as a Croissant 1.1 data set", frozenset({"version"})),
    "cyclonedx": Format(cyclonedx.write, "a version as a CycloneDX 1.7 ML-BOM", frozenset({"version"})),
    "datapackage": Format(
        datapackage.write, "the files and tables of a version as a Data Package", frozenset({"version"})
    ),
}
"""Every format, by the name that it is asked for with."""


def export(
    store: Store, format_: str, name: str, *, at: int | None = None, depth: int | None = None
) -> Iterator[bytes]:
    """Yield an export of the thing of this name, as of event *at*: same store, same moment, same bytes.

    *depth* says how many steps of lineage belong to it, each way. InvalidValueError if there is no such format, or
    the format says nothing about a thing of that kind; NotFoundError if there is no such thing.
    """
    found = FORMATS.get(format_)
    if found is None:
        msg = f"there is no format {format_!r} — there are {', '.join(FORMATS)}"
        raise InvalidValueError(msg)
    seq = store.ledger.head().size if at is None else at
    about = _about(store, name, seq, found.kinds)
    if about.kind not in found.kinds:
        msg = (
            f"{format_} tells of a {' or '.join(sorted(found.kinds))}, and {name!r} is a {about.kind} — name such a one"
        )
        raise InvalidValueError(msg)
    return found.write(Facts(store, seq), about, lineage.DEPTH if depth is None else depth)


def save(chunks: Iterable[bytes], path: Path) -> None:
    """Write an export to a file, whole or not at all; StorageError says why it cannot be written."""
    half = path.with_name(f".{path.name}.half")
    try:
        with half.open("wb") as file:
            file.writelines(chunks)
        half.replace(path)
    except OSError as error:
        msg = f"{str(path)!r} cannot be written ({error.strerror}) — name a file in a folder that is there"
        raise StorageError(msg) from error
    finally:
        half.unlink(missing_ok=True)


def _about(store: Store, name: str, seq: int, kinds: frozenset[str]) -> Subject:
    found = subject(store, name, seq)
    if found.kind not in kinds and found.kind in {"artifact", "collection"}:
        return version_or_run(store, name, seq)
    if found.kind == "id":
        views = store.views
        return Subject("run" if views.find(VersionRow, at=seq, version_id=found.id) is None else "version", found.id)
    return found
