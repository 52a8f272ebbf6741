"""Judges of exports that know nothing of Muniment: for each [format, file, …] on standard input, what is wrong with it.

Each is somebody else's library. They run in a process of their own, in which nothing can reach the network.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def cut_off(*_: Any, **__: Any) -> Any:
    msg = "a judge wanted the network"
    raise AssertionError(msg)


def openlineage(file: Path, schemas: str, own: str) -> list[str]:
    """Check every event against the core, and every facet against the schema that it names; an unknown one is wrong."""
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry, Resource

    found = [json.loads(path.read_text()) for folder in (schemas, own) for path in Path(folder).rglob("*.json")]
    known = Registry().with_resources((each["$id"], Resource.from_contents(each)) for each in found)

    def faults(schema: str, value: Any) -> list[str]:
        validator = Draft202012Validator({"$ref": schema}, registry=known, format_checker=FormatChecker())
        return [f"{schema}: {error.message}" for error in validator.iter_errors(value)]

    def facets(value: Any) -> list[str]:
        if isinstance(value, list):
            return [fault for each in value for fault in facets(each)]
        if not isinstance(value, dict):
            return []
        told = []
        for name, inner in value.items():
            if name in {"facets", "inputFacets", "outputFacets"}:
                for key, facet in inner.items():
                    document = known.get(facet["_schemaURL"].partition("#")[0])
                    if document is None or key not in document.contents.get("properties", {}):
                        told.append(f"nobody knows facet {key}")
                    else:
                        told += faults(facet["_schemaURL"], facet)
            else:
                told += facets(inner)
        return told

    core = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
    events = [json.loads(line) for line in file.read_text().splitlines()]
    return [
        fault
        for event in events
        for fault in (*faults(core, event), *faults(event["schemaURL"], event), *facets(event))
    ]


def prov(file: Path) -> list[str]:
    """Read it, write it again and read that: both must be equal, and nothing of it may be left out."""
    from prov.model import ProvDocument

    text = file.read_text()
    document = ProvDocument.deserialize(content=text, format="json")
    again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    said = json.loads(text)
    count = sum(len(each) for name, each in said.items() if name != "prefix")
    faults = [] if document == again else ["it is not the same when written again"]
    return faults + ([] if len(list(document.get_records())) == count else ["some of it was not understood"])


def croissant(file: Path) -> list[str]:
    """Validate it, load every table, and compare what the tables hold with the hashes of their files."""
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=file)
    for records in dataset.metadata.record_sets:
        assert all(dataset.records(records.uuid))
    return [each for each in sorted(dataset.metadata.ctx.issues.warnings) if "is recommended" not in each]


def cyclonedx(file: Path) -> list[str]:
    """Hold it against the schema of CycloneDX 1.7, strictly."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    fault = JsonStrictValidator(SchemaVersion.V1_7).validate_str(file.read_text())
    return [] if fault is None else [str(fault)[:500]]


def datapackage(file: Path) -> list[str]:
    """Check the descriptor, then every file against size and hash, and every table against its columns."""
    from frictionless import Package

    report = Package(str(file)).validate()
    return [f"{each[0]}: {each[1]}" for each in report.flatten(["title", "note"])]


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


JUDGES: dict[str, Callable[..., list[str]]] = {
    "openlineage": openlineage,
    "prov": prov,
    "croissant": croissant,
    "cyclonedx": cyclonedx,
    "datapackage": datapackage,
}


def judged(format_: str, file: str, *more: str) -> list[str]:
    os.chdir(Path(file).parent)
    try:
        return JUDGES[format_](Path(file), *more)
    except Exception as error:  # noqa: BLE001 (some judges say what is wrong by what they raise)
        return [f"{type(each).__name__}: {each}" for each in causes(error)]


if __name__ == "__main__":
    socket.socket.connect = cut_off  # type: ignore[method-assign]
    socket.create_connection = cut_off
    socket.getaddrinfo = cut_off
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    sys.stdout.write(json.dumps([judged(*job) for job in json.load(sys.stdin)]))
