"""Deleting objects with every version and every delete marker, and saying of each what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from attrs import define, field

from muniment.adapters.blobs.s3.bucket import Bucket
from muniment.adapters.blobs.s3.copies import uploads
from muniment.adapters.blobs.s3.putting import abort
from muniment.adapters.s3.errors import PASSING_CODES, RefusedError
from muniment.domain.errors import StillThereError, StorageError

AT_ONCE: Final = 1000
"""How many versions one request may delete."""
THREADS: Final = 8
ROUNDS: Final = 5
GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion"})
HELD: Final = frozenset({"AccessDenied", "ObjectLocked", "InvalidRequest", "MethodNotAllowed"})
"""How servers refuse to delete what an object lock holds, among other reasons."""

Version = tuple[str, str | None]
"""A key and a version id; ``None`` where there is nothing but the object itself."""


@define(eq=False)
class Deletion:
    """Some keys that are to go, what there is of each, and what failed."""

    bucket: Bucket
    keys: Sequence[str]
    found: dict[str, list[str | None]] = field(factory=dict)
    aborted: dict[str, int] = field(factory=dict)
    failed: dict[str, StorageError] = field(factory=dict)

    def run(self, present: Callable[[], Iterable[str]]) -> None:
        """Delete whatever there is; *present* says which keys can be read, where there are no versions.

        Where there are, look again until nothing is left: one version may have hidden another. Unfinished uploads to
        the same keys go too.
        """
        self._abort()
        if not self.bucket.keeps_versions:
            self.found = {key: [None] for key in present()}
            self._delete_all(self.found)
            return
        left: Sequence[str] = self.keys
        for _ in range(ROUNDS):
            with ThreadPoolExecutor(THREADS) as pool:
                there = {key: found for key, found in zip(left, pool.map(self._versions, left), strict=True) if found}
            self.found = there | self.found
            self._delete_all(there)
            left = [key for key in there if key not in self.failed]
            if not left:
                return
        for key in left:
            what = f"s3://{self.bucket.name}/{key}"
            msg = f"{what} is listed again after S3 said that it was deleted — see what writes it, then run gc again"
            self.failed[key] = StorageError(msg)

    def count(self, key: str) -> int:
        """Return how many versions, markers and unfinished uploads of a key there were to remove."""
        return len(self.found.get(key, ())) + self.aborted.get(key, 0)

    def _abort(self) -> None:
        wanted = set(self.keys)
        for key, upload in uploads(self.bucket, ""):
            if key in wanted:
                try:
                    abort(self.bucket, key, upload)
                    self.aborted[key] = self.aborted.get(key, 0) + 1
                except StorageError as error:
                    self.failed[key] = error

    def _delete_all(self, found: Mapping[str, Sequence[str | None]]) -> None:
        left = [(key, version) for key, versions in found.items() for version in versions]
        for at in range(0, len(left), AT_ONCE):
            self._delete(left[at : at + AT_ONCE])

    def _versions(self, key: str) -> list[str | None]:
        """Return the ids of every version and marker of exactly this key; the listing has longer keys too."""
        found: list[str | None] = []
        try:
            for page in self.bucket.client.pages("list_object_versions", Bucket=self.bucket.name, Prefix=key):
                listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                found += [str(each["VersionId"]) for each in listed if each["Key"] == key]
                if any(each["Key"] != key for each in listed):
                    break  # keys are listed in order, so nothing of this one follows
        except StorageError as error:
            self.failed[key] = error
        return found

    def _delete(self, left: list[Version]) -> None:
        for last in self.bucket.client.tries():
            left = self._attempt(left, last=last)
            if not left:
                return

    def _attempt(self, left: list[Version], *, last: bool) -> list[Version]:
        """Delete versions in one request; return those that are worth another."""
        named = [{"Key": key} if version is None else {"Key": key, "VersionId": version} for key, version in left]
        try:
            answer = self.bucket.call("delete_objects", Delete={"Objects": named, "Quiet": False})
        except StorageError as error:
            self.failed |= dict.fromkeys((key for key, _ in left), error)
            return []
        refused = {_version(each): str(each.get("Code")) for each in answer.get("Errors", [])}
        gone = {_version(each) for each in answer.get("Deleted", [])}
        gone |= {(str(each["Key"]), each.get("DeleteMarkerVersionId")) for each in answer.get("Deleted", [])}
        again = []
        for each in left:
            code = refused.get(each, "" if each in gone else "NoAnswer")
            if code in PASSING_CODES and not last:
                again.append(each)
            elif code and code not in GONE:
                self.failed[each[0]] = self._why(each, code)
        return again

    def _why(self, version: Version, code: str) -> StorageError:
        """Say why a version could not be deleted: a lock, and until when, or what the server said."""
        key, version_id = version
        which = {"Key": key} if version_id is None else {"Key": key, "VersionId": version_id}
        where = f"s3://{self.bucket.name}/{key}"
        refusal = RefusedError("delete_objects", where, code, 0)
        if code not in HELD:
            return refusal
        hold = self._asked("get_object_legal_hold", which).get("LegalHold", {}).get("Status")
        retention = self._asked("get_object_retention", which).get("Retention", {})
        until = retention.get("RetainUntilDate")
        if hold == "ON":
            msg = f"{where} stays: a legal hold is on it — who may should lift it, then run gc again"
            return StillThereError(msg, None)
        if isinstance(until, datetime):
            when = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            msg = f"{where} stays: the bucket locks it ({retention.get('Mode')}) until {when} — run gc again then"
            return StillThereError(msg, round(until.timestamp() * 1_000_000))
        return refusal

    def _asked(self, operation: str, which: Mapping[str, str]) -> dict[str, Any]:
        """Ask about a lock; a bucket without any, or credentials that may not ask, answer with a refusal."""
        try:
            return self.bucket.call(operation, **which)
        except RefusedError:
            return {}


def _version(each: Mapping[str, Any]) -> Version:
    return str(each["Key"]), each.get("VersionId")


def batches(names: Iterable[str], size: int) -> Iterator[list[str]]:
    """Cut names into batches without a repetition; one that comes again begins another."""
    batch: dict[str, None] = {}
    for name in names:
        if name in batch or len(batch) == size:
            yield list(batch)
            batch = {}
        batch[name] = None
    if batch:
        yield list(batch)
