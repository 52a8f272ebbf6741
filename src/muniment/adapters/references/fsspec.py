"""References to whatever fsspec reaches by its packages: ``gs://``, ``az://``, ``abfs://``, ``sftp://`` and others."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from hashlib import md5
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import parse_qs, quote, unquote

from attrs import field, frozen

from muniment.adapters.fsspec_files import Facts, FileSystem, Place, known_schemes, open_pieces, piece, translated
from muniment.adapters.references import BUFFER_BYTES, hashed, limited, split
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError
from muniment.domain.ports import ReferencedObject

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

_GENERATION = re.compile(r"[0-9]{1,20}")


def answers_for(scheme: str) -> bool:
    """Whether references of this scheme are ours to follow, be their package installed or not."""
    return scheme not in NO_PLACES and scheme in known_schemes()


@frozen
class _Target:
    """Where a reference leads: the file system and the path there, with the generation if it asks for one."""

    uri: str
    files: FileSystem
    path: str
    generation: str | None = None

    @property
    def what(self) -> str:
        """What messages call it."""
        return f"reference {self.uri!r}"

    def facts(self) -> Facts:
        """Ask for what is known of it; NotFoundError if it is not there."""
        with translated(self.what):
            return self.files.info(self.path)

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

    def fetch(self, found: ReferencedObject) -> BinaryIO:
        """Open the very generation where there are some; CorruptError if there is another object by now."""
        target = self._target(found.uri, found.annex.get("versionID"))
        try:
            facts = target.facts()
        except NotFoundError:
            if target.generation is not None and self._is_there(found.uri):
                raise target.changed() from None
            raise
        if facts.get("type") == "directory":
            msg = f"{target.what} is a folder — its objects can be fetched where it was added with checksum=True"
            raise InvalidValueError(msg)
        size, etag = int(facts["size"]), _etag(facts)
        if size != (size if found.size is None else found.size) or etag != found.annex.get("etag", etag):
            raise target.changed()
        stream = target.open(size)
        if found.digest == found.annex.get("md5"):
            return BufferedReader(_Checked(stream, target, found.digest), BUFFER_BYTES)
        return stream

    def _is_there(self, uri: str) -> bool:
        try:
            self._target(uri, "").facts()
        except NotFoundError:
            return False
        return True

    def _found(self, uri: str) -> Iterator[ReferencedObject]:
        target = self._target(uri)
        facts = target.facts()
        if facts.get("type") != "directory" and not uri.endswith("/"):
            yield self._object(target, "", facts)
            return
        top = target.path.rstrip("/")
        with translated(target.what):
            below = target.files.find(top, detail=True, on_error="raise")  # else it omits what it cannot list
        start = len(f"{top}/".lstrip("/"))
        names = {path.lstrip("/")[start:]: (path, facts) for path, facts in below.items()}
        for name in sorted(names, key=str.encode):
            path, facts = names[name]
            if name and not name.endswith("/") and facts.get("type") == "file":  # others only stand for folders
                yield self._object(_Target(f"{uri.rstrip('/')}/{quote(name)}", target.files, path), name, facts)

    def _object(self, target: _Target, name: str, facts: Facts) -> ReferencedObject:
        size, annex = int(facts["size"]), _annex(facts)
        if self.schemes[0] in GOOGLE and facts.get("generation"):
            annex["versionID"] = str(facts["generation"])
        digest = annex.get("md5") or annex.get("etag", "").removeprefix("W/").strip('"')
        if not digest:
            with target.open(size) as stream:
                digest, size = hashed(stream)
        return ReferencedObject(name, target.uri, digest, size, annex)

    def _target(self, uri: str, generation: str | None = None) -> _Target:
        """Return where a URI leads, to *generation* unless it names one itself; ``""`` is whatever there is now."""
        host, path, asked = self._parts(uri)
        wanted = "" if generation == "" else asked or generation or ""
        base = f"{self.schemes[0]}://{host}/"
        url = f"{base}object#1" if wanted else base  # so is a file system asked for that understands generations
        place = self._places.setdefault(url, Place(url))
        with translated(f"reference {uri!r}"):
            stripped = place.stripped(f"{base}{path}")
            return _Target(uri, place.files, f"{stripped}#{wanted}" if wanted else stripped, wanted or None)

    def _parts(self, uri: str) -> tuple[str, str, str | None]:
        """Take a URI apart: who holds it, the path there, and the generation it names."""
        parts = split(uri, self.schemes)
        if ":" in parts.netloc.rpartition("@")[0]:
            msg = "a reference may not hold a password, which would be kept with it — remove it"
            raise InvalidValueError(msg)
        path = unquote(parts.path).removeprefix("/")
        if not parts.query and not parts.fragment:
            return parts.netloc, path, None
        asked = parts.fragment or "".join(parse_qs(parts.query).get("generation", ()))
        if parts.scheme not in GOOGLE or not _GENERATION.fullmatch(asked):
            msg = f"reference {uri!r} holds '?' or '#' — write them as %3F and %23"
            raise InvalidValueError(msg)
        return parts.netloc, path, asked


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


def _etag(facts: Facts) -> str:
    return str(facts.get("etag") or facts.get("ETag") or "")
