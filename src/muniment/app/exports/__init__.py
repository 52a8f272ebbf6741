"""Exports: what is on record, in the formats of others. One module a format, each a function from facts to bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from attrs import frozen

from muniment.app.exports import croissant, cyclonedx, datapackage, openlineage, prov
from muniment.app.exports.facts import Facts
from muniment.app.labels import Labels
from muniment.app.store import Store
from muniment.app.subjects import Subject, subject, version_or_run
from muniment.app.telling import lineage
from muniment.domain.errors import InvalidValueError, StorageError

Write: TypeAlias = Callable[[Facts, Subject, int], Iterator[bytes]]


@frozen
class Format:
    """A format: who writes it, and which kinds of things it tells of."""

    write: Write
    kinds: frozenset[str]


FORMATS: Final = {
    "openlineage": Format(openlineage.write, frozenset({"project", "version", "run"})),
    "prov": Format(prov.write, frozenset({"version", "run"})),
    "croissant": Format(croissant.write, frozenset({"version"})),
    "cyclonedx": Format(cyclonedx.write, frozenset({"version"})),
    "datapackage": Format(datapackage.write, frozenset({"version"})),
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
        labels = Labels(store.views, seq)
        label = labels.version(found.id) or labels.run(found.id) or labels.project(found.id)
        return Subject(label.kind, found.id) if label else found
    return found
