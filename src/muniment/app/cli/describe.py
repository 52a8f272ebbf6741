"""What is said about a version, in words and figures that people and scripts read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import define, field

from muniment.app import catalog, clock, directory, lifecycle
from muniment.app.catalog import Found
from muniment.app.cli.frame import texts
from muniment.app.labels import Labels
from muniment.app.store import Store
from muniment.domain.rows import TagRow
from muniment.domain.values import ERASED_TEXT, PrincipalId


@define
class Logins:
    """Who principals are: their logins, each looked up once; ``[erased]`` where one was forgotten."""

    opened: Store
    known: dict[str, str] = field(factory=dict)

    def of(self, id_: str | None) -> str | None:
        """Return the login of a principal; ``None`` if there is no principal."""
        if id_ is not None and id_ not in self.known:
            self.learn([id_])
        return None if id_ is None else self.known[id_]

    def learn(self, ids: Iterable[str]) -> None:
        """Look logins up many at a time."""
        wanted = {PrincipalId(id_) for id_ in ids} - self.known.keys()
        found = directory.logins(self.opened, wanted)
        self.known.update((id_, found.get(id_, ERASED_TEXT)) for id_ in wanted)


def version(opened: Store, found: Found, at: int | None = None) -> dict[str, Any]:
    """Return everything about a version."""
    row = found.version
    labels = Labels(opened.views, at)
    description, metadata = texts(opened, row.description, row.metadata)
    run = labels.run(row.run_id) if row.run_id else None
    expires = lifecycle.expires_at(opened, found, at)
    links = catalog.links_of(opened.views, row.version_id, at)
    return {
        **version_line(opened, found, at),
        "source": source_name(found),
        "version": f"v{row.index}" if found.link is None else f"v{found.link.index}",
        "entries": row.entries,
        "tags": [tag.tag for tag in opened.views.select(TagRow, at=at, owner_id=row.version_id, order="tag")],
        "created_at": clock.to_text(row.created_at),
        "user": Logins(opened).of(row.actor),
        "logged_by": run.path if run else None,
        "expires_at": clock.told(expires),
        "links": [label.path for each in links if each.link and (label := labels.link(each.link.link_id))],
        "state": row.state,
        "description": description,
        "metadata": metadata,
    }


def version_line(opened: Store, found: Found, at: int | None = None) -> dict[str, Any]:
    """Return what a list says about a version."""
    row = found.version
    return {
        "name": display_name(found),
        "type": found.artifact.type,
        "size": row.size,
        "updated_at": clock.to_text(row.updated_at),
        "aliases": catalog.all_aliases(opened.views, found, at),
        "digest": row.digest,
        "version_id": row.version_id,
    }


def display_name(found: Found) -> str:
    """Return the short name of a version where it was reached: ``name:v3``."""
    if found.collection is not None and found.link is not None:
        return f"{found.collection.name}:v{found.link.index}"
    return f"{found.artifact.name}:v{found.version.index}"


def source_name(found: Found) -> str:
    """Return the whole name of a version where it was logged."""
    return f"{found.team.name}/{found.project.name}/{found.artifact.name}:v{found.version.index}"
