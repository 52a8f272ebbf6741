"""References to what web servers hold, by ``http://`` and ``https://`` URIs, with the standard library alone."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, BinaryIO, ClassVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from attrs import frozen

from muniment.adapters.references import BUFFER_BYTES, hashed, last_part, limited, split
from muniment.domain.errors import CorruptError, InvalidValueError, MunimentError, NotFoundError, StorageError
from muniment.domain.ports import ReferencedObject

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

KEEP = "%/:=&?~#+!$,;'@()*[]"  # what means something in a path or query, and what is encoded already
ABSENT = (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE)


class _Body(RawIOBase):
    """The bytes of an answer; one that ends too early is an error, which the standard library passes over."""

    def __init__(self, uri: str, response: http.client.HTTPResponse) -> None:
        self._uri = uri
        self._response = response
        self._left: int | None = response.length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            count = self._response.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise _failed(self._uri, error) from error
        if self._left is not None:
            self._left -= count
            if not count and self._left:
                msg = f"reference {self._uri!r} broke off with {self._left} bytes missing — try again"
                raise StorageError(msg)
        return count

    def close(self) -> None:
        self._response.close()
        super().close()


@frozen
class HttpReferences:
    """Objects of web servers, named by their ETag, or hashed where a server gives none."""

    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    timeout: float = 60.0

    def resolve(self, uri: str, *, checksum: bool, limit: int) -> Iterator[ReferencedObject]:
        """Yield the one object at *uri*, in one request; with ``checksum=False`` ask nobody, the URI is the digest."""
        _sendable(uri)
        return limited((self._object(uri, checksum=checksum) for _ in range(1)), limit)

    def name_of(self, uri: str) -> str:
        """Return the last part of the path, decoded."""
        return last_part(split(uri, self.schemes).path)

    def fetch(self, found: ReferencedObject) -> BinaryIO:
        """Open what the server has now; CorruptError if it is not what it was by its ETag."""
        etag = found.annex.get("etag", "")
        strong = etag.startswith('"')
        response = self._get(found.uri, {"If-Match": etag} if strong else {})
        body = _Body(found.uri, response)
        if etag and _opaque(response.headers.get("ETag", etag)) != _opaque(etag):
            body.close()
            raise _changed(found.uri)
        return BufferedReader(body, BUFFER_BYTES)

    def _object(self, uri: str, *, checksum: bool) -> ReferencedObject:
        if not checksum:
            return ReferencedObject("", uri, uri)
        with _Body(uri, response := self._get(uri, {})) as body:
            names = {"etag": "ETag", "contentType": "Content-Type"}
            annex = {key: value for key, name in names.items() if (value := response.headers.get(name))}
            digest, size = _opaque(annex.get("etag", "")), response.length
            if not digest:
                digest, size = hashed(body)
        return ReferencedObject("", uri, digest, size, annex)

    def _get(self, uri: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        request = Request(_sendable(uri), headers={"Accept-Encoding": "identity", **headers})  # noqa: S310 - checked
        try:
            response = _opener().open(request, timeout=self.timeout)
        except (OSError, http.client.HTTPException, ValueError) as error:  # no header holds such an ETag
            raise _failed(uri, error) from error
        assert isinstance(response, http.client.HTTPResponse)  # noqa: S101 - for the type checker: no other handler
        return response


def _opener() -> OpenerDirector:
    """Make what opens web addresses and nothing else, wherever a redirect leads; proxies are those of the system."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler,
        HTTPHandler,
        HTTPSHandler,
        HTTPRedirectHandler,
        HTTPDefaultErrorHandler,
        HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _sendable(uri: str) -> str:
    """Return the URI as it goes over the wire: without its fragment, and percent-encoded where it must be."""
    parts = split(uri, HttpReferences.schemes)
    if "@" in parts.netloc:
        msg = "a reference may not hold a user name or password, which would be kept with it — remove them"
        raise InvalidValueError(msg)
    try:
        complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        complete = False
    if not complete or " " in parts.netloc:
        msg = f"reference {uri!r} does not name a host"
        raise InvalidValueError(msg)
    return urlunsplit((parts.scheme, parts.netloc, quote(parts.path, KEEP), quote(parts.query, KEEP), ""))


def _opaque(etag: str) -> str:
    """Strip an ETag of its quotes and of the mark of weakness."""
    return etag.removeprefix("W/").strip().strip('"')


def _changed(uri: str) -> CorruptError:
    return CorruptError(f"the referenced object {uri!r} changed since it was added — add it again as a new version")


def _failed(uri: str, error: Exception) -> MunimentError:
    """Say in our errors what a server or the way to it made of a request."""
    if isinstance(error, HTTPError):
        error.close()
        if error.code in ABSENT:
            return NotFoundError(f"reference {uri!r} is not there: the server answered {error.code}")
        if error.code == http.HTTPStatus.PRECONDITION_FAILED:
            return _changed(uri)
        return StorageError(f"reference {uri!r} cannot be read: the server answered {error.code}")
    reason = error.reason if isinstance(error, URLError) else error
    said = getattr(reason, "strerror", None) or type(reason).__name__
    return StorageError(f"reference {uri!r} cannot be read: {said}")
