"""Runs: how they begin and end, what they record, and how they log and use artifacts."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import muniment as wandb
from muniment.app import directory, runs
from muniment.app.sdk import recording, session
from muniment.app.sdk.errors import ConfigError, RunFinishedError
from muniment.domain.errors import InvalidNameError, InvalidValueError, MunimentError, NotFoundError
from muniment.domain.rows import EdgeRow, RunRow, VersionRow
from muniment.domain.values import Json


def artifact(text: str = "hello", name: str = "ds", type_: str = "dataset", **arguments: Any) -> wandb.Artifact:
    made = wandb.Artifact(name, type_, **arguments)
    with made.new_file("a.txt") as file:
        file.write(text)
    return made


def logged(text: str = "hello", name: str = "ds", **arguments: Any) -> wandb.Artifact:
    made = artifact(text, name, **arguments)
    with wandb.init() as run:
        run.log_artifact(made)
    return made


def row_of(run: wandb.Run) -> RunRow:
    store = session.store()
    return runs.named(store, directory.project(store.views, run.entity, run.project), run.id)


def kept(slot: Any) -> Json:
    return session.store().vault.get_many({slot})[slot]


def events() -> list[str]:
    return [each.type for each in session.store().ledger.read()]


# --- beginning and ending --------------------------------------------------------------------------------------------


def test_a_run_is_what_it_was_said_to_be() -> None:
    with wandb.init(
        project="vision",
        job_type="train",
        group="g",
        name="first",
        id="abc",
        notes="why",
        tags=["x", "y"],
        config={"lr": 1},
    ) as run:
        assert (run.id, run.name, run.project, run.entity, run.group) == ("abc", "first", "vision", "local", "g")
        assert (run.job_type, run.notes, run.tags, run.path) == ("train", "why", ("x", "y"), "local/vision/abc")
        assert (run.resumed, run.disabled, run.url) == (False, False, "muniment://local/vision/abc")
        assert wandb.run is run
        assert Path(run.dir).is_dir()
    assert wandb.run is None
    row = row_of(run)
    assert (row.state, row.name, row.job_type, row.group, row.tags) == ("finished", "first", "train", "g", "x\ny")
    assert (kept(row.notes), kept(row.config)) == ("why", {"lr": 1})


def test_the_environment_says_what_nobody_else_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    monkeypatch.setenv("WANDB_RUN_GROUP", "together")
    monkeypatch.setenv("WANDB_TAGS", "a, b")
    monkeypatch.setenv("MUNIMENT_PROJECT", "ours")
    with wandb.init(settings=wandb.Settings(run_name="set", x_odd=1)) as run:
        assert (run.project, run.group, run.tags, run.name) == ("ours", "together", ("a", "b"), "set")


def test_a_team_must_be_there() -> None:
    with pytest.raises(wandb.CommError, match="there is no team") as caught:
        wandb.init(entity="nobody")
    assert isinstance(caught.value, NotFoundError)
    assert wandb.run is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "sideways"},
        {"resume": "maybe"},
        {"reinit": "perhaps"},
        {"resume_from": "x"},
        {"settings": 3},
        {"config": 3},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(wandb.UsageError):
        wandb.init(**wrong)


def test_a_run_id_is_a_plain_name() -> None:
    with pytest.raises(InvalidNameError, match="Run id"):
        wandb.init(id="a/b")


def test_another_init_goes_on_with_the_run_unless_it_is_to_begin_anew() -> None:
    first = wandb.init()
    assert wandb.init() is first
    beside = wandb.init(reinit="create_new")
    assert wandb.run is beside
    third = wandb.init(reinit=True)
    assert row_of(beside).state == "finished"
    assert row_of(first).state == "running"
    third.finish()
    wandb.finish()
    assert row_of(first).state == "finished"


def test_a_run_that_an_exception_leaves_has_failed() -> None:
    with pytest.raises(ZeroDivisionError), wandb.init() as run:
        _ = 1 / 0
    assert row_of(run).state == "failed"
    with pytest.raises(SystemExit), wandb.init() as left:
        raise SystemExit(0)
    assert row_of(left).state == "finished"
    ended = wandb.init()
    ended.finish(exit_code=3)
    assert row_of(ended).state == "failed"


def test_a_finished_run_takes_nothing_more() -> None:
    with wandb.init() as run:
        pass
    run.finish()
    for call in (lambda: run.log({"a": 1}), lambda: run.log_artifact(artifact()), lambda: run.use_artifact("ds")):
        with pytest.raises(RunFinishedError):
            call()
    assert events().count("run.finished.1") == 1


def test_offline_is_the_same_because_the_store_is_here() -> None:
    with wandb.init(mode="offline") as run:
        made = run.log_artifact(artifact()).wait()
        assert run.use_artifact("ds:latest").id == made.id
    assert row_of(run).state == "finished"


def test_a_disabled_run_keeps_nothing(own_home: Path) -> None:
    with wandb.init(mode="disabled", config={"lr": 1}) as run:
        assert run.disabled
        run.log({"loss": 1})
        run.config["more"] = 2
        made = run.log_artifact(artifact())
        assert made.wait() is made
        assert made.is_draft()
        assert run.upsert_artifact(artifact(), distributed_id="x").is_draft()
        assert run.link_artifact(made, "wandb-registry-model/x") is made
        assert run.log_code() is None
        assert (run.summary["loss"], dict(run.config)) == (1, {"lr": 1, "more": 2})
    assert wandb.run is None
    assert not (own_home / "ledger.sqlite3").exists() or "run.started.1" not in events()


def test_teardown_ends_everything() -> None:
    first, second = wandb.init(), wandb.init(reinit="create_new")
    wandb.teardown()
    assert {row_of(first).state, row_of(second).state} == {"finished"}
    assert wandb.login() is True


# --- configuration, summary, figures ---------------------------------------------------------------------------------


def test_the_configuration_is_a_dictionary_with_attributes() -> None:
    with wandb.init(config=Namespace(lr=0.1, layers=[1, 2])) as run:
        assert (run.config.lr, run.config["layers"], wandb.config.lr) == (0.1, [1, 2], 0.1)
        run.config.epochs = 3
        run.config.update({"lr": 0.1, "batch": 8})
        run.config.setdefaults({"lr": 5, "seed": 7})
        with pytest.raises(ConfigError, match=r'Attempted to change value of key "lr" from 0\.1 to 0\.2'):
            run.config.lr = 0.2
        run.config.update({"lr": 0.2}, allow_val_change=True)
        with pytest.raises(AttributeError, match="config has no key 'nothing'"):
            _ = run.config.nothing
    assert kept(row_of(run).config) == {"lr": 0.2, "layers": [1, 2], "epochs": 3, "batch": 8, "seed": 7}


def test_keys_can_be_left_out_of_the_configuration() -> None:
    with wandb.init(config={"a": 1, "b": 2}, config_exclude_keys=["a"]) as run:
        assert dict(run.config) == {"b": 2}


def test_figures_are_kept_in_batches_and_the_last_are_the_summary() -> None:
    with wandb.init() as run:
        for step in range(450):
            run.log({"loss": 1 / (step + 1), "nested": {"a": step}})
        run.log({"odd": float("nan")}, commit=False)
        run.log({"more": 1}, step=450)
        run.log({"late": 1}, step=3)
        run.summary["best"] = 0.9
    store = session.store()
    rows = runs.history(store, row_of(run))
    assert [row["_step"] for row in rows] == list(range(451))
    assert rows[7]["loss"] == 0.125
    assert (rows[450]["odd"], rows[450]["more"]) == ("NaN", 1)
    assert "late" not in rows[3]
    assert events().count("run.logged.1") == 3
    summary = kept(row_of(run).summary)
    assert (summary["loss"], summary["best"], summary["nested"]) == (1 / 450, 0.9, {"a": 449})


def test_a_row_is_a_dictionary() -> None:
    with wandb.init() as run:
        with pytest.raises(InvalidValueError, match="log takes a dictionary"):
            run.log([1])  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="not JSON serializable"):
            run.log({"a": object()})


def test_a_run_is_resumed_where_it_was() -> None:
    with wandb.init(id="again", config={"lr": 1}) as run:
        run.log({"a": 1})
        run.log({"a": 2})
    with wandb.init(id="again", resume="must") as resumed:
        assert resumed.resumed
        assert (resumed.step, resumed.config.lr, resumed.summary["a"]) == (2, 1, 2)
        resumed.log({"a": 3})
    rows = runs.history(session.store(), row_of(resumed))
    assert [(row["_step"], row["a"]) for row in rows] == [(0, 1), (1, 2), (2, 3)]
    with pytest.raises(wandb.CommError, match="is there already"):
        wandb.init(id="again", resume="never")
    with pytest.raises(wandb.CommError, match="no run 'other' to resume"):
        wandb.init(id="other", resume="must")


def test_a_run_can_be_named_anew() -> None:
    with wandb.init(notes="old") as run:
        run.name = "better"
        run.tags = (*run.tags, "good")
        run.notes = "new"
    row = row_of(run)
    assert (row.name, row.tags, kept(row.notes)) == ("better", "good", "new")


def test_an_artifact_in_the_configuration_is_an_input() -> None:
    source = logged()
    with wandb.init(config={"data": source}) as run:
        run.config["same"] = f"wandb-artifact://{source.qualified_name}"
        assert run.config["same"].id == source.id
    config = kept(row_of(run).config)
    assert config["data"]["_type"] == config["same"]["_type"] == "artifactVersion"
    assert config["data"]["id"] == source.id
    assert session.store().views.count(EdgeRow, run_id=row_of(run).run_id, role="in", order="edge_seq") == 1


# --- logging ---------------------------------------------------------------------------------------------------------


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
    roles = [edge.role for each in (first, other) for edge in _edges(each)]
    assert roles == ["in", "in"]
    assert store.views.find(VersionRow, version_id=first.id).run_id is None  # type: ignore[union-attr]


def _edges(made: wandb.Artifact) -> list[EdgeRow]:
    select = session.store().views.select
    return [edge for role in ("in", "out") for edge in select(EdgeRow, version_id=made.id, role=role, order="edge_seq")]


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


# --- the process -----------------------------------------------------------------------------------------------------


def script(text: str, *, expect: int = 0) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "MUNIMENT_SILENT": "false"}
    done = subprocess.run(
        [sys.executable, "-c", text], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == expect, done.stderr
    return done


LOG = """
import muniment as wandb
run = wandb.init(id="r")
a = wandb.Artifact("ds", "dataset")
with a.new_file("a.txt") as file:
    file.write("x")
