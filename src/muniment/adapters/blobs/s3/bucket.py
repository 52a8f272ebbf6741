"""The bucket, the folder in it that is ours, and what the server can do: tried once, never assumed."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from threading import Lock
from typing import Any, Final

from attrs import define, field, frozen

from muniment.adapters.s3.client import S3Client
from muniment.adapters.s3.errors import RefusedError
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.values import holds_password, shown_uri

MARKER: Final = ".muniment"
"""The object that says whose folder this is; what the server can do is tried on it."""
SAID: Final = b'{"store":"muniment","layout":1}\n'
WRONG: Final = b64encode(sha256(b"something else").digest()).decode()
MISMATCHES: Final = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"})
"""How a server may say that the bytes are not what their checksum says."""
GIVEN_AWAY: Final = "MUNIMENT_BLOBS holds a name or password — give them by the SDK's own variables or files"
LONGEST_KEY: Final = 1024
_NAME: Final = re.compile(r"(?!\.)[\w.+=@-]+(/[\w.+=@-]+)*", re.ASCII)
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_DOTS: Final = frozenset({".", ".."})
ALGORITHMS: Final = ("AES256", "aws:kms", "aws:kms:dsse")


@frozen
class Encryption:
    """How the server is to encrypt what is put, one of ``ALGORITHMS``, and with which key.

    Any other is refused: a server may ignore what it does not know, and keep everything in the clear.
    """

    algorithm: str | None = None
    kms_key: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.algorithm is not None and self.algorithm not in ALGORITHMS:
            msg = f"MUNIMENT_S3_SSE={self.algorithm!r} is no encryption — write {' or '.join(ALGORITHMS)}"
            raise InvalidValueError(msg)
        if self.kms_key is not None and not (self.algorithm or "").startswith("aws:kms"):
            msg = "MUNIMENT_S3_SSE_KMS_KEY_ID needs MUNIMENT_S3_SSE=aws:kms or aws:kms:dsse — set that too"
            raise InvalidValueError(msg)

    def arguments(self) -> dict[str, Any]:
        """Return what a request that makes an object says about it."""
        named = {"ServerSideEncryption": self.algorithm, "SSEKMSKeyId": self.kms_key}
        return {name: value for name, value in named.items() if value}


@frozen
class Writing:
    """What the server does for who writes: ``creates`` only what is not there, when asked to; ``verifies`` SHA-256."""

    creates: bool
    verifies: bool


@define(eq=False)
class Bucket:
    """A bucket and the prefix below which every object of the store lies (``""`` or ending with ``/``)."""

    client: S3Client
    name: str
    prefix: str
    encryption: Encryption = Encryption()
    _writing: Writing | None = field(default=None, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    @classmethod
    def at(cls, url: str, client: S3Client, encryption: Encryption) -> Bucket:
        """Read ``s3://bucket/prefix``."""
        scheme, _, place = url.partition("://")
        name, _, path = place.partition("/")
        prefix = path.strip("/")
        if scheme.lower() != "s3" or not _BUCKET.fullmatch(name) or (prefix and not _is_name(prefix)):
            shown = shown_uri(url)
            msg = f"MUNIMENT_BLOBS={shown!r} names no place in a bucket — write s3://bucket/prefix, plain ASCII"
            raise InvalidValueError(GIVEN_AWAY if "@" in name or holds_password(url) else msg)
        return cls(client, name, f"{prefix}/" if prefix else "", encryption)

    def key(self, name: str) -> str:
        """Return the key of an object."""
        key = self.prefix + name
        if not _is_name(name) or len(key) > LONGEST_KEY:
            msg = f"{name!r} cannot name an object — write ASCII parts joined by '/'"
            raise InvalidValueError(msg)
        return key

    def named(self, key: str) -> str | None:
        """Return the name of the object at a key, ``None`` for what is none of ours."""
        name = key.removeprefix(self.prefix)
        return name if _is_name(name) and key.startswith(self.prefix) else None

    def call(self, operation: str, **arguments: object) -> dict[str, Any]:
        """Send a request about this bucket."""
        return self.client.call(operation, Bucket=self.name, **arguments)

    def size(self, key: str) -> tuple[int, str] | None:
        """Return size and mark of the object at a key, ``None`` if there is none."""
        try:
            found = self.call("head_object", Key=key)
        except RefusedError as error:
            if error.absent:
                return None
            raise
        return int(found["ContentLength"]), str(found.get("Metadata", {}).get("put", ""))

    @property
    def writing(self) -> Writing:
        """What the server does for who writes; found out at the first write."""
        if self._writing is None:
            with self._lock:
                if self._writing is None:
                    self._writing = self._try_writing()
        return self._writing

    @property
    def keeps_versions(self) -> bool:
        """Whether there may be more than one version of an object, or one behind a delete marker.

        Asked before each deletion, because it can be switched on at any time. Who may not know has to look.
        """
        try:
            return self.call("get_bucket_versioning").get("Status") in {"Enabled", "Suspended"}
        except RefusedError as error:
            if error.denied:
                return True
            if error.unsupported:
                return False
            raise

    def not_found(self, name: str) -> NotFoundError:
        """Say that an object is not here."""
        return NotFoundError(f"no object {name} in bucket {self.name} — restore it from a copy, or log it again")

    def _try_writing(self) -> Writing:
        """Put the marker: only if it is not there, and with a wrong checksum. Its bytes are the same whatever happens.

        Answered 412, the condition is heard. Otherwise it was just made, or the condition is not heard: ask once more.
        """
        creates = any("there_already" in self._answer(IfNoneMatch="*") for _ in range(2))
        return Writing(creates, verifies=not MISMATCHES.isdisjoint(self._answer(ChecksumSHA256=WRONG)))

    def _answer(self, **condition: str) -> set[str]:
        """Put the marker under a condition and return why it was refused, in words of ours and of the server."""
        try:
            self.call("put_object", Body=SAID, Key=self.prefix + MARKER, **condition, **self.encryption.arguments())
        except RefusedError as error:
            if error.there_already:
                return {"there_already"}
            if error.code in MISMATCHES or error.unsupported:
                return {error.code}
            raise
        return set()


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and not _DOTS.intersection(text.split("/"))
