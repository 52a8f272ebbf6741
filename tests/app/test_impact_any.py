"""Impact over any small lineage is what following every way would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muniment.adapters.views.memory import MemoryViews
from muniment.app import impact
from muniment.app.impact import Reached, State
from muniment.domain.rows import Insert, SubjectEntryRow, SubjectTargetRow
from muniment.domain.values import VersionId
from tests.conformance.lineage import edge, run, source
from tests.conformance.views import version

RUNS, VERSIONS = ("r0", "r1", "r2", "r3"), ("v0", "v1", "v2", "v3", "v4", "v5")
JOBS = (None, "train", "eval")
AFTER = {
    ("train", State.CONTAINS): State.TRAINED_ON,
    ("train", State.TRAINED_ON): State.TRAINED_ON,
    ("eval", State.CONTAINS): State.EVALUATED_ON,
}


@given(
    st.sets(st.tuples(st.sampled_from(RUNS), st.sampled_from(VERSIONS), st.sampled_from(("in", "out"))), max_size=16),
    st.sets(st.tuples(st.sampled_from(VERSIONS), st.sampled_from(VERSIONS)), max_size=4),
    st.tuples(*[st.sampled_from(JOBS) for _ in RUNS]),
    st.sets(st.sampled_from(VERSIONS), max_size=2),
    st.sets(st.sampled_from(VERSIONS), max_size=2),
)
def test_every_version_is_told_once_by_its_strongest_and_then_nearest_way(
    edges: set[tuple[str, str, str]],
    sources: set[tuple[str, str]],
    jobs: tuple[str | None, ...],
    whole: set[str],
    partly: set[str],
) -> None:
    views = MemoryViews()
    rows = [
        *(version(name, place) for place, name in enumerate(VERSIONS)),
        *(run(name, job) for name, job in zip(RUNS, jobs, strict=True)),
        *(edge(*each) for each in edges),
        *(source(*each) for each in sources),
        *(SubjectTargetRow("person", name, "version") for name in whole),
        *(SubjectEntryRow(f"entry-{name}", "person", VersionId(name), None) for name in partly),
    ]
    views.apply([Insert(row) for row in rows], 1)
    best = {Reached(name, State.CONTAINS, 0, partly=True) for name in partly - whole}
    best = roots = best | {Reached(name, State.CONTAINS, 0) for name in whole}
    while True:
        ways = set(roots)
        for each in best:
            for name, job in zip(RUNS, jobs, strict=True):
                if (name, each.version_id, "in") in edges:
                    state = AFTER.get((job or "", each.state), State.UNKNOWN)
                    ways |= {
                        Reached(to, state, each.steps + 1, each.version_id, name)
                        for to in VERSIONS
                        if (name, to, "out") in edges
                    }
            state = State.UNKNOWN if each.partly else each.state
            ways |= {Reached(to, state, each.steps + 1, each.version_id) for to, of in sources if of == each.version_id}
        least = {name: min((way for way in ways if way.version_id == name), key=_rank) for name in {w[0] for w in ways}}
        if set(least.values()) == best:
            break
        best = set(least.values())
    assert list(impact.of_subject(views, "person")) == sorted(
        best, key=lambda each: (*_rank(each)[:3], each.version_id)
    )


def _rank(each: Reached) -> tuple[State, bool, int, str, str]:
    return each.state, each.partly, each.steps, each.before, each.run_id
