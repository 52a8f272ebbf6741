"""What every store of objects must do: the suite of ``ObjectStore``, and a state machine against a dictionary."""

from __future__ import annotations

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
from muniment.domain.evidence import CopyKind
from muniment.domain.ports import ObjectResult, ObjectSource, ObjectStore
from muniment.domain.values import Digest

HELLO = b"hello\n"


def source(name: str, content: bytes) -> ObjectSource:
    """Return *content* as something to put."""
    return ObjectSource(name, len(content), content, digest=Digest(sha256(content).hexdigest()))


def put(store: ObjectStore, contents: dict[str, bytes]) -> dict[str, bool]:
    """Put *contents* and return which of them were not there."""
    results = list(store.put_many(source(name, content) for name, content in contents.items()))
    assert [result.error for result in results] == [None] * len(contents)
    return {result.name: result.done for result in results}


def failures(results: Iterable[ObjectResult]) -> dict[str, type[Exception]]:
    """Return the kinds of the errors among *results*."""
    return {result.name: type(result.error) for result in results if result.error is not None}


class ObjectStoreConformance:
    """Every test of the port; subclasses give the fixture ``store``."""

    def test_what_was_put_is_there(self, store: ObjectStore) -> None:
        assert put(store, {"packs/a": HELLO, "b": b""}) == {"packs/a": True, "b": True}
        assert store.read("packs/a", 0, 99) == HELLO
        assert store.read("b", 0, 99) == b""
        with store.open("packs/a") as file:
            assert file.read() == HELLO

    def test_the_copies_of_what_is_there_are_seen_and_no_others(self, store: ObjectStore) -> None:
        put(store, {"packs/a": HELLO, "packs/ab": HELLO, "packs/b": b""})
        seen = store.copies(["packs/a", "packs/b", "packs/none"], "packs/")
        assert seen.found == {"packs/a": (CopyKind.OBJECT,), "packs/b": (CopyKind.OBJECT,)}
        assert seen.hidden == frozenset()
        assert [result.copies for result in store.delete_many(["packs/a", "packs/none"])] == [1, 0]
        assert store.copies(["packs/a", "packs/ab"], "packs/").found == {"packs/ab": (CopyKind.OBJECT,)}
        assert store.copies((), "packs/").hidden == frozenset()

    def test_a_file_is_put_and_stays(self, store: ObjectStore, tmp_path: Path) -> None:
        content = bytes(range(256)) * 20_000
        file = tmp_path / "weights.bin"
        file.write_bytes(content)
        assert list(store.put_many([ObjectSource("w", len(content), path=str(file))])) == [ObjectResult("w")]
        with store.open("w") as stream:
            assert stream.read() == content
        assert file.read_bytes() == content

    def test_a_movable_file_is_put(self, store: ObjectStore, tmp_path: Path) -> None:
        file = tmp_path / "staged"
        file.write_bytes(HELLO)
        assert list(store.put_many([ObjectSource("w", 6, path=str(file), movable=True)])) == [ObjectResult("w")]
        assert store.read("w", 0, 6) == HELLO

    def test_an_object_never_changes_but_what_a_failed_put_left_is_replaced(self, store: ObjectStore) -> None:
        put(store, {"a": HELLO})
        assert put(store, {"a": b"HELLO\n"}) == {"a": False}
        assert store.read("a", 0, 9) == HELLO
        assert put(store, {"a": b"longer than that"}) == {"a": True}
        assert store.read("a", 0, 99) == b"longer than that"

    def test_the_same_twice_in_a_batch_is_put_once(self, store: ObjectStore) -> None:
        results = list(store.put_many([source("a", HELLO), source("b", b"x"), source("a", HELLO)]))
        assert failures(results) == {}
        assert sorted((result.name, result.done) for result in results) == [("a", False), ("a", True), ("b", True)]

    def test_what_is_not_as_announced_is_refused_alone(self, store: ObjectStore, tmp_path: Path) -> None:
        file = tmp_path / "changed"
        file.write_bytes(b"other")
        wrong = [
            ObjectSource("size", 5, HELLO),
            ObjectSource("digest", 6, HELLO, digest=Digest("0" * 64)),
            ObjectSource("file-size", 4, path=str(file)),
            ObjectSource("file-longer", 6, path=str(file)),
            ObjectSource("file-digest", 5, path=str(file), digest=Digest("0" * 64)),
        ]
        results = list(store.put_many([wrong[0], source("good", HELLO), *wrong[1:]]))
        assert failures(results) == {each.name: CorruptError for each in wrong}
        assert [each.name for each in store.list("")] == ["good"]

    def test_a_file_that_is_gone_fails_alone(self, store: ObjectStore, tmp_path: Path) -> None:
        gone = ObjectSource("gone", 4, path=str(tmp_path / "gone"))
        results = list(store.put_many([gone, source("good", HELLO)]))
        assert failures(results) == {"gone": StorageError}
        assert not any(str(tmp_path) in str(result.error) for result in results)
        assert store.read("good", 0, 6) == HELLO

    @pytest.mark.parametrize("name", ["", "/", "/a", "a/", "a//b", "..", "a/../b", "a\n", "ä", "a b"])
    def test_names_that_are_none_are_refused(self, store: ObjectStore, name: str) -> None:
        (result,) = store.put_many([source(name, HELLO)])
        assert isinstance(result.error, InvalidValueError | NotFoundError)
        assert not result.done
        assert list(store.list("")) == []

    def test_what_is_absent_is_not_found(self, store: ObjectStore) -> None:
        put(store, {"aab": HELLO})
        for act in (lambda: store.read("aa", 0, 1), lambda: store.read("aa", 0, 0), lambda: store.open("aa")):
            with pytest.raises(NotFoundError):
                act()
        with pytest.raises(NotFoundError):
            store.open("aa", 0, 0)
        assert store.sizes(["aa", "aab", "aabc"]) == {"aab": 6}
        assert list(store.delete_many(["aa"])) == [ObjectResult("aa", done=False)]
        assert store.sizes(["aab"]) == {"aab": 6}

    @pytest.mark.parametrize(
        ("start", "length", "found"),
        [
            (0, 6, b"hello\n"),
            (1, 3, b"ell"),
            (4, 9, b"o\n"),
            (6, 1, b""),
            (9, 9, b""),
            (3, 0, b""),
            (-2, 2, b"o\n"),
            (-3, 1, b"l"),
            (-9, 2, b"he"),
            (-99, 99, b"hello\n"),
        ],
    )
    def test_part_of_an_object_is_read(self, store: ObjectStore, start: int, length: int, found: bytes) -> None:
        put(store, {"a": HELLO})
        assert store.read("a", start, length) == found

    @pytest.mark.parametrize(
        ("start", "length", "found"),
        [(0, None, b"hello\n"), (1, None, b"ello\n"), (1, 3, b"ell"), (0, 0, b""), (4, 9, b"o\n"), (9, None, b"")],
    )
    def test_part_of_an_object_is_opened(
        self, store: ObjectStore, start: int, length: int | None, found: bytes
    ) -> None:
        put(store, {"a": HELLO})
        with store.open("a", start, length) as file:
            assert file.read() == found
        with store.open("a", start, length) as file:
            assert b"".join(iter(lambda: file.read(2), b"")) == found

    def test_nothing_is_found_in_an_empty_object(self, store: ObjectStore) -> None:
        put(store, {"e": b""})
        assert store.read("e", 0, 9) == store.read("e", -9, 9) == b""
        assert store.sizes(["e"]) == {"e": 0}

    def test_objects_are_listed_by_what_their_names_begin_with_and_in_order(self, store: ObjectStore) -> None:
        names = [f"sha256/{at:02x}/{at:064x}" for at in range(40)] + [f"packs/{at:032x}" for at in range(9)]
        put(store, {name: name.encode() for name in reversed(names)})
        assert [each.name for each in store.list("")] == sorted(names)
        assert [each.name for each in store.list("sha256/1")] == sorted(n for n in names if n.startswith("sha256/1"))
        assert [each.size for each in store.list("packs/")] == [38] * 9
        assert all(each.written_at > 1_700_000_000_000_000 for each in store.list("packs/"))
        assert list(store.list("nothing")) == []

    @pytest.mark.parametrize("count", [1, 5, 60])
    def test_sizes_of_few_and_of_many(self, store: ObjectStore, count: int) -> None:
        names = [f"sha256/{at % 7:02x}/{at:064x}" for at in range(count * 2)]
        put(store, {name: b"x" * at for at, name in enumerate(names) if at % 2})
        assert store.sizes(names) == {name: at for at, name in enumerate(names) if at % 2}
        assert store.sizes([]) == {}

    def test_deleted_objects_are_gone_and_may_come_again(self, store: ObjectStore) -> None:
        put(store, {"a": HELLO, "aa": b"kept"})
        results = list(store.delete_many(["a", "b", "a"]))
        assert results == [ObjectResult("a"), ObjectResult("b", done=False), ObjectResult("a", done=False)]
        assert [each.name for each in store.list("")] == ["aa"]
        assert put(store, {"a": HELLO}) == {"a": True}

    def test_a_sweep_leaves_objects_alone(self, store: ObjectStore) -> None:
        put(store, {"a": HELLO})
        assert store.sweep(2**62) == 0
        assert store.read("a", 0, 6) == HELLO

    def test_of_several_at_once_one_puts_and_all_may_read(self, store: ObjectStore) -> None:
        contents = {f"packs/{at}": f"{at}".encode() * 1000 for at in range(8)}
        barrier = Barrier(6)

        def work() -> dict[str, bool]:
            barrier.wait()
            done = put(store, contents)
            assert {name: store.read(name, 0, 9999) for name in contents} == contents
            return done

        with ThreadPoolExecutor(6) as pool:
            done = [work.result() for work in [pool.submit(work) for _ in range(6)]]
        assert {name: sum(each[name] for each in done) for name in contents} == dict.fromkeys(contents, 1)


