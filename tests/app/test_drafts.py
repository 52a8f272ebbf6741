"""Versions made from the latest one, and by several writers together."""

from __future__ import annotations

import pytest

import muniment as wandb
from muniment.app import drafts, manifests
from muniment.app.files.staging import Staged, Staging
from muniment.app.log_artifact import PARTS, Draft
from muniment.app.sdk import session
from muniment.app.store import Store
from muniment.domain.errors import ConflictError
from muniment.domain.rows import SourceRow
from tests.app.story import Story


def draft(name: str = "ds", *, incremental: bool = False, **files: str) -> wandb.Artifact:
    made = wandb.Artifact(name, "dataset", incremental=incremental)
    for path, text in files.items():
        with made.new_file(path) as file:
            file.write(text)
    return made


def holds(made: wandb.Artifact) -> dict[str, int | None]:
    return {path: entry.size for path, entry in made.manifest.entries.items()}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_SILENT", "true")


def test_an_incremental_artifact_changes_the_latest_version() -> None:
    with wandb.init() as run:
        first = run.log_artifact(draft(incremental=True, a="1", b="1"))
        second = run.log_artifact(draft(incremental=True, b="22", c="1"))
        third = run.log_artifact(draft(d="1"))
    assert [holds(first), holds(second)] == [{"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 1}]
    assert holds(third) == {"d": 1}
    assert [each.version for each in (first, second, third)] == ["v0", "v1", "v2"]


def test_an_incremental_artifact_keeps_the_sources_of_what_it_keeps() -> None:
    with wandb.init() as run:
        source = run.log_artifact(draft("source", x="1")).wait()
        first = draft()
        first.add_reference(source.get_entry("x"))
        run.log_artifact(first)
        second = run.log_artifact(draft(incremental=True, y="1")).wait()
    rows = session.store().views.select(SourceRow, version_id=second.id, order="source_id")
    assert [row.source_id for row in rows] == [source.id]


def test_changes_are_merged_again_if_another_version_was_logged_meanwhile() -> None:
    story, store = Story(), session.store()
    with wandb.init() as run:
        run.log_artifact(draft(a="1"))
    asked: list[int] = []

    def made(written: manifests.Written) -> Draft:
        if not asked:
            with wandb.init() as other:
                other.log_artifact(draft(a="1", b="1"))
        asked.append(written.entries)
        return Draft("ds", "dataset", written.digest, written.manifest, written.size, written.entries)

    with Staging(store) as staging:
        changes = [staging.add_bytes("c", b"c")]
        logged = drafts.log_onto_latest(store, story.project, "ds", changes, made)
    assert asked == [2, 3]
    assert logged.index == 2
    with wandb.init() as run:
        assert holds(run.use_artifact("ds:latest")) == {"a": 1, "b": 1, "c": 1}


def test_several_writers_make_one_version_together() -> None:
    for number in (1, 2):
        with wandb.init(group="together", id=f"w{number}") as run:
            made = draft(shared="x" * number)
            with made.new_file(f"part{number}") as file:
                file.write("x")
            part = run.upsert_artifact(made)
        assert part.is_draft()
    with wandb.init(group="together") as run:
        made = run.finish_artifact(draft(last="x"), aliases=["whole"])
    assert holds(made) == {"last": 1, "part1": 1, "part2": 1, "shared": 2}
    assert (made.version, made.aliases, made.logged_by().id) == ("v0", ["whole", "latest"], run.id)
    with wandb.init() as run:
        run.upsert_artifact(draft(part3="x"), distributed_id="together")
        again = run.finish_artifact(draft(last="y"), distributed_id="together")
    assert holds(again) == {"last": 1, "part3": 1}
    assert again.version == "v1"


def test_writers_that_belong_together_say_so() -> None:
    with wandb.init() as run:
        with pytest.raises(TypeError, match="Cannot upsert artifact unless run is in a group or distributed_id"):
            run.upsert_artifact(draft())
        with pytest.raises(TypeError, match="Cannot finish artifact"):
            run.finish_artifact(draft())


def test_parts_add_to_the_latest_version_if_that_is_wanted() -> None:
    with wandb.init() as run:
        run.log_artifact(draft(a="1"))
        run.upsert_artifact(draft(b="1"), distributed_id="x")
        made = run.finish_artifact(draft(incremental=True, c="1"), distributed_id="x")
    assert holds(made) == {"a": 1, "b": 1, "c": 1}


def test_parts_that_somebody_else_finished_are_not_finished_twice() -> None:
    story, store = Story(), session.store()
    with Staging(store) as staging:
        drafts.keep_part(store, story.project, "ds", "x", [staging.add_bytes("a", b"a")])

        def made(written: manifests.Written) -> Draft:
            for part in drafts.parts(store, story.project, "ds", "x"):
                _forget(store, part.key)
            return Draft("ds", "dataset", written.digest, written.manifest, written.size, written.entries)

        nothing: list[Staged | manifests.Removed] = []
        with pytest.raises(ConflictError, match="a part of ds is gone"):
            drafts.log_finished(store, story.project, "ds", "x", nothing, made)


def _forget(store: Store, key: str) -> None:
    store.ledger.work(lambda transaction: transaction.scratch.delete(PARTS, key))


def test_a_part_is_what_a_collection_must_not_touch() -> None:
    story, store = Story(), session.store()
    with Staging(store) as staging:
        part = drafts.keep_part(store, story.project, "ds", "x", [staging.add_bytes("a", b"a")])
    assert drafts.parts(store, story.project, "ds", "x") == [part]
    row = {"manifest": part.manifest, "team": story.project.team_id}
    assert dict(store.ledger.scratch.items("draft")) == {part.key: row}
    assert drafts.parts(store, story.project, "ds", "y") == []
