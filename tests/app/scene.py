"""A store in memory with real contents in it, a clock to turn, and short words for what happens."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from attrs import define, evolve

from muniment.app import catalog, directory, lifecycle, link_artifact, log_artifact, manifests, names, runs
from muniment.app.catalog import Found
from muniment.app.leases import Lease
from muniment.app.lifecycle import Edits
from muniment.app.log_artifact import Draft, Logged
from muniment.app.store import Store
from muniment.app.transact import Request
from muniment.domain.manifest import Entry
from muniment.domain.ports import BlobSource, Recorded, Views
from muniment.domain.principal import Denied, access_stream
from muniment.domain.rows import ArtifactRow, LinkRow, ProjectRow, RegistryRow, RunRow, TeamRow, VersionRow
from muniment.domain.values import INHERIT, CommandId, Digest, Json, RunId, Ttl, VersionId
from tests.stores import Clock, as_login

SECOND = 1_000_000
DAY = 24 * 3600 * SECOND
STEP = 3 * DAY


def pass_time(store: Store, clock: Clock, micros: int) -> None:
    """Let time pass in steps, after each of which somebody is refused something, so that nobody doubts the clock."""
    stream, left = access_stream(store.context.actor), micros
    while left > STEP:
        clock.now, left = clock.now + STEP, left - STEP
        store.transact(Request("look"), lambda steps: steps.append(stream, Denied("RuleError")))
    clock.now += left


@define
class Scene:
    """One store and who acts on it."""

    store: Store
    clock: Clock
    team_name: str = "local"
    project_name: str = "uncategorized"

    # --- who and where -----------------------------------------------------------------------------------------------

    def by(self, login: str) -> Scene:
        """Return the same scene with somebody else acting."""
        return evolve(self, store=as_login(self.store, login))

    @property
    def views(self) -> Views:
        return self.store.views

    @property
    def seq(self) -> int:
        return self.store.ledger.head().size

    @property
    def project(self) -> ProjectRow:
        return directory.project(self.views, self.team_name, self.project_name)

    @property
    def team(self) -> TeamRow:
        return directory.team(self.views, self.team_name)

    def registry(self, name: str) -> RegistryRow:
        return directory.registry(self.views, "local", name)

    def artifact(self, name: str) -> ArtifactRow:
        return catalog.artifact_named(self.views, self.project, name)

    def pass_time(self, micros: int) -> None:
        """Let time pass, in steps that nobody doubts the clock for."""
        pass_time(self.store, self.clock, micros)

    # --- what happens ------------------------------------------------------------------------------------------------

    def bring(self, files: dict[str, str]) -> manifests.Written:
        """Put contents and their manifest into the store."""
        contents = {path: text.encode() for path, text in sorted(files.items())}
        digests = {path: Digest(sha256(content).hexdigest()) for path, content in contents.items()}
        sources = [BlobSource(digests[path], len(content), content) for path, content in contents.items()]
        assert all(result.error is None for result in self.store.blobs.put_many(sources))
        entries = [Entry(path, digests[path], len(content)) for path, content in contents.items()]
        return manifests.write(self.store.blobs, self.store.codec, entries)

    def draft(self, name: str, content: str | dict[str, str] = "", **said: Any) -> Draft:
        written = self.bring(content if isinstance(content, dict) else {"data.txt": content})
        return Draft(
            name=name,
            type=said.pop("type_", "dataset"),
            digest=written.digest,
            manifest=written.manifest,
            size=written.size,
            entries=written.entries,
            **said,
        )

    def log(  # noqa: PLR0913 (all that may be said)
        self,
        name: str,
        content: str | dict[str, str] = "",
        *aliases: str,
        run: RunRow | None = None,
        lease: Lease | None = None,
        command: CommandId | None = None,
        type_: str = "dataset",
        tags: tuple[str, ...] = (),
        ttl: Ttl = INHERIT,
        metadata: Json = None,
        description: str | None = None,
    ) -> Logged:
        draft = self.draft(
            name,
            content,
            type_=type_,
            aliases=aliases,
            tags=tags,
            ttl=ttl,
            metadata=metadata,
            description=description,
        )
        run_id = RunId(run.run_id) if run else None
        return log_artifact.log(self.store, self.project, draft, run_id=run_id, lease=lease, command=command)

    def run(self, key: str, **said: Any) -> RunRow:
        return runs.start(self.store, self.project, runs.RunDraft(key, key, **said))

    def address(self, text: str) -> names.Address:
        return names.parse(text, entity=self.team_name, project=self.project_name, organisation="local")

    def find(self, text: str, at: int | None = None) -> Found:
        return catalog.find(self.views, self.address(text), at)

    def link(self, text: str, target: str, *aliases: str) -> Found:
        return link_artifact.link(self.store, self.find(text), self.address(f"wandb-registry-{target}"), aliases)

    def linked(self, target: str, at: int | None = None) -> Found:
        return self.find(f"wandb-registry-{target}", at)

    def unlink(self, target: str) -> None:
        link_artifact.unlink(self.store, self.linked(target))

    def edit(self, text: str, **edits: Any) -> None:
        found = self.find(text)
        act = link_artifact.edit if found.link else lifecycle.edit
        act(self.store, found, Edits(**edits))

    def delete(self, text: str, *, delete_aliases: bool = False, reason: str | None = None) -> Found:
        found = self.find(text)
        lifecycle.delete(self.store, found, delete_aliases=delete_aliases, reason=reason)
        return found

    # --- what is then ------------------------------------------------------------------------------------------------

    def points(self, name: str, at: int | None = None) -> dict[str, int]:
        """Return where every alias of an artifact or (``registry/collection``) of a collection points."""
        text = f"wandb-registry-{name}" if "/" in name else name
        found: dict[str, int] = {}
        for index in self.indexes(name, at):
            version = self.find(f"{text}:v{index}", at)
            found |= dict.fromkeys(catalog.all_aliases(self.views, version, at), index)
        return found

    def indexes(self, name: str, at: int | None = None) -> list[int]:
        """Return the numbers of the live versions of an artifact, or of the links of a collection."""
        if "/" in name:
            registry, collection = name.split("/")
            there = directory.registry(self.views, "local", registry, at)
            row = catalog.collection_named(self.views, there, collection, at)
            return [
                link.index for link in self.views.select(LinkRow, at=at, collection_id=row.collection_id, order="index")
            ]
        project = directory.project(self.views, self.team_name, self.project_name, at)
        artifact = catalog.artifact_named(self.views, project, name, at)
        rows = self.views.select(VersionRow, at=at, artifact_id=artifact.artifact_id, state="committed", order="index")
        return [row.index for row in rows]

    def version(self, version_id: VersionId) -> VersionRow:
        row = self.views.find(VersionRow, version_id=version_id)
        assert row is not None
        return row

    def blobs(self) -> set[Digest]:
        return {digest for digest, _ in self.store.blobs.list()}

    def contents(self, text: str) -> list[str]:
        """Return the texts of the files of a version."""
        manifest = Digest(self.find(text).version.manifest or "")
        entries = manifests.read(self.store.blobs, self.store.codec, manifest).contents()
        return [self.store.blobs.get(digest).decode() for digest, _ in entries]

    def since(self, seq: int) -> list[Recorded]:
        return list(self.store.ledger.read(after=seq))

    def happened(self, seq: int) -> list[str]:
        """Return the names of the events after *seq*."""
        return event_names(self.since(seq))


def event_names(events: Iterable[Recorded]) -> list[str]:
    return [type(recorded.event).__name__ for recorded in events]
