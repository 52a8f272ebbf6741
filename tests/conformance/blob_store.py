"""What every blob store must do: the suite of the port ``BlobStore``, and a state machine against a dictionary."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier
from typing import cast
from unittest import TestCase

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, StorageError
from muniment.domain.ports import BlobResult, BlobSource, BlobStore
from muniment.domain.values import Digest

HELLO = b"hello\n"


def named(content: bytes) -> Digest:
    """Return the digest of *content*."""
    return Digest(sha256(content).hexdigest())


def source(content: bytes) -> BlobSource:
    """Return *content* as something to put."""
    return BlobSource(named(content), len(content), content)


def put(store: BlobStore, *contents: bytes) -> list[BlobResult]:
    """Put *contents* and return the results."""
    return list(store.put_many(map(source, contents)))


def failures(results: Iterable[BlobResult]) -> list[type[Exception]]:
    """Return the kinds of the errors among *results*."""
    return [type(result.error) for result in results if result.error is not None]


class BlobStoreConformance:
    """Every test of the port; subclasses give the fixture ``store`` and the method ``damage``."""

    @abstractmethod
    def damage(self, store: BlobStore, digest: Digest, content: bytes) -> None:
        """Put *content* where the store keeps the blob *digest*, behind its back."""

    def test_what_was_put_is_there(self, store: BlobStore) -> None:
        assert put(store, HELLO, b"") == [BlobResult(named(HELLO)), BlobResult(named(b""))]
        assert store.get(named(HELLO)) == HELLO
        assert store.get(named(b"")) == b""

    def test_a_file_is_put_and_stays(self, store: BlobStore, tmp_path: Path) -> None:
        content = bytes(range(256)) * 10_000
        file = tmp_path / "weights.bin"
        file.write_bytes(content)
        results = list(store.put_many([BlobSource(named(content), len(content), path=str(file))]))
        assert results == [BlobResult(named(content))]
        assert store.get(named(content)) == content
        assert file.read_bytes() == content

    def test_a_movable_file_is_put(self, store: BlobStore, tmp_path: Path) -> None:
        file = tmp_path / "staged"
        file.write_bytes(HELLO)
        results = list(store.put_many([BlobSource(named(HELLO), len(HELLO), path=str(file), movable=True)]))
        assert results == [BlobResult(named(HELLO))]
        assert store.get(named(HELLO)) == HELLO

    def test_a_search_finds_what_is_there_and_nothing_that_was_deleted(self, store: BlobStore) -> None:
        contents = [b"%d searched for" % number for number in range(20)]
        put(store, *contents)
        wanted = [named(content) for content in contents]
        found = store.search([*wanted[:3], named(b"absent")])
        assert {copy.digest for copy in found.copies} == set(wanted[:3])
        assert found.by
        assert found.unsure == ()
        assert [result.copies for result in store.delete_many(wanted[:2])] == [1, 1]
        assert [result.copies for result in store.delete_many(wanted[:2])] == [0, 0]
        assert {copy.digest for copy in store.search(wanted).copies} == set(wanted[2:])
        assert store.search([]).copies == ()

    def test_putting_again_does_nothing(self, store: BlobStore) -> None:
        put(store, HELLO)
        assert put(store, HELLO, b"new", b"new") == [
            BlobResult(named(HELLO), done=False),
            BlobResult(named(b"new")),
            BlobResult(named(b"new"), done=False),
        ]

    def test_what_is_not_its_digest_is_refused_alone(self, store: BlobStore, tmp_path: Path) -> None:
        file = tmp_path / "changed"
        file.write_bytes(b"other\n")
        wrong = [
            BlobSource(named(b"one"), len(HELLO), HELLO),
            BlobSource(named(b"other\n"), 5, b"other\n"),
            BlobSource(named(b"two"), 6, path=str(file)),
            BlobSource(named(b"three"), 7, path=str(file), movable=True),
            BlobSource(Digest("../../escaped"), len(HELLO), HELLO),
            BlobSource(named(HELLO).upper(), len(HELLO), HELLO),  # type: ignore[arg-type]
        ]
        results = list(store.put_many([wrong[0], source(HELLO), *wrong[1:]]))
        assert failures(results) == [CorruptError] * len(wrong)
        assert [digest for digest, _ in store.list()] == [named(HELLO)]

    def test_a_file_that_is_gone_fails_alone(self, store: BlobStore, tmp_path: Path) -> None:
        gone = BlobSource(named(b"gone"), 4, path=str(tmp_path / "gone"))
        moved = BlobSource(named(b"moved"), 5, path=str(tmp_path / "moved"), movable=True)
        results = list(store.put_many([gone, source(HELLO), moved]))
        assert {type(result.error) for result in results if result.digest != named(HELLO)} == {StorageError}
        assert not any(str(tmp_path) in str(result.error) for result in results)
        assert [digest for digest, _ in store.list()] == [named(HELLO)]

    def test_many_small_blobs(self, store: BlobStore) -> None:
        contents = [f"{at}".encode() for at in range(1500)]
        assert failures(put(store, *contents)) == []
        assert dict(store.list()) == {named(content): len(content) for content in contents}

    @pytest.mark.parametrize("digest", [named(b"absent"), "", "..", "../../etc/passwd", named(HELLO).upper()])
    def test_what_is_absent_is_not_found(self, store: BlobStore, digest: Digest) -> None:
        put(store, HELLO)
        with pytest.raises(NotFoundError):
            store.get(digest)
        with pytest.raises(NotFoundError):
            store.open(digest)
        assert store.missing([digest, named(HELLO)]) == {digest}
        assert list(store.delete_many([digest])) == [BlobResult(digest, done=False)]

    @pytest.mark.parametrize(
        ("start", "length", "found"),
        [(0, None, b"hello\n"), (1, None, b"ello\n"), (1, 3, b"ell"), (0, 0, b""), (4, 9, b"o\n"), (9, None, b"")],
    )
    def test_part_of_a_blob_is_read(self, store: BlobStore, start: int, length: int | None, found: bytes) -> None:
        put(store, HELLO)
        with store.open(named(HELLO), start, length) as file:
            assert file.read() == found
        with store.open(named(HELLO), start, length) as file:
            assert b"".join(iter(lambda: file.read(2), b"")) == found

    @pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
    def test_nothing_is_read_from_before_the_beginning(self, store: BlobStore, start: int, length: int | None) -> None:
        put(store, HELLO)
        with pytest.raises(InvalidValueError):
            store.open(named(HELLO), start, length)

    def test_blobs_are_listed_in_order(self, store: BlobStore) -> None:
        contents = [f"{at}".encode() for at in range(50)]
        put(store, *contents)
        assert list(store.list()) == sorted((named(content), len(content)) for content in contents)

    def test_deleted_blobs_are_gone(self, store: BlobStore) -> None:
        put(store, HELLO, b"kept")
        results = list(store.delete_many([named(HELLO), named(HELLO)]))
        assert results == [BlobResult(named(HELLO)), BlobResult(named(HELLO), done=False)]
        assert list(store.list()) == [(named(b"kept"), 4)]
        assert put(store, HELLO) == [BlobResult(named(HELLO))]

    def test_a_flipped_byte_is_never_returned(self, store: BlobStore) -> None:
        put(store, HELLO)
        self.damage(store, named(HELLO), b"hellO\n")
        with pytest.raises(CorruptError, match=named(HELLO)):
            store.get(named(HELLO))

    def test_a_truncated_blob_is_never_returned(self, store: BlobStore) -> None:
        put(store, HELLO)
        self.damage(store, named(HELLO), HELLO[:-1])
        with pytest.raises(CorruptError, match=named(HELLO)):
            store.get(named(HELLO))

    def test_a_sweep_leaves_blobs_alone(self, store: BlobStore) -> None:
        put(store, HELLO)
        assert store.sweep(2**62) == 0
        assert store.get(named(HELLO)) == HELLO

    def test_one_of_many_threads_stores_a_blob_and_all_may_read_it(self, store: BlobStore) -> None:
        contents = [f"{at}".encode() * 1000 for at in range(20)]
        barrier = Barrier(8)

        def work() -> list[BlobResult]:
            barrier.wait()
            results = put(store, *contents)
            assert [store.get(named(content)) for content in contents] == contents
            return results

        with ThreadPoolExecutor(8) as pool:
            results = [result for work in [pool.submit(work) for _ in range(8)] for result in work.result()]
        assert failures(results) == []
        assert sum(result.done for result in results) == len(contents)


class BlobStoreMachine(RuleBasedStateMachine):
    """Puts and deletes in any order leave what a dictionary would hold."""

    make_store: Callable[[], BlobStore]
    contents = st.lists(st.binary(max_size=3), max_size=5)

    @initialize()
    def begin(self) -> None:
        self.store = type(self).make_store()
        self.model: dict[Digest, bytes] = {}

    @rule(contents=contents)
    def put(self, contents: list[bytes]) -> None:
        expected = []
        for content in contents:
            expected.append(BlobResult(named(content), done=named(content) not in self.model))
            self.model[named(content)] = content
        assert put(self.store, *contents) == expected

    @rule(content=st.binary(max_size=3), other=st.binary(min_size=4, max_size=5))
    def put_what_does_not_match(self, content: bytes, other: bytes) -> None:
        wrong = BlobSource(named(other), len(content), content)
        assert failures(self.store.put_many([wrong, source(content)])) == [CorruptError]
        self.model[named(content)] = content

    @rule(contents=contents)
    def delete(self, contents: list[bytes]) -> None:
        expected = [
            BlobResult(named(content), done=self.model.pop(named(content), None) is not None) for content in contents
        ]
        assert list(self.store.delete_many(map(named, contents))) == expected

    @rule(contents=contents)
    def ask(self, contents: list[bytes]) -> None:
        asked = {named(content) for content in contents}
        assert self.store.missing(asked) == asked - self.model.keys()

    @rule(content=st.binary(max_size=3), start=st.integers(0, 4), length=st.none() | st.integers(0, 4))
    def read(self, content: bytes, start: int, length: int | None) -> None:
        if named(content) in self.model:
            with self.store.open(named(content), start, length) as file:
                assert file.read() == content[start:][:length]
            assert self.store.get(named(content)) == content
        else:
            with pytest.raises(NotFoundError):
                self.store.get(named(content))

    @invariant()
    def lists_what_it_holds(self) -> None:
        if hasattr(self, "store"):
            assert list(self.store.list()) == sorted((digest, len(held)) for digest, held in self.model.items())


def machine_for(make_store: Callable[[], BlobStore], examples: int = 20) -> type[TestCase]:
    """Return the test case that runs the machine against stores made by *make_store*."""
    machine = cast(
        "type[BlobStoreMachine]", type("Machine", (BlobStoreMachine,), {"make_store": staticmethod(make_store)})
    )
    case: type[TestCase] = machine.TestCase
    case.settings = settings(max_examples=examples, stateful_step_count=20, deadline=None)  # type: ignore[attr-defined]
    return case
