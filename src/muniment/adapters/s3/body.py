"""Reading an object of S3 as one stream, which goes on where the connection broke off."""

from __future__ import annotations

import re
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from muniment.adapters.s3.client import S3Client
from muniment.adapters.s3.errors import RefusedError
from muniment.domain.errors import CorruptError, StorageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES: Final = 1 << 20
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/")


def open_object(
    client: S3Client, bucket: str, key: str, start: int = 0, length: int | None = None, *, version: str | None = None
) -> BinaryIO:
    """Open bytes of an object; a negative *start* counts from the end. RefusedError if it is not there."""
    return BufferedReader(Body(client, bucket, key, start, length, version), BUFFER_BYTES)


class Body(RawIOBase):
    """Some bytes of one object: *length* from *start* on, or as many as there are; ``etag`` says of which content."""

    def __init__(
        self, client: S3Client, bucket: str, key: str, start: int, length: int | None, version: str | None
    ) -> None:
        self.etag = ""
        self._client = client
        self._asked: dict[str, Any] = {"Bucket": bucket, "Key": key}
        if version is not None:
            self._asked["VersionId"] = version
        self._at = start
        self._left: int | None = length
        self._stream: Any = None
        self._begin()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if self._left == 0:
            return 0
        with memoryview(buffer).cast("B") as view:
            wanted = view if self._left is None else view[: self._left]
            for last in self._client.tries():
                try:
                    return self._read(wanted)
                except (StorageError, OSError) as error:
                    self._drop()
                    if last or isinstance(error, CorruptError) or self._left is None:
                        raise self._broken(error) from error
        raise AssertionError  # the last try returns or raises

    def close(self) -> None:
        self._drop()
        super().close()

    def _begin(self) -> None:
        """Ask for the bytes that are left."""
        asked = dict(self._asked)
        if self._at or self._left is not None:
            asked["Range"] = _range(self._at, self._left)
        try:
            answer = self._client.call("get_object", **asked)
        except RefusedError as error:
            if not error.beyond_the_end:
                raise
            self._left = 0
            return
        etag = str(answer.get("ETag", ""))
        self._stream = answer["Body"]
        if self.etag and etag != self.etag:
            self._drop()
            msg = f"{self._uri} was replaced while it was read — read it again"
            raise CorruptError(msg)
        self.etag = etag
        self._settle(answer, ranged="Range" in asked)

    def _settle(self, answer: dict[str, Any], *, ranged: bool) -> None:
        """Take from an answer where it begins and how much will come."""
        found = _RANGE.match(str(answer.get("ContentRange", "")))
        coming: int | None
        if found:
            first, coming = int(found[1]), int(found[2]) - int(found[1]) + 1
            if self._at >= 0 and first != self._at:
                raise self._broken(None)
            self._at = first
        elif ranged and self._at:
            self._drop()
            msg = f"{self._uri} was asked for in part and came whole: this server knows no ranges — use another"
            raise StorageError(msg)
        else:
            coming = answer.get("ContentLength", self._left)
        self._left = coming if self._left is None or coming is None else min(coming, self._left)

    def _read(self, view: memoryview) -> int:
        if self._stream is None:
            self._begin()
            if not self._left:
                raise self._broken(None)
            view = view[: self._left]
        block = self._next(len(view))
        if not block and self._left:
            raise self._broken(None)
        view[: len(block)] = block
        self._at += len(block)
        if self._left is not None:
            self._left -= len(block)
        return len(block)

    def _next(self, size: int) -> bytes:
        from botocore.exceptions import BotoCoreError, HTTPClientError  # noqa: PLC0415 (loaded: there is a stream)
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            block: bytes = self._stream.read(size)
        except (BotoCoreError, HTTPClientError, HTTPError) as error:
            raise self._broken(error) from error
        return block

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    @property
    def _uri(self) -> str:
        return f"s3://{self._asked['Bucket']}/{self._asked['Key']}"

    def _broken(self, error: Exception | None) -> StorageError:
        if isinstance(error, StorageError):
            return error
        missing = "" if self._left is None else f" with {self._left} bytes missing"
        return StorageError(f"{self._uri} broke off{missing} — try again")


def _range(start: int, length: int | None) -> str:
    if start < 0:
        return f"bytes={start}"
    return f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"
