"""A store in which things happen: versions of made-up content, runs that use and log them, links."""

from __future__ import annotations

import hashlib

from attrs import define

from muniment.app import catalog, directory, lifecycle, link_artifact, names, runs
from muniment.app.catalog import Found
from muniment.app.log_artifact import Draft, Logged, log
from muniment.app.sdk import session
from muniment.app.store import Store
from muniment.domain.ports import Views
from muniment.domain.rows import ProjectRow, RunRow
from muniment.domain.values import Digest, Json, RunId, VersionId


@define
class Story:
    """The store of this test, and short words for what happens in it."""

    project_name: str = "uncategorized"

    @property
    def store(self) -> Store:
        return session.store()

    @property
    def views(self) -> Views:
        return self.store.views

    @property
    def seq(self) -> int:
        return self.store.ledger.head().size

    @property
    def project(self) -> ProjectRow:
        return directory.create_project(self.store, "local", self.project_name)

    def log(
        self,
        name: str,
        content: str,
        *,
        type_: str = "dataset",
        run: RunRow | None = None,
        aliases: tuple[str, ...] = (),
        sources: tuple[VersionId, ...] = (),
        metadata: Json = None,
        tags: tuple[str, ...] = (),
    ) -> Logged:
        digest = Digest(hashlib.sha256(content.encode()).hexdigest())
        draft = Draft(
            name=name,
            type=type_,
            digest=digest,
            manifest=digest,
            size=len(content),
            entries=1,
            aliases=aliases,
            sources=sources,
            metadata=metadata,
            tags=tags,
        )
        return log(self.store, self.project, draft, run_id=run.run_id if run else None)

    def run(self, key: str, *used: VersionId, job_type: str | None = None) -> RunRow:
        row = runs.start(self.store, self.project, runs.RunDraft(key, key, job_type))
        for version_id in used:
            runs.use(self.store, version_id, RunId(row.run_id))
        return row

    def find(self, text: str, at: int | None = None) -> Found:
        address = names.parse(text, entity="local", project=self.project_name, organisation="local")
        return catalog.find(self.views, address, at)

    def link(self, text: str, target: str, *aliases: str) -> Found:
        address = names.parse(target, entity="local", project=self.project_name, organisation="local")
        return link_artifact.link(self.store, self.find(text), address, aliases)

    def edit(self, text: str, edits: lifecycle.Edits) -> None:
        lifecycle.edit(self.store, self.find(text), edits)
