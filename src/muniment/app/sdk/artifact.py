"""Artifacts: drafts to be filled and logged, and versions that were logged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from muniment.app import catalog, lifecycle, link_artifact
from muniment.app.lifecycle import Edits
from muniment.app.sdk import moves, session
from muniment.app.sdk.committing import Committing
from muniment.app.sdk.contents import Contents
from muniment.app.sdk.entry import MD5, SHA256, ArtifactManifestEntry
from muniment.app.sdk.errors import ArtifactNotLoggedError, as_comm_error
from muniment.app.sdk.kinds import text, texts
from muniment.app.sdk.later import later
from muniment.app.sdk.plain import metadata as plain_metadata
from muniment.app.sdk.state import Said
from muniment.app.sdk.ttl import ArtifactTTL, from_ttl, to_ttl
from muniment.app.transact import new_id
from muniment.domain.errors import InvalidNameError, InvalidValueError
from muniment.domain.manifest import Entry
from muniment.domain.values import ERASED_TEXT, Json, TtlRule, alias_name, artifact_name, tag_name, type_name

if TYPE_CHECKING:
    from muniment.app.catalog import Found
    from muniment.app.manifests import Manifest
    from muniment.app.store import Store

TTL = "Artifact.ttl"
_INTERNAL = (("run_table", "run-"), ("code", "source-"))


class Artifact(Committing):
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
        self._start(name, type, _is_md5(digest_algorithm))
        self.description = description
        self.said.metadata = plain_metadata(metadata)
        self._incremental = incremental
        self._use_as = use_as
        self.storage_region = storage_region

    storage_region: str | None = None

    def _start(self, name: str, type: str, md5: bool, base: Manifest | None = None) -> None:
        self._name, self._type, self._md5 = name, type, md5
        self._contents = Contents(lambda: self.store, md5, base)
        self._client_id = new_id()

    @classmethod
    def of(cls, store: Store, found: Found, at: int | None = None) -> Self:
        """Return the artifact for a version that was found, as of now or as it was at event *at*."""
        artifact = cls.__new__(cls)
        artifact._start(found.artifact.name or ERASED_TEXT, found.artifact.type or ERASED_TEXT, _is_md5(None))  # noqa: SLF001
        artifact._at = at  # noqa: SLF001 (ours)
        artifact.settle(store, found)
        return artifact

    @classmethod
    def internal(cls, name: str, type: str, base: Manifest | None = None) -> Self:
        """Return a draft, also of a type that is kept for the library itself, such as ``code``."""
        artifact = cls.__new__(cls)
        artifact._start(artifact_name(name), type, _is_md5(None), base)  # noqa: SLF001 (ours)
        return artifact

    # --- what is said about it ----------------------------------------------------------------------------------------

    @property
    def description(self) -> str | None:
        """What the artifact is, in words."""
        return self.said.description

    @description.setter
    def description(self, description: str | None) -> None:
        self.said.description = None if description is None else text(description, "description")

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
        self.said.aliases = [alias_name(alias) for alias in texts(aliases, "aliases")]

    @property
    def tags(self) -> list[str]:
        """The tags of the version, the same wherever it is linked; change them, then ``save()``."""
        self._version("tags")
        return self.said.tags

    @tags.setter
    def tags(self, tags: list[str]) -> None:
        self._version("tags")
        self.said.tags = [tag_name(tag) for tag in texts(tags, "tags")]

    @property
    def ttl(self) -> timedelta | None:
        """How long the version is kept, counted from when it was logged; ``None`` for ever.

        Once it is saved, this is what collecting does: a link suspends a TTL, a hold or a policy may keep it longer.
        """
        ttl = self.said.ttl
        if self._found is not None and ttl == self.seen.ttl:
            return from_ttl(lifecycle.ttl_in_force(self.store, self._found, self._at))
        if ttl.rule is TtlRule.INHERIT:
            self._version("ttl")
            raise ArtifactNotLoggedError(TTL, self)
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
        if self._found is None and self._pending is None:
            later("starting", "log_alone")(self, project, settings)
            return
        self.wait()
        self._keep()

    def new_draft(self) -> Artifact:
        """Return a draft that begins with what this version holds."""
        found, base = self._version("new_draft"), self.held()
        draft = self.internal(
            found.artifact.name or ERASED_TEXT, self._type, None if isinstance(base, Contents) else base
        )
        draft._store, draft._base = self._store, found  # noqa: SLF001 (ours)
        draft.said.description, draft.said.metadata = self.description, plain_metadata(self.metadata)
        return draft

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
