"""Finding by name, as of now and as of any moment: what was true then is what is found."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.app import catalog, directory, lifecycle, registries
from muniment.app.collecting import collect
from muniment.domain.errors import MunimentError, NotFoundError, VersionDeletedError
from muniment.domain.rows import TagRow
from muniment.domain.team import TtlSetters
from muniment.domain.values import NEVER, Role, Ttl, VersionId
from tests.app.scene import DAY, Scene
from tests.stores import Clock, memory_store, sqlite_store


def answer(ask: Callable[[], Any]) -> Any:
    """Return what is answered, or the kind of error."""
    try:
        return ask()
    except MunimentError as error:
        return type(error).__name__


# --- finding now -----------------------------------------------------------------------------------------------------


def test_what_is_missing_is_named(scene: Scene) -> None:
    scene.log("images", "one")
    scene.link("images", "dataset/sets")
    for text, match in (
        ("nobody/p/images", r"no team \(entity\) 'nobody' — create it with `muniment team create nobody`"),
        ("local/nowhere/images", "team local has no project 'nowhere' — it is made when something is first logged"),
        ("pictures", "project uncategorized has no artifact 'pictures' — see: muniment artifact ls"),
        ("images:best", "artifact 'images' has no alias 'best' — see: muniment artifact ls --versions images"),
        ("images:v7", "artifact 'images' has no version 'v7' — see: muniment artifact ls --versions images"),
        ("images:v" + "9" * 40, "has no alias"),
        ("acme/wandb-registry-dataset/sets", "no organization 'acme' — create it with `muniment org create acme`"),
        ("wandb-registry-nowhere/sets", "no registry 'nowhere' — registries are never made by linking"),
        ("wandb-registry-/sets", "no registry ''"),
        (
            "wandb-registry-dataset/others",
            "no collection 'others' — see `muniment registry show dataset`; it is made when a version is first",
        ),
        (
            "wandb-registry-dataset/sets:best",
            "collection 'sets' has no alias 'best' — see: muniment registry show dataset",
        ),
        (
            "wandb-registry-dataset/sets:v1",
            "collection 'sets' has no version 'v1' — see: muniment registry show dataset",
        ),
    ):
        with pytest.raises(NotFoundError, match=match):
            scene.find(text)


def test_the_same_version_by_every_name(scene: Scene) -> None:
    scene.log("images", "zero")
    version = scene.log("images", "one", "best").version_id
    scene.link("images:v1", "dataset/sets", "production")
    full = "local/uncategorized/images:v1"
    for text in ("images", "images:latest", "images:v1", "images:best", "uncategorized/images", full):
        found = scene.find(text)
        assert (found.version.version_id, found.link) == (version, None)
    for text in ("sets", "sets:latest", "sets:v0", "sets:production"):
        found = scene.linked(f"dataset/{text}")
        assert found.version.version_id == version
        assert found.link
        assert (found.project.name, found.team.name, found.artifact.name) == ("uncategorized", "local", "images")
    assert catalog.all_aliases(scene.views, scene.find("images")) == ["best", "latest"]
    assert catalog.all_aliases(scene.views, scene.linked("dataset/sets")) == ["production", "latest"]


def test_a_version_is_found_by_its_id_live_or_not(scene: Scene) -> None:
    version = scene.log("images", "one").version_id
    scene.delete("images")
    assert catalog.origin(scene.views, version).version.state == "deleted"
    with pytest.raises(NotFoundError, match="is not here"):
        catalog.origin(scene.views, VersionId("0" * 32))


# --- as of then ------------------------------------------------------------------------------------------------------


def questions(scene: Scene) -> dict[str, Callable[[int | None], Any]]:
    """Return everything that can be asked of a moment."""
    views = scene.views

    def version(text: str) -> Callable[[int | None], Any]:
        return lambda at: answer(lambda: _version(scene.find(text, at)))

    def tags(text: str) -> Callable[[int | None], Any]:
        def ask(at: int | None) -> Any:
            owner = scene.find(text, at).version.version_id
            return [row.tag for row in views.select(TagRow, at=at, owner_id=owner, order="tag")]

        return lambda at: answer(lambda: ask(at))

    names = ("images", "images:v0", "images:v1", "images:best", "pictures", "other:v0")
    linked = ("model/best", "model/best:v0", "model/best:v1", "model/best:production", "any/best")
    asked: dict[str, Callable[[int | None], Any]] = {name: version(name) for name in names}
    asked |= {name: version(f"wandb-registry-{name}") for name in linked}
    asked |= {f"tags of {name}": tags(name) for name in names[:2]}
    asked["aliases"] = lambda at: answer(lambda: scene.points("images", at))
    asked["aliases there"] = lambda at: answer(lambda: scene.points("model/best", at))
    asked["registries"] = lambda at: answer(lambda: [row.name for row in registries.listed(scene.store, at=at)])
    asked["team"] = lambda at: answer(lambda: directory.team(views, "renamed", at).ttl_micros)
    asked["links"] = lambda at: answer(lambda: _links(scene, at))
    return asked


def _links(scene: Scene, at: int | None) -> Any:
    version = scene.find("images:v0", at).version.version_id
    return catalog.link_names(catalog.links_of(scene.views, version, at))


def _version(found: catalog.Found) -> Any:
    version, link = found.version, found.link
    return (version.index, version.state, version.ttl_rule, link and link.index, found.artifact.type)


def _later(scene: Scene, micros: int) -> None:
    scene.pass_time(micros)
    collect.act(scene.store)


HAPPENS: list[Callable[[Scene], object]] = [
    lambda s: s.log("images", "one", "best", type_="model", tags=("t",)),
    lambda s: s.link("images:v0", "model/best", "production"),
    lambda s: s.log("images", "two", type_="model"),
    lambda s: s.edit("images:v1", add_aliases=("best",), add_tags=("u",), ttl=Ttl.after(DAY)),
    lambda s: s.link("images:v1", "model/best", "production"),
    lambda s: s.edit("images:v0", add_aliases=("latest",), remove_tags=("t",)),
    lambda s: s.edit("images:v0", remove_aliases=("latest",)),
    lambda s: registries.create(s.store, "local", "any"),
    lambda s: s.link("images:v0", "any/best"),
    lambda s: s.unlink("model/best:production"),
    lambda s: s.delete("images:v1", delete_aliases=True),
    lambda s: registries.delete(s.store, s.registry("any")),
    lambda s: lifecycle.edit_artifact(s.store, s.artifact("images"), s.team, name="pictures"),
    lambda s: s.log("images", "three"),
    lambda s: s.edit("images:v0", ttl=NEVER),
    lambda s: directory.set_ttl_policy(s.store, "local", TtlSetters.ADMINS, DAY),
    lambda s: s.log("other", "four"),
    lambda s: _later(s, 9 * DAY),
    lambda s: lifecycle.delete_artifact(s.store, s.artifact("images"), s.team),
    lambda s: s.unlink("model/best:v0"),
    lambda s: directory.rename_team(s.store, "local", "renamed"),
]


@pytest.mark.parametrize("make", [memory_store, sqlite_store])
def test_every_question_asked_of_then_gets_the_answer_of_then(tmp_path: Path, make: Any) -> None:
    store = make(tmp_path)
    assert isinstance(store.clock, Clock)
    scene = Scene(store, store.clock)
    asked = questions(scene)
    answers: list[tuple[int, int, dict[str, Any]]] = []
    for happens in HAPPENS:
        answers.append((scene.seq, store.ledger.head().recorded_at, {text: ask(None) for text, ask in asked.items()}))
        happens(scene)
    assert len({repr(each) for _, _, each in answers}) > len(HAPPENS) - 4
    for seq, moment, then in answers:
        assert {text: ask(seq) for text, ask in asked.items()} == then
        assert store.ledger.at(moment) == seq
        assert store.ledger.at(moment - 1) == seq - 1
    before = list(store.ledger.dump())
    store.ledger.rebuild()
    assert list(store.ledger.dump()) == before
    store.ledger.close()


def test_before_the_beginning_there_is_nothing(scene: Scene) -> None:
    scene.log("images", "one")
    with pytest.raises(NotFoundError):
        scene.find("images", 0)
    assert scene.store.ledger.at(0) == 0
    assert scene.find("images", scene.seq + 100) == scene.find("images")


def test_a_role_of_then_does_not_count_now(scene: Scene) -> None:
    directory.set_team_role(scene.store, "local", "bob", Role.MEMBER)
    bob = scene.by("bob")
    bob.log("images", "one")
    directory.set_team_role(scene.store, "local", "bob", None)
    assert answer(lambda: bob.log("images", "two")) == "PermissionDeniedError"


def test_what_was_deleted_since_is_found_as_it_was(scene: Scene) -> None:
    scene.log("images", "one", "best")
    then = scene.seq
    scene.delete("images:v0", delete_aliases=True)
    with pytest.raises(VersionDeletedError):
        scene.find("images:v0")
    assert scene.find("images:best", then).version.state == "committed"


# --- latest, against a plain model -----------------------------------------------------------------------------------

ACTS = st.lists(st.tuples(st.sampled_from(["log", "put", "take", "delete", "restore"]), st.integers(0, 4)), max_size=14)


@given(ACTS)
def test_latest_follows_its_rule_whatever_happens(acts: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = memory_store(Path(folder))
        assert isinstance(store.clock, Clock)
        _check_latest(Scene(store, store.clock), acts)


def _check_latest(scene: Scene, acts: list[tuple[str, int]]) -> None:
    live: list[bool] = []
    found: dict[int, catalog.Found] = {}
    newest: int | None = None  # the target of the newest word about latest
    for act, number in acts:
        if act == "log":
            same = [index for index, alive in enumerate(live) if alive and index % 5 == number]
            if not same and len(live) % 5 != number:
                continue  # contents are numbered so that index % 5 is the content
            logged = scene.log("images", str(number))
            if same:
                assert (logged.created, logged.index) == (False, same[-1])
                newest = newest if _latest(newest, live) == same[-1] else same[-1]
            else:
                assert (logged.created, logged.index) == (True, len(live))
                live.append(True)
                newest = logged.index
                found[logged.index] = scene.find(f"images:v{logged.index}")
        elif number < len(live):
            if act == "put" and live[number]:
                scene.edit(f"images:v{number}", add_aliases=("latest",))
                newest = newest if _latest(newest, live) == number else number
            elif act == "take" and live[number]:
                scene.edit(f"images:v{number}", remove_aliases=("latest",))
                newest = None if _latest(newest, live) == number else newest
            elif act == "delete":
                lifecycle.delete(scene.store, found[number])
                live[number] = False
            elif act == "restore":
                lifecycle.restore(scene.store, found[number])
                live[number] = True
        latest = _latest(newest, live)
        assert answer(lambda: scene.find("images").version.index) == ("NotFoundError" if latest is None else latest)


def _latest(newest: int | None, live: list[bool]) -> int | None:
    if newest is None:
        return None
    if live[newest]:
        return newest
    return max((index for index, alive in enumerate(live) if alive), default=None)
