"""One file of an artifact, as W&B shows it."""

from __future__ import annotations

from typing import Any, Final, Protocol

from muniment.domain.errors import InvalidValueError
from muniment.domain.manifest import Entry, wandb_entry_digest
from muniment.domain.values import Json

SHA256: Final = "SHA256"
MD5: Final = "MD5"
_NOT_EXTRA: Final = frozenset({"md5", "birth"})


class Owner(Protocol):
    """The artifact that an entry belongs to."""

    @property
    def digest_algorithm(self) -> str:
        """Which digests are shown."""
        ...

    def entry_address(self, path: str) -> str:
        """Return the URI by which other artifacts refer to the entry."""
        ...

    def fetch_entry(self, entry: Entry, root: str | None, *, skip_cache: bool = False) -> str:
        """Write the entry below *root* and return its path."""
        ...


def shown_digest(entry: Entry, algorithm: str) -> str:
    """Return the digest of an entry in the presentation that was chosen."""
    return wandb_entry_digest(entry) if algorithm == MD5 else entry.digest


def shown_extra(entry: Entry, algorithm: str) -> dict[str, Json]:
    """Return what else is known; W&B takes a digest without ``alg`` for MD5, so ours says what it is."""
    extra: dict[str, Json] = {key: value for key, value in entry.annex.items() if key not in _NOT_EXTRA}
    if algorithm != MD5 and entry.ref is None:
        extra["alg"] = SHA256
    return extra


class ArtifactManifestEntry:
    """One file of an artifact: its path, its digest, and with ``ref`` where its bytes are kept instead."""

    def __init__(self, entry: Entry, owner: Owner, local_path: str | None = None) -> None:
        self._entry = entry
        self._owner = owner
        self.local_path = local_path
        self.skip_cache = False

    @property
    def path(self) -> str:
        """The path inside the artifact."""
        return self._entry.path

    @property
    def name(self) -> str:
        """The path inside the artifact, by W&B's older name."""
        return self._entry.path

    @property
    def digest(self) -> str:
        """The digest of the content, in the presentation of the artifact."""
        return shown_digest(self._entry, self._owner.digest_algorithm)

    @property
    def size(self) -> int | None:
        """The size in bytes; ``None`` if a reference does not tell."""
        return self._entry.size

    @property
    def ref(self) -> str | None:
        """Where the bytes are, if the artifact only refers to them."""
        return self._entry.ref

    @property
    def extra(self) -> dict[str, Json]:
        """What else is known, such as ``etag`` and ``versionID`` of a reference."""
        return shown_extra(self._entry, self._owner.digest_algorithm)

    @property
    def birth_artifact_id(self) -> str | None:
        """The id of the version whose upload first stored the bytes, if that is known."""
        return self._entry.annex.get("birth")

    @property
    def entry(self) -> Entry:
        """The entry as the manifest keeps it."""
        return self._entry

    def parent_artifact(self) -> Any:  # noqa: ANN401 (an Artifact)
        """Return the artifact that this is an entry of."""
        return self._owner

    def download(
        self,
        root: str | None = None,
        skip_cache: bool | None = None,
        executor: object = None,
        multipart: bool | None = None,
    ) -> str:
        """Write the content below *root*, verified, and return its path; with *skip_cache* the cache is not asked."""
        del executor, multipart
        return self._owner.fetch_entry(self._entry, root, skip_cache=bool(skip_cache))

    def ref_target(self) -> str:
        """Return where a reference leads."""
        if self._entry.ref is None:
            msg = f"{self.path!r} is stored in the artifact: only reference entries support ref_target()"
            raise InvalidValueError(msg)
        return self._entry.ref

    def ref_url(self) -> str:
        """Return the URI by which another artifact can refer to this entry."""
        return self._owner.entry_address(self.path)

    def to_json(self) -> dict[str, Json]:
        """Return the entry in W&B's JSON shape."""
        return {"path": self.path, **shown(self._entry, self._owner.digest_algorithm)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArtifactManifestEntry) and self._entry.same_row(other._entry)

    def __hash__(self) -> int:
        return hash((self._entry.path, self._entry.digest))

    def __repr__(self) -> str:
        ref = f", ref={self.ref!r}" if self.ref else ""
        return f"ArtifactManifestEntry(path={self.path!r}, digest={self._entry.digest!r}, size={self.size}{ref})"


def shown(entry: Entry, algorithm: str) -> dict[str, Json]:
    """Return an entry as it stands in W&B's manifest JSON; what is not known is left out."""
    found: dict[str, Json] = {"digest": shown_digest(entry, algorithm)}
    if entry.ref is not None:
        found["ref"] = entry.ref
    if entry.annex.get("birth"):
        found["birthArtifactID"] = entry.annex["birth"]
    if entry.size is not None:
        found["size"] = entry.size
    extra = shown_extra(entry, algorithm)
    if extra:
        found["extra"] = extra
    return found
