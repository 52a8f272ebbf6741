"""Artifacts: drafts to be filled and logged, and versions that were logged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from muniment.app import catalog, lifecycle, link_artifact
from muniment.app.clock import to_text
from muniment.app.lifecycle import Edits
from muniment.app.sdk import moves, session
from muniment.app.sdk.access import Access
from muniment.app.sdk.contents import Contents
from muniment.app.sdk.entry import MD5, SHA256, ArtifactManifestEntry
from muniment.app.sdk.errors import as_comm_error
from muniment.app.sdk.later import later
from muniment.app.sdk.manifest import ArtifactManifest
from muniment.app.sdk.plain import metadata as plain_metadata
from muniment.app.sdk.state import ERASED, Said
from muniment.app.sdk.ttl import ArtifactTTL, from_ttl, to_ttl
from muniment.app.transact import new_id
from muniment.domain.errors import InvalidNameError, InvalidValueError
from muniment.domain.manifest import Entry, wandb_digest
from muniment.domain.values import REGISTRY_PREFIX, Json, TtlRule, alias_name, artifact_name, tag_name, type_name

if TYPE_CHECKING:
    from muniment.app.catalog import Found
    from muniment.app.store import Store

LINKED_LIMIT = 500
_INTERNAL = (("run_table", "run-"), ("code", "source-"))


class Artifact(Access):
    """A draft to be filled with files and logged by a run; once logged, a version of its name.

    With *incremental* what is added changes the latest version instead of replacing it. *digest_algorithm* is
    ``"SHA256"``, or ``"MD5"`` to show the digests that W&B would; by default what ``MUNIMENT_DIGEST`` says.
    *use_as* and *storage_region* are accepted.
    """

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
        digest_algorithm: str | None = None,
    ) -> None:
        _check_name(name, type)
        self._start(name, type, incremental=incremental, digest_algorithm=digest_algorithm)
        self.said.description = description
        self.said.metadata = plain_metadata(metadata)
        self._use_as = use_as
        self.storage_region = storage_region

    @classmethod
    def of(cls, store: Store, found: Found, at: int | None = None) -> Self:
        """Return the artifact for a version that was found, as of now or as it was at event *at*."""
        artifact = cls.__new__(cls)
        artifact._start(found.artifact.name or ERASED, found.artifact.type or ERASED)
        artifact.settle(store, found)
        artifact._at = at
        return artifact

    @classmethod
    def internal(cls, name: str, type: str) -> Self:
        """Return a draft of one of the types that are kept for the library itself, such as ``code``."""
        artifact = cls.__new__(cls)
        artifact._start(artifact_name(name), type)
        return artifact

    def _start(self, name: str, type: str, *, incremental: bool = False, digest_algorithm: str | None = None) -> None:
        self._name, self._type = name, type
        self._md5 = _is_md5(digest_algorithm)
        self._contents = Contents(lambda: self.store, self._md5)
        self._client_id = new_id()
        self._incremental = incremental
        self._distributed_id: str | None = None
        self._use_as: str | None = None
        self.storage_region: str | None = None

    def __repr__(self) -> str:
        return f"<Artifact {self.qualified_name if self._found else self._name}>"

    # --- names --------------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str | None:
        """The id of the version; ``None`` for a draft."""
        return None if self._found is None else self._found.version.version_id

    @property
    def entity(self) -> str:
        """The team, or for a link the organisation, through which the artifact was reached."""
        self._version("entity")
        return self.owner_name()

    @property
    def project(self) -> str:
        """The project, or for a link the registry, through which the artifact was reached."""
        found = self._version("project")
        registry = found.registry
        return (found.project.name or ERASED) if registry is None else f"{REGISTRY_PREFIX}{registry.name or ERASED}"

    @property
    def name(self) -> str:
        """The name; of a logged artifact with its version, such as ``digits:v3``."""
        return self._name if self._found is None else f"{self._short}:{self.version}"

    @property
    def version(self) -> str:
        """The version, such as ``v3``; for a link its number in the collection."""
        found = self._version("version")
        return f"v{found.version.index if found.link is None else found.link.index}"

    @property
    def qualified_name(self) -> str:
        """The name with team and project, or organisation and registry, before it."""
        self._version("qualified_name")
        return f"{self.entity}/{self.project}/{self.name}"

    @property
    def collection(self) -> Any:  # noqa: ANN401 (an ArtifactCollection)
        """The collection through which the artifact was reached."""
        return later("collection", "ArtifactCollection").of(self.store, self._version("collection"), self._at)

    @property
    def source_entity(self) -> str:
        """The team that logged the artifact."""
        return self._version("source_entity").team.name or ERASED

    @property
    def source_project(self) -> str:
        """The project that the artifact was logged in."""
        return self._version("source_project").project.name or ERASED

    @property
    def source_name(self) -> str:
        """The name and version under which the artifact was logged."""
        found = self._version("source_name")
        return f"{found.artifact.name or ERASED}:v{found.version.index}"

    @property
    def source_version(self) -> str:
        """The version under which the artifact was logged."""
        return f"v{self._version('source_version').version.index}"

    @property
    def source_qualified_name(self) -> str:
        """The full name under which the artifact was logged."""
        return f"{self.source_entity}/{self.source_project}/{self.source_name}"

    @property
    def source_collection(self) -> Any:  # noqa: ANN401 (an ArtifactCollection)
        """The collection of all versions of the artifact where it was logged."""
        return self.source_artifact.collection

    @property
    def source_artifact(self) -> Artifact:
        """The artifact where it was logged; itself unless it is a link."""
        found = self._version("source_artifact")
        if found.link is None:
            return self
        source = catalog.origin(self.store.views, found.version.version_id, self._at)
        return Artifact.of(self.store, source, self._at)

    @property
    def is_link(self) -> bool:
        """Whether the artifact was reached through a registry."""
        return self._version("is_link").link is not None

    @property
    def linked_artifacts(self) -> list[Artifact]:
        """The artifact as reached through each of its links, at most 500; none for a link."""
        found = self._version("linked_artifacts")
        if found.link is not None:
            return []
        links = catalog.links_of(self.store.views, found.version.version_id, self._at)[:LINKED_LIMIT]
        return [Artifact.of(self.store, link, self._at) for link in links]

    @property
    def linked_at(self) -> str | None:
        """When the artifact was linked, if it is a link."""
        link = self._version("linked_at").link
        return None if link is None else to_text(link.linked_at)

    @property
    def url(self) -> str | None:
        """The address of the artifact; there is no web page behind it."""
        self._version("url")
        return f"muniment://{self.qualified_name}"

    @property
    def _short(self) -> str:
        found = self._found
        if found is None:
            return self._name
        return (found.artifact.name if found.collection is None else found.collection.name) or ERASED

    # --- content ------------------------------------------------------------------------------------------------------

    @property
    def type(self) -> str:
        """The type, such as ``dataset`` or ``model``."""
        return self._type

    @property
    def digest(self) -> str:
        """The digest over all entries."""
        if not self._md5:
            return self._found.version.digest or ERASED if self._found else self.held().digest
        return wandb_digest((path, entry.digest) for path, entry in self.manifest.entries.items())

    @property
    def digest_algorithm(self) -> str:
        """Which digests are shown: ``SHA256``, or ``MD5`` as W&B shows them."""
        return MD5 if self._md5 else SHA256

    @property
    def manifest(self) -> ArtifactManifest:
        """The list of the artifact's files."""
        return ArtifactManifest(self.held(), self, None if self._contents is None else self.remove)

    @property
    def size(self) -> int:
        """The size in bytes, that of references included as far as it is known."""
        return self._found.version.size if self._found else self.held().size

    @property
    def file_count(self) -> int:
        """The number of files, references included."""
        return self._version("file_count").version.entries

    @property
    def commit_hash(self) -> str:
        """The digest under which the version was committed."""
        return self._version("commit_hash").version.digest or ERASED

    @property
    def created_at(self) -> str:
        """When the version was logged."""
        return to_text(self._version("created_at").version.created_at)

    @property
    def updated_at(self) -> str:
        """When the version was changed last."""
        return to_text(self._version("updated_at").version.updated_at)

    @property
    def history_step(self) -> int | None:
        """The step of the run at which the artifact was logged, if that is known."""
        self._version("history_step")
        return None

    @property
    def incremental(self) -> bool:
        """Whether what is added changes the latest version instead of replacing it."""
        return self._incremental

    @property
    def use_as(self) -> str | None:
        """What W&B once used to name the role of an input; it has no meaning."""
        return self._use_as

    @property
    def distributed_id(self) -> str | None:
        """What the writers of one version have in common."""
        return self._distributed_id

    @distributed_id.setter
    def distributed_id(self, distributed_id: str | None) -> None:
        self._distributed_id = distributed_id

    def json_encode(self) -> dict[str, Json]:
        """Return how the artifact stands in a run's configuration."""
        self._version("json_encode")
        return {
            "_type": "artifactVersion",
            "_version": "v0",
            "id": self.id,
            "version": self.source_version,
            "sequenceName": self.source_name.partition(":")[0],
            "usedAs": self._use_as,
        }

    # --- what is said about it ----------------------------------------------------------------------------------------

    @property
    def description(self) -> str | None:
        """What the artifact is, in words."""
        return self.said.description

    @description.setter
    def description(self, description: str | None) -> None:
        self.said.description = description

    @property
    def metadata(self) -> dict[str, Json]:
        """What is known about the artifact, as JSON: at most 100 keys."""
        return self.said.metadata

    @metadata.setter
    def metadata(self, metadata: Mapping[str, Any] | None) -> None:
        self.said.metadata = plain_metadata(metadata)

    @property
    def aliases(self) -> list[str]:
        """The aliases that point at the version where it was reached; change them, then ``save()``."""
        self._version("aliases")
        return self.said.aliases

    @aliases.setter
    def aliases(self, aliases: list[str]) -> None:
        self._version("aliases")
        self.said.aliases = [alias_name(alias) for alias in aliases]

    @property
    def tags(self) -> list[str]:
        """The tags of the version, the same wherever it is linked; change them, then ``save()``."""
        self._version("tags")
        return self.said.tags

    @tags.setter
    def tags(self, tags: list[str]) -> None:
        self._version("tags")
        self.said.tags = [tag_name(tag) for tag in tags]

    @property
    def ttl(self) -> timedelta | None:
        """How long the version is kept, counted from when it was logged; ``None`` for ever."""
        ttl = self.said.ttl
        if ttl.rule is TtlRule.INHERIT:
            found = self._version("ttl")
            if ttl == self.seen.ttl:
                return from_ttl(lifecycle.ttl_in_force(found))
        return from_ttl(ttl)

    @ttl.setter
    def ttl(self, ttl: timedelta | ArtifactTTL | None) -> None:
        if self._found is not None and self._found.link is not None:
            msg = "Cannot set TTL for link artifact. Unlink the artifact first then set the TTL for the source artifact"
            raise InvalidValueError(msg)
        if self._type == "wandb-history":
            msg = "Cannot set artifact TTL for type wandb-history"
            raise InvalidValueError(msg)
        self.said.ttl = to_ttl(ttl)

    # --- keeping it ---------------------------------------------------------------------------------------------------

    def save(self, project: str | None = None, settings: Any = None) -> None:  # noqa: ANN401 (Settings or a dict)
        """Log a draft by the active run, or by one of its own; of a logged artifact keep what was changed.

        All changes are kept in one transaction. An alias that somebody else moved since it was looked at is
        AliasMovedMeanwhileError, and then nothing is kept.
        """
        if self._found is not None:
            self._keep()
        elif self._pending is None:
            later("starting", "log_alone")(self, project, settings)

    def new_draft(self) -> Artifact:
        """Return a draft that begins with what this version holds."""
        found = self._version("new_draft")
        base = self.held()
        draft = Artifact.internal(found.artifact.name or ERASED, self._type)
        draft._contents = Contents(lambda: self.store, draft._md5, None if isinstance(base, Contents) else base)
        draft._store, draft._base = self._store, found
        draft.said.description, draft.said.metadata = self.description, plain_metadata(self.metadata)
        return draft

    _base: Found | None = None

    def _keep(self) -> None:
        found, said, seen = self._changeable("save"), self.said, self.seen
        said.metadata = plain_metadata(said.metadata)
        edits = _edits(said, seen)
        if edits == Edits():
            return
        owner = found.artifact.artifact_id if found.collection is None else found.collection.collection_id
        edits = _edits(said, seen, moves.expected(self.store, owner, edits.add_aliases, seen.seq))
        with as_comm_error():
            keep = lifecycle.edit if found.link is None else link_artifact.edit
            keep(self.store, found, edits)
        moves.remember(self.store, owner, edits.add_aliases, found.version.version_id)
        moves.remember(self.store, owner, edits.remove_aliases, None)
        self._reload(found)

    def _reload(self, found: Found) -> None:
        views = self.store.views
        now = (
            catalog.origin(views, found.version.version_id)
            if found.link is None
            else catalog.through(views, found.link)
        )
        self.settle(self.store, now or found)

    def _entry(self, entry: Entry) -> ArtifactManifestEntry:
        local = None if self._contents is None else self._contents.local_path(entry.path)
        return ArtifactManifestEntry(entry, self, local)


