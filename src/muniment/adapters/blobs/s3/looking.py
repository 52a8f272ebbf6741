"""Which objects are there: listings, cut so that asking for many costs few requests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from muniment.adapters.blobs.s3.bucket import Bucket
from muniment.domain.ports import StoredObject
from muniment.domain.values import Micros

FEW: Final = 8
"""So many are asked one by one, at the same time."""
PAGE: Final = 1000
GROWTH: Final = 4
LAST: Final = "~"
"""The character that comes after every other one in a name."""


def listed(bucket: Bucket, prefix: str) -> Iterator[StoredObject]:
    """Yield the objects whose names begin with *prefix*, in the order of the server: that of their names.

    (Servers that keep folders put ``a/b`` before ``a-b``; the names of blobs and packs know no such pairs.)
    """
    for page in bucket.client.pages("list_objects_v2", Bucket=bucket.name, Prefix=bucket.prefix + prefix):
        for each in page.get("Contents", []):
            name = bucket.named(each["Key"])
            if name is not None:
                yield StoredObject(name, int(each["Size"]), Micros(round(each["LastModified"].timestamp() * 1_000_000)))


def sizes(bucket: Bucket, names: Collection[str]) -> dict[str, int]:
    """Return the sizes of those of *names* that are there."""
    wanted = sorted(set(names))
    for name in wanted:
        bucket.key(name)
    if len(wanted) > FEW:
        return _walked(bucket, wanted)
    with ThreadPoolExecutor(FEW) as pool:
        found = pool.map(lambda name: bucket.size(bucket.key(name)), wanted)
        return {name: there[0] for name, there in zip(wanted, found, strict=True) if there is not None}


def _walked(bucket: Bucket, wanted: list[str]) -> dict[str, int]:
    """List from name to name: each request answers for at least one, and for all up to where its page ends.

    Pages become shorter where few of what they list is wanted.
    """
    found: dict[str, int] = {}
    at, length = 0, PAGE
    while at < len(wanted):
        page = _page(bucket, wanted[at], length)
        there = {each["Key"].removeprefix(bucket.prefix): int(each["Size"]) for each in page.get("Contents", [])}
        end = max(there, default="") if page.get("IsTruncated") else None
        begun = at
        if end is not None and end < wanted[at]:  # strangers filled the page
            alone = bucket.size(bucket.key(wanted[at]))
            there, end = ({} if alone is None else {wanted[at]: alone[0]}), wanted[at]
        while at < len(wanted) and (end is None or wanted[at] <= end):
            if wanted[at] in there:
                found[wanted[at]] = there[wanted[at]]
            at += 1
        used = (at - begun) * GROWTH
        length = min(PAGE, max(used, length // GROWTH, 1) if used < length else length * GROWTH)
    return found


def _page(bucket: Bucket, name: str, length: int) -> Mapping[str, Any]:
    """Return the listing that begins with *name*, or with what comes after it."""
    before = bucket.key(name)[:-1] + chr(ord(name[-1]) - 1) + LAST
    return bucket.call("list_objects_v2", Prefix=bucket.prefix, StartAfter=before, MaxKeys=length)


def existing(bucket: Bucket, name: str) -> int:
    """Return the size of an object; NotFoundError if there is none."""
    found = bucket.size(bucket.key(name))
    if found is None:
        raise bucket.not_found(name)
    return found[0]
