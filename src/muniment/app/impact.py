"""What came of the data of one person: from the versions that hold it, through runs, to what was made from it.

Versions of one rank are followed together, the strongest and nearest first, so that each is followed once; what they
led to is read in columns, so that a million edges take seconds.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import compress, count, repeat
from typing import Any, Final, NamedTuple, TypeAlias, cast

from attrs import field, frozen

from muniment.app.telemetry import carried
from muniment.domain.ports import Views
from muniment.domain.rows import EdgeRow, Made, Referring, SubjectEntryRow, SubjectTargetRow, VersionRow

CHUNK: Final = 10_000
READERS: Final = 2
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


TOLD_BY_JOBS: Final = frozenset({State.CONTAINS, State.TRAINED_ON})
"""From these on it matters what a run did; what is less was made of something less, whatever the run did."""


class Reached(NamedTuple):
    """A version that was reached: its state, how many steps away, and by which run or reference from which version.

    *before* and *run_id* are empty for nothing; *partly*: as far as is known, only entries of it are about the person.
    """

    version_id: str
    state: State
    steps: int
    before: str = ""
    run_id: str = ""
    partly: bool = False


_REACHED: Final = cast("Callable[[tuple[Any, ...]], Reached]", partial(tuple.__new__, Reached))
"""Makes one of its cells, in a third of the time that its class takes: there may be a million."""

Rank: TypeAlias = tuple[State, bool, int]
"""State, whether partly, and steps: what is less is stronger, then nearer. What is made of something ranks higher."""


@frozen
class _Shelf:
    """The versions of one rank, each with one way to it: in which place of two lists it is told.

    There may be a million of them, so they are numbers and texts, which the garbage collector need not follow.
    """

    places: dict[str, int] = field(factory=dict)
    befores: list[str] = field(factory=list)
    run_ids: list[str] = field(factory=list)

    def put(self, ids: list[str], befores: list[str], run_ids: list[str]) -> None:
        """Put versions on it; of ways that are alike the first in the alphabet stays."""
        fresh = dict(zip(ids, count(len(self.befores))))
        self.befores.extend(befores)
        self.run_ids.extend(run_ids)
        if len(fresh) == len(ids) and self.places.keys().isdisjoint(fresh):
            self.places.update(fresh)
            return
        for id_, place in zip(ids, count(len(self.befores) - len(befores))):
            if self.way(place) < self.way(self.places.setdefault(id_, place)):
                self.places[id_] = place

    def way(self, place: int) -> tuple[str, str]:
        """Return from where, and by which run."""
        return self.befores[place], self.run_ids[place]

    def told(self, level: list[str], rank: Rank) -> Iterator[Reached]:
        """Yield some of its versions."""
        state, partly, steps = rank
        places = [self.places[id_] for id_ in level]
        befores, run_ids = map(self.befores.__getitem__, places), map(self.run_ids.__getitem__, places)
        return map(_REACHED, zip(level, repeat(state), repeat(steps), befores, run_ids, repeat(partly)))


def of_subject(views: Views, subject_id: str, at: int | None = None) -> Iterator[Reached]:
    """Yield every version that the data of a person may have gone into, the strongest first, of these the nearest."""
    shelves = defaultdict[Rank, _Shelf](_Shelf)
    for each in attached(views, subject_id, at):
        shelves[each.state, each.partly, each.steps].put([each.version_id], [each.before], [each.run_id])
    followed: set[str] = set()
    pool = ThreadPoolExecutor(READERS)
    try:
        while shelves:
            rank = min(shelves)
            shelf = shelves.pop(rank)
            level = sorted([id_ for id_ in shelf.places if id_ not in followed])
            followed.update(level)
            steps = _steps(pool, views, at, level)
            yield from shelf.told(level, rank)
            for some, made, referring in steps:
                _put_made(shelves, rank, some, made)
                _put_referring(shelves, rank, some, referring)
    finally:
        pool.shutdown(cancel_futures=True)


def _steps(
    pool: Executor, views: Views, at: int | None, level: list[str]
) -> Iterator[tuple[list[str], Made, Referring]]:
    """Return what versions lead to, part by part; of many, parts are read in other threads while one is looked at."""

    def step(some: list[str]) -> tuple[list[str], Made, Referring]:
        return some, views.made_from(some, at=at), views.referring_to(some, at=at)

    parts = [level[start : start + CHUNK] for start in range(0, len(level), CHUNK)]
    return pool.map(carried(step), parts) if len(parts) > 1 else map(step, parts)


def _put_made(shelves: dict[Rank, _Shelf], rank: Rank, used: list[str], made: Made) -> None:
    """Put what runs made of versions of one rank where it belongs."""
    state, _, steps = rank
    befores = list(map(used.__getitem__, made.places))
    states = {job: _after(state, job) for job in set(made.job_types)}
    for later in set(states.values()):
        chosen = [states[job] is later for job in made.job_types]
        some = (list(compress(column, chosen)) for column in (made.version_ids, befores, made.run_ids))
        shelves[later, False, steps + 1].put(*some)


def _put_referring(shelves: dict[Rank, _Shelf], rank: Rank, used: list[str], referring: Referring) -> None:
    """Put what refers to versions of one rank where it belongs: to which of their entries is not known."""
    state, partly, steps = rank
    befores = [used[place] for place in referring.places]
    if befores:
        later = State.UNKNOWN if partly else state
        shelves[later, False, steps + 1].put(referring.version_ids, befores, [""] * len(befores))


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


def _after(before: State, job: str | None) -> State:
    """Return what a run of a kind makes of what it used; what is not known to be otherwise is unknown."""
    kind = (job or "").lower()
    if kind.startswith(TRAINING) and before in TOLD_BY_JOBS:
        return State.TRAINED_ON
    if kind.startswith(EVALUATING) and before is State.CONTAINS:
        return State.EVALUATED_ON
    return State.UNKNOWN