def _edits(said: Said, seen: Said, expected: dict[str, Any] | None = None) -> Edits:
    """Return what changed, with where the added aliases must point."""
    return Edits(
        add_aliases=tuple(alias for alias in dict.fromkeys(said.aliases) if alias not in seen.aliases),
        remove_aliases=tuple(alias for alias in seen.aliases if alias not in said.aliases),
        add_tags=tuple(tag for tag in dict.fromkeys(said.tags) if tag not in seen.tags),
        remove_tags=tuple(tag for tag in seen.tags if tag not in said.tags),
        ttl=None if said.ttl == seen.ttl else said.ttl,
        metadata=said.metadata if said.metadata != seen.metadata else None,
        description=said.description if said.description != seen.description else None,
        new_metadata=said.metadata != seen.metadata,
        new_description=said.description != seen.description,
        expected=expected,
    )


def _is_md5(algorithm: str | None) -> bool:
    if algorithm is None:
        return session.config().text("digest").lower() == "md5"
    if algorithm not in {MD5, SHA256}:
        msg = f"digest_algorithm must be 'SHA256' or 'MD5', not {algorithm!r}"
        raise InvalidValueError(msg)
    return algorithm == MD5


def _check_name(name: str, type: str) -> None:
    if name == "":
        msg = "Artifact name may only contain alphanumeric characters, dashes, underscores, and dots. Invalid name: ''"
        raise InvalidNameError(msg)
    artifact_name(name)
    type_name(type)
    internal = any(type == kind and name.startswith(prefix) for kind, prefix in _INTERNAL)
    if type == "job" or type.startswith("wandb-") or internal:
        msg = f"Artifact type {type!r} is reserved for internal use — choose another type"
        raise InvalidNameError(msg)
