"""The audit timeline: which events concern a thing, so that its history is one look-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from muniment.domain.ports import Recorded
from muniment.domain.rows import Change, Insert, TimelineRow
from muniment.domain.values import owner_of

SUBJECTS = (
    "version_id",
    "artifact_id",
    "collection_id",
    "registry_id",
    "run_id",
    "project_id",
    "team_id",
    "organisation_id",
    "principal_id",
    "member_id",
    "to",
    "before",
    "base",
    "link_id",
    "target",
    "subject_id",
    "request_id",
)
"""The fields of events that name what they concern, besides the owner of their stream."""


def fold(recorded: Recorded) -> Sequence[Change]:
    """Return the entries in the timelines of everything an event concerns."""
    return [Insert(TimelineRow(subject, recorded.seq)) for subject in sorted(set(_subjects(recorded)))]


def _subjects(recorded: Recorded) -> Iterator[str]:
    yield owner_of(recorded.stream)
    if recorded.run is not None:
        yield recorded.run
    for name in SUBJECTS:
        value = getattr(recorded.event, name, None)
        if isinstance(value, str):
            yield value
