"""What changed between two moments is the difference of the two states, whatever happened in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muniment.app import catalog, directory, lifecycle
from muniment.app.store import Store
from muniment.app.telling import diff
from muniment.app.telling.diff import Window
from muniment.app.telling.differences import between
from muniment.domain.errors import InvalidValueError
from muniment.domain.ports import Ledger
from muniment.domain.rows import ROWS, TimelineRow, VersionRow
from muniment.domain.values import ERASED_TEXT, Role, Ttl, VersionId
from tests.acts import story
from tests.adapters import test_ledger_machine as machine
from tests.app.scene import DAY, Scene
from tests.replay import live
from tests.stores import memory_store


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store in which nearly everything happened."""
    store = memory_store(tmp_path_factory.mktemp("told"))
    story(store, "SECRET")
    return store


def state(ledger: Ledger, at: int) -> dict[Any, Any]:
    """Return every row that held after an event, read from the dump alone."""
    kinds = [kind for kind in ROWS if kind is not TimelineRow]
    return {(kind, key): columns for kind in kinds for key, columns in live(ledger.dump(), kind, at)}


def require_difference(store: Store, first: int, last: int) -> None:
    """Check the rows that differ against two whole states."""
    before, after = state(store.ledger, first), state(store.ledger, last)
    wanted = {key: (before.get(key), after.get(key)) for key in before | after if before.get(key) != after.get(key)}
    found = list(diff.rows(store, Window(first, last)))
    shown = {(each.kind, each.key): (_columns(each.before), _columns(each.after)) for each in found}
    assert shown == wanted
    assert len(found) == len(wanted)


def _columns(row: Any) -> list[Any] | None:
    return None if row is None else [getattr(row, field.name) for field in row.__attrs_attrs__]


@given(data=st.data())
def test_the_rows_that_differ_are_those_of_the_two_states(told: Store, data: st.DataObject) -> None:
    size = told.ledger.head().size
    first = data.draw(st.integers(0, size))
    require_difference(told, first, data.draw(st.integers(first, size)))


