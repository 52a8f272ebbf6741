"""How an artifact is called, where it was reached, and what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from muniment.app import catalog
from muniment.app.clock import to_text
from muniment.app.sdk.access import Access
from muniment.app.sdk.entry import MD5, SHA256
from muniment.app.sdk.later import later
from muniment.app.sdk.manifest import ArtifactManifest
from muniment.domain.manifest import wandb_digest
from muniment.domain.values import ERASED_TEXT, REGISTRY_PREFIX, Json

if TYPE_CHECKING:
    from muniment.app.catalog import Found
    from muniment.app.store import Store

LINKED_LIMIT = 500


class Naming(Access):
    """The names and facts of an artifact."""

    _name: str
    _type: str
    _incremental: bool = False
    _distributed_id: str | None = None
    _use_as: str | None = None
    _weak_digest: str | None = None

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
        return (
            (found.project.name or ERASED_TEXT)
            if registry is None
            else f"{REGISTRY_PREFIX}{registry.name or ERASED_TEXT}"
        )

    @property
    def name(self) -> str:
        """The name; of a logged artifact with its version, such as ``digits:v3``."""
        return self._name if self._found is None else f"{self.collection_name}:{self.version}"

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
        return self._version("source_entity").team.name or ERASED_TEXT

    @property
    def source_project(self) -> str:
        """The project that the artifact was logged in."""
        return self._version("source_project").project.name or ERASED_TEXT

    @property
    def source_name(self) -> str:
        """The name and version under which the artifact was logged."""
        found = self._version("source_name")
        return f"{found.artifact.name or ERASED_TEXT}:v{found.version.index}"

    @property
    def source_version(self) -> str:
        """The version under which the artifact was logged."""
        return f"v{self._version('source_version').version.index}"

    @property
    def source_qualified_name(self) -> str:
        """The full name under which the artifact was logged."""
        self._version("source_qualified_name")
        return f"{self.source_entity}/{self.source_project}/{self.source_name}"

    @property
    def source_collection(self) -> Any:  # noqa: ANN401 (an ArtifactCollection)
        """The collection of all versions of the artifact where it was logged."""
        self._version("source_collection")
        return self.source_artifact.collection

    @property
    def source_artifact(self) -> Self:
        """The artifact where it was logged; itself unless it is a link."""
        found = self._version("source_artifact")
        if found.link is None:
            return self
        source = catalog.origin(self.store.views, found.version.version_id, self._at)
        return self.of(self.store, source, self._at)

    @property
    def is_link(self) -> bool:
        """Whether the artifact was reached through a registry."""
        return self._version("is_link").link is not None

    @property
    def linked_artifacts(self) -> list[Self]:
        """The artifact as reached through each of its links, at most 500; none for a link."""
        found = self._version("linked_artifacts")
        if found.link is not None:
            return []
        links = catalog.links_of(self.store.views, found.version.version_id, self._at)[:LINKED_LIMIT]
        return [self.of(self.store, link, self._at) for link in links]

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
    def collection_name(self) -> str:
        """The name without a version."""
        found = self._found
        if found is None:
            return self._name
        return (found.artifact.name if found.collection is None else found.collection.name) or ERASED_TEXT

    # --- content ------------------------------------------------------------------------------------------------------

    @property
    def type(self) -> str:
        """The type, such as ``dataset`` or ``model``."""
        return self._type

    @property
    def digest(self) -> str:
        """The digest over all entries."""
        if not self._md5:
            return self._found.version.digest or ERASED_TEXT if self._found else self.held().digest
        if self._weak_digest is not None:
            return self._weak_digest
        return wandb_digest((path, entry.digest) for path, entry in self.manifest.entries.items())

    def settle(self, store: Store, found: Found) -> None:
        """Become the version that was logged; the digest that W&B would show is known from the draft."""
        if self._md5 and self._contents is not None and self._finalized:
            self._weak_digest = self.digest
        super().settle(store, found)

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
        return self._version("commit_hash").version.digest or ERASED_TEXT

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

    # --- how it is made -----------------------------------------------------------------------------------------------

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
