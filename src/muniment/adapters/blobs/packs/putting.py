"""Bringing blobs in: many small ones as packs, few or large ones as objects of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from muniment.adapters.blobs import is_digest, object_of, refused
from muniment.adapters.blobs.packs.format import Span
from muniment.adapters.blobs.packs.index import PackIndex
from muniment.adapters.blobs.packs.writing import Bundle, Spool, content_of
from muniment.domain.errors import MunimentError
from muniment.domain.ports import BlobResult, BlobSource, ObjectSource, ObjectStore
from muniment.domain.values import Digest

BATCH_BLOBS: Final = 16_384
BATCH_BYTES: Final = 64 << 20


@frozen
class Putting:
    """How blobs are brought into a store: up to *small* bytes each in packs, if at least *few* come together.

    *refresh* learns what packs came and went: another machine may have deleted what the index still knows.
    """

    objects: ObjectStore
    index: PackIndex
    spool: Path
    small: int
    few: int
    refresh: Callable[[], None]

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        """Store blobs, yielding a result per item."""
        bundles = _Bundles()
        for batch in _batches(bundles.kept_aside(blobs)):
            yield from self._whole(bundles)
            yield from self._put(batch)
        yield from self._whole(bundles)
        for batch in _batches(bundles.rest()):
            yield from self._put(batch)

    def _whole(self, bundles: _Bundles) -> Iterator[BlobResult]:
        """Let files become packs as they are."""
        while bundles.whole:
            bundle = bundles.whole.pop()
            try:
                spans = bundle.spans() if len(bundle.sources) >= self.few else None
                if spans is None:
                    yield from self._put(bundle.sources)
                else:
                    new = self._publish(bundle.finish(spans), spans)
                    for each in bundle.sources:
                        yield BlobResult(each.digest, done=each.digest in new)
                        new.discard(each.digest)
            except MunimentError as error:
                yield from [BlobResult(each.digest, done=False, error=error) for each in bundle.sources]
            except OSError as error:
                failed = refused("a pack", error)
                yield from [BlobResult(each.digest, done=False, error=failed) for each in bundle.sources]

    def _put(self, batch: list[BlobSource]) -> Iterator[BlobResult]:
        there = self._there([each for each in batch if is_digest(each.digest)])
        left = [at for at, each in enumerate(batch) if each.digest not in there]
        small = [at for at in left if self._is_small(batch[at])]
        if len({batch[at].digest for at in small}) < self.few:
            small = []
        results = {at: BlobResult(each.digest, done=False) for at, each in enumerate(batch) if each.digest in there}
        results |= self._pack({at: batch[at] for at in small}) if small else {}
        results |= self._loose({at: batch[at] for at in left if at not in results})
        return iter([results[at] for at in range(len(batch))])

    def _is_small(self, source: BlobSource) -> bool:
        return source.size <= self.small or source.start is not None

    def _there(self, batch: list[BlobSource]) -> set[Digest]:
        """Return which of the small ones are stored already; large ones are looked for when they are put."""
        small = {each.digest: each.size for each in batch if self._is_small(each)}
        there = set(self.index.held(small))
        if there:
            self.refresh()
            there = set(self.index.held(small))
        names = {object_of(digest): digest for digest in small if digest not in there}
        found = self.objects.sizes(names) if len(names) >= self.few else {}
        return there | {names[name] for name, size in found.items() if size == small[names[name]]}

    def _pack(self, batch: dict[int, BlobSource]) -> dict[int, BlobResult]:
        """Put small blobs as one pack."""
        results: dict[int, BlobResult] = {}
        taken: dict[Digest, int] = {}
        try:
            with Spool(self.spool) as spool:
                for at, each in batch.items():
                    if each.digest in taken:
                        results[at] = BlobResult(each.digest, done=False)
                        continue
                    try:
                        spool.add(Span(each.digest, 0, each.size), content_of(each))
                        taken[each.digest] = at
                    except MunimentError as error:
                        results[at] = BlobResult(each.digest, done=False, error=error)
                new = self._publish(spool.finish(), spool.spans) if taken else set()
        except (OSError, MunimentError) as error:
            failed = error if isinstance(error, MunimentError) else refused("a pack", error)
            return {at: BlobResult(each.digest, done=False, error=failed) for at, each in batch.items()}
        return results | {at: BlobResult(digest, done=digest in new) for digest, at in taken.items()}

    def _publish(self, source: ObjectSource, spans: list[Span]) -> set[Digest]:
        """Make a pack durable and known; return what was in no pack before."""
        for result in self.objects.put_many([source]):
            if result.error is not None:
                raise result.error
        return self.index.add(source.name, source.size, spans)

    def _loose(self, batch: dict[int, BlobSource]) -> dict[int, BlobResult]:
        """Put blobs as objects of their own."""
        results: dict[int, BlobResult] = {}
        waiting: dict[str, list[int]] = {}

        def objects() -> Iterator[ObjectSource]:
            for at, each in batch.items():
                try:
                    source = _object(each)
                except MunimentError as error:
                    results[at] = BlobResult(each.digest, done=False, error=error)
                    continue
                waiting.setdefault(source.name, []).append(at)
                yield source

        for result in self.objects.put_many(objects()):
            at = waiting[result.name].pop(0)
            results[at] = BlobResult(batch[at].digest, done=result.done, error=result.error)
        return results


@define
class _Bundles:
    """Files that hold many blobs, kept aside until all that is in them was given."""

    whole: list[Bundle] = field(factory=list)
    _parts: dict[str, list[BlobSource]] = field(factory=dict)
    _left: dict[str, int] = field(factory=dict)

    def kept_aside(self, blobs: Iterable[BlobSource]) -> Iterator[BlobSource | None]:
        """Yield the other blobs; ``None`` when a file became whole."""
        for each in blobs:
            if each.start is None or not each.movable or each.path is None or not each.size:
                yield each
            elif self._adds_up(each, each.path):
                self.whole.append(Bundle(each.path, self._parts.pop(each.path)))
                yield None

    def rest(self) -> Iterator[BlobSource]:
        """Yield the blobs of files that did not become whole."""
        for path in list(self._parts):
            yield from self._parts.pop(path)

    def _adds_up(self, source: BlobSource, path: str) -> bool:
        if path not in self._left:
            try:
                self._left[path] = os.lstat(path).st_size
            except OSError:
                self._left[path] = -1  # reading it will say why
        self._parts.setdefault(path, []).append(source)
        self._left[path] -= source.size
        return self._left[path] == 0


def _batches(blobs: Iterable[BlobSource | None]) -> Iterator[list[BlobSource]]:
    """Cut a stream of blobs so that neither their number nor their bytes grow without bounds."""
    batch: list[BlobSource] = []
    held = 0
    for source in blobs:
        if source is not None:
            batch.append(source)
            held += source.size
        if source is None or len(batch) >= BATCH_BLOBS or held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _object(source: BlobSource) -> ObjectSource:
    name = object_of(source.digest)
    if not is_digest(source.digest) or source.start is not None:
        content = content_of(source)
        return ObjectSource(name, len(content), content, digest=source.digest)
    return ObjectSource(
        name, source.size, source.content, source.path, source.movable, source.digest, linkable=source.linkable
    )
