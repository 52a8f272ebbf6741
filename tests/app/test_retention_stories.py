"""Expiry beside links and aliases in the same moment, on every ledger; decisions of the past are those made then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from muniment.app import catalog, directory, holds, lifecycle, policies, registries, retention, runs
from muniment.app.collecting import collect
from muniment.app.retention import Book
from muniment.domain.errors import HeldError, MunimentError, NotFoundError, VersionDeletedError
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.policy import DAY, Start, Terms
from muniment.domain.retention import Decision
from muniment.domain.rows import AliasRow, LinkRow, VersionRow
from muniment.domain.values import Ttl
from tests.app.scene import SECOND, Scene
from tests.servers.postgres import postgres_ledger, running
from tests.stores import Clock, memory_ledger, sqlite_ledger, store_on

LEDGERS: dict[str, Callable[[Path, Clock], Any]] = {
    "memory": lambda _, clock: memory_ledger(clock),
    "sqlite": lambda folder, clock: sqlite_ledger(folder / "ledger.sqlite3", clock),
    "postgres": lambda _, clock: postgres_ledger(running().url(), clock),
}


@pytest.fixture(params=LEDGERS)
def due(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    """Return a scene with a version that is due since a moment ago."""
    clock = Clock()
    scene = Scene(store_on(LEDGERS[request.param](tmp_path, clock), tmp_path, clock), clock)
    scene.log("images", "one", ttl=Ttl.after(DAY))
    scene.clock.now += DAY + SECOND
    return scene


@define
class Between:
    """A ledger in front of another: something else happens just before the first command of one name."""

    ledger: Any
    name: str
    act: Callable[[], object]
    done: bool = False

    def transact(self, command: Any, decide: Any) -> Any:
        if not self.done and command.request[0] == self.name:
            self.done = True
            self.act()
        return self.ledger.transact(command, decide)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)


def beside(scene: Scene, name: str, act: Callable[[], object]) -> Scene:
    """Return the scene with *act* between the look at a version and the command that acts on it."""
    return evolve(scene, store=evolve(scene.store, ledger=Between(scene.store.ledger, name, act)))


def add_alias(scene: Scene) -> None:
    scene.edit("images:v0", add_aliases=("kept",))


def nothing_dangles(scene: Scene) -> None:
    """Fail if a link or an alias leads to what is not live."""
    for version in scene.views.select(VersionRow, order="index", artifact_id=scene.artifact("images").artifact_id):
        links = scene.views.select(LinkRow, version_id=version.version_id, order="link_id")
        aliases = scene.views.select(AliasRow, version_id=version.version_id, order="alias")
        assert version.state == "committed" or not (links or aliases)
        assert len(catalog.links_of(scene.views, version.version_id)) == len(links)


def test_a_link_that_comes_between_the_plan_and_the_deletion_keeps_the_version(due: Scene) -> None:
    scene = beside(due, "expire", lambda: due.link("images:v0", "dataset/shared"))
    assert collect.act(scene.store).deleted == 0
    assert due.linked("dataset/shared:v0").version.state == "committed"
    nothing_dangles(due)


def test_a_deletion_that_comes_between_the_look_and_the_link_refuses_the_link(due: Scene) -> None:
    scene = beside(due, "link", lambda: collect.act(due.store))
    with pytest.raises((VersionDeletedError, NotFoundError), match="deleted"):
        scene.link("images:v0", "dataset/shared")
    nothing_dangles(due)


def test_an_alias_that_comes_between_goes_with_the_version_and_one_that_comes_after_is_refused(due: Scene) -> None:
    scene = beside(due, "expire", lambda: add_alias(due))
    assert collect.act(scene.store).deleted == 1
    nothing_dangles(due)
    due.log("images", "two", ttl=Ttl.after(DAY))
    due.clock.now += DAY + SECOND
    scene = beside(due, "edit version", lambda: collect.act(due.store))
    with pytest.raises(VersionDeletedError):
        scene.edit("images:v1", add_aliases=("kept",))
    nothing_dangles(due)


def test_a_hold_or_a_policy_that_comes_between_keeps_the_version(due: Scene) -> None:
    scope = ScopeKind.PROJECT, due.project.project_id
    scene = beside(due, "expire", lambda: policies.set_policy(due.store, *scope, Terms(minimum=9 * DAY)))
    assert collect.act(scene.store).deleted == 0
    assert collect.plan(due.store).due == ()
    due.pass_time(9 * DAY)
    scene = beside(due, "expire", lambda: holds.place(due.store, HoldKind.LITIGATION, *scope, "a matter"))
    assert collect.act(scene.store).deleted == 0
    with pytest.raises(HeldError):
        due.delete("images:v0", delete_aliases=True)


TAKING: dict[str, Callable[[Scene, int], object]] = {
    "link": lambda scene, number: scene.link(f"images:v{number}", f"dataset/c{number}"),
    "alias": lambda scene, number: scene.edit(f"images:v{number}", add_aliases=(f"a{number}",)),
}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("way", sorted(TAKING))
@pytest.mark.parametrize("backwards", [False, True])
def test_of_a_link_or_alias_and_an_expiry_at_once_one_wins_and_nothing_dangles(
    tmp_path: Path, kind: str, way: str, *, backwards: bool
) -> None:
    clock = Clock()
    scene = Scene(store_on(LEDGERS[kind](tmp_path, clock), tmp_path, clock), clock)
    count = 12
    for number in range(count):
        scene.log("images", f"{number}", ttl=Ttl.after(DAY))
    scene.clock.now += DAY + SECOND
    barrier, taken, failed = threading.Barrier(2), set(), []

    def take() -> None:
        barrier.wait()
        for number in range(count)[:: -1 if backwards else 1]:
            try:
                TAKING[way](scene, number)
                taken.add(number)
            except (VersionDeletedError, NotFoundError):
                failed.append(number)

    other = threading.Thread(target=take)
    other.start()
    barrier.wait()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect, "AT_ONCE", 1)
        collect.act(scene.store)
    other.join()
    nothing_dangles(scene)
    if way == "link":
        assert set(scene.indexes("images")) >= taken, "a link keeps its version"
    else:
        assert scene.indexes("images") == [], "an alias goes with its version"
    assert taken.isdisjoint(failed)
    assert len(taken) + len(failed) == count


# --- decisions of the past -------------------------------------------------------------------------------------------

STEPS: dict[str, Callable[[Scene], object]] = {
    "log": lambda scene: scene.log("images", f"{scene.seq}", ttl=Ttl.after(5 * DAY)),
    "log more": lambda scene: scene.log("images", f"{scene.seq}"),
    "link": lambda scene: scene.link("images:v0", "shelf/best"),
    "unlink": lambda scene: scene.unlink("shelf/best:latest"),
    "delete the registry": lambda scene: registries.delete(scene.store, scene.registry("shelf")),
    "delete": lambda scene: scene.delete("images:latest", delete_aliases=True),
    "use": lambda scene: runs.use(scene.store, scene.find("images:v0").version.version_id, None),
    "ttl": lambda scene: lifecycle.set_artifact_ttl(
        scene.store, scene.artifact("images"), scene.team, Ttl.after(3 * DAY)
    ),
    "policy": lambda scene: policies.set_policy(
        scene.store, ScopeKind.PROJECT, scene.project.project_id, Terms(Start.LAST_USED, maximum=2 * DAY)
    ),
    "minimum": lambda scene: policies.set_policy(
        scene.store, ScopeKind.TYPE, scene.team.team_id, Terms(minimum=4 * DAY), type_="dataset"
    ),
    "last": lambda scene: policies.set_policy(
        scene.store, ScopeKind.ARTIFACT, scene.artifact("images").artifact_id, Terms(Start.SUPERSEDED, keep_last=2)
    ),
    "hold": lambda scene: holds.place(
        scene.store, HoldKind.INVESTIGATION, ScopeKind.TAG, "", "a matter", tag="evidence"
    ),
    "tag": lambda scene: scene.edit("images:v0", add_tags=("evidence",)),
    "project": lambda scene: lifecycle.delete_project(scene.store, scene.project),
}


def decisions(scene: Scene, at: int | None, now: int, *, wide: bool = False) -> dict[str, Decision]:
    book = retention.book(scene.store, at, wide=wide)
    rows = [
        row
        for state in ("committed", "deleted")
        for row in scene.views.select(VersionRow, at=at, state=state, order="created_at")
    ]
    return {row.version_id: book.decide(row, now) for row in rows}


@settings(max_examples=15)
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=10))
@example(steps=["policy", "use", "log", "use"])
@example(steps=["link", "delete the registry", "ttl"])
def test_what_is_decided_of_a_past_moment_is_what_was_decided_then(
    steps: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    clock, folder = Clock(), tmp_path_factory.mktemp("store")
    scene = Scene(store_on(memory_ledger(clock), folder, clock), clock)
    registries.create(scene.store, "local", "shelf")
    scene.log("images", "first")
    live: list[tuple[int, int, dict[str, Decision]]] = []
    for name in ["log", *steps]:
        try:
            STEPS[name](scene)
        except MunimentError:
            continue  # what makes no sense now is refused, and that is one of the stories
        scene.clock.now += DAY
        live.append((scene.seq, scene.clock.now, decisions(scene, None, scene.clock.now)))
        assert decisions(scene, None, live[-1][1], wide=True) == live[-1][2]
    scene.store.ledger.rebuild()
    for seq, now, then in live:
        assert decisions(scene, seq, now) == then
        assert decisions(scene, seq, now, wide=True) == then


@settings(max_examples=15)
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=4, max_size=12), after=st.integers(0, 40))
def test_a_hold_on_everything_keeps_everything_and_a_minimum_makes_nothing_earlier(
    steps: list[str], after: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clock, folder = Clock(), tmp_path_factory.mktemp("store")
    scene = Scene(store_on(memory_ledger(clock), folder, clock), clock)
    registries.create(scene.store, "local", "shelf")
    scene.log("images", "first")
    for name in steps:
        try:
            STEPS[name](scene)
        except MunimentError:
            continue  # as above
        scene.clock.now += DAY
    now = scene.clock.now + after * DAY
    before = decisions(scene, None, now)
    organisation = ScopeKind.ORGANISATION, directory.organisation(scene.views, "local").organisation_id
    policies.set_policy(scene.store, *organisation, Terms(minimum=50 * DAY), citation="HGB 257")
    for id_, decision in decisions(scene, None, now).items():
        assert decision.due_at is None or (decision.due_at >= (before[id_].due_at or 0))
    held = holds.place(scene.store, HoldKind.LITIGATION, *organisation, "a matter")
    for decision in decisions(scene, None, now).values():
        assert {reason.rule for reason in decision.because} == {"P0"}
        assert held.hold_id in decision.why
    assert list(retention.due(scene.store, now)) == []


def test_a_command_decides_by_its_own_book(due: Scene) -> None:
    """The book of a plan is of the moment of the plan; in a transaction another one is opened."""
    book = Book(due.views, 0)
    version = due.find("images:v0").version
    decided = book.decide(version, due.clock.now)
    holds.place(due.store, HoldKind.LITIGATION, ScopeKind.VERSION, version.version_id, "a matter")
    assert book.decide(version, due.clock.now) == decided
    assert Book(due.views, 0).decide(version, due.clock.now) != decided
