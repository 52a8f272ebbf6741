"""Looking for blobs in what they lie in: the listing of the backend and the footers of all packs, never the index."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from muniment.adapters.blobs import object_of
from muniment.adapters.blobs.packs.format import Span, spans_of
from muniment.adapters.blobs.packs.writing import PACKS
from muniment.domain.errors import CorruptError, NotFoundError, StorageError
from muniment.domain.evidence import Check, Copy, CopyKind, Search
from muniment.domain.ports import ObjectStore, StoredObject
from muniment.domain.values import Digest

THREADS: Final = 8
ROUNDS: Final = 100
"""How often packs may be made anew by others while their footers are read."""


def search(objects: ObjectStore, blobs: str, digests: Collection[Digest]) -> Search:
    """Return the copies of blobs that there are; packs that nobody can read are what is *unsure*."""
    names = {object_of(digest): digest for digest in digests}
    there = objects.copies(names, blobs)
    alone = [Copy(names[name], kind) for name, kinds in there.found.items() for kind in kinds]
    packed, unsure, count = _in_packs(objects, digests)
    hidden = objects.copies((), PACKS).hidden
    by = (there.by, Check.FOOTERS) if count else (there.by,)
    return Search((*alone, *packed), by, (*unsure, *sorted(hidden)))


def _in_packs(objects: ObjectStore, digests: Collection[Digest]) -> tuple[list[Copy], list[str], int]:
    for _ in range(ROUNDS):
        packs = list(objects.list(PACKS))
        try:
            footers = list(_footers(objects, packs))
        except NotFoundError:
            continue  # one was made anew meanwhile, under another name
        held = [Copy(span.digest, CopyKind.PACKED) for _, spans in footers for span in spans if span.digest in digests]
        return held, [name for name, spans in footers if not spans], len(packs)
    msg = "packs are made anew all the time, so nobody can say what is in them — collect again"
    raise StorageError(msg)


def _footers(objects: ObjectStore, packs: list[StoredObject]) -> Iterator[tuple[str, tuple[Span, ...]]]:
    """Yield what is in each pack; nothing for one whose footer is damaged."""

    def read(pack: StoredObject) -> tuple[str, tuple[Span, ...]]:
        try:
            return pack.name, spans_of(pack.size, lambda start, length: objects.read(pack.name, start, length))
        except CorruptError:
            return pack.name, ()

    if len(packs) < THREADS:
        yield from map(read, packs)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(read, packs)
