"""References to objects in buckets, by ``s3://`` URIs: named by their ETag, fetched by the version that was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import BufferedReader
from typing import Any, BinaryIO, ClassVar, Final

from attrs import field, frozen

from muniment.adapters.references import limited, split
from muniment.adapters.s3.body import BUFFER_BYTES, Body
from muniment.adapters.s3.client import S3Client
from muniment.adapters.s3.errors import RefusedError
from muniment.adapters.s3.listing import Listing
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, StorageError
from muniment.domain.ports import ReferencedObject

FOLDER: Final = "application/x-directory"
NO_VERSION: Final = "null"
"""The id of what was put while a bucket kept no versions: the next such put replaces it."""
_URI: Final = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]*)(?:/(.*?))?(?:\?versionId=([^?&#/]+))?", re.DOTALL)


@frozen
class _Address:
    """What a URI says; keys are taken as they are, as other tools write them, without percent-encoding."""

    uri: str
    bucket: str
    key: str
    version: str | None

    @classmethod
    def read(cls, uri: str) -> _Address:
        """Read a URI; ``?versionId=`` at its end names a version."""
        split(uri, S3References.schemes)
        found = _URI.fullmatch(uri)
        if found is None:
            msg = "a reference must name a bucket — write s3://bucket/key, without user name or password"
            raise InvalidValueError(msg)
        return cls(uri, found[1], found[2] or "", found[3])

    @property
    def arguments(self) -> dict[str, str]:
        """Return what a request says about it."""
        version = {} if self.version is None else {"VersionId": self.version}
        return {"Bucket": self.bucket, "Key": self.key, **version}

    def not_found(self) -> NotFoundError:
        """Say that there is nothing."""
        return NotFoundError(f"reference {self.uri!r} is not there")

    def no_bucket(self) -> NotFoundError:
        """Say that there is not even the bucket."""
        return NotFoundError(f"reference {self.uri!r} is not there: there is no such bucket — correct its name")


@frozen
class S3References:
    """Objects of buckets; a prefix means what a folder means, so ``data`` does not mean ``data2``."""

    schemes: ClassVar[tuple[str, ...]] = ("s3",)
    client: S3Client = field(factory=S3Client)

    def resolve(self, uri: str, *, checksum: bool, limit: int) -> Iterator[ReferencedObject]:
        """Yield the object at *uri*, or all below it; with ``checksum=False`` ask nobody, the URI is the digest."""
        address = _Address.read(uri)
        if not checksum:
            return limited([ReferencedObject("", uri, uri)], limit)
        return limited(self._found(address), limit)

    def name_of(self, uri: str) -> str:
        """Return the last part of the key, as it is written."""
        return _Address.read(uri).key.rstrip("/").rpartition("/")[2]

    def fetch(self, found: ReferencedObject) -> BinaryIO:
        """Open the version that was found; without one, what has its ETag, now or in a version before."""
        address = _Address.read(found.uri)
        etag = found.annex.get("etag", "")
        version = found.annex.get("versionID", address.version)
        body = self._open(address, version)
        if body is not None and etag in {"", _bare(body.etag)}:
            return BufferedReader(body, BUFFER_BYTES)
        if body is not None:
            body.close()
        kept = self._version_with(address, etag) if etag else None
        again = None if kept is None else self._open(address, kept)
        if again is not None:
            return BufferedReader(again, BUFFER_BYTES)
        if body is not None:
            msg = f"the referenced object {found.uri!r} changed since it was added — add it again as a new version"
            raise CorruptError(msg)
        raise self._no_object(address)

    def _found(self, address: _Address) -> Iterator[ReferencedObject]:
        nothing: StorageError | NotFoundError = address.not_found()
        try:
            single = self._single(address)
        except RefusedError as error:
            if not error.denied or address.version is not None:
                raise
            single, nothing = None, error  # who may read below a folder only is refused what has the folder's name
        if single is not None:
            yield single
            return
        prefix = f"{address.key.rstrip('/')}/" if address.key else ""
        empty = True
        try:
            for each in Listing(self.client, address.bucket, self._keeps_versions(address.bucket)).below(prefix):
                if each["Key"].endswith("/") and not each["Size"]:
                    empty = empty and each["Key"] != prefix  # a folder that is there, and empty
                    continue
                empty = False
                yield _object(each["Key"][len(prefix) :], _uri(address.bucket, each), each, each["Size"])
        except RefusedError as error:
            if error.status == 404:  # noqa: PLR2004
                raise (address.no_bucket() if error.code == "NoSuchBucket" else address.not_found()) from error
            raise
        if empty:
            raise nothing

    def _single(self, address: _Address) -> ReferencedObject | None:
        """Return the very object that is named, ``None`` if it is a folder, or not there."""
        if not address.key or address.key.endswith("/"):
            if address.version is not None:
                raise address.not_found()
            return None
        try:
            found = self.client.call("head_object", **address.arguments)
        except RefusedError as error:
            if not error.absent and (address.version is None or error.status != 400):  # noqa: PLR2004
                raise
            if address.version is not None:
                raise address.not_found() from error
            return None
        if str(found.get("ContentType", "")).startswith(FOLDER):
            return None
        return _object("", address.uri, found, found["ContentLength"])

    def _keeps_versions(self, bucket: str) -> bool:
        """Whether objects have versions that may be seen."""
        try:
            if self.client.call("get_bucket_versioning", Bucket=bucket).get("Status") is None:
                return False
            self.client.call("list_object_versions", Bucket=bucket, MaxKeys=1)
        except RefusedError as error:
            if error.denied or error.unsupported:
                return False
            raise
        return True

    def _open(self, address: _Address, version: str | None) -> Body | None:
        if not address.key or address.key.endswith("/"):
            return None
        try:
            return Body(self.client, address.bucket, address.key, 0, None, version)
        except RefusedError as error:
            if error.status in {400, 404, 405} and error.code != "NoSuchBucket":  # 405: the version is a delete marker
                return None
            raise

    def _version_with(self, address: _Address, etag: str) -> str | None:
        """Return a version of the object whose ETag is this, if the bucket keeps one."""
        try:
            for page in self.client.pages("list_object_versions", Bucket=address.bucket, Prefix=address.key):
                for each in page.get("Versions", []):
                    if each["Key"] == address.key and _bare(each["ETag"]) == etag:
                        return str(each["VersionId"])
                if any(each["Key"] != address.key for each in page.get("Versions", [])):
                    break
        except RefusedError as error:
            if not error.denied and not error.unsupported:
                raise
        return None

    def _no_object(self, address: _Address) -> InvalidValueError | NotFoundError:
        prefix = f"{address.key.rstrip('/')}/" if address.key else ""
        page = self.client.call("list_objects_v2", Bucket=address.bucket, Prefix=prefix, MaxKeys=1)
        if not page.get("Contents"):
            return address.not_found()
        msg = f"reference {address.uri!r} is a folder — its files can be fetched where it was added with checksum=True"
        return InvalidValueError(msg)


def _uri(bucket: str, facts: Mapping[str, Any]) -> str:
    """Return the URI of an object; a key that would be read as naming a version gets its own version behind."""
    uri = f"s3://{bucket}/{facts['Key']}"
    return f"{uri}?versionId={facts.get('VersionId', NO_VERSION)}" if _Address.read(uri).version else uri


def _object(path: str, uri: str, facts: Mapping[str, Any], size: int) -> ReferencedObject:
    etag = _bare(facts["ETag"])
    annex = {"etag": etag}
    if facts.get("VersionId", NO_VERSION) != NO_VERSION:
        annex["versionID"] = str(facts["VersionId"])
    return ReferencedObject(path, uri, etag, int(size), annex)


def _bare(etag: str) -> str:
    """Strip an ETag of its quotes."""
    return etag.strip().strip('"')
