"""R9, the portability package (GDPR Art. 20): the person's data with a descriptor that machines read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from muniment.app.exports import datapackage
from muniment.app.reports import person
from muniment.app.reports.shape import About, Report, Scope
from muniment.domain.values import Json

DESCRIPTOR: Final = "datapackage.json"
MEDIA: Final = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".parquet": "application/vnd.apache.parquet",
}


def files(scope: Scope, folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Write the data itself and the descriptor of all files, which is a Data Package."""
    told = [_resource(folder, name, number) for number, name in enumerate(names)]
    for name in person.copied(scope, folder):
        told.append(_resource(folder, name, len(told)))
        yield name
    package = {"name": f"request-{scope.about}", "resources": told}
    content = json.dumps(package, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / DESCRIPTOR).write_text(content + "\n", "utf-8")
    yield DESCRIPTOR


def _resource(folder: Path, name: str, number: int) -> Json:
    path, hashed = folder / name, sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hashed.update(block)
    media_type = MEDIA.get(path.suffix, "application/octet-stream")
    return datapackage.resource(
        f"file-{number}", name, media_type=media_type, size=path.stat().st_size, sha256=hashed.hexdigest()
    )


REPORT: Final = Report(
    name="portability",
    number="R9",
    title="Your data, to take along",
    reader="the person who asked, or whoever it goes to next",
    about=About.REQUEST,
    needed=True,
    private=True,
    sheets=(person.VALUES, person.DATA),
    files=files,
)
