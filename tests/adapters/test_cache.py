"""The cache of blobs: the suite of the port it wraps, its bounds, and that it never returns a wrong byte."""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from attrs import define, field

from muniment.adapters.blobs.cache import BlobCache, CachedBlobStore, CacheUsage
from muniment.adapters.blobs.memory import MemoryBlobStore
from muniment.domain.errors import NotFoundError, StorageError
from muniment.domain.ports import BlobResult, BlobStore
from muniment.domain.values import Digest
from tests.conformance.blob_store import HELLO, BlobStoreConformance, machine_for, named, put

KIB = 1024


class TestCachedStore(BlobStoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        return CachedBlobStore(MemoryBlobStore(), BlobCache(tmp_path / "cache"))

    def damage(self, store: BlobStore, digest: Digest, content: bytes) -> None:
        cast("MemoryBlobStore", cast("CachedBlobStore", store).inner).held[digest] = content


class TestFullCache(TestCachedStore):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        return CachedBlobStore(MemoryBlobStore(), BlobCache(tmp_path / "cache", limit=5))


TestCachedStoreMachine = machine_for(
    lambda: CachedBlobStore(MemoryBlobStore(), BlobCache(Path(tempfile.mkdtemp()), limit=6))
)


@define
class Source:
    """Blobs to fetch, and how often they were."""

    held: dict[Digest, bytes] = field(factory=dict)
    fetched: list[Digest] = field(factory=list)

    def add(self, content: bytes) -> Digest:
        self.held[named(content)] = content
        return named(content)

    def whole(self, digest: Digest) -> bytes:
        self.fetched.append(digest)
        return self.held[digest]

    def read(self, cache: BlobCache, digest: Digest) -> bytes:
        with self.open(cache, digest) as file:
            return file.read()

    def open(self, cache: BlobCache, digest: Digest, start: int = 0, length: int | None = None) -> BinaryIO:
        def fetch(start: int, length: int | None) -> BinaryIO:
            self.fetched.append(digest)
            return BytesIO(self.held[digest][start:][:length])

        return cache.open(digest, fetch, start, length)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    return BlobCache(tmp_path / "home" / "cache", limit=10 * KIB)


def place(cache: BlobCache, digest: Digest) -> Path:
    return cache.folder / digest[:2] / digest


def fill(cache: BlobCache, source: Source, count: int) -> list[Digest]:
    """Cache blobs of 1 KiB, used one after the other."""
    digests = [source.add(bytes([number]) * KIB) for number in range(count)]
    for number, digest in enumerate(digests):
        source.read(cache, digest)
        os.utime(place(cache, digest), (number, number))
    return digests


def test_a_blob_is_fetched_once(cache: BlobCache, source: Source) -> None:
    digest = source.add(HELLO)
    assert [source.read(cache, digest) for _ in range(3)] == [HELLO] * 3
    assert source.fetched == [digest]
    assert cache.usage() == CacheUsage(1, len(HELLO))


@pytest.mark.parametrize("damage", [b"hellO\n", b"hello", b"", b"hello\nhello\n"])
def test_a_blob_damaged_in_the_cache_is_never_returned_but_fetched_again(
    cache: BlobCache, source: Source, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    digest = source.add(HELLO)
    source.read(cache, digest)
    place(cache, digest).write_bytes(damage)
    with source.open(cache, digest, 1, 3) as file:
        assert file.read() == b"ell"
    assert not cache.holds(digest)
    source.read(cache, digest)
    place(cache, digest).write_bytes(damage)
    assert cache.get(digest, lambda: source.whole(digest)) == HELLO
    assert source.fetched == [digest] * 4
    assert place(cache, digest).read_bytes() == HELLO
    assert "damaged in the cache" in caplog.text


def test_a_blob_damaged_where_it_comes_from_is_not_kept(cache: BlobCache, source: Source) -> None:
    digest = source.add(HELLO)
    source.held[digest] = b"hellO\n"
    assert source.read(cache, digest) == b"hellO\n"  # whoever streams checks, as with every store
    assert cache.usage() == CacheUsage(0, 0)
    assert list((cache.folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("most", [0, 3])
def test_what_was_not_read_to_its_end_is_not_kept(cache: BlobCache, source: Source, most: int) -> None:
    digest = source.add(HELLO)
    with source.open(cache, digest) as file:
        assert file.read1(most) == HELLO[:most] if most else True  # type: ignore[attr-defined]
    source.held[digest] = HELLO[:3]
    assert source.read(cache, digest) == HELLO[:3]
    assert cache.usage() == CacheUsage(0, 0)
    assert list((cache.folder / "tmp").iterdir()) == []


def test_a_fetch_that_fails_leaves_nothing(cache: BlobCache, source: Source) -> None:
    with pytest.raises(KeyError):
        source.read(cache, named(HELLO))
    assert list((cache.folder / "tmp").iterdir()) == []


def test_blobs_used_longest_ago_are_evicted_first(cache: BlobCache, source: Source) -> None:
    digests = fill(cache, source, 10)
    source.read(cache, digests[0])
    source.read(cache, source.add(b"n" * KIB))
    assert [cache.holds(digest) for digest in digests[:5]] == [True, False, False, False, True]
    assert cache.usage().size <= cache.limit


def test_the_limit_holds_whatever_comes(cache: BlobCache, source: Source) -> None:
    fill(cache, source, 100)
    assert 8 * KIB <= cache.usage().size <= cache.limit


def test_a_blob_in_use_is_not_evicted(cache: BlobCache, source: Source) -> None:
    digests = fill(cache, source, 4)
    reader = source.open(cache, digests[0])
    again = source.open(cache, digests[0])
    reader.close()
    reader.close()
    assert cache.cleanup(0) == 3 * KIB
    assert [cache.holds(digest) for digest in digests] == [True, False, False, False]
    assert again.read() == source.held[digests[0]]
    again.close()
    assert cache.cleanup(0) == KIB
    assert cache.usage() == CacheUsage(0, 0)


OTHER = """
import sys
from pathlib import Path
from muniment.adapters.blobs.cache import BlobCache
from muniment.domain.values import Digest

cache = BlobCache(Path(sys.argv[1]))
with cache.open(Digest(sys.argv[2]), lambda start, length: None) as file:
    print(file.read(1).decode(), flush=True)
    sys.stdin.readline()
    print(len(file.read()), flush=True)
"""


def test_a_blob_in_use_by_another_process_is_not_evicted(cache: BlobCache, source: Source) -> None:
    digests = fill(cache, source, 4)
    first = source.held[digests[0]]
    other = [sys.executable, "-c", OTHER, str(cache.folder), digests[0]]
    with subprocess.Popen(other, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.read(1) == first[:1]
        assert cache.cleanup(0, dry_run=True) == cache.cleanup(0) == 3 * KIB
        assert [cache.holds(digest) for digest in digests] == [True, False, False, False]
        source.read(cache, source.add(b"x" * cache.limit))  # as much as there is room for
        assert cache.holds(digests[0])
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert int(process.stdout.read()) == len(first) - 1
    assert cache.cleanup(0) == KIB + cache.limit
    assert cache.usage() == CacheUsage(0, 0)


def test_a_dry_run_says_what_would_go_and_keeps_it(cache: BlobCache, source: Source) -> None:
    fill(cache, source, 4)
    (cache.folder / "tmp" / "half").write_bytes(b"half")
    assert (cache.cleanup(2 * KIB, dry_run=True), cache.sweep(2**62, dry_run=True)) == (2 * KIB, 4)
    assert cache.usage() == CacheUsage(4, 4 * KIB)
    assert (cache.cleanup(2 * KIB), cache.sweep(2**62)) == (2 * KIB, 4)


def test_cleanup_stops_at_its_target(cache: BlobCache, source: Source) -> None:
    digests = fill(cache, source, 4)
    assert cache.cleanup(3 * KIB) == KIB
    assert [cache.holds(digest) for digest in digests] == [False, True, True, True]
    assert cache.cleanup(3 * KIB) == 0


def test_a_blob_larger_than_the_cache_is_passed_on(cache: BlobCache, source: Source) -> None:
    digest = source.add(b"x" * (cache.limit + 1))
    assert source.read(cache, digest) == source.held[digest]
    assert cache.usage() == CacheUsage(0, 0)
    assert list((cache.folder / "tmp").iterdir()) == []


def test_with_the_limit_0_there_is_no_cache(tmp_path: Path) -> None:
    blobs = MemoryBlobStore()
    assert BlobCache(tmp_path / "cache", limit=0).around(blobs) is blobs
    around = BlobCache(tmp_path / "cache", limit=1).around(blobs)
    assert BlobCache(tmp_path / "cache", limit=1).around(around) is around


def test_a_blob_let_go_of_is_not_kept_by_who_is_fetching_it(cache: BlobCache, source: Source) -> None:
    digest, other = source.add(HELLO), source.add(b"other")
    source.read(cache, other)
    with source.open(cache, digest) as file:
        assert list(cache.delete_many([digest, named(b"absent"), Digest("../..")])) == [
            BlobResult(digest),
            BlobResult(named(b"absent"), done=False),
            BlobResult(Digest("../.."), done=False),
        ]
        assert file.read() == HELLO
    assert [cache.holds(each) for each in (digest, other)] == [False, True]
    assert list((cache.folder / "tmp").iterdir()) == []


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    (result,) = BlobCache(tmp_path / "file" / "cache").delete_many([named(HELLO)])
    assert (result.done, type(result.error)) == (False, StorageError)


def test_where_nothing_can_be_written_blobs_are_passed_on(
    tmp_path: Path, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    cache = BlobCache(tmp_path / "file" / "cache")
    assert [source.read(cache, source.add(HELLO)) for _ in range(3)] == [HELLO] * 3
    assert [record.levelno for record in caplog.records] == [logging.WARNING]  # said once
    with pytest.raises(StorageError, match="the cache cannot be read"):
        cache.usage()


def test_a_disk_that_fails_half_way_passes_blobs_on(
    cache: BlobCache, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    digest = source.add(b"x" * 5 * KIB)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * KIB, before[1]))
    try:
        found = source.read(cache, digest)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found == source.held[digest]
    assert "File too large" in caplog.text
    assert cache.usage() == CacheUsage(0, 0)
    assert list((cache.folder / "tmp").iterdir()) == []


def test_nobody_else_may_read_it(cache: BlobCache, source: Source) -> None:
    digest = source.add(HELLO)
    source.read(cache, digest)
    assert place(cache, digest).stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in (cache.folder, *cache.folder.iterdir())} == {0o700}


def test_a_sweep_removes_what_interrupted_fetches_left(cache: BlobCache, source: Source) -> None:
    source.read(cache, source.add(HELLO))
    (cache.folder / "tmp" / "half").write_bytes(b"half")
    assert cache.sweep(0) == 0
    assert cache.sweep(2**62) == 4
    assert cache.usage() == CacheUsage(1, len(HELLO))


def test_what_is_none_of_its_own_is_left_alone(cache: BlobCache, source: Source) -> None:
    source.read(cache, source.add(HELLO))
    (cache.folder / "stray").write_bytes(b"x")
    (cache.folder / "tmp" / "folder").mkdir()
    assert cache.usage() == CacheUsage(1, len(HELLO))
    assert cache.sweep(2**62) == 0
    assert cache.cleanup(0) == len(HELLO)
    assert {path.name for path in (*cache.folder.glob("stray"), *cache.folder.glob("tmp/*"))} == {"stray", "folder"}


def test_threads_share_a_cache_under_pressure(cache: BlobCache, source: Source) -> None:
    digests = [source.add(bytes([number]) * 3 * KIB) for number in range(8)]

    def work(turn: int) -> bool:
        digest = digests[turn * 5 % 8]
        return source.read(cache, digest) == source.held[digest]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(80)))
    cache.cleanup(cache.limit)
    assert cache.usage().size <= cache.limit
    assert list((cache.folder / "tmp").iterdir()) == []


@pytest.fixture
def store(cache: BlobCache) -> CachedBlobStore:
    return CachedBlobStore(MemoryBlobStore(), cache)


def test_a_deleted_blob_leaves_the_cache_too(store: CachedBlobStore) -> None:
    put(store, HELLO)
    store.get(named(HELLO))
    assert store.cache.holds(named(HELLO))
    list(store.delete_many([named(HELLO)]))
    assert not store.cache.holds(named(HELLO))
    with pytest.raises(NotFoundError):
        store.get(named(HELLO))


def test_part_of_a_blob_is_cached_only_with_the_whole(store: CachedBlobStore) -> None:
    put(store, HELLO)
    with store.open(named(HELLO), 1, 2) as file:
        assert file.read() == b"el"
    assert not store.cache.holds(named(HELLO))
    store.get(named(HELLO))
    cast("MemoryBlobStore", store.inner).held.clear()
    with store.open(named(HELLO), 1, 2) as file:
        assert file.read() == b"el"