class ObjectStoreMachine(RuleBasedStateMachine):
    """Puts and deletes in any order leave what a dictionary would hold."""

    make_store: Callable[[], ObjectStore]
    names = st.sampled_from(["a", "aa", "aab", "b/c", "b/d"])
    content = st.binary(max_size=3)

    @initialize()
    def begin(self) -> None:
        self.store = type(self).make_store()
        self.model: dict[str, bytes] = {}

    @rule(contents=st.dictionaries(names, content, max_size=4))
    def put(self, contents: dict[str, bytes]) -> None:
        new = {
            name: content
            for name, content in contents.items()
            if name not in self.model or len(self.model[name]) != len(content)
        }
        assert put(self.store, contents) == {name: name in new for name in contents}
        self.model |= new

    @rule(names=st.lists(names, max_size=4))
    def delete(self, names: list[str]) -> None:
        expected = [ObjectResult(name, done=self.model.pop(name, None) is not None) for name in names]
        assert list(self.store.delete_many(names)) == expected

    @rule(name=names, start=st.integers(-4, 4), length=st.integers(0, 4))
    def read(self, name: str, start: int, length: int) -> None:
        if name in self.model:
            begin = start if start >= 0 else max(0, len(self.model[name]) + start)
            assert self.store.read(name, start, length) == self.model[name][begin : begin + length]
        else:
            with pytest.raises(NotFoundError):
                self.store.read(name, start, length)

    @rule(names=st.sets(names))
    def ask(self, names: set[str]) -> None:
        assert self.store.sizes(names) == {name: len(self.model[name]) for name in names if name in self.model}

    @invariant()
    def lists_what_it_holds(self) -> None:
        if hasattr(self, "store"):
            found = [(each.name, each.size) for each in self.store.list("")]
            assert found == sorted((name, len(held)) for name, held in self.model.items())


def machine_for(make_store: Callable[[], ObjectStore], examples: int = 15) -> type[TestCase]:
    """Return the test case that runs the machine against stores made by *make_store*."""
    machine = cast(
        "type[ObjectStoreMachine]", type("Machine", (ObjectStoreMachine,), {"make_store": staticmethod(make_store)})
    )
    case: type[TestCase] = machine.TestCase
    case.settings = settings(max_examples=examples, stateful_step_count=15, deadline=None)  # type: ignore[attr-defined]
    return case
