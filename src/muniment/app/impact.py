"""What came of the data of one person: from the versions that hold it, through runs, to what was made from it.

Edges are read many at a time, a level of the lineage at once, so that a million of them take seconds.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from muniment.domain.ports import Views
from muniment.domain.rows import EdgeRow, Row, RunRow, SourceRow, SubjectEntryRow, SubjectTargetRow, VersionRow

CHUNK: Final = 10_000
TRAINING: Final = ("train", "fit", "fine", "tune", "learn")
EVALUATING: Final = ("eval", "test", "valid", "score", "benchmark")
"""What the job type of a run begins with, if it trains or evaluates."""


class State(enum.IntEnum):
    """What a version has to do with the data of a person, the strongest first; nothing here says *anonymous*."""

    CONTAINS = 0
    TRAINED_ON = 1
    EVALUATED_ON = 2
    UNKNOWN = 3

    @property
    def text(self) -> str:
        """How it is written."""
        return self.name.lower().replace("_", "-")


STATES: Final = tuple(State)
UNKNOWN: Final = int(State.UNKNOWN)
TOLD_BY_JOBS: Final = frozenset({int(State.CONTAINS), int(State.TRAINED_ON)})
"""From these on it matters what a run did; what is less was made of something less, whatever the run did."""


@frozen
class Reached:
    """A version that was reached: its state, how many steps away, and by which run or reference from which version."""

    version_id: str
    state: State
    steps: int
    before: str | None = None
    run_id: str | None = None
    partly: bool = False


Found: TypeAlias = tuple[int, bool, int, str, str]
"""State, whether partly, steps, and from where by what, empty for nothing: what is stronger, then nearer, is less.

It holds only what the garbage collector need not follow, since there may be a million.
"""


@define
class _Walk:
    """A walk down the lineage, level by level; a version is looked at again only if it was reached more strongly."""

    views: Views
    at: int | None
    found: dict[str, Found] = field(factory=dict)

    def begin(self, first: Iterable[Reached]) -> None:
        """Follow everything from some versions on."""
        level = self._better((each.version_id, _found(each)) for each in first)
        while level:
            known = [self.found[id_] for id_ in level]
            level = self._better(chain(self._logged(level, known), self._referring(level, known)))

    def _better(self, reached: Iterable[tuple[str, Found]]) -> list[str]:
        """Keep what is less than was known; of two ways that are alike the first in the alphabet."""
        known, better = self.found, dict[str, None]()
        for id_, new in reached:
            if id_ not in known or new < known[id_]:
                known[id_] = new
                better[id_] = None
        return list(better)

    def _logged(self, level: list[str], known: list[Found]) -> Iterator[tuple[str, Found]]:
        """Yield what runs logged that used versions of this level: each once, by the strongest that it used."""
        by_run: dict[str, int] = {}
        for place, run in self._pick(EdgeRow, "run_id", "version_id", level, role="in"):
            other = by_run.setdefault(run, place)
            if other != place and _rank(level[place], known[place]) < _rank(level[other], known[other]):
                by_run[run] = place
        jobs = self._jobs([run for run, place in by_run.items() if known[place][0] in TOLD_BY_JOBS])
        ways: list[Found] = []
        for run, place in by_run.items():
            state, _, steps, _, _ = known[place]
            ways.append((_after(state, jobs.get(run)), False, steps + 1, level[place], run))
        for place, id_ in self._pick(EdgeRow, "version_id", "run_id", list(by_run), role="out"):
            yield id_, ways[place]

    def _referring(self, level: list[str], known: list[Found]) -> Iterator[tuple[str, Found]]:
        """Yield what refers to versions of this level."""
        for place, id_ in self._pick(SourceRow, "version_id", "source_id", level):
            state, partly, steps, _, run = known[place]
            yield id_, (UNKNOWN if partly else state, partly, steps + 1, level[place], run)

    def _jobs(self, runs: list[str]) -> dict[str, str | None]:
        return {runs[place]: job for place, job in self._pick(RunRow, "job_type", "run_id", runs)}

    def _pick(self, kind: type[Row], cell: str, column: str, ids: list[str], **equal: str) -> Iterator[tuple[int, Any]]:
        for start in range(0, len(ids), CHUNK):
            for place, value in self.views.pick(kind, cell, column, ids[start : start + CHUNK], at=self.at, **equal):
                yield start + place, value


def of_subject(views: Views, subject_id: str, at: int | None = None) -> Iterator[Reached]:
    """Yield every version that the data of a person may have gone into, the strongest and nearest first."""
    walk = _Walk(views, at)
    walk.begin(attached(views, subject_id, at))
    shelves: dict[tuple[int, int], list[str]] = {}
    for id_, (state, _, steps, _, _) in walk.found.items():
        shelves.setdefault((state, steps), []).append(id_)
    for place in sorted(shelves):
        for id_ in sorted(shelves[place]):
            state, partly, steps, before, run_id = walk.found[id_]
            yield Reached(id_, STATES[state], steps, before or None, run_id or None, partly)


def attached(views: Views, subject_id: str, at: int | None = None) -> Iterator[Reached]:
    """Yield the versions that are about a person: as a whole, by their artifact, or by entries only (*partly*).

    What a run made that is about the person is not known to be about the person.
    """
    targets = views.select(SubjectTargetRow, at=at, subject_id=subject_id, order="target")
    ids = [row.target for row in targets]
    whole = views.gather(VersionRow, "version_id", ids, at=at) + views.gather(VersionRow, "artifact_id", ids, at=at)
    yield from (Reached(row.version_id, State.CONTAINS, 0) for row in whole)
    for edge in views.gather(EdgeRow, "run_id", ids, at=at, role="out"):
        yield Reached(edge.version_id, State.UNKNOWN, 1, run_id=edge.run_id)
    entries = views.select(SubjectEntryRow, at=at, subject_id=subject_id, order="entry_id")
    for id_ in dict.fromkeys(row.version_id for row in entries):
        yield Reached(id_, State.CONTAINS, 0, partly=True)


def _found(reached: Reached) -> Found:
    return int(reached.state), reached.partly, reached.steps, reached.before or "", reached.run_id or ""


def _rank(version_id: str, found: Found) -> tuple[int, int, str]:
    return found[0], found[2], version_id


@lru_cache(maxsize=1024)
def _after(before: int, job: str | None) -> int:
    """Return what a run of a kind makes of what it used; what is not known to be otherwise is unknown."""
    kind = (job or "").lower()
    if kind.startswith(TRAINING) and before in TOLD_BY_JOBS:
        return int(State.TRAINED_ON)
    if kind.startswith(EVALUATING) and before == State.CONTAINS:
        return int(State.EVALUATED_ON)
    return UNKNOWN
