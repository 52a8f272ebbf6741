"""The list of an artifact's files, as W&B shows it; entries of a logged artifact are loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from muniment.app.sdk.entry import MD5, ArtifactManifestEntry, Owner, shown, shown_digest
from muniment.domain.errors import InvalidValueError
from muniment.domain.manifest import Entry, version_digest, wandb_digest
from muniment.domain.values import Json


class Source(Protocol):
    """Where the entries come from: a stored manifest, or a draft."""

    @property
    def size(self) -> int:
        """The sum of the sizes that are known."""
        ...

    def __len__(self) -> int: ...

    def get(self, path: str) -> Entry | None:
        """Return the entry of this path, or ``None``."""
        ...

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the entries whose paths begin with *prefix*, in order."""
        ...


class Entries(Mapping[str, ArtifactManifestEntry]):
    """Entries by path, in the order of their paths."""

    def __init__(self, source: Source, owner: Owner) -> None:
        self._source = source
        self._owner = owner

    def __getitem__(self, path: str) -> ArtifactManifestEntry:
        found = self._source.get(path) if isinstance(path, str) else None
        if found is None:
            raise KeyError(path)
        return ArtifactManifestEntry(found, self._owner)

    def __iter__(self) -> Iterator[str]:
        return (entry.path for entry in self._source.entries())

    def __len__(self) -> int:
        return len(self._source)

    def __repr__(self) -> str:
        return f"<{len(self)} entries>"


class ArtifactManifest:
    """The list of an artifact's files."""

    storage_layout = "V2"

    def __init__(self, source: Source, owner: Owner, remove: Callable[[str], None] | None = None) -> None:
        self._source = source
        self._owner = owner
        self._remove = remove
        self.entries = Entries(source, owner)

    @classmethod
    def version(cls) -> int:
        """Return the version of W&B's manifest format."""
        return 1

    def __len__(self) -> int:
        return len(self._source)

    def size(self) -> int:
        """Return the sum of the sizes that are known, those of references included."""
        return self._source.size

    def digest(self) -> str:
        """Return the digest over all entries, in the presentation of the artifact."""
        if self._owner.digest_algorithm == MD5:
            return wandb_digest((entry.path, shown_digest(entry, MD5)) for entry in self._source.entries())
        return version_digest(self._source.entries())

    def get_entry_by_path(self, path: str) -> ArtifactManifestEntry | None:
        """Return the entry of this path, or ``None``."""
        return self.entries.get(path)

    def get_entries_in_directory(self, directory: str) -> list[ArtifactManifestEntry]:
        """Return the entries below a folder."""
        below = f"{directory.rstrip('/')}/" if directory.rstrip("/") else ""
        return [ArtifactManifestEntry(entry, self._owner) for entry in self._source.entries(below)]

    def remove_entry(self, entry: ArtifactManifestEntry) -> None:
        """Take an entry out of a draft."""
        if self._remove is None:
            msg = "the manifest of a logged artifact does not change — make a draft of it with new_draft()"
            raise InvalidValueError(msg)
        self._remove(entry.path)

    def to_manifest_json(self) -> dict[str, Json]:
        """Return the manifest in W&B's JSON shape."""
        algorithm = self._owner.digest_algorithm
        return {
            "version": 1,
            "storagePolicy": "wandb-storage-policy-v1",
            "storagePolicyConfig": {"storageLayout": self.storage_layout},
            "contents": {entry.path: shown(entry, algorithm) for entry in self._source.entries()},
        }
