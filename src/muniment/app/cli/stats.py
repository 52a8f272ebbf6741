"""What the store holds, in numbers."""

from __future__ import annotations

from muniment.app.cli.frame import command, store
from muniment.app.cli.show import One, Shown, counted, human_size, printable
from muniment.app.stats import Stats, measure


@command(examples=("muniment stats", "muniment stats --json"))
def stats() -> Shown:
    """Count events, artifacts, versions and blobs, and their bytes, for each project too.

    Bytes referenced are what the versions stand for, shared ones counted each time; bytes stored are what is kept,
    manifests included. Every version is looked at, no file is read.
    """
    found = measure(store())
    return One(
        {
            "events": found.events,
            "artifacts": found.artifacts,
            "versions": found.versions,
            "deleted_versions": found.deleted,
            "blobs": found.blobs,
            "bytes_stored": found.stored,
            "bytes_referenced": found.referenced,
            "dedupe_ratio": found.dedupe,
            "projects": [
                {"name": each.name, "artifacts": each.artifacts, "versions": each.versions, "bytes": each.size}
                for each in found.projects
            ],
            "projections": [
                {"name": each.name, "behind": each.behind, "parked": len(each.parked)} for each in found.projections
            ],
        },
        _text(found),
    )


def _text(found: Stats) -> str:
    ratio = "" if found.dedupe is None else f", {found.dedupe:.2f} bytes referenced for each that is stored"
    held = f"{counted(found.artifacts, 'artifact')}, {counted(found.versions, 'version')}"
    lines = [
        counted(found.events, "event"),
        f"{held}, {counted(found.deleted, 'deleted version')}",
        counted(found.blobs, "blob"),
        f"{human_size(found.stored)} stored, {human_size(found.referenced)} referenced{ratio}",
    ]
    for each in found.projects:
        held = f"{counted(each.artifacts, 'artifact')}, {counted(each.versions, 'version')}, {human_size(each.size)}"
        lines.append(f"{printable(each.name)}: {held}")
    late = (
        f"projection {each.name}: {counted(each.behind, 'event')} behind, {len(each.parked)} parked"
        for each in found.projections
    )
    return "\n".join([*lines, *late])
