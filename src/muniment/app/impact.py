"""What came of the data of one person: from the versions that hold it, through runs, to what was made from it.

Edges are read many at a time, a level of the lineage at once, so that a million of them take seconds.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import define, evolve, field, frozen

from muniment.domain.ports import Views
from muniment.domain.rows import EdgeRow, RunRow, SourceRow, SubjectEntryRow, SubjectTargetRow, VersionRow

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


@frozen
class Reached:
    """A version that was reached: its state, how many steps away, and by which run or reference from which version."""

    version_id: str
    state: State
    steps: int
    before: str | None = None
    run_id: str | None = None
    partly: bool = False


@define
class _Walk:
    """A walk down the lineage, level by level; a version is looked at again only if it was reached more strongly."""

    views: Views
    at: int | None
    found: dict[str, Reached] = field(factory=dict)
    jobs: dict[str, str | None] = field(factory=dict)

    def begin(self, first: Iterable[Reached]) -> None:
        """Follow everything from some versions on."""
        level = self._stronger(first)
        while level:
            level = self._stronger(each for some in _chunks(level) for each in self._below(some))

    def _stronger(self, reached: Iterable[Reached]) -> list[str]:
        fresh: dict[str, None] = {}
        for each in reached:
            known = self.found.get(each.version_id)
            if known is None or (each.state, each.partly) < (known.state, known.partly):
                self.found[each.version_id] = each
                fresh[each.version_id] = None
        return list(fresh)

    def _below(self, level: list[str]) -> Iterator[Reached]:
        views, at, found = self.views, self.at, self.found
        used = views.gather(EdgeRow, "version_id", level, at=at, role="in")
        by_run: dict[str, str] = {}
        for edge in used:
            known = by_run.get(edge.run_id)
            if known is None or _rank(found[edge.version_id]) < _rank(found[known]):
                by_run[edge.run_id] = edge.version_id
        self._learn(by_run)
        for some in _chunks(list(by_run)):
            for edge in views.gather(EdgeRow, "run_id", some, at=at, role="out"):
                source = found[by_run[edge.run_id]]
                state = _after(source.state, self.jobs.get(edge.run_id))
                yield Reached(edge.version_id, state, source.steps + 1, source.version_id, edge.run_id)
        for row in views.gather(SourceRow, "source_id", level, at=at):
            source = found[row.source_id]
            state = State.UNKNOWN if source.partly else source.state
            yield evolve(source, version_id=row.version_id, state=state, steps=source.steps + 1, before=row.source_id)

    def _learn(self, runs: Iterable[str]) -> None:
        unknown = [run for run in runs if run not in self.jobs]
        for some in _chunks(unknown):
            self.jobs |= {row.run_id: row.job_type for row in self.views.gather(RunRow, "run_id", some, at=self.at)}


def of_subject(views: Views, subject_id: str, at: int | None = None) -> list[Reached]:
    """Return every version that the data of a person may have gone into, the strongest and nearest first."""
    walk = _Walk(views, at)
    walk.begin(attached(views, subject_id, at))
    return sorted(walk.found.values(), key=lambda each: (each.state, each.steps, each.version_id))


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


def _rank(reached: Reached) -> tuple[int, int, str]:
    return reached.state, reached.steps, reached.version_id


def _after(before: State, job: str | None) -> State:
    """Return what a run of a kind makes of what it used; what is not known to be otherwise is unknown."""
    kind = (job or "").lower()
    if kind.startswith(TRAINING) and before in {State.CONTAINS, State.TRAINED_ON}:
        return State.TRAINED_ON
    if kind.startswith(EVALUATING) and before is State.CONTAINS:
        return State.EVALUATED_ON
    return State.UNKNOWN


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
