"""Every report, replay and difference of one ledger is the same, byte for byte, from SQLite and from PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from muniment.app import bootstrap, directory, migrate, replay, reports, runs
from muniment.app.config import Config
from muniment.app.erasing import certificate, checking, data_subjects
from muniment.app.migrate import Movable
from muniment.app.reports import making
from muniment.app.reports.making import FORMATS, Wanted
from muniment.app.reports.shape import About, Report
from muniment.app.store import Store
from muniment.app.telling.differences import between
from muniment.domain.data_subject import TargetKind
from muniment.domain.values import Role, RunId
from tests.acts import story
from tests.app.scene import Scene
from tests.app.test_erasing import ann, erase
from tests.app.test_migrate import stored
from tests.servers.postgres import postgres_ledger, running
from tests.stores import Clock, sqlite_ledger, store_on


@frozen
class Told:
    """One ledger in two databases, and whom its reports may be about."""

    here: Store
    there: Store
    size: int
    about: dict[About, str]


def _happen(scene: Scene) -> dict[About, str]:
    """Let nearly everything happen, an erasure with its certificate and a lineage of a person among it."""
    directory.set_organisation_role(scene.store, "local", "ben", Role.ADMIN)
    version_id = scene.log("people", {"ann.txt": "ann", "bob.txt": "bob"}, "gold").version_id
    data_subjects.attach_entries(scene.store, ann(scene), version_id, ["ann.txt"])
    request_id = erase(scene)
    checking.verify(scene.store, request_id)
    certificate.issue(scene.store, request_id)
    person = data_subjects.register(scene.store, "Jane Doe, 1970").subject_id
    faces = [scene.log("faces", f"face {number}").version_id for number in range(3)]
    for id_ in faces:
        data_subjects.attach(scene.store, person, TargetKind.VERSION, id_)
    for number in range(3):
        run = scene.run(f"training-{number}", job_type="train")
        for id_ in faces[number % 2 :]:
            runs.use(scene.store, id_, RunId(run.run_id))
        scene.log("net", "weights", f"m{number}", run=run)
    story(scene.store, "SECRET")
    return {About.REQUEST: request_id, About.SUBJECT: person}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder, clock = tmp_path_factory.mktemp("store"), Clock()
    here = store_on(sqlite_ledger(folder / "ledger.sqlite3", clock), folder, clock)
    about = _happen(Scene(here, clock))
    ledger: Any = postgres_ledger(running().url(), clock)
    moved: Any = here.ledger
    assert migrate.ledger(moved, ledger).done
    there = evolve(here, ledger=ledger, projections=ledger.projections)
    yield Told(here, there, here.ledger.head().size, about)
    here.ledger.close()
    ledger.close()


def written(store: Store, report: Report, folder: Path, **wanted: Any) -> dict[str, bytes]:
    """Return every file of a report in all its forms."""
    forms = tuple(form for form in FORMATS if form != "html" or report.page)
    making.write(store, report, Wanted(forms, **wanted), folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("report", reports.listed(), ids=lambda report: report.number)
def test_a_report_has_the_same_bytes_from_both_databases(report: Report, told: Told, tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = [{"at": told.size, "about": told.about[report.about]}] if report.about else []
    if not report.needed:
        asked += [{"at": told.size}, {"at": told.size // 2}, {"after": told.size // 3, "at": told.size - 5}]
    for number, wanted in enumerate(asked):
        here = written(told.here, report, tmp_path / f"{number}-here", **wanted)
        there = written(told.there, report, tmp_path / f"{number}-there", **wanted)
        assert here.keys() == there.keys()
        for name, content in here.items():
            assert content == there[name], (wanted, name)
    assert any(content.count(b"\n") > 0 for content in here.values())


@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_replay_is_the_same_from_both_databases(part: int, told: Told, tmp_path: Path) -> None:
    at = told.size * part // 3
    made: list[tuple[Any, ...]] = []
    for store in (told.here, told.there):
        source: Any = store.ledger
        folder = tmp_path / f"{len(made)}"
        kept = replay.build(source, store.config, at, folder, partial(_ledger, store.config))
        with closing(_ledger(store.config, folder)) as ledger:
            assert list(ledger.verify()) == []
            made.append((kept, stored(ledger)[:3], list(ledger.dump()), list(ledger.read())))
    assert made[0] == made[1]
    assert (made[0][0].seq, made[0][0].root) == (at, told.here.ledger.root(at).hex())


def _ledger(config: Config, home: Path) -> Movable:
    return bootstrap.open_ledger(Config({**config.values, "home": str(home), "ledger": None}, {}))


def test_what_changed_between_two_moments_is_the_same_in_both_databases(told: Told) -> None:
    for first, last in ((0, told.size), (told.size // 3, told.size - 5), (told.size // 2, told.size // 2)):
        here, there = (list(map(str, between(store, first, last))) for store in (told.here, told.there))
        assert here == there
        assert bool(here) == (first < last)
