"""Croissant 1.1: the files of a version with their SHA-256, and the tables among them with their columns.

The document lies beside the downloaded files: ``contentUrl`` is the path of an entry, or what it refers to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from muniment.app.exports.contents import File, files
from muniment.app.exports.facts import Facts, VersionFact, document, placeholder, time_of
from muniment.app.subjects import Subject
from muniment.domain.values import Json

CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The terms of Croissant 1.1, and PROV for what was invalidated."""

TYPES: Final = {"integer": "sc:Integer", "number": "sc:Float", "string": "sc:Text"}


def write(facts: Facts, subject: Subject, depth: int) -> Iterator[bytes]:
    """Yield the description of a version."""
    del depth  # a version alone
    version = facts.version(subject.id)
    found = files(facts, version, columns=True)
    known = [file for file in found if file.sha256 is not None]
    ids = {file.entry.path: f"file-{number}" for number, file in enumerate(known)}
    told = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": version.path,
        "description": facts.text(version.row.description) or f"{version.type or 'artifact'} {version.path}",
        "version": str(version.row.index),
        "identifier": f"urn:muniment:{facts.origin}:{version.id}",
        "dateCreated": time_of(version.row.created_at),
        "datePublished": time_of(version.row.created_at),
        "distribution": [_object(file, ids[file.entry.path]) for file in known],
        "recordSet": [_records(file, ids[file.entry.path]) for file in known if file.columns],
        "isBasedOn": [file.place for file in found if file.sha256 is None],
        "prov:wasInvalidatedBy": list(_invalidated(version)),
    }
    yield from document({name: value for name, value in told.items() if value != []})


def _object(file: File, id_: str) -> Json:
    size = file.entry.size
    told = {
        "@type": "cr:FileObject",
        "@id": id_,
        "name": file.entry.path,
        "contentUrl": file.place,
        "encodingFormat": file.media_type,
        "sha256": file.sha256,
    }
    return told if size is None else {**told, "contentSize": f"{size} B"}


def _records(file: File, id_: str) -> Json:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"table-{id_}/column-{number}",
            "name": column.name,
            "dataType": TYPES[column.type],
            "source": {"fileObject": {"@id": id_}, "extract": {"column": column.name}},
        }
        for number, column in enumerate(file.columns)
    ]
    return {"@type": "cr:RecordSet", "@id": f"table-{id_}", "name": file.entry.path, "field": fields}


def _invalidated(version: VersionFact) -> Iterator[Json]:
    """Yield what is not there any more: the version itself, or single entries without their names."""
    if version.ended is not None:
        yield {"@type": "prov:Activity", "name": version.ended.how, "prov:endedAtTime": time_of(version.ended.at)}
    for entry_id in version.erased:
        yield {"@type": "prov:Activity", "name": f"erased {placeholder(entry_id)}"}
