"""References: entries whose bytes stay where they are, on the web, in a folder, or in another version."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from hashlib import md5
from posixpath import basename
from typing import Final
from urllib.parse import quote, unquote

from attrs import evolve

from muniment.app import catalog, manifests
from muniment.app.files.reading import weak_digest
from muniment.app.store import Store
from muniment.domain.errors import InvalidNameError, InvalidValueError, NotFoundError, VersionDeletedError
from muniment.domain.manifest import Entry
from muniment.domain.ports import BlobStore, ReferencedObject, ReferenceStore
from muniment.domain.values import MAX_OBJECTS, Digest, VersionId, entry_path, holds_password
from muniment.domain.version import State

ARTIFACTS: Final = ("muniment-artifact", "wandb-artifact")
"""The schemes by which an entry of another version is named."""
HASHED: Final = "sha256:"
BUFFER_BYTES: Final = 1 << 20
LONGEST_CHAIN: Final = 32

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*)://")
_VERSION_ID = re.compile(r"[0-9a-f]{32}")
_LOG = logging.getLogger(__name__)


def resolve(
    store: Store,
    uri: str,
    name: str | None = None,
    *,
    checksum: bool = True,
    max_objects: int | None = None,
    md5: bool = False,
) -> list[Entry]:
    """Return the entries that a reference stands for.

    What lies below a folder gets paths that begin with *name*; a single object is called *name*, or as in its URI.
    With ``checksum=False`` it is one entry, nobody is asked, and the URI is its digest. With *md5* what is hashed here
    gets its MD5 too.
    """
    scheme = _scheme(uri)
    if name is not None:
        entry_path(name)
    if scheme in ARTIFACTS:
        return [_to_entry(store, uri, name)]
    adapter = store.references.get(scheme)
    if adapter is None:
        return [_unknown(uri, scheme, name)]
    limit = MAX_OBJECTS if max_objects is None else max_objects
    return [
        Entry(
            _path(adapter, found, uri, name),
            found.digest,
            found.size,
            found.uri,
            {**found.annex, "md5": _weak(adapter, found)} if md5 and found.digest.startswith(HASHED) else found.annex,
        )
        for found in adapter.resolve(uri, checksum=checksum, limit=limit)
    ]


def reference_to(version_id: VersionId, path: str) -> str:
    """Return the URI by which another version may refer to an entry of this one."""
    return f"{ARTIFACTS[0]}://{version_id}/{quote(path)}"


def target_of(uri: str) -> tuple[VersionId, str] | None:
    """Return which entry of which version a URI names, or ``None`` if it names something else."""
    scheme, _, rest = uri.partition("://")
    if scheme.lower() not in ARTIFACTS:
        return None
    version_id, _, path = rest.partition("/")
    if not _VERSION_ID.fullmatch(version_id) or not path:
        msg = f"reference {uri!r} names no entry — write {ARTIFACTS[0]}://<id of the version>/<path of the entry>"
        raise InvalidValueError(msg)
    return VersionId(version_id), unquote(path)


def sources(entries: Iterable[Entry]) -> tuple[VersionId, ...]:
    """Return the versions that these entries refer to, each once."""
    targets = (target_of(entry.ref) for entry in entries if entry.ref is not None)
    return tuple(dict.fromkeys(target[0] for target in targets if target is not None))


class Targets:
    """Finds what references to other versions' entries mean; keeps the manifests that it opened."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._manifests: dict[VersionId, manifests.Manifest] = {}

    def entry(self, uri: str) -> Entry:
        """Return the entry that a reference names."""
        target = target_of(uri)
        if target is None:
            msg = f"reference {uri!r} names no entry of a version"
            raise InvalidValueError(msg)
        version_id, path = target
        entry = self._manifest(uri, version_id).get(path)
        if entry is None:
            msg = f"reference {uri!r} is not there: the version has no entry {path!r}"
            raise NotFoundError(msg)
        return entry

    def end(self, entry: Entry) -> tuple[Entry, BlobStore | None]:
        """Follow references from version to version until the bytes or something outside is reached.

        Returns with it the blobs of the version that it is an entry of; ``None`` if it is the one that was given.
        """
        found, blobs = entry, None
        for _ in range(LONGEST_CHAIN):
            if found.ref is None or (target := target_of(found.ref)) is None:
                return found, blobs
            blobs = self._manifest(found.ref, target[0]).stored_in
            found = self.entry(found.ref)
        msg = f"reference {entry.ref!r} leads through more than {LONGEST_CHAIN} versions — refer to its end instead"
        raise InvalidValueError(msg)

    def _manifest(self, uri: str, version_id: VersionId) -> manifests.Manifest:
        held = self._manifests.get(version_id)
        if held is None:
            source = catalog.origin(self._store.views, version_id)
            version = source.version
            if version.state != State.COMMITTED.value or version.manifest is None:
                msg = f"reference {uri!r} leads to a version that was deleted — restore that, or leave this entry out"
                raise VersionDeletedError(msg)
            blobs = self._store.of_team(source.team.team_id).blobs
            held = self._manifests[version_id] = manifests.read(blobs, self._store.codec, Digest(version.manifest))
        return held


def _scheme(uri: str) -> str:
    found = _SCHEME.match(uri)
    if not found:
        msg = "References must be URIs. To reference a local file, use file://"
        raise InvalidValueError(msg)
    return found[1].lower()


def _to_entry(store: Store, uri: str, name: str | None) -> Entry:
    targets = Targets(store)
    found = targets.entry(uri)
    targets.end(found)
    kept = {key: value for key, value in found.annex.items() if key in {"md5", "contentType"}}
    return evolve(found, path=name or basename(found.path), ref=uri, annex=kept)


def _unknown(uri: str, scheme: str, name: str | None) -> Entry:
    if holds_password(uri):
        msg = "a reference may not hold a password, which would be kept with it — remove it"
        raise InvalidValueError(msg)
    if name is None:
        msg = f"cannot look behind {scheme}:// references — give a name, and {uri!r} is tracked as it is"
        raise InvalidValueError(msg)
    _LOG.warning("%s:// references are tracked by their URI alone: what they hold is not checked", scheme)
    return Entry(name, uri, None, uri)


def _path(adapter: ReferenceStore, found: ReferencedObject, uri: str, name: str | None) -> str:
    if found.path:
        return f"{name}/{found.path}" if name else found.path
    if name:
        return name
    path = adapter.name_of(uri)
    if not path or "/" in path:
        msg = f"reference {uri!r} does not say what to call it — give a name"
        raise InvalidNameError(msg)
    return entry_path(path)


def _weak(adapter: ReferenceStore, found: ReferencedObject) -> str:
    hashing = md5(usedforsecurity=False)
    with adapter.fetch(found) as file:
        while block := file.read(BUFFER_BYTES):
            hashing.update(block)
    return weak_digest(hashing.hexdigest())
