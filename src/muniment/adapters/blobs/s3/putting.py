"""Creating objects: small ones in one request, large ones in parts; what was begun is taken up where it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from secrets import token_hex
from typing import Any, Final

from attrs import frozen

from muniment.adapters.blobs.s3.bucket import MISMATCHES, Bucket
from muniment.adapters.blobs.s3.sending import Content, Part, opened, part_bytes
from muniment.adapters.s3.errors import RefusedError
from muniment.domain.errors import CorruptError, StorageError
from muniment.domain.ports import ObjectSource

LARGE_BYTES: Final = 80 << 20
"""Above which size an object is sent in parts; a pack, of up to 64 MiB and its footer, is sent as one."""
PART_BYTES: Final = 16 << 20
PARTS_AT_ONCE: Final = 4
UPLOADS_TAKEN_UP: Final = 3
ROUNDS: Final = 5


def put(bucket: Bucket, source: ObjectSource, large: int = LARGE_BYTES, least_part: int = PART_BYTES) -> bool:
    """Create an object; return whether this did it, rather than somebody before or beside."""
    key = bucket.key(source.name)
    with opened(source) as content:
        if source.size > large:
            return _Large(bucket, key, content, part_bytes(source.size, least_part)).put()
        return _put_small(bucket, key, content)


def _put_small(bucket: Bucket, key: str, content: Content) -> bool:
    """Put it under the condition that it is not there; one of another size is what a failed put left."""
    size = content.source.size
    (part,) = content.parts(max(size, 1))
    mark = token_hex(8)
    condition = {"IfNoneMatch": "*"} if bucket.writing.creates else {}
    if not condition:
        found = bucket.size(key)
        if found is not None and found[0] == size:
            return False
    for _ in range(ROUNDS):
        try:
            _send(
                bucket,
                "put_object",
                content,
                part,
                Key=key,
                Metadata={"put": mark},
                **condition,
                **bucket.encryption.arguments(),
            )
        except RefusedError as error:
            if not error.there_already:
                raise
            found = bucket.size(key)
            if found is not None and found[0] == size:
                return found[1] == mark  # ours, if an attempt whose answer was lost made it
            condition = {} if found is not None else condition  # None: deleted in this moment
        else:
            return True
    msg = f"{key} comes and goes: something else writes in bucket {bucket.name} — give Muniment a prefix of its own"
    raise StorageError(msg)


def _send(bucket: Bucket, operation: str, content: Content, part: Part, **arguments: object) -> dict[str, Any]:
    checks = part.checks(verifies=bucket.writing.verifies)
    try:
        return bucket.call(operation, Body=lambda: content.body(part), **checks, **arguments)
    except RefusedError as error:
        if error.code in MISMATCHES:
            msg = f"{content.source.name} changed while it was sent — log it again"
            raise CorruptError(msg) from error
        raise


@frozen
class _Upload:
    """An upload in parts: its id, the parts that it has, the mark of whoever began it if that is this put."""

    id: str
    held: Mapping[int, Mapping[str, Any]]
    mark: str = ""


@frozen
class _Large:
    """An object that is sent in parts."""

    bucket: Bucket
    key: str
    content: Content
    part_bytes: int

    def put(self) -> bool:
        found = self.bucket.size(self.key)
        if found is not None and found[0] == self.content.source.size:
            return False
        creates = self.bucket.writing.creates and found is None
        parts = self.content.parts(self.part_bytes)
        for upload in self._uploads():
            try:
                return self._finish(upload, self._sent(upload, parts), {"IfNoneMatch": "*"} if creates else {})
            except RefusedError as error:
                if error.code != "NoSuchUpload" and (upload.mark or error.status != HTTPStatus.BAD_REQUEST):
                    self._give_up(upload, error)
                    raise
                found = self.bucket.size(self.key)  # another finished it, or swept it, or began it in another way
                if found is not None and found[0] == self.content.source.size:
                    return bool(upload.mark) and found[1] == upload.mark
            except StorageError as error:
                self._give_up(upload, error)
                raise
            except BaseException:  # somebody does not want it any more
                with suppress(StorageError):
                    abort(self.bucket, self.key, upload.id)
                raise
        msg = f"the upload of {self.key} was removed again and again — sweep less often, or with more grace"
        raise StorageError(msg)

    def _uploads(self) -> Iterator[_Upload]:
        """Yield uploads to go on with: first what was left behind of the same content, then new ones."""
        if self._may_be_taken_up:
            for upload in self._begun()[:UPLOADS_TAKEN_UP]:
                held = self._held(upload)
                if held is not None:
                    yield _Upload(upload, held)
        for _ in range(ROUNDS):
            mark = token_hex(8)
            algorithm = {"ChecksumAlgorithm": "SHA256"} if self.bucket.writing.verifies else {}
            begun = self.bucket.call(
                "create_multipart_upload",
                Key=self.key,
                Metadata={"put": mark},
                **algorithm,
                **self.bucket.encryption.arguments(),
            )
            yield _Upload(str(begun["UploadId"]), {}, mark)

    @property
    def _may_be_taken_up(self) -> bool:
        """Whether who names this object again has the same bytes."""
        digest = self.content.source.digest
        return digest is not None and digest in self.key

    def _begun(self) -> list[str]:
        """Return the uploads of this object that did not end; none where that may not be known."""
        try:
            found = self.bucket.call("list_multipart_uploads", Prefix=self.key).get("Uploads", [])
        except RefusedError as error:
            if error.denied or error.unsupported:
                return []
            raise
        return [str(each["UploadId"]) for each in found if each["Key"] == self.key]

    def _give_up(self, upload: _Upload, error: StorageError) -> None:
        """Abort what nobody will take up; a sweep does it if that fails now."""
        if not self._may_be_taken_up or isinstance(error, CorruptError):
            with suppress(StorageError):
                abort(self.bucket, self.key, upload.id)

    def _held(self, upload: str) -> dict[int, Mapping[str, Any]] | None:
        """Return the parts that an upload has, ``None`` if it ended meanwhile."""
        try:
            pages = self.bucket.client.pages("list_parts", Bucket=self.bucket.name, Key=self.key, UploadId=upload)
            return {int(part["PartNumber"]): part for page in pages for part in page.get("Parts", [])}
        except RefusedError as error:
            if error.absent:
                return None
            raise

    def _sent(self, upload: _Upload, parts: list[Part]) -> list[dict[str, Any]]:
        """Send the parts that are not there; return what the server calls them all."""
        verifies = self.bucket.writing.verifies

        def send(part: Part) -> dict[str, Any]:
            there = upload.held.get(part.number)
            if there is None or not _is_equal(there, part):
                which = {"Key": self.key, "UploadId": upload.id, "PartNumber": part.number}
                there = _send(self.bucket, "upload_part", self.content, part, **which)
            checksum = {"ChecksumSHA256": part.checksum} if verifies else {}
            return {"PartNumber": part.number, "ETag": there["ETag"], **checksum}

        with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            waiting = [pool.submit(send, part) for part in parts]
            try:
                return [each.result() for each in waiting]
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _finish(self, upload: _Upload, sent: list[dict[str, Any]], condition: dict[str, str]) -> bool:
        which = {"Key": self.key, "UploadId": upload.id, "MultipartUpload": {"Parts": sent}}
        try:
            self.bucket.call("complete_multipart_upload", **which, **condition)
        except RefusedError as error:
            if not error.there_already:
                raise
            abort(self.bucket, self.key, upload.id)
            found = self.bucket.size(self.key)
            if found is not None and found[0] == self.content.source.size:
                return bool(upload.mark) and found[1] == upload.mark
            raise
        return True


def abort(bucket: Bucket, key: str, upload: str) -> int:
    """Abort an upload; return how many bytes of it are gone. Parts on their way in may need another round."""
    freed = 0
    for _ in range(ROUNDS):
        try:
            pages = bucket.client.pages("list_parts", Bucket=bucket.name, Key=key, UploadId=upload)
            held = sum(int(part["Size"]) for page in pages for part in page.get("Parts", []))
            bucket.call("abort_multipart_upload", Key=key, UploadId=upload)
        except RefusedError as error:
            if error.absent:
                return freed
            raise
        freed += held
    msg = f"an unfinished upload of {key} cannot be removed while somebody still sends its parts — sweep again later"
    raise StorageError(msg)


def _is_equal(there: Mapping[str, Any], part: Part) -> bool:
    """Whether a part that the server has is ours, by what the server says of its bytes."""
    if int(there.get("Size", -1)) != part.length:
        return False
    if "ChecksumSHA256" in there:
        return bool(there["ChecksumSHA256"] == part.checksum)
    return str(there.get("ETag", "")).strip('"') == part.etag
