"""The store of objects in a bucket."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from typing import BinaryIO, Final

from attrs import frozen

from muniment.adapters.blobs import check_span
from muniment.adapters.blobs.s3 import looking
from muniment.adapters.blobs.s3.bucket import Bucket, Encryption
from muniment.adapters.blobs.s3.copies import copies, uploads
from muniment.adapters.blobs.s3.deleting import Deletion, batches
from muniment.adapters.blobs.s3.putting import LARGE_BYTES, PART_BYTES, abort, put
from muniment.adapters.s3.body import open_object
from muniment.adapters.s3.client import S3Client
from muniment.adapters.s3.errors import RefusedError
from muniment.domain.errors import InvalidValueError, MunimentError
from muniment.domain.ports import Copies, ObjectResult, ObjectSource, StoredObject
from muniment.domain.values import Micros

AT_ONCE: Final = 8
"""How many objects are sent at the same time."""
BATCH: Final = 1000


@frozen(eq=False)
class S3ObjectStore:
    """Objects in a bucket, below a prefix.

    Where the server does not hear ``If-None-Match``, two who put the same at once may both be told that they did it.
    Bytes that an object lock holds are an error that says until when; locks are never by-passed.
    """

    bucket: Bucket
    large_bytes: int = LARGE_BYTES
    part_bytes: int = PART_BYTES

    @classmethod
    def at(cls, url: str, encryption: Encryption | None = None, client: S3Client | None = None) -> S3ObjectStore:
        """Open the store at ``s3://bucket/prefix``; nothing is asked before the first use."""
        return cls(Bucket.at(url, client or S3Client(), encryption or Encryption()))

    def put_many(self, objects: Iterable[ObjectSource]) -> Iterator[ObjectResult]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting: deque[tuple[str, Future[ObjectResult]]] = deque()
            try:
                for source in objects:
                    while len(waiting) >= AT_ONCE or any(name == source.name for name, _ in waiting):
                        yield waiting.popleft()[1].result()
                    waiting.append((source.name, pool.submit(self._put, source)))
                while waiting:
                    yield waiting.popleft()[1].result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def read(self, name: str, start: int, length: int) -> bytes:
        check_span(0, length)
        if not length:
            looking.existing(self.bucket, name)
            return b""
        with self._open(name, start, length) as body:
            return body.read(length)

    def open(self, name: str, start: int = 0, length: int | None = None) -> BinaryIO:
        check_span(start, length)
        if length == 0:
            looking.existing(self.bucket, name)
            return BytesIO()
        return self._open(name, start, length)

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        return looking.sizes(self.bucket, names)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        return looking.listed(self.bucket, prefix)

    def delete_many(self, names: Iterable[str]) -> Iterator[ObjectResult]:
        for batch in batches(names, BATCH):
            yield from self._delete(batch)

    def sweep(self, older_than: Micros) -> int:
        freed = 0
        for key, upload in uploads(self.bucket, "", older_than):
            freed += abort(self.bucket, key, upload)
        return freed

    def copies(self, names: Collection[str], prefix: str) -> Copies:
        return copies(self.bucket, names, prefix)

    def _put(self, source: ObjectSource) -> ObjectResult:
        try:
            return ObjectResult(source.name, done=put(self.bucket, source, self.large_bytes, self.part_bytes))
        except MunimentError as error:
            return ObjectResult(source.name, done=False, error=error)

    def _open(self, name: str, start: int, length: int | None) -> BinaryIO:
        try:
            return open_object(self.bucket.client, self.bucket.name, self.bucket.key(name), start, length)
        except RefusedError as error:
            if error.absent:
                raise self.bucket.not_found(name) from error
            raise

    def _delete(self, names: Iterable[str]) -> Iterator[ObjectResult]:
        wrong: dict[str, MunimentError] = {}
        keys: dict[str, str] = {}
        for name in names:
            try:
                keys[name] = self.bucket.key(name)
            except InvalidValueError as error:
                wrong[name] = error
        deletion = Deletion(self.bucket, tuple(keys.values()))
        try:
            deletion.run(lambda: [keys[name] for name in self.sizes(keys)])
        except MunimentError as error:
            wrong |= dict.fromkeys(keys, error)
        for name, key in [*keys.items(), *((name, "") for name in wrong if name not in keys)]:
            failure = wrong.get(name) or deletion.failed.get(key)
            count = deletion.count(key)
            yield ObjectResult(name, done=failure is None and bool(count), error=failure, copies=count)
