"""Runs: how they begin and end, what they record, and how they log and use artifacts."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import muniment as wandb
from muniment.app import runs
from muniment.app.sdk import recording, session
from muniment.app.sdk.errors import ConfigError, RunFinishedError
from muniment.domain.errors import InvalidNameError, InvalidValueError, NotFoundError
from muniment.domain.rows import EdgeRow
from tests.app.sdk.words import artifact, events, kept, logged, row_of

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


def test_a_disabled_run_reads_what_is_there_without_a_trace() -> None:
    made = logged("weights", "net", type_="model")
    before = len(events())
    with wandb.init(mode="disabled") as run:
        assert run.use_artifact("net:latest").id == made.id
        assert len(events()) == before
        assert Path(run.use_model("net:latest")).read_text(encoding="utf-8") == "weights"
        with pytest.raises(wandb.CommError, match="has no artifact 'nothing'"):
            run.use_artifact("nothing")


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
        assert (resumed.starting_step, resumed.step) == (2, 3)
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


# --- side by side ----------------------------------------------------------------------------------------------------


def test_threads_may_log_by_one_run() -> None:
    with wandb.init() as run, ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda at: run.log_artifact(artifact(str(at))), range(24)))
    assert sorted(each.version for each in made) == sorted(f"v{at}" for at in range(24))


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