def test_a_window_read_in_parts_shows_the_same(told: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    size = told.ledger.head().size
    whole = set(map(str, between(told, 3, size)))
    monkeypatch.setattr(diff, "PART", 7)
    require_difference(told, 3, size)
    assert set(map(str, between(told, 3, size))) == whole


def test_only_the_events_of_the_window_are_read(told: Store) -> None:
    size = told.ledger.head().size
    read: list[tuple[int, int | None]] = []

    class Watched:
        def read(self, *, after: int = 0, until: int | None = None) -> Iterator[Any]:
            read.append((after, until))
            return told.ledger.read(after=after, until=until)

    watched: Any = Watched()
    assert list(diff.touched(watched, Window(size - 2, size), 0, 1))
    assert read == [(size - 2, size)]


def said(scene: Scene, first: int, **asked: Any) -> list[str]:
    return [str(each) for each in between(scene.store, first, scene.seq, **asked)]


def version_id(scene: Scene, index: int) -> VersionId:
    """Return the id of a version of ``mnist``, deleted or not."""
    row = scene.views.find(VersionRow, artifact_id=scene.artifact("mnist").artifact_id, index=index)
    assert row is not None
    return row.version_id


def test_a_month_of_a_registry_in_the_words_of_people(scene: Scene) -> None:
    scene.log("mnist", "one", "best", metadata={"rows": 1}, tags=("raw",))
    scene.log("old", "two")
    scene.log("gone", "three")
    scene.link("mnist:v0", "dataset/digits", "production")
    scene.delete("gone:v0", delete_aliases=True)
    first = scene.seq
    scene.log("mnist", "four", "best")
    scene.link("mnist:v1", "dataset/digits", "production")
    scene.unlink("dataset/digits:v0")
    scene.edit("mnist:v0", ttl=Ttl.after(DAY), remove_tags=("raw",), add_tags=("gold",))
    scene.edit("mnist:v0", metadata={"rows": 2}, new_metadata=True)
    scene.delete("old:v0", delete_aliases=True)
    lifecycle.edit_artifact(scene.store, scene.artifact("mnist"), scene.team, name="digits")
    scene.log("brief", "five")
    lifecycle.delete_artifact(scene.store, scene.artifact("brief"), scene.team)
    directory.set_team_role(scene.store, "local", "bob", Role.MEMBER)
    assert sorted(said(scene, first)) == sorted(EXPECTED)  # in the order in which rows were touched, and folds grow


EXPECTED = """\
+ version local/uncategorized/digits:v1
~ alias local/uncategorized/digits:best: version: local/uncategorized/digits:v0 → local/uncategorized/digits:v1
+ link local/wandb-registry-dataset/digits:v1: version local/uncategorized/digits:v1
~ alias local/wandb-registry-dataset/digits:production: \
version: local/uncategorized/digits:v0 → local/uncategorized/digits:v1
- link local/wandb-registry-dataset/digits:v0: version local/uncategorized/digits:v0
~ version local/uncategorized/digits:v0: ttl: inherit → 1d, metadata changed
+ tag local/uncategorized/digits:v0: tag gold
- tag local/uncategorized/digits:v0: tag raw
- version local/uncategorized/old:v0 (deleted)
~ artifact local/uncategorized/digits: name: mnist → digits
+ user bob
+ role of bob in local: role member
~ alias local/uncategorized/digits:latest: version: local/uncategorized/digits:v0 → local/uncategorized/digits:v1
~ alias local/wandb-registry-dataset/digits:latest: \
version: local/uncategorized/digits:v0 → local/uncategorized/digits:v1
- alias local/uncategorized/old:latest: version local/uncategorized/old:v0
""".splitlines()


def test_what_came_and_went_again_is_no_difference(scene: Scene) -> None:
    scene.log("mnist", "one", "best")
    scene.log("mnist", "two")
    first = scene.seq
    scene.edit("mnist:v1", add_aliases=("best",), add_tags=("t",))
    scene.edit("mnist:v1", remove_tags=("t",))
    scene.edit("mnist:v0", add_aliases=("best",))
    scene.delete("mnist:v1", delete_aliases=True)
    lifecycle.restore(scene.store, catalog.origin(scene.views, version_id(scene, 1)))
    assert said(scene, first) == []


def test_a_restored_version_and_one_that_was_made_and_deleted_are_told_as_such(scene: Scene) -> None:
    scene.log("mnist", "one")
    scene.delete("mnist:v0", delete_aliases=True)
    first = scene.seq
    lifecycle.restore(scene.store, catalog.origin(scene.views, version_id(scene, 0)))
    scene.log("mnist", "two")
    scene.delete("mnist:v1", delete_aliases=True)
    assert said(scene, first) == [
        "+ version local/uncategorized/mnist:v0 (restored)",
        "- version local/uncategorized/mnist:v1 (deleted)",
        "+ alias local/uncategorized/mnist:latest: version local/uncategorized/mnist:v0",
    ]


def test_a_scope_holds_a_thing_and_all_that_is_in_it(scene: Scene) -> None:
    first = scene.seq
    scene.log("mnist", "one", "best")
    scene.log("other", "two")
    scene.link("mnist:v0", "dataset/digits", "production")
    mnist = said(scene, first, within=scene.artifact("mnist").artifact_id)
    assert mnist == [
        "+ artifact local/uncategorized/mnist",
        "+ version local/uncategorized/mnist:v0",
        "+ alias local/uncategorized/mnist:best: version local/uncategorized/mnist:v0",
        "+ link local/wandb-registry-dataset/digits:v0: version local/uncategorized/mnist:v0",
        "+ alias local/uncategorized/mnist:latest: version local/uncategorized/mnist:v0",
        "+ alias local/wandb-registry-dataset/digits:latest: version local/uncategorized/mnist:v0",
    ]
    registry = said(scene, first, within=scene.registry("dataset").registry_id)
    assert registry == [
        "+ collection local/wandb-registry-dataset/digits",
        "+ link local/wandb-registry-dataset/digits:v0: version local/uncategorized/mnist:v0",
        "+ alias local/wandb-registry-dataset/digits:production: version local/uncategorized/mnist:v0",
        "+ alias local/wandb-registry-dataset/digits:latest: version local/uncategorized/mnist:v0",
    ]
    assert said(scene, first, within=scene.project.project_id) == [
        each for each in said(scene, first) if "uncategorized" in each and "production" not in each
    ]
    assert said(scene, first, within=scene.team.organisation_id) == said(scene, first)
    assert said(scene, first, within=scene.registry("model").registry_id) == []


def test_personal_values_are_shown_only_when_asked_for(scene: Scene) -> None:
    scene.log("mnist", "one", metadata={"who": "SECRET"}, description="SECRET")
    first = scene.seq
    scene.edit("mnist:v0", metadata={"who": "nobody"}, new_metadata=True, new_description=True)
    assert said(scene, first) == ["~ version local/uncategorized/mnist:v0: description changed, metadata changed"]
    (shown,) = between(scene.store, first, scene.seq, values=True)
    assert shown.to_json()["changes"] == [
        {"field": "description", "before": "SECRET", "after": None},
        {"field": "metadata", "before": {"who": "SECRET"}, "after": {"who": "nobody"}},
    ]
    scene.store.vault.destroy(scene.artifact("mnist").artifact_id)
    (shown,) = between(scene.store, first, scene.seq, values=True)
    assert "SECRET" not in str(shown)
    assert ERASED_TEXT in str(shown)


def test_nothing_the_story_kept_in_the_vault_is_shown_unasked(told: Store) -> None:
    shown = [str(each) for each in between(told, 0, told.ledger.head().size)]
    assert [each for each in shown if "SECRET" in each] == ["+ user SECRETeve"]


def test_the_earlier_moment_comes_first(scene: Scene) -> None:
    with pytest.raises(InvalidValueError, match="name the earlier moment first"):
        list(between(scene.store, scene.seq, 0))


class OnMemory(machine.OnMemory):
    """Random acts of two people, and at the end what changed in windows of it."""

    def teardown(self) -> None:
        if hasattr(self, "store"):
            size = self.store.ledger.head().size
            for first, last in ((0, size), (size // 2, size), (size // 3, size // 2), (size, size)):
                require_difference(self.store, first, last)
                assert (list(between(self.store, first, last)) == []) == (first == last)
            self.store.ledger.close()


TestRandomActs = OnMemory.TestCase
TestRandomActs.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
