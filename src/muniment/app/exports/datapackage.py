"""Data Package (frictionless): the files of a version with sizes and hashes, and a table schema for each CSV file.

The document, ``datapackage.json``, lies beside the downloaded files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from muniment.app.exports.contents import Column, File, files
from muniment.app.exports.facts import Facts, document, placeholder, time_of
from muniment.app.subjects import Subject
from muniment.domain.values import Json


def write(facts: Facts, subject: Subject, depth: int) -> Iterator[bytes]:
    """Yield the descriptor of a version."""
    del depth  # a version alone
    version = facts.version(subject.id)
    told = {
        "name": f"version-{version.id}",
        "id": f"urn:muniment:{facts.origin}:{version.id}",
        "title": version.path,
        "description": facts.text(version.row.description),
        "version": version.number,
        "created": time_of(version.row.created_at),
        "resources": resources(files(facts, version, columns=True)),
        "muniment:erased": [placeholder(entry_id) for entry_id in version.erased],
        "muniment:invalidated": time_of(version.ended.at) if version.ended else None,
    }
    yield from document(
        {name: value for name, value in told.items() if value not in (None, [])} | {"resources": told["resources"]}
    )


def resources(found: Iterable[File]) -> list[Json]:
    """Return a resource for each file whose place a descriptor may name: beside it, or at a web address."""
    named = (file for file in found if file.entry.ref is None or file.entry.ref.startswith(("http://", "https://")))
    return [
        resource(
            f"file-{number}",
            file.place,
            media_type=file.media_type,
            size=file.entry.size,
            sha256=file.sha256,
            columns=file.columns,
        )
        for number, file in enumerate(named)
    ]


def resource(
    name: str,
    path: str,
    *,
    media_type: str,
    size: int | None = None,
    sha256: str | None = None,
    columns: Sequence[Column] = (),
) -> Json:
    """Return the descriptor of one file; with *columns* it is a table, whose rows can be checked against them."""
    told: dict[str, Json] = {"name": name, "path": path, "mediatype": media_type}
    if size is not None:
        told["bytes"] = size
    if sha256 is not None:
        told["hash"] = f"sha256:{sha256}"
    if columns:
        fields = [{"name": column.name, "type": column.type} for column in columns]
        told |= {"type": "table", "format": "csv", "encoding": "utf-8", "schema": {"fields": fields}}
    else:
        told |= {"type": "file"}
    return told
