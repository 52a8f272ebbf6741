"""What expires by a clock that jumped, stepped back, or is not the clock of another machine; and what a day is."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from attrs import evolve

from muniment.app import approvals, clock, directory, durations, lifecycle, retention, runs
from muniment.app.collecting import collect
from muniment.app.lifecycle import Edits
from muniment.app.log_artifact import Draft
from muniment.domain.disposal import PurgeParked
from muniment.domain.errors import InvalidValueError
from muniment.domain.ports import Command, Context
from muniment.domain.retention import SKEW
from muniment.domain.rows import VersionRow
from muniment.domain.values import Role, Ttl
from muniment.domain.version import State
from tests.app.purged import last, state
from tests.app.scene import DAY, SECOND, Scene
from tests.servers.postgres import postgres_ledger, running
from tests.stores import START, Clock, ProjectedLedger, sqlite_ledger, store_on

TEN_YEARS = 3653 * DAY
MINUTE = 60 * SECOND


def at_work(scene: Scene, *, grace: int | None = None) -> Scene:
    """Return the scene with two admins, a version that lives for 30 days, and one that was deleted by hand."""
    directory.set_organisation_role(scene.store, "local", "ann", Role.ADMIN)
    scene.log("images", "one", "best", ttl=Ttl.after(30 * DAY))
    scene.log("images", "two")
    scene.log("images", "three", ttl=Ttl.after(DAY // 2))
    scene.delete("images:v1", delete_aliases=True)
    if grace is None:
        return scene
    config = evolve(scene.store.config, values=scene.store.config.values | {"grace": f"{grace // SECOND}s"})
    return evolve(scene, store=evolve(scene.store, config=config))


def test_ten_years_ahead_nothing_is_marked_deleted_until_another_admin_agrees_once_to_all(scene: Scene) -> None:
    scene = at_work(scene)
    scene.clock.now += TEN_YEARS
    report = collect.act(scene.store)
    assert (report.deleted, report.let_go, report.waiting) == (0, 0, 3)
    assert "3,653.0 days ahead of the last event" in str(report.parked)
    assert last(scene, PurgeParked).due == 3
    assert scene.points("images") == {"best": 0, "latest": 2}
    (waiting,) = approvals.listed(scene.views, scene.clock.now)
    approvals.approve(scene.by("ann").store, waiting.proposal_id)
    ids = [scene.find(f"images:v{index}", scene.seq).version.version_id for index in (0, 2)]
    report = collect.act(scene.store)
    assert (report.deleted, report.let_go, report.waiting, report.parked) == (2, 1, 0, None)
    assert [state(scene, id_) for id_ in ids] == [State.DELETED, State.DELETED]


def test_the_clock_that_was_put_right_again_has_deleted_nothing(scene: Scene) -> None:
    scene = at_work(scene)
    right = scene.clock.now
    scene.clock.now += TEN_YEARS
    assert collect.act(scene.store).parked is not None
    scene.clock.now = right + DAY
    report = collect.act(scene.store)
    assert (report.deleted, report.let_go, report.waiting) == (0, 0, 1), "v2 is due by the right clock, and waits too"
    assert "behind the last event" in str(report.parked)
    assert scene.points("images") == {"best": 0, "latest": 2}


def test_whoever_is_alone_waits_for_a_week_in_which_collecting_shows_that_the_clock_goes_on(scene: Scene) -> None:
    scene = at_work(scene, grace=0)
    scene.clock.now += TEN_YEARS
    for day in range(7):
        report = collect.act(scene.store)
        assert (report.deleted, report.waiting) == (0, 2)
        assert report.let_go == int(day == 0), "what somebody deleted by hand without a grace period goes at once"
        scene.clock.now += DAY
    report, again = collect.act(scene.store), collect.act(scene.store)
    assert (report.parked, report.deleted, report.let_go + again.let_go) == (None, 2, 2)


def test_a_short_grace_period_after_a_jump_is_over_before_the_week_in_which_nothing_expires(scene: Scene) -> None:
    scene = at_work(scene, grace=DAY)
    scene.clock.now += TEN_YEARS
    assert collect.act(scene.store).waiting == 3
    scene.clock.now += DAY + MINUTE
    report = collect.act(scene.store)
    assert (report.deleted, report.let_go, report.waiting) == (0, 1, 2)
    assert "nothing was recorded for 3,653.0 days" in str(report.parked)


def test_an_hour_back_nothing_is_marked_deleted(scene: Scene) -> None:
    scene = at_work(scene)
    scene.clock.now += DAY
    scene.log("other", "an event of that day")
    scene.clock.now -= 3600 * SECOND
    report = collect.act(scene.store)
    assert (report.deleted, report.waiting) == (0, 1)
    assert "s behind the last event" in str(report.parked)
    scene.clock.now += 3600 * SECOND
    assert collect.act(scene.store).deleted == 1


def test_a_clock_that_steps_back_while_it_collects_makes_nothing_go_early_and_no_event_older(scene: Scene) -> None:
    scene.log("images", "one", ttl=Ttl.after(DAY))
    scene.log("images", "two", ttl=Ttl.after(DAY))
    scene.clock.now += DAY + SECOND
    for step in (-SKEW // 2, SECOND, -3 * MINUTE, 8 * MINUTE):
        scene.clock.now += step
        collect.act(scene.store)
        scene.log("other", f"{step}")
    times = [recorded.recorded_at for recorded in scene.since(0)]
    assert times == sorted(set(times))
    gone = scene.views.select(VersionRow, state="deleted", order="created_at")
    assert len(gone) == 2
    for each in gone:
        assert each.deleted_at is not None
        assert each.deleted_at >= each.created_at + DAY


# --- whose clock, and what a day is ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("fast", [-5 * MINUTE, 5 * MINUTE])
def test_two_machines_five_minutes_apart_order_all_events_and_doubt_no_clock(
    tmp_path: Path, kind: str, fast: int
) -> None:
    url = running().url() if kind == "postgres" else ""

    def opened(clock_: Clock) -> ProjectedLedger:
        return postgres_ledger(url, clock_) if url else sqlite_ledger(tmp_path / "ledger.sqlite3", clock_)

    one, other = Clock(), Clock(START + fast)
    here = Scene(store_on(opened(one), tmp_path, one), one)
    there = evolve(here, store=evolve(here.store, ledger=opened(other), clock=other), clock=other)
    for turn in range(4):
        (here, there)[turn % 2].log("images", f"{turn}", ttl=Ttl.after(3600 * SECOND))
        for each in (one, other):
            each.now += MINUTE
    times = [recorded.recorded_at for recorded in here.since(0)]
    assert times == sorted(set(times))
    left = 3600 * SECOND - 5 * MINUTE - 5 * MINUTE
    for each in (one, other):
        each.now += left
    assert [collect.act(scene.store).deleted for scene in (here, there)] == [0, 0], "not more than 5 minutes early"
    for each in (one, other):
        each.now += 15 * MINUTE
    reports = [collect.act(scene.store) for scene in (here, there)]
    assert [report.parked for report in reports] == [None, None]
    assert sum(report.deleted for report in reports) == 4


def test_no_client_says_when_something_happened(scene: Scene) -> None:
    """Neither a command nor a draft has a time in it; what metadata says is content."""
    for said in (Context, Command, Draft, runs.RunDraft, Edits):
        assert not [each.name for each in attrs.fields(said) if "Micros" in str(each.type)]
    before = scene.clock.now
    for year in (1970, 2999):
        claimed = {"occurred_at": f"{year}-01-01T00:00:00Z", "created_at": year}
        scene.log("images", f"{year}", ttl=Ttl.after(DAY), metadata=claimed)
    for index in (0, 1):
        version = scene.find(f"images:v{index}").version
        assert before < version.created_at < before + SECOND
        assert retention.explain(scene.store, version).due_at == version.created_at + DAY


@pytest.mark.parametrize(
    ("zone", "born", "ttl", "ends"),
    [
        ("Europe/Berlin", "2026-03-28T12:00Z", "1d", "2026-03-29T12:00:00"),
        ("Europe/Berlin", "2026-10-24T12:00Z", "1d", "2026-10-25T12:00:00"),
        ("America/New_York", "2028-02-28T12:00Z", "2d", "2028-03-01T12:00:00"),
        ("UTC", "2027-02-28T12:00Z", "1d", "2027-03-01T12:00:00"),
        ("Asia/Kathmandu", "2028-02-29T12:00Z", "365d", "2029-02-28T12:00:00"),
        ("UTC", "2027-01-31T12:00Z", "30d", "2027-03-02T12:00:00"),
    ],
)
def test_a_day_has_24_hours_whatever_the_calendar_says(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, zone: str, born: str, ttl: str, ends: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        scene.clock.now = clock.from_text(born)
        scene.log("images", "one", ttl=durations.ttl_from_text(ttl))
        found = scene.find("images:v0")
        end = lifecycle.expires_at(scene.store, found)
        assert end == found.version.created_at + durations.from_text(ttl)
        assert clock.to_text(end).startswith(ends)
        assert clock.to_datetime(end) - clock.to_datetime(found.version.created_at) == timedelta(
            microseconds=durations.from_text(ttl)
        )
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["1 month", "1mo", "6M", "1y", "P1M", "31 Jan"])
def test_months_and_years_are_no_durations(text: str) -> None:
    """They have no length: what is a month after 31 January? Least of all are six of them six minutes."""
    with pytest.raises(InvalidValueError, match="no duration — write for example 7d"):
        durations.from_text(text)
