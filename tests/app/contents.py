"""Versions of given contents, and what a folder holds."""

from __future__ import annotations

from pathlib import Path

from muniment.app import catalog, directory
from muniment.app.catalog import Found
from muniment.app.files.reference import sources
from muniment.app.files.staging import Staged, Staging
from muniment.app.log_artifact import Draft
from muniment.app.store import Store
from muniment.app.upload import log_contents
from muniment.domain.manifest import Entry


def log(store: Store, content: dict[str, bytes], *entries: Entry, name: str = "set") -> Found:
    with Staging(store) as staging:
        staged = [staging.add_bytes(path, bytes_) for path, bytes_ in content.items()]
        logged = log_contents(
            store,
            directory.project(store.views, "local", "uncategorized"),
            [*staged, *map(Staged, entries)],
            lambda made: Draft(
                name, "data", made.digest, made.manifest, made.size, made.entries, sources=sources(entries)
            ),
        )
    return catalog.origin(store.views, logged.version_id)


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
