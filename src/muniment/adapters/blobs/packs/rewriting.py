"""Deleting from a pack: a new one without what is to go takes its place, in one transaction of the index.

Other machines have an index of their own. A pack that was made from one that is gone by then is taken away again: it
may bring back what another machine has deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from muniment.adapters.blobs import refused
from muniment.adapters.blobs.packs.format import Span, spans_of
from muniment.adapters.blobs.packs.index import PackIndex
from muniment.adapters.blobs.packs.writing import Spool
from muniment.domain.errors import CorruptError, MunimentError, NotFoundError, StorageError
from muniment.domain.ports import ObjectSource, ObjectStore
from muniment.domain.values import Digest

READ_BYTES: Final = 4 << 20


def rewrite(objects: ObjectStore, index: PackIndex, spool: Path, pack: str, doomed: Collection[Digest]) -> bool:
    """Replace a pack by one without the *doomed*; whether we dropped it, so that it is ours to delete.

    The new one is durable and known before the old one is dropped. If another process or machine was faster, ours is
    removed. What is damaged is carried over as it is, so that it is still reported.
    """
    try:
        left = [span for span in _known(objects, index, pack) if span.digest not in doomed]
        if not left:
            return index.swap(pack, None)
        source, spans = _made(objects, spool, pack, left)
    except NotFoundError:  # the old one is gone
        return False
    if _counts(objects, index, pack, source, spans) and index.swap(pack, (source.name, source.size, spans)):
        return True
    _take_away(objects, index, source)
    return False


def _counts(objects: ObjectStore, index: PackIndex, pack: str, source: ObjectSource, spans: list[Span]) -> bool:
    """Whether the new pack may stay: it is as it was made, and the old one is still there.

    Then whoever deletes from the old one will find the new one, which was there before the old one went.
    """
    try:
        _check(objects, source, spans)
        return pack in objects.sizes([pack])
    except NotFoundError:  # another process found the new one and rewrote that
        return False
    except MunimentError:
        _take_away(objects, index, source)
        raise


def _take_away(objects: ObjectStore, index: PackIndex, source: ObjectSource) -> None:
    index.swap(source.name, None)
    for result in objects.delete_many([source.name]):
        if result.error is not None:
            raise result.error
    index.forget([source.name])


def _made(objects: ObjectStore, spool: Path, pack: str, left: list[Span]) -> tuple[ObjectSource, list[Span]]:
    """Store the new pack."""
    try:
        with Spool(spool) as made:
            for span, content in _contents(objects, pack, left):
                made.add(span, content)
            source = made.finish()
            for result in objects.put_many([source]):
                if result.error is not None:
                    raise result.error
    except OSError as error:
        raise refused(pack, error) from error
    return source, made.spans


def _known(objects: ObjectStore, index: PackIndex, pack: str) -> tuple[Span, ...]:
    """Return what lies in a pack as its footer says, or the index, if the footer is damaged."""
    there = index.packs().get(pack)
    if there is None:
        raise NotFoundError(pack)
    try:
        return spans_of(there.size, lambda start, length: objects.read(pack, start, length))
    except CorruptError:
        return index.contents(pack)


def _contents(objects: ObjectStore, pack: str, spans: list[Span]) -> Iterator[tuple[Span, bytes]]:
    """Read neighbours together."""
    run: list[Span] = []
    for span in spans:
        if run and (span.start != run[-1].end or span.end - run[0].start > READ_BYTES):
            yield from _run(objects, pack, run)
            run = []
        run.append(span)
    yield from _run(objects, pack, run)


def _run(objects: ObjectStore, pack: str, run: list[Span]) -> Iterator[tuple[Span, bytes]]:
    begin = run[0].start
    content = objects.read(pack, begin, run[-1].end - begin)
    for span in run:
        part = content[span.start - begin : span.end - begin]
        if len(part) != span.length:
            msg = f"{pack} is shorter than it was, so blob {span.digest} cannot be kept — restore it from a copy"
            raise StorageError(msg)
        yield span, part


def _check(objects: ObjectStore, source: ObjectSource, spans: list[Span]) -> None:
    """See that what was stored is what was made."""
    if spans_of(source.size, lambda start, length: objects.read(source.name, start, length)) != tuple(spans):
        msg = f"{source.name} was not stored as it was made — collect again"
        raise StorageError(msg)