run.log_artifact(a)
"""


def test_a_forgotten_run_is_finished_when_the_process_ends() -> None:
    done = script(LOG)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "muniment: run r started in local/uncategorized",
        "muniment: run r finished; 1 artifact logged",
    ]
    project = directory.project(session.store().views, "local", "uncategorized")
    assert runs.named(session.store(), project, "r").state == "finished"
    with wandb.init() as run:
        assert run.use_artifact("ds:v0").file_count == 1


def test_a_run_that_an_uncaught_exception_leaves_has_failed() -> None:
    done = script(LOG + "raise RuntimeError('no')", expect=1)
    assert "RuntimeError: no" in done.stderr
    assert "run r failed" in done.stderr
    project = directory.project(session.store().views, "local", "uncategorized")
    assert runs.named(session.store(), project, "r").state == "failed"


def test_a_forked_child_leaves_the_run_to_its_parent() -> None:
    script(LOG + "import os\npid = os.fork()\nif pid == 0:\n    raise SystemExit(0)\nos.waitpid(pid, 0)\n")
    assert events().count("run.finished.1") == 1


def test_a_child_process_can_begin_a_run_of_its_own() -> None:
    text = (
        LOG
        + "import os\npid = os.fork()\nif pid == 0:\n"
        + "    own = wandb.init(id='child')\n    own.finish()\n    os._exit(0)\n"
    )
    script(text + "assert os.waitpid(pid, 0)[1] == 0\n")
    project = directory.project(session.store().views, "local", "uncategorized")
    assert runs.named(session.store(), project, "child").state == "finished"


def test_another_home_is_another_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged()
    monkeypatch.setenv("MUNIMENT_HOME", str(tmp_path / "second"))
    assert logged("two").version == "v0"
    assert recording.active() is None


Call = Callable[[], object]


def test_calls_without_a_run_say_what_to_do() -> None:
    calls: list[Call] = [lambda: wandb.log({}), lambda: wandb.config, lambda: wandb.use_artifact("x")]  # type: ignore[call-arg, arg-type]
    for call in calls:
        with pytest.raises(wandb.Error, match=r"You must call wandb\.init\(\) before"):
            call()
