"""Logging and using artifacts by a run."""

from __future__ import annotations

from pathlib import Path

import pytest

import muniment as wandb
from muniment.app import runs
from muniment.app.sdk import session
from muniment.domain.errors import MunimentError
from muniment.domain.rows import EdgeRow, VersionRow
from tests.app.sdk.words import artifact, edges, events, logged, row_of


def test_a_logged_artifact_is_the_next_version_of_its_name() -> None:
    first, second = logged("one"), logged("two")
    assert [(each.name, each.version, each.state) for each in (first, second)] == [
        ("ds:v0", "v0", "COMMITTED"),
        ("ds:v1", "v1", "COMMITTED"),
    ]
    assert second.qualified_name == second.source_qualified_name == "local/uncategorized/ds:v1"
    assert second.aliases == ["latest"]
    assert (second.file_count, second.size, second.is_link, second.linked_at) == (1, 3, False, None)
    assert second.created_at.endswith("Z")
    with wandb.init() as run:
        assert run.use_artifact("ds:v0").aliases == []


def test_the_same_content_is_no_new_version_but_the_run_is_recorded() -> None:
    first = logged("one")
    logged("two")
    with wandb.init() as run:
        again = run.log_artifact(artifact("one", description="again"), aliases=["best"], tags=["good"]).wait()
    assert (again.id, again.aliases, again.tags) == (first.id, ["best", "latest"], ["good"])
    assert again.description is None
    edges = session.store().views.select(EdgeRow, run_id=row_of(run).run_id, role="out", order="edge_seq")
    assert [edge.version_id for edge in edges] == [first.id]


def test_a_file_a_folder_and_a_uri_can_be_logged_as_they_are(here: Path) -> None:
    (here / "folder").mkdir()
    (here / "folder" / "a.txt").write_text("a")
    (here / "b (1).txt").write_text("b")
    with wandb.init(id="r") as run:
        file = run.log_artifact("b (1).txt").wait()
        folder = run.log_artifact(here / "folder", name="named", type="dataset", aliases=["x"]).wait()
        uri = run.log_artifact((here / "folder").as_uri()).wait()
    assert (file.name, file.type, list(file.manifest.entries)) == ("run-r-b-1-.txt:v0", "unspecified", ["b (1).txt"])
    assert (folder.name, folder.aliases) == ("named:v0", ["x", "latest"])
    assert (uri.name, uri.manifest.entries["a.txt"].ref) == ("run-r-folder:v0", (here / "folder" / "a.txt").as_uri())
    with pytest.raises(ValueError, match="Path is not a file"), wandb.init() as run:
        run.log_artifact("nowhere")


def test_another_type_of_the_same_name_is_refused_at_once() -> None:
    logged()
    with wandb.init() as run, pytest.raises(ValueError, match="already exists with type 'dataset'"):
        run.log_artifact(artifact(type_="model"))


@pytest.mark.parametrize("alias", ["a/b", "a:b", "v3", "", " a"])
def test_a_wrong_alias_is_refused_at_once(alias: str) -> None:
    with wandb.init() as run:
        with pytest.raises(ValueError, match=r"[Aa]lias"):
            run.log_artifact(artifact(), aliases=[alias])
        with pytest.raises(ValueError, match=r"[Tt]ag"):
            run.log_artifact(artifact(), tags=["a.b"])
    assert "version.created.1" not in events()


def test_an_artifact_stays_in_its_project() -> None:
    made = logged()
    with wandb.init(project="other") as run, pytest.raises(ValueError, match="exists in project 'uncategorized'"):
        run.log_artifact(made)


def test_a_version_can_be_logged_again_which_moves_its_aliases() -> None:
    first = logged("one")
    logged("two")
    with wandb.init() as run:
        run.log_artifact(first, aliases=["best"])
        assert first.wait() is first
    with wandb.init() as run:
        assert run.use_artifact("ds:best").version == run.use_artifact("ds:latest").version == "v0"


def test_what_was_changed_while_it_was_logged_is_kept_by_save() -> None:
    with wandb.init() as run:
        made = run.log_artifact(artifact(metadata={"n": 1}))
        made.metadata["n"] = 2
        made.save()
        assert run.use_artifact("ds:v0").metadata == {"n": 2}


def test_a_failed_upload_surfaces_and_leaves_no_version(here: Path) -> None:
    (here / "a.txt").write_text("as promised")
    broken = wandb.Artifact("broken", "dataset")
    broken.add_file("a.txt", policy="immutable")
    (here / "a.txt").write_text("otherwise!!")
    run = wandb.init()
    run.log_artifact(broken)
    fine = run.log_artifact(artifact())
    with pytest.raises(MunimentError, match="the file changed, log it again") as caught:
        broken.wait()
    assert caught.value.__notes__ == ["artifact broken was not logged"]
    with pytest.raises(MunimentError):
        run.finish()
    assert row_of(run).state == "failed"
    assert fine.version == "v0"
    assert broken.is_draft()
    assert wandb.run is None
    assert len(session.store().views.select(VersionRow, state="committed", order="created_at")) == 1


