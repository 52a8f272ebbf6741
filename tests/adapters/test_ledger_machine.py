"""Any interleaving of two writers comes to what the model says, and the events alone say all of it again."""

from __future__ import annotations

import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from muniment.app import catalog, directory, lifecycle, link_artifact
from muniment.app.lifecycle import Edits
from muniment.app.names import Address
from muniment.app.projections import FOLDS
from muniment.app.store import Store
from muniment.domain.errors import MunimentError
from muniment.domain.ports import Recorded
from muniment.domain.rows import AliasRow, LinkRow, VersionRow
from muniment.domain.values import LATEST, Role
from tests.acts import Acts
from tests.model import ANYWHERE, Member, Model, Numbered, Refused
from tests.redacting import redact, telling
from tests.replay import require_past_and_present, require_replay
from tests.stores import Clock, as_login, memory_ledger, sqlite_ledger, store_on

NAMES, TARGETS = st.sampled_from(["a", "b"]), st.sampled_from(["c", "c", "c", "d"])
CONTENTS = st.sampled_from(["1", "2", "3"])
ALIASES = st.sampled_from(["x", "y", LATEST])
SOME = st.lists(ALIASES, max_size=2, unique=True)
WRITERS = st.sampled_from(["ada", "bob"])


class Machine(RuleBasedStateMachine):
    """Two writers, who act on what they saw some time ago."""

    versions: Bundle[Member] = Bundle("versions")
    links: Bundle[Member] = Bundle("links")
    every = 1

    @abstractmethod
    def open(self, folder: Path, clock: Clock) -> Store:
        """Make the store that the writers share."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.written: dict[int, Recorded] = {}
        self.store = self.open(self.folder, Clock())
        directory.set_team_role(self.store, "local", "bob", Role.MEMBER)
        self.stores = {"ada": self.store, "bob": as_login(self.store, "bob")}
        self.model = Model()

    @initialize(every=st.integers(1, 5))
    def redact_in_the_end(self, every: int) -> None:
        """Destroy the words of each so many events once all is done: whatever happened, the rest still holds."""
        self.every = every

    def remember(self, recorded: Recorded) -> tuple[()]:
        self.written[recorded.seq] = recorded
        return ()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            require_replay(self.store)
            require_past_and_present(self.store)
            self.require_read_as_written()
            redact(self.store, telling(self.store)[:: self.every])
            require_past_and_present(self.store)
            self.store.ledger.close()
            shutil.rmtree(self.folder)

    def require_read_as_written(self) -> None:
        events = list(self.store.ledger.read())
        assert [self.written[each.seq] for each in events] == events

    # --- what the writers do ---------------------------------------------------------------------------------------

    def both(self, act: Callable[[], Any], expected: Callable[[], Any]) -> tuple[Any, Any]:
        """Do it and ask the model; both do it, or both refuse it in the same way."""
        try:
            wanted = expected()
        except Refused as refused:
            try:
                act()
            except MunimentError as error:
                assert type(error) is refused.error, error  # noqa: PT017 (the model says which)
                return None, None
            msg = f"{refused.error.__name__} was expected"
            raise AssertionError(msg) from refused
        return act(), wanted

    @rule(target=versions, who=WRITERS, name=NAMES, content=CONTENTS, aliases=SOME)
    def log(self, who: str, name: str, content: str, aliases: list[str]) -> Any:
        acts = Acts(self.stores[who])
        logged, (member, created) = self.both(
            lambda: acts.log(name, content, aliases=tuple(aliases)),
            lambda: self.model.log(name, content, [alias for alias in aliases if alias != LATEST]),
        )
        assert (logged.index, logged.created) == (member.index, created)
        member.found = member.found or catalog.origin(self.store.views, logged.version_id)
        return member if created else multiple()

    @rule(who=WRITERS, member=versions, alias=ALIASES, other=versions, how=st.sampled_from(["any", "none", "other"]))
    def move(self, who: str, member: Member, alias: str, other: Member, how: str) -> None:
        wanted: Any = {"any": ANYWHERE, "none": None, "other": other}[how]
        id_ = {"none": None, "other": self.found(other).version.version_id}
        edits = Edits(add_aliases=(alias,), expected=None if how == "any" else {alias: id_[how]})
        self.both(
            lambda: lifecycle.edit(self.stores[who], self.found(member), edits),
            lambda: self.model.edit(member, [alias], [], wanted),
        )

    @rule(who=WRITERS, member=versions, removed=SOME, added=st.none() | ALIASES)
    def change(self, who: str, member: Member, removed: list[str], added: str | None) -> None:
        more = [added] if added and added not in removed and LATEST not in removed else []
        self.both(
            lambda: lifecycle.edit(self.stores[who], self.found(member), Edits(tuple(more), tuple(removed))),
            lambda: self.model.edit(member, more, removed, ANYWHERE),
        )

    @rule(who=WRITERS, member=versions, aliases_too=st.booleans())
    def delete(self, who: str, member: Member, *, aliases_too: bool) -> None:
        self.both(
            lambda: lifecycle.delete(self.stores[who], self.found(member), delete_aliases=aliases_too),
            lambda: self.model.delete(member, aliases_too=aliases_too),
        )

    @rule(who=WRITERS, member=versions)
    def restore(self, who: str, member: Member) -> None:
        lifecycle.restore(self.stores[who], self.found(member))
        member.live = True

    @rule(who=WRITERS, member=versions, new=NAMES)
    def rename(self, who: str, member: Member, new: str) -> None:
        name, found = self.model.home(member).name, self.found(member)
        row = evolve(found.artifact, name=name)
        self.both(
            lambda: lifecycle.edit_artifact(self.stores[who], row, found.team, name=new),
            lambda: self.model.rename(name, new),
        )

    @rule(target=links, who=WRITERS, member=versions, into=TARGETS, aliases=SOME)
    def link(self, who: str, member: Member, into: str, aliases: list[str]) -> Any:
        address = Address("local", "wandb-registry-model", into)
        found, link = self.both(
            lambda: link_artifact.link(self.stores[who], self.found(member), address, aliases),
            lambda: self.model.link(member, into, aliases),
        )
        if link is None or link.found is not None:
            return multiple()
        link.found = found
        assert found.link.index == link.index
        return link

    @rule(who=WRITERS, link=links)
    def unlink(self, who: str, link: Member) -> None:
        self.both(lambda: link_artifact.unlink(self.stores[who], self.found(link)), lambda: self.model.unlink(link))

    @rule(who=WRITERS, link=consumes(links))
    def unlink_and_forget(self, who: str, link: Member) -> None:
        self.unlink(who, link)

    @rule(who=WRITERS, link=links, alias=ALIASES, removed=st.booleans())
    def change_link(self, who: str, link: Member, alias: str, *, removed: bool) -> None:
        added, gone = ([], [alias]) if removed else ([alias], [])
        self.both(
            lambda: link_artifact.set_link_aliases(self.stores[who], self.found(link), added, gone),
            lambda: self.model.edit_link(link, added, gone),
        )

    def found(self, member: Member) -> catalog.Found:
        assert member.found is not None
        return member.found

    # --- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def artifacts_are_as_the_model_says(self) -> None:
        for name, wanted in self.model.artifacts.items() if hasattr(self, "model") else ():
            row = Acts(self.store).artifact(name)
            versions = self.store.views.select(VersionRow, artifact_id=row.artifact_id, order="index")
            assert [each.index for each in versions] == list(range(len(wanted.members)))
            assert [each.state == "committed" for each in versions] == [each.live for each in wanted.members]
            self.require_aliases(row.artifact_id, wanted)
            latest = catalog.latest_version(self.store.views, row)
            assert (latest and latest.index) == (wanted.latest and wanted.latest.index)
            for member in wanted.members:
                links = catalog.links_of(self.store.views, self.found(member).version.version_id)
                there = sorted(
                    (each.collection.name, each.link.index) for each in links if each.collection and each.link
                )
                assert there == self.model.links(member)

    @invariant()
    def collections_are_as_the_model_says(self) -> None:
        for name, wanted in self.model.collections.items() if hasattr(self, "model") else ():
            registry = Acts(self.store).registry()
            row = catalog.collection_named(self.store.views, registry, name)
            links = self.store.views.select(LinkRow, collection_id=row.collection_id, order="index")
            assert [each.index for each in links] == [each.index for each in wanted.members if each.live]
            assert all(catalog.through(self.store.views, each) for each in links), "a link leads nowhere"
            self.require_aliases(row.collection_id, wanted)
            latest = catalog.latest_link(self.store.views, row)
            assert (latest and latest.index) == (wanted.latest and wanted.latest.index)

    def require_aliases(self, owner: str, wanted: Numbered) -> None:
        rows = self.store.views.select(AliasRow, owner_id=owner, order="alias")
        held = {row.alias: row.version_id for row in rows if row.version_id is not None}
        assert len({row.alias for row in rows}) == len(rows), "an alias has two slots"
        assert held == {
            alias: self.found(member).version.version_id
            for alias, member in wanted.aliases.items()
            if member is not None
        }


class OnMemory(Machine):
    def open(self, folder: Path, clock: Clock) -> Store:
        return store_on(memory_ledger(clock, (*FOLDS, self.remember)), folder, clock)


class OnSqlite(Machine):
    def open(self, folder: Path, clock: Clock) -> Store:
        return store_on(sqlite_ledger(folder / "ledger.sqlite3", clock, (*FOLDS, self.remember)), folder, clock)


TestOnMemory = OnMemory.TestCase
TestOnSqlite = OnSqlite.TestCase
TestOnMemory.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestOnSqlite.settings = settings(max_examples=10, stateful_step_count=30, deadline=None)


def test_latest_of_a_collection_falls_back_when_the_newest_link_ends(tmp_path: Path) -> None:
    """The newest link supersedes what was put by hand before it, and goes on doing so when it has ended."""
    store = store_on(memory_ledger(Clock()), tmp_path, Clock())
    acts = Acts(store)
    for content in range(3):
        acts.log("m", content)
    first, second = (acts.link(f"m:v{index}", "wandb-registry-model/c") for index in (0, 1))
    link_artifact.set_link_aliases(store, second, [], [LATEST])
    third = acts.link("m:v2", "wandb-registry-model/c")
    link_artifact.unlink(store, third)
    assert acts.find("wandb-registry-model/c:latest").version.index == 1
    link_artifact.unlink(store, second)
    assert acts.find("wandb-registry-model/c:latest").link == first.link
