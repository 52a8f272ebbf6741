"""What the data of a person went into is followed through runs, and what is not known is called unknown."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from muniment.app import impact, log_artifact, runs
from muniment.app.erasing import data_subjects
from muniment.app.impact import State
from muniment.app.labels import Labels
from muniment.app.reports import making, named
from muniment.app.reports.making import Wanted
from muniment.domain.data_subject import TargetKind
from muniment.domain.rows import RunRow
from muniment.domain.values import RunId, VersionId
from tests.app.scene import Scene


def job(scene: Scene, key: str, kind: str | None, *used: VersionId) -> RunRow:
    run = scene.run(key, job_type=kind)
    for version_id in used:
        runs.use(scene.store, version_id, RunId(run.run_id))
    return run


def states(scene: Scene, subject_id: str, at: int | None = None) -> dict[str, str]:
    labels = Labels(scene.views)
    found = {each.version_id: each.state.text for each in impact.of_subject(scene.views, subject_id, at)}
    return {label.name: state for id_, state in found.items() if (label := labels.version(id_)) is not None}


def test_states_follow_the_lineage(scene: Scene) -> None:
    data = scene.log("faces", "a", type_="dataset").version_id
    person = data_subjects.register(scene.store, "Jane Doe, 1970").subject_id
    data_subjects.attach(scene.store, person, TargetKind.VERSION, data)
    model = scene.log("model", "b", run=job(scene, "r1", "training", data)).version_id
    before = scene.seq
    scene.log("tuned", "c", run=job(scene, "r2", "fine-tune", model))
    scene.log("figures", "d", run=job(scene, "r3", "Evaluation", data, model))
    scene.log("about-model", "e", run=job(scene, "r4", "evaluate", model))
    scene.log("mystery", "f", run=job(scene, "r5", None, data))
    after = scene.log("later", "g", run=job(scene, "r6", "train", scene.find("mystery:v0").version.version_id))
    scene.log("free", "h", run=job(scene, "r7", "train"))
    assert states(scene, person) == {
        "faces:v0": "contains",
        "model:v0": "trained-on",
        "tuned:v0": "trained-on",
        "figures:v0": "evaluated-on",
        "about-model:v0": "unknown",
        "mystery:v0": "unknown",
        "later:v0": "unknown",
    }
    assert states(scene, person, before) == {"faces:v0": "contains", "model:v0": "trained-on"}
    steps = {each.version_id: each.steps for each in impact.of_subject(scene.views, person)}
    assert (steps[data], steps[model], steps[after.version_id]) == (0, 1, 2)


def test_the_stronger_state_wins_whichever_way_is_shorter(scene: Scene) -> None:
    data = scene.log("faces", "a").version_id
    person = data_subjects.register(scene.store, "Jane Doe, 1970").subject_id
    data_subjects.attach(scene.store, person, TargetKind.ARTIFACT, scene.artifact("faces").artifact_id)
    model = scene.log("model", "b", run=job(scene, "r1", "train", data)).version_id
    scene.log("both", "c", run=job(scene, "r2", None, data))
    scene.log("both", "c", run=job(scene, "r3", "train", model))
    assert states(scene, person)["both:v0"] == "trained-on"


def test_what_refers_to_a_version_of_which_only_entries_are_known_is_unknown(scene: Scene) -> None:
    data = scene.log("faces", {"a.jpg": "a", "b.jpg": "b"}).version_id
    person = data_subjects.register(scene.store, "Jane Doe, 1970").subject_id
    data_subjects.attach_entries(scene.store, person, data, ["a.jpg"])
    draft = scene.draft("mirror", "m", sources=(data,))
    log_artifact.log(scene.store, scene.project, draft)
    assert states(scene, person) == {"faces:v0": "contains", "mirror:v0": "unknown"}
    data_subjects.attach(scene.store, person, TargetKind.VERSION, data)
    assert states(scene, person) == {"faces:v0": "contains", "mirror:v0": "contains"}


def test_a_circle_ends_and_what_a_run_about_the_person_made_is_unknown(scene: Scene) -> None:
    person = data_subjects.register(scene.store, "Jane Doe, 1970").subject_id
    run = job(scene, "r1", "train")
    made = scene.log("made", "a", run=run).version_id
    runs.use(scene.store, made, RunId(run.run_id))
    data_subjects.attach(scene.store, person, TargetKind.RUN, run.run_id)
    assert [(each.state, each.steps) for each in impact.of_subject(scene.views, person)] == [(State.UNKNOWN, 1)]


def test_of_ways_that_are_alike_the_same_one_is_told_whichever_is_found_first(scene: Scene) -> None:
    data = sorted(scene.log("faces", f"a{number}").version_id for number in range(4))
    person = data_subjects.register(scene.store, "Jane Doe, 1970").subject_id
    for id_ in data:
        data_subjects.attach(scene.store, person, TargetKind.VERSION, id_)
    jobs = [job(scene, f"r{number}", "train", *reversed(data[:3])) for number in range(6)]
    made = {scene.log("model", "b", run=run).version_id for run in (job(scene, "r", "train", data[3]), *jobs)}
    assert len(made) == 1
    (model,) = [each for each in impact.of_subject(scene.views, person) if each.version_id not in data]
    assert (model.state, model.steps, model.before) == (State.TRAINED_ON, 1, data[0])
    assert model.run_id == min(run.run_id for run in jobs)


def test_many_versions_are_read_in_parts_and_whoever_has_seen_enough_may_stop(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = [scene.log(f"faces{number}", f"a{number}").version_id for number in range(5)]
    person = data_subjects.register(scene.store, "Jane Doe, 1970").subject_id
    for id_ in data:
        data_subjects.attach(scene.store, person, TargetKind.VERSION, id_)
    for number, id_ in enumerate(data):
        scene.log(f"model{number}", f"b{number}", run=job(scene, f"r{number}", "train", id_))
    whole = list(impact.of_subject(scene.views, person))
    monkeypatch.setattr(impact, "CHUNK", 2)
    assert list(impact.of_subject(scene.views, person)) == whole
    before = set(threading.enumerate())
    some = impact.of_subject(scene.views, person)
    assert [next(some) for _ in range(6)] == whole[:6]
    assert set(threading.enumerate()) - before
    del some
    assert not set(threading.enumerate()) - before


def test_the_report_never_says_that_a_model_is_free_of_the_data(scene: Scene, tmp_path: Path) -> None:
    data = scene.log("faces", "a").version_id
    person = data_subjects.register(scene.store, "Jane Doe, 1970").subject_id
    data_subjects.attach(scene.store, person, TargetKind.VERSION, data)
    scene.log("model", "b", "best", type_="model", run=job(scene, "r1", "train", data))
    scene.link("model:v0", "model/chess", "production")
    for about in (None, person):
        folder = tmp_path / str(about)
        making.write(scene.store, named("impact"), Wanted(("jsonl", "html"), about=about), folder)
        rows = [json.loads(line) for line in (folder / "impact.jsonl").read_text().splitlines()]
        assert [(row["version"], row["state"], row["linked"]) for row in rows] == [
            ("local/uncategorized/faces:v0", "contains", False),
            ("local/uncategorized/model:v0", "trained-on", True),
        ]
        assert rows[1]["aliases"].splitlines() == ["best", "production"]
        page = (folder / "impact.html").read_text()
        assert "anonym" not in page
        assert "Jane" not in page
