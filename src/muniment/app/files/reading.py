"""Reading local files once: hashed, and copied while they are hashed."""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import md5, sha256
from typing import Final

from attrs import frozen

from muniment.app.disk import COPY, COPY_AND_READ, cloned, write_all, writing
from muniment.app.files.bundling import Bundles, Run, Slot
from muniment.app.files.walking import unreadable
from muniment.app.progress import SILENT, Progress, Stoppable
from muniment.domain.errors import ConflictError, InvalidValueError
from muniment.domain.values import Digest

THREADS: Final = 2
WORTH_THREADS: Final = 64 << 10
"""From which mean size on threads are worth it; with smaller files they wait for each other, which costs CPU."""
BATCH_FILES: Final = 256
BATCH_BYTES: Final = 64 << 20
SMALL: Final = 1 << 20
"""Up to how many bytes are read at once; larger files are read through a buffer of this size."""
OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a named pipe must not make us wait


@frozen
class Reading:
    """A file to read: what it looked like, and where to copy it to (``None``: nowhere), or into a bundle if it fits."""

    local: str
    look: os.stat_result
    copy: str | None = None
    bundled: bool = False


@frozen
class Content:
    """What a file turned out to hold; *md5* in hexadecimal, where it was asked for; *slot*, where it was bundled."""

    digest: Digest
    md5: str | None
    look: os.stat_result
    slot: Slot | None = None


def read_all(
    readings: Sequence[Reading], *, with_md5: bool, bundles: Bundles | None = None, progress: Progress = SILENT
) -> list[Content]:
    """Read files, large ones in a few threads, each taking a batch at a time; the first failure stops all."""
    batches = list(_batches(readings))
    if len(batches) < THREADS or sum(each.look.st_size for each in readings) < len(readings) * WORTH_THREADS:
        return [content for batch in batches for content in _read_batch(batch, with_md5, bundles, progress)]
    stopping = Stoppable(progress)
    pool = ThreadPoolExecutor(THREADS)
    try:
        futures = [pool.submit(_read_batch, batch, with_md5, bundles, stopping) for batch in batches]
        contents = [content for future in futures for content in future.result()]
        pool.shutdown()
    except BaseException:
        stopping.stop()
        pool.shutdown(cancel_futures=True)
        raise
    return contents


def read(reading: Reading, *, with_md5: bool, run: Run | None = None, progress: Progress = SILENT) -> Content:
    """Read one file; ConflictError if it changes meanwhile."""
    content = _attempt(reading, reading.look, with_md5, run, progress)
    if content is None:  # it changed after it was looked at; that is no harm if it stands still now
        content = _attempt(reading, None, with_md5, run, progress)
    if content is None:
        msg = f"{reading.local!r} changed while it was read — log it again when nothing writes to it"
        raise ConflictError(msg)
    return content


def weak_digest(found: str) -> str:
    """Return an MD5 as W&B shows it, in Base64."""
    return b64encode(bytes.fromhex(found)).decode()


def _batches(readings: Sequence[Reading]) -> Iterator[list[Reading]]:
    batch: list[Reading] = []
    size = 0
    for each in readings:
        batch.append(each)
        size += each.look.st_size
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read_batch(
    batch: list[Reading],
    with_md5: bool,  # noqa: FBT001 (handed to a thread)
    bundles: Bundles | None,
    progress: Progress,
) -> list[Content]:
    run = Run(bundles) if bundles is not None else None
    contents = [read(each, with_md5=with_md5, run=run, progress=progress) for each in batch]
    if run is not None:
        run.flush()
    progress.done(len(batch), sum(size for each in batch if (size := each.look.st_size) <= SMALL))
    return contents


def _attempt(
    reading: Reading,
    before: os.stat_result | None,
    with_md5: bool,  # noqa: FBT001
    run: Run | None,
    progress: Progress,
) -> Content | None:
    """Read a file that looked like *before*, or as it looks now; ``None`` if it does not look so afterwards."""
    try:
        file = os.open(reading.local, OPEN)
    except OSError as error:
        raise unreadable(reading.local, error) from error
    try:
        if before is None:
            before = os.fstat(file)
        if not stat.S_ISREG(before.st_mode):
            msg = f"{reading.local!r} is not a file"
            raise InvalidValueError(msg)
        held: bytes | None = None
        if before.st_size <= SMALL:
            strong, weak, size, held = _small(file, reading, before.st_size, with_md5)
        else:
            strong, weak, size = _large(file, reading, before.st_size, with_md5, progress)
        try:
            after = os.fstat(file)
        except OSError as error:
            raise unreadable(reading.local, error) from error
    finally:
        os.close(file)
    if size != before.st_size or _identity(before) != _identity(after):
        return None
    look = before if before.st_ctime_ns == after.st_ctime_ns else after
    slot = run.add(strong, held) if run is not None and reading.bundled and held is not None else None
    return Content(Digest(strong), weak, look, slot)


def _identity(look: os.stat_result) -> tuple[int, int, int, int]:
    return (look.st_mtime_ns, look.st_size, look.st_ino, look.st_dev)


def _small(file: int, reading: Reading, size: int, with_md5: bool) -> tuple[str, str | None, int, bytes]:  # noqa: FBT001
    try:
        content = os.read(file, size + 1)
        while 0 < len(content) < size and (more := os.read(file, size + 1 - len(content))):
            content += more
    except OSError as error:
        raise unreadable(reading.local, error) from error
    if reading.copy is not None and not reading.bundled:
        with writing():
            copy = os.open(reading.copy, COPY, 0o600)
            try:
                write_all(copy, content)
            finally:
                os.close(copy)
    weak = md5(content, usedforsecurity=False).hexdigest() if with_md5 else None
    return sha256(content).hexdigest(), weak, len(content), content


def _large(
    file: int,
    reading: Reading,
    size: int,
    with_md5: bool,  # noqa: FBT001
    progress: Progress,
) -> tuple[str, str | None, int]:
    strong, weak = sha256(), md5(usedforsecurity=False) if with_md5 else None
    total = 0
    with _copying(reading.copy) as new, memoryview(bytearray(SMALL)) as buffer:
        copy = new
        if new is not None and cloned(file, new):
            file, copy = new, None  # what is shared is what is hashed, whoever writes to the file meanwhile
        while total <= size:  # a file that grows is not followed for ever
            try:
                count = os.readv(file, [buffer])
            except OSError as error:
                raise unreadable(reading.local, error) from error
            if not count:
                break
            strong.update(buffer[:count])
            if weak is not None:
                weak.update(buffer[:count])
            if copy is not None:
                with writing():
                    write_all(copy, buffer[:count])
            total += count
            progress.done(0, count)
    return strong.hexdigest(), weak.hexdigest() if weak else None, total


@contextmanager
def _copying(path: str | None) -> Iterator[int | None]:
    if path is None:
        yield None
        return
    with writing():
        copy = os.open(path, COPY_AND_READ, 0o600)
    try:
        yield copy
    finally:
        os.close(copy)
