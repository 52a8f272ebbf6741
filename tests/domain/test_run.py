"""A run: begun, edited, ended, gone on with, let go; and what it used and logged, each once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import NotFoundError
from muniment.domain.run import (
    RUN,
    TRACE,
    ConfigChanged,
    InputUsed,
    OutputLogged,
    Run,
    RunDeleted,
    RunEdited,
    RunFinished,
    RunLogged,
    RunResumed,
    RunStarted,
    RunState,
    Trace,
    change_config,
    delete_run,
    edit_run,
    finish_run,
    log_output,
    log_rows,
    start_run,
    trace_stream,
    use_input,
)
from muniment.domain.values import Personal, ProjectId, RunId, SlotId, VersionId, owner_of
from tests.decisions import Act, act, attempt, happen
from tests.spec import Spec

P, R, V = ProjectId("p"), RunId("r"), VersionId("v")
KEPT: Personal[Any] = Personal(SlotId("slot"), "commit")
BEGUN = RunStarted(P, "x7k", "fox-1", "train", tags=("a",), config=KEPT)
EDITED = RunEdited("fox-2", "train", "sweep", ("a", "b"), KEPT)
DONE = RunFinished(RunState.FINISHED, 0, 1_500_000)
FAILED = RunFinished(RunState.FAILED, 1, 10, KEPT)
run = Spec(RUN)
trace = Spec(TRACE)


def test_a_run_lives_as_its_story_tells() -> None:
    said = RunEdited("fox-1", "train", None, ("a",))
    assert run.given(BEGUN).state == Run(P, RunState.RUNNING, said, KEPT)
    assert run.given(BEGUN, EDITED).state.said == EDITED
    assert run.given(BEGUN, ConfigChanged(None)).state.config is None
    assert run.given(BEGUN, FAILED).state.state is RunState.FAILED
    assert run.given(BEGUN, FAILED, RunResumed()).state.state is RunState.RUNNING
    assert run.given(BEGUN, RunDeleted()).state.deleted


# --- beginning and ending --------------------------------------------------------------------------------------------


def test_a_run_begins_once() -> None:
    run.when(start_run, BEGUN).then(BEGUN)
    run.given(BEGUN).when(start_run, BEGUN).then_nothing()
    run.given(BEGUN).when(start_run, BEGUN, R).then_nothing()


@pytest.mark.parametrize("ended", [DONE, FAILED, RunFinished(RunState.CRASHED, 255, 1)])
def test_a_run_that_ended_goes_on_under_its_key(ended: RunFinished) -> None:
    run.given(BEGUN, ended).when(start_run, BEGUN, R).then(RunResumed())
    run.given(BEGUN, ended, RunResumed()).when(start_run, BEGUN, R).then_nothing()


@pytest.mark.parametrize("taken", [None, R])
def test_a_deleted_run_does_not_go_on(taken: RunId | None) -> None:
    run.given(BEGUN, RunDeleted()).when(start_run, BEGUN, taken).then_raises(NotFoundError, "the run was deleted")


def test_a_run_ends_once_and_again_after_it_went_on() -> None:
    run.given(BEGUN).when(finish_run, FAILED).then(FAILED)
    run.given(BEGUN, FAILED).when(finish_run, DONE).then_nothing()
    run.given(BEGUN, FAILED, RunResumed()).when(finish_run, DONE).then(DONE)


def test_a_run_is_let_go_once_whether_it_ended_or_not() -> None:
    run.given(BEGUN).when(delete_run).then(RunDeleted())
    run.given(BEGUN, DONE).when(delete_run).then(RunDeleted())
    run.given(BEGUN, RunDeleted()).when(delete_run).then_nothing()
    run.when(delete_run).then_nothing()


# --- what it says about itself ---------------------------------------------------------------------------------------


def test_what_a_run_says_about_itself_changes() -> None:
    run.given(BEGUN).when(edit_run, EDITED).then(EDITED)
    run.given(BEGUN, EDITED).when(edit_run, EDITED).then_nothing()
    run.given(BEGUN).when(edit_run, RunEdited("fox-1", "train", None, ("a",))).then_nothing()
    back = RunEdited("fox-1", "train", None, ("a",))
    run.given(BEGUN, EDITED).when(edit_run, back).then(back)


def test_the_configuration_changes_after_the_end_too() -> None:
    run.given(BEGUN).when(change_config, None).then(ConfigChanged(None))
    run.given(BEGUN, DONE).when(change_config, None).then(ConfigChanged(None))
    run.given(BEGUN).when(change_config, KEPT).then_nothing()


@pytest.mark.parametrize(
    ("decision", "argument"),
    [(edit_run, EDITED), (change_config, KEPT), (finish_run, DONE)],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_what_was_deleted_or_never_began_cannot_be_changed(decision: Callable[..., Any], argument: object) -> None:
    run.given(BEGUN, RunDeleted()).when(decision, argument).then_raises(NotFoundError, "the run was deleted")
    run.when(decision, argument).then_raises(NotFoundError, "there is no such run")


# --- what it did -----------------------------------------------------------------------------------------------------


def test_a_version_is_used_once() -> None:
    trace.when(use_input, V).then(InputUsed(V))
    trace.when(use_input, V, used=True).then_nothing()


@pytest.mark.parametrize("created", [True, False])
def test_a_run_is_recorded_as_producer_once_also_of_content_that_was_there(*, created: bool) -> None:
    trace.when(log_output, V, created=created).then(OutputLogged(V, created))
    trace.when(log_output, V, created=created, logged=True).then_nothing()


def test_rows_are_kept_each_time_they_are_logged() -> None:
    rows = RunLogged(10, 9, KEPT)
    assert trace.given(rows).when(log_rows, rows).then(rows) == Trace()


def test_what_a_run_did_is_a_stream_beside_it() -> None:
    assert trace_stream(R) == "r:t"
    assert owner_of(trace_stream(R)) == R


# --- any sequence of decisions ---------------------------------------------------------------------------------------

acts = st.one_of(
    act(start_run, st.just(BEGUN), st.sampled_from([None, R])),
    act(edit_run, st.sampled_from([EDITED, RunEdited("fox-3")])),
    act(change_config, st.sampled_from([None, KEPT])),
    act(finish_run, st.sampled_from([DONE, FAILED])),
    act(delete_run),
)


@given(st.lists(acts, max_size=12))
def test_any_decision_taken_again_changes_nothing_and_a_run_begins_once_and_ends_only_while_it_runs(
    wanted: list[Act],
) -> None:
    state, begun = RUN.initial, 0
    for each in wanted:
        before, events = state, attempt(state, each)
        state = happen(RUN, state, events)
        begun += events == [BEGUN]
        assert attempt(state, each) == []
        assert not (before.deleted and events)
        assert begun == (state.project_id is not None)
        if events and isinstance(events[0], RunFinished):
            assert before.state is RunState.RUNNING
