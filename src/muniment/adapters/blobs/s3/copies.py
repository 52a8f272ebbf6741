"""Everything that a bucket keeps under some keys: present objects, old versions, delete markers, unfinished uploads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from muniment.adapters.blobs.s3.bucket import Bucket
from muniment.adapters.s3.errors import RefusedError
from muniment.domain.evidence import Check, CopyKind
from muniment.domain.ports import Copies
from muniment.domain.values import Micros

FEW: Final = 64
"""So many keys are asked for one by one; more are looked up in the listing of all."""
THREADS: Final = 8

Kept = dict[str, list[CopyKind]]


def copies(bucket: Bucket, names: Collection[str], prefix: str) -> Copies:
    """Return what there is under the *names*, and which names below *prefix* have old versions only."""
    keys = {bucket.key(name): name for name in names}
    whole, versioned = bucket.prefix + prefix, bucket.keeps_versions
    if 0 < len(keys) <= FEW:
        with ThreadPoolExecutor(THREADS) as pool:
            parts = list(pool.map(lambda key: _kept(bucket, key, versioned=versioned), keys))
        kept: Kept = {key: kinds for part in parts for key, kinds in part.items() if key in keys}
        hidden: Kept = {}
    else:
        kept = _kept(bucket, whole, versioned=versioned)
        hidden = {key: kinds for key, kinds in kept.items() if set(kinds) & {CopyKind.VERSION}}
    for key, _ in uploads(bucket, prefix) if keys else ():
        kept.setdefault(key, []).append(CopyKind.PART)
    named = {keys[key]: tuple(kinds) for key, kinds in kept.items() if key in keys}
    only = (key for key, kinds in hidden.items() if CopyKind.OBJECT not in kinds)
    gone = frozenset(name for key in only if (name := bucket.named(key)) is not None)
    return Copies(named, Check.VERSIONS if versioned else Check.OBJECTS, gone)


def uploads(bucket: Bucket, prefix: str, older_than: Micros | None = None) -> Iterator[tuple[str, str]]:
    """Yield the key and id of every unfinished upload below *prefix*, or only of those begun before a moment."""
    for page in bucket.client.pages("list_multipart_uploads", Bucket=bucket.name, Prefix=bucket.prefix + prefix):
        for upload in page.get("Uploads", []):
            if older_than is None or upload["Initiated"].timestamp() * 1_000_000 < older_than:
                yield str(upload["Key"]), str(upload["UploadId"])


def _kept(bucket: Bucket, prefix: str, *, versioned: bool) -> Kept:
    """Return what is kept under every key that begins with *prefix*."""
    kept: Kept = defaultdict(list)
    if not versioned:
        for page in bucket.client.pages("list_objects_v2", Bucket=bucket.name, Prefix=prefix):
            for each in page.get("Contents", []):
                kept[each["Key"]].append(CopyKind.OBJECT)
        return kept
    try:
        for page in bucket.client.pages("list_object_versions", Bucket=bucket.name, Prefix=prefix):
            for each in page.get("Versions", []):
                kept[each["Key"]].append(_kind(each))
            for each in page.get("DeleteMarkers", []):
                kept[each["Key"]].append(CopyKind.MARKER)
    except RefusedError as error:
        if not error.absent:
            raise
    return kept


def _kind(each: dict[str, Any]) -> CopyKind:
    return CopyKind.OBJECT if each.get("IsLatest") else CopyKind.VERSION
