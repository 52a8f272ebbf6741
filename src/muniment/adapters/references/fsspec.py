"""References to whatever fsspec reaches by its packages: ``gs://``, ``az://``, ``abfs://``, ``sftp://`` and others."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import md5
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import urlsplit

from attrs import field, frozen

from muniment.adapters.fsspec_files import Facts, FileSystem, Place, known_schemes, open_pieces, piece, translated
from muniment.adapters.references import BUFFER_BYTES, hashed, limited, split
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, StorageError
from muniment.domain.ports import ReferencedObject
from muniment.domain.values import holds_password

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GOOGLE: Final = ("gs", "gcs")
"""Where every write makes a generation, by which it can be read as long as the bucket keeps it."""
NO_PLACES: Final = frozenset(
    {
        *("file", "local", "asynclocal", "http", "https", "s3"),
        *("async_wrapper", "asyncwrapper", "blockcache", "cached", "dir", "filecache", "generic", "libarchive"),
        *("reference", "simplecache", "tar", "zip"),
        *("dask", "data", "jlab", "jupyter", "pyscript"),
    }
)
"""What is served otherwise, looks at another place, or is there for one program only."""

_URI: Final = re.compile(r"[^:/]+://([^/?#]*)(?:/(.*))?", re.DOTALL)
_GENERATION: Final = re.compile(r"(?:#|\?generation=)([0-9]{1,20})\Z")


def answers_for(scheme: str) -> bool:
    """Whether references of this scheme are ours to follow, be their package installed or not."""
    return scheme not in NO_PLACES and scheme in known_schemes()


@frozen
class _Parts:
    """What a URI says: who holds it, the path there as it is written, and the generation it names."""

    scheme: str
    host: str
    path: str
    generation: str | None = None


@frozen
class _Target:
    """Where a reference leads: the file system and the path there; *named* if that names the generation."""

    uri: str
    files: FileSystem
    path: str
    generation: str | None = None
    named: bool = False

    @property
    def what(self) -> str:
        """What messages call it."""
        return f"reference {self.uri!r}"

    def facts(self) -> Facts:
        """Ask for what is known of it; NotFoundError if it is not there."""
        with translated(self.what):
            facts = self.files.info(self.path)
        if self.generation and not self.named and str(facts.get("generation")) != self.generation:
            msg = f"{self.what} is not there: of a name with ':', '?' or '#' the last generation only can be read"
            raise NotFoundError(msg)
        return facts

    def open(self, size: int) -> BufferedReader:
        """Open all its bytes."""
        return open_pieces(partial(piece, self.files, self.path, self.what), 0, size)

    def changed(self) -> CorruptError:
        """Say that it is not what it was."""
        msg = f"the referenced object {self.uri!r} changed since it was added — add it again as a new version"
        return CorruptError(msg)


@frozen
class FsspecReferences:
    """Objects named by the checksum or ETag that their store gives, or hashed where it gives none."""

    schemes: tuple[str, ...]
    _places: dict[str, Place] = field(factory=dict, init=False, repr=False, eq=False)

    def resolve(self, uri: str, *, checksum: bool, limit: int) -> Iterator[ReferencedObject]:
        """Yield the objects at or below *uri*; with ``checksum=False`` ask nobody, the URI is the digest."""
        self._parts(uri)
        if not checksum:
            return limited([ReferencedObject("", uri, uri)], limit)
        return limited(self._found(uri), limit)

    def name_of(self, uri: str) -> str:
        """Return the last part of the path, as it is written."""
        return self._parts(uri).path.rstrip("/").rpartition("/")[2]

    def fetch(self, found: ReferencedObject) -> BinaryIO:
        """Open the very generation where it is kept, else what is there now; CorruptError if that is another object."""
        target, facts = self._kept(found)
        if facts.get("type") == "directory":
            msg = f"{target.what} is a folder — its objects can be fetched where it was added with checksum=True"
            raise InvalidValueError(msg)
        if not _is_same(found, facts):
            raise target.changed()
        stream = target.open(int(facts["size"]))
        if found.digest == found.annex.get("md5"):
            return BufferedReader(_Checked(stream, target, found.digest), BUFFER_BYTES)
        return stream

    def _kept(self, found: ReferencedObject) -> tuple[_Target, Facts]:
        target = self._target(found.uri, found.annex.get("versionID"))
        try:
            return target, target.facts()
        except NotFoundError:
            if target.generation is None:
                raise
        target = self._target(found.uri, "")
        return target, target.facts()

    def _found(self, uri: str) -> Iterator[ReferencedObject]:
        target = self._target(uri)
        facts = target.facts()
        alone = facts.get("type") != "directory"
        if alone and not uri.endswith("/"):
            yield self._object(target, "", facts)
            return
        names = _listed(target)
        if alone and not names:
            msg = f"{target.what} is not there"
            raise NotFoundError(msg)
        for name in sorted(names, key=str.encode):
            path, facts = names[name]
            yield self._object(_Target(self._below(uri, name, facts), target.files, path), name, facts)

    def _below(self, uri: str, name: str, facts: Facts) -> str:
        """Return the URI of an object below another; a name that would be read as a generation gets its own behind."""
        below = f"{uri.rstrip('/')}/{name}"
        number = facts.get("generation")
        return f"{below}#{number}" if self._parts(below).generation and number else below

    def _object(self, target: _Target, name: str, facts: Facts) -> ReferencedObject:
        size, annex = int(facts["size"]), _annex(facts)
        if self._parts(target.uri).scheme in GOOGLE and facts.get("generation"):
            annex["versionID"] = str(facts["generation"])
        digest = annex.get("md5") or annex.get("etag", "").removeprefix("W/").strip('"')
        if not digest:
            with target.open(size) as stream:
                digest, size = hashed(stream)
        return ReferencedObject(name, target.uri, digest, size, annex)

    def _target(self, uri: str, generation: str | None = None) -> _Target:
        """Return where a URI leads, to *generation* unless it names one itself; ``""`` is whatever there is now."""
        parts = self._parts(uri)
        wanted = "" if generation == "" else parts.generation or generation or ""
        named = bool(wanted) and urlsplit(parts.path).path == parts.path  # else gcsfs would take it apart
        base = f"{parts.scheme}://{parts.host}/"
        url = f"{base}object#1" if named else base  # so is a file system asked for that understands generations
        place = self._places.setdefault(url, Place(url))
        with translated(f"reference {uri!r}"):
            path = place.stripped(f"{base}{parts.path}")
            if not path.rstrip("/").endswith(parts.path.strip("/")):
                msg = f"reference {uri!r} holds '?' or '#', which the package of {parts.scheme}:// reads otherwise"
                raise InvalidValueError(msg)
            return _Target(uri, place.files, f"{path}#{wanted}" if named else path, wanted or None, named)

    def _parts(self, uri: str) -> _Parts:
        scheme = split(uri, self.schemes).scheme
        found = _URI.fullmatch(uri)
        if found is None:
            msg = f"reference {uri!r} names no place — write {scheme}://place/path"
            raise InvalidValueError(msg)
        host, path = found[1], found[2] or ""
        if holds_password(uri):
            msg = "a reference may not hold a password, which would be kept with it — remove it"
            raise InvalidValueError(msg)
        asked = _GENERATION.search(path) if scheme in GOOGLE else None
        return _Parts(scheme, host, path) if asked is None else _Parts(scheme, host, path[: asked.start()], asked[1])


def _listed(target: _Target) -> dict[str, tuple[str, Facts]]:
    """Return the path and the facts of every object below a folder, by its name there."""
    top = target.path.rstrip("/")
    with translated(target.what):
        below = target.files.find(top, detail=True, on_error="raise")  # else it omits what it cannot list
    if not isinstance(below, dict):  # so says adlfs
        msg = f"{target.what} is an object too, and its package lists nothing below one — name the folder around it"
        raise StorageError(msg)
    start = len(f"{top}/".lstrip("/"))
    named = {path.lstrip("/")[start:]: (path, facts) for path, facts in below.items()}
    folders = _folders(named)
    return {
        name: (path, facts)
        for name, (path, facts) in named.items()
        if name
        and not name.endswith("/")
        and facts.get("type") == "file"  # others only stand for folders
        and (facts["size"] or name not in folders)  # as these do, once adlfs took the slash off their names
    }


def _folders(names: Iterable[str]) -> set[str]:
    """Return what the names have before any of their slashes."""
    found: set[str] = set()
    for name in names:
        above = name.rpartition("/")[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return found


class _Checked(RawIOBase):
    """A stream that ends in CorruptError if its bytes do not have the MD5 that their store gave them."""

    def __init__(self, source: BinaryIO, target: _Target, digest: str) -> None:
        self._source = source
        self._target = target
        self._digest = digest
        self._hashing = md5(usedforsecurity=False)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with memoryview(buffer).cast("B") as view:
            block = self._source.read(len(view))
            view[: len(block)] = block
        self._hashing.update(block)
        if not block and b64encode(self._hashing.digest()).decode() != self._digest:
            raise self._target.changed()
        return len(block)

    def close(self) -> None:
        self._source.close()
        super().close()


def _annex(facts: Facts) -> dict[str, str]:
    """Return what is needed to tell whether an object is the same, in the words of the manifest."""
    settings: Any = facts.get("content_settings") or {}
    sum_ = settings.get("content_md5") or facts.get("md5Hash")
    found = {
        "etag": _etag(facts),
        "md5": sum_ if isinstance(sum_, str) else b64encode(bytes(sum_ or b"")).decode(),
        "contentType": settings.get("content_type") or facts.get("contentType") or facts.get("ContentType"),
    }
    return {name: value for name, value in found.items() if value}


def _is_same(found: ReferencedObject, facts: Facts) -> bool:
    """Whether an object is what was found: by its checksum, or by its ETag where the store gives no checksum."""
    now = _annex(facts)
    name = "md5" if "md5" in found.annex and "md5" in now else "etag"
    known = found.annex.get(name)
    return found.size in {None, int(facts["size"])} and known in {None, now.get(name)}


def _etag(facts: Facts) -> str:
    return str(facts.get("etag") or facts.get("ETag") or "")
