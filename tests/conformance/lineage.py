"""What every views adapter promises about one step of a lineage: tests to inherit, and the same told plainly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import pytest
from attrs import field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from muniment.domain.ports import Views
from muniment.domain.rows import Change, Close, EdgeRow, Insert, Put, RunRow, SourceRow
from muniment.domain.values import PrincipalId, ProjectId, RunId, VersionId
from tests.conformance.stand import Stand

RUNS, VERSIONS, JOBS = ("r0", "r1", "r2"), ("v0", "v1", "v2", "v3"), (None, "train", 'ev"al\n')


def run(name: str, job: str | None = None) -> RunRow:
    return RunRow(
        run_id=RunId(name),
        project_id=ProjectId("p"),
        key=name,
        name=None,
        job_type=job,
        group=None,
        tags=None,
        state="running",
        notes=None,
        config=None,
        summary=None,
        actor=PrincipalId("a"),
        started_at=1,
        started_seq=1,
        finished_at=None,
    )


def edge(run_id: str, version_id: str, role: str) -> EdgeRow:
    return EdgeRow(RunId(run_id), VersionId(version_id), role, 1, 1)


def source(version_id: str, source_id: str) -> SourceRow:
    return SourceRow(VersionId(version_id), VersionId(source_id))


def made(views: Views, *ids: str, at: int | None = None) -> set[tuple[int, str, str, str | None]]:
    """Return place, run, version and job, each run and version with the first place only."""
    found = views.made_from(ids, at=at)
    first: dict[tuple[str, str], tuple[int, str, str, str | None]] = {}
    for row in sorted(zip(*found, strict=True), key=lambda row: row[0]):
        first.setdefault(row[1:3], row)
    return set(first.values())


def referring(views: Views, *ids: str, at: int | None = None) -> list[tuple[int, str]]:
    return sorted(zip(*views.referring_to(ids, at=at), strict=True))


EDGES = st.builds(edge, st.sampled_from(RUNS), st.sampled_from(VERSIONS), st.sampled_from(("in", "out")))
SOURCES = st.builds(source, st.sampled_from(VERSIONS), st.sampled_from(VERSIONS))
RUN_ROWS = st.builds(run, st.sampled_from(RUNS), st.sampled_from(JOBS))
CHANGES = st.one_of(
    st.builds(Put, EDGES | SOURCES | RUN_ROWS),
    st.builds(lambda row: Close(EdgeRow, (row.run_id, row.version_id, row.role)), EDGES),
    st.builds(lambda row: Close(SourceRow, (row.version_id, row.source_id)), SOURCES),
    st.builds(lambda row: Close(RunRow, (row.run_id,)), RUN_ROWS),
)


class LineageConformance:
    """Inherit this and give a fixture called ``stand``."""

    def test_a_step_of_a_lineage_is_what_runs_made_of_versions(self, stand: Stand) -> None:
        stand.apply([Insert(run("r0", "train")), Insert(run("r1"))], 1)
        stand.apply([Insert(edge(*each)) for each in (("r0", "v0", "in"), ("r0", "v1", "in"), ("r0", "v2", "out"))], 2)
        stand.apply([Insert(edge(*each)) for each in (("r1", "v1", "in"), ("r1", "v3", "out"))], 3)
        assert made(stand.views, "v1", "v0") == {(0, "r0", "v2", "train"), (0, "r1", "v3", None)}
        assert made(stand.views, "v0", "none", "v1") == {(0, "r0", "v2", "train"), (2, "r1", "v3", None)}
        assert made(stand.views, "v0", "v1", at=2) == {(0, "r0", "v2", "train")}
        assert made(stand.views, "v0", at=1) == made(stand.views, "v2", "v3") == set()

    def test_a_step_of_a_lineage_is_also_what_refers_to_versions(self, stand: Stand) -> None:
        stand.apply([Insert(source("v2", "v0")), Insert(source("v2", "v1"))], 1)
        stand.apply([Insert(source("v3", "v0")), Close(SourceRow, ("v2", "v1"))], 2)
        assert referring(stand.views, "v1", "v0") == [(1, "v2"), (1, "v3")]
        assert referring(stand.views, "v0", "v1", at=1) == [(0, "v2"), (1, "v2")]
        assert referring(stand.views, "v0", at=0) == []

    @pytest.mark.parametrize("at", [None, 1, 2**70, -(2**70)])
    def test_a_step_from_no_version_and_from_what_no_column_holds_leads_nowhere(
        self, stand: Stand, at: int | None
    ) -> None:
        stand.apply([Insert(edge("r0", "v0", "in")), Insert(edge("r0", "v1", "out")), Insert(source("v2", "v0"))], 1)
        for ids in ((), ("\0", "\ud800", "v\0")):
            assert stand.views.made_from(ids, at=at) == ([], [], [], [])
            assert stand.views.referring_to(ids, at=at) == ([], [])
        found = made(stand.views, "\0", "v0", at=at)
        assert found == ({(1, "r0", "v1", None)} if at is None or at > 0 else set())

    def test_a_run_that_used_many_and_logged_many_is_followed_from_the_first(self, stand: Stand) -> None:
        used, logged = [f"u{number:03}" for number in range(400)], [f"l{number:03}" for number in range(300)]
        rows = [edge("r0", id_, "in") for id_ in used] + [edge("r0", id_, "out") for id_ in logged]
        stand.apply([Insert(run("r0", "fit")), *map(Insert, rows)], 1)
        for at in (None, 1):
            assert made(stand.views, *reversed(used), at=at) == {(0, "r0", id_, "fit") for id_ in logged}

    def test_a_step_of_any_lineage_is_what_its_rows_say_now_and_then(self, stand: Stand) -> None:
        @given(st.lists(st.lists(CHANGES, max_size=6), max_size=5), st.lists(st.sampled_from(VERSIONS), max_size=5))
        @settings(deadline=None)
        def agree(acts: Sequence[Sequence[Change]], ids: Sequence[str]) -> None:
            stand.clear()
            plain, then = Plain(), list[Plain]()
            for seq, changes in enumerate(acts, 1):
                stand.apply(changes, seq)
                plain = plain.after(changes)
                then.append(plain)
            for at, each in [(None, plain), *enumerate(then, 1)]:
                assert made(stand.views, *ids, at=at) == each.made(ids)
                assert referring(stand.views, *ids, at=at) == each.referring(ids)

        agree()


@frozen
class Plain:
    """A lineage in plain sets and a dict."""

    edges: frozenset[tuple[str, ...]] = frozenset()
    sources: frozenset[tuple[str, ...]] = frozenset()
    jobs: Mapping[str, str | None] = field(factory=dict)

    def after(self, changes: Sequence[Change]) -> Plain:
        edges, sources, jobs = set(self.edges), set(self.sources), dict(self.jobs)
        for change in changes:
            match change:
                case Put(row=EdgeRow() as row):
                    edges.add((row.run_id, row.version_id, row.role))
                case Put(row=SourceRow() as row):
                    sources.add((row.version_id, row.source_id))
                case Put(row=RunRow() as row):
                    jobs[row.run_id] = row.job_type
                case Close(key=(str(run_id),)):
                    jobs.pop(run_id, None)
                case Close(key=key):
                    edges.discard(key)
                    sources.discard(key)
        return Plain(frozenset(edges), frozenset(sources), jobs)

    def made(self, ids: Sequence[str]) -> set[tuple[int, str, str, str | None]]:
        first: dict[tuple[str, str], tuple[int, str, str, str | None]] = {}
        for place, id_ in enumerate(ids):
            for name, version_id in product(RUNS, VERSIONS):
                if (name, id_, "in") in self.edges and (name, version_id, "out") in self.edges:
                    first.setdefault((name, version_id), (place, name, version_id, self.jobs.get(name)))
        return set(first.values())

    def referring(self, ids: Sequence[str]) -> list[tuple[int, str]]:
        return [(place, id_) for place, of in enumerate(ids) for id_ in VERSIONS if (id_, of) in self.sources]
