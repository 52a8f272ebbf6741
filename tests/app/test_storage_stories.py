"""Carrying beside everything else: killed at any call, and in any order with logging, deleting and collecting."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import define, evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from muniment.app import fsck, leases, lifecycle
from muniment.app.collecting import collect
from muniment.app.places import Places
from muniment.app.storage_migration import migrate
from muniment.domain.ports import BlobResult
from muniment.domain.team import StorageGathered, StorageSet
from muniment.domain.values import Digest
from tests.app.placed import A, B, Placed
from tests.app.scene import DAY, SECOND, pass_time
from tests.stores import Clock, memory_store

GRACE = 7 * DAY
EVERY = 1 if os.environ.get("CI") == "true" else 5
"""At which calls a process is killed."""


def whole(placed: Placed) -> None:
    assert [fault.text for fault in fsck.check(placed.store)] == []


def delete(placed: Placed, text: str) -> None:
    lifecycle.delete(placed.store, placed.find(text), delete_aliases=True)


# --- killed at any point ---------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone."""


@define
class Life:
    """Ends at the call that *left* counts down to; nothing can be done after that."""

    left: int

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


@define
class Mortal:
    """A part of a store that is used by a process that is killed; *inner* lives on."""

    inner: Any
    life: Life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not callable(found):
            return found

        def living(*arguments: Any, **named: Any) -> Any:
            self.life.spend()
            answer = found(*arguments, **named)
            return self._each(answer) if name in {"put_many", "delete_many"} else answer

        return living

    def _each(self, results: Iterator[BlobResult]) -> Iterator[BlobResult]:
        for result in results:
            self.life.spend()
            yield result


def mortal(placed: Placed, life: Life) -> Placed:
    store = placed.store
    places = Places(store.places.own, lambda url: Mortal(placed.at(url), life))
    parts: dict[str, Any] = {"ledger": Mortal(store.ledger, life), "blobs": Mortal(store.blobs, life)}
    return Placed(evolve(store, places=places, **parts), placed.folder)


def test_killed_at_any_call_nothing_is_lost_and_it_ends_well_when_done_again(tmp_path: Path) -> None:
    calls = 0
    while True:
        calls += EVERY
        folder = tmp_path / f"{calls}"
        folder.mkdir()
        placed = Placed.on(memory_store(folder), folder)
        for text in ("one", "two"):
            placed.log("red", text)
        placed.log("blue", "other")
        delete(placed, "data:v0")
        life = Life(calls)
        try:
            migrate(mortal(placed, life).store, "red", A, delete_source=True)
            break
        except Killed:
            pass
        whole(placed)
        assert placed.read("data:v1") == "two"
        assert placed.events() in ([], [StorageSet(A), StorageGathered()])
        placed.log("red", "three")
        migrate(placed.store, "red", A, delete_source=True)
        assert placed.held(A) >= placed.needed("data:v1") | placed.needed("data:v2")
        assert (placed.read("data:v1"), placed.read("data:v2")) == ("two", "three")
        assert isinstance(placed.store.clock, Clock)
        placed.store.clock.now += leases.LASTING + SECOND  # that of who was killed
        collect.act(placed.store)
        assert placed.held(None) == placed.needed("blue/p/data:v0")
        whole(placed)
    assert calls > 60, "it is over too early to have been killed at all stages"


# --- any story -------------------------------------------------------------------------------------------------------

TEAMS = st.sampled_from(["red", "blue"])
PLACES = st.sampled_from([None, A, B])


class Stories(RuleBasedStateMachine):
    """Two teams log, delete, move and carry in any order; what is not deleted can be downloaded."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        here = Path(self.folder.name)
        self.placed = Placed.on(memory_store(here), here)
        self.live: dict[str, str] = {}
        self.count = 0

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(team=TEAMS, text=st.sampled_from("abcd"))
    def log(self, team: str, text: str) -> None:
        logged = self.placed.log(team, text)
        self.live[f"{team}/p/data:v{logged.index}"] = text

    @rule(team=TEAMS, place=PLACES)
    def move(self, team: str, place: str | None) -> None:
        self.placed.move(team, place)

    @rule(team=TEAMS, place=PLACES, delete_source=st.booleans())
    def carry(self, team: str, place: str | None, delete_source: bool) -> None:  # noqa: FBT001 (a draw)
        migrate(self.placed.store, team, place, delete_source=delete_source)

    @rule(choose=st.randoms(use_true_random=False))
    def delete(self, choose: Any) -> None:
        if self.live:
            text = choose.choice(sorted(self.live))
            delete(self.placed, text)
            del self.live[text]

    @rule(later=st.booleans())
    def collect(self, later: bool) -> None:  # noqa: FBT001 (a draw)
        assert isinstance(self.placed.store.clock, Clock)
        pass_time(self.placed.store, self.placed.store.clock, GRACE + SECOND if later else 0)
        collect.act(self.placed.store)
        needed = set[Digest]().union(*(self.placed.needed(text) for text in self.live))
        if later:
            held = set[Digest]().union(*(self.placed.held(place) for place in (None, A, B)))
            assert held == needed

    @invariant()
    def every_live_version_can_be_downloaded(self) -> None:
        for text, expected in self.live.items():
            assert self.placed.read(text) == expected


TestStories = Stories.TestCase
TestStories.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
