"""What every vault must do: a suite of sentences, and a state machine that compares it with a plain dict."""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import sha256
from threading import Thread
from typing import Any

import pytest
import rfc8785
from attrs import define, frozen
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, rule

from muniment.domain.errors import InvalidValueError
from muniment.domain.ports import SlotDraft, Vault
from muniment.domain.values import Json, Micros, SlotId

OWNER = "0a" * 16
OTHER = "0b" * 16
HOUR = 3_600_000_000

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(1 - 2**53, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OWNERS = st.sampled_from([OWNER, OTHER, "0c" * 16])


@define
class Clock:
    """A clock that the test turns."""

    now: Micros = 1_700_000_000_000_000

    def __call__(self) -> Micros:
        return self.now


def nothing(_: Collection[SlotId]) -> set[SlotId]:
    """Say that no event refers to any slot."""
    return set()


def put(vault: Vault, value: Json, owner: str = OWNER, field: str = "artifact.description") -> SlotId:
    """Put one value."""
    return vault.put_many([SlotDraft(owner, field, value)])[0].slot


class VaultConformance:
    """Subclasses have a fixture ``vault`` whose time is that of the fixture ``clock``."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    def test_values_come_back_in_slots_of_their_own(self, vault: Vault) -> None:
        values = ["hello", {"b": [1, 2.5, None, True], "a": "ä"}, "", "hello", 0, False, None, [], {}]
        kept = vault.put_many([SlotDraft(OWNER, "artifact.metadata", value) for value in values])
        assert len({personal.slot for personal in kept}) == len(values)
        assert all(len(personal.slot) == 32 and int(personal.slot, 16) >= 0 for personal in kept)
        assert vault.get_many([personal.slot for personal in kept]) == {
            personal.slot: value for personal, value in zip(kept, values, strict=True)
        }

    def test_equal_values_have_different_commitments(self, vault: Vault) -> None:
        one, two = vault.put_many([SlotDraft(OWNER, "note", "same"), SlotDraft(OWNER, "note", "same")])
        assert one.commit != two.commit
        assert all(len(personal.commit) == 64 for personal in (one, two))

    def test_nothing_put_is_nothing_kept(self, vault: Vault) -> None:
        assert vault.put_many([]) == []
        assert vault.get_many([]) == {}
        assert vault.get_many([SlotId("00" * 16)]) == {}

    def test_many_values_come_back_at_once(self, vault: Vault) -> None:
        kept = vault.put_many([SlotDraft(f"{number % 7:032x}", "note", number) for number in range(1201)])
        assert list(vault.get_many([personal.slot for personal in kept]).values()) == list(range(1201))

    def test_what_was_read_can_be_changed_without_changing_the_slot(self, vault: Vault) -> None:
        value = {"a": [1]}
        slot = put(vault, value)
        value["a"].append(2)
        vault.get_many([slot])[slot]["a"].append(3)
        assert vault.get_many([slot]) == {slot: {"a": [1]}}

    def test_large_floats_can_be_put_back_as_they_were_read(self, vault: Vault) -> None:
        values = [1e16, 1e20, -123456789012345680000.0, 1.7976931348623157e308, 5e-324, 2**53 - 1]
        for value in values:
            slot = put(vault, value)
            read = vault.get_many([slot])[slot]
            assert read == value
            assert vault.get_many([put(vault, read)])

    @pytest.mark.parametrize(
        "value",
        [
            float("nan"),
            {"a": [float("inf")]},
            2**53,
            10**5000,
            b"bytes",
            {1: "a"},
            {"a": object()},
            "\ud800",
            {"\udfff": 1},
            {1, 2},
        ],
        ids=["nan", "infinity", "integer", "digits", "bytes", "key", "object", "surrogate", "surrogate-key", "set"],
    )
    def test_what_is_not_json_is_refused_and_nothing_of_the_batch_is_kept(self, vault: Vault, value: Any) -> None:
        with pytest.raises(InvalidValueError, match=r"artifact\.metadata"):
            vault.put_many([SlotDraft(OWNER, "note", "fine"), SlotDraft(OWNER, "artifact.metadata", value)])
        assert vault.destroy(OWNER) == 0

    def test_what_holds_itself_or_is_too_deep_is_refused(self, vault: Vault) -> None:
        cyclic: list[Any] = []
        cyclic.append(cyclic)
        deep: list[Any] = []
        for _ in range(100):
            deep = [deep]
        for value in (cyclic, deep):
            with pytest.raises(InvalidValueError, match="nested deeper than 100 levels"):
                put(vault, value)
        assert put(vault, deep[0])
        assert put(vault, ["[" * 500, '"' + "{" * 500, "\\" * 9])

    def test_destroying_an_owner_takes_all_that_is_theirs(self, vault: Vault) -> None:
        mine = [put(vault, number) for number in range(3)]
        theirs = put(vault, "other", OTHER)
        vault.remember("login", "ada", OWNER)
        vault.remember("login", "grace", OTHER)
        assert vault.destroy(OWNER) == 3
        assert vault.get_many([*mine, theirs]) == {theirs: "other"}
        assert vault.find("login", "ada") is None
        assert vault.find("login", "grace") == OTHER
        assert vault.destroy(OWNER) == 0
        assert vault.destroyed() == {OWNER}

    def test_single_values_are_destroyed(self, vault: Vault) -> None:
        mine, kept, theirs = put(vault, "mine"), put(vault, "kept"), put(vault, "other", OTHER)
        assert vault.destroy_slots([mine, theirs, SlotId("0" * 32)]) == 2
        assert vault.get_many([mine, kept, theirs]) == {kept: "kept"}
        assert vault.destroy_slots([mine]) == vault.destroy_slots([]) == 0
        assert vault.destroy(OWNER) == 1

    def test_after_destruction_an_owner_can_have_new_values(self, vault: Vault) -> None:
        old = put(vault, "old")
        vault.destroy(OWNER)
        new = put(vault, "new")
        assert vault.get_many([old, new]) == {new: "new"}

    def test_what_is_remembered_first_stays(self, vault: Vault) -> None:
        assert vault.find("login", "ada") is None
        assert vault.remember("login", "ada", OWNER) == OWNER
        assert vault.remember("login", "ada", OTHER) == OWNER
        assert vault.remember("email", "ada", OTHER) == OTHER
        assert vault.find("login", "ada") == OWNER
        assert vault.find("email", "ada") == OTHER
        assert vault.find("login", "Ada") is None

    def test_kind_and_value_are_not_run_together(self, vault: Vault) -> None:
        vault.remember("ab", "c", OWNER)
        assert vault.find("a", "bc") is None

    def test_many_are_remembered_and_found_at_once(self, vault: Vault) -> None:
        vault.remember("file", "b", OWNER)
        many = [str(number) for number in range(1_200)]
        vault.remember_many("file", ["a", "b", "b", *many], OTHER)
        assert vault.find_many("file", ["a", "b", "c"]) == {"a": OTHER, "b": OWNER}
        assert vault.find_many("file", many) == dict.fromkeys(many, OTHER)
        assert vault.find_many("other", ["a"]) == vault.find_many("file", []) == {}
        vault.remember_many("file", [], OTHER)
        vault.destroy(OTHER)
        assert vault.find_many("file", ["a", "b"]) == {"b": OWNER}

    def test_what_stands_for_a_value_is_the_same_each_time_and_for_no_other(self, vault: Vault) -> None:
        term = vault.keyed("file", "a")
        assert term == vault.keyed("file", "a")
        assert len({term, vault.keyed("file", "b"), vault.keyed("path", "a")}) == 3
        assert term != sha256(b"a").hexdigest()

    def test_what_is_not_unicode_cannot_be_remembered(self, vault: Vault) -> None:
        with pytest.raises(InvalidValueError, match="login"):
            vault.remember("login", "a\udcff", OWNER)
        with pytest.raises(InvalidValueError, match="login"):
            vault.find("login", "a\udcff")

    def test_sweeping_takes_old_slots_that_nothing_refers_to(self, vault: Vault, clock: Clock) -> None:
        orphan, kept = put(vault, "orphan"), put(vault, "kept")
        clock.now += HOUR
        young = put(vault, "young")
        asked: list[SlotId] = []

        def referenced(slots: Collection[SlotId]) -> set[SlotId]:
            asked.extend(slots)
            return {kept}

        assert vault.sweep(referenced, clock.now) == 1
        assert set(asked) == {orphan, kept}
        assert vault.get_many([orphan, kept, young]) == {kept: "kept", young: "young"}

    def test_sweeping_many(self, vault: Vault, clock: Clock) -> None:
        kept = vault.put_many([SlotDraft(OWNER, "note", number) for number in range(1201)])
        alive = {personal.slot for personal in kept[::3]}
        assert vault.sweep(lambda slots: alive & set(slots), clock.now + 1) == 800
        assert set(vault.get_many([personal.slot for personal in kept])) == alive
        assert vault.sweep(nothing, clock.now) == 0

    def test_threads_do_not_disturb_each_other(self, vault: Vault) -> None:
        slots: dict[SlotId, int] = {}
        winners: set[str] = set()

        def work(number: int) -> None:
            winners.add(vault.remember("login", "ada", f"{number:032x}"))
            for _ in range(5):
                slots[put(vault, number, f"{number:032x}")] = number

        threads = [Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(winners) == 1
        assert len(slots) == 40
        assert vault.get_many(list(slots)) == slots


@frozen
class Kept:
    """What the model knows of a slot."""

    owner: str
    content: bytes
    written_at: Micros


def machine_for(make: Callable[[Clock], Vault], leave: Callable[[Vault], None]) -> type[RuleBasedStateMachine]:
    """Return a state machine for the vaults that *make* gives; *leave* closes one, which may be used again."""

    class VaultMachine(RuleBasedStateMachine):
        slots = Bundle("slots")

        def __init__(self) -> None:
            super().__init__()
            self.clock = Clock()
            self.vault = make(self.clock)
            self.kept: dict[SlotId, Kept] = {}
            self.names: dict[tuple[str, str], str] = {}

        @rule(target=slots, drafts=st.lists(st.tuples(OWNERS, TEXT, JSON), max_size=4))
        def put_many(self, drafts: list[tuple[str, str, Json]]) -> Any:
            personals = self.vault.put_many([SlotDraft(*draft) for draft in drafts])
            for personal, (owner, _, value) in zip(personals, drafts, strict=True):
                assert personal.slot not in self.kept
                self.kept[personal.slot] = Kept(owner, rfc8785.dumps(value), self.clock.now)
            return multiple(*(personal.slot for personal in personals))

        @rule(wanted=st.lists(slots, unique=True, max_size=5))
        def get_many(self, wanted: list[SlotId]) -> None:
            found = {slot: rfc8785.dumps(value) for slot, value in self.vault.get_many(wanted).items()}
            assert found == {slot: self.kept[slot].content for slot in wanted if slot in self.kept}

        @rule(owner=OWNERS)
        def destroy(self, owner: str) -> None:
            gone = [slot for slot, kept in self.kept.items() if kept.owner == owner]
            assert self.vault.destroy(owner) == len(gone)
            self._forget(gone)
            self.names = {name: found for name, found in self.names.items() if found != owner}

        @rule(value=TEXT, owner=OWNERS)
        def remember(self, value: str, owner: str) -> None:
            assert self.vault.remember("login", value, owner) == self.names.setdefault(("login", value), owner)
            assert self.vault.find("login", value) == self.names["login", value]

        @rule(kind=st.sampled_from(["login", "email"]), value=TEXT)
        def find(self, kind: str, value: str) -> None:
            assert self.vault.find(kind, value) == self.names.get((kind, value))

        @rule(micros=st.integers(-5, 50))
        def turn_clock(self, micros: int) -> None:
            self.clock.now += micros

        @rule(alive=st.sets(slots), age=st.integers(-10, 60))
        def sweep(self, alive: set[SlotId], age: int) -> None:
            moment = self.clock.now - age
            gone = [slot for slot, kept in self.kept.items() if kept.written_at < moment and slot not in alive]
            assert self.vault.sweep(lambda slots: alive & set(slots), moment) == len(gone)
            self._forget(gone)

        @rule()
        def leave(self) -> None:
            leave(self.vault)

        def _forget(self, slots: Collection[SlotId]) -> None:
            for slot in slots:
                del self.kept[slot]

        def teardown(self) -> None:
            assert set(self.vault.get_many(list(self.kept))) == set(self.kept)
            leave(self.vault)

    return VaultMachine