def test_a_failed_upload_does_not_hide_the_exception_that_left_the_run(here: Path) -> None:
    (here / "a.txt").write_text("as promised")
    broken = wandb.Artifact("broken", "dataset")
    broken.add_file("a.txt", policy="immutable")
    (here / "a.txt").unlink()
    with pytest.raises(ZeroDivisionError) as caught, wandb.init() as run:
        _ = run.log_artifact(broken).size / 0
    assert "besides, an artifact could not be logged" in caught.value.__notes__[0]


def test_waiting_has_an_end() -> None:
    with wandb.init() as run:
        session.store().ledger.work(lambda _: _wait_in_vain(run))  # while we alone may write


def _wait_in_vain(run: wandb.Run) -> None:
    made = run.log_artifact(artifact())
    with pytest.raises(wandb.WaitTimeoutError, match="timed out") as caught:
        made.wait(timeout=0.01)
    assert isinstance(caught.value, TimeoutError)


# --- using -----------------------------------------------------------------------------------------------------------


def test_an_artifact_is_used_by_its_name() -> None:
    made = logged("one")
    with wandb.init(project="other") as run:
        used = run.use_artifact("local/uncategorized/ds:latest", type="dataset")
        assert used.id == made.id
        assert run.use_artifact("uncategorized/ds:v0").id == made.id
        with pytest.raises(wandb.CommError, match="no artifact 'ds'"):
            run.use_artifact("ds:latest")
        with pytest.raises(ValueError, match="does not match type"):
            run.use_artifact("uncategorized/ds", type="model")
        with pytest.raises(ValueError, match="Invalid artifact path"):
            run.use_artifact("a/b/c/d")
        with pytest.raises(LookupError, match="no version 'v7'"):
            run.use_artifact("uncategorized/ds:v7")
    edges = session.store().views.select(EdgeRow, run_id=row_of(run).run_id, role="in", order="edge_seq")
    assert [edge.version_id for edge in edges] == [made.id]
    assert events().count("principal.version-used.1") == 2


def test_a_used_draft_is_logged_in_one_swoop_without_a_producer() -> None:
    with wandb.init() as run:
        first = run.use_artifact(artifact("one"))
        again = run.use_artifact(artifact("one"))
        other = run.use_artifact(artifact("two"), aliases=["new"])
    assert [first.version, again.version, other.version] == ["v0", "v0", "v1"]
    assert other.aliases == ["new", "latest"]
    store = session.store()
    roles = [edge.role for each in (first, other) for edge in edges(each)]
    assert roles == ["in", "in"]
    assert store.views.find(VersionRow, version_id=first.id).run_id is None  # type: ignore[union-attr]


def test_a_model_is_logged_used_and_linked(here: Path) -> None:
    (here / "weights.bin").write_text("w")
    (here / "two").mkdir()
    (here / "two" / "a").write_text("a")
    (here / "two" / "b").write_text("b")
    with wandb.init(id="r") as run:
        run.log_model("weights.bin", name="net", aliases=["best"])
        assert Path(run.use_model("net:best")).read_text() == "w"
        run.log_model("two")
        assert {path.name for path in Path(run.use_model("run-r-two:latest")).iterdir()} == {"a", "b"}
        linked = run.link_model("weights.bin", "classifier", name="net", aliases=["production"])
        assert (linked.qualified_name, linked.source_name) == ("local/wandb-registry-model/classifier:v0", "net:v0")
        with pytest.raises(AssertionError):
            run.link_model("weights.bin", "a/b")
        run.log_artifact(artifact())
        with pytest.raises(AssertionError, match="'model' artifacts"):
            run.use_model("ds:latest")


def test_code_is_logged_by_pattern(here: Path) -> None:
    (here / "src").mkdir()
    (here / "src" / "a.py").write_text("a")
    (here / "src" / "b.txt").write_text("b")
    with wandb.init() as run:
        code = run.log_code("src")
        assert code is not None
        assert (code.wait().type, list(code.manifest.entries)) == ("code", ["a.py"])
        texts = run.log_code("src", name="texts", include_fn=lambda path, root: path.endswith(".txt") and bool(root))
        assert texts is not None
        assert list(texts.wait().manifest.entries) == ["b.txt"]
        assert run.log_code("src", include_fn=lambda path: path.endswith(".c")) is None


def test_a_table_among_the_figures_is_an_artifact() -> None:
    with wandb.init(id="r") as run:
        run.log({"predictions": wandb.Table(columns=["a"], data=[[1]])})
        made = run.use_artifact("run-r-predictions:latest")
        table = made.get("predictions")
    assert table is not None
    assert table.data == [[1]]
    assert made.type == "run_table"
    assert runs.history(session.store(), row_of(run))[0]["predictions"]["_type"] == "table-file"
